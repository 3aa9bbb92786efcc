/* saEvtEventAllocate: SAI-AIS-EVT-B.03.01, saEvtEventAllocate(). */
#include "evt_test.h"

static SaEvtHandleT library;

static void a_null_pointer_is_noticed_first(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventAllocate(channel, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventAllocate(0, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(CHANNEL_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        SaEvtEventHandleT event = 4711;
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventAllocate(wrong[index], &event));
        CHECK_EQ(4711, event);
    }
}

static void the_attributes_have_their_defaults(void)
{
    SaNameT name;
    SaNameT publisher;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventPatternArrayT patterns;
    SaEvtEventPriorityT priority = 99;
    SaTimeT retention_ns = 99;
    SaTimeT publish_time = 99;
    SaEvtEventIdT id = 99;
    memset(&patterns, 0, sizeof patterns);
    patterns.patternsNumber = 99;
    memset(&publisher, 0xff, sizeof publisher);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, &patterns, &priority, &retention_ns,
                                                 &publisher, &publish_time, &id));
    CHECK(patterns.patterns == NULL);
    CHECK_EQ(0, patterns.patternsNumber);
    CHECK_EQ(SA_EVT_LOWEST_PRIORITY, priority);
    CHECK_EQ(0, retention_ns);
    CHECK_EQ(0, publisher.length);
    CHECK(publish_time == (SaTimeT)SA_TIME_UNKNOWN);
    CHECK_EQ(SA_EVT_EVENTID_NONE, id);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* Handles of B.03 are refused, older ones fail at publish. */
static void it_needs_the_publisher_flag_by_version(void)
{
    SaUint8T major;
    SaNameT name;
    SaEvtChannelHandleT creator = channel_fresh(library, &name);
    for (major = 1; major <= 3; major++) {
        SaEvtHandleT own = library_new(major, &recording_callbacks);
        SaEvtChannelHandleT channel = channel_open(own, &name, SA_EVT_CHANNEL_SUBSCRIBER);
        SaEvtEventHandleT event = 4711;
        SaEvtEventIdT id = 0;
        if (major == 3) {
            CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAllocate(channel, &event));
            CHECK_EQ(4711, event);
            CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventAllocate(channel, NULL));
        } else {
            CHECK_AIS(SA_AIS_OK, saEvtEventAllocate(channel, &event));
            CHECK_AIS_REC(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 1, 0, NULL));
            CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventPublish(event, NULL, 0, &id));
            CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
        }
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(creator));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void every_call_makes_another_event(void)
{
    enum { NUMBER = 100 };
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT events[NUMBER];
    size_t index;
    size_t other;
    for (index = 0; index < NUMBER; index++) {
        events[index] = event_new(channel);
        for (other = 0; other < index; other++)
            CHECK(events[other] != events[index]);
        CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(events[index], NULL,
                                                     (SaEvtEventPriorityT)(index % 4),
                                                     (SaTimeT)index, NULL));
    }
    for (index = 0; index < NUMBER; index++) {
        SaTimeT retention_ns = -1;
        SaEvtEventPriorityT priority = 9;
        CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(events[index], NULL, &priority,
                                                     &retention_ns, NULL, NULL, NULL));
        CHECK_EQ(index, retention_ns);
        CHECK_EQ(index % 4, priority);
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(events[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    a_null_pointer_is_noticed_first();
    wrong_handles_are_bad();
    the_attributes_have_their_defaults();
    it_needs_the_publisher_flag_by_version();
    every_call_makes_another_event();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
