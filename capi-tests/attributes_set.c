/* saEvtEventAttributesSet: SAI-AIS-EVT-B.03.01, saEvtEventAttributesSet(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT publisher;

/* The event has one pattern "old", priority 2, retention 5 ns and the publisher "me". */
static SaEvtEventHandleT event_marked(SaEvtChannelHandleT on)
{
    SaEvtEventHandleT event = event_with(on, "old", 2, 5);
    name_text(&publisher, "me");
    NEED_OK(saEvtEventAttributesSet(event, NULL, 2, 5, &publisher));
    return event;
}

static void check_unchanged(SaEvtEventHandleT event)
{
    SaNameT name;
    SaUint8T room[8];
    SaEvtEventPatternT pattern = {sizeof room, 0, room};
    SaEvtEventPatternArrayT patterns = {1, 0, &pattern};
    SaEvtEventPriorityT priority = 9;
    SaTimeT retention_ns = -1;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, &patterns, &priority, &retention_ns,
                                                 &name, NULL, NULL));
    CHECK_EQ(1, patterns.patternsNumber);
    CHECK_EQ(3, pattern.patternSize);
    CHECK(memcmp(room, "old", 3) == 0);
    CHECK_EQ(2, priority);
    CHECK_EQ(5, retention_ns);
    CHECK_EQ(2, name.length);
    CHECK(memcmp(name.value, "me", 2) == 0);
}

static void invalid_arguments_change_nothing(void)
{
    static const SaEvtEventPriorityT priorities[] = {4, 5, 0x80, 255};
    SaEvtEventHandleT event = event_marked(channel);
    SaEvtEventPatternT patterns_two[2] = {{0, 3, (SaUint8T *)"new"}, {0, 1, NULL}};
    SaEvtEventPatternArrayT no_array = {1, 1, NULL};
    SaEvtEventPatternArrayT no_octets = {2, 2, patterns_two};
    SaNameT name;
    size_t index;
    name_text(&name, "other");
    for (index = 0; index < 4; index++) {
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
                  saEvtEventAttributesSet(event, NULL, priorities[index], 0, &name));
        CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM,
                      saEvtEventAttributesSet(0, NULL, priorities[index], 0, &name));
    }
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtEventAttributesSet(event, &no_array, 0, 0, &name));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtEventAttributesSet(event, &no_octets, 0, 0, &name));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventAttributesSet(0, &no_octets, 0, 0, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventAttributesSet(event, NULL, 0, -1, &name));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM,
                  saEvtEventAttributesSet(event, NULL, 0, (SaTimeT)SA_TIME_UNKNOWN, &name));
    name.length = 257;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventAttributesSet(event, NULL, 0, 0, &name));
    name.length = 0xcd2b;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventAttributesSet(event, NULL, 0, 0, &name));
    check_unchanged(event);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(EVENT_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
                  saEvtEventAttributesSet(wrong[index], NULL, 0, 0, NULL));
}

static void a_received_event_is_read_only(void)
{
    SaEvtEventHandleT received;
    SaEvtEventPriorityT priority = 9;
    subscribe_all(channel, 1);
    log_keep_events = 1;
    publish_text(channel, "received", 1, 0);
    await_deliveries(library, 1);
    log_keep_events = 0;
    received = log_delivery(0).event;
    log_clear();
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAttributesSet(received, NULL, 0, 0, NULL));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventAttributesSet(received, NULL, 4, 0, NULL));
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(received, NULL, &priority, NULL, NULL, NULL, NULL));
    CHECK_EQ(1, priority);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(received));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

static void null_leaves_patterns_and_name(void)
{
    SaEvtEventHandleT event = event_marked(channel);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 2, 5, NULL));
    check_unchanged(event);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void check_counts(SaEvtEventHandleT event, SaSizeT number, SaSizeT first_size)
{
    SaEvtEventPatternArrayT patterns = {0, 77, NULL};
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_EQ(number, patterns.patternsNumber);
    if (number > 0) {
        NEED(patterns.patterns != NULL);
        CHECK_EQ(first_size, patterns.patterns[0].patternSize);
        CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns.patterns));
    } else {
        CHECK(patterns.patterns == NULL);
    }
}

static void empty_things_are_fine(void)
{
    SaEvtEventHandleT event = event_marked(channel);
    SaEvtEventPatternT empty = {99, 0, NULL};
    SaEvtEventPatternT nowhere = {99, 0, (SaUint8T *)1};
    SaEvtEventPatternArrayT one = {0, 1, &empty};
    SaEvtEventPatternArrayT none = {99, 0, NULL};
    SaEvtEventPatternArrayT none_there = {99, 0, (SaEvtEventPatternT *)8};
    SaNameT name;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &one, 0, 0, NULL));
    check_counts(event, 1, 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &none, 0, 0, NULL));
    check_counts(event, 0, 0);
    one.patterns = &nowhere;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &one, 0, 0, NULL));
    check_counts(event, 1, 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &none_there, 0, 0, NULL));
    check_counts(event, 0, 0);
    name_text(&name, "");
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 0, 0, &name));
    memset(&name, 0xff, sizeof name);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, &name, NULL, NULL));
    CHECK_EQ_REC(0, name.length);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* The limits hold, and limit + 1 is refused without any effect. */
static void pattern_limits_are_exact(void)
{
    size_t number = (size_t)limit(library, SA_EVT_MAX_NUM_PATTERNS_ID);
    size_t size = (size_t)limit(library, SA_EVT_MAX_PATTERN_SIZE_ID);
    SaUint8T *octets = malloc(size + 1);
    SaEvtEventPatternT *items = calloc(number + 1, sizeof *items);
    SaEvtEventPatternArrayT patterns = {0, 0, items};
    SaEvtEventHandleT event = event_marked(channel);
    size_t index;
    NEED(octets != NULL && items != NULL);
    memset(octets, 'p', size + 1);
    for (index = 0; index <= number; index++) {
        items[index].patternSize = size;
        items[index].pattern = octets;
    }
    patterns.patternsNumber = number + 1;
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
    patterns.patternsNumber = number;
    items[number - 1].patternSize = size + 1;
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventAttributesSet(0, &patterns, 0, 0, NULL));
    items[number - 1].patternSize = UINT64_MAX;
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
    check_unchanged(event);
    items[number - 1].patternSize = size;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
    check_counts(event, number, size);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    free(items);
    free(octets);
}

/* Numbers that wrap in 32 bits or in a multiplication must not be believed. */
static void absurd_numbers_are_too_big(void)
{
    SaEvtEventHandleT event = event_marked(channel);
    SaEvtEventPatternT item = {0, 1, (SaUint8T *)"x"};
    SaEvtEventPatternArrayT patterns = {0, 0, &item};
    static const SaSizeT numbers[] = {
        UINT64_MAX, UINT64_C(0x100000001), UINT64_C(0x0aaaaaaaaaaaaaab), UINT64_C(1) << 63,
    };
    size_t index;
    for (index = 0; index < 4; index++) {
        patterns.patternsNumber = numbers[index];
        CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
    }
    item.patternSize = UINT64_C(0x100000000);
    patterns.patternsNumber = 1;
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventAttributesSet(event, &patterns, 0, 0, NULL));
    check_unchanged(event);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* B.03 handles have the limit, older ones keep an event as long as they like. */
static void the_retention_limit_goes_by_version(void)
{
    SaTimeT most = (SaTimeT)limit(library, SA_EVT_MAX_RETENTION_DURATION_ID);
    SaUint8T major;
    for (major = 1; major <= 3; major++) {
        SaNameT name;
        SaEvtHandleT own = library_new(major, NULL);
        SaEvtChannelHandleT on = channel_fresh(own, &name);
        SaEvtEventHandleT event = event_marked(on);
        CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 0, most, NULL));
        CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 2, 5, NULL));
        if (most < SA_TIME_MAX && major == 3) {
            CHECK_AIS(SA_AIS_ERR_TOO_BIG,
                      saEvtEventAttributesSet(event, NULL, 0, most + 1, NULL));
            CHECK_AIS(SA_AIS_ERR_TOO_BIG,
                      saEvtEventAttributesSet(event, NULL, 0, SA_TIME_MAX, NULL));
        } else if (major < 3) {
            CHECK_AIS_REC(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 2, SA_TIME_MAX, NULL));
            CHECK_AIS_REC(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 2, 5, NULL));
        }
        check_unchanged(event);
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    }
}

/* What the caller passed may be scribbled over at once; allocated sizes are not looked at. */
static void everything_is_copied(void)
{
    SaEvtEventHandleT event = event_new(channel);
    SaUint8T octets[] = {'o', 'l', 'd'};
    SaEvtEventPatternT item = {UINT64_MAX, 3, octets};
    SaEvtEventPatternArrayT patterns = {UINT64_MAX, 1, &item};
    SaNameT name;
    name_text(&name, "me");
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &patterns, 2, 5, &name));
    memset(octets, 'X', sizeof octets);
    memset(&item, 0xff, sizeof item);
    memset(&name, 0xff, sizeof name);
    check_unchanged(event);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

int main(int argc, char **argv)
{
    SaNameT name;
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &name);
    invalid_arguments_change_nothing();
    wrong_handles_are_bad();
    a_received_event_is_read_only();
    null_leaves_patterns_and_name();
    empty_things_are_fine();
    pattern_limits_are_exact();
    absurd_numbers_are_too_big();
    the_retention_limit_goes_by_version();
    everything_is_copied();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
