/* What callbacks may do: SAI-AIS-EVT-B.03.01, saEvtDispatch(), SaEvtEventDeliverCallbackT. */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT channel_name;
static SaEvtEventDeliverCallbackT action;
static size_t depth;
static size_t deepest;

static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    action(subscription, event, size);
}

static void begin(SaEvtEventDeliverCallbackT next_action)
{
    SaEvtCallbacksT callbacks = recording_callbacks;
    callbacks.saEvtEventDeliverCallback = deliver;
    action = next_action;
    library = library_new(3, &callbacks);
    channel = channel_fresh(library, &channel_name);
    subscribe_all(channel, 1);
    depth = deepest = 0;
}

static void end(void)
{
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &channel_name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    log_clear();
}

static void record(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    recording_callbacks.saEvtEventDeliverCallback(subscription, event, size);
}

static void free_twice(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    record(subscription, event, size); /* frees */
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
}

static void the_event_may_be_freed(void)
{
    begin(free_twice);
    publish_text(channel, "a", LOWEST, 0);
    publish_text(channel, "b", LOWEST, 0);
    EXPECT_TEXTS(library, "a,b");
    end();
}

/* Publishes the next until "c"; the deliveries come one after another, not inside each other. */
static void publish_next(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                         SaSizeT size)
{
    char text[2] = "?";
    deepest = ++depth > deepest ? depth : deepest;
    record(subscription, event, size);
    text[0] = (char)(log_delivery(log_deliveries() - 1).text[0] + 1);
    if (text[0] <= 'c') {
        publish_text(channel, text, LOWEST, 0);
        settle(library); /* service calls work in a callback */
    }
    depth--;
}

static void publishing_is_not_recursive(void)
{
    begin(publish_next);
    publish_text(channel, "a", LOWEST, 0);
    EXPECT_TEXTS(library, "a,b,c");
    CHECK_EQ(1, deepest);
    end();
}

static SaEvtEventHandleT feeder;
static size_t fed;

/* Every callback adds an event behind those that wait already: the queue does not get shorter. */
static void feed(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    (void)subscription;
    (void)size;
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    event_publish(feeder, "more", 4);
    fed++;
}

static void a_steady_inflow_does_not_keep_dispatch_for_ever(void)
{
    size_t index;
    begin(feed);
    feeder = event_new(channel);
    for (index = 0; index < 500; index++)
        event_publish(feeder, "more", 4);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK(fed > 0);
    end();
}

static void nest(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    deepest = ++depth > deepest ? depth : deepest;
    record(subscription, event, size);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ONE));
    depth--;
}

static void dispatch_may_be_nested(void)
{
    begin(nest);
    publish_text(channel, "a", LOWEST, 0);
    publish_text(channel, "b", LOWEST, 0);
    publish_text(channel, "c", LOWEST, 0);
    settle(library);
    NEED_OK(saEvtDispatch(library, SA_DISPATCH_ONE));
    EXPECT_TEXTS(library, "a,b,c");
    CHECK_EQ(3, deepest);
    end();
}

static void close_channel(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                          SaSizeT size)
{
    SaSizeT data_size = 0;
    log_keep_events = 1;
    record(subscription, event, size);
    log_keep_events = 0;
    if (subscription == 1) {
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelClose(channel));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, NULL, &data_size));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
    }
}

/* The rest of the queue of the closed instance is gone, that of another is not. */
static void the_channel_may_be_closed(void)
{
    SaEvtChannelHandleT other;
    begin(close_channel);
    other = channel_open(library, &channel_name, OPEN_BOTH);
    subscribe_all(other, 2);
    publish_text(other, "a", 0, 0);
    publish_text(other, "b", 1, 0);
    publish_text(other, "c", 2, 0);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ALL));
    publish_text(other, "end", 3, 0);
    await_deliveries(library, 5);
    CHECK_EQ(5, log_deliveries());
    log_clear();
    end();
}

static void finalize_library(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                             SaSizeT size)
{
    log_keep_events = 1;
    record(subscription, event, size);
    log_keep_events = 0;
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(library));
}

static void the_library_may_be_finalized(void)
{
    static const SaDispatchFlagsT flags[] = {
        SA_DISPATCH_ONE, SA_DISPATCH_ALL, SA_DISPATCH_BLOCKING,
    };
    size_t index;
    for (index = 0; index < 3; index++) {
        begin(finalize_library);
        publish_text(channel, "last", LOWEST, 0);
        publish_text(channel, "never", LOWEST, 0);
        settle(library);
        CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, flags[index]));
        CHECK_EQ(1, log_deliveries());
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(library, SA_DISPATCH_ALL));
        CHECK_EQ(1, log_deliveries());
        log_clear();
    }
}

static void change_subscription(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                                SaSizeT size)
{
    record(subscription, event, size);
    if (subscription == 1) {
        subscribe_filter(channel, 2, SA_EVT_EXACT_FILTER, "kept");
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    }
}

static void subscriptions_may_be_changed(void)
{
    begin(change_subscription);
    publish_text(channel, "first", LOWEST, 0);
    publish_text(channel, "purged", LOWEST, 0);
    publish_text(channel, "kept", LOWEST, 0);
    settle(library);
    EXPECT_TEXTS_OF(library, "first:1,kept:2");
    publish_text(channel, "purged", LOWEST, 0);
    publish_text(channel, "kept", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "kept:2");
    end();
}

static SaEvtHandleT other_library;

static void use_another_handle(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                               SaSizeT size)
{
    SaNameT name;
    SaEvtChannelHandleT other = channel_fresh(other_library, &name);
    record(subscription, event, size);
    subscribe_all(other, 9);
    publish_text(other, "other", LOWEST, 0);
    await_deliveries(other_library, log_deliveries() + 1);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(other_library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(other_library));
}

static void other_handles_may_be_used(void)
{
    begin(use_another_handle);
    other_library = library_recording();
    publish_text(channel, "mine", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "mine:1,other:9");
    end();
}

static void open_in_callback(SaInvocationT invocation, SaEvtChannelHandleT opened,
                             SaAisErrorT error)
{
    recording_callbacks.saEvtChannelOpenCallback(invocation, opened, error);
    CHECK_EQ(SA_AIS_OK, error);
    if (invocation < 3)
        CHECK_AIS(SA_AIS_OK,
                  saEvtChannelOpenAsync(library, invocation + 1, &channel_name, OPEN_ALL));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(opened));
}

static void open_callbacks_may_open_and_close(void)
{
    SaEvtCallbacksT callbacks = {open_in_callback, NULL};
    library = library_new(3, &callbacks);
    name_fresh(&channel_name);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 1, &channel_name, OPEN_ALL));
    await_openings(library, 3);
    CHECK_EQ(3, log_opening(2).invocation);
    end();
}

/* A received event stays valid after the callback, until it is freed. */
static void an_event_outlives_its_callback(void)
{
    SaEvtEventHandleT event;
    char room[TEXT_MAX];
    SaSizeT size = sizeof room;
    begin(record);
    log_keep_events = 1;
    publish_text(channel, "stays", LOWEST, 0);
    await_deliveries(library, 1);
    log_keep_events = 0;
    event = log_delivery(0).event;
    log_clear();
    publish_text(channel, "next", LOWEST, 0);
    EXPECT_TEXTS(library, "next");
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &size));
    CHECK(size == 5 && memcmp(room, "stays", 5) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    end();
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    the_event_may_be_freed();
    publishing_is_not_recursive();
    if (getenv("EVT_TEST_REC") != NULL && strcmp(getenv("EVT_TEST_REC"), "0") == 0)
        test_skip("a bound for SA_DISPATCH_ALL: a choice, and EVT_TEST_REC is 0");
    else
        a_steady_inflow_does_not_keep_dispatch_for_ever();
    dispatch_may_be_nested();
    the_channel_may_be_closed();
    the_library_may_be_finalized();
    subscriptions_may_be_changed();
    other_handles_may_be_used();
    open_callbacks_may_open_and_close();
    an_event_outlives_its_callback();
    return test_end();
}
