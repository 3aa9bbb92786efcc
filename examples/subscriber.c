/*
 * Prints the greetings that ./publisher sends.
 *
 *   cc subscriber.c -o subscriber $(pkg-config --cflags --libs libSaEvt)
 *   ./subscriber [HOW-MANY]        without a number: until it is interrupted
 */
#include <errno.h>
#include <poll.h>
#include <saEvt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long received;

static void must(SaAisErrorT code, const char *what)
{
    if (code != SA_AIS_OK) {
        fprintf(stderr, "subscriber: %s: AIS error %d\n", what, (int)code);
        exit(EXIT_FAILURE);
    }
}

/* Runs inside saEvtDispatch, once for each event. The event is ours, to be freed. */
static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT bytes)
{
    SaEvtEventIdT id;
    SaNameT publisher;
    char *data = malloc(bytes + 1);

    if (data == NULL)
        abort();
    must(saEvtEventAttributesGet(event, NULL, NULL, NULL, &publisher, NULL, &id),
         "saEvtEventAttributesGet");
    must(saEvtEventDataGet(event, data, &bytes), "saEvtEventDataGet");
    if (id == SA_EVT_EVENTID_LOST)
        printf("events were lost: this program was too slow\n");
    else
        printf("subscription %u: event %llu from %.*s: %.*s\n", (unsigned)subscription,
               (unsigned long long)id, (int)publisher.length, (char *)publisher.value, (int)bytes,
               data);
    fflush(stdout);
    free(data);
    must(saEvtEventFree(event), "saEvtEventFree");
    received++;
}

int main(int argc, char **argv)
{
    unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};
    SaVersionT version = {'B', 3, 1};
    SaNameT name = {.length = 16, .value = "safChnl=examples"};
    SaEvtHandleT library;
    SaEvtChannelHandleT channel;
    SaSelectionObjectT selection;

    must(saEvtInitialize(&library, &callbacks, &version), "saEvtInitialize");
    must(saEvtChannelOpen(library, &name, SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_SUBSCRIBER,
                          5 * SA_TIME_ONE_SECOND, &channel),
         "saEvtChannelOpen");

    /* The first pattern must begin with "greet"; whatever patterns follow are welcome. */
    SaEvtEventFilterT filter = {
        .filterType = SA_EVT_PREFIX_FILTER,
        .filter = {.patternSize = 5, .pattern = (SaUint8T *)"greet"},
    };
    SaEvtEventFilterArrayT filters = {.filtersNumber = 1, .filters = &filter};
    must(saEvtEventSubscribe(channel, &filters, 1), "saEvtEventSubscribe");
    printf("waiting for greetings\n");
    fflush(stdout);

    must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    struct pollfd ready = {.fd = (int)selection, .events = POLLIN};
    while (wanted == 0 || received < wanted) {
        if (poll(&ready, 1, -1) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        must(saEvtDispatch(library, wanted == 0 ? SA_DISPATCH_ALL : SA_DISPATCH_ONE),
             "saEvtDispatch");
    }
    must(saEvtFinalize(library), "saEvtFinalize");
    return EXIT_SUCCESS;
}
