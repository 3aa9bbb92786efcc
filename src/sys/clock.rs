//! Clocks. The only place that reads them.

use crate::evt::Time;

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec, and both clocks exist on every kernel since 2.6.39; the
    // call then cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now
}

/// Elapsed time since boot, going on through suspend.
#[must_use]
pub fn elapsed() -> Time {
    let now = read(libc::CLOCK_BOOTTIME);
    Time(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Nanoseconds since the epoch, by this host's wall clock.
#[must_use]
pub fn wall() -> i64 {
    let now = read(libc::CLOCK_REALTIME);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
