//! Times as data: the drivers read the clocks, the semantics only compare and add.

/// A moment in elapsed nanoseconds since boot, going on through suspend (`CLOCK_BOOTTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// A moment that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `span` later, at most [`Time::MAX`]. A span of [`Span::FOREVER`] gives `MAX`.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        if span.0 == Span::FOREVER.0 { Self::MAX } else { Self(self.0.saturating_add(span.0)) }
    }

    /// How long it is from `self` until `later`; zero if that has passed, `FOREVER` for `MAX`.
    #[must_use]
    pub const fn until(self, later: Self) -> Span {
        if later.0 == u64::MAX { Span::FOREVER } else { Span(later.0.saturating_sub(self.0)) }
    }
}

/// A duration in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Without end: `SA_TIME_MAX` as a duration (2^63 - 1).
    pub const FOREVER: Self = Self(i64::MAX as u64);

    /// The duration of an `SaTimeT`; `None` if it is negative.
    #[must_use]
    pub const fn from_sa_time(nanoseconds: i64) -> Option<Self> {
        if nanoseconds < 0 { None } else { Some(Self(nanoseconds as u64)) }
    }

    /// The `SaTimeT` of this duration; never above `SA_TIME_MAX`.
    #[must_use]
    pub const fn to_sa_time(self) -> i64 {
        if self.0 > i64::MAX as u64 { i64::MAX } else { self.0 as i64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_without_end_never_wraps_into_a_short_one() {
        assert_eq!(Time(u64::MAX - 5).after(Span(10)), Time::MAX);
        assert_eq!(Time(7).after(Span::FOREVER), Time::MAX);
        assert_eq!(Time(7).until(Time::MAX), Span::FOREVER);
        assert_eq!(Time(7).until(Time(3)), Span::ZERO);
    }

    #[test]
    fn negative_sa_times_are_no_durations() {
        assert_eq!(Span::from_sa_time(-1), None);
        assert_eq!(Span::from_sa_time(i64::MIN), None);
        assert_eq!(Span::from_sa_time(i64::MAX), Some(Span::FOREVER));
        assert_eq!(Span::FOREVER.to_sa_time(), i64::MAX);
    }
}
