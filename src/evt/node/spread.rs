//! A publication with very many takers, which goes to them in several batches.
//!
//! What it was when it was published decides who gets it: its takers are those whose subscriptions
//! matched then. An instance that is closed meanwhile gets nothing more; one that subscribes gets
//! it first, so that the retained copy cannot come before it; one that unsubscribes gets it for
//! the subscription that takes the place of the one that is gone, as what is queued does.

use super::{Cost, InstanceNo};
use super::{EventRecord, Node, ProcessKey, Windows};
use crate::evt::{EventId, SubscriptionNo, Time};
use std::rc::Rc;

/// A publication that has not reached all of its takers yet.
#[derive(Debug)]
pub(super) struct FanOut {
    /// Whose it is; none when that process has gone.
    owner: Option<ProcessKey>,
    /// Its number among the publications.
    serial: u64,
    /// The event; none if it is lost for the takers.
    record: Option<Rc<EventRecord>>,
    deadline: Time,
    /// Ordered by instance; those before `next` have been served.
    takers: Vec<(u32, SubscriptionNo)>,
    next: usize,
}

impl FanOut {
    /// The place of an instance among the takers that wait. `born`: the publications before it. An
    /// instance that came later may have the slot of a taker that is gone.
    fn find(&self, key: u32, born: u64) -> Option<usize> {
        let waiting = &self.takers[self.next..];
        let found = waiting.binary_search_by_key(&key, |(instance, _)| *instance).ok();
        found.filter(|_| born < self.serial).map(|place| self.next + place)
    }
}

impl Node {
    /// Makes what [`Node::find_takers`] has found a publication of several batches.
    pub(super) fn begin_fan_out(
        &mut self,
        process: ProcessKey,
        record: Option<Rc<EventRecord>>,
        deadline: Time,
    ) {
        let mut takers = std::mem::take(&mut self.scratch.takers);
        takers.sort_unstable_by_key(|(instance, _)| *instance);
        let (owner, serial) = (Some(process), self.publications);
        self.fan_outs.push(FanOut { owner, serial, record, deadline, takers, next: 0 });
    }

    /// Goes on with a publication that has takers left: to `batch` of them, at least one. `of` is
    /// the process that published it, or `None` for the oldest one of those that have gone: what
    /// they published goes to everybody all the same. Nothing happens if there is none.
    pub fn publish_on(
        &mut self,
        of: Option<ProcessKey>,
        batch: u32,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Cost {
        let found = self.fan_outs.iter().position(|fan_out| fan_out.owner == of);
        let Some(at) = found else { return Cost::default() };
        let mut fan_out = self.fan_outs.remove(at);
        let left = fan_out.takers.len() - fan_out.next;
        let number = left.min(batch.max(1) as usize);
        let waits = (left - number) as u32;
        for _ in 0..number {
            let taker = fan_out.takers[fan_out.next];
            fan_out.next += 1;
            let there = self.instances.get(taker.0);
            if there.is_some_and(|instance| instance.born < fan_out.serial) {
                self.hand_over(taker, &fan_out, now, windows);
            }
        }
        if waits > 0 {
            self.fan_outs.insert(at, fan_out);
        } else {
            if fan_out.takers.capacity() > self.scratch.takers.capacity() {
                self.scratch.takers = fan_out.takers;
            }
            if let Some(over) = fan_out.record {
                self.spares.put_back(over);
            }
        }
        Cost { matches: 0, enqueues: number as u32, waits }
    }

    fn hand_over(
        &mut self,
        taker: (u32, SubscriptionNo),
        fan_out: &FanOut,
        now: Time,
        windows: &mut dyn Windows,
    ) {
        match &fan_out.record {
            Some(record) => self.deliver_record(taker, record, (fan_out.deadline, now), windows),
            None => self.lose(taker.0, now, windows),
        }
    }

    /// How many publications of processes that have gone have takers left.
    #[must_use]
    pub fn orphans(&self) -> usize {
        self.fan_outs.iter().filter(|fan_out| fan_out.owner.is_none()).count()
    }

    /// Whether an event has still to reach an open instance that takes it.
    #[must_use]
    pub fn is_on_its_way(&self, process: ProcessKey, instance: InstanceNo, id: EventId) -> bool {
        let Some(key) = self.instance_key(process, instance) else { return false };
        let born = self.instances[key].born;
        self.fan_outs.iter().any(|fan_out| {
            fan_out.record.as_ref().is_some_and(|record| record.id == id)
                && fan_out.find(key, born).is_some()
        })
    }

    /// Gives what is on its way to an instance to it now.
    pub(super) fn hasten(&mut self, key: u32, now: Time, windows: &mut dyn Windows) {
        let born = self.instances[key].born;
        for at in 0..self.fan_outs.len() {
            let Some(place) = self.fan_outs[at].find(key, born) else { continue };
            let fan_out = &mut self.fan_outs[at];
            let taker = fan_out.takers.remove(place);
            match fan_out.record.clone() {
                Some(record) => {
                    let times = (fan_out.deadline, now);
                    self.deliver_record(taker, &record, times, windows);
                }
                None => self.lose(key, now, windows),
            }
        }
    }

    /// Gives what is on its way to a subscription that has just been removed to the first one that
    /// remains and matches.
    pub(super) fn divert(&mut self, key: u32, number: SubscriptionNo) {
        let instance = &self.instances[key];
        let index = &self.channels[instance.channel].index;
        for fan_out in &mut self.fan_outs {
            let Some(place) = fan_out.find(key, instance.born) else { continue };
            let other = match &fan_out.record {
                _ if fan_out.takers[place].1 != number => continue,
                Some(record) => record.view().and_then(|view| index.first_match(key, view)),
                None => instance.subscriptions.first().map(|first| first.number),
            };
            match other {
                Some(other) => fan_out.takers[place].1 = other,
                None => {
                    fan_out.takers.remove(place);
                }
            }
        }
    }

    /// Takes an instance out of the takers that wait.
    pub(super) fn leave_fan_outs(&mut self, key: u32) {
        let born = self.instances[key].born;
        for fan_out in &mut self.fan_outs {
            if let Some(place) = fan_out.find(key, born) {
                fan_out.takers.remove(place);
            }
        }
    }

    /// A process has gone: what it published stays.
    pub(super) fn leave_fan_out(&mut self, process: ProcessKey) {
        for fan_out in &mut self.fan_outs {
            if fan_out.owner == Some(process) {
                fan_out.owner = None;
            }
        }
    }
}
