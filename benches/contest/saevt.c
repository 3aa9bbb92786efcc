/*
 * This project, through its public headers: one channel for each direction, one pattern of 16
 * bytes, one exact filter that matches. A reader polls the selection object, dispatches all, copies
 * each event out and frees it. A publisher allocates one event and publishes it again and again.
 */
#include "common.h"

#include <saEvt.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static SaEvtHandleT library;
static SaEvtEventHandleT event;
static SaSelectionObjectT readable;
static unsigned char buffer[MESSAGE_BYTES_MAX];

/*
 * In a cluster CONTEST_SOCKETS has the daemons of the nodes, separated by colons: that of the one
 * who sends first, then those of the readers.
 */
static void go_to_node(int number)
{
    const char *sockets = getenv("CONTEST_SOCKETS");
    char *list = sockets != NULL ? strdup(sockets) : NULL, *socket = NULL;

    if (list == NULL || library != 0)
        return;
    for (int i = 0; i <= number; i++)
        socket = strtok(i == 0 ? list : NULL, ":");
    if (socket == NULL)
        fail("CONTEST_SOCKETS names no daemon for node %d", number);
    setenv("SAEVT_SOCKET", socket, 1);
    free(list);
}

static SaEvtEventPatternT pattern(int topic)
{
    return (SaEvtEventPatternT){.patternSize = PATTERN_BYTES,
                                .pattern = (SaUint8T *)pattern_of[topic]};
}

static void check(SaAisErrorT code, const char *what)
{
    if (code != SA_AIS_OK)
        fail("%s: AIS error %d", what, (int)code);
}

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT delivered, SaSizeT size)
{
    SaSizeT bytes = sizeof buffer;
    (void)subscription, (void)size;
    check(saEvtEventDataGet(delivered, buffer, &bytes), "saEvtEventDataGet");
    check(saEvtEventFree(delivered), "saEvtEventFree");
    arrived(buffer, bytes);
}

static SaEvtChannelHandleT open_channel(int topic, SaEvtChannelOpenFlagsT flags)
{
    SaVersionT version = {'B', 3, 1};
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};
    SaEvtChannelHandleT channel;
    SaNameT name;

    if (library == 0)
        check(saEvtInitialize(&library, &callbacks, &version), "saEvtInitialize");
    name.length = (SaUint16T)sprintf((char *)name.value, "safChnl=contest%d", topic);
    check(saEvtChannelOpen(library, &name, flags | SA_EVT_CHANNEL_CREATE, 10 * SA_TIME_ONE_SECOND,
                           &channel),
          "saEvtChannelOpen");
    return channel;
}

static void subscribe(int topic, int reader)
{
    SaEvtEventFilterT filter = {.filterType = SA_EVT_EXACT_FILTER, .filter = pattern(topic)};
    SaEvtEventFilterArrayT filters = {.filtersNumber = 1, .filters = &filter};
    SaEvtChannelHandleT channel;

    go_to_node(reader + 1);
    channel = open_channel(topic, SA_EVT_CHANNEL_SUBSCRIBER);
    check(saEvtEventSubscribe(channel, &filters, 1), "saEvtEventSubscribe");
    check(saEvtSelectionObjectGet(library, &readable), "saEvtSelectionObjectGet");
}

static void advertise(int topic)
{
    SaEvtEventPatternT exact = pattern(topic);
    SaEvtEventPatternArrayT patterns = {.patternsNumber = 1, .patterns = &exact};
    SaEvtChannelHandleT channel;

    go_to_node(0);
    channel = open_channel(topic, SA_EVT_CHANNEL_PUBLISHER);
    check(saEvtEventAllocate(channel, &event), "saEvtEventAllocate");
    check(saEvtEventAttributesSet(event, &patterns, SA_EVT_LOWEST_PRIORITY, 0, NULL),
          "saEvtEventAttributesSet");
}

/*
 * The daemon is behind. To give it the processor was as fast as sleeping or faster at every size,
 * and costs less processor time than the wake-ups that follow a sleep. --variant sleep compares.
 */
static void wait_for_room(void)
{
    struct timespec pause = {.tv_nsec = 1000};
    if (strcmp(options.variant, "sleep") == 0)
        nanosleep(&pause, NULL);
    else
        sched_yield();
}

static void send_message(const void *message, size_t bytes)
{
    SaEvtEventIdT id;
    SaAisErrorT code;
    while ((code = saEvtEventPublish(event, message, bytes, &id)) == SA_AIS_ERR_TRY_AGAIN)
        wait_for_room();
    check(code, "saEvtEventPublish");
}

static void receive(void)
{
    struct pollfd entry = {.fd = (int)readable, .events = POLLIN};
    if (poll(&entry, 1, -1) < 0)
        must(errno == EINTR, "poll");
    else
        check(saEvtDispatch(library, SA_DISPATCH_ALL), "saEvtDispatch");
}

static void leave(void)
{
    saEvtFinalize(library);
}

const struct contestant contestant = {
    .name = "saevt",
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .receive = receive,
    .leave = leave,
};
