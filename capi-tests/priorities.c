/* Order by priority: SAI-AIS-EVT-B.03.01, Event Priority, Event Delivery. */
#include "evt_test.h"

static SaEvtHandleT library;   /* publishes */
static SaEvtHandleT listener;  /* subscribes */

/* Both sides have answered a request behind the publications: all of them are queued. */
static void settle_both(void)
{
    settle(library);
    settle(listener);
}

static void highest_comes_first_whatever_the_publish_order(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    subscribe_all(subscriber, 1);
    publish_text(channel, "3a", 3, 0);
    publish_text(channel, "1a", 1, 0);
    publish_text(channel, "2a", 2, 0);
    publish_text(channel, "0a", 0, 0);
    publish_text(channel, "2b", 2, 0);
    publish_text(channel, "0b", 0, 0);
    publish_text(channel, "3b", 3, 0);
    publish_text(channel, "1b", 1, 0);
    settle_both();
    EXPECT_TEXTS(listener, "0a,0b,1a,1b,2a,2b,3a,3b");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* The rule holds for the library handle, over all its channels. */
static void the_rule_spans_channels(void)
{
    SaNameT name_one;
    SaNameT name_two;
    SaEvtChannelHandleT one = channel_fresh(library, &name_one);
    SaEvtChannelHandleT two = channel_fresh(library, &name_two);
    subscribe_all(channel_open(listener, &name_one, OPEN_BOTH), 1);
    subscribe_all(channel_open(listener, &name_two, OPEN_BOTH), 2);
    publish_text(one, "one3", 3, 0);
    publish_text(two, "two2", 2, 0);
    publish_text(one, "one1", 1, 0);
    publish_text(two, "two0", 0, 0);
    settle_both();
    EXPECT_TEXTS_OF(listener, "two0:2,one1:1,two2:2,one3:1");
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name_one));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name_two));
}

static void dispatch_one(void)
{
    size_t before = log_deliveries();
    while (log_deliveries() == before)
        NEED_OK(saEvtDispatch(listener, SA_DISPATCH_ONE));
    CHECK_EQ(before + 1, log_deliveries());
}

/* An urgent event passes a long queue, also one of which a part was delivered already. */
static void an_urgent_event_passes_the_queue(void)
{
    size_t queued = test_rounds(900, 300);
    size_t index;
    char data[512];
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    SaEvtEventHandleT slow = event_with(channel, "slow", 3, 0);
    subscribe_all(subscriber, 1);
    memset(data, 0, sizeof data);
    for (index = 0; index < queued; index++) {
        snprintf(data, sizeof data, "%lu", (unsigned long)index);
        event_publish(slow, data, sizeof data);
    }
    publish_text(channel, "urgent1", 0, 0);
    settle_both();
    dispatch_one();
    CHECK(strcmp(log_delivery(0).text, "urgent1") == 0);
    for (index = 0; index < 5; index++)
        dispatch_one();
    publish_text(channel, "urgent2", 0, 0);
    publish_text(channel, "middle", 2, 0);
    settle_both();
    dispatch_one();
    CHECK(strcmp(log_delivery(6).text, "urgent2") == 0);
    dispatch_one();
    CHECK(strcmp(log_delivery(7).text, "middle") == 0);
    await_deliveries(listener, queued + 3);
    CHECK_EQ(queued + 3, log_deliveries());
    for (index = 5; index < queued; index++)
        CHECK_EQ(index, atoi(log_delivery(index + 3).text));
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(slow));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void open_callbacks_come_before_events(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    subscribe_all(subscriber, 1);
    publish_text(channel, "event", 0, 0);
    settle_both();
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(listener, 1, &name, OPEN_BOTH));
    settle_both();
    NEED_OK(saEvtDispatch(listener, SA_DISPATCH_ONE));
    CHECK_EQ_REC(1, log_openings());
    CHECK_EQ_REC(0, log_deliveries());
    await_openings(listener, 1);
    EXPECT_TEXTS(listener, "event");
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    listener = library_recording();
    highest_comes_first_whatever_the_publish_order();
    the_rule_spans_channels();
    an_urgent_event_passes_the_queue();
    open_callbacks_come_before_events();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(listener));
    return test_end();
}
