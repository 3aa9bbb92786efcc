/* Order: SAI-AIS-EVT-B.03.01, Event Delivery Guarantees. */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtHandleT second;
static SaEvtHandleT listener;

static void check_rising(size_t number)
{
    size_t index;
    CHECK_EQ(number, log_deliveries());
    for (index = 0; index < log_deliveries(); index++)
        CHECK_EQ_REC(index, atoi(log_delivery(index).text));
    log_clear();
}

static void numbered(SaEvtChannelHandleT channel, size_t number, SaTimeT retention_ns)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%lu", (unsigned long)number);
    publish_text(channel, text, LOWEST, retention_ns);
}

/* One publisher is a process: over its library handles, instances and threads. */
static void two_library_handles_are_one_publisher(void)
{
    SaNameT name;
    SaEvtChannelHandleT one = channel_fresh(library, &name);
    SaEvtChannelHandleT two = channel_open(second, &name, OPEN_BOTH);
    SaEvtChannelHandleT three = channel_open(library, &name, OPEN_BOTH);
    SaEvtChannelHandleT instances[3];
    size_t number = test_rounds(600, 60);
    size_t index;
    instances[0] = one;
    instances[1] = two;
    instances[2] = three;
    subscribe_all(channel_open(listener, &name, OPEN_BOTH), 1);
    for (index = 0; index < number; index++)
        numbered(instances[index % 3], index, 0);
    await_deliveries(listener, number);
    check_rising(number);
    /* And bursts, one handle after the other. */
    for (index = 0; index < number; index++)
        numbered(instances[index / 20 % 2], index, 0);
    await_deliveries(listener, number);
    check_rising(number);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

struct hand_over {
    SaEvtChannelHandleT channel;
    size_t number;
};

static void *publish_numbered(void *argument)
{
    struct hand_over *hand_over = argument;
    numbered(hand_over->channel, hand_over->number, 0);
    return NULL;
}

static void threads_in_turn_are_one_publisher(void)
{
    SaNameT name;
    SaEvtChannelHandleT one = channel_fresh(library, &name);
    SaEvtChannelHandleT two = channel_open(second, &name, OPEN_BOTH);
    size_t number = test_rounds(200, 30);
    size_t index;
    subscribe_all(channel_open(listener, &name, OPEN_BOTH), 1);
    for (index = 0; index < number; index++) {
        struct hand_over hand_over;
        pthread_t thread;
        hand_over.channel = index % 2 == 0 ? one : two;
        hand_over.number = index;
        NEED(pthread_create(&thread, NULL, publish_numbered, &hand_over) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    await_deliveries(listener, number);
    check_rising(number);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void what_follows_a_publish_does_not_overtake_it(void)
{
    size_t round;
    for (round = 0; round < test_rounds(150, 15); round++) {
        SaNameT name;
        SaEvtHandleT own = library_new(3, NULL);
        SaEvtChannelHandleT channel = channel_fresh(own, &name);
        SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
        SaEvtEventIdT id;
        subscribe_all(subscriber, 1);
        id = publish_text(channel, "cleared", LOWEST, RETAIN_NS);
        CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, id));
        publish_text(channel, "unlinked", LOWEST, 0);
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
        publish_text(channel, "finalized", LOWEST, 0);
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
        EXPECT_TEXTS(listener, "cleared,unlinked,finalized");
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    }
}

/* Clear through another library handle of the process, right behind the publish. */
static void a_clear_by_another_handle_finds_the_event(void)
{
    SaNameT name;
    SaEvtChannelHandleT one = channel_fresh(library, &name);
    SaEvtChannelHandleT two = channel_open(second, &name, OPEN_BOTH);
    size_t round;
    for (round = 0; round < test_rounds(300, 30); round++) {
        SaEvtEventIdT id = publish_text(one, "x", LOWEST, RETAIN_NS);
        CHECK_AIS_REC(SA_AIS_OK, saEvtEventRetentionTimeClear(two, id));
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* Subscribe through one handle, right behind a publish through another: retained or live, once. */
static void a_retained_event_is_there_for_the_next_subscribe(void)
{
    size_t round;
    for (round = 0; round < test_rounds(200, 20); round++) {
        SaNameT name;
        SaEvtChannelHandleT one = channel_fresh(library, &name);
        SaEvtChannelHandleT two = channel_open(second, &name, OPEN_BOTH);
        publish_text(one, "retained", LOWEST, RETAIN_NS);
        subscribe_all(two, 1);
        publish_text(one, "live", LOWEST, 0);
        EXPECT_TEXTS(second, "retained,live");
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(one));
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(two));
    }
}

static void *publish_hundred(void *argument)
{
    SaEvtChannelHandleT channel = *(SaEvtChannelHandleT *)argument;
    size_t index;
    for (index = 0; index < 100; index++)
        numbered(channel, index, 0);
    return NULL;
}

/* Events of publishers that race come to all subscribers of the node in one order. */
static void subscribers_agree_on_the_order(void)
{
    SaNameT name;
    SaEvtChannelHandleT one = channel_fresh(library, &name);
    SaEvtChannelHandleT two = channel_open(second, &name, OPEN_BOTH);
    SaEvtHandleT readers[3];
    SaEvtEventIdT ids[3][200];
    pthread_t threads[2];
    size_t reader;
    size_t index;
    for (reader = 0; reader < 3; reader++) {
        readers[reader] = library_recording();
        subscribe_all(channel_open(readers[reader], &name, OPEN_BOTH), 1);
    }
    NEED(pthread_create(&threads[0], NULL, publish_hundred, &one) == 0);
    NEED(pthread_create(&threads[1], NULL, publish_hundred, &two) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0);
    CHECK(pthread_join(threads[1], NULL) == 0);
    for (reader = 0; reader < 3; reader++) {
        await_deliveries(readers[reader], 200);
        CHECK_EQ(200, log_deliveries());
        for (index = 0; index < 200; index++)
            ids[reader][index] = log_delivery(index).id;
        log_clear();
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(readers[reader]));
    }
    CHECK_REC(memcmp(ids[0], ids[1], sizeof ids[0]) == 0);
    CHECK_REC(memcmp(ids[0], ids[2], sizeof ids[0]) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    second = library_recording();
    listener = library_recording();
    two_library_handles_are_one_publisher();
    threads_in_turn_are_one_publisher();
    what_follows_a_publish_does_not_overtake_it();
    a_clear_by_another_handle_finds_the_event();
    a_retained_event_is_there_for_the_next_subscribe();
    subscribers_agree_on_the_order();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(second));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(listener));
    return test_end();
}
