/* What the roles share, and the choice of the role: driver ROLE [key=value...]. */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* How long a service that is asked to try again is given. */
#define TRY_AGAIN_SECONDS 20

static int argument_count;
static char **argument_values;

void take_arguments(int count, char **values)
{
    argument_count = count;
    argument_values = values;
}

const char *argument_text(const char *key, const char *otherwise)
{
    size_t bytes = strlen(key);
    int i;

    for (i = 2; i < argument_count; i++)
        if (!strncmp(argument_values[i], key, bytes) && argument_values[i][bytes] == '=')
            return argument_values[i] + bytes + 1;
    return otherwise;
}

long argument(const char *key, long otherwise)
{
    const char *text = argument_text(key, NULL);

    return text ? atol(text) : otherwise;
}

void must(SaAisErrorT code, const char *call)
{
    if (code != SA_AIS_OK) {
        fprintf(stderr, "driver %s: %s: AIS error %d\n", argument_values[1], call, (int)code);
        exit(1);
    }
}

void must_system(int right, const char *call)
{
    if (!right) {
        fprintf(stderr, "driver %s: %s: %s\n", argument_values[1], call, strerror(errno));
        exit(1);
    }
}

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void answer(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    putchar('\n');
    fflush(stdout);
}

int command(char word[32], long *number)
{
    char line[80];

    *number = 0;
    return fgets(line, sizeof line, stdin) && sscanf(line, "%31s %ld", word, number) >= 1;
}

/* ---- Receiving ------------------------------------------------------------------------- */

struct received received;

static SaTimeT wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (SaTimeT)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* An event that is out of order: whatever is missing was published after the one before, so a
 * lost-event that tells of it has come since then. */
static void note_gap(void)
{
    received.gaps++;
    if (received.times && received.lost_at < received.published_at)
        received.silent++;
}

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    static uint64_t data[EVENT_BYTES_MAX / sizeof(uint64_t)];
    SaSizeT bytes = sizeof data;
    SaEvtEventIdT id = SA_EVT_EVENTID_NONE;

    (void)subscription;
    if (size == 0) {
        must(saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, &id), "AttributesGet");
        received.lost += id == SA_EVT_EVENTID_LOST;
        received.lost_at = wall_ns();
    } else {
        must(saEvtEventDataGet(event, data, &bytes), "saEvtEventDataGet");
        if (data[0] != received.next)
            note_gap();
        if (received.times)
            must(saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, &received.published_at,
                                         NULL), "saEvtEventAttributesGet");
        received.next = data[0] + 1;
        received.events++;
        if (received.count)
            *received.count = received.events;
    }
    if (size > 0 && received.keep > 0)
        received.keep--;
    else
        must(saEvtEventFree(event), "saEvtEventFree");
}

void receive(SaEvtHandleT library, SaSelectionObjectT selection, uint64_t goal)
{
    struct pollfd wait = {.fd = (int)selection, .events = POLLIN};

    while (received.events < goal) {
        must_system(poll(&wait, 1, -1) >= 0 || errno == EINTR, "poll");
        must(saEvtDispatch(library, SA_DISPATCH_ALL), "saEvtDispatch");
    }
}

volatile uint64_t *shared_count(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *memory;

    must_system(file >= 0 && ftruncate(file, 4096) == 0, path);
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must_system(memory != MAP_FAILED, "mmap");
    close(file);
    return memory;
}

/* ---- The service ----------------------------------------------------------------------- */

SaEvtHandleT library_open(void)
{
    SaVersionT version = {'B', 3, 1};
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};
    uint64_t end = now_ns() + TRY_AGAIN_SECONDS * 1000000000ull;
    SaEvtHandleT library;
    SaAisErrorT code;

    while ((code = saEvtInitialize(&library, &callbacks, &version)) == SA_AIS_ERR_TRY_AGAIN &&
           now_ns() < end)
        usleep(1000);
    must(code, "saEvtInitialize");
    return library;
}

SaEvtChannelHandleT channel_open(SaEvtHandleT library, const char *name, long index)
{
    SaEvtChannelOpenFlagsT flags =
        SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_PUBLISHER | SA_EVT_CHANNEL_SUBSCRIBER;
    SaEvtChannelHandleT channel;
    SaNameT full;

    full.length = (SaUint16T)snprintf((char *)full.value, sizeof full.value, "safChnl=%s-%ld",
                                      name, index);
    must(saEvtChannelOpen(library, &full, flags, 20 * SA_TIME_ONE_SECOND, &channel),
         "saEvtChannelOpen");
    return channel;
}

SaEvtChannelHandleT channels_open(SaEvtHandleT library, const char *name, long count)
{
    SaEvtChannelHandleT first = channel_open(library, name, 0);
    long i;

    for (i = 1; i < count; i++)
        channel_open(library, name, i);
    return first;
}

void subscribe(SaEvtChannelHandleT channel, long count)
{
    char text[32];
    SaEvtEventFilterT filter = {SA_EVT_EXACT_FILTER, {.pattern = (SaUint8T *)text}};
    SaEvtEventFilterArrayT filters = {.filtersNumber = 1, .filters = &filter};
    long i;

    for (i = 1; i <= count; i++) {
        if (i < count)
            snprintf(text, sizeof text, IDLE_PATTERN "-%ld", i);
        else
            strcpy(text, PATTERN);
        filter.filter.patternSize = strlen(text);
        must(saEvtEventSubscribe(channel, &filters, (SaEvtSubscriptionIdT)i),
             "saEvtEventSubscribe");
    }
}

SaEvtEventHandleT event_new(SaEvtChannelHandleT channel, const char *pattern, SaTimeT retention)
{
    SaEvtEventPatternT only = {.patternSize = strlen(pattern), .pattern = (SaUint8T *)pattern};
    SaEvtEventPatternArrayT patterns = {.patternsNumber = 1, .patterns = &only};
    SaEvtEventHandleT event;

    must(saEvtEventAllocate(channel, &event), "saEvtEventAllocate");
    must(saEvtEventAttributesSet(event, &patterns, SA_EVT_LOWEST_PRIORITY, retention, NULL),
         "saEvtEventAttributesSet");
    return event;
}

long publish(SaEvtEventHandleT event, const void *data, size_t bytes)
{
    SaEvtEventIdT id;
    SaAisErrorT code;
    long refused = 0;

    while ((code = saEvtEventPublish(event, data, bytes, &id)) == SA_AIS_ERR_TRY_AGAIN) {
        refused++;
        usleep(20);
    }
    must(code, "saEvtEventPublish");
    return refused;
}

int main(int count, char **values)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } roles[] = {
        {"publisher", role_publisher}, {"subscriber", role_subscriber}, {"ping", role_ping},
        {"pong", role_pong},           {"crowd", role_crowd},           {"retainer", role_retainer},
        {"handles", role_handles},     {"start", role_start},           {"flood", role_flood},
        {"slow", role_slow},           {"hog", role_hog},
    };
    size_t i;

    take_arguments(count, values);
    for (i = 0; count > 1 && i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(values[1], roles[i].name))
            return roles[i].run();
    fprintf(stderr, "usage: driver ROLE [key=value...]\n");
    return 2;
}
