//! Programs: where this library's file is, and starting another without a trace in this process.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The file that this code was loaded from: that of the library, or of a program that has the code
/// in itself.
#[must_use]
pub fn own_file() -> Option<PathBuf> {
    // SAFETY: the structure is plain pointers, for which null is a value.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    let here = own_file as *const c_void;
    // SAFETY: `here` is an address in this code, and `found` lives through the call.
    if unsafe { libc::dladdr(here, &raw mut found) } == 0 || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader keeps the name as a C string for as long as the file is loaded.
    let name = unsafe { CStr::from_ptr(found.dli_fname) }.to_bytes();
    if !name.contains(&b'/') {
        // What the program was called by, and found in `PATH`; libraries come with a directory.
        return std::fs::read_link("/proc/self/exe").ok();
    }
    std::fs::canonicalize(OsStr::from_bytes(name)).ok()
}

/// What the stub process needs; it shares this memory.
struct Start {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    ready: c_int,
    second_stack: *mut Stack,
}

const STACK_BYTES: usize = 64 << 10;

#[repr(align(16))]
struct Stack(#[allow(dead_code)] [u8; STACK_BYTES]); // Only its address is used.

fn spawn(body: extern "C" fn(*mut c_void) -> c_int, stack: &mut Stack, start: &Start) -> c_int {
    let top: *mut c_void = (&raw mut *stack).wrapping_add(1).cast();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    let argument = (&raw const *start).cast_mut().cast();
    // SAFETY: the stack is this call's alone until the child has gone or has called exec, which is
    // when a vfork-style clone returns; the bodies only make system calls.
    unsafe { libc::clone(body, top, flags, argument) }
}

/// First process: starts the second and leaves, so that the second is nobody's child here.
extern "C" fn stub(argument: *mut c_void) -> c_int {
    // SAFETY: `argument` is the `Start` that lives in the frame of `start_unseen`.
    let start = unsafe { &*argument.cast::<Start>() };
    // SAFETY: the second stack lives in the frame of `start_unseen` and is used here only.
    let stack = unsafe { &mut *start.second_stack };
    c_int::from(spawn(program, stack, start) < 0)
}

/// Second process: becomes the program.
extern "C" fn program(argument: *mut c_void) -> c_int {
    // SAFETY: `argument` is the `Start` that lives in the frame of `start_unseen`.
    let start = unsafe { &*argument.cast::<Start>() };
    // Standard error becomes the pipe whose end tells the starter that the program is ready.
    // SAFETY: the call takes numbers only.
    unsafe { libc::dup2(start.ready, 2) };
    // If the pipe's end is standard error already, it must only stay open.
    // SAFETY: the call takes numbers only.
    unsafe { libc::fcntl(2, libc::F_SETFD, 0) };
    // SAFETY: the three are a C string and two null-terminated arrays of such, alive in the frame
    // of `start_unseen`.
    unsafe { libc::execve(start.program, start.arguments, start.environment) };
    127
}

/// Starts a program that the calling process has no trace of: no child to wait for, no signal when
/// it ends. Gives a descriptor that hangs up when the program closes its standard error.
pub fn start_unseen(path: &OsStr, arguments: &[&OsStr]) -> io::Result<OwnedFd> {
    let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
    let program = text(path)?;
    let owned: Vec<CString> = std::iter::once(path)
        .chain(arguments.iter().copied())
        .map(text)
        .collect::<io::Result<_>>()?;
    let mut pointers: Vec<*const c_char> = owned.iter().map(|text| text.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let environment = [std::ptr::null()];
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    super::descriptor::checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the call succeeded, so both are new and nobody else's.
    let ready = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let told = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    let mut first_stack = Box::new(Stack([0; STACK_BYTES]));
    let mut second_stack = Box::new(Stack([0; STACK_BYTES]));
    let start = Start {
        program: program.as_ptr(),
        arguments: pointers.as_ptr(),
        environment: environment.as_ptr(),
        ready: told.as_raw_fd(),
        second_stack: &raw mut *second_stack,
    };
    let pid = with_signals_blocked(|| spawn(stub, &mut first_stack, &start));
    let pid = super::descriptor::checked(pid)?;
    let mut status = 0;
    // SAFETY: `status` lives through the call. The clone-only wait takes the stub and no child of
    // the program's own.
    unsafe { libc::waitpid(pid, &raw mut status, libc::__WCLONE) };
    if status == 0 { Ok(ready) } else { Err(io::Error::other("the program could not be started")) }
}

/// Runs `body` while no signal is delivered to this thread: a handler of the program must not run
/// in a process that shares its memory.
fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: a signal set is plain bits, for which zero is a value.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut before = all;
    // SAFETY: `all` lives through the call.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets live through the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    let result = body();
    // SAFETY: `before` is the mask that the first call gave; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}
