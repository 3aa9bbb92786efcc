//! Processes and users: who we are, ends of other processes, random numbers.

use super::descriptor::owned;
use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that becomes readable when process `pid` ends.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    owned(result as libc::c_int)
}

/// The effective user.
#[must_use]
pub fn user() -> u32 {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether the program runs with rights that its caller lacks (set-user-id and the like), so that
/// its environment is not to be trusted.
#[must_use]
pub fn is_privileged_exec() -> bool {
    // SAFETY: the call takes a number only.
    (unsafe { libc::getauxval(libc::AT_SECURE) }) != 0
}

/// A random number from the kernel; at worst, early in a boot, one made of the clock.
#[must_use]
pub fn random() -> u64 {
    let mut number = 0_u64;
    // SAFETY: `number` has room for the eight bytes that are asked for.
    let got =
        unsafe { libc::getrandom((&raw mut number).cast(), size_of::<u64>(), libc::GRND_NONBLOCK) };
    if got == 8 { number } else { super::clock::elapsed().0.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
}

/// Raises the soft limit of descriptors to the hard one.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` lives through the call; a refusal leaves the limit as it is.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
