/* Threads: SAI-AIS-EVT-B.03.01, and the AIS programming model on thread safety. */
#include "evt_test.h"

#define THREADS 6

static struct flag stop = FLAG_DOWN;

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT channel_name;
static size_t each;

static void *publish_many(void *argument)
{
    size_t number = *(size_t *)argument;
    SaEvtEventHandleT event = event_new(channel);
    size_t index;
    char text[TEXT_MAX];
    for (index = 0; index < each; index++) {
        int length = snprintf(text, sizeof text, "%lu %lu", (unsigned long)number,
                              (unsigned long)index);
        event_publish(event, text, (size_t)length);
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    return NULL;
}

static void *dispatch_to_the_end(void *argument)
{
    SaAisErrorT code = saEvtDispatch(library, SA_DISPATCH_BLOCKING);
    (void)argument;
    /* A thread that has come too late finds the handle finalized. */
    CHECK(code == SA_AIS_OK || code == SA_AIS_ERR_BAD_HANDLE);
    return NULL;
}

static void start_all(pthread_t *threads, void *(*body)(void *), size_t *numbers)
{
    size_t index;
    for (index = 0; index < THREADS; index++) {
        numbers[index] = index;
        NEED(pthread_create(&threads[index], NULL, body, &numbers[index]) == 0);
    }
}

static void join_all(pthread_t *threads)
{
    size_t index;
    for (index = 0; index < THREADS; index++)
        CHECK(pthread_join(threads[index], NULL) == 0);
}

/* Every event of every thread exactly once; in order of each thread if `ordered`. */
static void check_log(int ordered)
{
    unsigned char *seen = calloc(THREADS, each);
    long last[THREADS];
    size_t index;
    NEED(seen != NULL);
    for (index = 0; index < THREADS; index++)
        last[index] = -1;
    CHECK_EQ(THREADS * each, log_deliveries());
    for (index = 0; index < log_deliveries(); index++) {
        unsigned long thread = THREADS;
        unsigned long number = each;
        CHECK(sscanf(log_delivery(index).text, "%lu %lu", &thread, &number) == 2);
        NEED(thread < THREADS && number < each);
        CHECK(!seen[thread * each + number]);
        seen[thread * each + number] = 1;
        if (ordered)
            CHECK((long)number > last[thread]);
        last[thread] = (long)number;
    }
    log_clear();
    free(seen);
}

static void threads_publish_on_one_handle(void)
{
    pthread_t threads[THREADS];
    size_t numbers[THREADS];
    each = test_rounds(150, 20);
    start_all(threads, publish_many, numbers);
    await_deliveries(library, THREADS * each);
    join_all(threads);
    check_log(1);
}

/* Callbacks run concurrently; each pending one goes to exactly one thread. */
static void threads_dispatch_one_handle(void)
{
    pthread_t publishers[THREADS];
    pthread_t dispatchers[THREADS];
    size_t numbers[THREADS];
    size_t unused[THREADS];
    each = test_rounds(150, 20);
    start_all(dispatchers, dispatch_to_the_end, unused);
    start_all(publishers, publish_many, numbers);
    join_all(publishers);
    while (log_deliveries() < THREADS * each)
        test_pause();
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    join_all(dispatchers);
    check_log(0);
}

static void renew(void)
{
    library = library_recording();
    channel = channel_fresh(library, &channel_name);
    subscribe_all(channel, 1);
}

struct contest {
    pthread_barrier_t barrier;
    SaAisErrorT (*call)(SaUint64T handle);
    SaUint64T handle;
    pthread_mutex_t lock;
    size_t winners;
};

static void *contend(void *argument)
{
    struct contest *contest = argument;
    SaAisErrorT result;
    pthread_barrier_wait(&contest->barrier);
    REPEAT(result, contest->call(contest->handle));
    CHECK(result == SA_AIS_OK || result == SA_AIS_ERR_BAD_HANDLE);
    pthread_mutex_lock(&contest->lock);
    contest->winners += result == SA_AIS_OK;
    pthread_mutex_unlock(&contest->lock);
    return NULL;
}

static void of_concurrent_calls_one_wins(SaAisErrorT (*call)(SaUint64T), SaUint64T handle)
{
    pthread_t threads[THREADS];
    struct contest contest;
    size_t index;
    contest.call = call;
    contest.handle = handle;
    contest.winners = 0;
    NEED(pthread_barrier_init(&contest.barrier, NULL, THREADS) == 0);
    NEED(pthread_mutex_init(&contest.lock, NULL) == 0);
    for (index = 0; index < THREADS; index++)
        NEED(pthread_create(&threads[index], NULL, contend, &contest) == 0);
    join_all(threads);
    CHECK_EQ(1, contest.winners);
    pthread_barrier_destroy(&contest.barrier);
}

static void concurrent_ends_have_one_winner(void)
{
    size_t round;
    for (round = 0; round < test_rounds(40, 4); round++) {
        SaNameT name;
        SaEvtHandleT own = library_recording();
        SaEvtChannelHandleT on = channel_fresh(own, &name);
        of_concurrent_calls_one_wins(saEvtEventFree, event_new(on));
        of_concurrent_calls_one_wins(saEvtChannelClose, on);
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
        of_concurrent_calls_one_wins(saEvtFinalize, own);
    }
}

static int expected_at_end(SaAisErrorT result)
{
    return result == SA_AIS_OK || result == SA_AIS_ERR_BAD_HANDLE;
}

/* Uses everything under a handle until it is finalized under its feet. */
static void *use_until_finalized(void *argument)
{
    SaEvtHandleT own = *(SaEvtHandleT *)argument;
    SaAisErrorT result;
    SaEvtEventFilterArrayT filters = {0, NULL};
    SaEvtChannelHandleT on = 0;
    SaEvtEventHandleT event = 0;
    SaEvtEventIdT id = 0;
    do {
        REPEAT(result, saEvtChannelOpen(own, &channel_name, OPEN_ALL, SA_TIME_MAX, &on));
        CHECK(expected_at_end(result));
        if (result == SA_AIS_OK)
            REPEAT(result, saEvtEventSubscribe(on, &filters, 1));
        CHECK(expected_at_end(result));
        if (result == SA_AIS_OK)
            REPEAT(result, saEvtEventAllocate(on, &event));
        CHECK(expected_at_end(result));
        if (result == SA_AIS_OK)
            REPEAT(result, saEvtEventPublish(event, "x", 1, &id));
        CHECK(expected_at_end(result));
        if (result == SA_AIS_OK)
            REPEAT(result, saEvtDispatch(own, SA_DISPATCH_ALL));
        CHECK(expected_at_end(result));
        if (result == SA_AIS_OK)
            REPEAT(result, saEvtChannelClose(on));
        CHECK(expected_at_end(result));
    } while (result == SA_AIS_OK);
    return NULL;
}

static void ignore_delivery(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                            SaSizeT size)
{
    SaAisErrorT result = saEvtEventFree(event);
    (void)subscription;
    (void)size;
    CHECK(expected_at_end(result));
}

static void finalize_pulls_the_rug(void)
{
    size_t round;
    for (round = 0; round < test_rounds(20, 3); round++) {
        SaEvtCallbacksT callbacks = {NULL, ignore_delivery};
        SaEvtHandleT own = library_new(3, &callbacks);
        pthread_t threads[THREADS];
        struct timespec moment = {0, 0};
        size_t index;
        SaAisErrorT result;
        name_fresh(&channel_name);
        for (index = 0; index < THREADS; index++)
            NEED(pthread_create(&threads[index], NULL, use_until_finalized, &own) == 0);
        moment.tv_nsec = (long)(round * 700000);
        nanosleep(&moment, NULL);
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
        join_all(threads);
        own = library_new(3, NULL);
        REPEAT(result, saEvtChannelUnlink(own, &channel_name));
        CHECK(result == SA_AIS_OK || result == SA_AIS_ERR_NOT_EXIST);
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    }
}

/* A thread in blocking dispatch does not hold up the calls of others. */
static void publishing_goes_on_beside_blocking_dispatch(void)
{
    pthread_t thread;
    size_t index;
    renew();
    NEED(pthread_create(&thread, NULL, dispatch_to_the_end, NULL) == 0);
    for (index = 1; index <= test_rounds(300, 30); index++) {
        publish_text(channel, "x", LOWEST, 0);
        settle(library);
        while (log_deliveries() < index)
            test_pause();
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(pthread_join(thread, NULL) == 0);
    log_clear();
}

static void *publish_until_stopped(void *argument)
{
    size_t *number = argument;
    while (!flag_get(&stop)) {
        publish_text(channel, "x", LOWEST, 0);
        ++*number;
        /* Never more than a queue holds: each must arrive. */
        while (*number - log_deliveries() > 500 && !flag_get(&stop))
            test_pause();
    }
    return NULL;
}

/* Subscribe anew, then unsubscribe, while another thread dispatches: nothing is lost. */
static void subscriptions_change_beside_a_dispatcher(void)
{
    pthread_t dispatcher;
    pthread_t publisher;
    size_t published = 0;
    size_t index;
    renew();
    flag_put(&stop, 0);
    NEED(pthread_create(&dispatcher, NULL, dispatch_to_the_end, NULL) == 0);
    NEED(pthread_create(&publisher, NULL, publish_until_stopped, &published) == 0);
    for (index = 1; index <= test_rounds(1500, 100); index++) {
        subscribe_all(channel, (SaEvtSubscriptionIdT)(index + 1));
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, (SaEvtSubscriptionIdT)index));
    }
    flag_put(&stop, 1);
    CHECK(pthread_join(publisher, NULL) == 0);
    while (log_deliveries() < published)
        test_pause();
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(pthread_join(dispatcher, NULL) == 0);
    CHECK_EQ(published, log_deliveries());
    for (index = 0; index < log_deliveries(); index++)
        CHECK(log_delivery(index).id > SA_EVT_EVENTID_LOST);
    log_clear();
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    renew();
    threads_publish_on_one_handle();
    threads_dispatch_one_handle();
    publishing_goes_on_beside_blocking_dispatch();
    subscriptions_change_beside_a_dispatcher();
    concurrent_ends_have_one_winner();
    finalize_pulls_the_rug();
    return test_end();
}
