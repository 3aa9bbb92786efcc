/* The selection object: SAI-AIS-EVT-B.03.01, saEvtSelectionObjectGet(), saEvtDispatch(). */
#include "evt_test.h"

#include <sys/epoll.h>
#include <sys/select.h>

static SaEvtHandleT library;
static SaEvtHandleT listener;
static SaEvtChannelHandleT publisher;
static SaEvtChannelHandleT subscriber;
static int descriptor;

static int await_readable(void)
{
    struct pollfd entry;
    entry.fd = descriptor;
    entry.events = POLLIN;
    entry.revents = 0;
    while (poll(&entry, 1, -1) < 0 && errno == EINTR)
        ;
    return (entry.revents & POLLIN) != 0;
}

static void it_is_readable_while_something_is_pending(void)
{
    size_t index;
    drain(listener);
    CHECK(!readable(descriptor));
    for (index = 0; index < 5; index++)
        publish_text(publisher, "x", (SaEvtEventPriorityT)(index % 4), 0);
    settle(library);
    settle(listener);
    for (index = 0; index < 5; index++) {
        CHECK(await_readable());
        CHECK(readable(descriptor)); /* looking does not consume it */
        CHECK_AIS(SA_AIS_OK, saEvtDispatch(listener, SA_DISPATCH_ONE));
    }
    CHECK_EQ(5, log_deliveries());
    drain(listener); /* a spurious readiness must not persist */
    CHECK(!readable(descriptor));
    CHECK_EQ(5, log_deliveries());
    log_clear();
}

/* One callback for each wake-up, and nothing gets stuck, in many sizes of bursts. */
static void one_callback_a_wake_up_strands_nothing(void)
{
    size_t burst;
    size_t rounds = test_rounds(60, 12);
    for (burst = 1; burst <= rounds; burst++) {
        size_t index;
        for (index = 0; index < burst; index++)
            publish_text(publisher, "x", LOWEST, 0);
        while (log_deliveries() < burst) {
            CHECK(await_readable());
            CHECK_AIS(SA_AIS_OK, saEvtDispatch(listener, SA_DISPATCH_ONE));
        }
        CHECK_EQ(burst, log_deliveries());
        log_clear();
    }
}

/* An edge comes for events that arrive after the queue was drained. */
static void edge_triggered_epoll_wakes(void)
{
    struct epoll_event event;
    int watcher = epoll_create1(EPOLL_CLOEXEC);
    size_t round;
    memset(&event, 0, sizeof event);
    drain(listener);
    NEED(watcher >= 0);
    event.events = EPOLLIN | EPOLLET;
    NEED(epoll_ctl(watcher, EPOLL_CTL_ADD, descriptor, &event) == 0);
    for (round = 1; round <= test_rounds(500, 40); round++) {
        publish_text(publisher, "edge", LOWEST, 0);
        while (log_deliveries() < round) {
            int ready;
            do {
                ready = epoll_wait(watcher, &event, 1, -1);
            } while (ready < 0 && errno == EINTR);
            CHECK_EQ(1, ready);
            drain(listener);
        }
    }
    log_clear();
    close(watcher);
}

/* Readiness is a state: it is told again until the callback has run. */
static void level_triggered_epoll_and_select_work(void)
{
    struct epoll_event event;
    int watcher = epoll_create1(EPOLL_CLOEXEC);
    fd_set readers;
    memset(&event, 0, sizeof event);
    NEED(watcher >= 0);
    event.events = EPOLLIN;
    NEED(epoll_ctl(watcher, EPOLL_CTL_ADD, descriptor, &event) == 0);
    publish_text(publisher, "level", LOWEST, 0);
    while (epoll_wait(watcher, &event, 1, -1) < 0 && errno == EINTR)
        ;
    CHECK_EQ(1, epoll_wait(watcher, &event, 1, -1));
    FD_ZERO(&readers);
    FD_SET(descriptor, &readers);
    CHECK_EQ(1, select(descriptor + 1, &readers, NULL, NULL, NULL));
    EXPECT_TEXTS(listener, "level");
    drain(listener);
    CHECK_EQ(0, epoll_wait(watcher, &event, 1, 0));
    close(watcher);
}

static void an_open_callback_makes_it_readable(void)
{
    SaNameT name;
    name_fresh(&name);
    drain(listener);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(listener, 1, &name, OPEN_ALL));
    CHECK(await_readable());
    await_openings(listener, 1);
    CHECK_EQ(1, log_openings());
    drain(listener);
    CHECK(!readable(descriptor));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(log_opening(0).channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(listener, &name));
    log_clear();
}

/* Service calls of the subscriber must not swallow the readiness of what came meanwhile. */
static void calls_do_not_swallow_readiness(void)
{
    size_t round;
    for (round = 1; round <= test_rounds(300, 30); round++) {
        publish_text(publisher, "x", LOWEST, 0);
        settle(listener);
        CHECK(await_readable());
        CHECK_AIS(SA_AIS_OK, saEvtDispatch(listener, SA_DISPATCH_ALL));
        await_deliveries(listener, round);
    }
    log_clear();
}

static void it_is_not_readable_for_others(void)
{
    SaEvtHandleT idle = library_recording();
    int other = selection_object(idle);
    drain(idle);
    publish_text(publisher, "x", LOWEST, 0);
    EXPECT_TEXTS(listener, "x");
    drain(idle);
    CHECK(!readable(other));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(idle));
}

struct sleeper {
    int descriptor;
    pthread_barrier_t barrier;
};

static void *sleep_in_poll(void *argument)
{
    struct sleeper *sleeper = argument;
    struct pollfd entry;
    entry.fd = sleeper->descriptor;
    entry.events = POLLIN;
    entry.revents = 0;
    pthread_barrier_wait(&sleeper->barrier);
    while (poll(&entry, 1, -1) < 0 && errno == EINTR)
        ;
    CHECK(entry.revents != 0);
    return NULL;
}

/* A close alone does not wake those who poll a descriptor. */
static void finalize_wakes_a_poll_in_another_thread(void)
{
    size_t round;
    for (round = 0; round < test_rounds(20, 3); round++) {
        SaEvtHandleT own = library_recording();
        struct timespec moment = {0, 2000000};
        struct sleeper sleeper;
        pthread_t thread;
        drain(own);
        sleeper.descriptor = selection_object(own);
        NEED(pthread_barrier_init(&sleeper.barrier, NULL, 2) == 0);
        NEED(pthread_create(&thread, NULL, sleep_in_poll, &sleeper) == 0);
        pthread_barrier_wait(&sleeper.barrier);
        if (round % 2 == 0)
            nanosleep(&moment, NULL); /* both orders are right; this makes the usual one likely */
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
        CHECK(pthread_join(thread, NULL) == 0);
        pthread_barrier_destroy(&sleeper.barrier);
    }
}

int main(int argc, char **argv)
{
    SaNameT name;
    test_begin(argc, argv);
    library = library_recording();
    listener = library_recording();
    publisher = channel_fresh(library, &name);
    subscriber = channel_open(listener, &name, OPEN_BOTH);
    descriptor = selection_object(listener);
    subscribe_all(subscriber, 1);
    it_is_readable_while_something_is_pending();
    one_callback_a_wake_up_strands_nothing();
    edge_triggered_epoll_wakes();
    level_triggered_epoll_and_select_work();
    an_open_callback_makes_it_readable();
    calls_do_not_swallow_readiness();
    it_is_not_readable_for_others();
    if (getenv("EVT_TEST_REC") != NULL && strcmp(getenv("EVT_TEST_REC"), "0") == 0)
        test_skip("poll woken by finalize: a choice, and EVT_TEST_REC is 0");
    else
        finalize_wakes_a_poll_in_another_thread();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(listener));
    return test_end();
}
