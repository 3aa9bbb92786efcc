/*
 * A retained event: published before anybody listens, and delivered all the same.
 *
 *   cc retained.c -o retained $(pkg-config --cflags --libs libSaEvt)
 *   ./retained                     exit status 0 if everything went as described here
 */
#include <poll.h>
#include <saEvt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static SaEvtEventIdT delivered_id;

static void must(SaAisErrorT code, const char *what)
{
    if (code != SA_AIS_OK) {
        fprintf(stderr, "retained: %s: AIS error %d\n", what, (int)code);
        exit(EXIT_FAILURE);
    }
}

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT bytes)
{
    char data[64];
    (void)subscription;

    if (bytes > sizeof data)
        exit(EXIT_FAILURE);
    must(saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, &delivered_id),
         "saEvtEventAttributesGet");
    must(saEvtEventDataGet(event, data, &bytes), "saEvtEventDataGet");
    must(saEvtEventFree(event), "saEvtEventFree");
    printf("a late subscriber was given event %llu: %.*s\n", (unsigned long long)delivered_id,
           (int)bytes, data);
}

/* Opens the channel once more, subscribes there to everything, and dispatches what is there. */
static void subscribe_late(SaEvtHandleT library, const SaNameT *name)
{
    SaEvtChannelHandleT channel;
    SaSelectionObjectT selection;
    SaEvtEventFilterArrayT everything = {.filtersNumber = 0};

    must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    must(saEvtChannelOpen(library, name, SA_EVT_CHANNEL_SUBSCRIBER, 5 * SA_TIME_ONE_SECOND,
                          &channel),
         "saEvtChannelOpen");
    must(saEvtEventSubscribe(channel, &everything, 1), "saEvtEventSubscribe");
    /* What was retained is there as soon as the subscription is: no time to wait. */
    struct pollfd ready = {.fd = (int)selection, .events = POLLIN};
    while (poll(&ready, 1, 0) > 0)
        must(saEvtDispatch(library, SA_DISPATCH_ALL), "saEvtDispatch");
    must(saEvtChannelClose(channel), "saEvtChannelClose");
}

int main(void)
{
    static const char state[] = "the pump is on";
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};
    SaVersionT version = {'B', 3, 1};
    SaNameT name;
    SaEvtHandleT library;
    SaEvtChannelHandleT channel;
    SaEvtEventHandleT event;
    SaEvtEventIdT id;

    name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safChnl=pump-%ld",
                                      (long)getpid());
    must(saEvtInitialize(&library, &callbacks, &version), "saEvtInitialize");
    must(saEvtChannelOpen(library, &name, SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_PUBLISHER,
                          5 * SA_TIME_ONE_SECOND, &channel),
         "saEvtChannelOpen");
    must(saEvtEventAllocate(channel, &event), "saEvtEventAllocate");
    must(saEvtEventAttributesSet(event, NULL, SA_EVT_LOWEST_PRIORITY, SA_TIME_ONE_HOUR, NULL),
         "saEvtEventAttributesSet");
    must(saEvtEventPublish(event, state, strlen(state), &id), "saEvtEventPublish");
    printf("published event %llu, to be kept for an hour\n", (unsigned long long)id);

    subscribe_late(library, &name);
    if (delivered_id != id) {
        fprintf(stderr, "retained: the event was not delivered\n");
        return EXIT_FAILURE;
    }

    must(saEvtEventRetentionTimeClear(channel, id), "saEvtEventRetentionTimeClear");
    delivered_id = SA_EVT_EVENTID_NONE;
    subscribe_late(library, &name);
    if (delivered_id != SA_EVT_EVENTID_NONE) {
        fprintf(stderr, "retained: the event was delivered although it had been cleared\n");
        return EXIT_FAILURE;
    }
    printf("cleared: the next subscriber is given nothing\n");

    must(saEvtChannelUnlink(library, &name), "saEvtChannelUnlink");
    must(saEvtFinalize(library), "saEvtFinalize");
    return EXIT_SUCCESS;
}
