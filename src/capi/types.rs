//! The types and constants of `saAis.h` and `saEvt.h` that cross the C boundary, and their layout.
//!
//! Each carries its C name and is documented in the header. An enum of C is an integer here, as
//! a stray number in one must give an error code and not undefined behaviour.

use std::ffi::{c_char, c_uint};

/// What every function returns.
pub type SaAisErrorT = c_uint;
/// Nanoseconds: a timestamp since the epoch, or a duration.
pub type SaTimeT = i64;
/// A number of bytes or of things.
pub type SaSizeT = u64;
/// The caller's mark on an asynchronous call.
pub type SaInvocationT = u64;
/// A file descriptor, widened.
pub type SaSelectionObjectT = u64;
/// One of the `SA_DISPATCH_` values, if the caller keeps to them.
pub type SaDispatchFlagsT = c_uint;
/// A NUL-terminated string.
pub type SaConstStringT = *const c_char;
/// A library handle.
pub type SaEvtHandleT = u64;
/// A channel handle.
pub type SaEvtChannelHandleT = u64;
/// An event handle.
pub type SaEvtEventHandleT = u64;
/// The program's number for a subscription.
pub type SaEvtSubscriptionIdT = u32;
/// The identifier of a publication.
pub type SaEvtEventIdT = u64;
/// `SA_EVT_CHANNEL_` flags, if the caller keeps to them.
pub type SaEvtChannelOpenFlagsT = u8;
/// 0 to 3, if the caller keeps to them.
pub type SaEvtEventPriorityT = u8;
/// One of the filter types, if the caller keeps to them.
pub type SaEvtEventFilterTypeT = c_uint;
/// One of the limit identifiers, if the caller keeps to them.
pub type SaEvtLimitIdT = c_uint;

/// A name of up to 256 octets.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SaNameT {
    /// How many octets count.
    pub length: u16,
    /// The octets; those that do not count need not be initialized.
    pub value: [u8; 256],
}

/// A release.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaVersionT {
    /// A letter.
    pub releaseCode: u8,
    /// Counted from 1 within the letter.
    pub majorVersion: u8,
    /// Counted from 1 within the major version.
    pub minorVersion: u8,
}

/// The value of a limit.
#[repr(C)]
#[derive(Clone, Copy)]
pub union SaLimitValueT {
    /// Signed.
    pub int64Value: i64,
    /// A number, or bytes.
    pub uint64Value: u64,
    /// Nanoseconds.
    pub timeValue: SaTimeT,
    /// Single precision.
    pub floatValue: f32,
    /// Double precision.
    pub doubleValue: f64,
}

/// The bytes of a pattern or filter.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SaEvtEventPatternT {
    /// Bytes that the buffer holds.
    pub allocatedSize: SaSizeT,
    /// Bytes that count.
    pub patternSize: SaSizeT,
    /// The buffer.
    pub pattern: *mut u8,
}

/// Patterns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SaEvtEventPatternArrayT {
    /// Entries that the array holds.
    pub allocatedNumber: SaSizeT,
    /// Entries that count.
    pub patternsNumber: SaSizeT,
    /// The array.
    pub patterns: *mut SaEvtEventPatternT,
}

/// A filter.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SaEvtEventFilterT {
    /// How it compares.
    pub filterType: SaEvtEventFilterTypeT,
    /// With what.
    pub filter: SaEvtEventPatternT,
}

/// Filters.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SaEvtEventFilterArrayT {
    /// Entries that count.
    pub filtersNumber: SaSizeT,
    /// The array.
    pub filters: *mut SaEvtEventFilterT,
}

/// `SaEvtChannelOpenCallbackT`. "C-unwind", so that an exception thrown by the program ends it
/// in a defined way.
pub type SaEvtChannelOpenCallbackT =
    Option<unsafe extern "C-unwind" fn(SaInvocationT, SaEvtChannelHandleT, SaAisErrorT)>;
/// `SaEvtEventDeliverCallbackT`; "C-unwind" as above.
pub type SaEvtEventDeliverCallbackT =
    Option<unsafe extern "C-unwind" fn(SaEvtSubscriptionIdT, SaEvtEventHandleT, SaSizeT)>;

/// The callbacks of a library handle.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SaEvtCallbacksT {
    /// Called with the outcome of an asynchronous open.
    pub saEvtChannelOpenCallback: SaEvtChannelOpenCallbackT,
    /// Called with each delivered event.
    pub saEvtEventDeliverCallback: SaEvtEventDeliverCallbackT,
}

/// Defines constants and a table of their names and values, which `tests/headers.rs` holds
/// against the headers.
macro_rules! constants {
    ($($name:ident: $type:ty = $value:expr, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: $type = $value;)*
        /// The name and value of each constant above.
        pub const CONSTANTS: &[(&str, i128)] = &[$((stringify!($name), $name as i128)),*];
    };
}

constants! {
    SA_AIS_OK: SaAisErrorT = 1, "Done.";
    SA_AIS_ERR_LIBRARY: SaAisErrorT = 2, "The library cannot be used any more.";
    SA_AIS_ERR_VERSION: SaAisErrorT = 3, "The release is not served, or lacks the function.";
    SA_AIS_ERR_INIT: SaAisErrorT = 4, "A callback is missing.";
    SA_AIS_ERR_TIMEOUT: SaAisErrorT = 5, "Time ran out; the outcome is unknown.";
    SA_AIS_ERR_TRY_AGAIN: SaAisErrorT = 6, "Not now; nothing happened.";
    SA_AIS_ERR_INVALID_PARAM: SaAisErrorT = 7, "An argument is not valid.";
    SA_AIS_ERR_NO_MEMORY: SaAisErrorT = 8, "Memory is short.";
    SA_AIS_ERR_BAD_HANDLE: SaAisErrorT = 9, "The handle is not valid.";
    SA_AIS_ERR_ACCESS: SaAisErrorT = 11, "Not permitted.";
    SA_AIS_ERR_NOT_EXIST: SaAisErrorT = 12, "Does not exist.";
    SA_AIS_ERR_EXIST: SaAisErrorT = 14, "Exists already.";
    SA_AIS_ERR_NO_SPACE: SaAisErrorT = 15, "A buffer is too small.";
    SA_AIS_ERR_NO_RESOURCES: SaAisErrorT = 18, "A limit is reached.";
    SA_AIS_ERR_BAD_FLAGS: SaAisErrorT = 25, "The flags are not valid.";
    SA_AIS_ERR_TOO_BIG: SaAisErrorT = 26, "Above a limit.";
    SA_AIS_ERR_UNAVAILABLE: SaAisErrorT = 31, "The node is not a member of the cluster.";
    SA_DISPATCH_ONE: SaDispatchFlagsT = 1, "At most one callback.";
    SA_DISPATCH_ALL: SaDispatchFlagsT = 2, "All pending callbacks.";
    SA_DISPATCH_BLOCKING: SaDispatchFlagsT = 3, "Callbacks until the handle is finalized.";
    SA_EVT_PREFIX_FILTER: SaEvtEventFilterTypeT = 1, "The pattern begins with the filter.";
    SA_EVT_SUFFIX_FILTER: SaEvtEventFilterTypeT = 2, "The pattern ends with the filter.";
    SA_EVT_EXACT_FILTER: SaEvtEventFilterTypeT = 3, "The pattern is the filter.";
    SA_EVT_PASS_ALL_FILTER: SaEvtEventFilterTypeT = 4, "Every pattern matches.";
    SA_EVT_MAX_NUM_CHANNELS_ID: SaEvtLimitIdT = 1, "Channels in the cluster.";
    SA_EVT_MAX_EVT_SIZE_ID: SaEvtLimitIdT = 2, "Bytes of event data.";
    SA_EVT_MAX_PATTERN_SIZE_ID: SaEvtLimitIdT = 3, "Bytes of a pattern or filter.";
    SA_EVT_MAX_NUM_PATTERNS_ID: SaEvtLimitIdT = 4, "Patterns of an event.";
    SA_EVT_MAX_RETENTION_DURATION_ID: SaEvtLimitIdT = 5, "Retention time, nanoseconds.";
}

/// Asserts the size and alignment of a type and the offset of each of its members.
macro_rules! layout {
    ($type:ident: $size:literal, $align:literal; $($member:ident: $offset:literal),*) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            assert!(align_of::<$type>() == $align);
            $(assert!(std::mem::offset_of!($type, $member) == $offset);)*
        };
    };
}

// tests/headers/layout.c says the same of the C types.
layout!(SaNameT: 258, 2; length: 0, value: 2);
layout!(SaVersionT: 3, 1; releaseCode: 0, majorVersion: 1, minorVersion: 2);

#[cfg(target_pointer_width = "64")]
mod lp64 {
    use super::*;

    layout!(SaLimitValueT: 8, 8;
        int64Value: 0, uint64Value: 0, timeValue: 0, floatValue: 0, doubleValue: 0);
    layout!(SaEvtEventPatternT: 24, 8; allocatedSize: 0, patternSize: 8, pattern: 16);
    layout!(SaEvtEventPatternArrayT: 24, 8; allocatedNumber: 0, patternsNumber: 8, patterns: 16);
    layout!(SaEvtEventFilterT: 32, 8; filterType: 0, filter: 8);
    layout!(SaEvtEventFilterArrayT: 16, 8; filtersNumber: 0, filters: 8);
    layout!(SaEvtCallbacksT: 16, 8; saEvtChannelOpenCallback: 0, saEvtEventDeliverCallback: 8);
}
