/* saEvtEventPatternFree: SAI-AIS-EVT-B.03.01, saEvtEventPatternFree(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;

static SaEvtEventPatternT *patterns_of(SaEvtEventHandleT event)
{
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    NEED_OK(saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    NEED(patterns.patterns != NULL);
    return patterns.patterns;
}

static void set_patterns(SaEvtEventHandleT event, size_t number)
{
    SaEvtEventPatternT items[8];
    SaEvtEventPatternArrayT patterns = {0, number, items};
    size_t index;
    for (index = 0; index < number; index++)
        items[index] = pattern_text("some pattern");
    NEED_OK(saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
}

static void null_is_noticed_first(void)
{
    SaEvtEventHandleT event = event_new(channel);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventPatternFree(event, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventPatternFree(0, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* A refused call frees nothing: afterwards the patterns are still freed in good order. */
static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(EVENT_HANDLE, wrong);
    SaEvtEventHandleT event = event_with(channel, "kept", 0, 0);
    SaEvtEventPatternT *patterns = patterns_of(event);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPatternFree(wrong[index], patterns));
    CHECK(memcmp(patterns[0].pattern, "kept", 4) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void every_version_may_use_it(void)
{
    SaUint8T major;
    for (major = 1; major <= 3; major++) {
        SaNameT name;
        SaEvtHandleT own = library_new(major, NULL);
        SaEvtChannelHandleT on = channel_fresh(own, &name);
        SaEvtEventHandleT event = event_with(on, "version", 0, 0);
        CHECK_AIS_REC(SA_AIS_OK, saEvtEventPatternFree(event, patterns_of(event)));
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    }
}

/* The array that is freed need not have as many patterns as the event has by now. */
static void the_number_is_that_of_the_array(void)
{
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventPatternT *three;
    SaEvtEventPatternT *five;
    SaEvtEventPatternArrayT none = {0, 0, NULL};
    set_patterns(event, 3);
    three = patterns_of(event);
    set_patterns(event, 5);
    five = patterns_of(event);
    set_patterns(event, 1);
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, three));
    NEED_OK(saEvtEventAttributesSet(event, &none, 0, 0, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, five));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* The allocator hands addresses out again after a plain free(); the records must follow. */
static void addresses_may_come_again(void)
{
    SaEvtEventHandleT event = event_new(channel);
    size_t round;
    for (round = 0; round < test_rounds(2000, 100); round++) {
        size_t number = 1 + round % 8;
        SaEvtEventPatternT *patterns;
        size_t index;
        set_patterns(event, number);
        patterns = patterns_of(event);
        if (round % 3 == 0) {
            for (index = 0; index < number; index++)
                free(patterns[index].pattern);
            free(patterns);
        } else {
            CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns));
        }
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* Neither memory of the program nor an array given for another event. */
static void other_pointers_are_refused(void)
{
    SaEvtEventPatternT own[2];
    SaEvtEventHandleT event = event_with(channel, "a", 0, 0);
    SaEvtEventHandleT other = event_with(channel, "b", 0, 0);
    SaEvtEventPatternT *patterns = patterns_of(event);
    memset(own, 0, sizeof own);
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventPatternFree(event, own));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventPatternFree(other, patterns));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventPatternFree(event, patterns + 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(other));
}

static void patterns_of_a_received_event_are_freed(void)
{
    SaEvtEventHandleT received;
    subscribe_all(channel, 1);
    log_keep_events = 1;
    publish_text(channel, "received", LOWEST, 0);
    await_deliveries(library, 1);
    log_keep_events = 0;
    received = log_delivery(0).event;
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(received, patterns_of(received)));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(received));
}

int main(int argc, char **argv)
{
    SaNameT name;
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &name);
    null_is_noticed_first();
    wrong_handles_are_bad();
    every_version_may_use_it();
    the_number_is_that_of_the_array();
    addresses_may_come_again();
    if (getenv("EVT_TEST_REC") == NULL || strcmp(getenv("EVT_TEST_REC"), "0") != 0)
        other_pointers_are_refused(); /* a library without this choice may crash on them */
    else
        test_skip("pointers that are no pattern arrays: a choice, and EVT_TEST_REC is 0");
    patterns_of_a_received_event_are_freed();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
