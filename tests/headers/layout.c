/*
 * The values and the layout that compiled programs rely on, as the headers define them.
 *
 * src/capi/types.rs asserts the same layout of the Rust types; tests/headers.rs compiles this file
 * and checks that no constant of the headers is missing here.
 */
#include <saEvt.h>
#include <stddef.h>

#define VALUE(name, value) _Static_assert((name) == (value), #name)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define LAYOUT(type, size, align) \
    SIZE(type, size);             \
    _Static_assert(_Alignof(type) == (align), #type)
#define OFFSET(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member)
#define SIGNED(type) _Static_assert((type)-1 < 0, #type)
#define UNSIGNED(type) _Static_assert((type)-1 > 0, #type)

/* saAis.h: base types. */

SIZE(SaInt8T, 1);
SIZE(SaInt16T, 2);
SIZE(SaInt32T, 4);
SIZE(SaInt64T, 8);
SIZE(SaUint8T, 1);
SIZE(SaUint16T, 2);
SIZE(SaUint32T, 4);
SIZE(SaUint64T, 8);
SIZE(SaFloatT, 4);
SIZE(SaDoubleT, 8);
SIZE(SaStringT, sizeof(void *));
SIZE(SaConstStringT, sizeof(void *));
SIZE(SaTimeT, 8);
SIZE(SaInvocationT, 8);
SIZE(SaSizeT, 8);
SIZE(SaOffsetT, 8);
SIZE(SaSelectionObjectT, 8);
SIZE(SaNtfIdentifierT, 8);
SIZE(SaBoolT, 4);
SIZE(SaDispatchFlagsT, 4);
SIZE(SaServicesT, 4);
SIZE(SaAisErrorT, 4);
SIGNED(SaInt16T);
SIGNED(SaInt32T);
SIGNED(SaInt64T);
SIGNED(SaTimeT);
UNSIGNED(SaUint8T);
UNSIGNED(SaUint16T);
UNSIGNED(SaUint32T);
UNSIGNED(SaUint64T);
UNSIGNED(SaSizeT);
UNSIGNED(SaSelectionObjectT);

VALUE(SA_FALSE, 0);
VALUE(SA_TRUE, 1);
VALUE(SA_HANDLE_INVALID, 0);

VALUE(SA_TIME_END, 0x7FFFFFFFFFFFFFFFLL);
VALUE(SA_TIME_BEGIN, 0);
VALUE((SaUint64T)SA_TIME_UNKNOWN, 0x8000000000000000ULL);
VALUE(SA_TIME_ONE_MICROSECOND, 1000);
VALUE(SA_TIME_ONE_MILLISECOND, 1000 * SA_TIME_ONE_MICROSECOND);
VALUE(SA_TIME_ONE_SECOND, 1000 * SA_TIME_ONE_MILLISECOND);
VALUE(SA_TIME_ONE_MINUTE, 60 * SA_TIME_ONE_SECOND);
VALUE(SA_TIME_ONE_HOUR, 60 * SA_TIME_ONE_MINUTE);
VALUE(SA_TIME_ONE_DAY, 24 * SA_TIME_ONE_HOUR);
VALUE(SA_TIME_MAX, SA_TIME_END);

/* Both kinds of name. */

LAYOUT(SaNameT, 258, 2);
#ifdef SA_EXTENDED_NAME_SOURCE
VALUE(SA_MAX_UNEXTENDED_NAME_LENGTH, 256);
OFFSET(SaNameT, _opaque, 0);
#ifdef SA_MAX_NAME_LENGTH
#error "SA_MAX_NAME_LENGTH is for plain names"
#endif
#else
VALUE(SA_MAX_NAME_LENGTH, 256);
OFFSET(SaNameT, length, 0);
OFFSET(SaNameT, value, 2);
#endif

LAYOUT(SaVersionT, 3, 1);
OFFSET(SaVersionT, releaseCode, 0);
OFFSET(SaVersionT, majorVersion, 1);
OFFSET(SaVersionT, minorVersion, 2);

VALUE(SA_DISPATCH_ONE, 1);
VALUE(SA_DISPATCH_ALL, 2);
VALUE(SA_DISPATCH_BLOCKING, 3);

VALUE(SA_TRACK_CURRENT, 0x01);
VALUE(SA_TRACK_CHANGES, 0x02);
VALUE(SA_TRACK_CHANGES_ONLY, 0x04);
VALUE(SA_TRACK_LOCAL, 0x08);
VALUE(SA_TRACK_START_STEP, 0x10);
VALUE(SA_TRACK_VALIDATE_STEP, 0x20);

VALUE(SA_SVC_HPI, 1);
VALUE(SA_SVC_AMF, 2);
VALUE(SA_SVC_CLM, 3);
VALUE(SA_SVC_CKPT, 4);
VALUE(SA_SVC_EVT, 5);
VALUE(SA_SVC_MSG, 6);
VALUE(SA_SVC_LCK, 7);
VALUE(SA_SVC_IMMS, 8);
VALUE(SA_SVC_LOG, 9);
VALUE(SA_SCV_LOG, 9);
VALUE(SA_SVC_NTF, 10);
VALUE(SA_SVC_NAM, 11);
VALUE(SA_SVC_TMR, 12);
VALUE(SA_SVC_SMF, 13);
VALUE(SA_SVC_SEC, 14);
VALUE(SA_SVC_PLM, 15);

VALUE(SA_AIS_OK, 1);
VALUE(SA_AIS_ERR_LIBRARY, 2);
VALUE(SA_AIS_ERR_VERSION, 3);
VALUE(SA_AIS_ERR_INIT, 4);
VALUE(SA_AIS_ERR_TIMEOUT, 5);
VALUE(SA_AIS_ERR_TRY_AGAIN, 6);
VALUE(SA_AIS_ERR_INVALID_PARAM, 7);
VALUE(SA_AIS_ERR_NO_MEMORY, 8);
VALUE(SA_AIS_ERR_BAD_HANDLE, 9);
VALUE(SA_AIS_ERR_BUSY, 10);
VALUE(SA_AIS_ERR_ACCESS, 11);
VALUE(SA_AIS_ERR_NOT_EXIST, 12);
VALUE(SA_AIS_ERR_NAME_TOO_LONG, 13);
VALUE(SA_AIS_ERR_EXIST, 14);
VALUE(SA_AIS_ERR_NO_SPACE, 15);
VALUE(SA_AIS_ERR_INTERRUPT, 16);
VALUE(SA_AIS_ERR_NAME_NOT_FOUND, 17);
VALUE(SA_AIS_ERR_NO_RESOURCES, 18);
VALUE(SA_AIS_ERR_NOT_SUPPORTED, 19);
VALUE(SA_AIS_ERR_BAD_OPERATION, 20);
VALUE(SA_AIS_ERR_FAILED_OPERATION, 21);
VALUE(SA_AIS_ERR_MESSAGE_ERROR, 22);
VALUE(SA_AIS_ERR_QUEUE_FULL, 23);
VALUE(SA_AIS_ERR_QUEUE_NOT_AVAILABLE, 24);
VALUE(SA_AIS_ERR_BAD_FLAGS, 25);
VALUE(SA_AIS_ERR_TOO_BIG, 26);
VALUE(SA_AIS_ERR_NO_SECTIONS, 27);
VALUE(SA_AIS_ERR_NO_OP, 28);
VALUE(SA_AIS_ERR_REPAIR_PENDING, 29);
VALUE(SA_AIS_ERR_NO_BINDINGS, 30);
VALUE(SA_AIS_ERR_UNAVAILABLE, 31);
VALUE(SA_AIS_ERR_CAMPAIGN_ERROR_DETECTED, 32);
VALUE(SA_AIS_ERR_CAMPAIGN_PROC_FAILED, 33);
VALUE(SA_AIS_ERR_CAMPAIGN_CANCELED, 34);
VALUE(SA_AIS_ERR_CAMPAIGN_FAILED, 35);
VALUE(SA_AIS_ERR_CAMPAIGN_SUSPENDED, 36);
VALUE(SA_AIS_ERR_CAMPAIGN_SUSPENDING, 37);
VALUE(SA_AIS_ERR_ACCESS_DENIED, 38);
VALUE(SA_AIS_ERR_NOT_READY, 39);
VALUE(SA_AIS_ERR_DEPLOYMENT, 40);
VALUE(SA_AIS_ERR_SECURITY, 100);

/* saEvt.h. */

SIZE(SaEvtHandleT, 8);
SIZE(SaEvtChannelHandleT, 8);
SIZE(SaEvtEventHandleT, 8);
SIZE(SaEvtSubscriptionIdT, 4);
SIZE(SaEvtEventIdT, 8);
SIZE(SaEvtChannelOpenFlagsT, 1);
SIZE(SaEvtEventPriorityT, 1);
SIZE(SaEvtEventFilterTypeT, 4);
SIZE(SaEvtLimitIdT, 4);
UNSIGNED(SaEvtHandleT);
UNSIGNED(SaEvtSubscriptionIdT);
UNSIGNED(SaEvtEventIdT);
UNSIGNED(SaEvtChannelOpenFlagsT);
UNSIGNED(SaEvtEventPriorityT);

VALUE(SA_EVT_EVENTID_NONE, 0);
VALUE(SA_EVT_EVENTID_LOST, 1);
VALUE(SA_EVT_CHANNEL_PUBLISHER, 0x1);
VALUE(SA_EVT_CHANNEL_SUBSCRIBER, 0x2);
VALUE(SA_EVT_CHANNEL_CREATE, 0x4);
VALUE(SA_EVT_HIGHEST_PRIORITY, 0);
VALUE(SA_EVT_LOWEST_PRIORITY, 3);
VALUE(SA_EVT_PREFIX_FILTER, 1);
VALUE(SA_EVT_SUFFIX_FILTER, 2);
VALUE(SA_EVT_EXACT_FILTER, 3);
VALUE(SA_EVT_PASS_ALL_FILTER, 4);
VALUE(SA_EVT_DATA_MAX_LEN, 65536);
VALUE(SA_EVT_MAX_NUM_CHANNELS_ID, 1);
VALUE(SA_EVT_MAX_EVT_SIZE_ID, 2);
VALUE(SA_EVT_MAX_PATTERN_SIZE_ID, 3);
VALUE(SA_EVT_MAX_NUM_PATTERNS_ID, 4);
VALUE(SA_EVT_MAX_RETENTION_DURATION_ID, 5);
/* Twenty-five characters and the NUL. */
VALUE(sizeof(SA_EVT_LOST_EVENT), 26);

#ifdef __LP64__
LAYOUT(SaAnyT, 16, 8);
OFFSET(SaAnyT, bufferSize, 0);
OFFSET(SaAnyT, bufferAddr, 8);

LAYOUT(SaLimitValueT, 8, 8);
OFFSET(SaLimitValueT, int64Value, 0);
OFFSET(SaLimitValueT, uint64Value, 0);
OFFSET(SaLimitValueT, timeValue, 0);
OFFSET(SaLimitValueT, floatValue, 0);
OFFSET(SaLimitValueT, doubleValue, 0);

LAYOUT(SaEvtEventPatternT, 24, 8);
OFFSET(SaEvtEventPatternT, allocatedSize, 0);
OFFSET(SaEvtEventPatternT, patternSize, 8);
OFFSET(SaEvtEventPatternT, pattern, 16);

LAYOUT(SaEvtEventPatternArrayT, 24, 8);
OFFSET(SaEvtEventPatternArrayT, allocatedNumber, 0);
OFFSET(SaEvtEventPatternArrayT, patternsNumber, 8);
OFFSET(SaEvtEventPatternArrayT, patterns, 16);

LAYOUT(SaEvtEventFilterT, 32, 8);
OFFSET(SaEvtEventFilterT, filterType, 0);
OFFSET(SaEvtEventFilterT, filter, 8);

LAYOUT(SaEvtEventFilterArrayT, 16, 8);
OFFSET(SaEvtEventFilterArrayT, filtersNumber, 0);
OFFSET(SaEvtEventFilterArrayT, filters, 8);

LAYOUT(SaEvtCallbacksT, 16, 8);
OFFSET(SaEvtCallbacksT, saEvtChannelOpenCallback, 0);
OFFSET(SaEvtCallbacksT, saEvtEventDeliverCallback, 8);
#endif
