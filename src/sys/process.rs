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

/// Sheds what a daemon must not keep of the program that started it: session, directory, all
/// descriptors but standard error, signal settings, limits, scheduling, file mask.
pub fn become_daemon() {
    // SAFETY: these calls take numbers or constant strings only. Each failure leaves things as
    // they were, which is the best that can be had.
    unsafe {
        libc::setsid();
    }
    // SAFETY: the path is a C string.
    unsafe { libc::chdir(c"/".as_ptr()) };
    // SAFETY: the path is a C string.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    for standard in 0..2 {
        // SAFETY: the call takes numbers only.
        unsafe { libc::dup2(null, standard) };
    }
    // SAFETY: no object of this process owns a descriptor yet: it is called first thing in main.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    for signal in 1..=64 {
        // SAFETY: the default action is a valid one for every signal that can be set.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a signal set is plain bits, for which zero, the empty set, is a value.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `none` lives through the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
    // SAFETY: the call takes a number only.
    unsafe { libc::umask(0o077) };
    shed_limits();
}

/// Gives up standard error too, which tells the starter that the daemon listens.
pub fn close_standard_error() {
    // SAFETY: the path is a C string.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    // SAFETY: the call takes numbers only.
    unsafe { libc::dup2(null, 2) };
    if null > 2 {
        // SAFETY: the number was opened here and no object owns it.
        unsafe { libc::close(null) };
    }
}

fn shed_limits() {
    for resource in [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_FSIZE, libc::RLIMIT_CPU] {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` lives through the call.
        if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
            limit.rlim_cur = limit.rlim_max;
            // SAFETY: `limit` lives through the call.
            unsafe { libc::setrlimit(resource, &raw const limit) };
        }
    }
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: `ordinary` lives through the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) };
    // Only root may be less nice than before; others stay as they are.
    // SAFETY: the call takes numbers only.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) };
    // SAFETY: a CPU set is plain bits, for which zero is a value.
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in 0..libc::CPU_SETSIZE as usize {
        // SAFETY: the index is below the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut all) };
    }
    // SAFETY: `all` lives through the call and has the size that is passed.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const all) };
}

/// Has `in_child` called in every child that `fork` makes from now on, before `fork` returns there.
/// It may only do what a signal handler may.
pub fn at_fork(in_child: extern "C" fn()) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: `in_child` is a function of this library, which is never unloaded (-z nodelete). A
    // failure for want of memory leaves a child with copies of descriptors, and nothing worse.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    });
}
