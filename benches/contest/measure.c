/* Clocks, the use of processors, and the line that tells the result. */
#define _GNU_SOURCE
#include "common.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

/* All threads of a process, in user and kernel mode, with the resolution of the scheduler. */
static double processor_time(pid_t process)
{
    clockid_t clock;
    if (process == 0 || clock_getcpuclockid(process, &clock) != 0)
        return 0;
    return seconds_of(clock);
}

/* What all processors did, without idling and waiting for devices. */
static double machine_time(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle, wait, irq = 0, soft = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "r");
    must(file != NULL, "/proc/stat");
    if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
               &wait, &irq, &soft, &steal) != 8)
        fail("/proc/stat cannot be read");
    fclose(file);
    unsigned long long busy = user + nice + system + irq + soft + steal;
    return (double)busy / (double)sysconf(_SC_CLK_TCK);
}

struct usage usage_of(pid_t publisher, const pid_t *readers, int number, const pid_t *brokers)
{
    struct usage usage = {.machine = machine_time()};
    usage.publisher = processor_time(publisher);
    for (int i = 0; i < BROKERS_MAX && brokers[i] != 0; i++)
        usage.broker += processor_time(brokers[i]);
    for (int i = 0; i < number; i++)
        usage.readers += processor_time(readers[i]);
    for (int i = 0; i < number; i++)
        usage.position[i] = stage->reader[i].received;
    usage.wall = now();
    return usage;
}

void pin(pid_t process, int cpu)
{
    char path[64];
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (process == 0) {
        must(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
        return;
    }
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    must(threads != NULL, path);
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        pid_t thread = atoi(entry->d_name);
        if (thread > 0)
            must(sched_setaffinity(thread, sizeof set, &set) == 0, "sched_setaffinity");
    }
    closedir(threads);
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double microseconds_at(double share)
{
    unsigned long number = stage->round_trips;
    if (number == 0)
        return 0;
    unsigned long index = (unsigned long)((double)(number - 1) * share);
    return stage->round_trip_ns[index] / 1e3;
}

static void print_round_trips(void)
{
    qsort(stage->round_trip_ns, stage->round_trips, sizeof stage->round_trip_ns[0], compare);
    printf(", \"round_trips\": %lu, \"p50_us\": %.3f, \"p99_us\": %.3f, \"min_us\": %.3f, "
           "\"max_us\": %.3f",
           (unsigned long)stage->round_trips, microseconds_at(0.5), microseconds_at(0.99),
           microseconds_at(0), microseconds_at(1));
}

static void print_escaped(const char *name, const char *text)
{
    printf("\"%s\": \"", name);
    for (; *text != '\0'; text++)
        if (*text >= ' ' && *text != '"' && *text != '\\')
            putchar(*text);
    printf("\", ");
}

void print_sample(const struct usage *before, const struct usage *after)
{
    int readers = options.task == TASK_STREAM ? options.readers : 1;
    unsigned long delivered = 0, lost = 0, damaged = 0;
    double wall = after->wall - before->wall, publisher = after->publisher - before->publisher;
    double reading = after->readers - before->readers, broker = after->broker - before->broker;

    for (int i = 0; i < readers; i++)
        delivered += after->position[i] - before->position[i];
    for (int i = 0; i < READERS_MAX; i++) {
        lost += stage->reader[i].lost;
        damaged += stage->reader[i].damaged;
    }
    double foreign = (after->machine - before->machine - publisher - reading - broker) / wall;
    double per_event = delivered > 0 ? 1e6 / (double)delivered : 0;
    printf("{");
    print_escaped("contestant", contestant.name);
    print_escaped("variant", options.variant);
    print_escaped("version", contestant.version != NULL ? contestant.version() : "");
    printf("\"task\": \"%s\", ", options.task == TASK_STREAM ? "stream" : "echo");
    printf("\"bytes\": %zu, \"readers\": %d, \"cpu\": %d, \"window\": %u, \"seconds\": %.6f, ",
           options.bytes, readers, options.cpu, contestant.may_drop ? options.window : 0, wall);
    printf("\"delivered\": %lu, \"rate\": %.1f, \"mb_per_s\": %.3f, ", delivered,
           (double)delivered / wall, (double)delivered * (double)options.bytes / wall / 1e6);
    printf("\"lost\": %lu, \"damaged\": %lu, \"stalls\": %lu, ", lost, damaged,
           (unsigned long)stage->stalls);
    printf("\"cpu_us\": %.4f, \"publisher_us\": %.4f, \"readers_us\": %.4f, \"broker_us\": %.4f, ",
           (publisher + reading + broker) * per_event, publisher * per_event,
           reading * per_event, broker * per_event);
    printf("\"foreign\": %.3f", foreign > 0 ? foreign : 0);
    if (options.task == TASK_ECHO)
        print_round_trips();
    printf("}\n");
}
