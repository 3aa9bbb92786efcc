/* Overflow and the lost-event event: SAI-AIS-EVT-B.03.01, Event Queues and Lost Events. */
#include "evt_test.h"

#define FLOOD 30000

static SaEvtHandleT library;  /* publishes */
static SaEvtHandleT listener; /* does not dispatch while it is flooded */

static size_t flood_size(void)
{
    return test_rounds(FLOOD, FLOOD / 2);
}

/* More than any bounded queue of this size of events takes. */
static void flood(SaEvtChannelHandleT channel, SaEvtEventPriorityT priority)
{
    SaEvtEventHandleT event = event_with(channel, NULL, priority, 0);
    char data[1024];
    size_t index;
    memset(data, 0, sizeof data);
    for (index = 0; index < flood_size(); index++) {
        snprintf(data, sizeof data, "%lu", (unsigned long)index);
        event_publish(event, data, sizeof data);
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    settle(library);
    settle(listener);
}

/* The end is known by a sentinel that is published when the queue has been drained. */
static void drain_to_sentinel(SaEvtChannelHandleT channel)
{
    drain(listener);
    publish_text(channel, "sentinel", LOWEST, 0);
    for (;;) {
        size_t number = log_deliveries();
        if (number > 0 && strcmp(log_delivery(number - 1).text, "sentinel") == 0)
            return;
        await_deliveries(listener, number + 1);
    }
}

static size_t lost_number(SaEvtSubscriptionIdT subscription)
{
    size_t number = 0;
    size_t index;
    for (index = 0; index < log_deliveries(); index++) {
        struct delivery entry = log_delivery(index);
        number += entry.id == SA_EVT_EVENTID_LOST && entry.subscription == subscription;
    }
    return number;
}

/* Deliveries of events that somebody published. */
static size_t events_taken(void)
{
    size_t number = 0;
    size_t index;
    for (index = 0; index < log_deliveries(); index++)
        number += log_delivery(index).id != SA_EVT_EVENTID_LOST;
    return number;
}

static void check_rising_from(size_t start, SaEvtEventPriorityT priority)
{
    long last = -1;
    size_t index;
    for (index = start; index < log_deliveries(); index++) {
        struct delivery entry = log_delivery(index);
        if (entry.id == SA_EVT_EVENTID_LOST || entry.priority != priority
            || strcmp(entry.text, "sentinel") == 0)
            continue;
        CHECK(atol(entry.text) > last);
        last = atol(entry.text);
    }
}

static void one_loss_is_told_once(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    size_t first_round;
    subscribe_filter(subscriber, 7, SA_EVT_PREFIX_FILTER, "");
    flood(channel, 2);
    drain_to_sentinel(channel);
    CHECK_REC(events_taken() < flood_size() + 1); /* the queue is bounded */
    if (events_taken() < flood_size() + 1)
        CHECK_EQ(1, lost_number(7));
    first_round = log_deliveries();
    CHECK(first_round > 1000);
    if (lost_number(7) == 1)
        CHECK_EQ_REC(SA_EVT_EVENTID_LOST, log_delivery(0).id); /* of the highest priority */
    check_rising_from(0, 2);
    log_clear();
    /* The callback has been called: the next loss makes another one due. */
    flood(channel, 2);
    drain_to_sentinel(channel);
    if (events_taken() < flood_size() + 1)
        CHECK_EQ(1, lost_number(7));
    check_rising_from(0, 2);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void check_lost_attributes(SaEvtEventHandleT event, const struct delivery *entry)
{
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    SaNameT publisher;
    SaSizeT size = 5;
    memset(&publisher, 0xff, sizeof publisher);
    CHECK_EQ(0, entry->size);
    CHECK_EQ(SA_EVT_HIGHEST_PRIORITY, entry->priority);
    CHECK_EQ(0, entry->retention_ns);
    CHECK(entry->publish_time > 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, &patterns, NULL, NULL, &publisher, NULL,
                                                 NULL));
    CHECK_EQ_REC(0, publisher.length);
    CHECK_EQ_REC(1, patterns.patternsNumber);
    NEED(patterns.patternsNumber >= 1);
    CHECK_EQ_REC(sizeof SA_EVT_LOST_EVENT - 1, patterns.patterns[0].patternSize);
    CHECK(memcmp(patterns.patterns[0].pattern, SA_EVT_LOST_EVENT, sizeof SA_EVT_LOST_EVENT - 1)
          == 0);
    CHECK_REC(patterns.patterns[0].pattern[sizeof SA_EVT_LOST_EVENT - 1] == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns.patterns));
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, &size, &size));
    CHECK_EQ(0, size);
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAttributesSet(event, NULL, 0, 0, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
}

static void it_is_an_ordinary_received_event(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    size_t index;
    subscribe_all(subscriber, 1);
    flood(channel, 3);
    log_keep_events = 1;
    while (log_deliveries() == 0)
        NEED_OK(saEvtDispatch(listener, SA_DISPATCH_ONE));
    drain(listener);
    log_keep_events = 0;
    for (index = 0; index < log_deliveries(); index++) {
        struct delivery entry = log_delivery(index);
        if (entry.id == SA_EVT_EVENTID_LOST)
            check_lost_attributes(entry.event, &entry);
    }
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* Whatever its filters say; but not on channels that lost nothing. */
static void it_passes_filters_but_not_channels(void)
{
    SaNameT name;
    SaNameT quiet_name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT quiet = channel_fresh(library, &quiet_name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    SaEvtChannelHandleT silent = channel_open(listener, &quiet_name, OPEN_BOTH);
    subscribe_filter(subscriber, 1, SA_EVT_EXACT_FILTER, "");
    subscribe_filter(subscriber, 2, SA_EVT_EXACT_FILTER, "sentinel");
    subscribe_all(silent, 3);
    publish_text(quiet, "quiet", URGENT, 0);
    flood(channel, 3);
    drain_to_sentinel(channel);
    if (events_taken() < flood_size() + 2)
        CHECK_EQ(1, lost_number(1) + lost_number(2));
    CHECK_EQ(0, lost_number(3));
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(silent));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &quiet_name));
}

/* Low priority gives way to high priority, early and late. */
static void high_priority_survives(void)
{
    enum { URGENT_NUMBER = 20 };
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    size_t index;
    size_t urgent = 0;
    char text[TEXT_MAX];
    subscribe_all(subscriber, 1);
    for (index = 0; index < URGENT_NUMBER; index++) {
        if (index == URGENT_NUMBER / 2)
            flood(channel, 3);
        snprintf(text, sizeof text, "%lu", (unsigned long)index);
        publish_text(channel, text, 0, 0);
    }
    settle(library);
    settle(listener);
    drain_to_sentinel(channel);
    for (index = 0; index < log_deliveries(); index++)
        urgent += log_delivery(index).priority == 0
                  && log_delivery(index).id != SA_EVT_EVENTID_LOST;
    CHECK_EQ(URGENT_NUMBER, urgent);
    /* Its place is behind the urgent events that were there before the loss. */
    if (lost_number(1) == 1)
        CHECK_EQ_REC(SA_EVT_EVENTID_LOST, log_delivery(URGENT_NUMBER / 2).id);
    check_rising_from(0, 0);
    check_rising_from(0, 3);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* It stays while the instance has a subscription, whatever that matches, and goes with the last. */
static void it_follows_the_subscriptions(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
    subscribe_all(subscriber, 1);
    subscribe_filter(subscriber, 2, SA_EVT_EXACT_FILTER, "sentinel");
    flood(channel, 3);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(subscriber, 1));
    drain_to_sentinel(channel);
    CHECK_EQ_REC(2, log_deliveries());
    CHECK_EQ_REC(SA_EVT_EVENTID_LOST, log_delivery(0).id);
    log_clear();
    subscribe_all(subscriber, 1);
    flood(channel, 3);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(subscriber, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(subscriber, 2));
    drain(listener);
    CHECK_EQ(0, log_deliveries());
    subscribe_filter(subscriber, 3, SA_EVT_EXACT_FILTER, "sentinel");
    drain_to_sentinel(channel);
    CHECK_EQ(1, log_deliveries());
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(subscriber));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* One for each instance that lost something. */
static void every_instance_is_told(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT one = channel_open(listener, &name, OPEN_BOTH);
    SaEvtChannelHandleT two = channel_open(listener, &name, OPEN_BOTH);
    subscribe_all(one, 1);
    subscribe_all(two, 2);
    flood(channel, 3);
    drain(listener);
    if (events_taken() < 2 * flood_size()) {
        CHECK_EQ(1, lost_number(1));
        CHECK_EQ(1, lost_number(2));
    }
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    listener = library_recording();
    one_loss_is_told_once();
    it_is_an_ordinary_received_event();
    it_passes_filters_but_not_channels();
    high_priority_survives();
    it_follows_the_subscriptions();
    every_instance_is_told();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(listener));
    return test_end();
}
