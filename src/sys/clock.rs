//! Clocks. The only place that reads them.

use crate::evt::Time;
use parking_lot::Mutex;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

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

/// The wall clock for what happens very often. Between readings a microsecond apart it goes by the
/// counter of the processor, which takes a third of the time.
///
/// What it gives is the time of the call, as exact as a reading of the clock is: it may lie before
/// by what passes between reading the clock and looking at the counter after that, 10 to 20
/// nanoseconds. For one thread it does not go back. A counter that jumped, or is that of another
/// processor, does little harm: every distance but a short one forward has the clock read, so that
/// a time is never off by more than that distance, and how fast the counter goes is measured all
/// the time.
#[derive(Debug, Default)]
pub struct QuickWall {
    /// The counter just after the last reading, and what was read.
    counter: AtomicU64,
    wall: AtomicI64,
    /// Nanoseconds in 2^32 steps; 0 as long as nobody knows.
    pace: AtomicU64,
    /// Held by who changes them.
    measured: Mutex<Measured>,
}

/// How the pace is known.
#[derive(Debug, Default)]
struct Measured {
    /// The counter and the time from which on it is measured.
    counter: u64,
    wall: i64,
    /// As it was measured last.
    pace: u64,
}

impl QuickWall {
    /// How far the counter is followed: a microsecond at two steps in a nanosecond.
    const STEPS: u64 = 2000;
    /// A reading that took more was interrupted, and says nothing of the counter.
    const READING_STEPS: u64 = 300;
    /// How often the pace is measured: every 1 to 4 ms. The error of two readings is less than a
    /// thousandth of that.
    const PACE_STEPS: u64 = 1 << 22;

    /// Nanoseconds since the epoch, by this host's wall clock.
    #[inline]
    #[must_use]
    pub fn now(&self) -> i64 {
        match counter() {
            Some(now) => self.at(now, || (counter().unwrap_or(0), wall(), counter().unwrap_or(0))),
            None => wall(),
        }
    }

    /// The time at the step `now` of the counter. `read` reads the counter, the clock, and the
    /// counter again.
    #[inline(always)]
    fn at(&self, now: u64, read: impl FnOnce() -> (u64, i64, u64)) -> i64 {
        let counter = self.counter.load(Ordering::Acquire);
        let pace = self.pace.load(Ordering::Relaxed);
        let wall = self.wall.load(Ordering::Relaxed);
        // What was loaded belongs together if no thread has begun to change it.
        fence(Ordering::Acquire);
        let steps = now.wrapping_sub(counter);
        if steps < Self::STEPS && pace > 0 && self.counter.load(Ordering::Relaxed) == counter {
            return wall + ((steps * pace) >> 32) as i64;
        }
        self.renew(read)
    }

    /// Reads the clock, and notes what it says unless another thread is doing that just now.
    #[inline(never)]
    fn renew(&self, read: impl FnOnce() -> (u64, i64, u64)) -> i64 {
        let Some(mut measured) = self.measured.try_lock() else { return read().1 };
        let (before, wall, counter) = read();
        if counter.wrapping_sub(before) <= Self::READING_STEPS {
            // No step is near this one before the new one is there.
            self.counter.store(counter.wrapping_sub(u64::MAX / 2), Ordering::Relaxed);
            fence(Ordering::Release);
            if counter.wrapping_sub(measured.counter) >= Self::PACE_STEPS {
                self.pace.store(measured.renew(counter, wall), Ordering::Relaxed);
            }
            self.wall.store(wall, Ordering::Relaxed);
            self.counter.store(counter, Ordering::Release);
        }
        wall
    }
}

impl Measured {
    /// Half a step to eight in a nanosecond.
    const PACES: RangeInclusive<u64> = 1 << 29..=1 << 33;
    /// Two measured in a row differ by less than this part, or something has happened between.
    const DIFFER: u64 = 500;

    /// Measures the pace up to here, and begins anew. 0 if it cannot be trusted.
    #[cold]
    fn renew(&mut self, counter: u64, wall: i64) -> u64 {
        let steps = counter.wrapping_sub(self.counter).max(1);
        let nanoseconds = u64::try_from(wall.wrapping_sub(self.wall)).unwrap_or(0);
        let pace = u64::try_from((u128::from(nanoseconds) << 32) / u128::from(steps)).unwrap_or(0);
        // Not at first, nor when one of them was set, or the host slept.
        let is_as_before = pace.abs_diff(self.pace) <= self.pace / Self::DIFFER;
        *self = Self { counter, wall, pace };
        if is_as_before && Self::PACES.contains(&pace) { pace } else { 0 }
    }
}

/// Steps of a counter that goes on evenly.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> Option<u64> {
    // SAFETY: every processor of this kind has the instruction, which changes nothing. A program
    // that forbids it to itself (PR_SET_TSC) ends here by a signal, as it would where it reads the
    // clock on a host that goes by this counter.
    Some(unsafe { core::arch::x86_64::_rdtsc() })
}

/// No counter is known that is read faster than the clock.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
const fn counter() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How long the clock of the tests takes to be read: nanoseconds.
    const READING: i64 = 25;

    /// A clock, a counter that takes 12 steps in 5 ns, and who goes by both.
    struct Bench {
        quick: QuickWall,
        elapsed: Cell<i64>,
        /// What the clock shows when nothing has elapsed, and what the counter does.
        wall: Cell<i64>,
        steps: Cell<u64>,
        readings: Cell<u32>,
        given: Cell<i64>,
    }

    impl Bench {
        fn new() -> Self {
            let (wall, steps) = (Cell::new(1_000_000_000_000_000_000), Cell::new(1 << 40));
            let (elapsed, readings, given) = (Cell::new(0), Cell::new(0), Cell::new(0));
            Self { quick: QuickWall::default(), elapsed, wall, steps, readings, given }
        }

        fn pass(&self, nanoseconds: i64) {
            self.elapsed.set(self.elapsed.get() + nanoseconds);
        }

        fn wall(&self) -> i64 {
            self.wall.get() + self.elapsed.get()
        }

        fn counter(&self) -> u64 {
            self.steps.get().wrapping_add(self.elapsed.get() as u64 * 12 / 5)
        }

        /// A call with its time at the beginning and at the end; the reading takes so long.
        fn call_with(&self, reading: i64) -> (i64, i64, i64) {
            let begin = self.wall();
            let given = self.quick.at(self.counter(), || {
                let before = self.counter();
                self.readings.set(self.readings.get() + 1);
                self.pass(reading / 2);
                let wall = self.wall();
                self.pass(reading - reading / 2);
                (before, wall, self.counter())
            });
            (begin, given, self.wall())
        }

        fn call(&self) -> i64 {
            let (begin, given, _) = self.call_with(READING);
            assert!((-READING..=READING).contains(&(given - begin)), "{}", given - begin);
            assert!(given >= self.given.replace(given), "it goes back");
            given
        }

        /// Calls for so many nanoseconds, one every 50; gives how often the clock was read.
        fn run(&self, nanoseconds: i64) -> u32 {
            let before = self.readings.get();
            (0..nanoseconds / 50).for_each(|_| {
                self.call();
                self.pass(50);
            });
            self.readings.get() - before
        }
    }

    #[test]
    fn the_clock_is_read_once_in_a_microsecond_and_all_times_are_those_of_the_call() {
        let bench = Bench::new();
        // Until the pace is known, each time.
        assert_eq!(bench.run(1_000_000), 20_000);
        bench.run(9_000_000);
        let readings = bench.run(10_000_000);
        assert!((10_000..=15_000).contains(&readings), "{readings}");
    }

    #[test]
    fn a_counter_that_jumps_has_the_clock_read() {
        let bench = Bench::new();
        bench.run(10_000_000);
        for steps in [0, 1 << 20, 1 << 50, u64::MAX >> 1, u64::MAX] {
            bench.steps.set(steps);
            let before = bench.readings.get();
            bench.call();
            assert_eq!(bench.readings.get(), before + 1, "{steps}");
            bench.run(10_000_000);
        }
    }

    #[test]
    fn a_reading_that_was_interrupted_is_right_and_not_followed() {
        let bench = Bench::new();
        bench.run(10_000_000);
        bench.pass(10_000);
        let (begin, given, end) = bench.call_with(900_000);
        assert!(begin <= given && given <= end);
        let before = bench.readings.get();
        bench.call();
        assert_eq!(bench.readings.get(), before + 1);
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed_within_a_microsecond() {
        let bench = Bench::new();
        bench.run(10_000_000);
        bench.wall.set(bench.wall.get() - 3_600_000_000_000);
        bench.given.set(0);
        bench.pass(1_000);
        bench.run(10_000_000);
    }

    #[test]
    fn the_real_one_is_between_two_readings_whoever_else_uses_it() {
        let quick = QuickWall::default();
        // What an interrupted reading may be off, and some steps that are out of order.
        let slack = 500;
        let look = || {
            for _ in 0..100_000 {
                let begin = wall();
                let given = quick.now();
                let end = wall();
                assert!(begin - slack <= given && given <= end + slack, "{begin} {given} {end}");
            }
        };
        std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(look))));
    }
}
