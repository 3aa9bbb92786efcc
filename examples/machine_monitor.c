/*
 * Reports the state of this machine: load, memory, disk, and how a service it runs has ended.
 *
 *   machine_monitor [--rounds N] [--every MILLISECONDS] [--run COMMAND]
 *   machine_monitor --burst N
 *
 * The last state of each kind is retained for ten minutes, so that who comes later knows it too.
 * A service that ends is urgent: its report overtakes everything that still waits for a slow
 * reader. With --burst it sends N lines of trace as fast as it can, and nothing else.
 */
#include "machine.h"

#include <sys/statvfs.h>
#include <sys/wait.h>

/* The retained report of each kind of state, to be replaced by the next one. */
enum { STATE_LOAD, STATE_MEMORY, STATE_DISK, STATES };
static SaEvtEventIdT retained_id[STATES];

static SaEvtChannelHandleT channel;
static SaEvtEventHandleT event;
static char host[65];
static struct palette colours;

/* Publishes one report; waits while the service says that it is busy. */
static SaEvtEventIdT publish(const char *topic, const char *severity,
                             SaEvtEventPriorityT priority, SaTimeT retention, const char *text)
{
    SaEvtEventPatternT patterns[PATTERNS] = {
        [PATTERN_TOPIC] = {.patternSize = strlen(topic), .pattern = (SaUint8T *)topic},
        [PATTERN_HOST] = {.patternSize = strlen(host), .pattern = (SaUint8T *)host},
        [PATTERN_SEVERITY] = {.patternSize = strlen(severity), .pattern = (SaUint8T *)severity},
    };
    SaEvtEventPatternArrayT array = {.patternsNumber = PATTERNS, .patterns = patterns};
    SaNameT name = {.length = 15, .value = "machine_monitor"};
    SaEvtEventIdT id = SA_EVT_EVENTID_NONE;
    SaAisErrorT code;

    must(saEvtEventAttributesSet(event, &array, priority, retention, &name),
         "saEvtEventAttributesSet");
    while ((code = saEvtEventPublish(event, text, strlen(text), &id)) == SA_AIS_ERR_TRY_AGAIN)
        pause_ms(1);
    must(code, "saEvtEventPublish");
    if (id <= 1000)
        fail("machine_monitor: %llu is no id of a published event", (unsigned long long)id);
    return id;
}

static void announce(const char *topic, const char *severity, const char *text)
{
    printf("%-9s %s%-15s %-9s%s %s\n", "monitor", severity_colour(&colours, severity), topic,
           severity, colours.off, text);
    fflush(stdout);
}

/* A state replaces the retained one of its kind: a newcomer is given the last state only. */
static void publish_state(int kind, const char *topic, const char *severity, const char *text)
{
    SaEvtEventIdT former = retained_id[kind];
    retained_id[kind] =
        publish(topic, severity, SA_EVT_LOWEST_PRIORITY, 10 * SA_TIME_ONE_MINUTE, text);
    if (former != SA_EVT_EVENTID_NONE)
        must(saEvtEventRetentionTimeClear(channel, former), "saEvtEventRetentionTimeClear");
    announce(topic, severity, text);
}

static const char *severity_of(double share, double warning, double critical)
{
    return share >= critical ? "critical" : share >= warning ? "warning" : "normal";
}

static void report_load(void)
{
    double one, five, fifteen;
    int running, processes;
    char text[TEXT_BYTES_MAX];
    FILE *file = fopen("/proc/loadavg", "r");

    if (file == NULL || fscanf(file, "%lf %lf %lf %d/%d", &one, &five, &fifteen, &running,
                               &processes) != 5)
        fail("machine_monitor: /proc/loadavg cannot be read");
    fclose(file);
    double per_processor = one / (double)sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(text, sizeof text, "%.2f %.2f %.2f, %d of %d threads run", one, five, fifteen,
             running, processes);
    publish_state(STATE_LOAD, "state.load", severity_of(per_processor, 2, 8), text);
}

static void report_memory(void)
{
    char line[128], text[TEXT_BYTES_MAX];
    unsigned long long total_kib = 0, available_kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");

    if (file == NULL)
        fail("machine_monitor: /proc/meminfo cannot be read");
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "MemTotal: %llu", &total_kib);
        sscanf(line, "MemAvailable: %llu", &available_kib);
    }
    fclose(file);
    if (total_kib == 0)
        fail("machine_monitor: /proc/meminfo says nothing of memory");
    double used = 1 - (double)available_kib / (double)total_kib;
    snprintf(text, sizeof text, "%.1f of %.1f GiB used (%.0f%%)",
             used * (double)total_kib / 1048576, (double)total_kib / 1048576, used * 100);
    publish_state(STATE_MEMORY, "state.memory", severity_of(used, 0.9, 0.98), text);
}

static void report_disk(void)
{
    struct statvfs disk;
    char text[TEXT_BYTES_MAX];

    if (statvfs("/", &disk) != 0 || disk.f_blocks == 0)
        fail("machine_monitor: the size of / cannot be read");
    double total = (double)disk.f_blocks * (double)disk.f_frsize / (1 << 30);
    double used = 1 - (double)disk.f_bfree / (double)disk.f_blocks;
    snprintf(text, sizeof text, "/ %.1f of %.1f GiB used (%.0f%%)", used * total, total,
             used * 100);
    publish_state(STATE_DISK, "state.disk", severity_of(used, 0.9, 0.98), text);
}

static pid_t start_service(const char *command)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (child < 0)
        fail("machine_monitor: no process for %s", command);
    return child;
}

/* Tells how the service ended, once it has; gives its process id while it runs, then 0. */
static pid_t watch_service(pid_t service)
{
    int status;
    char text[TEXT_BYTES_MAX];

    if (service == 0 || waitpid(service, &status, WNOHANG) != service)
        return service;
    int is_crash = WIFSIGNALED(status);
    const char *severity = is_crash ? "critical" : WEXITSTATUS(status) != 0 ? "warning" : "normal";
    if (is_crash)
        snprintf(text, sizeof text, "process %d killed by signal %d (%s)", (int)service,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "process %d ended with status %d", (int)service,
                 WEXITSTATUS(status));
    publish("process.exit", severity, SA_EVT_HIGHEST_PRIORITY, SA_TIME_ONE_MINUTE, text);
    announce("process.exit", severity, text);
    return 0;
}

static void send_burst(long number)
{
    char text[TEXT_BYTES_MAX];
    for (long i = 1; i <= number; i++) {
        snprintf(text, sizeof text, "line %ld of %ld", i, number);
        publish("trace.line", "normal", SA_EVT_LOWEST_PRIORITY, 0, text);
    }
    printf("%-9s sent %ld lines of trace\n", "monitor", number);
}

int main(int argc, char **argv)
{
    long rounds = 5, every_ms = 1000, burst = 0;
    pid_t service = 0;

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0)
            rounds = strtol(argv[i + 1], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--every") == 0)
            every_ms = strtol(argv[i + 1], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--burst") == 0)
            burst = strtol(argv[i + 1], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--run") == 0)
            service = start_service(argv[i + 1]);
        else
            fail("usage: machine_monitor [--rounds N] [--every MS] [--run COMMAND] | --burst N");
    }
    colours = palette();
    if (gethostname(host, sizeof host - 1) != 0)
        fail("machine_monitor: this host has no name");

    SaEvtHandleT library = initialize(NULL);
    channel = open_machine(library, SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_PUBLISHER);
    must(saEvtEventAllocate(channel, &event), "saEvtEventAllocate");
    if (burst > 0)
        send_burst(burst);
    for (long round = 0; burst == 0 && (round < rounds || service != 0); round++) {
        report_load();
        report_memory();
        report_disk();
        pause_ms(every_ms);
        service = watch_service(service);
    }
    publish(TOPIC_STOPPED, "normal", 1, 0, "the monitor has finished");
    must(saEvtFinalize(library), "saEvtFinalize");
    return EXIT_SUCCESS;
}
