//! Corosync's closed process groups: libcpg.so.4, loaded when it is asked for.
//!
//! Nothing of it is needed to build, or to run without it. Setting up a connection and joining can
//! block for as long as the corosync daemon does not answer; multicasting and dispatching do not.
//! Layouts and numbers are those of corosync/cpg.h and corosync/corotypes.h, unchanged since
//! version 2.

use std::cell::RefCell;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;

const CS_OK: c_int = 1;
const CS_ERR_TRY_AGAIN: c_int = 6;
const CS_ERR_ACCESS: c_int = 11;
const CS_DISPATCH_ONE_NONBLOCKING: c_int = 4;
const CPG_MODEL_V1: c_int = 1;
const CPG_TYPE_AGREED: c_int = 2;
/// Bytes of a group's name, `CPG_MAX_NAME_LENGTH`.
pub const NAME_BYTES_MAX: usize = 128;

/// Turns an answer of corosync into a result. `WouldBlock`: not now; `PermissionDenied`: not by
/// this user.
pub(super) fn checked(function: &str, code: c_int) -> io::Result<()> {
    match code {
        CS_OK => Ok(()),
        CS_ERR_TRY_AGAIN => Err(io::ErrorKind::WouldBlock.into()),
        CS_ERR_ACCESS => Err(io::ErrorKind::PermissionDenied.into()),
        code => Err(io::Error::other(format!("{function}: corosync error {code}"))),
    }
}

/// A shared library, loaded for the life of the process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Library(NonNull<c_void>);

fn loader_error() -> io::Error {
    // SAFETY: the call takes nothing.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return io::Error::other("the loader gives no reason");
    }
    // SAFETY: what dlerror returns is a C string until this thread's next call of the loader.
    let text = unsafe { CStr::from_ptr(text) };
    io::Error::other(text.to_string_lossy().into_owned())
}

impl Library {
    /// Loads a library by its soname, or says why it cannot be.
    pub(super) fn load(soname: &CStr) -> io::Result<Self> {
        // SAFETY: `soname` is a C string; corosync's libraries have no constructors that ask
        // anything of who loads them.
        let library = unsafe { libc::dlopen(soname.as_ptr(), libc::RTLD_NOW) };
        NonNull::new(library).map(Self).ok_or_else(loader_error)
    }

    /// The address of a function.
    pub(super) fn function(self, name: &CStr) -> io::Result<NonNull<c_void>> {
        // SAFETY: the library is never unloaded, and `name` is a C string.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        NonNull::new(address).ok_or_else(loader_error)
    }
}

/// Gives the function of a library with the type that its header declares.
macro_rules! function {
    ($library:expr, $name:literal, $type:ty) => {{
        let address = $library.function($name)?;
        // SAFETY: the header declares the function of this name with this type, and a pointer to
        // a function is as wide as one to data on Linux.
        unsafe { std::mem::transmute::<std::ptr::NonNull<std::ffi::c_void>, $type>(address) }
    }};
}
pub(super) use function;

/// `struct cpg_name`.
#[repr(C)]
struct Name {
    length: u32,
    value: [u8; NAME_BYTES_MAX],
}

/// `struct cpg_address`: a member as libcpg tells of it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The node's number.
    pub node: u32,
    /// The process.
    pub pid: u32,
    /// Why it has come or gone, a `CPG_REASON_*`.
    pub reason: u32,
}

type DeliverFn = extern "C" fn(u64, *const Name, u32, u32, *const c_void, usize);
type ChangeFn = extern "C" fn(
    u64,
    *const Name,
    *const Address,
    usize,
    *const Address,
    usize,
    *const Address,
    usize,
);

/// `cpg_model_v1_data_t`.
#[repr(C)]
struct Model {
    model: c_int,
    deliver: DeliverFn,
    change: ChangeFn,
    /// Membership of totem itself, which is not asked for.
    ring: Option<extern "C" fn()>,
    flags: c_uint,
}

/// What a dispatch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message to the group.
    Message {
        /// The sender's node.
        node: u32,
        /// The sender's process.
        pid: u32,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Members have come or gone.
    Change {
        /// All members now.
        members: Vec<Address>,
        /// Who has gone.
        left: Vec<Address>,
    },
}

thread_local! {
    /// Where the callbacks of the dispatch that runs in this thread put what they are told.
    static HEARD: RefCell<Vec<Heard>> = const { RefCell::new(Vec::new()) };
}

/// Copies a list that libcpg shows to a callback.
fn copied<T: Copy>(start: *const T, count: usize) -> Vec<T> {
    if start.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: libcpg passes the start and the length of an array of its own that is whole and
    // aligned until the callback returns.
    unsafe { std::slice::from_raw_parts(start, count) }.to_vec()
}

extern "C" fn on_deliver(
    _: u64,
    _: *const Name,
    node: u32,
    pid: u32,
    message: *const c_void,
    length: usize,
) {
    let bytes = copied(message.cast::<u8>(), length);
    HEARD.with_borrow_mut(|heard| heard.push(Heard::Message { node, pid, bytes }));
}

#[allow(clippy::too_many_arguments)] // The form is libcpg's.
extern "C" fn on_change(
    _: u64,
    _: *const Name,
    members: *const Address,
    members_count: usize,
    left: *const Address,
    left_count: usize,
    _: *const Address,
    _: usize,
) {
    let (members, left) = (copied(members, members_count), copied(left, left_count));
    HEARD.with_borrow_mut(|heard| heard.push(Heard::Change { members, left }));
}

type InitializeFn = unsafe extern "C" fn(*mut u64, c_int, *mut Model, *mut c_void) -> c_int;
type HandleFn = unsafe extern "C" fn(u64) -> c_int;
type NumberFn = unsafe extern "C" fn(u64, *mut c_int) -> c_int;
type DispatchFn = unsafe extern "C" fn(u64, c_int) -> c_int;
type JoinFn = unsafe extern "C" fn(u64, *const Name) -> c_int;
type MulticastFn = unsafe extern "C" fn(u64, c_int, *const libc::iovec, c_uint) -> c_int;

/// The functions that are used of libcpg.
#[derive(Clone, Copy)]
pub struct Cpg {
    initialize: InitializeFn,
    finalize: HandleFn,
    descriptor: NumberFn,
    dispatch: DispatchFn,
    join: JoinFn,
    multicast: MulticastFn,
    local_node: NumberFn,
    atomic_bytes_max: NumberFn,
}

impl Cpg {
    /// Loads libcpg.
    ///
    /// # Errors
    ///
    /// It is not installed, or is not what its soname promises; the loader's own words.
    pub fn load() -> io::Result<Self> {
        let library = Library::load(c"libcpg.so.4")?;
        Ok(Self {
            initialize: function!(library, c"cpg_model_initialize", InitializeFn),
            finalize: function!(library, c"cpg_finalize", HandleFn),
            descriptor: function!(library, c"cpg_fd_get", NumberFn),
            dispatch: function!(library, c"cpg_dispatch", DispatchFn),
            join: function!(library, c"cpg_join", JoinFn),
            multicast: function!(library, c"cpg_mcast_joined", MulticastFn),
            local_node: function!(library, c"cpg_local_get", NumberFn),
            atomic_bytes_max: function!(library, c"cpg_max_atomic_msgsize_get", NumberFn),
        })
    }

    /// Connects to the corosync of this host. Can block.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: not now. Else corosync does not run, or lets this user not in.
    pub fn connect(self) -> io::Result<Connection> {
        let mut model = Model {
            model: CPG_MODEL_V1,
            deliver: on_deliver,
            change: on_change,
            ring: None,
            flags: 0,
        };
        let mut handle = 0;
        // SAFETY: `handle` and `model` live through the call, which copies the model; its form is
        // that of the model number, and the callbacks live as long as the process.
        let code = unsafe {
            (self.initialize)(&raw mut handle, CPG_MODEL_V1, &raw mut model, std::ptr::null_mut())
        };
        checked("cpg_model_initialize", code)?;
        Ok(Connection { cpg: self, handle })
    }
}

/// A connection to corosync, in the thread that has made it.
pub struct Connection {
    cpg: Cpg,
    handle: u64,
}

impl Connection {
    fn number(&self, name: &str, function: NumberFn) -> io::Result<c_int> {
        let mut number: c_int = 0;
        // SAFETY: the handle is open until `drop`, and each of these functions writes one 32-bit
        // number.
        let code = unsafe { function(self.handle, &raw mut number) };
        checked(name, code)?;
        Ok(number)
    }

    /// A descriptor that is readable when there is something to dispatch.
    pub fn descriptor(&self) -> io::Result<RawFd> {
        self.number("cpg_fd_get", self.cpg.descriptor)
    }

    /// The number of this node. Can block.
    pub fn local_node(&self) -> io::Result<u32> {
        Ok(self.number("cpg_local_get", self.cpg.local_node)? as u32)
    }

    /// Length of the longest message that is not cut into pieces.
    pub fn atomic_bytes_max(&self) -> io::Result<usize> {
        Ok(self.number("cpg_max_atomic_msgsize_get", self.cpg.atomic_bytes_max)? as usize)
    }

    /// Joins a group; the name is cut at [`NAME_BYTES_MAX`]. Can block.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: not now. Else what corosync says.
    pub fn join(&self, group: &str) -> io::Result<()> {
        let length = group.len().min(NAME_BYTES_MAX);
        let mut name = Name { length: length as u32, value: [0; NAME_BYTES_MAX] };
        name.value[..length].copy_from_slice(&group.as_bytes()[..length]);
        // SAFETY: the handle is open until `drop`, and `name` lives through the call.
        let code = unsafe { (self.cpg.join)(self.handle, &raw const name) };
        checked("cpg_join", code)
    }

    /// Sends a message to the group, in agreed order.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: no room; nothing was sent. Else what corosync says.
    pub fn multicast(&self, message: &[u8]) -> io::Result<()> {
        let part =
            libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        // SAFETY: the handle is open until `drop`; the one part lives through the call, which
        // only reads it.
        let code =
            unsafe { (self.cpg.multicast)(self.handle, CPG_TYPE_AGREED, &raw const part, 1) };
        checked("cpg_mcast_joined", code)
    }

    /// Adds what can be dispatched without waiting to `into`, until it has `most` entries.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub fn dispatch(&self, into: &mut Vec<Heard>, most: usize) -> io::Result<()> {
        while into.len() < most {
            // SAFETY: the handle is open until `drop`. The callbacks run in this call, in this
            // thread, and touch only what is this thread's own.
            let code = unsafe { (self.cpg.dispatch)(self.handle, CS_DISPATCH_ONE_NONBLOCKING) };
            HEARD.with_borrow_mut(|heard| into.append(heard));
            match checked("cpg_dispatch", code) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and not used again. No callback runs outside `dispatch`.
        unsafe { (self.cpg.finalize)(self.handle) };
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Name>() == 132);
    assert!(size_of::<Address>() == 12);
    assert!(size_of::<Model>() == 40);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let error = Library::load(c"libno-such-engine.so.9").unwrap_err();
        assert!(error.to_string().contains("libno-such-engine.so.9"), "{error}");
    }

    #[test]
    fn a_function_that_is_not_there_is_named() {
        let library = Library::load(c"libc.so.6").unwrap();
        assert!(library.function(c"getpid").is_ok());
        let error = library.function(c"no_such_function").unwrap_err();
        assert!(error.to_string().contains("no_such_function"), "{error}");
    }
}
