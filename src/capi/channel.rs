//! Channels: open, close, unlink.

use super::guard::guard;
use super::ptr::{self, OutPtr};
use super::types::*;
use crate::agent;
use crate::evt::{Error, OpenFlags};

/// The flags that a program gave; `BadFlags` for none and for unknown ones.
fn open_flags(bits: SaEvtChannelOpenFlagsT) -> Result<OpenFlags, Error> {
    match OpenFlags::from_bits(bits) {
        Some(flags) if !flags.is_empty() => Ok(flags),
        _ => Err(Error::BadFlags),
    }
}

/// Opens a channel, waiting for at most `timeout` nanoseconds.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: a pointer is NULL, the name empty or too long, or not one that
///   the handle's release may create.
/// - `SA_AIS_ERR_BAD_FLAGS`: none, or unknown ones.
/// - `SA_AIS_ERR_TIMEOUT`: also, without any effect, for a timeout of zero or less.
/// - `SA_AIS_ERR_NOT_EXIST`: no such channel, and it was not to be created.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtChannelOpen().
///
/// # Safety
///
/// `channelName` is NULL or a readable name. `channelHandle` is NULL, or aligned and writable.
/// Neither is used by another thread until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtChannelOpen(
    evtHandle: SaEvtHandleT,
    channelName: *const SaNameT,
    channelOpenFlags: SaEvtChannelOpenFlagsT,
    timeout: SaTimeT,
    channelHandle: *mut SaEvtChannelHandleT,
) -> SaAisErrorT {
    guard("saEvtChannelOpen", || {
        // SAFETY: what `OutPtr::new` asks, this function asks of its caller.
        let out = unsafe { OutPtr::new(channelHandle) }.ok_or(Error::InvalidParam)?;
        // SAFETY: what `read_channel_name` asks, this function asks of its caller.
        let name = unsafe { ptr::read_channel_name(channelName) }?;
        let flags = open_flags(channelOpenFlags)?;
        out.write(agent::channel_open(evtHandle, &name, flags, timeout)?);
        Ok(())
    })
}

/// Starts to open a channel; the open callback brings the outcome.
///
/// - `SA_AIS_ERR_INVALID_PARAM`, `SA_AIS_ERR_BAD_FLAGS`: as for [`saEvtChannelOpen`].
/// - `SA_AIS_ERR_INIT`: no open callback was registered.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtChannelOpenAsync().
///
/// # Safety
///
/// `channelName` is NULL, or a readable name that no other thread writes until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtChannelOpenAsync(
    evtHandle: SaEvtHandleT,
    invocation: SaInvocationT,
    channelName: *const SaNameT,
    channelOpenFlags: SaEvtChannelOpenFlagsT,
) -> SaAisErrorT {
    guard("saEvtChannelOpenAsync", || {
        // SAFETY: what `read_channel_name` asks, this function asks of its caller.
        let name = unsafe { ptr::read_channel_name(channelName) }?;
        let flags = open_flags(channelOpenFlags)?;
        agent::channel_open_async(evtHandle, invocation, &name, flags)
    })
}

/// Closes an open channel and frees its events.
///
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtChannelClose().
///
/// # Safety
///
/// None is needed; the functions of this interface are alike in being unsafe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtChannelClose(channelHandle: SaEvtChannelHandleT) -> SaAisErrorT {
    guard("saEvtChannelClose", || agent::channel_close(channelHandle))
}

/// Removes a channel's name from the cluster.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `channelName` is NULL, empty or too long.
/// - `SA_AIS_ERR_NOT_EXIST`: no channel has the name.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtChannelUnlink().
///
/// # Safety
///
/// `channelName` is NULL, or a readable name that no other thread writes until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtChannelUnlink(
    evtHandle: SaEvtHandleT,
    channelName: *const SaNameT,
) -> SaAisErrorT {
    guard("saEvtChannelUnlink", || {
        // SAFETY: what `read_channel_name` asks, this function asks of its caller.
        let name = unsafe { ptr::read_channel_name(channelName) }?;
        agent::channel_unlink(evtHandle, &name)
    })
}

#[cfg(test)]
#[allow(clippy::multiple_unsafe_ops_per_block)] // One fact makes all calls of a test sound.
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    fn name(length: u16) -> SaNameT {
        SaNameT { length, value: [b'x'; 256] }
    }

    #[test]
    fn at_least_one_known_flag_and_no_other_is_needed() {
        for bits in 1..=7 {
            assert_eq!(open_flags(bits).map(|flags| flags.bits()), Ok(bits));
        }
        for bits in [0, 8, 9, 0x80, 0xff] {
            assert_eq!(open_flags(bits), Err(Error::BadFlags));
        }
    }

    #[test]
    fn open_judges_pointers_then_the_name_then_flags() {
        let mut channel = 42;
        // SAFETY: NULL, or names and a handle that live in this test.
        unsafe {
            let invalid = [
                saEvtChannelOpen(0, null(), 0, 0, &mut channel),
                saEvtChannelOpen(0, &name(1), 0, 0, null_mut()),
                saEvtChannelOpen(0, &name(0), 0, 0, &mut channel),
                saEvtChannelOpen(0, &name(257), 0, 0, &mut channel),
                saEvtChannelOpenAsync(0, 0, null(), 0),
                saEvtChannelOpenAsync(0, 0, &name(0), 0),
                saEvtChannelUnlink(0, null()),
                saEvtChannelUnlink(0, &name(257)),
            ];
            assert_eq!(invalid, [SA_AIS_ERR_INVALID_PARAM; 8]);
            let flags = [
                saEvtChannelOpen(0, &name(256), 0, 0, &mut channel),
                saEvtChannelOpenAsync(0, 0, &name(1), 8),
            ];
            assert_eq!(flags, [SA_AIS_ERR_BAD_FLAGS; 2]);
        }
        assert_eq!(channel, 42);
    }
}
