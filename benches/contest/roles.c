/* The roles of a sample: who sends, who receives, who waits for whom. */
#include "common.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The number of a message that only shows that the way is open. */
#define GREETING ULONG_MAX

const char *const pattern_of[2] = {"contest.pattern0", "contest.pattern1"};

enum role { ROLE_READER, ROLE_PING, ROLE_PONG };

/* A window is opened again in steps, so that a reader need not look at each message. */
enum { WINDOW_STEPS = 8 };

static enum role role;
static struct reader *self;
static unsigned char message[MESSAGE_BYTES_MAX] __attribute__((aligned(64)));
static struct timespec ping_sent;
static unsigned long ping_number;

static unsigned long step(void)
{
    return options.window / WINDOW_STEPS;
}

static void send_number(unsigned long number)
{
    memcpy(message, &number, sizeof number);
    memcpy(message + options.bytes - sizeof number, &number, sizeof number);
    contestant.send(message, options.bytes);
}

static void send_now(unsigned long number)
{
    send_number(number);
    if (contestant.flush != NULL)
        contestant.flush();
}

/* Sends greetings until each of `number` readers from `first` on has seen one. */
static void greet(int first, int number)
{
    for (int i = first; i < first + number; i++)
        while (!stage->reader[i].met) {
            struct timespec pause = {.tv_nsec = 1000000};
            send_now(GREETING);
            nanosleep(&pause, NULL);
        }
}

static unsigned long slowest(void)
{
    unsigned long position = ULONG_MAX;
    for (int i = 0; i < options.readers; i++) {
        unsigned long reached = atomic_load(&stage->reader[i].position);
        position = reached < position ? reached : position;
    }
    return position;
}

/* Sleeps until half of the window is free. Gives the number up to which may be sent. */
static unsigned long wait_for_window(unsigned long sent)
{
    unsigned long reached = slowest();
    if (sent - reached < options.window)
        return reached + options.window;
    if (contestant.flush != NULL)
        contestant.flush();
    unsigned long wake_at = (sent - options.window / 2) / step() * step();
    atomic_store(&stage->wake_at, wake_at);
    for (;;) {
        struct timespec limit = {.tv_nsec = 200000000};
        atomic_store(&stage->asleep, 1);
        if ((reached = slowest()) >= wake_at || stage->stop)
            break;
        int result = (int)syscall(SYS_futex, &stage->asleep, FUTEX_WAIT, 1, &limit, NULL, 0);
        if (result != 0 && errno == ETIMEDOUT && (reached = slowest()) < wake_at) {
            atomic_fetch_add(&stage->stalls, 1);
            atomic_store(&stage->asleep, 0);
            return sent + 1; /* The next message shows the reader what is missing. */
        }
    }
    atomic_store(&stage->asleep, 0);
    return reached + options.window;
}

/* After each step of the window: wakes the sender when it waits and everybody has come so far. */
static void open_window(unsigned long position)
{
    if (!contestant.may_drop || position % step() != 0)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&stage->asleep) == 1 && slowest() >= atomic_load(&stage->wake_at)) {
        atomic_store(&stage->asleep, 0);
        syscall(SYS_futex, &stage->asleep, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

static void take_round_trip(unsigned long number)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    long ns = (time.tv_sec - ping_sent.tv_sec) * 1000000000 + time.tv_nsec - ping_sent.tv_nsec;
    unsigned long index = stage->round_trips;
    if (number != ping_number)
        atomic_fetch_add(&self->lost, 1);
    if (stage->measuring && index < ROUND_TRIPS_MAX) {
        stage->round_trip_ns[index] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
        stage->round_trips = index + 1;
    }
    if (stage->stop)
        return;
    if (options.pause > 0) {
        struct timespec rest = {.tv_sec = options.pause / 1000000,
                                .tv_nsec = options.pause % 1000000 * 1000};
        nanosleep(&rest, NULL);
    }
    ping_number++;
    clock_gettime(CLOCK_MONOTONIC, &ping_sent);
    send_now(ping_number);
}

void arrived(const void *data, size_t bytes)
{
    unsigned long head = 0, tail = 1;
    if (bytes == options.bytes) {
        memcpy(&head, data, sizeof head);
        memcpy(&tail, (const char *)data + bytes - sizeof tail, sizeof tail);
    }
    if (head != tail) {
        atomic_fetch_add(&self->damaged, 1);
        return;
    }
    if (head == GREETING) {
        self->met = true;
        return;
    }
    unsigned long expected = atomic_load_explicit(&self->position, memory_order_relaxed);
    if (head < expected)
        atomic_fetch_add(&self->damaged, 1); /* Twice, or out of order. */
    else if (head > expected)
        atomic_fetch_add(&self->lost, head - expected);
    atomic_store_explicit(&self->position, head + 1, memory_order_release);
    unsigned long received = atomic_load_explicit(&self->received, memory_order_relaxed);
    atomic_store_explicit(&self->received, received + 1, memory_order_relaxed);
    if (role == ROLE_READER)
        open_window(head + 1);
    else if (role == ROLE_PONG)
        send_now(head);
    else
        take_round_trip(head);
}

void wait_beside_thread(void)
{
    struct timespec soon = {.tv_nsec = 1000000};
    if (self->met)
        pause(); /* The signal that asks to leave comes again if it comes too early. */
    else
        nanosleep(&soon, NULL);
}

static void receive_until_leave(void)
{
    while (!must_leave())
        contestant.receive();
}

static void receive_greeting(void)
{
    while (!self->met && !must_leave())
        contestant.receive();
}

static void wait_for_leave(void)
{
    while (!must_leave())
        pause();
}

void run_publisher(void)
{
    unsigned long sent = 0, limit = contestant.may_drop ? options.window : ULONG_MAX;

    contestant.advertise(0);
    greet(0, options.readers);
    stage->started = true;
    while (!atomic_load_explicit(&stage->stop, memory_order_relaxed)) {
        if (sent >= limit) {
            limit = wait_for_window(sent);
            continue;
        }
        send_number(sent++);
    }
    if (contestant.flush != NULL)
        contestant.flush();
    stage->sent = sent;
    stage->finished = true;
    wait_for_leave();
}

void run_reader(int reader)
{
    role = ROLE_READER;
    self = &stage->reader[reader];
    contestant.subscribe(0, reader);
    receive_until_leave();
}

/* In an echo reader 0 is who answers and reader 1 who asked. */
void run_ping(void)
{
    role = ROLE_PING;
    self = &stage->reader[1];
    contestant.advertise(0);
    contestant.subscribe(1, 0);
    greet(0, 1);
    receive_greeting();
    stage->started = true;
    clock_gettime(CLOCK_MONOTONIC, &ping_sent);
    send_now(ping_number);
    receive_until_leave();
}

void run_pong(void)
{
    role = ROLE_PONG;
    self = &stage->reader[0];
    contestant.subscribe(0, 0);
    contestant.advertise(1);
    receive_greeting();
    greet(1, 1);
    receive_until_leave();
}
