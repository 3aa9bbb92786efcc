/*
 * What the roles of the driver share: arguments, channels, receiving, answers to the bench.
 *
 * A role is one process. It is told what to hold by arguments `key=value`, says `ready` on its
 * standard output, and then does what the lines on its standard input ask for; each has one line of
 * answer. It ends at the end of its input.
 */
#ifndef DRIVER_H
#define DRIVER_H

#define _GNU_SOURCE 1

#include <saEvt.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes of the largest event a role publishes. */
#define EVENT_BYTES_MAX 65536
/* What every event that is measured carries, and what its subscription asks for. */
#define PATTERN "bench"
/* What retained events carry, and what idle programs ask for: nothing matches it. */
#define KEPT_PATTERN "kept"
#define IDLE_PATTERN "idle"

/* The number that was given as `key=value`, or `otherwise`. */
long argument(const char *key, long otherwise);
/* The text that was given as `key=value`, or `otherwise`. */
const char *argument_text(const char *key, const char *otherwise);
/* Remembers the arguments of the program. */
void take_arguments(int count, char **values);

/* Ends the program with a line on standard error unless `code` is SA_AIS_OK. */
void must(SaAisErrorT code, const char *call);
/* The same for calls of the system that leave errno. */
void must_system(int right, const char *call);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t now_ns(void);
/* One line of answer. */
void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The next line of input and the number in it; 0 at the end of input. */
int command(char word[32], long *number);

/* A library handle; the deliver callback is that of `receive`. */
SaEvtHandleT library_open(void);
/* The channel `safChnl=NAME-INDEX` for publishing and subscribing. */
SaEvtChannelHandleT channel_open(SaEvtHandleT library, const char *name, long index);
/* Opens `count` channels from index 0 on; the one with index 0 is given. */
SaEvtChannelHandleT channels_open(SaEvtHandleT library, const char *name, long count);
/* Subscribes to PATTERN, after `count` - 1 subscriptions that no event matches. */
void subscribe(SaEvtChannelHandleT channel, long count);
/* An event with the pattern and a retention time. */
SaEvtEventHandleT event_new(SaEvtChannelHandleT channel, const char *pattern, SaTimeT retention);
/* Publishes, and waits while there is no room. Gives how often there was none. */
long publish(SaEvtEventHandleT event, const void *data, size_t bytes);

/* What the deliver callback has seen. */
struct received {
    uint64_t events;
    /* Lost-events, and events whose sequence number was not the next one. */
    uint64_t lost, gaps;
    /* Gaps for which no lost-event has come; counted if `times` is set. */
    uint64_t silent;
    /* Sequence number that is expected next. */
    uint64_t next;
    /* How many of the next events are kept instead of freed. */
    uint64_t keep;
    /* Publish time of the last event and when the last lost-event came, in ns since the epoch;
     * `times` asks for them. */
    SaTimeT published_at, lost_at;
    int times;
    /* Where else the number of events is shown, or NULL. */
    volatile uint64_t *count;
};
extern struct received received;

/* Waits with poll() and dispatches until `goal` events were received in all. */
void receive(SaEvtHandleT library, SaSelectionObjectT selection, uint64_t goal);

/* A number that two roles share, in the file of that name: how many events were received. */
volatile uint64_t *shared_count(const char *path);

/* The roles; each gives the exit status. */
int role_publisher(void);
int role_subscriber(void);
int role_ping(void);
int role_pong(void);
int role_crowd(void);
int role_retainer(void);
int role_handles(void);
int role_start(void);
int role_flood(void);
int role_slow(void);
int role_hog(void);

#endif
