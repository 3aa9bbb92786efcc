/*
 * saAis.h: types and constants common to the Application Interface Specification (AIS) of the
 * Service Availability Forum, releases B.01 to B.05.
 *
 * The guard is the one this header has everywhere, so that headers of other AIS services, which
 * include a copy of their own, can be mixed with this one.
 *
 * Define SA_EXTENDED_NAME_SOURCE before the first inclusion to make SaNameT opaque; see below.
 */
#ifndef _SA_AIS_H
#define _SA_AIS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Base types. The sizes are the same on every ABI, apart from those of the pointers. */

typedef char SaInt8T;
typedef short SaInt16T;
typedef int SaInt32T;
typedef long long SaInt64T;
typedef unsigned char SaUint8T;
typedef unsigned short SaUint16T;
typedef unsigned int SaUint32T;
typedef unsigned long long SaUint64T;
typedef float SaFloatT;
typedef double SaDoubleT;

/** A NUL-terminated string that may be written. */
typedef char *SaStringT;
/** A NUL-terminated string that may only be read. */
typedef const char *SaConstStringT;

/** Nanoseconds: since 1970-01-01 00:00:00 UTC for a timestamp, or of a duration. */
typedef SaInt64T SaTimeT;
/** The caller's own mark on an asynchronous call, returned unchanged by its callback. */
typedef SaUint64T SaInvocationT;
/** A number of bytes or of things: 64 bits on every ABI, unlike size_t. */
typedef SaUint64T SaSizeT;
/** A position, in bytes. */
typedef SaUint64T SaOffsetT;
/** Something to wait on. Its value is a file descriptor, for poll, select or epoll. */
typedef SaUint64T SaSelectionObjectT;
/** Identifies a notification. */
typedef SaUint64T SaNtfIdentifierT;

typedef enum {
    SA_FALSE = 0,
    SA_TRUE = 1
} SaBoolT;

/** The value that no handle has. */
#define SA_HANDLE_INVALID 0x0ULL

/* Times, all of them SaTimeT. */

/** The largest timestamp. */
#define SA_TIME_END 0x7FFFFFFFFFFFFFFFLL
/** The smallest timestamp. */
#define SA_TIME_BEGIN 0x0LL
/**
 * No known time: the only negative value, with the bits 0x8000000000000000.
 *
 * Written as a sum, as that number alone would be unsigned and make comparisons with a SaTimeT a
 * matter for warnings.
 */
#define SA_TIME_UNKNOWN (-0x7FFFFFFFFFFFFFFFLL - 1)
#define SA_TIME_ONE_MICROSECOND 1000LL
#define SA_TIME_ONE_MILLISECOND 1000000LL
#define SA_TIME_ONE_SECOND 1000000000LL
#define SA_TIME_ONE_MINUTE 60000000000LL
#define SA_TIME_ONE_HOUR 3600000000000LL
#define SA_TIME_ONE_DAY 86400000000000LL
/** A duration without end. */
#define SA_TIME_MAX SA_TIME_END

#ifdef SA_EXTENDED_NAME_SOURCE

/** Names shorter than this are kept inside SaNameT. */
#define SA_MAX_UNEXTENDED_NAME_LENGTH 256

/**
 * A name that may be longer than the structure: write it with saAisNameLend(), read it with
 * saAisNameBorrow(), touch nothing inside. The size is that of the plain variant, and so is the
 * meaning for names shorter than SA_MAX_UNEXTENDED_NAME_LENGTH.
 */
typedef struct {
    SaUint16T _opaque[129];
} SaNameT;

/**
 * Makes `name` stand for the string `value`.
 *
 * A string shorter than SA_MAX_UNEXTENDED_NAME_LENGTH is copied, with its NUL. Of a longer one
 * only the address is kept: the string stays the caller's and must not change or go away as long
 * as `name` or a copy of it is in use. Safe in any thread, as long as no other thread uses `name`.
 * Not every service accepts long names; the Event Service does not.
 *
 * @param value  In: the string. NULL makes the name empty.
 * @param name   Out: the structure to fill. Nothing happens if it is NULL.
 */
extern void saAisNameLend(SaConstStringT value, SaNameT *name);

/**
 * Gives the string that `name` stands for.
 *
 * The result points into `name`, or is the address that saAisNameLend() was given; it is not to
 * be freed and lives as long as that memory. Safe in any thread, as long as no other thread
 * writes to `name`.
 *
 * @param name  In: a name made by saAisNameLend(), or a plain name with a NUL behind its value.
 * @return The string; NULL if `name` is NULL, or is no well-formed name, or has no NUL.
 */
extern SaConstStringT saAisNameBorrow(const SaNameT *name);

#else

/** The most octets that a name can have. */
#define SA_MAX_NAME_LENGTH 256

/**
 * A name: an octet string of 0 to SA_MAX_NAME_LENGTH octets. It needs no NUL at its end; one that
 * `length` counts is part of the name.
 */
typedef struct {
    /** How many octets of `value` count. */
    SaUint16T length;
    SaUint8T value[SA_MAX_NAME_LENGTH];
} SaNameT;

#endif /* SA_EXTENDED_NAME_SOURCE */

/** A release of an interface: B.03.01 is { 'B', 3, 1 }. */
typedef struct {
    SaUint8T releaseCode;
    SaUint8T majorVersion;
    SaUint8T minorVersion;
} SaVersionT;

/** How much a dispatch function does. */
typedef enum {
    /** At most one callback; returns at once if none is pending. */
    SA_DISPATCH_ONE = 1,
    /** All callbacks that are pending; returns at once if none is. */
    SA_DISPATCH_ALL = 2,
    /** Callbacks as they come, until the handle is finalized. */
    SA_DISPATCH_BLOCKING = 3
} SaDispatchFlagsT;

/** A buffer of any content. */
typedef struct {
    SaSizeT bufferSize;
    SaUint8T *bufferAddr;
} SaAnyT;

/** The value of a limit; the function that gives it says which member counts. */
typedef union {
    SaInt64T int64Value;
    SaUint64T uint64Value;
    SaTimeT timeValue;
    SaFloatT floatValue;
    SaDoubleT doubleValue;
} SaLimitValueT;

/* What to track. */

#define SA_TRACK_CURRENT 0x01
#define SA_TRACK_CHANGES 0x02
#define SA_TRACK_CHANGES_ONLY 0x04
#define SA_TRACK_LOCAL 0x08
#define SA_TRACK_START_STEP 0x10
#define SA_TRACK_VALIDATE_STEP 0x20

/** The services of the specification. */
typedef enum {
    SA_SVC_HPI = 1,
    SA_SVC_AMF = 2,
    SA_SVC_CLM = 3,
    SA_SVC_CKPT = 4,
    SA_SVC_EVT = 5,
    SA_SVC_MSG = 6,
    SA_SVC_LCK = 7,
    SA_SVC_IMMS = 8,
    SA_SVC_LOG = 9,
    /** SA_SVC_LOG as a published header spells it. */
    SA_SCV_LOG = 9,
    SA_SVC_NTF = 10,
    SA_SVC_NAM = 11,
    SA_SVC_TMR = 12,
    SA_SVC_SMF = 13,
    SA_SVC_SEC = 14,
    SA_SVC_PLM = 15
} SaServicesT;

/** What AIS functions return. Each service's header says which of them it uses and when. */
typedef enum {
    SA_AIS_OK = 1,
    SA_AIS_ERR_LIBRARY = 2,
    SA_AIS_ERR_VERSION = 3,
    SA_AIS_ERR_INIT = 4,
    SA_AIS_ERR_TIMEOUT = 5,
    SA_AIS_ERR_TRY_AGAIN = 6,
    SA_AIS_ERR_INVALID_PARAM = 7,
    SA_AIS_ERR_NO_MEMORY = 8,
    SA_AIS_ERR_BAD_HANDLE = 9,
    SA_AIS_ERR_BUSY = 10,
    SA_AIS_ERR_ACCESS = 11,
    SA_AIS_ERR_NOT_EXIST = 12,
    SA_AIS_ERR_NAME_TOO_LONG = 13,
    SA_AIS_ERR_EXIST = 14,
    SA_AIS_ERR_NO_SPACE = 15,
    SA_AIS_ERR_INTERRUPT = 16,
    SA_AIS_ERR_NAME_NOT_FOUND = 17,
    SA_AIS_ERR_NO_RESOURCES = 18,
    SA_AIS_ERR_NOT_SUPPORTED = 19,
    SA_AIS_ERR_BAD_OPERATION = 20,
    SA_AIS_ERR_FAILED_OPERATION = 21,
    SA_AIS_ERR_MESSAGE_ERROR = 22,
    SA_AIS_ERR_QUEUE_FULL = 23,
    SA_AIS_ERR_QUEUE_NOT_AVAILABLE = 24,
    SA_AIS_ERR_BAD_FLAGS = 25,
    SA_AIS_ERR_TOO_BIG = 26,
    SA_AIS_ERR_NO_SECTIONS = 27,
    SA_AIS_ERR_NO_OP = 28,
    SA_AIS_ERR_REPAIR_PENDING = 29,
    SA_AIS_ERR_NO_BINDINGS = 30,
    SA_AIS_ERR_UNAVAILABLE = 31,
    SA_AIS_ERR_CAMPAIGN_ERROR_DETECTED = 32,
    SA_AIS_ERR_CAMPAIGN_PROC_FAILED = 33,
    SA_AIS_ERR_CAMPAIGN_CANCELED = 34,
    SA_AIS_ERR_CAMPAIGN_FAILED = 35,
    SA_AIS_ERR_CAMPAIGN_SUSPENDED = 36,
    SA_AIS_ERR_CAMPAIGN_SUSPENDING = 37,
    SA_AIS_ERR_ACCESS_DENIED = 38,
    SA_AIS_ERR_NOT_READY = 39,
    SA_AIS_ERR_DEPLOYMENT = 40,
    /** Not in the specification; the openais header has it. The Event Service never returns it. */
    SA_AIS_ERR_SECURITY = 100
} SaAisErrorT;

#ifdef __cplusplus
}
#endif

#endif /* _SA_AIS_H */
