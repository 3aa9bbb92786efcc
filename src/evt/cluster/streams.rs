//! Events between nodes: straight from the publisher's node to those that want them.

use super::directory::Roles;
use super::message::{Body, Item, Packet, PeerKey, Place, Stream, ViewId};
use super::peer::{Held, Outflow, Peer, Task};
use super::{Cluster, Plant, World};
use crate::evt::node::{EventRecord, Outward};
use crate::evt::{EventId, Incarnation, Span, Time};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Packets' worth of events that are made ready for a peer before it takes them.
const READY_BATCHES: u64 = 4;
/// The bound on the queue of a peer is so many times as high for what is retained and for channels
/// whose publishers wait: only beyond it they lose events too.
const KEPT_BOUNDS: u64 = 2;

impl Packet {
    /// The content of a packet of a stream.
    pub(super) const fn stream(view: ViewId, applied: u64, stream: Stream) -> Body {
        Body::Stream { view, applied, stream }
    }
}

impl Cluster {
    /// Takes what programs of this node have published and sends it on.
    pub(super) fn publish_outward(&mut self, world: &mut World<'_>) {
        let mut outward = Vec::new();
        world.node.take_outward(&mut outward);
        for event in outward {
            self.publish(event, world);
        }
    }

    fn publish(&mut self, event: Outward, world: &mut World<'_>) {
        let incarnation = event.incarnation;
        let ordered = self.orders.is_loose(incarnation)
            || self.directory.find(incarnation).is_some_and(|(_, entry)| entry.ordered);
        if ordered && self.publish_in_order(&event) {
            return;
        }
        if let (Some(record), true) = (&event.record, event.charged) {
            // Its channel has gone meanwhile.
            world.node.discharge(event.user, record);
        }
        if ordered {
            // Without room it is lost for everybody.
            self.lose_on(vec![incarnation], world);
        }
        let record = event.record.filter(|_| !ordered);
        self.send_out(incarnation, record, event.deadline, world);
    }

    /// Sends an event that programs here have had to the others that want it; none: it is lost for
    /// them.
    pub(super) fn send_out(
        &mut self,
        incarnation: Incarnation,
        record: Option<Rc<EventRecord>>,
        deadline: Time,
        world: &World<'_>,
    ) {
        let Some((_, entry)) = self.directory.find(incarnation) else { return };
        let takes =
            |peer: &Peer| peer.life.is_some_and(|life| entry.has(life.member, Roles::SUBSCRIBER));
        let Some(record) = record else {
            let takers = self.peers.values_mut().filter(|peer| peer.flow.streaming && takes(peer));
            takers.for_each(|peer| {
                peer.flow.lost.insert(incarnation);
            });
            return;
        };
        let stays =
            record.retention > Span::ZERO && world.node.retained(incarnation, record.id).is_some();
        let place = stays.then(|| self.retained.number(self.own, incarnation, record.id));
        let upto = self.retained.have_of(self.own);
        let position = self.position();
        let item = Item { incarnation, place, deadline, record };
        let nobody = BTreeSet::new();
        let patient = if self.settings.has(Plant::DropPatient) { &nobody } else { &self.patient };
        let all = place.is_some() || self.settings.has(Plant::SendAll);
        for peer in self.peers.values_mut() {
            if peer.flow.streaming && (all || takes(peer)) {
                offer(peer, item.clone(), upto, position, (&self.settings, patient));
            }
        }
    }

    /// Begins streams that are not yet, and moves on those that have something behind.
    pub(super) fn fill_streams(&mut self, world: &mut World<'_>) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.begin_stream(key, world);
            self.fill(key, world);
        }
    }

    fn begin_stream(&mut self, key: PeerKey, world: &World<'_>) {
        let Some(view) = &self.view else { return };
        let (position, own) = (self.position(), self.own);
        let until = self.retained.have_of(own);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(life) = peer.life else { return };
        if !peer.established || peer.flow.streaming || !view.members.contains(&life) {
            return;
        }
        let cursor = peer.has.min(until);
        peer.flow = Outflow { streaming: true, cursor, until, ..Outflow::default() };
        let away = self.away.remove(&life).unwrap_or_default();
        let published = world.node.published().into_iter();
        let newly =
            published.filter(|(channel, number)| away.published.get(channel) != Some(number));
        let missed: BTreeSet<Incarnation> =
            newly.map(|(channel, _)| channel).chain(away.unsure).collect();
        // Should this never come, it is to be said again.
        peer.flow.sent_on.clone_from(&missed);
        let began = Stream::Began { missed: missed.into_iter().collect() };
        peer.push(Packet::stream(position.0, position.1, began));
        let owed = self.plan.iter().filter(|f| f.holder == own && f.to == life);
        owed.for_each(|forward| peer.owe(forward, self.orders.upto(forward, &self.retained)));
    }

    /// Sends a peer what it has not had, from the store and what waits behind that.
    fn fill(&mut self, key: PeerKey, world: &mut World<'_>) {
        let position = self.position();
        let batch = self.settings.batch_bytes_max;
        let Self { peers, retained, own, .. } = self;
        let Some(peer) = peers.get_mut(&key) else { return };
        let from_store = |incarnation, place: Place, id, world: &World<'_>| {
            let (record, deadline) = world.node.retained(incarnation, id)?;
            Some(Item { incarnation, place: Some(place), deadline, record })
        };
        while peer.flow.streaming
            && peer.out_bytes < READY_BATCHES * batch
            && peer.flow.is_catching_up()
        {
            let flow = &mut peer.flow;
            if flow.cursor < flow.until {
                let next = retained.next(*own, flow.cursor + 1, flow.until);
                flow.cursor = next.map_or(flow.until, |(place, ..)| place.number);
                let item = next.and_then(|(place, inc, id)| from_store(inc, place, id, world));
                item.into_iter()
                    .for_each(|item| peer.push_item(position.0, position.1, item, batch));
            } else if !flow.lost.is_empty() {
                flow.sent_on.extend(&flow.lost);
                let lost = std::mem::take(&mut flow.lost).into_iter().collect();
                peer.push(Packet::stream(position.0, position.1, Stream::Lost(lost)));
            } else if let Some(Task { owner, next, upto }) = flow.tasks.front().copied() {
                if retained.have_of(owner) < upto {
                    // It is on its way to programs here.
                    return;
                }
                let found = retained.next(owner, next, upto);
                if let Some((place, inc, id)) = found {
                    flow.tasks[0].next = place.number + 1;
                    let item = from_store(inc, place, id, world);
                    item.into_iter()
                        .for_each(|item| peer.push_item(position.0, position.1, item, batch));
                } else {
                    flow.tasks.pop_front();
                    let forwarded = Stream::Forwarded { owner, upto };
                    peer.push(Packet::stream(position.0, position.1, forwarded));
                }
            } else if let Some(item) = flow.behind.pop_front() {
                flow.behind_bytes -= item.bytes();
                if let Some(place) = item.place {
                    flow.cursor = place.number;
                    flow.until = flow.until.max(place.number);
                }
                peer.push_item(position.0, position.1, item, batch);
            } else {
                flow.caught_up = true;
                peer.push(Packet::stream(position.0, position.1, Stream::CaughtUp));
            }
        }
    }

    /// Part of a stream has come: it waits until this node is as far as its sender was.
    pub(super) fn hear_stream(&mut self, from: PeerKey, held: Held, world: &mut World<'_>) {
        let bound = self.settings.peer_queue_bytes_max.saturating_mul(2);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.hold(held);
        if peer.held_bytes > bound {
            return self.break_session(from, world);
        }
        self.release(from, world);
    }

    /// Goes on with all streams, after this node has come further.
    pub(super) fn release_all(&mut self, world: &mut World<'_>) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        keys.into_iter().for_each(|key| self.release(key, world));
    }

    fn release(&mut self, key: PeerKey, world: &mut World<'_>) {
        loop {
            let Some(peer) = self.peers.get(&key) else { return };
            let Some((view, applied, stream)) = peer.held.front() else { return };
            let items = matches!(stream, Stream::Items(_) | Stream::Burst(_));
            if !self.is_as_far(*view, *applied) || (items && self.has_loose_due(peer.life)) {
                return;
            }
            let Some(peer) = self.peers.get_mut(&key) else { return };
            let Some((view, _, stream)) = peer.unhold() else { return };
            self.take_in(key, view, stream, world);
        }
    }

    fn is_as_far(&self, view: ViewId, applied: u64) -> bool {
        if view.epoch == 0 || self.settings.has(Plant::HearEarly) {
            return true;
        }
        let Some(own) = &self.view else { return false };
        own.id > view || (own.id == view && self.applied >= applied)
    }

    fn take_in(&mut self, key: PeerKey, view: ViewId, stream: Stream, world: &mut World<'_>) {
        self.note_ended(world);
        match stream {
            Stream::Began { missed } => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.complete = false;
                }
                if !self.settings.has(Plant::SilentBegin) {
                    self.lose_on(missed, world);
                }
            }
            Stream::Items(items) | Stream::Burst(items) => {
                for item in items {
                    self.take_item(key, &item, world);
                }
            }
            Stream::CaughtUp => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.complete = true;
                }
                self.consider_serving(world.now);
            }
            Stream::Forwarded { owner, upto } => {
                let due = self.orders.first_due(owner).unwrap_or(u64::MAX);
                self.retained.cover(owner, upto.min(due.saturating_sub(1)));
                // What was forwarded for a view before may be less than what is owed in this one.
                if self.view.as_ref().is_some_and(|own| own.id == view) {
                    self.expected.remove(&owner);
                }
                self.consider_serving(world.now);
            }
            Stream::Lost(channels) => {
                if !self.settings.has(Plant::SilentOverflow) {
                    self.lose_on(channels, world);
                }
            }
            Stream::Goodbye => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.left = true;
                }
                self.break_session(key, world);
            }
            Stream::Probe { id } => self.probes.push((key, id)),
            Stream::Probed { id } => self.hear_probed(id),
        }
    }

    pub(super) fn lose_on(&self, channels: Vec<Incarnation>, world: &mut World<'_>) {
        for channel in channels {
            for primary in self.primaries(channel, world) {
                world.node.lose_channel(primary, world.now, world.windows);
            }
        }
    }

    /// What the programs of this node know a channel by: one number, but for channels that became
    /// one while this node knew both.
    pub(super) fn primaries(
        &self,
        incarnation: Incarnation,
        world: &World<'_>,
    ) -> BTreeSet<Incarnation> {
        let lives = self.directory.find(incarnation).map(|(_, entry)| entry.lives.keys());
        let all = lives.into_iter().flatten().chain([&incarnation]);
        all.filter_map(|life| world.node.primary(*life)).collect()
    }

    fn take_item(&mut self, key: PeerKey, item: &Item, world: &mut World<'_>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let mut deadline = peer.offset.convert(item.deadline);
        if self.settings.has(Plant::OneClock) {
            deadline = item.deadline;
        }
        if item.place.is_none() {
            // Not to be kept.
            deadline = world.now;
        }
        let primaries = self.primaries(item.incarnation, world);
        let id = item.record.id;
        if let Some(place) = item.place {
            let due = self.orders.first_due(place.owner).is_some_and(|due| due <= place.number);
            if due || self.retained.covers(place) {
                return;
            }
            if !self.note_item(place, primaries.first().copied(), id) {
                deadline = world.now;
            }
        }
        let late = item.place.is_some_and(|place| place.owner.is_in_order());
        for primary in primaries {
            let (record, now): (&Rc<_>, _) = (&item.record, world.now);
            if late {
                // Its place in the sequence is past: who subscribes from now on gets it.
                world.node.keep_remote(primary, record, deadline, now);
            } else {
                world.node.deliver_remote(primary, record, deadline, now, world.windows);
            }
        }
        self.settle_item(item, world);
    }

    /// Forgets an event that was to be retained and is not.
    pub(super) fn settle_item(&mut self, item: &Item, world: &World<'_>) {
        let held = item.place.and_then(|place| self.retained.at(place));
        if let Some((incarnation, id)) = held
            && world.node.retained(incarnation, id).is_none()
        {
            self.retained.end(id);
        }
    }

    /// Notes a retained event that has come. False if it is retained no more.
    pub(super) fn note_item(
        &mut self,
        place: Place,
        primary: Option<Incarnation>,
        id: EventId,
    ) -> bool {
        match primary {
            Some(incarnation) => self.retained.note(place, incarnation, id),
            None => {
                self.retained.cover(place.owner, place.number);
                false
            }
        }
    }

    /// Whether a peer is slow, so that publishers should wait where that is wanted rather than lose
    /// events: half of the bound waits for it.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        let half = self.settings.peer_queue_bytes_max / 2;
        self.peers.values().any(|peer| peer.flow.streaming && peer.flow.behind_bytes > half)
    }

    /// When a retained event ends, by the clock of this node.
    #[must_use]
    pub fn deadline_of(&self, id: EventId, world: &World<'_>) -> Option<Time> {
        let (incarnation, id) = self.retained.at(self.retained.place(id)?)?;
        Some(world.node.retained(incarnation, id)?.1)
    }
}

/// Drops what waits for a peer and is neither retained nor of a channel whose publishers wait.
fn make_room(flow: &mut Outflow, patient: &BTreeSet<Incarnation>) {
    let Outflow { behind, behind_bytes, lost, .. } = flow;
    behind.retain(|item| {
        let keeps = item.place.is_some() || patient.contains(&item.incarnation);
        if !keeps {
            *behind_bytes -= item.bytes();
            lost.insert(item.incarnation);
        }
        keeps
    });
}

/// Queues an event for a peer, behind what is older; drops events if too much waits.
fn offer(
    peer: &mut Peer,
    item: Item,
    upto: u64,
    (view, applied): (ViewId, u64),
    (settings, patient): (&super::Settings, &BTreeSet<Incarnation>),
) {
    let bound = settings.peer_queue_bytes_max;
    let flow = &mut peer.flow;
    let direct = !flow.is_catching_up() && peer.out_bytes < bound;
    if direct || (settings.has(Plant::Overtake) && item.place.is_none()) {
        if let Some(place) = item.place {
            (flow.cursor, flow.until) = (place.number, place.number);
        }
        return peer.push_item(view, applied, item, settings.batch_bytes_max);
    }
    if flow.behind_bytes + item.bytes() > bound {
        make_room(flow, patient);
    }
    let keeps = item.place.is_some() || patient.contains(&item.incarnation);
    let most = if keeps { bound.saturating_mul(KEPT_BOUNDS) } else { bound };
    if flow.behind_bytes + item.bytes() <= most {
        flow.behind_bytes += item.bytes();
        return flow.behind.push_back(item);
    }
    if !keeps {
        flow.lost.insert(item.incarnation);
        return;
    }
    // Retained ones come from the store when there is room, unless they end before; the others are
    // lost.
    let dropped = flow.behind.drain(..).chain([item]);
    flow.lost.extend(dropped.map(|dropped| dropped.incarnation));
    flow.behind_bytes = 0;
    flow.until = upto;
}
