//! A whole cluster in one thread, from one seed: members, delays, cuts, stops and deaths.
//!
//! Time passes only by [`Net::advance`]. Everything that is random follows from the seed, so a run
//! can be repeated exactly.

use super::{Arrival, Order, PeerId, ServiceRange, Standing, Transport};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// How an engine behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Nanoseconds that a message takes at least.
    pub delay_min: u64,
    /// Nanoseconds that it takes at most.
    pub delay_max: u64,
    /// Nanoseconds after which a death or a cut is noticed.
    pub notice: u64,
    /// Messages that may be on their way to a member that does not take them.
    pub room: usize,
    /// Length of the longest message, in bytes.
    pub message_bytes_max: usize,
    /// Whether messages to ranges are heard in one order everywhere.
    pub order: Order,
}

/// A member that is attached.
#[derive(Debug)]
struct Member {
    peer: PeerId,
    bound: Vec<ServiceRange>,
    watched: Vec<ServiceRange>,
    /// Bindings it has been told of.
    told: BTreeSet<(PeerId, ServiceRange)>,
    inbox: VecDeque<Arrival>,
    /// Somebody was refused since it last took something.
    wanted: BTreeSet<u32>,
}

/// Something that will be heard.
#[derive(Debug)]
enum Coming {
    Message {
        from: PeerId,
        bytes: Vec<u8>,
    },
    /// The receiver compares what it knows with what is the case.
    Look,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    random: u64,
    now: u64,
    serial: u64,
    attachments: u64,
    members: BTreeMap<u32, Member>,
    /// By time and order of sending: to which attachment, and what.
    coming: BTreeMap<(u64, u64), (PeerId, Coming)>,
    /// The last time at which something comes from one to another: order is kept.
    last: BTreeMap<(PeerId, PeerId), u64>,
    /// With total order: the last time at which anything comes.
    last_of_all: u64,
    /// Which part of a cluster that is split each node is in; 0 if nothing is said.
    parts: BTreeMap<u32, u32>,
    /// How many messages are on their way or untaken, by receiver.
    load: BTreeMap<PeerId, usize>,
    /// How many messages were sent, and their bytes, by sender and receiver.
    traffic: BTreeMap<(u32, u32), (u64, u64)>,
    /// How many of them, and of their bytes, were the same message for another.
    spared: (u64, u64),
}

/// The engine of all members.
#[derive(Debug, Clone)]
pub struct Net(Rc<RefCell<State>>);

impl Net {
    /// An engine without members.
    #[must_use]
    pub fn new(seed: u64, behaviour: Behaviour) -> Self {
        Self(Rc::new(RefCell::new(State {
            behaviour,
            random: seed,
            now: 0,
            serial: 0,
            attachments: 0,
            members: BTreeMap::new(),
            coming: BTreeMap::new(),
            last: BTreeMap::new(),
            last_of_all: 0,
            parts: BTreeMap::new(),
            load: BTreeMap::new(),
            traffic: BTreeMap::new(),
            spared: (0, 0),
        })))
    }

    /// Attaches a node, as another member each time. One that was attached is gone first.
    #[must_use]
    pub fn attach(&self, node: u32) -> Sim {
        self.detach(node);
        let mut state = self.0.borrow_mut();
        state.attachments += 1;
        let peer = PeerId { node, attachment: state.attachments };
        let inbox = VecDeque::from([Arrival::Standing(Standing::Member)]);
        let (bound, watched, told) = (Vec::new(), Vec::new(), BTreeSet::new());
        let member = Member { peer, bound, watched, told, inbox, wanted: BTreeSet::new() };
        state.members.insert(node, member);
        Sim { net: self.clone(), own: peer }
    }

    /// A node dies. What it has sent arrives at some and not at others.
    pub fn detach(&self, node: u32) {
        let mut state = self.0.borrow_mut();
        let Some(member) = state.members.remove(&node) else { return };
        let lost: Vec<(u64, u64)> = {
            let from = |coming: &Coming| match coming {
                Coming::Message { from, .. } => *from == member.peer,
                Coming::Look => false,
            };
            let mine = state.coming.iter().filter(|(_, (_, coming))| from(coming));
            mine.map(|(key, _)| *key).collect()
        };
        // For each receiver the messages end somewhere: order has no holes.
        let mut ended: BTreeSet<PeerId> = BTreeSet::new();
        for key in lost {
            let receiver = state.coming[&key].0;
            let ends = state.roll(4) == 0;
            if ends {
                ended.insert(receiver);
            }
            if ended.contains(&receiver) {
                state.drop_coming(key);
            }
        }
        state.load.remove(&member.peer);
        state.look_all();
    }

    /// Splits the cluster: nodes that are given the same part reach each other, all others are in
    /// part 0. What is on its way between parts is lost.
    pub fn split(&self, parts: BTreeMap<u32, u32>) {
        let mut state = self.0.borrow_mut();
        state.parts = parts;
        let cut: Vec<(u64, u64)> = {
            let crosses = |to: &PeerId, coming: &Coming| match coming {
                Coming::Message { from, .. } => !state.reaches(from.node, to.node),
                Coming::Look => false,
            };
            let all = state.coming.iter().filter(|(_, (to, coming))| crosses(to, coming));
            all.map(|(key, _)| *key).collect()
        };
        cut.into_iter().for_each(|key| state.drop_coming(key));
        state.look_all();
    }

    /// All nodes reach each other again.
    pub fn heal(&self) {
        self.split(BTreeMap::new());
    }

    /// The next moment at which something is heard.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.0.borrow().coming.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many messages went from one node to another since the beginning, and their bytes.
    #[must_use]
    pub fn traffic(&self, from: u32, to: u32) -> (u64, u64) {
        self.0.borrow().traffic.get(&(from, to)).copied().unwrap_or_default()
    }

    /// How many of all messages, and of their bytes, went out with another one: they were for
    /// several, and the engine carries that as one message.
    #[must_use]
    pub fn spared(&self) -> (u64, u64) {
        self.0.borrow().spared
    }

    /// Whether a node has something to receive now.
    #[must_use]
    pub fn is_heard(&self, node: u32) -> bool {
        self.0.borrow().members.get(&node).is_some_and(|member| !member.inbox.is_empty())
    }

    /// Lets time pass up to `now`: what comes until then can be received.
    pub fn advance(&self, now: u64) {
        let mut state = self.0.borrow_mut();
        while let Some(entry) = state.coming.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), (to, coming)) = entry.remove_entry();
            state.now = at;
            state.arrive(to, coming);
        }
        state.now = now;
    }
}

impl State {
    fn roll(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below.max(1)
    }

    fn reaches(&self, one: u32, other: u32) -> bool {
        let part = |node: u32| self.parts.get(&node).copied().unwrap_or(0);
        one == other || part(one) == part(other)
    }

    fn drop_coming(&mut self, key: (u64, u64)) {
        if let Some((to, Coming::Message { .. })) = self.coming.remove(&key) {
            self.unload(to);
        }
    }

    fn unload(&mut self, to: PeerId) {
        if let Some(load) = self.load.get_mut(&to) {
            *load = load.saturating_sub(1);
        }
        let receiver = self.members.get_mut(&to.node);
        let wanted = receiver.map(|member| std::mem::take(&mut member.wanted)).unwrap_or_default();
        for node in wanted {
            if let Some(waiting) = self.members.get_mut(&node)
                && !waiting.inbox.contains(&Arrival::Room)
            {
                waiting.inbox.push_back(Arrival::Room);
            }
        }
    }

    /// Everybody will look who is there, some sooner than others.
    fn look_all(&mut self) {
        let everybody: Vec<PeerId> = self.members.values().map(|member| member.peer).collect();
        let notice = self.behaviour.notice;
        for peer in everybody {
            let at = self.now + notice / 2 + self.roll(notice / 2 + 1);
            self.serial += 1;
            self.coming.insert((at, self.serial), (peer, Coming::Look));
        }
    }

    /// Tells a member at once what has changed for it.
    fn look(&mut self, node: u32) {
        let Some(member) = self.members.get(&node) else { return };
        let watched = |range: &ServiceRange| member.watched.iter().any(|w| w.overlaps(*range));
        let near = self.members.values().filter(|other| self.reaches(node, other.peer.node));
        let there: BTreeSet<(PeerId, ServiceRange)> = near
            .flat_map(|other| other.bound.iter().map(|range| (other.peer, *range)))
            .filter(|(_, range)| watched(range))
            .collect();
        let Some(member) = self.members.get_mut(&node) else { return };
        let gone: Vec<_> = member.told.difference(&there).copied().collect();
        let new: Vec<_> = there.difference(&member.told).copied().collect();
        for (peer, range) in gone {
            // Nothing of before arrives after it.
            member.inbox.push_back(Arrival::Down { peer, range });
        }
        for (peer, range) in new {
            member.inbox.push_back(Arrival::Up { peer, range });
        }
        member.told = there;
    }

    fn arrive(&mut self, to: PeerId, coming: Coming) {
        let there = self.members.get(&to.node).is_some_and(|member| member.peer == to);
        if !there {
            return;
        }
        match coming {
            Coming::Look => self.look(to.node),
            Coming::Message { from, bytes } => {
                let known = self.members.get_mut(&to.node);
                let Some(member) = known else { return };
                if member.told.iter().any(|(peer, _)| *peer == from) {
                    member.inbox.push_back(Arrival::Message { from, bytes });
                } else {
                    self.unload(to);
                }
            }
        }
    }

    fn has_room(&mut self, from: u32, to: PeerId) -> bool {
        if self.load.get(&to).copied().unwrap_or(0) < self.behaviour.room {
            return true;
        }
        if let Some(member) = self.members.get_mut(&to.node) {
            member.wanted.insert(from);
        }
        false
    }

    fn post(&mut self, from: PeerId, to: PeerId, bytes: Vec<u8>) {
        let spread = self.behaviour.delay_max - self.behaviour.delay_min;
        let delay = self.behaviour.delay_min + self.roll(spread + 1);
        let before = self.last.get(&(from, to)).copied().unwrap_or(0);
        let mut at = (self.now + delay).max(before);
        if self.behaviour.order == Order::Total {
            at = at.max(self.last_of_all);
            self.last_of_all = at;
        }
        self.last.insert((from, to), at);
        let traffic = self.traffic.entry((from.node, to.node)).or_default();
        *traffic = (traffic.0 + 1, traffic.1 + bytes.len() as u64);
        self.serial += 1;
        *self.load.entry(to).or_default() += 1;
        self.coming.insert((at, self.serial), (to, Coming::Message { from, bytes }));
    }

    fn take(&mut self, own: PeerId) -> Option<Arrival> {
        let member = self.members.get_mut(&own.node).filter(|member| member.peer == own)?;
        let arrival = member.inbox.pop_front()?;
        if matches!(arrival, Arrival::Message { .. }) {
            self.unload(own);
        }
        Some(arrival)
    }
}

/// One member's side of the engine.
#[derive(Debug)]
pub struct Sim {
    net: Net,
    own: PeerId,
}

impl Sim {
    /// Those of `to` that a message goes to, if there is room for all: one that has gone unnoticed
    /// yet gets nothing.
    fn may_send(&self, to: impl Iterator<Item = PeerId>) -> io::Result<BTreeSet<PeerId>> {
        let mut state = self.net.0.borrow_mut();
        let own = self.own.node;
        let told = state.members.get(&own).map(|member| member.told.clone()).unwrap_or_default();
        let mut taken = BTreeSet::new();
        for to in to {
            if !told.iter().any(|(peer, _)| *peer == to) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let there = state.members.get(&to.node).is_some_and(|member| member.peer == to);
            if there && state.reaches(own, to.node) {
                taken.insert(to);
            }
        }
        let has_room = taken.iter().all(|to| state.has_room(own, *to));
        if has_room { Ok(taken) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn check(&self, message: &[u8]) -> io::Result<()> {
        let state = self.net.0.borrow();
        let there = state.members.get(&self.own.node).is_some_and(|m| m.peer == self.own);
        if !there {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let fits = message.len() <= state.behaviour.message_bytes_max;
        if fits { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn change(&self, change: impl FnOnce(&mut Member) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.net.0.borrow_mut();
        let member = state.members.get_mut(&self.own.node).filter(|m| m.peer == self.own);
        change(member.ok_or(io::ErrorKind::NotConnected)?)?;
        state.look_all();
        Ok(())
    }
}

impl Transport for Sim {
    fn own(&self) -> Option<PeerId> {
        Some(self.own)
    }

    fn bind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.change(|member| {
            if range.lower > range.upper || member.bound.contains(&range) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            member.bound.push(range);
            Ok(())
        })
    }

    fn unbind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.change(|member| {
            let at = member.bound.iter().position(|bound| *bound == range);
            member.bound.remove(at.ok_or(io::ErrorKind::NotFound)?);
            Ok(())
        })
    }

    fn watch(&mut self, range: ServiceRange) -> io::Result<()> {
        self.change(|member| {
            if range.lower > range.upper || member.watched.contains(&range) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            member.watched.push(range);
            Ok(())
        })
    }

    fn multicast(&mut self, to: ServiceRange, message: &[u8]) -> io::Result<()> {
        self.check(message)?;
        let mut state = self.net.0.borrow_mut();
        let own = self.own;
        let near =
            state.members.values().filter(|member| state.reaches(own.node, member.peer.node));
        let bound = near.filter(|member| member.bound.iter().any(|range| range.overlaps(to)));
        let receivers: Vec<PeerId> = bound.map(|member| member.peer).collect();
        if !receivers.iter().all(|receiver| state.has_room(own.node, *receiver)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for receiver in receivers {
            state.post(own, receiver, message.to_vec());
        }
        Ok(())
    }

    fn send(&mut self, to: PeerId, message: &[u8]) -> io::Result<()> {
        self.check(message)?;
        for to in self.may_send(std::iter::once(to))? {
            self.net.0.borrow_mut().post(self.own, to, message.to_vec());
        }
        Ok(())
    }

    fn carries_each(&self) -> bool {
        self.net.0.borrow().behaviour.order == Order::Total
    }

    fn send_each(&mut self, to: &[(PeerId, Vec<u8>)], tail: &[u8]) -> io::Result<()> {
        if !self.carries_each() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let messages: Vec<_> =
            to.iter().map(|(peer, head)| (*peer, [head, tail].concat())).collect();
        messages.iter().try_for_each(|(_, message)| self.check(message))?;
        let receivers = messages.iter().map(|(peer, _)| *peer);
        let taken = self.may_send(receivers)?;
        let mut state = self.net.0.borrow_mut();
        let more = taken.len().saturating_sub(1) as u64;
        state.spared.0 += more;
        state.spared.1 += more * tail.len() as u64;
        for (peer, message) in messages.into_iter().filter(|(peer, _)| taken.contains(peer)) {
            state.post(self.own, peer, message);
        }
        Ok(())
    }

    fn try_receive(&mut self) -> io::Result<Option<Arrival>> {
        Ok(self.net.0.borrow_mut().take(self.own))
    }

    fn message_bytes_max(&self) -> usize {
        self.net.0.borrow().behaviour.message_bytes_max
    }

    fn order(&self) -> Order {
        self.net.0.borrow().behaviour.order
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
