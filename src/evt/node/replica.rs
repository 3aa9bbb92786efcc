//! The node as one of a cluster: what goes out to the others, and what comes in from them.
//!
//! A node that has not joined a cluster pays one branch for each publication, nothing else.

use super::publish::Source;
use super::{Change, EventRecord, Node, ProcessKey, Windows};
use crate::evt::retention::Retained;
use crate::evt::{
    AttributesRef, Error, EventId, Incarnation, InstanceNo, LibraryNo, Name, OpenFlags, Priority,
    Span, Time,
};
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// A publication that others must hear of.
#[derive(Debug, Clone)]
pub struct Outward {
    /// Its channel.
    pub incarnation: Incarnation,
    /// The event; `None` if memory was short: it is lost for them.
    pub record: Option<Rc<EventRecord>>,
    /// When its retention ends, if it has one.
    pub deadline: Time,
    /// The user who published it.
    pub user: u32,
    /// The user is charged for it, as it will be retained: until [`Node::discharge`].
    pub charged: bool,
}

/// What a node in a cluster gathers for the others until it is taken.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    outward: Vec<Outward>,
    touched: Vec<Incarnation>,
    ended: Vec<EventId>,
    deleted: Vec<(Incarnation, u64)>,
    /// Publishers of some channel wait where other nodes are slow.
    patient: bool,
    /// Bytes of publications that have not been taken, and how many there may be before those
    /// publishers wait.
    unseen: u64,
    unseen_max: u64,
}

impl Gathered {
    /// The open instances of a channel have become others.
    pub(super) fn touch(&mut self, incarnation: Incarnation) {
        self.touched.push(incarnation);
    }

    /// A channel is gone on which programs of this node have published so much.
    pub(super) fn delete(&mut self, incarnation: Incarnation, published: u64) {
        self.deleted.push((incarnation, published));
    }

    /// An event is retained no more.
    pub(super) fn end(&mut self, id: EventId) {
        self.ended.push(id);
    }
}

impl Node {
    /// From now on publications, opened and closed instances and ended retentions are
    /// gathered; the driver takes them after every call.
    pub fn join_cluster(&mut self) {
        self.clustered = true;
    }

    /// Whether anything has been gathered that was not taken.
    #[must_use]
    pub fn has_gathered(&self) -> bool {
        let Gathered { outward, touched, ended, deleted, .. } = &self.gathered;
        !(outward.is_empty() && touched.is_empty() && ended.is_empty() && deleted.is_empty())
    }

    /// Moves the publications that others must hear of to the end of `into`, in publish order.
    pub fn take_outward(&mut self, into: &mut Vec<Outward>) {
        into.append(&mut self.gathered.outward);
        self.gathered.unseen = 0;
    }

    /// Takes the channels on which instances were opened or closed.
    pub fn take_touched(&mut self) -> Vec<Incarnation> {
        std::mem::take(&mut self.gathered.touched)
    }

    /// Takes the events that are retained no more.
    pub fn take_ended(&mut self) -> Vec<EventId> {
        std::mem::take(&mut self.gathered.ended)
    }

    /// Takes the channels that are gone, with what programs of this node had published on them.
    pub fn take_deleted(&mut self) -> Vec<(Incarnation, u64)> {
        std::mem::take(&mut self.gathered.deleted)
    }

    /// Notes a publication for the others.
    pub(super) fn go_out(
        &mut self,
        source: Source,
        record: Option<Rc<EventRecord>>,
        deadline: Time,
    ) {
        let incarnation = self.channels[source.channel].incarnation;
        let user = source.user;
        self.gathered.unseen += record.as_ref().map_or(0, |record| record.bytes());
        let charged = false;
        self.gathered.outward.push(Outward { incarnation, record, deadline, user, charged });
    }

    /// Notes a publication on a channel in total order, which comes back by [`Node::deliver_own`].
    /// If it is to be retained its user is charged from now on.
    pub(super) fn go_round(
        &mut self,
        source: Source,
        record: Option<Rc<EventRecord>>,
        deadline: Time,
    ) {
        let retained = record.as_ref().filter(|record| record.retention > Span::ZERO);
        let charged = retained.map(|record| record.bytes());
        if let Some(bytes) = charged {
            self.ledger.charge(Some(source.user), bytes);
        }
        self.go_out(source, record, deadline);
        if let Some(last) = self.gathered.outward.last_mut() {
            last.charged = charged.is_some();
        }
    }

    /// A publication that its user is charged for is on its way no more: what becomes of it now is
    /// charged by itself.
    pub fn discharge(&mut self, user: u32, record: &EventRecord) {
        self.ledger.release(Some(user), record.bytes());
    }

    /// Says whether programs on other nodes subscribe to a channel. Unknown: ignored.
    pub fn set_remote(&mut self, incarnation: Incarnation, remote: bool) {
        if let Some(channel) = self.incarnations.get(&incarnation) {
            self.channels[*channel].remote = remote;
        }
    }

    /// Says whether events of a channel are in total order: what is published on it is only
    /// gathered for others, and comes back by [`Node::deliver_own`]. Unknown: ignored.
    pub fn set_ordered(&mut self, incarnation: Incarnation, ordered: bool) {
        if let Some(channel) = self.incarnations.get(&incarnation) {
            self.channels[*channel].ordered = ordered;
        }
    }

    /// Says whether publishers on a channel are to wait where other nodes are slow. Unknown:
    /// ignored.
    pub fn set_patient(&mut self, incarnation: Incarnation, patient: bool) {
        if let Some(channel) = self.incarnations.get(&incarnation) {
            let channel = &mut self.channels[*channel];
            channel.patient = patient;
            channel.pressed &= patient;
            self.gathered.patient |= patient;
        }
    }

    /// Says whether they have to wait now. Unknown: ignored.
    pub fn set_pressed(&mut self, incarnation: Incarnation, pressed: bool) {
        if let Some(channel) = self.incarnations.get(&incarnation) {
            self.channels[*channel].pressed = pressed;
        }
    }

    /// How many bytes may be gathered for others before such publishers wait.
    pub fn set_unseen_max(&mut self, bytes: u64) {
        self.gathered.unseen_max = bytes;
    }

    /// Whether [`Node::holds_back`] can be true of anything: to be asked for each publication.
    #[inline]
    #[must_use]
    pub const fn is_patient(&self) -> bool {
        self.gathered.patient
    }

    /// Whether what an open instance publishes at a priority has to wait: it is to be left where it
    /// is and tried again after what was gathered has been taken, and after every change in the
    /// queues towards other nodes. Events of the highest priority never wait.
    #[must_use]
    pub fn holds_back(
        &self,
        process: ProcessKey,
        instance: InstanceNo,
        priority: Priority,
    ) -> bool {
        let Some(key) = self.instance_key(process, instance) else { return false };
        let channel = &self.channels[self.instances[key].channel];
        let unseen = self.gathered.unseen > self.gathered.unseen_max;
        priority != Priority::HIGHEST && (channel.pressed || (channel.patient && unseen))
    }

    /// A number for a channel that is to be created; `None` when those of this start are used up.
    pub fn next_incarnation(&mut self, name: &Name) -> Option<Incarnation> {
        self.numbers.incarnation(name)
    }

    /// Takes over a linked channel that was created in the cluster. If it is known, or the name is
    /// taken, nothing happens.
    ///
    /// - [`Error::NoMemory`].
    pub fn adopt_replica(&mut self, incarnation: Incarnation, name: &Name) -> Result<(), Error> {
        let known = self.incarnations.contains_key(&incarnation);
        if name.is_empty() || known || self.names.contains_key(name) {
            return Ok(());
        }
        self.names.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.incarnations.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let channel = super::Channel::new(incarnation, *name, &self.hasher);
        let key = self.channels.insert(channel)?;
        self.incarnations.insert(incarnation, key);
        self.names.insert(*name, key);
        self.changes.push(Change::ChannelCreated { incarnation, name: *name });
        Ok(())
    }

    /// A channel is known by another number too: it was created twice while the cluster was split.
    /// If the other number is a channel here already, nothing happens.
    pub fn add_life(&mut self, incarnation: Incarnation, other: Incarnation) {
        let Some(channel) = self.incarnations.get(&incarnation).copied() else { return };
        if let Entry::Vacant(vacant) = self.incarnations.entry(other) {
            vacant.insert(channel);
            self.channels[channel].lives.push(other);
        }
    }

    /// Whether a channel is here, and linked.
    #[must_use]
    pub fn is_linked(&self, incarnation: Incarnation) -> Option<bool> {
        let channel = self.incarnations.get(&incarnation)?;
        Some(self.channels[*channel].linked)
    }

    /// The number by which programs of this node know a channel.
    #[must_use]
    pub fn primary(&self, incarnation: Incarnation) -> Option<Incarnation> {
        let channel = self.incarnations.get(&incarnation)?;
        Some(self.channels[*channel].incarnation)
    }

    /// All linked channels.
    #[must_use]
    pub fn linked(&self) -> Vec<Incarnation> {
        let linked = self.channels.iter().filter(|(_, channel)| channel.linked);
        linked.map(|(_, channel)| channel.incarnation).collect()
    }

    /// Takes the name from a channel, if it is here and has it.
    pub fn unlink_replica(&mut self, incarnation: Incarnation) {
        if let Some(channel) = self.incarnations.get(&incarnation).copied()
            && self.channels[channel].linked
        {
            self.unlink(channel);
        }
    }

    /// Judges an open as [`Node::channel_open`] does, without the name being looked for.
    ///
    /// - The errors of [`Node::channel_open`] that the channel has no part in.
    pub fn check_open(
        &mut self,
        process: ProcessKey,
        library: LibraryNo,
        instance: InstanceNo,
        name: &Name,
        flags: OpenFlags,
        names_are_dns: bool,
    ) -> Result<(), Error> {
        self.judge_open((process, library, instance), name, flags, names_are_dns).map(|_| ())
    }

    /// Makes an open instance of a channel that was linked when the open took effect in the
    /// cluster. Gives the channel.
    ///
    /// - [`Error::NotExist`]: the channel is not here.
    /// - The other errors of [`Node::channel_open`].
    pub fn open_replica(
        &mut self,
        process: ProcessKey,
        library: LibraryNo,
        instance: InstanceNo,
        incarnation: Incarnation,
        flags: OpenFlags,
    ) -> Result<Incarnation, Error> {
        let library = self.prepare_instance(process, library, instance)?;
        let channel = *self.incarnations.get(&incarnation).ok_or(Error::NotExist)?;
        self.enter(process, library, instance, channel, flags, None)?;
        Ok(self.channels[channel].incarnation)
    }

    /// How much programs of this node have published on each channel, where they have.
    #[must_use]
    pub fn published(&self) -> BTreeMap<Incarnation, u64> {
        let own = |channel: &super::Channel| channel.publications - channel.publications_of_others;
        let all = self.channels.iter().map(|(_, channel)| (channel.incarnation, own(channel)));
        all.filter(|(_, number)| *number > 0).collect()
    }

    /// What the open instances of this node do on a channel.
    #[must_use]
    pub fn roles(&self, incarnation: Incarnation) -> OpenFlags {
        let Some(channel) = self.incarnations.get(&incarnation) else { return OpenFlags::empty() };
        let channel = &self.channels[*channel];
        let mut roles = OpenFlags::empty();
        roles.set(OpenFlags::PUBLISHER, channel.publishers > 0);
        roles.set(OpenFlags::SUBSCRIBER, channel.subscribers > 0);
        roles
    }

    /// The channel of an open instance.
    ///
    /// - [`Error::BadHandle`]: unknown instance.
    pub fn channel_of(
        &self,
        process: ProcessKey,
        instance: InstanceNo,
    ) -> Result<Incarnation, Error> {
        let key = self.instance_key(process, instance).ok_or(Error::BadHandle)?;
        Ok(self.channels[self.instances[key].channel].incarnation)
    }

    /// A retained event and when its retention ends.
    #[must_use]
    pub fn retained(
        &self,
        incarnation: Incarnation,
        id: EventId,
    ) -> Option<(Rc<EventRecord>, Time)> {
        let channel = self.incarnations.get(&incarnation)?;
        let retained = self.channels[*channel].retention.entry(id)?;
        Some((Rc::clone(&retained.record), retained.deadline))
    }

    /// Delivers an event of another node to the takers of its channel, after retaining it if it is
    /// to be and has time left. What is retained already is left as it is. Unknown channel: nothing
    /// happens. Cost: all takers.
    pub fn deliver_remote(
        &mut self,
        incarnation: Incarnation,
        record: &Rc<EventRecord>,
        deadline: Time,
        now: Time,
        windows: &mut dyn Windows,
    ) {
        let Some(channel) = self.incarnations.get(&incarnation).copied() else { return };
        if self.deliver_gathered(channel, record, (deadline, now), None, windows) {
            self.channels[channel].publications_of_others += 1;
        }
    }

    /// Retains an event of another node without delivering it, if it is to be retained, has time
    /// left and is not retained already. Unknown channel: nothing happens.
    pub fn keep_remote(
        &mut self,
        incarnation: Incarnation,
        record: &Rc<EventRecord>,
        deadline: Time,
        now: Time,
    ) {
        if let Some(channel) = self.incarnations.get(&incarnation).copied() {
            self.keep_gathered(channel, record, (deadline, now), None);
        }
    }

    /// As [`Node::deliver_remote`], an event of this node that was gathered only. `user` is charged
    /// if it is retained.
    pub fn deliver_own(
        &mut self,
        incarnation: Incarnation,
        record: &Rc<EventRecord>,
        (deadline, now): (Time, Time),
        user: Option<u32>,
        windows: &mut dyn Windows,
    ) {
        let Some(channel) = self.incarnations.get(&incarnation).copied() else { return };
        if self.deliver_gathered(channel, record, (deadline, now), user, windows) {
            // It was counted when it was published.
            self.channels[channel].publications -= 1;
        }
    }

    /// Retains an event that is to be and has time left; false if it is already.
    fn keep_gathered(
        &mut self,
        channel: u32,
        record: &Rc<EventRecord>,
        (deadline, now): (Time, Time),
        user: Option<u32>,
    ) -> bool {
        if record.retention == Span::ZERO {
            return true;
        }
        if self.channels[channel].retention.contains(record.id) {
            return false;
        }
        if deadline > now {
            let record = Rc::clone(record);
            let incarnation = self.channels[channel].incarnation;
            let change = Change::Retained { incarnation, record: record.clone(), deadline };
            self.changes.push(change);
            self.store(channel, Retained { record, deadline, user });
        }
        true
    }

    /// Delivers and retains; false if it was retained already, or is none.
    fn deliver_gathered(
        &mut self,
        channel: u32,
        record: &Rc<EventRecord>,
        (deadline, now): (Time, Time),
        user: Option<u32>,
        windows: &mut dyn Windows,
    ) -> bool {
        let Ok(attributes) = AttributesRef::parse(&record.attributes) else { return false };
        if !self.keep_gathered(channel, record, (deadline, now), user) {
            return false;
        }
        self.work += u64::from(self.find_takers(channel, attributes));
        let takers = std::mem::take(&mut self.scratch.takers);
        self.work += takers.len() as u64;
        for taker in &takers {
            self.deliver_record(*taker, record, (deadline, now), windows);
        }
        self.scratch.takers = takers;
        true
    }

    /// Ends the retention of an event on a channel, if it is there; says whether it was.
    pub fn clear_replica(&mut self, incarnation: Incarnation, id: EventId) -> bool {
        let Some(channel) = self.incarnations.get(&incarnation).copied() else { return false };
        self.end_retention(channel, id).is_ok()
    }

    /// Makes the lost-event due for every open instance of a channel that has a subscription.
    /// Cost: all open instances.
    pub fn lose_channel(&mut self, incarnation: Incarnation, now: Time, windows: &mut dyn Windows) {
        let Some(channel) = self.incarnations.get(&incarnation).copied() else { return };
        for taker in self.subscribers_of(channel) {
            self.lose(taker, now, windows);
        }
    }
}
