/* A program on a node of a cluster: does what its standard input says, a command a line, by the
 * public headers alone. Each is answered by a line `= CODE ID`; after a burst the ID is how often
 * the service has refused to take an event; callbacks are told as
 *
 *   ! event SUBSCRIPTION ID PRIORITY NUMBER SIZE good|bad
 *   ! lost SUBSCRIPTION
 *
 * The data of an event follow from its number and size, so every byte is checked on arrival.
 */
#include <errno.h>
#include <poll.h>
#include <saEvt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHANNELS 32
#define BYTES_MAX 65536

static struct {
    char name[64];
    SaEvtChannelHandleT handle;
} channels[CHANNELS];

static SaEvtHandleT library;
static SaSelectionObjectT object = (SaSelectionObjectT)-1;
static unsigned char data[BYTES_MAX];

/* The data of event `number`: the number in eight bytes, then bytes that follow from it. */
static void fill(unsigned char *to, size_t size, unsigned long number)
{
    size_t at;

    for (at = 0; at < size; at++)
        to[at] = (unsigned char)(at < 8 ? number >> (8 * at) : (number * 31 + at * 7) & 0xff);
}

static unsigned long number_of(const unsigned char *from, size_t size)
{
    unsigned long number = 0;
    size_t at;

    for (at = 0; at < size && at < 8; at++)
        number |= (unsigned long)from[at] << (8 * at);
    return number;
}

static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    static unsigned char got[BYTES_MAX], wanted[BYTES_MAX];
    SaUint8T priority;
    SaEvtEventIdT id;
    SaSizeT length = sizeof got;
    unsigned long number;

    saEvtEventAttributesGet(event, NULL, &priority, NULL, NULL, NULL, &id);
    if (id == SA_EVT_EVENTID_LOST) {
        printf("! lost %lu\n", (unsigned long)subscription);
    } else if (saEvtEventDataGet(event, got, &length) != SA_AIS_OK || length != size) {
        printf("! unreadable %lu\n", (unsigned long)subscription);
    } else {
        number = number_of(got, length);
        fill(wanted, length, number);
        printf("! event %lu %llu %u %lu %lu %s\n", (unsigned long)subscription,
            (unsigned long long)id, priority, number, (unsigned long)length,
            memcmp(got, wanted, length) == 0 ? "good" : "bad");
    }
    saEvtEventFree(event);
}

static SaNameT named(const char *word)
{
    SaNameT name;

    memset(&name, 0, sizeof name);
    name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safChnl=%s", word);
    return name;
}

static SaEvtChannelHandleT *channel(const char *name)
{
    int at;

    for (at = 0; at < CHANNELS - 1 && channels[at].name[0] != '\0'; at++)
        if (strcmp(channels[at].name, name) == 0)
            break;
    strncpy(channels[at].name, name, sizeof channels[at].name - 1);
    return &channels[at].handle;
}

static SaAisErrorT initialize(unsigned release)
{
    SaVersionT version = { 'B', (SaUint8T)release, 1 };
    SaEvtCallbacksT callbacks = { NULL, deliver };
    SaAisErrorT code = saEvtInitialize(&library, &callbacks, &version);

    if (code == SA_AIS_OK)
        code = saEvtSelectionObjectGet(library, &object);
    return code;
}

static SaAisErrorT open_channel(const char *name, const char *letters, long milliseconds)
{
    SaEvtChannelOpenFlagsT flags = 0;
    SaNameT whole = named(name);

    if (strchr(letters, 'p') != NULL)
        flags |= SA_EVT_CHANNEL_PUBLISHER;
    if (strchr(letters, 's') != NULL)
        flags |= SA_EVT_CHANNEL_SUBSCRIBER;
    if (strchr(letters, 'c') != NULL)
        flags |= SA_EVT_CHANNEL_CREATE;
    return saEvtChannelOpen(library, &whole, flags, milliseconds * 1000000LL, channel(name));
}

static SaAisErrorT subscribe(const char *name, unsigned subscription)
{
    SaEvtEventFilterT all = { SA_EVT_PASS_ALL_FILTER, { 0, 0, NULL } };
    SaEvtEventFilterArrayT filters = { 1, &all };

    return saEvtEventSubscribe(*channel(name), &filters, subscription);
}

static SaAisErrorT publish(const char *name, unsigned priority, long milliseconds,
    unsigned long size, unsigned long number, SaEvtEventIdT *id)
{
    static SaUint8T text[] = "p";
    SaEvtEventPatternT pattern = { 1, 1, text };
    SaEvtEventPatternArrayT patterns = { 1, 1, &pattern };
    SaEvtEventHandleT event;
    SaTimeT retention = milliseconds * 1000000LL;
    SaAisErrorT code = saEvtEventAllocate(*channel(name), &event);

    if (code != SA_AIS_OK)
        return code;
    code = saEvtEventAttributesSet(event, &patterns, (SaUint8T)priority, retention, NULL);
    fill(data, size, number);
    if (code == SA_AIS_OK)
        code = saEvtEventPublish(event, data, size, id);
    saEvtEventFree(event);
    return code;
}

static void rest(long nanoseconds)
{
    struct timespec span = { 0, nanoseconds };

    nanosleep(&span, NULL);
}

/* Publishes numbered events, each until it is taken; `refused` counts how often one was not. */
static SaAisErrorT burst(const char *name, unsigned long first, unsigned long count,
    unsigned long size, unsigned priority, SaEvtEventIdT *refused)
{
    unsigned long number;
    SaEvtEventIdT id;

    for (number = first; number < first + count; number++) {
        for (;;) {
            SaAisErrorT code = publish(name, priority, 0, size, number, &id);

            if (code == SA_AIS_OK)
                break;
            if (code != SA_AIS_ERR_TRY_AGAIN)
                return code;
            ++*refused;
            rest(1000000);
        }
        if (number % 16 == 0)
            rest(200000);
    }
    return SA_AIS_OK;
}

static void obey(char *line)
{
    char name[64] = "", letters[8] = "";
    unsigned long one = 0, two = 0, three = 0, four = 0;
    unsigned long long event = 0;
    SaEvtEventIdT id = 0;
    SaNameT whole;
    SaAisErrorT code;

    if (sscanf(line, "init %lu", &one) == 1) {
        code = initialize((unsigned)one);
    } else if (strcmp(line, "finalize") == 0) {
        code = saEvtFinalize(library);
        object = (SaSelectionObjectT)-1;
    } else if (sscanf(line, "open %63s %7s %lu", name, letters, &one) == 3) {
        code = open_channel(name, letters, (long)one);
    } else if (sscanf(line, "close %63s", name) == 1) {
        code = saEvtChannelClose(*channel(name));
    } else if (sscanf(line, "unlink %63s", name) == 1) {
        whole = named(name);
        code = saEvtChannelUnlink(library, &whole);
    } else if (sscanf(line, "sub %63s %lu", name, &one) == 2) {
        code = subscribe(name, (unsigned)one);
    } else if (sscanf(line, "pub %63s %lu %lu %lu %lu", name, &one, &two, &three, &four) == 5) {
        code = publish(name, (unsigned)one, (long)two, three, four, &id);
    } else if (sscanf(line, "burst %63s %lu %lu %lu %lu", name, &one, &two, &three, &four) >= 4) {
        /* If nothing else is said, of the highest priority, as lost-events are: neither overtakes
         * the other. */
        code = burst(name, one, two, three, (unsigned)four, &id);
    } else if (sscanf(line, "clear %63s %llu", name, &event) == 2) {
        code = saEvtEventRetentionTimeClear(*channel(name), event);
    } else {
        fprintf(stderr, "actor: no such command: %s\n", line);
        exit(2);
    }
    printf("= %d %llu\n", (int)code, (unsigned long long)id);
}

/* Takes lines from standard input; false at its end. */
static int listen_once(void)
{
    static char held[4096];
    static size_t length;
    ssize_t got = read(STDIN_FILENO, held + length, sizeof held - 1 - length);
    char *end;

    if (got <= 0)
        return 0;
    length += (size_t)got;
    held[length] = '\0';
    while ((end = strchr(held, '\n')) != NULL) {
        *end = '\0';
        obey(held);
        length -= (size_t)(end + 1 - held);
        memmove(held, end + 1, length + 1);
    }
    return 1;
}

int main(void)
{
    struct pollfd watched[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };
    SaAisErrorT code, told = SA_AIS_OK;

    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    for (;;) {
        /* What cannot be dispatched is told once, and not asked for again. */
        watched[1].fd = told == SA_AIS_ERR_UNAVAILABLE ? -1 : (int)object;
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (watched[0].revents != 0 && !listen_once())
            return 0;
        if (watched[1].revents != 0) {
            code = saEvtDispatch(library, SA_DISPATCH_ALL);
            if (code != SA_AIS_OK && code != told)
                printf("! dispatch %d\n", (int)code);
            told = code;
        } else if (object == (SaSelectionObjectT)-1) {
            told = SA_AIS_OK;
        }
    }
}
