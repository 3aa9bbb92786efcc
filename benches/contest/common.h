/*
 * What every contestant shares: one process for each role, the same messages, checks and clocks.
 *
 * A contestant is one file that defines `contestant`; it is linked with common.c, roles.c and
 * measure.c and makes one sample each time it runs:
 *
 *   stream   one publisher sends numbered messages as fast as it can to one or more readers
 *   echo     a message goes to another process and comes back, one at a time
 *
 * One line of JSON on standard output says what was measured.
 */
#ifndef CONTEST_COMMON_H
#define CONTEST_COMMON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    READERS_MAX = 16,
    BROKERS_MAX = 16,
    ROUND_TRIPS_MAX = 4 << 20, /* What one sample can hold; the rest is not recorded. */
    MESSAGE_BYTES_MIN = 16,    /* A number at the head and the same at the tail. */
    MESSAGE_BYTES_MAX = 1 << 16,
};

enum task { TASK_STREAM, TASK_ECHO };

struct options {
    enum task task;
    size_t bytes;       /* Size of each message. */
    int readers;        /* Reader processes of a stream. */
    double seconds;     /* What is measured, after the warm-up. */
    double warm_up;
    int cpu;            /* Everything runs on this processor; -1: wherever the kernel likes. */
    pid_t brokers[BROKERS_MAX]; /* Daemons that were started outside, up to a 0. */
    unsigned window;    /* Messages that a sender may be ahead of the slowest reader. */
    unsigned pause;     /* Microseconds between a round trip and the next one. */
    const char *place;  /* Directory, socket or address: what the contestant needs. */
    const char *variant; /* Of a contestant that has several; "" if not given. */
};

extern struct options options;

/* What a reader's filter and a message have in common, by topic; 16 bytes without the end. */
enum { PATTERN_BYTES = 16 };
extern const char *const pattern_of[2];

/* Topic 0 goes from the publisher to the readers; in an echo topic 1 brings the answer. */
struct contestant {
    const char *name;
    const char *(*version)(void);
    bool may_drop; /* Loses messages of a reader that is too slow: the sender keeps a window. */
    /* All but send, receive, subscribe and advertise may be NULL. */
    void (*prepare)(void); /* Once, before there are several processes. */
    void (*broker)(void);  /* In a process of its own, until it is killed. */
    void (*subscribe)(int topic, int reader);
    void (*advertise)(int topic);
    void (*send)(const void *message, size_t bytes); /* Waits for room. */
    void (*flush)(void);   /* What was sent is on its way when this returns. */
    void (*receive)(void); /* Waits, then calls arrived() for each message; a signal ends it. */
    void (*leave)(void);
};

extern const struct contestant contestant;

/* What the processes of a sample share; positions are counts of messages. */
struct reader {
    _Alignas(128) atomic_ulong position; /* Number of the next message. */
    atomic_ulong received;
    atomic_ulong damaged; /* Wrong size, or head and tail differ. */
    atomic_ulong lost;
    atomic_bool met; /* Has seen a greeting: the way to it is open. */
};

struct stage {
    struct reader reader[READERS_MAX];
    _Alignas(128) atomic_uint asleep; /* Futex: the sender waits for `wake_at`. */
    atomic_ulong wake_at;
    _Alignas(128) atomic_bool started;
    atomic_bool measuring;
    atomic_bool stop;     /* Send no more. */
    atomic_bool finished; /* `sent` is final. */
    atomic_bool leave;
    atomic_ulong sent;
    atomic_ulong stalls; /* The window did not open for a while: something was lost. */
    atomic_ulong round_trips;
    uint32_t round_trip_ns[ROUND_TRIPS_MAX];
};

extern struct stage *stage;

/* A message has come. For contestants whose library has threads: from one thread only. */
void arrived(const void *message, size_t bytes);

/* receive() of a contestant that calls arrived() in a thread of its library. */
void wait_beside_thread(void);

/* A function that receives asks this when it was woken without a message. */
bool must_leave(void);

/* Ends the process, and with it the sample. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* fail() unless `holds`, with what errno says. */
void must(bool holds, const char *what);

/* roles.c */
void run_publisher(void);
void run_reader(int reader);
void run_ping(void);
void run_pong(void);

/* measure.c */
struct usage {
    double wall;           /* Seconds, as all of these. */
    double publisher;
    double readers;
    double broker;
    double machine;        /* Everything that ran on any processor. */
    unsigned long position[READERS_MAX];
};

double now(void);
struct usage usage_of(pid_t publisher, const pid_t *readers, int number, const pid_t *brokers);
void pin(pid_t process, int cpu);
void print_sample(const struct usage *before, const struct usage *after);

#endif
