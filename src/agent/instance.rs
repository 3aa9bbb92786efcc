//! One open instance of a channel, as the program's side keeps it.

use super::events::EventTable;
use super::handles::{Draw, EVENT_CHECK_MASK, EventHandle};
use super::library::Library;
use super::rights::Rights;
use super::table::Taken;
use super::{Handle, Version};
use crate::evt::{
    AttributesRef, Error, EventId, Filters, Incarnation, InstanceNo, OpenFlags, Priority,
    SubscriptionId, SubscriptionNo, Time,
};
use crate::sys::process;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Retained events of which an instance remembers that it had them, before it asks the node which
/// of them are gone.
const HAD_BEFORE_SWEEP: usize = 1024;

/// One subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) number: SubscriptionNo,
    pub(super) id: SubscriptionId,
    pub(super) filters: Filters,
    /// The node has been asked to remove it.
    pub(super) leaving: bool,
}

/// The subscriptions of an instance, in order of registration.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    list: Vec<Subscription>,
    last: u32,
}

impl Subscriptions {
    /// The number of the next subscription.
    pub(super) const fn next_number(&mut self) -> SubscriptionNo {
        self.last = self.last.wrapping_add(1);
        SubscriptionNo(self.last)
    }

    pub(super) fn has(&self, id: SubscriptionId) -> bool {
        self.list.iter().any(|known| known.id == id)
    }

    pub(super) fn add(&mut self, subscription: Subscription) {
        let at = self.list.partition_point(|known| known.number < subscription.number);
        self.list.insert(at, subscription);
    }

    /// Marks the subscription with this id as leaving.
    ///
    /// - [`Error::NotExist`].
    pub(super) fn leave(&mut self, id: SubscriptionId) -> Result<SubscriptionNo, Error> {
        let known = self.list.iter_mut().find(|known| known.id == id && !known.leaving);
        let known = known.ok_or(Error::NotExist)?;
        known.leaving = true;
        Ok(known.number)
    }

    /// The subscription stays after all.
    pub(super) fn stay(&mut self, number: SubscriptionNo) {
        if let Some(known) = self.list.iter_mut().find(|known| known.number == number) {
            known.leaving = false;
        }
    }

    fn remove(&mut self, number: SubscriptionNo) {
        self.list.retain(|known| known.number != number);
    }

    /// What the program calls a subscription; `None` if it has left.
    pub(super) fn id_of(&self, number: SubscriptionNo) -> Option<SubscriptionId> {
        let at = self.list.binary_search_by_key(&number, |known| known.number).ok()?;
        Some(self.list[at].id)
    }

    /// The first registered subscription.
    pub(super) fn first(&self) -> Option<SubscriptionId> {
        self.list.first().map(|known| known.id)
    }

    /// The first registered subscription that matches.
    pub(super) fn matching(&self, attributes: AttributesRef<'_>) -> Option<SubscriptionNo> {
        let known = self.list.iter().find(|known| known.filters.matches(attributes))?;
        Some(known.number)
    }

    /// Those that a restored node must know.
    pub(super) fn staying(&self) -> Vec<Subscription> {
        self.list.iter().filter(|known| !known.leaving).cloned().collect()
    }
}

/// Which retained events an instance has had, so that none comes twice, through whatever
/// subscription or restart of the node.
///
/// What is not retained any more can still come: copies may wait unread in the window. So an id is
/// forgotten only after the program has read past where the window ended when the id was seen to be
/// gone and nothing waited behind the window.
#[derive(Debug)]
pub(super) struct Had {
    until: BTreeMap<EventId, Time>,
    fading: Option<Fading>,
    sweep_at: usize,
}

/// Ids to be forgotten once the reader has passed these positions.
#[derive(Debug)]
struct Fading {
    ids: Vec<EventId>,
    after: [u64; Priority::LEVELS],
}

impl Default for Had {
    fn default() -> Self {
        Self { until: BTreeMap::new(), fading: None, sweep_at: HAD_BEFORE_SWEEP }
    }
}

impl Had {
    pub(super) fn contains(&self, id: EventId) -> bool {
        self.until.contains_key(&id)
    }

    /// Notes an event whose retention ends at `until`; `read` is where the reader stands. True when
    /// it is time to look which of the noted ones are gone.
    pub(super) fn note(
        &mut self,
        id: EventId,
        until: Time,
        read: &[u64; Priority::LEVELS],
    ) -> bool {
        let passed = |after: &[u64; Priority::LEVELS]| {
            read.iter().zip(after).all(|(read, after)| read.wrapping_sub(*after) as i64 >= 0)
        };
        if let Some(fading) = self.fading.take_if(|fading| passed(&fading.after)) {
            for id in &fading.ids {
                self.until.remove(id);
            }
            self.postpone();
        }
        self.until.insert(id, until);
        self.fading.is_none() && self.until.len() >= self.sweep_at
    }

    /// The noted ids that have lapsed at `now`, and the others.
    pub(super) fn lapsed(&self, now: Time) -> (Vec<EventId>, Vec<EventId>) {
        let (lapsed, others): (Vec<_>, Vec<_>) =
            self.until.iter().partition(|(_, until)| **until <= now);
        let ids = |list: Vec<(&EventId, &Time)>| list.into_iter().map(|(id, _)| *id).collect();
        (ids(lapsed), ids(others))
    }

    /// These ids are gone: they are forgotten when the reader has passed `after`.
    pub(super) fn fade(&mut self, ids: Vec<EventId>, after: [u64; Priority::LEVELS]) {
        self.fading = Some(Fading { ids, after });
    }

    /// The next look is due when there are twice as many.
    pub(super) fn postpone(&mut self) {
        self.sweep_at = (2 * self.until.len()).max(HAD_BEFORE_SWEEP);
    }
}

/// One open instance.
pub(super) struct Instance {
    pub(super) handle: Handle,
    pub(super) slot: usize,
    pub(super) number: InstanceNo,
    pub(super) library: Arc<Library>,
    pub(super) flags: OpenFlags,
    /// What it may do of that, as far as the node has told.
    pub(super) rights: Rights,
    /// What the node calls the channel, once it is open.
    incarnation: Mutex<Option<Incarnation>>,
    pub(super) subscriptions: Mutex<Subscriptions>,
    pub(super) had: Mutex<Had>,
    /// How often a subscription has been removed from the list.
    removals: AtomicU32,
    /// The slot that is reserved for the next event that is lent, plus one, in the upper half, and
    /// the check of the last one there below. Changed only with the reader locked.
    reserved: AtomicU64,
    closed: AtomicBool,
}

/// What a channel handle stands for: the open instance and, under the same lock, its events.
pub(super) struct Seat {
    pub(super) instance: Arc<Instance>,
    pub(super) events: EventTable,
}

impl Seat {
    pub(super) fn new(instance: &Arc<Instance>) -> Self {
        let mut draw = Draw::new(process::random());
        let events = EventTable::new(instance.slot, &mut draw);
        Self { instance: Arc::clone(instance), events }
    }
}

impl Instance {
    pub(super) fn new(taken: Taken, library: Arc<Library>, flags: OpenFlags) -> Self {
        Self {
            handle: taken.handle,
            slot: taken.slot,
            number: InstanceNo::new(taken.slot as u32, taken.generation),
            library,
            flags,
            rights: Rights::of(flags),
            incarnation: Mutex::new(None),
            subscriptions: Mutex::default(),
            had: Mutex::default(),
            removals: AtomicU32::new(0),
            reserved: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.library.version
    }

    pub(super) fn incarnation(&self) -> Option<Incarnation> {
        *self.incarnation.lock()
    }

    pub(super) fn set_incarnation(&self, incarnation: Incarnation) {
        *self.incarnation.lock() = Some(incarnation);
    }

    /// Removes a subscription from the locked list, and counts that.
    pub(super) fn remove_subscription(&self, list: &mut Subscriptions, number: SubscriptionNo) {
        list.remove(number);
        self.removals.fetch_add(1, Ordering::AcqRel);
    }

    /// How often a subscription has been removed.
    pub(super) fn removals(&self) -> u32 {
        self.removals.load(Ordering::Acquire)
    }

    /// A handle for the next event that is lent; `None` if no slot is reserved for it.
    #[inline]
    pub(super) fn next_event(&self) -> Option<EventHandle> {
        let reserved = self.reserved.load(Ordering::Relaxed);
        let slot = (reserved >> 32).checked_sub(1)? as usize;
        let check = (reserved as u32).wrapping_add(1);
        self.reserved.store(reserved >> 32 << 32 | u64::from(check), Ordering::Relaxed);
        Some(EventHandle { instance_slot: self.slot, slot, check: check & EVENT_CHECK_MASK })
    }

    /// Reserves a slot with its last check; gives the first handle.
    pub(super) fn reserve(&self, (slot, check): (usize, u32)) -> EventHandle {
        let check = check.wrapping_add(1);
        self.reserved.store((slot as u64 + 1) << 32 | u64::from(check), Ordering::Relaxed);
        EventHandle { instance_slot: self.slot, slot, check: check & EVENT_CHECK_MASK }
    }

    /// An event is in the reserved slot to stay: the next one needs another.
    pub(super) fn reserved_is_used(&self) {
        self.reserved.store(0, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(number: u32, id: u32) -> Subscription {
        Subscription {
            number: SubscriptionNo(number),
            id: SubscriptionId(id),
            filters: Filters::default(),
            leaving: false,
        }
    }

    #[test]
    fn the_first_registered_subscription_wins_whatever_the_order_of_replies() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(subscription(2, 20));
        subscriptions.add(subscription(1, 10));
        assert_eq!(subscriptions.first(), Some(SubscriptionId(10)));
        let event = crate::evt::Attributes::empty().unwrap();
        assert_eq!(subscriptions.matching(event.view()), Some(SubscriptionNo(1)));
        subscriptions.remove(SubscriptionNo(1));
        assert_eq!(subscriptions.id_of(SubscriptionNo(1)), None);
        assert_eq!(subscriptions.id_of(SubscriptionNo(2)), Some(SubscriptionId(20)));
    }

    #[test]
    fn a_subscription_leaves_once() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(subscription(1, 10));
        assert_eq!(subscriptions.leave(SubscriptionId(10)), Ok(SubscriptionNo(1)));
        assert_eq!(subscriptions.leave(SubscriptionId(10)), Err(Error::NotExist));
        assert!(subscriptions.staying().is_empty());
        subscriptions.stay(SubscriptionNo(1));
        assert_eq!(subscriptions.staying().len(), 1);
    }

    #[test]
    fn ids_are_forgotten_only_after_the_reader_has_passed_what_may_hold_copies() {
        let mut had = Had::default();
        let mut due = false;
        for number in 0..HAD_BEFORE_SWEEP as u64 {
            assert!(!due);
            due = had.note(EventId(number), Time(number), &[0; 4]);
        }
        assert!(due);
        let (lapsed, others) = had.lapsed(Time(600));
        assert_eq!((lapsed.len(), others.len()), (601, HAD_BEFORE_SWEEP - 601));
        had.fade(lapsed, [0, 8, 0, 0]);
        assert!(!had.note(EventId(5000), Time::MAX, &[64, 0, 64, 64]), "one look at a time");
        assert!(had.contains(EventId(600)), "the reader has not passed");
        had.note(EventId(5001), Time::MAX, &[0, 8, 0, 0]);
        assert!(!had.contains(EventId(600)) && had.contains(EventId(601)));
        assert!(had.contains(EventId(5000)));
    }

    #[test]
    fn looks_become_rarer_as_more_stay() {
        let mut had = Had::default();
        let mut looks = 0;
        for number in 0..4 * HAD_BEFORE_SWEEP as u64 {
            if had.note(EventId(number), Time::MAX, &[0; 4]) {
                looks += 1;
                had.postpone();
            }
        }
        assert_eq!(looks, 3, "each time their number has doubled");
    }
}
