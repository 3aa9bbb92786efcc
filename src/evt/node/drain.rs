//! From the queues to the windows; and the lost-event.

use super::{Data, Delivery, Drained, Node, Target, What, Windows};
use crate::evt::queue::Head;
use crate::evt::subscription::Lost;
use crate::evt::{EventRecord, Priority, SubscriptionNo, Time};
use std::cell::Cell;

/// The delivery of a stored event.
pub(super) fn stored(
    record: &EventRecord,
    subscription: SubscriptionNo,
    now: Time,
    deadline: Time,
) -> What<'_> {
    What::Event {
        subscription,
        id: record.id,
        publish_time: record.publish_time,
        retention: record.retention,
        left: record.left(now, deadline),
        priority: record.priority,
        attributes: &record.attributes,
        data: Data::Stored(&record.data),
    }
}

impl Node {
    /// Moves what waits for a library handle into its window, highest priority first, until the
    /// ring of each priority is full or nothing waits. Cost: what is moved, and the retained
    /// events that were passed over.
    pub fn drain(&mut self, to: Target, now: Time, windows: &mut dyn Windows) -> Drained {
        let Some(key) = self.library_key(to.process, to.library) else { return Drained::Empty };
        self.drain_library(key, now, windows);
        if self.libraries[key].queue.is_empty() { Drained::Empty } else { Drained::More }
    }

    pub(super) fn drain_library(&mut self, key: u32, now: Time, windows: &mut dyn Windows) {
        for priority in Priority::ALL {
            self.drain_level(key, priority, now, windows);
        }
        self.tell_backlog(key, windows);
    }

    /// Tells the driver when the queue of a priority has become empty or non-empty.
    pub(super) fn tell_backlog(&mut self, key: u32, windows: &mut dyn Windows) {
        let library = &mut self.libraries[key];
        let levels = library.queue.levels();
        if library.backlog != levels {
            library.backlog = levels;
            windows.backlog(library.target, levels);
        }
    }

    /// How many live events and lost-events wait for a library handle, besides its window and
    /// retained events that are read from their store.
    #[must_use]
    pub fn queued(&self, to: Target) -> u64 {
        self.library_key(to.process, to.library).map_or(0, |key| self.libraries[key].queue.events())
    }

    fn drain_level(&mut self, key: u32, at: Priority, now: Time, windows: &mut dyn Windows) {
        loop {
            let moved = match self.libraries[key].queue.head(at) {
                None => return,
                Some(Head::Lost) => self.drain_lost(key, windows),
                Some(Head::Live) => self.drain_live(key, at, now, windows),
                Some(Head::Replay) => self.drain_replay(key, at, now, windows),
            };
            self.work += 1;
            if moved.is_none() {
                return;
            }
        }
    }

    /// Moves the first live event; `None` if it does not fit.
    fn drain_live(
        &mut self,
        key: u32,
        at: Priority,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Option<()> {
        let library = &mut self.libraries[key];
        let live = library.queue.first_live(at)?;
        let instance = self.instances[live.instance].number;
        let what = stored(&live.record, live.subscription, now, live.deadline);
        windows.put(library.target, &Delivery { instance, what })?;
        let over = library.queue.pop_live(at)?;
        self.spares.put_back(over.record);
        Some(())
    }

    /// Moves the next event of the first replay, or ends the replay; `None` if it does not fit.
    fn drain_replay(
        &mut self,
        key: u32,
        at: Priority,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Option<()> {
        let library = &mut self.libraries[key];
        let replay = library.queue.first_replay(at)?;
        let channel = &self.channels[replay.channel];
        let looked = Cell::new(0);
        let taker = |record: &EventRecord| {
            looked.set(looked.get() + 1);
            match replay.subscription {
                _ if !record.matches(&replay.filters) => None,
                None => channel.index.first_match(replay.instance, record.view()?),
                number => number,
            }
        };
        let span = (replay.next, replay.last);
        let next = channel.retention.next(at, span, now, taker);
        self.work += looked.get();
        let Some((serial, retained, subscription)) = next else {
            library.queue.pop_replay(at);
            return Some(());
        };
        replay.next = serial;
        let instance = self.instances[replay.instance].number;
        let what = stored(&retained.record, subscription, now, retained.deadline);
        windows.put(library.target, &Delivery { instance, what })?;
        replay.next = serial + 1;
        Some(())
    }

    /// Moves the first lost-event; `None` if it does not fit.
    fn drain_lost(&mut self, key: u32, windows: &mut dyn Windows) -> Option<()> {
        let library = &mut self.libraries[key];
        let waiting = library.queue.first_lost()?;
        let instance = &mut self.instances[waiting];
        if let Lost::Queued { previous: Some(position) } = instance.lost
            && !windows.consumed(library.target, Priority::HIGHEST, position)
        {
            instance.lost = Lost::Sent(position);
            library.queue.pop_lost();
            return Some(());
        }
        let delivery = Delivery { instance: instance.number, what: What::Lost };
        let position = windows.put(library.target, &delivery)?;
        instance.lost = Lost::Sent(position);
        self.lost_events += 1;
        self.channels[instance.channel].lost_events += 1;
        if let Some(process) = self.processes.get_mut(library.target.process.0) {
            process.lost_events += 1;
        }
        library.queue.pop_lost();
        Some(())
    }

    /// Makes the lost-event of an instance due, where it is not known whether the program has taken
    /// an earlier one: that is seen when its turn comes.
    pub(super) fn owe(&mut self, key: u32) {
        let instance = &mut self.instances[key];
        let previous = match instance.lost {
            Lost::Owed | Lost::Queued { .. } => return,
            Lost::Idle => None,
            Lost::Sent(position) => Some(position),
        };
        if !instance.takes_events() {
            instance.lost = Lost::Owed;
        } else {
            instance.lost = Lost::Queued { previous };
            self.libraries[instance.library].queue.push_lost(key);
        }
    }

    /// Notes a loss for an instance and tries to say so at once.
    pub(super) fn lose(&mut self, key: u32, now: Time, windows: &mut dyn Windows) {
        let instance = &self.instances[key];
        let library = instance.library;
        if let Lost::Sent(position) = instance.lost {
            let target = self.libraries[library].target;
            if !windows.consumed(target, Priority::HIGHEST, position) {
                return;
            }
        }
        self.owe(key);
        self.drain_level(library, Priority::HIGHEST, now, windows);
        self.tell_backlog(library, windows);
    }
}
