//! Library handles: initialize, selection object, dispatch, finalize, limits.

use super::code;
use super::guard::{guard, keep_quiet};
use super::ptr::{InOutPtr, OutPtr};
use super::types::*;
use crate::agent::{self, DispatchFlags, Handle, Version};
use crate::evt::{Error, Limits, SubscriptionId};

/// What is supported, and what programs are told on success and on `SA_AIS_ERR_VERSION`.
const SUPPORTED: SaVersionT = SaVersionT { releaseCode: b'B', majorVersion: 3, minorVersion: 1 };

/// The release that serves a program which wants this one.
///
/// - `Version`: any release code but B, or a major version above 3.
///
/// The minor version does not matter. B.00 does not exist, but passes by the rule of the
/// specification that the major version must not be above ours; it is served as B.01.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtInitialize(), version.
fn negotiate(wanted: SaVersionT) -> Result<Version, Error> {
    match (wanted.releaseCode, wanted.majorVersion) {
        (b'B', 0 | 1) => Ok(Version::B01),
        (b'B', 2) => Ok(Version::B02),
        (b'B', 3) => Ok(Version::B03),
        _ => Err(Error::Version),
    }
}

/// The callbacks of a program.
#[derive(Debug)]
struct ProgramCallbacks {
    version: Version,
    open: SaEvtChannelOpenCallbackT,
    deliver: SaEvtEventDeliverCallbackT,
}

impl ProgramCallbacks {
    /// Copies the structure; for NULL there are none.
    ///
    /// # Safety
    ///
    /// `callbacks` is NULL, or is aligned and readable, with each member NULL or a function of
    /// the right type that can be called as long as the library handle exists.
    unsafe fn read(version: Version, callbacks: *const SaEvtCallbacksT) -> Self {
        // SAFETY: our caller says that the structure can be read.
        match unsafe { callbacks.as_ref() } {
            Some(callbacks) => Self {
                version,
                open: callbacks.saEvtChannelOpenCallback,
                deliver: callbacks.saEvtEventDeliverCallback,
            },
            None => Self { version, open: None, deliver: None },
        }
    }
}

impl agent::Callbacks for ProgramCallbacks {
    fn has_open(&self) -> bool {
        self.open.is_some()
    }

    fn has_deliver(&self) -> bool {
        self.deliver.is_some()
    }

    fn open(&self, invocation: u64, outcome: Result<Handle, Error>) {
        let (channel, error) = match outcome {
            Ok(channel) => (channel, SA_AIS_OK),
            Err(error) => (0, code::of(code::known_to(self.version, error))),
        };
        if let Some(callback) = self.open {
            // SAFETY: a function of this type, as saEvtInitialize was promised.
            unsafe { callback(invocation, channel, error) };
        }
    }

    fn deliver(&self, subscription: SubscriptionId, event: Handle, data_bytes: u64) {
        if let Some(callback) = self.deliver {
            // SAFETY: a function of this type, as saEvtInitialize was promised.
            unsafe { callback(subscription.0, event, data_bytes) };
        }
    }
}

/// Makes a library handle.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `evtHandle` or `version` is NULL.
/// - `SA_AIS_ERR_VERSION`: the release is not served.
/// - `SA_AIS_ERR_TRY_AGAIN`: the service cannot be reached.
/// - `SA_AIS_ERR_UNAVAILABLE`: release B.03, and the node is not a member.
/// - `SA_AIS_ERR_TIMEOUT`, `NO_MEMORY`, `NO_RESOURCES`, `LIBRARY`.
///
/// The version kept for the handle is the one wanted, as it is before `version` is overwritten.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtInitialize().
///
/// # Safety
///
/// `evtHandle` and `version` are each NULL, or aligned, writable and used by no other thread until
/// the call returns; `version` is initialized. `callbacks` is NULL or readable, and its members
/// that are not NULL are functions of the right type that exist until the handle is finalized.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtInitialize(
    evtHandle: *mut SaEvtHandleT,
    callbacks: *const SaEvtCallbacksT,
    version: *mut SaVersionT,
) -> SaAisErrorT {
    guard("saEvtInitialize", || {
        keep_quiet();
        // SAFETY: what `OutPtr::new` asks, this function asks of its caller.
        let out = unsafe { OutPtr::new(evtHandle) }.ok_or(Error::InvalidParam)?;
        // SAFETY: what `InOutPtr::new` asks, this function asks of its caller.
        let version = unsafe { InOutPtr::new(version) }.ok_or(Error::InvalidParam)?;
        let served = match negotiate(version.given) {
            Ok(served) => served,
            Err(refused) => {
                version.write(SUPPORTED);
                return Err(refused);
            }
        };
        // SAFETY: what `read` asks, this function asks of its caller.
        let callbacks = unsafe { ProgramCallbacks::read(served, callbacks) };
        let handle = agent::initialize(served, Box::new(callbacks))
            .map_err(|error| code::known_to(served, error))?;
        out.write(handle);
        version.write(SUPPORTED);
        Ok(())
    })
}

/// Gives the selection object of a library handle, for use with poll, select or epoll.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `selectionObject` is NULL.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtSelectionObjectGet().
///
/// # Safety
///
/// `selectionObject` is NULL, or aligned, writable and used by no other thread until the call
/// returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtSelectionObjectGet(
    evtHandle: SaEvtHandleT,
    selectionObject: *mut SaSelectionObjectT,
) -> SaAisErrorT {
    guard("saEvtSelectionObjectGet", || {
        // SAFETY: what `OutPtr::new` asks, this function asks of its caller.
        let out = unsafe { OutPtr::new(selectionObject) }.ok_or(Error::InvalidParam)?;
        let descriptor = agent::selection_object(evtHandle)?;
        out.write(u64::try_from(descriptor).map_err(|_| Error::Library)?);
        Ok(())
    })
}

/// Runs pending callbacks of a library handle in the calling thread.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `dispatchFlags` is none of the three values.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtDispatch().
///
/// # Safety
///
/// The callbacks given to `saEvtInitialize` can be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtDispatch(
    evtHandle: SaEvtHandleT,
    dispatchFlags: SaDispatchFlagsT,
) -> SaAisErrorT {
    guard("saEvtDispatch", || {
        let flags = match dispatchFlags {
            SA_DISPATCH_ONE => DispatchFlags::One,
            SA_DISPATCH_ALL => DispatchFlags::All,
            SA_DISPATCH_BLOCKING => DispatchFlags::Blocking,
            _ => return Err(Error::InvalidParam),
        };
        agent::dispatch(evtHandle, flags)
    })
}

/// Ends a library handle and everything made from it.
///
/// - `SA_AIS_ERR_BAD_HANDLE`, `SA_AIS_ERR_LIBRARY`.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtFinalize().
///
/// # Safety
///
/// None is needed; the functions of this interface are alike in being unsafe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtFinalize(evtHandle: SaEvtHandleT) -> SaAisErrorT {
    guard("saEvtFinalize", || agent::finalize(evtHandle))
}

/// Tells a limit of the service.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `limitValue` is NULL; or, after all other checks, `limitId` is
///   unknown.
/// - `SA_AIS_ERR_VERSION`: the handle is of a release before B.03.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtLimitGet().
///
/// # Safety
///
/// `limitValue` is NULL, or aligned, writable and used by no other thread until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtLimitGet(
    evtHandle: SaEvtHandleT,
    limitId: SaEvtLimitIdT,
    limitValue: *mut SaLimitValueT,
) -> SaAisErrorT {
    guard("saEvtLimitGet", || {
        // SAFETY: what `OutPtr::new` asks, this function asks of its caller.
        let out = unsafe { OutPtr::new(limitValue) }.ok_or(Error::InvalidParam)?;
        let limits = agent::limits(evtHandle)?;
        out.write(limit(&limits, limitId)?);
        Ok(())
    })
}

/// The limit of a number in C; `InvalidParam` if there is none.
fn limit(limits: &Limits, number: SaEvtLimitIdT) -> Result<SaLimitValueT, Error> {
    let uint64Value = match number {
        SA_EVT_MAX_NUM_CHANNELS_ID => limits.channels_max,
        SA_EVT_MAX_EVT_SIZE_ID => limits.event_bytes_max,
        SA_EVT_MAX_PATTERN_SIZE_ID => limits.pattern_bytes_max,
        SA_EVT_MAX_NUM_PATTERNS_ID => limits.patterns_max,
        SA_EVT_MAX_RETENTION_DURATION_ID => {
            return Ok(SaLimitValueT { timeValue: limits.retention_max.to_sa_time() });
        }
        _ => return Err(Error::InvalidParam),
    };
    Ok(SaLimitValueT { uint64Value })
}

#[cfg(test)]
#[allow(clippy::multiple_unsafe_ops_per_block)] // One fact makes all calls of a test sound.
mod tests {
    use super::*;
    use crate::agent::Callbacks;
    use std::cell::RefCell;
    use std::ptr::{null, null_mut};

    fn wanted(releaseCode: u8, majorVersion: u8) -> Result<Version, Error> {
        negotiate(SaVersionT { releaseCode, majorVersion, minorVersion: 0xff })
    }

    #[test]
    fn releases_b00_to_b03_are_served_whatever_the_minor_version() {
        assert_eq!(wanted(b'B', 0), Ok(Version::B01));
        assert_eq!(wanted(b'B', 1), Ok(Version::B01));
        assert_eq!(wanted(b'B', 2), Ok(Version::B02));
        assert_eq!(wanted(b'B', 3), Ok(Version::B03));
        assert_eq!(wanted(b'B', 4), Err(Error::Version));
        for code in [b'A', b'C', b'b', 0, 0xff] {
            assert_eq!(wanted(code, 1), Err(Error::Version));
        }
    }

    #[test]
    fn a_refused_release_is_answered_with_the_served_one() {
        let mut version = SaVersionT { releaseCode: b'A', majorVersion: 1, minorVersion: 1 };
        let mut handle = 42;
        // SAFETY: live variables of this test, and no callbacks.
        let code = unsafe { saEvtInitialize(&mut handle, null(), &mut version) };
        assert_eq!((code, handle, version), (SA_AIS_ERR_VERSION, 42, SUPPORTED));
    }

    #[test]
    fn null_comes_before_the_version_and_leaves_it_alone() {
        let given = SaVersionT { releaseCode: b'A', majorVersion: 1, minorVersion: 1 };
        let mut version = given;
        // SAFETY: NULL and a live variable.
        let code = unsafe { saEvtInitialize(null_mut(), null(), &mut version) };
        assert_eq!((code, version), (SA_AIS_ERR_INVALID_PARAM, given));
        // SAFETY: a live variable and NULL.
        let code = unsafe { saEvtInitialize(&mut 0, null(), null_mut()) };
        assert_eq!(code, SA_AIS_ERR_INVALID_PARAM);
    }

    #[test]
    fn arguments_are_judged_before_the_handle() {
        // SAFETY: NULL outputs and plain numbers.
        unsafe {
            assert_eq!(saEvtSelectionObjectGet(0, null_mut()), SA_AIS_ERR_INVALID_PARAM);
            assert_eq!(saEvtLimitGet(0, 1, null_mut()), SA_AIS_ERR_INVALID_PARAM);
            for flags in [0, 4, u32::MAX] {
                assert_eq!(saEvtDispatch(0, flags), SA_AIS_ERR_INVALID_PARAM);
            }
        }
    }

    #[test]
    fn each_limit_is_told_in_its_member() {
        let limits = Limits::default();
        let told = |number| {
            limit(&limits, number).map(|value| {
                // SAFETY: all members have these 64 bits, and every pattern of them is a number.
                unsafe { value.uint64Value }
            })
        };
        assert_eq!(told(1), Ok(limits.channels_max));
        assert_eq!(told(2), Ok(limits.event_bytes_max));
        assert_eq!(told(3), Ok(limits.pattern_bytes_max));
        assert_eq!(told(4), Ok(limits.patterns_max));
        assert_eq!(told(5), Ok(limits.retention_max.0));
        assert_eq!(told(0), Err(Error::InvalidParam));
        assert_eq!(told(6), Err(Error::InvalidParam));
    }

    thread_local! {
        static CALLS: RefCell<Vec<[u64; 3]>> = const { RefCell::new(Vec::new()) };
    }

    unsafe extern "C-unwind" fn note_open(invocation: u64, channel: u64, error: u32) {
        CALLS.with_borrow_mut(|calls| calls.push([invocation, channel, error.into()]));
    }

    unsafe extern "C-unwind" fn note_event(subscription: u32, event: u64, bytes: u64) {
        CALLS.with_borrow_mut(|calls| calls.push([subscription.into(), event, bytes]));
    }

    #[test]
    fn callbacks_are_called_with_codes_that_the_release_knows() {
        let given = SaEvtCallbacksT {
            saEvtChannelOpenCallback: Some(note_open),
            saEvtEventDeliverCallback: Some(note_event),
        };
        // SAFETY: functions of the right types.
        let callbacks = unsafe { ProgramCallbacks::read(Version::B02, &given) };
        assert!(callbacks.has_open() && callbacks.has_deliver());
        callbacks.open(1, Ok(2));
        callbacks.open(3, Err(Error::NotExist));
        callbacks.open(4, Err(Error::Unavailable));
        callbacks.deliver(SubscriptionId(5), 6, 7);
        let calls = CALLS.take();
        assert_eq!(calls, [[1, 2, 1], [3, 0, 12], [4, 0, 6], [5, 6, 7]]);
    }

    #[test]
    fn callbacks_may_be_missing_one_by_one() {
        let given = SaEvtCallbacksT {
            saEvtChannelOpenCallback: None,
            saEvtEventDeliverCallback: Some(note_event),
        };
        // SAFETY: a function of the right type.
        let callbacks = unsafe { ProgramCallbacks::read(Version::B03, &given) };
        assert!(!callbacks.has_open() && callbacks.has_deliver());
        // SAFETY: NULL is allowed.
        let callbacks = unsafe { ProgramCallbacks::read(Version::B03, null()) };
        assert!(!callbacks.has_open() && !callbacks.has_deliver());
    }
}
