//! How many lines of log somebody may cause.

use crate::evt::{Span, Time};

/// The time for which lines are counted.
pub(super) const PERIOD: Span = Span(60_000_000_000);

/// Lines of log about one client or user, counted for a minute at a time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Throttle {
    /// When the present minute began.
    since: Option<Time>,
    lines: u32,
    silent: u64,
}

impl Throttle {
    /// Whether another line may be written where at most `most` are in a minute; one that may not
    /// is counted.
    pub(super) fn admits(&mut self, now: Time, most: u32) -> bool {
        if self.ends() <= now {
            self.since = Some(now);
            self.lines = 0;
        }
        let admitted = self.lines < most;
        if admitted {
            self.lines += 1;
        } else {
            self.silent += 1;
        }
        admitted
    }

    /// Counts a line that is not written for another reason.
    pub(super) const fn leave_out(&mut self) {
        self.silent += 1;
    }

    /// When this minute is over; at once if none has begun.
    pub(super) fn ends(&self) -> Time {
        self.since.map_or(Time::default(), |since| since.after(PERIOD))
    }

    /// Lines that were left out since they were asked for.
    pub(super) const fn silent(&self) -> u64 {
        self.silent
    }

    /// The same, and begins to count anew.
    pub(super) fn take_silent(&mut self) -> u64 {
        std::mem::take(&mut self.silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_minute_are_admitted_and_the_others_counted() {
        let mut throttle = Throttle::default();
        let second = |second: u64| Time(second * 1_000_000_000);
        let mut admitted = |at| throttle.admits(second(at), 2);
        assert_eq!([5, 6, 7, 64].map(&mut admitted), [true, true, false, false]);
        assert_eq!([65, 66, 67].map(&mut admitted), [true, true, false]);
        assert_eq!(throttle.ends(), second(125));
        assert_eq!((throttle.take_silent(), throttle.silent()), (3, 0));
    }
}
