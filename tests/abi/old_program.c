/*
 * A program as it was built for an older library: linked with a stub that looks like openais' or
 * OpenSAF's, run on ours. It calls every function of that library and checks what comes back.
 *
 * OPENSAF defined: OpenSAF's 19 functions and its two name functions; else openais' 17.
 */
#ifdef OPENSAF
#define SA_EXTENDED_NAME_SOURCE
#endif
#include <poll.h>
#include <saEvt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
            exit(EXIT_FAILURE);                                                                  \
        }                                                                                        \
    } while (0)

static const char text[] = "from an older program";
static SaUint8T topic[] = "abi";
static SaEvtEventIdT published, delivered;

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT bytes)
{
    char data[sizeof text];
    SaUint8T pattern[sizeof topic];
    SaEvtEventPatternT patterns = {.allocatedSize = sizeof pattern, .pattern = pattern};
    SaEvtEventPatternArrayT array = {.allocatedNumber = 1, .patterns = &patterns};
    SaEvtEventPriorityT priority = 9;
    SaTimeT retention = -1;

    CHECK(subscription == 7 && bytes == sizeof text);
    CHECK(saEvtEventAttributesGet(event, &array, &priority, &retention, NULL, NULL, &delivered)
          == SA_AIS_OK);
    CHECK(array.patternsNumber == 1 && patterns.patternSize == sizeof topic);
    CHECK(memcmp(pattern, topic, sizeof topic) == 0);
    CHECK(priority == 2 && retention == SA_TIME_ONE_MINUTE);
    CHECK(saEvtEventDataGet(event, data, &bytes) == SA_AIS_OK);
    CHECK(bytes == sizeof text && memcmp(data, text, sizeof text) == 0);
#ifdef OPENSAF
    SaEvtEventPatternArrayT made = {.patterns = NULL};
    CHECK(saEvtEventAttributesGet(event, &made, NULL, NULL, NULL, NULL, NULL) == SA_AIS_OK);
    CHECK(made.patternsNumber == 1 && memcmp(made.patterns[0].pattern, topic, sizeof topic) == 0);
    CHECK(saEvtEventPatternFree(event, made.patterns) == SA_AIS_OK);
#endif
    CHECK(saEvtEventFree(event) == SA_AIS_OK);
}

static SaNameT channel_name(void)
{
    SaNameT name;
    char value[64];
    snprintf(value, sizeof value, "safChnl=abi-%ld", (long)getpid());
#ifdef OPENSAF
    saAisNameLend(value, &name);
    CHECK(strcmp(saAisNameBorrow(&name), value) == 0);
#else
    name.length = (SaUint16T)strlen(value);
    memcpy(name.value, value, name.length);
#endif
    return name;
}

static void publish(SaEvtChannelHandleT channel)
{
    SaEvtEventHandleT event;
    SaEvtEventPatternT pattern = {.patternSize = sizeof topic, .pattern = topic};
    SaEvtEventPatternArrayT array = {.patternsNumber = 1, .patterns = &pattern};

    CHECK(saEvtEventAllocate(channel, &event) == SA_AIS_OK);
    CHECK(saEvtEventAttributesSet(event, &array, 2, SA_TIME_ONE_MINUTE, NULL) == SA_AIS_OK);
    CHECK(saEvtEventPublish(event, text, sizeof text, &published) == SA_AIS_OK);
    CHECK(published > 1000);
}

int main(void)
{
#ifdef OPENSAF
    SaVersionT version = {'B', 3, 1};
#else
    SaVersionT version = {'B', 1, 1};
#endif
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};
    SaNameT name = channel_name();
    SaEvtHandleT library;
    SaEvtChannelHandleT channel;
    SaSelectionObjectT selection;
    SaEvtEventFilterT filter = {.filterType = SA_EVT_EXACT_FILTER};
    SaEvtEventFilterArrayT filters = {.filtersNumber = 1, .filters = &filter};

    CHECK(saEvtInitialize(&library, &callbacks, &version) == SA_AIS_OK);
    CHECK(version.releaseCode == 'B' && version.majorVersion == 3);
    CHECK(saEvtChannelOpen(library, &name,
                           SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_PUBLISHER
                               | SA_EVT_CHANNEL_SUBSCRIBER,
                           SA_TIME_ONE_MINUTE, &channel)
          == SA_AIS_OK);
    /* No open callback was registered. */
    CHECK(saEvtChannelOpenAsync(library, 1, &name, SA_EVT_CHANNEL_PUBLISHER) == SA_AIS_ERR_INIT);
    filter.filter.patternSize = sizeof topic;
    filter.filter.pattern = topic;
    CHECK(saEvtEventSubscribe(channel, &filters, 7) == SA_AIS_OK);
    publish(channel);

    CHECK(saEvtSelectionObjectGet(library, &selection) == SA_AIS_OK);
    struct pollfd ready = {.fd = (int)selection, .events = POLLIN};
    while (delivered == SA_EVT_EVENTID_NONE) {
        CHECK(poll(&ready, 1, -1) == 1);
        CHECK(saEvtDispatch(library, SA_DISPATCH_ONE) == SA_AIS_OK);
    }
    CHECK(delivered == published);

#ifdef OPENSAF
    SaLimitValueT limit = {.uint64Value = 0};
    CHECK(saEvtLimitGet(library, SA_EVT_MAX_EVT_SIZE_ID, &limit) == SA_AIS_OK);
    CHECK(limit.uint64Value >= 65536);
#endif
    CHECK(saEvtEventRetentionTimeClear(channel, published) == SA_AIS_OK);
    CHECK(saEvtEventUnsubscribe(channel, 7) == SA_AIS_OK);
    CHECK(saEvtChannelUnlink(library, &name) == SA_AIS_OK);
    CHECK(saEvtChannelClose(channel) == SA_AIS_OK);
    CHECK(saEvtFinalize(library) == SA_AIS_OK);
    puts("whole round done");
    return EXIT_SUCCESS;
}
