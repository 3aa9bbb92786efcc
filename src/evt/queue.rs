//! The delivery queue of one library handle: four priorities, bounded, with the overflow rule.
//!
//! Three kinds of entries wait at a priority: live events, which count against the bounds and may
//! be pushed out; replays, each of which stands for the retained events a subscription has still
//! to get at that priority; and lost-events, at the highest priority. Each kind has a line of its
//! own, so that the newest live event is found at once; the serial numbers keep the order among
//! the kinds.

use super::{EventRecord, Filters, Limits, Priority, SubscriptionNo, Time};
use std::collections::VecDeque;
use std::rc::Rc;

/// A live event that waits.
#[derive(Debug)]
pub(super) struct Live {
    serial: u64,
    pub(super) instance: u32,
    pub(super) subscription: SubscriptionNo,
    /// When its retention ends; only of use if it has one.
    pub(super) deadline: Time,
    pub(super) record: Rc<EventRecord>,
}

/// Retained events that a subscription has still to get: those numbered `next` to `last`.
#[derive(Debug)]
pub(super) struct Replay {
    serial: u64,
    pub(super) instance: u32,
    pub(super) channel: u32,
    /// None when the subscription is gone and what it had still to get goes to those that remain.
    pub(super) subscription: Option<SubscriptionNo>,
    pub(super) filters: Rc<Filters>,
    pub(super) next: u64,
    pub(super) last: u64,
}

/// What is first at a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Lost,
    Live,
    Replay,
}

#[derive(Debug, Default)]
struct Level {
    live: VecDeque<Live>,
    replays: VecDeque<Replay>,
    bytes: u64,
}

/// The queue of a library handle.
#[derive(Debug, Default)]
pub(super) struct Queue {
    levels: [Level; Priority::LEVELS],
    /// Instances whose lost-event waits, at the highest priority.
    lost: VecDeque<(u64, u32)>,
    serial: u64,
    events: u64,
    bytes: u64,
}

impl Queue {
    /// Replays of removed subscriptions that are kept for an instance at a priority: enough for
    /// programs that change their filters, and a bound for those that do nothing else.
    const LEFT_OVER_MAX: usize = 8;

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// Entries of all kinds that wait.
    pub(super) fn entries(&self) -> u64 {
        let of_level = |level: &Level| (level.live.len() + level.replays.len()) as u64;
        self.lost.len() as u64 + self.levels.iter().map(of_level).sum::<u64>()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lost.is_empty()
            && self.levels.iter().all(|level| level.live.is_empty() && level.replays.is_empty())
    }

    /// The priorities at which something waits, a bit for each.
    pub(super) fn levels(&self) -> u8 {
        let busy = Priority::ALL.into_iter().filter(|priority| !self.is_clear(*priority));
        busy.fold(0, |levels, priority| levels | 1 << priority.number())
    }

    /// Whether nothing waits at a priority.
    pub(super) fn is_clear(&self, priority: Priority) -> bool {
        let level = &self.levels[priority.index()];
        let lost = priority == Priority::HIGHEST && !self.lost.is_empty();
        level.live.is_empty() && level.replays.is_empty() && !lost
    }

    /// What comes first at a priority.
    pub(super) fn head(&self, priority: Priority) -> Option<Head> {
        let level = &self.levels[priority.index()];
        let live = level.live.front().map(|live| (live.serial, Head::Live));
        let replay = level.replays.front().map(|replay| (replay.serial, Head::Replay));
        let lost = if priority == Priority::HIGHEST { self.lost.front() } else { None };
        let lost = lost.map(|(serial, _)| (*serial, Head::Lost));
        let heads = [live, replay, lost];
        heads.into_iter().flatten().min_by_key(|(serial, _)| *serial).map(|(_, head)| head)
    }

    pub(super) fn first_live(&self, priority: Priority) -> Option<&Live> {
        self.levels[priority.index()].live.front()
    }

    pub(super) fn first_replay(&mut self, priority: Priority) -> Option<&mut Replay> {
        self.levels[priority.index()].replays.front_mut()
    }

    pub(super) fn first_lost(&self) -> Option<u32> {
        self.lost.front().map(|(_, instance)| *instance)
    }

    pub(super) fn pop_live(&mut self, priority: Priority) -> Option<Live> {
        let live = self.levels[priority.index()].live.pop_front()?;
        self.discharge(priority, &live);
        Some(live)
    }

    pub(super) fn pop_replay(&mut self, priority: Priority) {
        self.levels[priority.index()].replays.pop_front();
    }

    pub(super) fn pop_lost(&mut self) {
        self.lost.pop_front();
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn discharge(&mut self, priority: Priority, live: &Live) {
        let bytes = live.record.bytes();
        self.levels[priority.index()].bytes -= bytes;
        self.events -= 1;
        self.bytes -= bytes;
    }

    pub(super) fn push_lost(&mut self, instance: u32) {
        let serial = self.next_serial();
        self.lost.push_back((serial, instance));
    }

    pub(super) fn push_replay(
        &mut self,
        priority: Priority,
        instance: u32,
        channel: u32,
        (subscription, filters): (SubscriptionNo, &Rc<Filters>),
        (next, last): (u64, u64),
    ) {
        let serial = self.next_serial();
        let filters = Rc::clone(filters);
        let subscription = Some(subscription);
        let replay = Replay { serial, instance, channel, subscription, filters, next, last };
        self.levels[priority.index()].replays.push_back(replay);
    }

    /// Whether an event fits, if necessary after pushing out events of lower priority. When even
    /// all of them would not make the room, none is pushed out.
    pub(super) fn admits(&self, limits: &Limits, priority: Priority, bytes: u64) -> bool {
        let lower = &self.levels[priority.index() + 1..];
        let events: u64 = lower.iter().map(|level| level.live.len() as u64).sum();
        let lower_bytes: u64 = lower.iter().map(|level| level.bytes).sum();
        self.events - events < limits.queue_events_max
            && self.bytes - lower_bytes + bytes <= limits.queue_bytes_max
    }

    /// Whether an event fits as the queue is.
    pub(super) fn has_room(&self, limits: &Limits, record: &EventRecord) -> bool {
        self.events < limits.queue_events_max
            && self.bytes + record.bytes() <= limits.queue_bytes_max
    }

    /// Pushes out the newest event of the lowest priority present, and gives its instance.
    pub(super) fn push_out(&mut self) -> Option<u32> {
        for priority in Priority::ALL.into_iter().rev() {
            if let Some(live) = self.levels[priority.index()].live.pop_back() {
                self.discharge(priority, &live);
                return Some(live.instance);
            }
        }
        None
    }

    pub(super) fn push_live(
        &mut self,
        instance: u32,
        subscription: SubscriptionNo,
        deadline: Time,
        record: Rc<EventRecord>,
    ) {
        let serial = self.next_serial();
        let bytes = record.bytes();
        let level = &mut self.levels[record.priority.index()];
        level.bytes += bytes;
        level.live.push_back(Live { serial, instance, subscription, deadline, record });
        self.events += 1;
        self.bytes += bytes;
    }

    /// Drops everything that waits for an instance.
    pub(super) fn purge(&mut self, instance: u32) {
        if self.is_empty() {
            return;
        }
        self.purge_lost(instance);
        self.retain_live(|live| live.instance != instance);
        for level in &mut self.levels {
            level.replays.retain(|replay| replay.instance != instance);
        }
    }

    /// Drops the lost-event that waits for an instance.
    pub(super) fn purge_lost(&mut self, instance: u32) {
        self.lost.retain(|(_, waiting)| *waiting != instance);
    }

    /// Gives the live events of a subscription to the subscription that `rematch` names, or drops
    /// them. Its replays keep their place and are matched when their turn comes, so that no
    /// retained event falls behind a later one; unless nothing `remains`, or the instance has
    /// [`Queue::LEFT_OVER_MAX`] such replays already: then what they hold comes with the
    /// replays of the remaining subscriptions alone.
    pub(super) fn unsubscribe(
        &mut self,
        instance: u32,
        subscription: SubscriptionNo,
        remains: bool,
        mut rematch: impl FnMut(&EventRecord) -> Option<SubscriptionNo>,
    ) {
        if self.is_empty() {
            return;
        }
        self.retain_live(|live| {
            if live.instance != instance || live.subscription != subscription {
                return true;
            }
            let other = rematch(&live.record);
            live.subscription = other.unwrap_or(subscription);
            other.is_some()
        });
        for level in &mut self.levels {
            let of_instance = level.replays.iter().filter(|replay| replay.instance == instance);
            let left_over = of_instance.filter(|replay| replay.subscription.is_none()).count();
            let keep = remains && left_over < Self::LEFT_OVER_MAX;
            level.replays.retain_mut(|replay| {
                let gone = replay.instance == instance && replay.subscription == Some(subscription);
                if gone {
                    replay.subscription = None;
                }
                !gone || keep
            });
        }
    }

    fn retain_live(&mut self, mut keep: impl FnMut(&mut Live) -> bool) {
        for level in &mut self.levels {
            let (mut events, mut bytes) = (0, 0);
            level.live.retain_mut(|live| {
                let kept = keep(live);
                if !kept {
                    events += 1;
                    bytes += live.record.bytes();
                }
                kept
            });
            level.bytes -= bytes;
            self.events -= events;
            self.bytes -= bytes;
        }
    }
}
