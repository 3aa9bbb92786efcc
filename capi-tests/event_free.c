/* saEvtEventFree: SAI-AIS-EVT-B.03.01, saEvtEventFree(). */
#include "evt_test.h"

static SaEvtHandleT library;

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(EVENT_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(wrong[index]));
}

static void a_freed_event_is_bad_everywhere(SaEvtEventHandleT event)
{
    SaEvtEventPriorityT priority = 0;
    SaEvtEventIdT id = 0;
    SaSizeT size = 0;
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventAttributesSet(event, NULL, 0, 0, NULL));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
              saEvtEventAttributesGet(event, NULL, &priority, NULL, NULL, NULL, NULL));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, NULL, &size));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(event, NULL, 0, &id));
}

static void both_kinds_of_events_are_freed(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    a_freed_event_is_bad_everywhere(event_new(channel));
    subscribe_all(channel, 1);
    log_keep_events = 1;
    publish_text(channel, "received", LOWEST, 0);
    await_deliveries(library, 1);
    log_keep_events = 0;
    a_freed_event_is_bad_everywhere(log_delivery(0).event);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* What was published from it is delivered; other copies and the retained one are left alone. */
static void other_copies_are_left_alone(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT other = channel_open(library, &name, OPEN_BOTH);
    SaEvtEventHandleT first;
    SaEvtEventHandleT second;
    SaSizeT size = TEXT_MAX;
    char data[TEXT_MAX];
    subscribe_all(channel, 1);
    subscribe_all(other, 2);
    log_keep_events = 1;
    publish_text(channel, "copies", LOWEST, RETAIN_NS); /* frees the allocated event at once */
    await_deliveries(library, 2);
    log_keep_events = 0;
    first = log_delivery(0).event;
    second = log_delivery(1).event;
    log_clear();
    CHECK(first != second);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(first));
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(second, data, &size));
    CHECK_EQ(6, size);
    CHECK(memcmp(data, "copies", 6) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(second));
    subscribe_all(channel_open(library, &name, OPEN_BOTH), 3);
    EXPECT_TEXTS_OF(library, "copies:3");
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* The memory from saEvtEventAttributesGet belongs to the caller and outlives the event. */
static void patterns_that_were_read_outlive_it(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT event = event_with(channel, "pattern", 1, 0);
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    NEED(patterns.patternsNumber == 1 && patterns.patterns != NULL);
    CHECK_EQ(7, patterns.patterns[0].patternSize);
    CHECK(memcmp(patterns.patterns[0].pattern, "pattern", 7) == 0);
    /* The event is gone, so that plain free() is the way that is left. */
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPatternFree(event, patterns.patterns));
    free(patterns.patterns[0].pattern);
    free(patterns.patterns);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    wrong_handles_are_bad();
    both_kinds_of_events_are_freed();
    other_copies_are_left_alone();
    patterns_that_were_read_outlive_it();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
