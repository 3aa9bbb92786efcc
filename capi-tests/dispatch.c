/* saEvtDispatch: SAI-AIS-EVT-B.03.01, saEvtDispatch(). */
#include "evt_test.h"

static SaEvtHandleT ended_by_callback;

static void finalize_in_callback(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                                 SaSizeT size)
{
    recording_callbacks.saEvtEventDeliverCallback(subscription, event, size);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(ended_by_callback));
}

static void other_flags_are_invalid(void)
{
    static const int flags[] = {0, 4, 5, -1, 99, 0x7fffffff, 0x101};
    SaEvtHandleT library = library_recording();
    size_t index;
    for (index = 0; index < sizeof flags / sizeof flags[0]; index++) {
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
                  saEvtDispatch(library, (SaDispatchFlagsT)flags[index]));
        CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM,
                      saEvtDispatch(0, (SaDispatchFlagsT)flags[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(wrong[index], SA_DISPATCH_ONE));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(wrong[index], SA_DISPATCH_ALL));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(wrong[index], SA_DISPATCH_BLOCKING));
    }
}

static void with_nothing_pending_it_returns_at_once(void)
{
    SaEvtHandleT library = library_recording();
    SaEvtHandleT without = library_new(1, NULL);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ONE));
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(without, SA_DISPATCH_ONE));
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(without, SA_DISPATCH_ALL));
    CHECK_EQ(0, log_deliveries());
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(without));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void one_runs_one_callback(void)
{
    SaNameT name;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    int descriptor = selection_object(library);
    subscribe_all(channel, 1);
    publish_text(channel, "a", LOWEST, 0);
    publish_text(channel, "b", LOWEST, 0);
    publish_text(channel, "c", LOWEST, 0);
    settle(library);
    while (log_deliveries() < 3) {
        size_t before = log_deliveries();
        struct pollfd entry;
        entry.fd = descriptor;
        entry.events = POLLIN;
        CHECK(poll(&entry, 1, -1) == 1);
        CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ONE));
        CHECK(log_deliveries() <= before + 1);
    }
    EXPECT_TEXTS(library, "a,b,c");
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ONE));
    CHECK_EQ(0, log_deliveries());
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void all_runs_what_is_pending(void)
{
    SaNameT name;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    int descriptor = selection_object(library);
    size_t number;
    subscribe_all(channel, 1);
    for (number = 0; number < 20; number++)
        publish_text(channel, "x", LOWEST, 0);
    settle(library);
    CHECK(readable(descriptor));
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_EQ(20, log_deliveries());
    drain(library);
    CHECK_EQ(20, log_deliveries());
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void blocking_ends_when_a_callback_finalizes(void)
{
    SaNameT name;
    SaEvtCallbacksT callbacks = {NULL, finalize_in_callback};
    SaEvtHandleT library = library_new(3, &callbacks);
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    ended_by_callback = library;
    subscribe_all(channel, 5);
    publish_text(channel, "end", LOWEST, 0);
    publish_text(channel, "never", LOWEST, 0);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_BLOCKING));
    CHECK_EQ(1, log_deliveries());
    CHECK_EQ(5, log_delivery(0).subscription);
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(library, SA_DISPATCH_ALL));
    log_clear();
}

static void *dispatch_blocking(void *argument)
{
    SaEvtHandleT library = *(SaEvtHandleT *)argument;
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_BLOCKING));
    return NULL;
}

/* The thread proves that it sits in dispatch by making the callback run. */
static void blocking_ends_when_another_thread_finalizes(void)
{
    SaNameT name;
    pthread_t thread;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    NEED(pthread_create(&thread, NULL, dispatch_blocking, &library) == 0);
    publish_text(channel, "first", LOWEST, 0);
    while (log_deliveries() < 1)
        test_pause();
    publish_text(channel, "second", LOWEST, 0);
    while (log_deliveries() < 2)
        test_pause();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(pthread_join(thread, NULL) == 0);
    log_clear();
}

static void a_signal_handler(int number)
{
    (void)number;
}

static void signals_do_not_end_blocking(void)
{
    SaNameT name;
    pthread_t thread;
    struct sigaction action;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    size_t number;
    memset(&action, 0, sizeof action);
    action.sa_handler = a_signal_handler;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    subscribe_all(channel, 1);
    NEED(pthread_create(&thread, NULL, dispatch_blocking, &library) == 0);
    for (number = 1; number <= test_rounds(200, 20); number++) {
        CHECK(pthread_kill(thread, SIGUSR1) == 0);
        publish_text(channel, "x", LOWEST, 0);
        CHECK(pthread_kill(thread, SIGUSR1) == 0);
        while (log_deliveries() < number)
            test_pause();
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(pthread_join(thread, NULL) == 0);
    log_clear();
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    other_flags_are_invalid();
    wrong_handles_are_bad();
    with_nothing_pending_it_returns_at_once();
    one_runs_one_callback();
    all_runs_what_is_pending();
    blocking_ends_when_a_callback_finalizes();
    blocking_ends_when_another_thread_finalizes();
    signals_do_not_end_blocking();
    return test_end();
}
