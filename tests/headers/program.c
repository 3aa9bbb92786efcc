/* Uses every type and function of the headers, so that compiling it in each language shows that
 * they mean the same everywhere and raise no warning. */
#include <saEvt.h>

static void on_open(SaInvocationT invocation, SaEvtChannelHandleT channel, SaAisErrorT error)
{
    (void)invocation;
    (void)channel;
    (void)error;
}

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    SaTimeT time = SA_TIME_UNKNOWN;
    SaEvtEventIdT id = SA_EVT_EVENTID_NONE;

    (void)subscription;
    (void)size;
    if (saEvtEventAttributesGet(event, 0, 0, 0, 0, &time, &id) == SA_AIS_OK &&
        time != SA_TIME_UNKNOWN && id != SA_EVT_EVENTID_LOST) {
        saEvtEventFree(event);
    }
}

SaAisErrorT use(SaEvtEventPatternArrayT *patterns, SaEvtEventFilterArrayT *filters, SaNameT *name);

SaAisErrorT use(SaEvtEventPatternArrayT *patterns, SaEvtEventFilterArrayT *filters, SaNameT *name)
{
    SaEvtCallbacksT callbacks = {on_open, on_event};
    SaVersionT version = {'B', 3, 1};
    SaEvtChannelOpenFlagsT flags = SA_EVT_CHANNEL_PUBLISHER | SA_EVT_CHANNEL_CREATE;
    SaEvtHandleT evt = SA_HANDLE_INVALID;
    SaEvtChannelHandleT channel = SA_HANDLE_INVALID;
    SaEvtEventHandleT event = SA_HANDLE_INVALID;
    SaEvtEventIdT id = SA_EVT_EVENTID_NONE;
    SaSelectionObjectT object = 0;
    SaLimitValueT limit;
    SaSizeT size = 0;
    SaBoolT done = SA_FALSE;

    if (saEvtInitialize(&evt, &callbacks, &version) != SA_AIS_OK ||
        saEvtSelectionObjectGet(evt, &object) != SA_AIS_OK ||
        saEvtLimitGet(evt, SA_EVT_MAX_EVT_SIZE_ID, &limit) != SA_AIS_OK ||
        saEvtChannelOpen(evt, name, flags, SA_TIME_ONE_SECOND, &channel) != SA_AIS_OK ||
        saEvtChannelOpenAsync(evt, 1, name, flags) != SA_AIS_OK ||
        saEvtEventSubscribe(channel, filters, 1) != SA_AIS_OK ||
        saEvtEventAllocate(channel, &event) != SA_AIS_OK ||
        saEvtEventAttributesSet(event, patterns, SA_EVT_LOWEST_PRIORITY, 0, name) != SA_AIS_OK ||
        saEvtEventPublish(event, SA_EVT_LOST_EVENT, 1, &id) != SA_AIS_OK ||
        saEvtEventDataGet(event, 0, &size) != SA_AIS_OK ||
        saEvtEventPatternFree(event, patterns->patterns) != SA_AIS_OK ||
        saEvtEventRetentionTimeClear(channel, id) != SA_AIS_OK ||
        saEvtEventUnsubscribe(channel, 1) != SA_AIS_OK ||
        saEvtChannelClose(channel) != SA_AIS_OK ||
        saEvtChannelUnlink(evt, name) != SA_AIS_OK) {
        done = SA_TRUE;
    }
    return done ? saEvtFinalize(evt) : saEvtDispatch(evt, SA_DISPATCH_ALL);
}

#ifdef SA_EXTENDED_NAME_SOURCE
SaConstStringT use_names(SaNameT *name);

SaConstStringT use_names(SaNameT *name)
{
    saAisNameLend("safChnl=x", name);
    return saAisNameBorrow(name);
}
#endif
