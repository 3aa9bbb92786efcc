//! Corosync's quorum service: libquorum.so.5, loaded when it is asked for.
//!
//! Setting up can block for as long as the corosync daemon does not answer; dispatching does not.
//! Layouts and numbers are those of corosync/quorum.h.

use super::cpg::{Library, checked, function};
use std::cell::Cell;
use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::RawFd;

const CS_DISPATCH_ALL: c_int = 2;
/// The present state, and each change.
const CS_TRACK_CURRENT_AND_CHANGES: c_uint = 1 | 2;
/// `QUORUM_FREE`: no quorum provider is configured.
const QUORUM_FREE: u32 = 0;

type NotifyFn = extern "C" fn(u64, u32, u64, u32, *mut u32);

/// `quorum_callbacks_t`.
#[repr(C)]
struct Callbacks {
    notify: NotifyFn,
}

thread_local! {
    /// The last state that a dispatch in this thread was told.
    static QUORATE: Cell<Option<bool>> = const { Cell::new(None) };
}

extern "C" fn on_notify(_: u64, quorate: u32, _: u64, _: u32, _: *mut u32) {
    QUORATE.set(Some(quorate != 0));
}

type InitializeFn = unsafe extern "C" fn(*mut u64, *mut Callbacks, *mut u32) -> c_int;
type HandleFn = unsafe extern "C" fn(u64) -> c_int;
type NumberFn = unsafe extern "C" fn(u64, *mut c_int) -> c_int;
type TrackFn = unsafe extern "C" fn(u64, c_uint) -> c_int;
type DispatchFn = unsafe extern "C" fn(u64, c_int) -> c_int;

/// The functions that are used of libquorum.
#[derive(Clone, Copy)]
pub struct QuorumService {
    initialize: InitializeFn,
    finalize: HandleFn,
    descriptor: NumberFn,
    track: TrackFn,
    dispatch: DispatchFn,
}

impl QuorumService {
    /// Loads libquorum.
    ///
    /// # Errors
    ///
    /// It is not installed, or is not what its soname promises; the loader's own words.
    pub fn load() -> io::Result<Self> {
        let library = Library::load(c"libquorum.so.5")?;
        Ok(Self {
            initialize: function!(library, c"quorum_initialize", InitializeFn),
            finalize: function!(library, c"quorum_finalize", HandleFn),
            descriptor: function!(library, c"quorum_fd_get", NumberFn),
            track: function!(library, c"quorum_trackstart", TrackFn),
            dispatch: function!(library, c"quorum_dispatch", DispatchFn),
        })
    }

    /// Connects to the corosync of this host and asks for every change. Can block.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: not now. `Unsupported`: corosync has no quorum provider. Else corosync does
    /// not run, or lets this user not in.
    pub fn connect(self) -> io::Result<Quorum> {
        let mut callbacks = Callbacks { notify: on_notify };
        let (mut handle, mut kind) = (0, QUORUM_FREE);
        // SAFETY: all three live through the call, which copies the callbacks; those live as long
        // as the process.
        let code = unsafe { (self.initialize)(&raw mut handle, &raw mut callbacks, &raw mut kind) };
        checked("quorum_initialize", code)?;
        let quorum = Quorum { service: self, handle };
        if kind == QUORUM_FREE {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // SAFETY: the handle was opened above.
        let code = unsafe { (self.track)(handle, CS_TRACK_CURRENT_AND_CHANGES) };
        checked("quorum_trackstart", code)?;
        Ok(quorum)
    }
}

/// A connection to the quorum service, in the thread that has made it.
pub struct Quorum {
    service: QuorumService,
    handle: u64,
}

impl Quorum {
    /// A descriptor that is readable when there is something to dispatch.
    pub fn descriptor(&self) -> io::Result<RawFd> {
        let mut descriptor: c_int = -1;
        // SAFETY: the handle is open until `drop`, and `descriptor` lives through the call.
        let code = unsafe { (self.service.descriptor)(self.handle, &raw mut descriptor) };
        checked("quorum_fd_get", code)?;
        Ok(descriptor)
    }

    /// Whether there is quorum, if that was told since the last call.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub fn dispatch(&self) -> io::Result<Option<bool>> {
        // SAFETY: the handle is open until `drop`. The callback runs in this call, in this
        // thread, and touches only what is this thread's own.
        let code = unsafe { (self.service.dispatch)(self.handle, CS_DISPATCH_ALL) };
        match checked("quorum_dispatch", code) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => result?,
        }
        Ok(QUORATE.take())
    }
}

impl Drop for Quorum {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and not used again. No callback runs outside `dispatch`.
        unsafe { (self.service.finalize)(self.handle) };
    }
}
