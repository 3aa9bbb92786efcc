/* saEvtEventAttributesGet: SAI-AIS-EVT-B.03.01, saEvtEventAttributesGet(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;

/* Patterns "one", "", "three3"; priority 1, retention 7 ns, publisher "somebody". */
static SaEvtEventHandleT event_of_three(SaEvtChannelHandleT on)
{
    SaEvtEventPatternT items[3];
    SaEvtEventPatternArrayT patterns = {0, 3, items};
    SaEvtEventHandleT event = event_new(on);
    SaNameT name;
    items[0] = pattern_text("one");
    items[1] = pattern_text("");
    items[2] = pattern_text("three3");
    name_text(&name, "somebody");
    NEED_OK(saEvtEventAttributesSet(event, &patterns, 1, 7, &name));
    return event;
}

static SaEvtEventHandleT received_of_three(SaEvtEventIdT *id)
{
    SaEvtEventHandleT event = event_of_three(channel);
    SaEvtEventHandleT received;
    *id = event_publish(event, NULL, 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    log_keep_events = 1;
    await_deliveries(library, 1);
    log_keep_events = 0;
    received = log_delivery(0).event;
    log_clear();
    return received;
}

static void every_output_may_be_null(SaEvtEventHandleT event)
{
    SaEvtEventPriorityT priority = 9;
    SaTimeT retention_ns = -1;
    SaTimeT publish_time = -1;
    SaEvtEventIdT id = 99;
    SaNameT name;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, NULL));
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, NULL, &priority, NULL, NULL, NULL, NULL));
    CHECK_EQ(1, priority);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, NULL, NULL, &retention_ns, NULL, NULL, NULL));
    CHECK_EQ(7, retention_ns);
    memset(&name, 0xff, sizeof name);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, &name, NULL, NULL));
    CHECK_EQ(8, name.length);
    CHECK(memcmp(name.value, "somebody", 8) == 0);
    CHECK_REC(name.value[8] == 0);
    CHECK_REC(name.value[9] == 0xff);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, &publish_time, NULL));
    CHECK(publish_time != -1);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, &id));
    CHECK(id != 99);
}

static void wrong_handles_are_bad_and_leave_the_outputs(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(EVENT_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        SaEvtEventPatternArrayT patterns = {5, 6, NULL};
        SaEvtEventPriorityT priority = 9;
        SaTimeT retention_ns = -1;
        SaTimeT publish_time = -1;
        SaEvtEventIdT id = 99;
        SaNameT name;
        name_text(&name, "untouched");
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
                  saEvtEventAttributesGet(wrong[index], &patterns, &priority, &retention_ns,
                                          &name, &publish_time, &id));
        CHECK(patterns.patterns == NULL && patterns.patternsNumber == 6);
        CHECK(priority == 9 && retention_ns == -1 && publish_time == -1 && id == 99);
        CHECK(name.length == 9 && memcmp(name.value, "untouched", 9) == 0);
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
                  saEvtEventAttributesGet(wrong[index], NULL, NULL, NULL, NULL, NULL, NULL));
    }
}

static void publishing_leaves_id_and_time_of_the_allocated_event(void)
{
    SaEvtEventHandleT event = event_of_three(channel);
    SaTimeT publish_time = 0;
    SaEvtEventIdT id = 99;
    event_publish(event, "data", 4);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, &publish_time, &id));
    CHECK(publish_time == (SaTimeT)SA_TIME_UNKNOWN);
    CHECK_EQ(SA_EVT_EVENTID_NONE, id);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    await_deliveries(library, 1);
    log_clear();
}

/* Mode A with room for all: inputs that count are kept, inputs that do not may be garbage. */
static void callers_buffers_are_filled(SaEvtEventHandleT event)
{
    SaUint8T room[3][16];
    SaEvtEventPatternT items[4];
    SaEvtEventPatternT before[4];
    SaEvtEventPatternArrayT patterns = {4, UINT64_MAX, items};
    size_t index;
    memset(room, 0xee, sizeof room);
    memset(items, 0xcd, sizeof items);
    for (index = 0; index < 3; index++) {
        items[index].allocatedSize = sizeof room[index];
        items[index].pattern = room[index];
    }
    items[0].allocatedSize = 3; /* just enough */
    items[1].allocatedSize = 0; /* an empty pattern needs no buffer */
    items[1].pattern = NULL;
    memcpy(before, items, sizeof items);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_EQ(3, patterns.patternsNumber);
    CHECK_EQ(4, patterns.allocatedNumber);
    CHECK(patterns.patterns == items);
    CHECK_EQ(3, items[0].patternSize);
    CHECK_EQ(0, items[1].patternSize);
    CHECK_EQ(6, items[2].patternSize);
    CHECK(memcmp(room[0], "one\xee", 4) == 0);
    CHECK_EQ(0xee, room[1][0]);
    CHECK(memcmp(room[2], "three3\xee", 7) == 0);
    for (index = 0; index < 3; index++) {
        CHECK(items[index].pattern == before[index].pattern);
        CHECK_EQ(before[index].allocatedSize, items[index].allocatedSize);
    }
    CHECK(memcmp(&items[3], &before[3], sizeof items[3]) == 0);
}

static void too_few_entries_still_tell_the_sizes(SaEvtEventHandleT event)
{
    SaUint8T room[16];
    SaEvtEventPatternT items[3];
    SaEvtEventPatternArrayT patterns = {1, 0, items};
    SaEvtEventPriorityT priority = 9;
    SaEvtEventIdT id = 99;
    memset(room, 0xee, sizeof room);
    memset(items, 0xcd, sizeof items);
    items[0].allocatedSize = sizeof room;
    items[0].pattern = room;
    CHECK_AIS(SA_AIS_ERR_NO_SPACE,
              saEvtEventAttributesGet(event, &patterns, &priority, NULL, NULL, NULL, &id));
    CHECK_EQ(3, patterns.patternsNumber);
    CHECK_EQ(3, items[0].patternSize);
    CHECK_REC(memcmp(room, "one\xee", 4) == 0);
    CHECK_EQ_REC(1, priority);
    CHECK_REC(id != 99);
    CHECK_EQ(UINT64_C(0xcdcdcdcdcdcdcdcd), items[1].patternSize);
    patterns.allocatedNumber = 0;
    patterns.patternsNumber = 77;
    CHECK_AIS(SA_AIS_ERR_NO_SPACE,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_EQ(3, patterns.patternsNumber);
}

/* Octets are never written beyond the allocated size; patterns that fit are copied. */
static void too_small_buffers_still_tell_the_sizes(SaEvtEventHandleT event)
{
    SaUint8T room[3][16];
    SaEvtEventPatternT items[3];
    SaEvtEventPatternArrayT patterns = {3, 0, items};
    size_t index;
    memset(room, 0xee, sizeof room);
    for (index = 0; index < 3; index++) {
        items[index].allocatedSize = 2 + index * 4;
        items[index].patternSize = 1000;
        items[index].pattern = room[index];
    }
    CHECK_AIS(SA_AIS_ERR_NO_SPACE,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_EQ(3, patterns.patternsNumber);
    CHECK_EQ(3, items[0].patternSize);
    CHECK_EQ(0, items[1].patternSize);
    CHECK_EQ(6, items[2].patternSize);
    CHECK_EQ(0xee, room[0][2]);
    CHECK_REC(room[0][0] == 0xee);
    CHECK_REC(memcmp(room[2], "three3\xee", 7) == 0);
    /* A size of zero without a buffer is a way to ask for the sizes. */
    for (index = 0; index < 3; index++) {
        items[index].allocatedSize = 0;
        items[index].patternSize = 1000;
        items[index].pattern = NULL;
    }
    CHECK_AIS(SA_AIS_ERR_NO_SPACE,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_EQ(3, items[0].patternSize);
    CHECK_EQ(6, items[2].patternSize);
    items[0].allocatedSize = 3;
    items[2].allocatedSize = 6;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
}

/* Mode B: what the library allocates is freed in either of the two ways, for every version. */
static void librarys_buffers_are_given(SaEvtEventHandleT event)
{
    SaEvtEventPatternArrayT patterns = {UINT64_MAX, UINT64_MAX, NULL};
    size_t round;
    for (round = 0; round < 2; round++) {
        patterns.patterns = NULL;
        CHECK_AIS(SA_AIS_OK,
                  saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
        NEED(patterns.patterns != NULL);
        CHECK_EQ(3, patterns.patternsNumber);
        CHECK_EQ_REC(3, patterns.allocatedNumber);
        CHECK_EQ(3, patterns.patterns[0].patternSize);
        CHECK_EQ_REC(3, patterns.patterns[0].allocatedSize);
        CHECK(memcmp(patterns.patterns[0].pattern, "one", 3) == 0);
        CHECK_EQ(0, patterns.patterns[1].patternSize);
        CHECK_EQ(6, patterns.patterns[2].patternSize);
        CHECK(memcmp(patterns.patterns[2].pattern, "three3", 6) == 0);
        if (round == 0) {
            CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns.patterns));
        } else {
            free(patterns.patterns[0].pattern);
            free(patterns.patterns[1].pattern);
            free(patterns.patterns[2].pattern);
            free(patterns.patterns);
        }
    }
}

static void both_modes_work_for(SaEvtEventHandleT event)
{
    callers_buffers_are_filled(event);
    too_few_entries_still_tell_the_sizes(event);
    too_small_buffers_still_tell_the_sizes(event);
    librarys_buffers_are_given(event);
    every_output_may_be_null(event);
}

static void a_received_event_has_all_that_was_published(void)
{
    SaEvtEventIdT published = 0;
    SaEvtEventIdT id = 0;
    SaTimeT publish_time = 0;
    struct timespec before;
    struct timespec after;
    SaEvtEventHandleT received;
    clock_gettime(CLOCK_REALTIME, &before);
    received = received_of_three(&published);
    clock_gettime(CLOCK_REALTIME, &after);
    both_modes_work_for(received);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(received, NULL, NULL, NULL, NULL, &publish_time, &id));
    CHECK_EQ(published, id);
    /* The clock tick the kernel serves coarse readers with may lie a little back. */
    CHECK(publish_time >= before.tv_sec * SA_TIME_ONE_SECOND + before.tv_nsec
                              - 100 * SA_TIME_ONE_MILLISECOND);
    CHECK(publish_time <= after.tv_sec * SA_TIME_ONE_SECOND + after.tv_nsec);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(received));
}

static void it_works_for_every_version(void)
{
    SaUint8T major;
    for (major = 1; major <= 3; major++) {
        SaNameT name;
        SaEvtHandleT own = library_new(major, NULL);
        SaEvtChannelHandleT on = channel_fresh(own, &name);
        SaEvtEventHandleT event = event_of_three(on);
        both_modes_work_for(event);
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    }
}

static void a_name_of_256_octets_is_given_whole(void)
{
    struct {
        SaNameT name;
        unsigned char behind[8];
    } room;
    char octets[256];
    SaEvtEventHandleT event = event_new(channel);
    memset(octets, 'n', sizeof octets);
    octets[100] = '\0';
    name_set(&room.name, octets, sizeof octets);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 0, 0, &room.name));
    memset(&room, 0xee, sizeof room);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, NULL, NULL, NULL, &room.name, NULL, NULL));
    CHECK_EQ(256, room.name.length);
    CHECK(memcmp(room.name.value, octets, sizeof octets) == 0);
    CHECK_EQ(0xee, room.behind[0]);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

int main(int argc, char **argv)
{
    SaNameT name;
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    wrong_handles_are_bad_and_leave_the_outputs();
    publishing_leaves_id_and_time_of_the_allocated_event();
    a_received_event_has_all_that_was_published();
    it_works_for_every_version();
    a_name_of_256_octets_is_given_whole();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
