/* Retained events: SAI-AIS-EVT-B.03.01, Event Retention Time. */
#include "evt_test.h"

static SaEvtHandleT library;

struct place {
    SaNameT name;
    SaEvtChannelHandleT channel;
};

static struct place place_new(void)
{
    struct place place;
    place.channel = channel_fresh(library, &place.name);
    return place;
}

static void place_end(struct place *place)
{
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &place->name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(place->channel));
}

static SaEvtChannelHandleT another(const struct place *place)
{
    return channel_open(library, &place->name, OPEN_BOTH);
}

static void a_late_subscriber_gets_it_as_it_was(void)
{
    struct place place = place_new();
    SaEvtEventHandleT event = event_with(place.channel, "pattern", 2, RETAIN_NS);
    SaNameT publisher;
    SaNameT got;
    SaEvtEventIdT id;
    SaEvtEventHandleT received;
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    struct delivery now;
    name_text(&publisher, "author");
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 2, RETAIN_NS, &publisher));
    subscribe_all(place.channel, 1);
    id = event_publish(event, "data", 4);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    await_deliveries(library, 1);
    now = log_delivery(0);
    CHECK_EQ(id, now.id);
    EXPECT_TEXTS_OF(library, "data:1");
    log_keep_events = 1;
    subscribe_all(another(&place), 2);
    await_deliveries(library, 1);
    log_keep_events = 0;
    received = log_delivery(0).event;
    CHECK_EQ(id, log_delivery(0).id);
    CHECK_EQ(2, log_delivery(0).priority);
    CHECK_EQ(RETAIN_NS, log_delivery(0).retention_ns); /* as set, not what is left */
    CHECK(log_delivery(0).publish_time == now.publish_time);
    EXPECT_TEXTS_OF(library, "data:2");
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(received, &patterns, NULL, NULL, &got, NULL, NULL));
    NEED(patterns.patternsNumber == 1);
    CHECK(memcmp(patterns.patterns[0].pattern, "pattern", 7) == 0);
    CHECK(got.length == 6 && memcmp(got.value, "author", 6) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(received, patterns.patterns));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(received));
    place_end(&place);
}

static void an_instance_gets_it_once(void)
{
    struct place place = place_new();
    publish_text(place.channel, "retained", LOWEST, RETAIN_NS);
    subscribe_all(place.channel, 1);
    EXPECT_TEXTS_OF(library, "retained:1");
    /* An overlapping subscription does not bring it again. */
    subscribe_all(place.channel, 2);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(place.channel, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(place.channel, 2));
    /* Neither does subscribing again. */
    subscribe_all(place.channel, 1);
    publish_text(place.channel, "sentinel", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "sentinel:1");
    place_end(&place);
}

/* Delivered live counts like delivered from retention. */
static void what_came_live_does_not_come_again(void)
{
    struct place place = place_new();
    subscribe_all(place.channel, 1);
    publish_text(place.channel, "live", LOWEST, RETAIN_NS);
    EXPECT_TEXTS_OF(library, "live:1");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(place.channel, 1));
    subscribe_all(place.channel, 2);
    publish_text(place.channel, "sentinel", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "sentinel:2");
    place_end(&place);
}

static void a_purged_event_counts_as_not_delivered(void)
{
    struct place place = place_new();
    subscribe_all(place.channel, 1);
    publish_text(place.channel, "purged", LOWEST, RETAIN_NS);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(place.channel, 1));
    subscribe_all(place.channel, 2);
    EXPECT_TEXTS_OF(library, "purged:2");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(place.channel, 2));
    subscribe_all(place.channel, 3);
    publish_text(place.channel, "sentinel", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "sentinel:3");
    place_end(&place);
}

static void priority_then_publish_order_then_new_ones(void)
{
    struct place place = place_new();
    SaEvtChannelHandleT late;
    publish_text(place.channel, "3a", 3, RETAIN_NS);
    publish_text(place.channel, "0a", 0, RETAIN_NS);
    publish_text(place.channel, "2a", 2, RETAIN_NS);
    publish_text(place.channel, "3b", 3, RETAIN_NS);
    publish_text(place.channel, "0b", 0, RETAIN_NS);
    publish_text(place.channel, "2b", 2, RETAIN_NS);
    late = another(&place);
    subscribe_all(late, 1);
    publish_text(place.channel, "3new", 3, 0);
    settle(library);
    EXPECT_TEXTS(library, "0a,0b,2a,2b,3a,3b,3new");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(late));
    place_end(&place);
}

static void a_cleared_event_is_not_given(void)
{
    struct place place = place_new();
    SaEvtEventIdT cleared = publish_text(place.channel, "cleared", LOWEST, RETAIN_NS);
    publish_text(place.channel, "stays", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(place.channel, cleared));
    subscribe_all(place.channel, 1);
    EXPECT_TEXTS(library, "stays");
    place_end(&place);
}

/* The subscription is made clearly after the end of the retention time. */
static void an_expired_event_is_not_given(void)
{
    struct place place = place_new();
    SaEvtEventIdT id = publish_text(place.channel, "short", LOWEST,
                                    20 * SA_TIME_ONE_MILLISECOND);
    struct timespec longer = {0, 300000000};
    SaEvtChannelHandleT late;
    publish_text(place.channel, "long", LOWEST, RETAIN_NS);
    nanosleep(&longer, NULL);
    late = another(&place);
    subscribe_all(late, 1);
    EXPECT_TEXTS(library, "long");
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(place.channel, id));
    place_end(&place);
}

/* Times beyond 32 bits of anything, and without end, must not turn into short ones. */
static void long_times_do_not_wrap(void)
{
    static const SaTimeT times[] = {
        INT64_C(4294967296) * 1000,        /* 2^32 microseconds */
        INT64_C(2147483648) * 1000,        /* 2^31 microseconds */
        INT64_C(4294967297),               /* 2^32 ns and a bit */
        SA_TIME_ONE_DAY,
        INT64_C(100000000000000),          /* the least limit */
    };
    static const SaTimeT old_times[] = {
        SA_TIME_MAX, SA_TIME_MAX - 1, INT64_C(4294967296) * 1000000, 400 * SA_TIME_ONE_DAY,
    };
    struct place place = place_new();
    SaEvtHandleT old = library_new(1, &recording_callbacks);
    SaEvtChannelHandleT publisher = channel_open(old, &place.name, OPEN_BOTH);
    struct timespec moment = {0, 200000000};
    size_t index;
    for (index = 0; index < sizeof times / sizeof times[0]; index++)
        publish_text(place.channel, "long", LOWEST, times[index]);
    settle(library);
    for (index = 0; index < sizeof old_times / sizeof old_times[0]; index++)
        publish_text(publisher, "old", LOWEST, old_times[index]);
    settle(old);
    nanosleep(&moment, NULL);
    subscribe_all(place.channel, 1);
    await_deliveries(library, 9);
    for (index = 0; index < 4; index++)
        CHECK_EQ(old_times[index], log_delivery(5 + index).retention_ns);
    EXPECT_TEXTS(library, "long,long,long,long,long,old,old,old,old");
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(old));
    place_end(&place);
}

static void it_outlives_its_publisher(void)
{
    struct place place = place_new();
    SaEvtHandleT author = library_new(1, NULL);
    SaEvtChannelHandleT publisher = channel_open(author, &place.name, OPEN_BOTH);
    publish_text(publisher, "closed", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(publisher));
    publisher = channel_open(author, &place.name, OPEN_BOTH);
    publish_text(publisher, "finalized", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(author));
    /* Nobody has the channel open at all for a while. */
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(place.channel));
    settle(library);
    place.channel = another(&place);
    subscribe_all(place.channel, 1);
    await_deliveries(library, 2);
    CHECK_EQ(2, log_deliveries());
    log_clear();
    place_end(&place);
}

/* More retained events than an ordinary queue holds come in one burst and in order. */
static void many_retained_events_come_in_order(void)
{
    size_t number = test_rounds(3000, 200);
    struct place place = place_new();
    SaEvtChannelHandleT late;
    size_t index;
    char text[TEXT_MAX];
    for (index = 0; index < number; index++) {
        snprintf(text, sizeof text, "%lu", (unsigned long)index);
        publish_text(place.channel, text, 1, RETAIN_NS);
    }
    late = another(&place);
    subscribe_all(late, 1);
    publish_text(place.channel, "end", 1, 0);
    await_deliveries(library, number + 1);
    CHECK_EQ_REC(number + 1, log_deliveries());
    for (index = 0; index < number; index++)
        CHECK_EQ_REC(index, atoi(log_delivery(index).text));
    CHECK_REC(strcmp(log_delivery(number).text, "end") == 0);
    log_clear();
    place_end(&place);
}

/* Each of many instances has its own account of what it was given. */
static void every_instance_gets_it_once(void)
{
    enum { INSTANCES = 30 };
    struct place place = place_new();
    SaEvtChannelHandleT instances[INSTANCES];
    size_t index;
    publish_text(place.channel, "each", LOWEST, RETAIN_NS);
    for (index = 0; index < INSTANCES; index++) {
        instances[index] = another(&place);
        subscribe_all(instances[index], 1);
    }
    await_deliveries(library, INSTANCES);
    for (index = 0; index < INSTANCES; index++) {
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(instances[index], 1));
        subscribe_all(instances[index], 2);
    }
    CHECK_EQ(INSTANCES, log_deliveries());
    log_clear();
    subscribe_all(place.channel, 3);
    EXPECT_TEXTS_OF(library, "each:3");
    place_end(&place);
}

static int by_id(const void *one, const void *other)
{
    SaEvtEventIdT first = *(const SaEvtEventIdT *)one;
    SaEvtEventIdT second = *(const SaEvtEventIdT *)other;
    return (first > second) - (first < second);
}

static SaTimeT now_ns(void)
{
    struct timespec now;
    NEED(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (SaTimeT)now.tv_sec * SA_TIME_ONE_SECOND + now.tv_nsec;
}

/* Events that lapse while they and their copies for another subscription are still unread. */
static void what_lapses_meanwhile_comes_once_at_most(void)
{
    const SaTimeT retention_ns = 300 * SA_TIME_ONE_MILLISECOND;
    struct place place = place_new();
    SaEvtChannelHandleT publisher = another(&place);
    size_t number = test_rounds(2000, 200);
    SaTimeT lapsed_at;
    SaEvtEventIdT *ids;
    size_t index;
    size_t got;
    subscribe_all(place.channel, 1);
    for (index = 0; index < number; index++)
        publish_text(publisher, "short", LOWEST, retention_ns);
    /* A new subscription that overlaps asks for what is still retained. */
    subscribe_all(place.channel, 2);
    lapsed_at = now_ns() + retention_ns;
    for (index = 3; now_ns() < lapsed_at; index++) {
        subscribe_all(place.channel, (SaEvtSubscriptionIdT)index);
        CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ONE));
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(place.channel, (SaEvtSubscriptionIdT)index));
        test_pause();
    }
    publish_text(publisher, "sentinel", LOWEST, 0);
    for (got = 0; got == 0 || strcmp(log_delivery(got - 1).text, "sentinel") != 0; got++)
        await_deliveries(library, got + 1);
    CHECK_EQ(number + 1, got);
    CHECK_EQ(got, log_deliveries());
    ids = calloc(got, sizeof *ids);
    NEED(ids != NULL);
    for (index = 0; index < got; index++)
        ids[index] = log_delivery(index).id;
    qsort(ids, got, sizeof *ids, by_id);
    for (index = 1; index < got; index++)
        CHECK(ids[index - 1] < ids[index]);
    free(ids);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(publisher));
    place_end(&place);
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    a_late_subscriber_gets_it_as_it_was();
    an_instance_gets_it_once();
    what_came_live_does_not_come_again();
    a_purged_event_counts_as_not_delivered();
    priority_then_publish_order_then_new_ones();
    a_cleared_event_is_not_given();
    an_expired_event_is_not_given();
    long_times_do_not_wrap();
    it_outlives_its_publisher();
    many_retained_events_come_in_order();
    every_instance_gets_it_once();
    what_lapses_meanwhile_comes_once_at_most();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
