/*
 * saEvt.h: the Event Service of the Application Interface Specification, release B.03.01, served
 * by libSaEvt for programs of releases B.01, B.02 and B.03.
 *
 * Programs publish events on named channels and subscribe to them by filters; neither side knows
 * the other. What follows holds for every function:
 *
 * Order of checks. Arguments (SA_AIS_ERR_INVALID_PARAM), flags, the handle, its version,
 * membership of this node, callbacks, access, sizes, existence, and last the service.
 *
 * Outputs are written only on SA_AIS_OK, unless the function says otherwise.
 *
 * Memory. Everything passed in is copied and stays the caller's. The only memory the library gives
 * away is the pattern array of saEvtEventAttributesGet().
 *
 * Threads. Every function may be called by any thread at any time, also with handles other threads
 * are using and inside callbacks, but not in signal handlers. A pointer argument must not be
 * written by another thread during the call. Handles mean nothing in a child made by fork().
 *
 * Codes of all functions, beside those that each one lists:
 *
 * - SA_AIS_OK: done.
 * - SA_AIS_ERR_BAD_HANDLE: the handle was never issued, is of another kind, has been finalized,
 *   closed or freed, or what it was made from has. Not from saEvtInitialize().
 * - SA_AIS_ERR_LIBRARY: the library found itself defective; this process can use it no more.
 * - SA_AIS_ERR_TIMEOUT: time ran out; it is unknown whether the operation took place.
 * - SA_AIS_ERR_TRY_AGAIN: not possible now; nothing happened, and the call may be repeated.
 * - SA_AIS_ERR_NO_MEMORY: memory is short; nothing happened. Not from saEvtDispatch(),
 *   saEvtFinalize(), saEvtChannelClose(), saEvtChannelUnlink(), saEvtEventFree(),
 *   saEvtEventAttributesGet(), saEvtEventUnsubscribe() and saEvtEventRetentionTimeClear().
 * - SA_AIS_ERR_NO_RESOURCES: something other than memory is at its limit; nothing happened. Not
 *   from the same functions.
 * - SA_AIS_ERR_UNAVAILABLE: this node is not a member of the cluster, or was not at some time since
 *   the library handle was made. Only for handles of release B.03, and not from saEvtFinalize().
 */
#ifndef _SA_EVT_H
#define _SA_EVT_H

#include "saAis.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A library handle, from saEvtInitialize(). */
typedef SaUint64T SaEvtHandleT;
/** An open channel, from saEvtChannelOpen() or the open callback. */
typedef SaUint64T SaEvtChannelHandleT;
/** An event, from saEvtEventAllocate() or the deliver callback. */
typedef SaUint64T SaEvtEventHandleT;
/** A subscription: any number of the program's choice, unique within one open channel. */
typedef SaUint32T SaEvtSubscriptionIdT;
/** A publication, unique in the cluster. 0 to 1000 are reserved. */
typedef SaUint64T SaEvtEventIdT;
/** The id of an event that was allocated, not received. */
#define SA_EVT_EVENTID_NONE 0LL
/** The id of the lost-event event. */
#define SA_EVT_EVENTID_LOST 1LL

/** How to open a channel: one or more of the flags. */
typedef SaUint8T SaEvtChannelOpenFlagsT;
/** The handle may publish. */
#define SA_EVT_CHANNEL_PUBLISHER 0x1
/** The handle may subscribe. */
#define SA_EVT_CHANNEL_SUBSCRIBER 0x2
/** Make the channel if there is none of the name. */
#define SA_EVT_CHANNEL_CREATE 0x4

/** 0 (highest) to 3 (lowest). */
typedef SaUint8T SaEvtEventPriorityT;
#define SA_EVT_HIGHEST_PRIORITY 0
#define SA_EVT_LOWEST_PRIORITY 3

/** The bytes of one pattern or filter. Zero bytes count like any other. */
typedef struct {
    /** Size of the buffer, where the library writes into it; otherwise ignored. */
    SaSizeT allocatedSize;
    /** How many bytes there are. */
    SaSizeT patternSize;
    SaUint8T *pattern;
} SaEvtEventPatternT;

/** The patterns of an event. */
typedef struct {
    /** Capacity of the array, where the library writes into it; otherwise ignored. */
    SaSizeT allocatedNumber;
    /** How many patterns there are. */
    SaSizeT patternsNumber;
    SaEvtEventPatternT *patterns;
} SaEvtEventPatternArrayT;

/** How a filter compares itself with a pattern. */
typedef enum {
    /** The pattern begins with the filter. */
    SA_EVT_PREFIX_FILTER = 1,
    /** The pattern ends with the filter. */
    SA_EVT_SUFFIX_FILTER = 2,
    /** The pattern is the filter. */
    SA_EVT_EXACT_FILTER = 3,
    /** Any pattern will do; the filter's bytes are not looked at. */
    SA_EVT_PASS_ALL_FILTER = 4
} SaEvtEventFilterTypeT;

/** One filter. */
typedef struct {
    SaEvtEventFilterTypeT filterType;
    SaEvtEventPatternT filter;
} SaEvtEventFilterT;

/** The filters of a subscription. */
typedef struct {
    SaSizeT filtersNumber;
    SaEvtEventFilterT *filters;
} SaEvtEventFilterArrayT;

/**
 * The pattern of the lost-event event, 25 bytes. It reaches a subscriber, whatever its filters,
 * when events of the channel may have been lost; its id is SA_EVT_EVENTID_LOST.
 */
#define SA_EVT_LOST_EVENT "SA_EVT_LOST_EVENT_PATTERN"

/** Bytes of data that every event may have; saEvtLimitGet() gives the limit in force. */
#define SA_EVT_DATA_MAX_LEN (64 * 1024)

/**
 * Reports the outcome of saEvtChannelOpenAsync(). Called only inside saEvtDispatch().
 *
 * @param invocation     The number given to saEvtChannelOpenAsync().
 * @param channelHandle  The open channel if `error` is SA_AIS_OK, else 0.
 * @param error          SA_AIS_OK, or a code as of saEvtChannelOpen().
 */
typedef void (*SaEvtChannelOpenCallbackT)(SaInvocationT invocation,
                                          SaEvtChannelHandleT channelHandle,
                                          SaAisErrorT error);

/**
 * Delivers an event. Called only inside saEvtDispatch(), once per event and open channel.
 *
 * @param subscriptionId  A subscription that matched: the one registered first.
 * @param eventHandle     The event: the program's, also after the callback, until it calls
 *                        saEvtEventFree() or closes the channel.
 * @param eventDataSize   Bytes of data, for saEvtEventDataGet().
 */
typedef void (*SaEvtEventDeliverCallbackT)(SaEvtSubscriptionIdT subscriptionId,
                                           SaEvtEventHandleT eventHandle,
                                           SaSizeT eventDataSize);

/** The callbacks of a library handle; NULL for what is not wanted. */
typedef struct {
    SaEvtChannelOpenCallbackT saEvtChannelOpenCallback;
    SaEvtEventDeliverCallbackT saEvtEventDeliverCallback;
} SaEvtCallbacksT;

/** What saEvtLimitGet() can tell, with the member of SaLimitValueT it sets. */
typedef enum {
    /** Channels in the cluster: uint64Value. */
    SA_EVT_MAX_NUM_CHANNELS_ID = 1,
    /** Bytes of data of an event: uint64Value. */
    SA_EVT_MAX_EVT_SIZE_ID = 2,
    /** Bytes of a pattern or filter: uint64Value. */
    SA_EVT_MAX_PATTERN_SIZE_ID = 3,
    /** Patterns of an event, filters of a subscription: uint64Value. */
    SA_EVT_MAX_NUM_PATTERNS_ID = 4,
    /** Retention time of an event, in nanoseconds: timeValue. */
    SA_EVT_MAX_RETENTION_DURATION_ID = 5
} SaEvtLimitIdT;

/**
 * Makes a library handle, with a selection object and a queue of its own.
 *
 * @param evtHandle  Out: the handle.
 * @param callbacks  In: the callbacks, or NULL for none.
 * @param version    In: the release wanted; its minor version is ignored. It governs all that is
 *                   made from the handle. Out, on SA_AIS_OK and SA_AIS_ERR_VERSION: the highest
 *                   release supported, B.03.01.
 * @retval SA_AIS_ERR_INVALID_PARAM  `evtHandle` or `version` is NULL.
 * @retval SA_AIS_ERR_VERSION        The release is not B, or its major version is above 3.
 */
extern SaAisErrorT saEvtInitialize(SaEvtHandleT *evtHandle, const SaEvtCallbacksT *callbacks,
                                   SaVersionT *version);

/**
 * Gives the descriptor that is readable while callbacks are pending on the handle.
 *
 * It is the same at every call, for poll, select or epoll only; the library closes it in
 * saEvtFinalize().
 *
 * @param evtHandle        In: the library handle.
 * @param selectionObject  Out: the descriptor.
 * @retval SA_AIS_ERR_INVALID_PARAM  `selectionObject` is NULL.
 */
extern SaAisErrorT saEvtSelectionObjectGet(SaEvtHandleT evtHandle,
                                           SaSelectionObjectT *selectionObject);

/**
 * Runs pending callbacks of the handle, in the calling thread.
 *
 * @param evtHandle      In: the library handle.
 * @param dispatchFlags  In: how many, see SaDispatchFlagsT.
 * @retval SA_AIS_OK                 Also if nothing was pending, or the handle was finalized
 *                                   meanwhile.
 * @retval SA_AIS_ERR_INVALID_PARAM  `dispatchFlags` is none of the three.
 */
extern SaAisErrorT saEvtDispatch(SaEvtHandleT evtHandle, SaDispatchFlagsT dispatchFlags);

/**
 * Ends a library handle: closes its channels, frees their events, drops its pending callbacks.
 *
 * A callback running in another thread may still be running after the return.
 *
 * @param evtHandle  In: the library handle.
 */
extern SaAisErrorT saEvtFinalize(SaEvtHandleT evtHandle);

/**
 * Opens a channel and waits for it.
 *
 * @param evtHandle         In: the library handle.
 * @param channelName       In: 1 to 256 octets. A channel that a handle of release B.02 or B.03
 *                          creates must begin with "safChnl=".
 * @param channelOpenFlags  In: one or more of the SA_EVT_CHANNEL_ flags.
 * @param timeout           In: how long to wait, in nanoseconds; SA_TIME_MAX for ever.
 * @param channelHandle     Out: the open channel.
 * @retval SA_AIS_ERR_INVALID_PARAM  A pointer is NULL, or the name is not as above.
 * @retval SA_AIS_ERR_BAD_FLAGS      No flag, or an unknown one.
 * @retval SA_AIS_ERR_TIMEOUT        Not open in time; also for a timeout of 0 or less. The channel
 *                                   may have been made, but is not open.
 * @retval SA_AIS_ERR_NOT_EXIST      No channel of the name, and SA_EVT_CHANNEL_CREATE not given;
 *                                   or the policy of the service permits nothing of what the flags
 *                                   ask for, or not to make the channel.
 */
extern SaAisErrorT saEvtChannelOpen(SaEvtHandleT evtHandle, const SaNameT *channelName,
                                    SaEvtChannelOpenFlagsT channelOpenFlags, SaTimeT timeout,
                                    SaEvtChannelHandleT *channelHandle);

/**
 * Starts to open a channel; the open callback brings the outcome.
 *
 * After SA_AIS_OK there is exactly one callback, unless the handle is finalized first; after any
 * other code there is none.
 *
 * @param evtHandle         In: the library handle.
 * @param invocation        In: any number; the callback gets it.
 * @param channelName       In: as for saEvtChannelOpen().
 * @param channelOpenFlags  In: as for saEvtChannelOpen().
 * @retval SA_AIS_ERR_INVALID_PARAM  `channelName` is NULL, or the name is not allowed.
 * @retval SA_AIS_ERR_BAD_FLAGS      No flag, or an unknown one.
 * @retval SA_AIS_ERR_INIT           The handle has no open callback.
 */
extern SaAisErrorT saEvtChannelOpenAsync(SaEvtHandleT evtHandle, SaInvocationT invocation,
                                         const SaNameT *channelName,
                                         SaEvtChannelOpenFlagsT channelOpenFlags);

/**
 * Closes an open channel: its subscriptions, pending callbacks and events are gone.
 *
 * What was published stays published. The channel itself stays as long as it has its name.
 *
 * @param channelHandle  In: the open channel.
 */
extern SaAisErrorT saEvtChannelClose(SaEvtChannelHandleT channelHandle);

/**
 * Takes a channel's name away, in the whole cluster. The channel is deleted when nobody has it
 * open any more; until then it works as before. The name is free for a new channel at once.
 *
 * @param evtHandle    In: the library handle.
 * @param channelName  In: 1 to 256 octets.
 * @retval SA_AIS_ERR_INVALID_PARAM  `channelName` is NULL, or its length is not 1 to 256.
 * @retval SA_AIS_ERR_NOT_EXIST      No channel has the name, or the policy of the service does not
 *                                   permit it.
 */
extern SaAisErrorT saEvtChannelUnlink(SaEvtHandleT evtHandle, const SaNameT *channelName);

/**
 * Makes an event for the channel: no patterns, lowest priority, no retention, no publisher name.
 *
 * @param channelHandle  In: the open channel.
 * @param eventHandle    Out: the event, to be freed with saEvtEventFree().
 * @retval SA_AIS_ERR_INVALID_PARAM  `eventHandle` is NULL.
 * @retval SA_AIS_ERR_ACCESS         Release B.03: not opened with SA_EVT_CHANNEL_PUBLISHER.
 */
extern SaAisErrorT saEvtEventAllocate(SaEvtChannelHandleT channelHandle,
                                      SaEvtEventHandleT *eventHandle);

/**
 * Frees an allocated or received event. What was published from it is not affected.
 *
 * @param eventHandle  In: the event.
 */
extern SaAisErrorT saEvtEventFree(SaEvtEventHandleT eventHandle);

/**
 * Sets the attributes of an allocated event: all of them, or on failure none.
 *
 * @param eventHandle    In: the event.
 * @param patternArray   In: the patterns; NULL to leave them as they are.
 * @param priority       In: 0 to 3.
 * @param retentionTime  In: how long the event is kept for later subscriptions once it is
 *                       published, in nanoseconds; 0 not at all, SA_TIME_MAX for ever.
 * @param publisherName  In: 0 to 256 octets; NULL to leave it as it is.
 * @retval SA_AIS_ERR_INVALID_PARAM  A value is out of range, or a pointer inside is NULL where
 *                                   bytes are to be read.
 * @retval SA_AIS_ERR_ACCESS         The event was received.
 * @retval SA_AIS_ERR_TOO_BIG        Too many patterns, too large a pattern or (B.03) too long a
 *                                   retention time; see saEvtLimitGet().
 */
extern SaAisErrorT saEvtEventAttributesSet(SaEvtEventHandleT eventHandle,
                                           const SaEvtEventPatternArrayT *patternArray,
                                           SaEvtEventPriorityT priority, SaTimeT retentionTime,
                                           const SaNameT *publisherName);

/**
 * Reads the attributes of an event. Any of the outputs may be NULL if it is not wanted.
 *
 * Patterns go into the caller's buffers if `patternArray->patterns` is not NULL. Then
 * `allocatedNumber`, and `allocatedSize` and `pattern` of each entry, describe these buffers and
 * stay as they are; `patternsNumber` and each `patternSize` are set, also on SA_AIS_ERR_NO_SPACE,
 * to the true number and sizes. If it is NULL, the library allocates and sets everything (nothing
 * for an event without patterns). The caller frees that with saEvtEventPatternFree(); or, once the
 * event is freed and in programs of release B.01, with free(): each `pattern`, then `patterns`.
 *
 * @param eventHandle    In: the event.
 * @param patternArray   In and out: the patterns.
 * @param priority       Out: the priority.
 * @param retentionTime  Out: the retention time that the publisher set.
 * @param publisherName  Out: the publisher name, with a zero byte behind it if there is room.
 * @param publishTime    Out: when it was published; SA_TIME_UNKNOWN for an allocated event.
 * @param eventId        Out: the id; SA_EVT_EVENTID_NONE for an allocated event.
 * @retval SA_AIS_ERR_NO_SPACE       A buffer is too small, or there are too few. Patterns that fit
 *                                   and all other outputs are written.
 * @retval SA_AIS_ERR_INVALID_PARAM  A buffer of the caller's is large enough, but NULL.
 * @retval SA_AIS_ERR_NO_MEMORY      The library could not allocate the patterns.
 */
extern SaAisErrorT saEvtEventAttributesGet(SaEvtEventHandleT eventHandle,
                                           SaEvtEventPatternArrayT *patternArray,
                                           SaEvtEventPriorityT *priority, SaTimeT *retentionTime,
                                           SaNameT *publisherName, SaTimeT *publishTime,
                                           SaEvtEventIdT *eventId);

/**
 * Frees the patterns that saEvtEventAttributesGet() allocated.
 *
 * @param eventHandle  In: the event they came from.
 * @param patterns     In: the array. The caller must not use it any more.
 * @retval SA_AIS_ERR_INVALID_PARAM  `patterns` is NULL, or did not come from this event.
 */
extern SaAisErrorT saEvtEventPatternFree(SaEvtEventHandleT eventHandle,
                                         SaEvtEventPatternT *patterns);

/**
 * Copies the data of a received event.
 *
 * @param eventHandle    In: the event. An allocated one is SA_AIS_ERR_BAD_HANDLE.
 * @param eventData      Out: the buffer; NULL to learn only the size.
 * @param eventDataSize  In: bytes of the buffer. Out, also on SA_AIS_ERR_NO_SPACE: bytes of data.
 * @retval SA_AIS_ERR_INVALID_PARAM  `eventDataSize` is NULL.
 * @retval SA_AIS_ERR_NO_SPACE       The buffer is too small; nothing was copied.
 */
extern SaAisErrorT saEvtEventDataGet(SaEvtEventHandleT eventHandle, void *eventData,
                                     SaSizeT *eventDataSize);

/**
 * Publishes the event as it is now, with data. It may be published again, and changed in between.
 * A received event goes out anew on its channel, with its attributes and the data given here.
 *
 * @param eventHandle    In: the event.
 * @param eventData      In: the data; NULL for none, whatever the size.
 * @param eventDataSize  In: bytes of data.
 * @param eventId        Out: the id of this publication.
 * @retval SA_AIS_ERR_INVALID_PARAM  `eventId` is NULL.
 * @retval SA_AIS_ERR_ACCESS         Not opened with SA_EVT_CHANNEL_PUBLISHER, or the policy of the
 *                                   service does not permit it.
 * @retval SA_AIS_ERR_TOO_BIG        More data than an event may have; see saEvtLimitGet().
 * @retval SA_AIS_ERR_TRY_AGAIN      Not published, for want of room or of the service.
 * @retval SA_AIS_ERR_NO_RESOURCES   Not published: no more events can be retained.
 */
extern SaAisErrorT saEvtEventPublish(SaEvtEventHandleT eventHandle, const void *eventData,
                                     SaSizeT eventDataSize, SaEvtEventIdT *eventId);

/**
 * Subscribes to the events of a channel that match the filters, retained ones included.
 *
 * An event matches if every filter matches the pattern in its place. A filter without a pattern in
 * its place is compared with an empty one; patterns without a filter always match.
 *
 * @param channelHandle   In: the open channel.
 * @param filters         In: the filters; with none of them every event matches.
 * @param subscriptionId  In: what the deliver callback will be told.
 * @retval SA_AIS_ERR_INVALID_PARAM  `filters` is NULL, or a pointer inside is where something is
 *                                   to be read; or a filter is of no known type.
 * @retval SA_AIS_ERR_INIT           The library handle has no deliver callback.
 * @retval SA_AIS_ERR_ACCESS         Not opened with SA_EVT_CHANNEL_SUBSCRIBER, or the policy of the
 *                                   service does not permit it.
 * @retval SA_AIS_ERR_TOO_BIG        Too many filters, or too large a one; see saEvtLimitGet().
 * @retval SA_AIS_ERR_EXIST          This open channel has a subscription of that id.
 */
extern SaAisErrorT saEvtEventSubscribe(SaEvtChannelHandleT channelHandle,
                                       const SaEvtEventFilterArrayT *filters,
                                       SaEvtSubscriptionIdT subscriptionId);

/**
 * Ends a subscription. Undelivered events that no other subscription matches are dropped.
 *
 * @param channelHandle   In: the open channel.
 * @param subscriptionId  In: the subscription.
 * @retval SA_AIS_ERR_NOT_EXIST  This open channel has no subscription of that id.
 */
extern SaAisErrorT saEvtEventUnsubscribe(SaEvtChannelHandleT channelHandle,
                                         SaEvtSubscriptionIdT subscriptionId);

/**
 * Ends the retention of an event: later subscriptions will not get it. Any program that has the
 * channel open may do so.
 *
 * @param channelHandle  In: the channel on which the event was published.
 * @param eventId        In: the id of the event.
 * @retval SA_AIS_ERR_INVALID_PARAM  `eventId` is 1000 or less.
 * @retval SA_AIS_ERR_NOT_EXIST      No such event is retained on the channel, or the policy of the
 *                                   service does not permit it.
 */
extern SaAisErrorT saEvtEventRetentionTimeClear(SaEvtChannelHandleT channelHandle,
                                                const SaEvtEventIdT eventId);

/**
 * Tells a limit of the service. A value equal to the limit is allowed. Release B.03.
 *
 * @param evtHandle   In: the library handle.
 * @param limitId     In: which limit, see SaEvtLimitIdT.
 * @param limitValue  Out: its value.
 * @retval SA_AIS_ERR_INVALID_PARAM  `limitValue` is NULL, or `limitId` is unknown.
 * @retval SA_AIS_ERR_VERSION        The handle is of an older release.
 */
extern SaAisErrorT saEvtLimitGet(SaEvtHandleT evtHandle, SaEvtLimitIdT limitId,
                                 SaLimitValueT *limitValue);

#ifdef __cplusplus
}
#endif

#endif /* _SA_EVT_H */
