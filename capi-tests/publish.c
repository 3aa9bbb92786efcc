/* saEvtEventPublish: SAI-AIS-EVT-B.03.01, saEvtEventPublish(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT channel_name;

static void a_null_id_is_noticed_first(void)
{
    SaEvtEventHandleT event = event_new(channel);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventPublish(event, "x", 1, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventPublish(0, "x", 1, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(EVENT_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        SaEvtEventIdT id = 77;
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(wrong[index], "x", 1, &id));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(wrong[index], NULL, 0, &id));
        CHECK_EQ(77, id);
    }
}

static void it_needs_the_publisher_flag(void)
{
    size_t beyond = (size_t)limit(library, SA_EVT_MAX_EVT_SIZE_ID) + 1;
    char *data = calloc(1, beyond);
    SaEvtHandleT old = library_new(1, &recording_callbacks);
    SaEvtChannelHandleT listener = channel_open(old, &channel_name, SA_EVT_CHANNEL_SUBSCRIBER);
    SaEvtEventHandleT event = event_new(listener);
    SaEvtEventHandleT received;
    SaEvtEventIdT id = 77;
    NEED(data != NULL);
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventPublish(event, "x", 1, &id));
    CHECK_AIS_REC(SA_AIS_ERR_ACCESS, saEvtEventPublish(event, data, beyond, &id));
    subscribe_all(listener, 1);
    log_keep_events = 1;
    publish_text(channel, "to be forwarded", LOWEST, 0);
    await_deliveries(old, 1);
    log_keep_events = 0;
    received = log_delivery(0).event;
    log_clear();
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventPublish(received, "x", 1, &id));
    CHECK_EQ(77, id);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(old));
    free(data);
}

static void the_data_limit_is_exact(void)
{
    size_t most = (size_t)limit(library, SA_EVT_MAX_EVT_SIZE_ID);
    char *data = calloc(1, most + 1);
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventIdT id = 77;
    NEED(data != NULL);
    CHECK(most >= SA_EVT_DATA_MAX_LEN);
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventPublish(event, data, most + 1, &id));
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventPublish(event, data, UINT64_MAX, &id));
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventPublish(event, data, UINT64_C(1) << 32, &id));
    CHECK_EQ(77, id);
    subscribe_all(channel, 1);
    event_publish(event, data, most);
    await_deliveries(library, 1);
    CHECK_EQ(1, log_deliveries());
    CHECK_EQ(most, log_delivery(0).size);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    free(data);
}

static void null_data_make_an_event_without_data(void)
{
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventIdT id = 0;
    subscribe_all(channel, 1);
    event_publish(event, NULL, 0);
    event_publish(event, "x", 0);
    event_publish(event, "end", 3);
    EXPECT_TEXTS(library, ",,end");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventPublish(event, NULL, 17, &id));
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventPublish(event, NULL, UINT64_MAX, &id));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void every_publication_is_an_event_of_its_own(void)
{
    enum { NUMBER = 50 };
    SaEvtEventIdT ids[NUMBER];
    SaEvtEventHandleT event = event_new(channel);
    size_t index;
    size_t other;
    subscribe_all(channel, 1);
    for (index = 0; index < NUMBER; index++) {
        char text[8];
        int length = snprintf(text, sizeof text, "%lu", (unsigned long)index);
        ids[index] = event_publish(event, text, (size_t)length);
        for (other = 0; other < index; other++)
            CHECK(ids[other] != ids[index]);
    }
    await_deliveries(library, NUMBER);
    for (index = 0; index < NUMBER; index++) {
        CHECK_EQ(ids[index], log_delivery(index).id);
        CHECK_EQ(index, atoi(log_delivery(index).text));
    }
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* Attributes changed after publishing do not reach what was published. */
static void a_publication_is_a_snapshot(void)
{
    SaEvtEventHandleT event = event_with(channel, "p", 2, 0);
    char data[] = "before";
    subscribe_all(channel, 1);
    event_publish(event, data, 6);
    memcpy(data, "XXXXXX", 6);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 3, 9, NULL));
    event_publish(event, "after", 5);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    await_deliveries(library, 2);
    CHECK_EQ(2, log_delivery(0).priority);
    CHECK_EQ(0, log_delivery(0).retention_ns);
    CHECK_EQ(3, log_delivery(1).priority);
    CHECK_EQ(9, log_delivery(1).retention_ns);
    EXPECT_TEXTS(library, "before,after");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

static void check_received_data(SaEvtEventHandleT event, const char *text)
{
    char room[TEXT_MAX];
    SaSizeT size = sizeof room;
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &size));
    CHECK_EQ(strlen(text), size);
    CHECK(memcmp(room, text, strlen(text)) == 0);
}

/* Same patterns, priority, retention time and name; new id and time; the data of the call. */
static void a_received_event_is_forwarded(void)
{
    SaEvtEventHandleT event = event_with(channel, "forward", 1, RETAIN_NS);
    SaEvtEventHandleT received;
    SaEvtEventHandleT forwarded;
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    SaNameT publisher;
    struct delivery first;
    struct delivery second;
    name_text(&publisher, "author");
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 1, RETAIN_NS, &publisher));
    subscribe_all(channel, 1);
    log_keep_events = 1;
    event_publish(event, "original", 8);
    await_deliveries(library, 1);
    received = log_delivery(0).event;
    event_publish(received, "new", 3);
    check_received_data(received, "original");
    await_deliveries(library, 2);
    log_keep_events = 0;
    first = log_delivery(0);
    second = log_delivery(1);
    forwarded = second.event;
    check_received_data(forwarded, "new");
    CHECK(first.id != second.id);
    CHECK_EQ(first.priority, second.priority);
    CHECK_EQ(first.retention_ns, second.retention_ns);
    CHECK(second.publish_time >= first.publish_time);
    memset(&publisher, 0, sizeof publisher);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(forwarded, &patterns, NULL, NULL, &publisher,
                                                 NULL, NULL));
    CHECK(publisher.length == 6 && memcmp(publisher.value, "author", 6) == 0);
    NEED(patterns.patternsNumber == 1);
    CHECK(memcmp(patterns.patterns[0].pattern, "forward", 7) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(forwarded, patterns.patterns));
    CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, first.id));
    CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, second.id));
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(received));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(forwarded));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

static void nobody_needs_to_listen(void)
{
    SaNameT name;
    SaEvtChannelHandleT lonely;
    name_fresh(&name);
    lonely = channel_open(library, &name, SA_EVT_CHANNEL_PUBLISHER | SA_EVT_CHANNEL_CREATE);
    publish_text(lonely, "unheard", URGENT, 0);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    publish_text(lonely, "unheard", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(lonely));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &channel_name);
    a_null_id_is_noticed_first();
    wrong_handles_are_bad();
    it_needs_the_publisher_flag();
    the_data_limit_is_exact();
    null_data_make_an_event_without_data();
    every_publication_is_an_event_of_its_own();
    a_publication_is_a_snapshot();
    a_received_event_is_forwarded();
    nobody_needs_to_listen();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
