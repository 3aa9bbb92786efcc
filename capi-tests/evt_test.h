/*
 * The frame of the C test programs of the Event Service API.
 *
 * Every program is ordinary C99 and POSIX, reaches the service through <saEvt.h> alone and runs
 * against any libSaEvt.so. A check that fails is reported and counted; the program goes on.
 * CHECK_REC and CHECK_AIS_REC mark what the specification leaves open and this project has
 * chosen (SAI-AIS-EVT-B.03.01 is silent, or the libraries in the field differ): a failure names
 * the choice, and with EVT_TEST_REC=0 it does not make the program fail.
 *
 * Environment:
 *   EVT_TEST_WATCHDOG      seconds until a program is given up, default 60
 *   EVT_TEST_SHORT         when set, fewer rounds
 *   EVT_TEST_INSTRUMENTED  when set, the program runs under a sanitizer or a checker
 *   EVT_TEST_ROLE_SOCKETS  sockets of other nodes of the cluster, with ':' in between: child_start()
 *                          gives each new process the next one as its SAEVT_SOCKET
 *   EVT_TEST_REC           0: report failed CHECK_REC, but do not fail
 *
 * saEvt.h must not have been included before this file.
 */
#ifndef EVT_TEST_H
#define EVT_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* epoll_create1, MAP_ANONYMOUS: the hosts of the service are Linux */
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <saEvt.h>

/* ---- Program frame -------------------------------------------------------------------- */

/* Starts the watchdog and takes the name of the program and its role from argv. */
void test_begin(int argc, char **argv);
/* Reports; gives the exit status: 0 all checks held, 1 a check failed or there was none,
 * 77 nothing could be checked and the reasons were printed. */
int test_end(void);
/* The role this process was started in by child_start, "" for the program itself. */
const char *test_role(void);
/* The argument that came with the role. */
const char *test_role_argument(void);
/* Prints why a part of the program is left out. */
void test_skip(const char *reason);
/* `full` rounds, or `brief` when EVT_TEST_SHORT is set. */
size_t test_rounds(size_t full, size_t brief);
/* Whether a sanitizer or a checker slows the program or needs memory of its own. */
int test_instrumented(void);
/* Ends the program at once as failed; for steps without which nothing else makes sense. */
void test_give_up(const char *file, int line, const char *what);
/* Restarts the watchdog: fork() and exec do not hand interval timers on. */
void test_watchdog_start(void);
/* Waits a moment before a call that answered SA_AIS_ERR_TRY_AGAIN is repeated. */
void test_pause(void);

void check_at(const char *file, int line, int is_choice, int holds, const char *text);
void check_number_at(const char *file, int line, int is_choice, unsigned long long expected,
                     unsigned long long actual, const char *text);
void check_ais_at(const char *file, int line, int is_choice, SaAisErrorT expected,
                  SaAisErrorT actual, const char *text);
/* A flag that threads share. */
struct flag {
    pthread_mutex_t lock;
    int is_set;
};
#define FLAG_DOWN {PTHREAD_MUTEX_INITIALIZER, 0}
void flag_put(struct flag *flag, int is_set);
int flag_get(struct flag *flag);
/* Notes the place the watchdog shall name; gives 1. */
int test_at(const char *file, int line);

#define CHECK(condition) \
    (test_at(__FILE__, __LINE__), check_at(__FILE__, __LINE__, 0, !!(condition), #condition))
#define CHECK_REC(condition) \
    (test_at(__FILE__, __LINE__), check_at(__FILE__, __LINE__, 1, !!(condition), #condition))
#define CHECK_EQ(expected, actual)                                                          \
    (test_at(__FILE__, __LINE__),                                                           \
     check_number_at(__FILE__, __LINE__, 0, (unsigned long long)(expected),                 \
                     (unsigned long long)(actual), #actual))
#define CHECK_EQ_REC(expected, actual)                                                      \
    (test_at(__FILE__, __LINE__),                                                           \
     check_number_at(__FILE__, __LINE__, 1, (unsigned long long)(expected),                 \
                     (unsigned long long)(actual), #actual))

/* Evaluates `call` again while it answers SA_AIS_ERR_TRY_AGAIN, which promises that the call
 * had no effect; leaves the answer in `result`. */
#define REPEAT(result, call)                                                                \
    do {                                                                                    \
        test_at(__FILE__, __LINE__);                                                        \
        while (((result) = (call)) == SA_AIS_ERR_TRY_AGAIN)                                 \
            test_pause();                                                                   \
    } while (0)

#define CHECK_AIS_AS(is_choice, expected, call)                                             \
    do {                                                                                    \
        SaAisErrorT check_result_;                                                          \
        REPEAT(check_result_, call);                                                        \
        check_ais_at(__FILE__, __LINE__, is_choice, expected, check_result_, #call);        \
    } while (0)
/* Checks the code a call answers; repeats the call while it answers TRY_AGAIN. */
#define CHECK_AIS(expected, call) CHECK_AIS_AS(0, expected, call)
#define CHECK_AIS_REC(expected, call) CHECK_AIS_AS(1, expected, call)
/* As CHECK, but without it the program cannot go on. */
#define NEED(condition)                                                                     \
    do {                                                                                    \
        if (!(test_at(__FILE__, __LINE__) && (condition)))                                  \
            test_give_up(__FILE__, __LINE__, #condition);                                   \
    } while (0)
#define NEED_OK(call)                                                                       \
    do {                                                                                    \
        SaAisErrorT need_result_;                                                           \
        REPEAT(need_result_, call);                                                         \
        check_ais_at(__FILE__, __LINE__, 0, SA_AIS_OK, need_result_, #call);                \
        if (need_result_ != SA_AIS_OK)                                                      \
            test_give_up(__FILE__, __LINE__, #call);                                        \
    } while (0)

/* ---- Other processes ------------------------------------------------------------------ */

/* A process that runs this same program in a role; the two exchange single letters. */
struct child {
    pid_t pid;
    int to;
    int from;
};

/* Starts the program anew, by exec, in `role`. */
struct child child_start(const char *role, const char *argument);
void child_say(const struct child *child, char letter);
/* The next letter the child says, 0 when it has ended or closed its side. */
char child_hear(const struct child *child);
/* Waits for the end of the child; gives its status as waitpid does. */
int child_wait(struct child *child);
/* Waits for the end of the child and checks that it exited with 0. */
void child_end(struct child *child);
/* Kills the child by SIGKILL and waits for its end. */
void child_kill(struct child *child);
/* In the child: the other side of the exchange. */
void parent_say(char letter);
char parent_hear(void);

/* ---- Names, libraries, channels ------------------------------------------------------- */

#define OPEN_BOTH (SA_EVT_CHANNEL_PUBLISHER | SA_EVT_CHANNEL_SUBSCRIBER)
#define OPEN_ALL (OPEN_BOTH | SA_EVT_CHANNEL_CREATE)
#define RETAIN_NS (600 * SA_TIME_ONE_SECOND)
#define URGENT ((SaEvtEventPriorityT)SA_EVT_HIGHEST_PRIORITY)
#define LOWEST ((SaEvtEventPriorityT)SA_EVT_LOWEST_PRIORITY)

/* Makes a name of `length` octets; asserts nothing about them. */
void name_set(SaNameT *name, const void *octets, size_t length);
/* Makes a name from the characters of a string, without the NUL. */
void name_text(SaNameT *name, const char *text);
/* A channel name that no other call and no other process gives: safChnl=test.<pid>.<n> */
void name_fresh(SaNameT *name);
/* The same as a string in memory that lives until the next call. */
const char *name_fresh_text(void);

/* The callbacks that write the log below. */
extern const SaEvtCallbacksT recording_callbacks;
/* A library handle of version B.<major> with the given callbacks. */
SaEvtHandleT library_new(SaUint8T major, const SaEvtCallbacksT *callbacks);
/* A library handle of version B.03 with the recording callbacks. */
SaEvtHandleT library_recording(void);
int selection_object(SaEvtHandleT library);
int readable(int descriptor);
SaEvtChannelHandleT channel_open(SaEvtHandleT library, const SaNameT *name,
                                 SaEvtChannelOpenFlagsT flags);
/* Creates a channel of a fresh name and opens it with all flags. */
SaEvtChannelHandleT channel_fresh(SaEvtHandleT library, SaNameT *name);
void subscribe_all(SaEvtChannelHandleT channel, SaEvtSubscriptionIdT id);
/* Subscribes with one filter. */
void subscribe_filter(SaEvtChannelHandleT channel, SaEvtSubscriptionIdT id,
                      SaEvtEventFilterTypeT type, const char *text);
SaUint64T limit(SaEvtHandleT library, SaEvtLimitIdT id);

enum handle_kind { LIBRARY_HANDLE, CHANNEL_HANDLE, EVENT_HANDLE };
#define WRONG_HANDLES 16
/* Fills `handles` with values that are no handle of this kind: zero, stale, of another kind,
 * damaged, random. Gives their number. The live ones among them stay live until the next call
 * or the end of the program. */
size_t wrong_handles(enum handle_kind kind, SaUint64T handles[WRONG_HANDLES]);
/* Finalizes what the live ones belong to; test_end() calls it. */
void wrong_handles_end(void);

/* ---- Events --------------------------------------------------------------------------- */

SaEvtEventHandleT event_new(SaEvtChannelHandleT channel);
/* An event whose only pattern is `text`, NULL: without patterns. */
SaEvtEventHandleT event_with(SaEvtChannelHandleT channel, const char *text,
                             SaEvtEventPriorityT priority, SaTimeT retention_ns);
SaEvtEventIdT event_publish(SaEvtEventHandleT event, const void *data, size_t size);
/* Publishes `text` as the data of an event with `text` as its only pattern. */
SaEvtEventIdT publish_text(SaEvtChannelHandleT channel, const char *text,
                           SaEvtEventPriorityT priority, SaTimeT retention_ns);
SaEvtEventPatternT pattern_text(const char *text);
/* Returns when the service has taken note of all that this handle's process published: it
 * makes the service answer a request that is ordered behind the publications. */
void settle(SaEvtHandleT library);

/* ---- The log of callbacks ------------------------------------------------------------- */

#define TEXT_MAX 64

struct delivery {
    SaEvtSubscriptionIdT subscription;
    SaEvtEventHandleT event; /* still to be freed if log_keep_events was set */
    SaSizeT size;
    SaEvtEventIdT id;
    SaEvtEventPriorityT priority;
    SaTimeT retention_ns;
    SaTimeT publish_time;
    SaSizeT patterns_number;
    char text[TEXT_MAX]; /* the first octets of the data; "LOST" for the lost-event event */
};

struct opening {
    SaInvocationT invocation;
    SaEvtChannelHandleT channel;
    SaAisErrorT error;
};

/* Each callback adds one entry. The log is shared by all library handles of the process. */
size_t log_deliveries(void);
struct delivery log_delivery(size_t index);
size_t log_openings(void);
struct opening log_opening(size_t index);
void log_clear(void);
/* Whether the deliver callback leaves the event to the program instead of freeing it. */
extern int log_keep_events;

/* Polls and dispatches until the log holds this many entries. */
void await_deliveries(SaEvtHandleT library, size_t number);
void await_openings(SaEvtHandleT library, size_t number);
/* Dispatches until the selection object is no longer readable. */
void drain(SaEvtHandleT library);
/* Awaits as many deliveries as there are texts in the list "a,b,c", checks that the log holds
 * just these in this order, and empties the log. */
#define EXPECT_TEXTS(library, list) expect_texts(__FILE__, __LINE__, library, list)
void expect_texts(const char *file, int line, SaEvtHandleT library, const char *list);
/* The same for "a:1,b:2": text and subscription id. */
#define EXPECT_TEXTS_OF(library, list) expect_texts_of(__FILE__, __LINE__, library, list)
void expect_texts_of(const char *file, int line, SaEvtHandleT library, const char *list);

#endif
