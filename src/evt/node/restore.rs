//! Recovery of this boot's state after a restart of the node.

use super::{Channel, Cost, Credit, EventRecord, Node, ProcessKey, Windows};
use crate::evt::retention::Retained;
use crate::evt::subscription::Lost;
use crate::evt::{AttributesRef, Error, Incarnation, InstanceNo, LibraryNo, Name, OpenFlags, Time};
use std::rc::Rc;

impl Node {
    /// Takes over a channel of an earlier start, before the first process connects. An unlinked one
    /// stays until [`Node::end_grace`]. Not bounded by the limits; a channel that is known already
    /// is ignored; if the name is taken the channel comes unlinked.
    pub fn adopt_channel(&mut self, incarnation: Incarnation, name: &Name, linked: bool) {
        if name.is_empty() || self.incarnations.contains_key(&incarnation) {
            return;
        }
        let mut channel = Channel::new(incarnation, *name, &self.hasher);
        channel.linked = linked && !self.names.contains_key(name);
        channel.adopted = true;
        let linked = channel.linked;
        let Ok(key) = self.channels.insert(channel) else { return };
        self.incarnations.insert(incarnation, key);
        if linked {
            self.names.insert(*name, key);
        }
    }

    /// Takes over what the private service of a user called a channel of an earlier start. Ignored
    /// if the channel is unknown.
    pub fn adopt_moved(&mut self, incarnation: Incarnation, user: u32, private: Incarnation) {
        if let Some(channel) = self.incarnations.get(&incarnation) {
            self.add_alias(*channel, user, private);
        }
    }

    /// Takes over a retained event of an earlier start, in publish order. Not bounded by the limits
    /// and charged to no user. Ignored if the channel is unknown, the id is retained already, or
    /// the attributes are no block; one that has lapsed goes with the next [`Node::expire`].
    pub fn adopt_retained(
        &mut self,
        incarnation: Incarnation,
        record: EventRecord,
        deadline: Time,
    ) {
        let Some(channel) = self.incarnations.get(&incarnation) else { return };
        let known = self.channels[*channel].retention.contains(record.id);
        if !known && AttributesRef::parse(&record.attributes).is_ok() {
            self.store(*channel, Retained { record: Rc::new(record), deadline, user: None });
        }
    }

    /// Puts an event into the store of its channel and charges it.
    pub(super) fn store(&mut self, channel: u32, retained: Retained) {
        self.retained_serial += 1;
        let serial = self.retained_serial;
        let priority = retained.record.priority;
        self.ledger.charge(retained.user, retained.record.bytes());
        self.deadlines.insert(retained.deadline, serial, channel, priority);
        self.channels[channel].retention.insert(serial, retained);
    }

    /// Begins the time in which instances of an earlier start come back. `unclean`: that start did
    /// not end in order, so every instance that comes back may have missed something.
    pub fn begin_grace(&mut self, unclean: bool) {
        self.recovery = super::Recovery { grace: true, unclean };
    }

    /// Ends it: unlinked channels to which no instance came back are deleted.
    pub fn end_grace(&mut self) {
        self.recovery.grace = false;
        let all: Vec<u32> = self.channels.iter().map(|(key, _)| key).collect();
        for key in all {
            self.delete_if_over(key);
        }
    }

    /// Makes an open instance of an earlier start again, or one of the private service of the
    /// process's user, which has moved here. Its subscriptions follow. If it may have missed
    /// something, its lost-event is due; one that has moved may have. Gives the channel, which may
    /// have another number here.
    ///
    /// - [`Error::NotExist`]: the channel is unknown.
    /// - The other errors of [`Node::channel_open`].
    pub fn restore_instance(
        &mut self,
        process: ProcessKey,
        library: LibraryNo,
        instance: InstanceNo,
        incarnation: Incarnation,
        flags: OpenFlags,
    ) -> Result<Incarnation, Error> {
        let library = self.prepare_instance(process, library, instance)?;
        let user = self.processes[process.0].identity.uid;
        let moved = self.aliases.get(&(user, incarnation));
        let known = moved.or_else(|| self.incarnations.get(&incarnation));
        let (channel, moved) = (*known.ok_or(Error::NotExist)?, moved.is_some());
        let publications = self.channels[channel].publications;
        let key = self.enter(process, library, instance, channel, flags, Some(publications))?;
        if moved || publications > 0 || self.recovery.unclean {
            self.owe(key);
        }
        Ok(self.channels[channel].incarnation)
    }

    /// All that a process had is there again. An instance that came back without a subscription
    /// has missed nothing, and what it subscribes to from now on begins now.
    pub fn end_restore(&mut self, process: ProcessKey) {
        let Some(owner) = self.processes.get(process.0) else { return };
        for key in &owner.slots {
            if let Some(instance) = self.instances.get_mut(*key) {
                instance.restored = None;
                if instance.lost == Lost::Owed {
                    instance.lost = Lost::Idle;
                }
            }
        }
    }

    /// Makes the lost-event of an instance due, once it has a subscription. The driver drains the
    /// library handle afterwards. Unknown instance: ignored.
    pub fn mark_lost(&mut self, process: ProcessKey, instance: InstanceNo) {
        if let Some(key) = self.instance_key(process, instance) {
            self.owe(key);
        }
    }

    /// The open instances of a channel that take events. Cost: all open instances.
    pub(super) fn subscribers_of(&self, channel: u32) -> Vec<u32> {
        let of_it = self
            .instances
            .iter()
            .filter(|(_, taker)| taker.channel == channel && taker.takes_events());
        of_it.map(|(key, _)| key).collect()
    }

    /// Tells all who may have wanted an event that it is lost: one that a program published on
    /// `instance` and that cannot be taken. If it is retained, the credit it has spent is taken
    /// back. Unknown instance: ignored. Cost: all open instances.
    pub fn lose_publication(
        &mut self,
        process: ProcessKey,
        instance: InstanceNo,
        spent: Option<Credit>,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Cost {
        if let Some(credit) = spent {
            self.return_credit(process, credit);
        }
        let Some(key) = self.instance_key(process, instance) else { return Cost::default() };
        let channel = self.instances[key].channel;
        self.channels[channel].publications += 1;
        let takers = self.subscribers_of(channel);
        takers.iter().for_each(|taker| self.lose(*taker, now, windows));
        Cost { matches: self.instances.len() as u32, enqueues: takers.len() as u32, waits: 0 }
    }
}
