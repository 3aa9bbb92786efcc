//! Waiting until a call is served.

use crate::evt::{Error, Span};
use crate::sys::{clock, descriptor};
use std::time::Duration;

/// Pause after the first refusal; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
/// Longest pause: a service that is back is noticed so late at most.
const PAUSE_LONGEST: Duration = Duration::from_millis(100);

/// A duration as the service counts it.
pub(super) fn span(duration: Duration) -> Span {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Span(nanoseconds.min(Span::FOREVER.0))
}

/// Repeats `call` while it gives [`Error::TryAgain`], for at most `time`.
///
/// A publisher that is faster than the service is told so by that error too: repeating slows it
/// down to what can be taken. Any other outcome is given back at once.
///
/// - [`Error::TryAgain`]: the time is over.
pub fn patiently<T>(
    time: Duration,
    mut call: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let end = clock::elapsed().after(span(time));
    let mut pause = PAUSE_FIRST;
    loop {
        let outcome = call();
        let left = clock::elapsed().until(end);
        if !matches!(outcome, Err(Error::TryAgain)) || left == Span::ZERO {
            return outcome;
        }
        // No descriptor tells when the service can be had again.
        let _ = descriptor::poll([], Some(span(pause).0.min(left.0)));
        pause = (2 * pause).min(PAUSE_LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_repeated_and_any_other_outcome_is_not() {
        let mut calls = 0;
        let outcome = patiently(Duration::from_secs(100), || {
            calls += 1;
            if calls < 4 { Err(Error::TryAgain) } else { Err::<(), _>(Error::TooBig) }
        });
        assert_eq!((calls, outcome), (4, Err(Error::TooBig)));
    }

    #[test]
    fn without_time_there_is_one_attempt() {
        let mut calls = 0;
        let outcome = patiently(Duration::ZERO, || {
            calls += 1;
            Err::<(), _>(Error::TryAgain)
        });
        assert_eq!((calls, outcome), (1, Err(Error::TryAgain)));
    }

    #[test]
    fn a_duration_beyond_all_time_is_for_ever() {
        assert_eq!(span(Duration::MAX), Span::FOREVER);
        assert_eq!(span(Duration::from_millis(5)), Span(5_000_000));
    }
}
