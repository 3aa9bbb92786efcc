//! Sessions: who is there, from where on its packets count, and what time it has.

use super::message::{Beat, Body, Hello, Life, Packet, PeerKey, Stream, ViewId};
use super::orders::localise;
use super::peer::Peer;
use super::{Addressed, Carried, Carry, Cluster, Notice, Plant, Settings, World};
use crate::evt::{Span, Time};

/// Packets beyond this many times the bound on events are operations that nobody takes: the session
/// begins anew, which brings everything in one state.
const QUEUE_BOUNDS: u64 = 4;

impl Cluster {
    /// A member has come.
    pub fn peer_up(&mut self, key: PeerKey, world: &mut World<'_>) {
        self.wake(world.now);
        self.peer_down(key, world);
        let number = self.next_session();
        let mut peer = Peer::default();
        peer.restart(number, world.now);
        self.peers.insert(key, peer);
    }

    /// A member has gone.
    pub fn peer_down(&mut self, key: PeerKey, world: &mut World<'_>) {
        self.wake(world.now);
        if self.peers.contains_key(&key) {
            self.end_session(key, world);
            self.peers.remove(&key);
            self.consider_view(world);
        }
    }

    fn next_session(&mut self) -> u32 {
        self.sessions = self.sessions.wrapping_add(1).max(1);
        self.sessions
    }

    /// A packet has come. Those of another session are ignored.
    pub fn receive(&mut self, from: PeerKey, packet: Packet, world: &mut World<'_>) {
        self.wake(world.now);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if let Body::Hello(hello) = packet.body {
            return self.hear_hello(from, &hello, world);
        }
        let any = self.settings.has(Plant::AnySession);
        if !peer.established && peer.theirs.is_some() && packet.session == peer.number {
            // The hello that said so was lost; who uses the number knows it.
            peer.established = true;
            peer.replied = world.now;
        }
        if !peer.established || (packet.session != peer.number && !any) {
            return;
        }
        if let Body::Beat(beat) = packet.body {
            peer.hear(&beat, world.now);
            if self.view.as_ref().is_some_and(|view| beat.epoch > view.id.epoch) {
                // It has gone on without this node, or was about to.
                peer.synced = false;
            }
            self.epoch = self.epoch.max(beat.epoch);
            if beat.sent != peer.received && !any && !self.settings.has(Plant::SilentTail) {
                self.break_session(from, world);
            }
            return self.consider_view(world);
        }
        if packet.number != peer.received + 1 && !any {
            return self.break_session(from, world);
        }
        peer.received = packet.number;
        if packet.body.version() > self.settings.version {
            return self.break_session(from, world);
        }
        self.hear(from, packet.body, world);
    }

    /// Part of a long packet has come: its sender is there, and can give no sign of life before the
    /// rest has.
    pub fn hear_part(&mut self, from: PeerKey, now: Time) {
        self.wake(now);
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.established) {
            peer.replied = now;
        }
    }

    fn hear(&mut self, from: PeerKey, body: Body, world: &mut World<'_>) {
        let Some(peer) = self.peers.get(&from) else { return };
        let (Some(life), offset) = (peer.life, peer.offset) else { return };
        let localise_all = |ops: &mut [super::Ordered]| {
            ops.iter_mut().for_each(|ordered| localise(&mut ordered.op, &offset));
        };
        match body {
            Body::Hello(_) | Body::Beat(_) => {}
            Body::Propose(view) => self.hear_proposal(from, view, world),
            Body::Refuse { epoch } => self.hear_refusal(epoch, world),
            Body::Report(mut report) => {
                localise_all(&mut report.suffix);
                self.hear_report(life, *report, world);
            }
            Body::Fetch(view) => self.hear_fetch(from, view),
            Body::State(view, state) => self.hear_state(life, view, *state, world),
            Body::Install(mut install) => {
                localise_all(&mut install.missing);
                self.hear_install(life, *install, world);
            }
            Body::Request { view, request, mut op } => {
                localise(&mut op, &offset);
                self.hear_request(life, view, request, op, world);
            }
            Body::Ops { view, mut ops } => {
                localise_all(&mut ops);
                self.hear_ops(life, view, ops, world);
            }
            Body::Ack { view, number } => self.hear_ack(life, view, number),
            Body::Stable { view, number } => self.hear_stable(life, view, number),
            Body::Stream { view, applied, stream } => {
                self.hear_stream(from, (view, applied, stream), world);
            }
        }
    }

    /// A packet is missing, or was not understood by the driver: what was sent is lost, and all
    /// begins anew.
    pub fn break_session(&mut self, key: PeerKey, world: &mut World<'_>) {
        self.end_session(key, world);
        self.consider_view(world);
    }

    /// Ends the session, if there is one, and makes the lost-events due that follow from that.
    fn end_session(&mut self, key: PeerKey, world: &mut World<'_>) {
        let number = self.next_session();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let (established, life, left) = (peer.established, peer.life, peer.left);
        let flow = std::mem::take(&mut peer.flow);
        let published = std::mem::take(&mut peer.published);
        peer.restart(number, world.now);
        let Some(life) = life.filter(|_| established) else { return };
        self.note_away(life, flow, world);
        if self.view.as_ref().is_some_and(|view| view.id.leader == life) {
            self.frozen = true;
        }
        self.abandon_proposal(life);
        if !left {
            self.notices.push(Notice::Lost(life));
            if !self.settings.has(Plant::SilentBreak) {
                self.lose_what_it_publishes(life, world);
                self.lose_on(published.into_iter().collect(), world);
            }
        }
    }

    /// Makes the lost-event due on the channels on which a member is known to publish.
    pub(super) fn lose_what_it_publishes(&mut self, life: Life, world: &mut World<'_>) {
        let published = |entry: &&super::Entry| entry.has(life.member, super::Roles::PUBLISHER);
        for entry in self.directory.entries().values().filter(published) {
            for incarnation in entry.lives.keys() {
                if world.node.primary(*incarnation) == Some(*incarnation) {
                    world.node.lose_channel(*incarnation, world.now, world.windows);
                }
            }
        }
    }

    fn hear_hello(&mut self, from: PeerKey, hello: &Hello, world: &mut World<'_>) {
        if !self.is_acceptable(from, hello) {
            return;
        }
        self.end_earlier_life(from, hello.life, world);
        let (own, warm) = (self.own, self.warm);
        let Some(peer) = self.peers.get(&from) else { return };
        let keeps = self.settings.has(Plant::KeepStart);
        if hello.seen_start >= own.start && !warm && !peer.met && !keeps {
            return self.begin_later(hello.seen_start, world);
        }
        let other = peer.theirs.is_some_and(|theirs| theirs != hello.number);
        let changed = other || peer.life.is_some_and(|life| life != hello.life);
        if changed && peer.established {
            // While it is not established nothing was taken under the own number: it stays, or two
            // that begin at once would go on correcting each other.
            self.end_session(from, world);
        }
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.left = false;
        peer.theirs = Some(hello.number);
        peer.life = Some(hello.life);
        peer.version = hello.version_max.min(self.settings.version);
        self.versions.insert(hello.life.member, peer.version);
        peer.hear(&hello.beat, world.now);
        self.epoch = self.epoch.max(hello.beat.epoch);
        if hello.echo == Some(peer.number) && !peer.established {
            peer.established = true;
            peer.has = hello.have;
            peer.replied = world.now;
            self.note_start(hello.life);
        }
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.hello_due |= peer.told != Some(hello.number) || hello.echo != Some(peer.number);
        self.consider_view(world);
    }

    /// Whether a peer can be talked to; the first time that it cannot is told.
    fn is_acceptable(&mut self, from: PeerKey, hello: &Hello) -> bool {
        let member = hello.life.member;
        let taken = self.peers.iter().any(|(key, peer)| {
            let same = peer.life.is_some_and(|life| life.member == member);
            peer.established && same && key.node != from.node
        });
        let differs = (0..8).find(|at| hello.limits[*at] != self.settings.limits[*at]);
        let newest = self.settings.version;
        let notice = if hello.version_min > newest || hello.version_max < Settings::VERSION_MIN {
            Some(Notice::Version(from, hello.version_min, hello.version_max))
        } else if taken || member == self.own.member {
            Some(Notice::SameMember(from, member))
        } else {
            differs.map(|at| Notice::Limits(from, at))
        };
        let Some(notice) = notice else { return true };
        if let Some(peer) = self.peers.get_mut(&from)
            && !peer.refused
        {
            peer.refused = true;
            self.notices.push(notice);
        }
        false
    }

    /// A node has come back before its former attachment was seen to go.
    fn end_earlier_life(&mut self, from: PeerKey, life: Life, world: &mut World<'_>) {
        let earlier = self.peers.iter().find(|(key, peer)| {
            let same = peer.life.is_some_and(|known| known.member == life.member);
            **key != from && key.node == from.node && peer.established && same
        });
        if let Some(key) = earlier.map(|(key, _)| *key) {
            self.end_session(key, world);
        }
    }

    /// Others know of a later start than this one: its numbers are taken.
    fn begin_later(&mut self, seen: u32, world: &mut World<'_>) {
        self.own.start = seen + 1;
        world.node.next_start(self.own.start);
        if self.resumed.is_none() {
            self.directory = super::Directory::default();
            self.retained = super::Retained::default();
            self.seed(world.node);
        }
        self.note_start(self.own);
        self.notices.push(Notice::Start(self.own.start));
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        keys.into_iter().for_each(|key| self.end_session(key, world));
    }

    /// Whom this node takes for the sequencer: the lowest of those that answer.
    pub(super) fn choice(&self, now: Time) -> Life {
        let answering = self.peers.values().filter(|peer| self.answers(peer, now));
        answering.filter_map(|peer| peer.life).fold(self.own, Life::min)
    }

    /// Whether there are channels in total order, so that members that do not know of it cannot
    /// take part.
    pub(super) fn is_ordering(&self) -> bool {
        let used = self.view.as_ref().is_some_and(|view| view.version >= 2);
        let ordering = self.directory.has_ordered() || self.retained.holds_in_order();
        self.must_order || (used && ordering)
    }

    /// Whether there is a session with a peer and it has answered lately.
    pub(super) fn answers(&self, peer: &Peer, now: Time) -> bool {
        let speaks = !(peer.version < 2 && self.is_ordering());
        speaks && peer.established && now < peer.replied.after(self.settings.hang_time)
    }

    /// Makes the signs of life due whose time has come.
    pub(super) fn beat(&mut self, now: Time) {
        let most = self.settings.beat_max;
        for peer in self.peers.values_mut().filter(|peer| now >= peer.beat_at) {
            if peer.established {
                peer.beat_due = true;
                peer.beat_every = Span((2 * peer.beat_every.0).clamp(1, most.0));
            } else {
                peer.hello_due |= !peer.refused && !peer.left;
                peer.beat_every = most;
            }
            peer.beat_at = now.after(peer.beat_every);
        }
    }

    /// Tells all peers at once that something in the signs of life has changed.
    pub(super) fn beat_all(&mut self) {
        for peer in self.peers.values_mut().filter(|peer| peer.established) {
            peer.beat_due = true;
        }
    }

    /// There is room again for peers that had none.
    pub fn room(&mut self) {
        for peer in self.peers.values_mut() {
            peer.blocked = false;
        }
    }

    /// Hands over what waits, in order for each peer, as far as there is room.
    pub fn send(&mut self, world: &mut World<'_>, carry: &mut Carry<'_>) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in &keys {
            self.greet(*key, world.now, carry);
            // Before the events: where these always fill what room there is, nothing else would go.
            self.give_sign(*key, world.now, carry);
        }
        if keys.len() > 1 {
            self.send_together(&keys, world.now, carry);
        }
        for key in &keys {
            self.send_to(*key, world.now, carry);
            self.give_sign(*key, world.now, carry);
        }
        let bound = self.settings.peer_queue_bytes_max.saturating_mul(QUEUE_BOUNDS);
        for key in keys {
            if self.peers.get(&key).is_some_and(|peer| peer.out_bytes > bound) {
                self.break_session(key, world);
            }
        }
        self.fill_streams(world);
        self.settle_pressure(world);
    }

    /// Says hello to a peer, if that is due.
    fn greet(&mut self, key: PeerKey, now: Time, carry: &mut Carry<'_>) {
        if !self.peers.get(&key).is_some_and(|peer| peer.hello_due && !peer.blocked) {
            return;
        }
        let hello = Body::Hello(Box::new(self.hello(key, self.choice(now), now)));
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if carry(&[Addressed { key, session: 0, number: 0 }], &hello) == Carried::Sent {
            peer.hello_due = false;
            peer.told = peer.theirs;
        } else {
            peer.blocked = true;
        }
    }

    fn send_to(&mut self, key: PeerKey, now: Time, carry: &mut Carry<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        while peer.send_next(key, now, carry) {}
    }

    /// Gives a peer a sign of life, if that is due.
    fn give_sign(&mut self, key: PeerKey, now: Time, carry: &mut Carry<'_>) {
        let choice = self.choice(now);
        let (epoch, settings) = (self.promised.epoch, &self.settings);
        let (beat_min, beat_max) = (settings.beat_min, settings.beat_max);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(session) = peer.theirs.filter(|_| peer.established) else { return };
        if std::mem::take(&mut peer.spoke) {
            peer.beat_every = beat_min;
            peer.beat_at = now.after(beat_min);
            // Only a sign of life tells that this node hears: whoever always has something to say
            // gives one all the same.
            peer.beat_due |= peer.beaten.after(Span(beat_max.0 / 2 * 3)) <= now;
        }
        if peer.beat_due && !peer.blocked {
            let beat = Body::Beat(beat_to(peer, choice, epoch, now));
            if carry(&[Addressed { key, session, number: 0 }], &beat) == Carried::Sent {
                peer.beat_due = false;
                peer.beaten = now;
            } else {
                peer.blocked = true;
            }
        }
    }

    fn hello(&self, key: PeerKey, choice: Life, now: Time) -> Hello {
        let peer = self.peers.get(&key);
        let life = peer.and_then(|peer| peer.life);
        // That of an earlier session: this life itself is no reason for a later start.
        let earlier = life.filter(|_| peer.is_some_and(|peer| !peer.established));
        let seen = earlier.and_then(|life| self.starts.get(&life.member)).copied();
        Hello {
            version_min: Settings::VERSION_MIN,
            version_max: self.settings.version,
            life: self.own,
            number: peer.map_or(0, |peer| peer.number),
            echo: peer.and_then(|peer| peer.theirs),
            have: life.map_or(0, |life| self.retained.have_of(life)),
            seen_start: seen.unwrap_or(0),
            limits: self.settings.limits,
            beat: peer.map_or_else(
                || beat_to(&Peer::default(), choice, self.promised.epoch, now),
                |peer| beat_to(peer, choice, self.promised.epoch, now),
            ),
        }
    }

    /// Says goodbye to all: what was sent is complete, and its end makes no lost-event due.
    pub fn leave(&mut self) {
        let (view, applied) = self.position();
        for peer in self.peers.values_mut().filter(|peer| peer.established) {
            peer.push(Body::Stream { view, applied, stream: Stream::Goodbye });
        }
    }

    /// The view and operation that what is sent now rests on.
    pub(super) fn position(&self) -> (ViewId, u64) {
        let none = ViewId { epoch: 0, leader: self.own };
        (self.view.as_ref().map_or(none, |view| view.id), self.applied)
    }
}

fn beat_to(peer: &Peer, choice: Life, epoch: u64, now: Time) -> Beat {
    let echo = peer.clock.map(|(theirs, came)| (theirs, Span(now.0.saturating_sub(came.0))));
    Beat { time: now, echo, sent: peer.sent, choice, epoch }
}
