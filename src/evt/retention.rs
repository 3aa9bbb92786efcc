//! Retained events: what late subscribers get, for how long, and in which order.

use super::{AttributesRef, EventId, Filters, Priority, Span, SubscriptionNo, Time};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// One publication, written once and shared by the queues and the retention store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its identifier.
    pub id: EventId,
    /// When it was published: nanoseconds since the epoch.
    pub publish_time: i64,
    /// Retention time as the publisher set it.
    pub retention: Span,
    /// Its priority.
    pub priority: Priority,
    /// Patterns and publisher name, packed.
    pub attributes: Vec<u8>,
    /// The data.
    pub data: Vec<u8>,
}

impl EventRecord {
    /// The bytes that count against queue and retention bounds: packed attributes and data.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        Self::bytes_of(self.attributes.len(), self.data.len() as u64)
    }

    /// The bytes an event with such attributes and data counts for.
    #[must_use]
    pub const fn bytes_of(attributes_bytes: usize, data_bytes: u64) -> u64 {
        data_bytes.saturating_add(attributes_bytes as u64)
    }

    /// Patterns and publisher name, which were judged before the record was made.
    pub(super) fn view(&self) -> Option<AttributesRef<'_>> {
        AttributesRef::parse(&self.attributes).ok()
    }

    /// Whether `filters` match the event.
    pub(super) fn matches(&self, filters: &Filters) -> bool {
        self.view().is_some_and(|attributes| filters.matches(attributes))
    }

    /// The retention time left at `now` if it ends at `deadline`; zero if there was none.
    pub(super) fn left(&self, now: Time, deadline: Time) -> Span {
        if self.retention == Span::ZERO { Span::ZERO } else { now.until(deadline) }
    }
}

/// A retained event.
#[derive(Debug)]
pub(super) struct Retained {
    pub(super) record: Rc<EventRecord>,
    pub(super) deadline: Time,
    /// The user it is charged to; none if it was adopted from an earlier start.
    pub(super) user: Option<u32>,
}

/// The retained events of one channel, by priority and publish order.
#[derive(Debug)]
pub(super) struct RetentionStore {
    levels: [BTreeMap<u64, Retained>; Priority::LEVELS],
    by_id: HashMap<EventId, (Priority, u64), FixedState>,
    bytes: u64,
}

impl RetentionStore {
    pub(super) fn new(hasher: &FixedState) -> Self {
        let levels = std::array::from_fn(|_| BTreeMap::new());
        Self { levels, by_id: HashMap::with_hasher(hasher.clone()), bytes: 0 }
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The event of this id.
    pub(super) fn get(&self, id: EventId) -> Option<&EventRecord> {
        let (priority, serial) = self.by_id.get(&id)?;
        Some(&self.levels[priority.index()].get(serial)?.record)
    }

    /// The events from a place on, in order: the first ones are the most urgent, and the oldest.
    pub(super) fn iter_from(
        &self,
        (priority, serial): (Priority, u64),
    ) -> impl Iterator<Item = ((Priority, u64), &Retained)> {
        let levels = Priority::ALL.into_iter().filter(move |level| *level >= priority);
        levels.flat_map(move |level| {
            let begin = if level == priority { serial } else { 0 };
            let events = self.levels[level.index()].range(begin..);
            events.map(move |(serial, retained)| ((level, *serial), retained))
        })
    }

    /// The retained event of this id.
    pub(super) fn entry(&self, id: EventId) -> Option<&Retained> {
        let (priority, serial) = self.by_id.get(&id)?;
        self.levels[priority.index()].get(serial)
    }

    /// Adds an event; `serial` is above that of every event added before. The id must be new.
    pub(super) fn insert(&mut self, serial: u64, retained: Retained) {
        let priority = retained.record.priority;
        self.bytes += retained.record.bytes();
        let before = self.by_id.insert(retained.record.id, (priority, serial));
        debug_assert!(before.is_none(), "a retained id is stored once");
        self.levels[priority.index()].insert(serial, retained);
    }

    /// Takes an event out by its id; gives its serial number too.
    pub(super) fn remove(&mut self, id: EventId) -> Option<(u64, Retained)> {
        let (priority, serial) = *self.by_id.get(&id)?;
        Some((serial, self.remove_at(priority, serial)?))
    }

    /// Takes an event out by its place.
    pub(super) fn remove_at(&mut self, priority: Priority, serial: u64) -> Option<Retained> {
        let retained = self.levels[priority.index()].remove(&serial)?;
        self.by_id.remove(&retained.record.id);
        self.bytes -= retained.record.bytes();
        Some(retained)
    }

    /// The first event of a priority from `span.0` to `span.1` whose retention has not lapsed at
    /// `now` and for which `taker` names a subscription. Cost: the events passed over.
    pub(super) fn next(
        &self,
        priority: Priority,
        span: (u64, u64),
        now: Time,
        taker: impl Fn(&EventRecord) -> Option<SubscriptionNo>,
    ) -> Option<(u64, &Retained, SubscriptionNo)> {
        if span.0 > span.1 {
            return None;
        }
        let range = self.levels[priority.index()].range(span.0..=span.1);
        let mut kept = range.filter(|(_, each)| each.deadline > now);
        kept.find_map(|(serial, each)| Some((*serial, each, taker(&each.record)?)))
    }

    pub(super) fn events(&self) -> u64 {
        self.by_id.len() as u64
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All events with their serial numbers, by priority.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Retained)> {
        self.levels.iter().flatten().map(|(serial, retained)| (*serial, retained))
    }
}

/// When retained events lapse, over all channels.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeMap<(Time, u64), (u32, Priority)>,
}

impl Deadlines {
    /// Notes the end of an event at `priority` of `channel`; [`Time::MAX`] never comes.
    pub(super) fn insert(&mut self, deadline: Time, serial: u64, channel: u32, of: Priority) {
        if deadline < Time::MAX {
            self.by_time.insert((deadline, serial), (channel, of));
        }
    }

    pub(super) fn remove(&mut self, deadline: Time, serial: u64) {
        self.by_time.remove(&(deadline, serial));
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Takes one event that has lapsed at `now`: its channel, priority and serial number.
    pub(super) fn lapse(&mut self, now: Time) -> Option<(u32, Priority, u64)> {
        let entry = self.by_time.first_entry()?;
        let (deadline, serial) = *entry.key();
        if deadline > now {
            return None;
        }
        let (channel, priority) = entry.remove();
        Some((channel, priority, serial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_lapses_when_the_clock_reaches_its_deadline() {
        let mut deadlines = Deadlines::default();
        deadlines.insert(Time(15), 1, 0, Priority::HIGHEST);
        deadlines.insert(Time::MAX, 2, 0, Priority::HIGHEST);
        assert_eq!(deadlines.next(), Some(Time(15)));
        assert_eq!(deadlines.lapse(Time(14)), None);
        assert_eq!(deadlines.lapse(Time(15)), Some((0, Priority::HIGHEST, 1)));
        assert_eq!(deadlines.lapse(Time::MAX), None);
        assert_eq!(deadlines.next(), None);
    }
}
