/* Reads the options, starts the roles, takes the measurement and ends the roles again. */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options options = {
    .bytes = 64, .readers = 1, .seconds = 0.5, .warm_up = 0.1, .cpu = -1, .window = 8192,
    .place = "", .variant = "",
};
struct stage *stage;

/* How long everything but the measurement itself may take. */
enum { PATIENCE_SECONDS = 20 };

static pid_t brokers[BROKERS_MAX], first; /* `first` is the publisher, or who asks in an echo. */
static pid_t reader[READERS_MAX];
static int readers;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", contestant.name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

void must(bool holds, const char *what)
{
    if (!holds)
        fail("%s: %s", what, strerror(errno));
}

bool must_leave(void)
{
    return atomic_load_explicit(&stage->leave, memory_order_relaxed);
}

static void nudge(int signal)
{
    (void)signal; /* Only ends a system call that waits. */
}

static void sleep_for(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

/* Runs `role` in a process of its own that does not outlive this one. */
static pid_t start(void (*role)(int), int argument)
{
    pid_t parent = getpid(), child = fork();
    must(child >= 0, "fork");
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    role(argument);
    if (contestant.leave != NULL)
        contestant.leave();
    _exit(0);
}

static void broker_role(int unused)
{
    (void)unused;
    contestant.broker();
}

static void first_role(int unused)
{
    (void)unused;
    if (options.task == TASK_STREAM)
        run_publisher();
    else
        run_ping();
}

static void reader_role(int index)
{
    if (options.task == TASK_STREAM)
        run_reader(index);
    else
        run_pong();
}

static void start_roles(void)
{
    if (contestant.prepare != NULL)
        contestant.prepare();
    memcpy(brokers, options.brokers, sizeof brokers);
    if (contestant.broker != NULL)
        brokers[0] = start(broker_role, 0);
    readers = options.task == TASK_STREAM ? options.readers : 1;
    for (int i = 0; i < readers; i++)
        reader[i] = start(reader_role, i);
    first = start(first_role, 0);
}

/* Waits until `flag` is set; a role that ended before its time ends the sample. */
static void wait_for(atomic_bool *flag, const char *what)
{
    double limit = now() + PATIENCE_SECONDS;
    while (!*flag) {
        int status;
        if (waitpid(-1, &status, WNOHANG) > 0)
            fail("%s: a process of the sample has ended", what);
        if (now() > limit)
            fail("%s: nothing happens", what);
        sleep_for(0.001);
    }
}

/* A sample says something of at least one message, however busy the machine is. */
static void wait_for_delivery(const struct usage *before)
{
    double limit = now() + PATIENCE_SECONDS;
    for (int i = 0; i < readers; i++)
        while (stage->reader[i].received == before->position[i]) {
            if (now() > limit)
                fail("nothing is delivered");
            sleep_for(0.001);
        }
    while (options.task == TASK_ECHO && stage->round_trips == 0 && now() < limit)
        sleep_for(0.001);
}

/* Until every reader has what was sent, or nothing comes any more. */
static void drain(void)
{
    unsigned long before = 0;
    double quiet_since = now();
    for (;;) {
        unsigned long sum = 0;
        bool is_complete = true;
        for (int i = 0; i < readers; i++) {
            sum += stage->reader[i].position;
            is_complete = is_complete && stage->reader[i].position >= stage->sent;
        }
        if (is_complete)
            return;
        if (sum != before)
            quiet_since = now();
        if (now() - quiet_since > 1)
            break;
        before = sum;
        sleep_for(0.002);
    }
    for (int i = 0; i < readers; i++)
        stage->reader[i].lost += stage->sent - stage->reader[i].position;
}

static bool has_ended(pid_t process)
{
    int status;
    return waitpid(process, &status, WNOHANG) != 0;
}

/* Asks a role to leave and helps it out of whatever it waits in. */
static void end(pid_t process)
{
    for (int tries = 0; tries < 200; tries++) {
        kill(process, SIGUSR1);
        if (has_ended(process))
            return;
        sleep_for(tries < 10 ? 0.001 : 0.01);
    }
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

static void end_roles(void)
{
    stage->leave = true;
    end(first);
    for (int i = 0; i < readers; i++)
        end(reader[i]);
    if (contestant.broker != NULL) {
        kill(brokers[0], SIGKILL);
        waitpid(brokers[0], NULL, 0);
    }
}

/* Process ids, separated by commas. */
static void read_brokers(char *list)
{
    int number = 0;
    for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
        if (number == BROKERS_MAX)
            fail("at most %d brokers", BROKERS_MAX);
        options.brokers[number++] = atoi(word);
    }
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"task", required_argument, NULL, 't'},    {"bytes", required_argument, NULL, 'b'},
        {"readers", required_argument, NULL, 'r'}, {"seconds", required_argument, NULL, 's'},
        {"warm-up", required_argument, NULL, 'w'}, {"cpu", required_argument, NULL, 'c'},
        {"broker", required_argument, NULL, 'p'},  {"window", required_argument, NULL, 'n'},
        {"place", required_argument, NULL, 'd'},   {"variant", required_argument, NULL, 'v'},
        {"pause", required_argument, NULL, 'i'},  {NULL, 0, NULL, 0},
    };
    int key;
    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (key) {
        case 't': options.task = strcmp(optarg, "echo") == 0 ? TASK_ECHO : TASK_STREAM; break;
        case 'b': options.bytes = strtoul(optarg, NULL, 10); break;
        case 'r': options.readers = atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'w': options.warm_up = atof(optarg); break;
        case 'c': options.cpu = atoi(optarg); break;
        case 'p': read_brokers(optarg); break;
        case 'n': options.window = (unsigned)atoi(optarg); break;
        case 'i': options.pause = (unsigned)atoi(optarg); break;
        case 'd': options.place = optarg; break;
        case 'v': options.variant = optarg; break;
        default: fail("an option is not known");
        }
    if (options.bytes < MESSAGE_BYTES_MIN || options.bytes > MESSAGE_BYTES_MAX)
        fail("messages have %d to %d bytes", MESSAGE_BYTES_MIN, MESSAGE_BYTES_MAX);
    if (options.readers < 1 || options.readers > READERS_MAX || options.window < 16)
        fail("1 to %d readers, and a window of at least 16", READERS_MAX);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = nudge};

    read_options(argc, argv);
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(stage != MAP_FAILED, "mmap");
    must(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    if (options.cpu >= 0) {
        pin(0, options.cpu);
        for (int i = 0; i < BROKERS_MAX && options.brokers[i] != 0; i++)
            pin(options.brokers[i], options.cpu);
    }
    start_roles();
    wait_for(&stage->started, "start");
    sleep_for(options.warm_up);
    stage->measuring = true;
    struct usage before = usage_of(first, reader, readers, brokers);
    sleep_for(options.seconds);
    wait_for_delivery(&before);
    struct usage after = usage_of(first, reader, readers, brokers);
    stage->measuring = false;
    stage->stop = true;
    if (options.task == TASK_STREAM) {
        wait_for(&stage->finished, "end");
        drain();
    }
    end_roles();
    print_sample(&before, &after);
    return 0;
}
