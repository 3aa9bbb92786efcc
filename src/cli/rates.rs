//! How fast counters grow: two looks, with a time between them.

use super::failure::Failure;
use super::table::Cell;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How fast the counters of channels, programs or the node have grown, by what they are of.
pub(super) struct Rates<K> {
    /// Publications and lost-events at the first look.
    before: BTreeMap<K, [u64; 2]>,
    time: Duration,
}

/// What grows in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) publications: f64,
    pub(super) lost_events: f64,
}

/// Looks twice, with the time `over` between, and gives the second look with the rates; looks once
/// if no time was given. `count` gives what is counted: whose, publications and lost-events.
pub(super) fn look<T, K: Ord>(
    over: Option<Duration>,
    look: impl Fn() -> Result<T, Failure>,
    count: impl Fn(&T) -> Vec<(K, [u64; 2])>,
) -> Result<(T, Option<Rates<K>>), Failure> {
    let Some(over) = over else { return Ok((look()?, None)) };
    let before = count(&look()?).into_iter().collect();
    let begin = Instant::now();
    std::thread::sleep(over);
    let now = look()?;
    Ok((now, Some(Rates { before, time: begin.elapsed() })))
}

impl<K: Ord> Rates<K> {
    /// The rate of one that counts so much now. What began anew meanwhile, or was not there, has
    /// grown by all that it counts.
    pub(super) fn of(&self, whose: &K, now: [u64; 2]) -> Rate {
        let before = self.before.get(whose).copied().unwrap_or_default();
        let rate = |now: u64, before: u64| {
            now.checked_sub(before).unwrap_or(now) as f64 / self.time.as_secs_f64().max(1e-9)
        };
        Rate { publications: rate(now[0], before[0]), lost_events: rate(now[1], before[1]) }
    }

    /// The time that lay between the looks, as a member of an object.
    pub(super) fn add_time(&self, to: &mut Map<String, Value>) {
        let nanoseconds = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        to.insert("over_ns".into(), nanoseconds.into());
    }
}

impl Rate {
    /// As members of an object.
    pub(super) fn add(self, to: &mut Map<String, Value>) {
        to.insert("publications_per_second".into(), self.publications.into());
        to.insert("lost_events_per_second".into(), self.lost_events.into());
    }

    /// As cells below [`HEADS`].
    pub(super) fn cells(self) -> [Cell; 2] {
        [self.publications, self.lost_events].map(|rate| Cell::number(shown(rate)))
    }
}

/// The heads of [`Rate::cells`].
pub(super) const HEADS: [&str; 2] = [">EVENTS/S", ">LOST/S"];

/// A rate for people.
pub(super) fn shown(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_has_grown_by_the_time_for_it() {
        let before = BTreeMap::from([("a", [100, 3]), ("anew", [100, 3])]);
        let rates = Rates { before, time: Duration::from_secs(2) };
        let rate = |publications, lost_events| Rate { publications, lost_events };
        assert_eq!(rates.of(&"a", [140, 3]), rate(20.0, 0.0));
        assert_eq!(rates.of(&"anew", [10, 0]), rate(5.0, 0.0));
        assert_eq!(rates.of(&"new", [7, 1]), rate(3.5, 0.5));
        assert_eq!((shown(3.51), shown(1234.5)), ("3.5".into(), "1234".into()));
    }
}
