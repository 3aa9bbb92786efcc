//! What a member knows of its group, as a function of what the group has heard so far.
//!
//! All members hear the same messages and changes in the same order, so two of them know at every
//! point of it what each has sent the other and whether the other takes it. Two members *meet*
//! when each has told its bindings since the later of them joined; before, and between a part and
//! the readmission, neither takes anything from the other and neither counts it.

use super::frame::{ADDRESS_BYTES, Address, Frame, HEADER_BYTES};
use crate::transport::{BINDINGS_MAX, MESSAGE_COST, PeerId, ServiceRange, UNREAD_TIME_MAX_NS};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a member may leave unread of what one other has sent it, before that one is held up:
/// a few of the longest messages. What is on its way comes on top, see `OUTGOING_BYTES_MAX`.
pub(super) const UNREAD_BYTES_MAX: u64 = 4 << 20;
/// A member tells a sender of each so many bytes it has read: a small message to the group for 256
/// KiB. Who reads less than that in the time after which a sender parts counts as not reading.
pub(super) const CREDIT_BYTES: u64 = UNREAD_BYTES_MAX / 16;

/// What is told to the loop, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Up(PeerId, ServiceRange),
    Down(PeerId, ServiceRange),
    Message(PeerId, Vec<u8>),
    /// A member has lost patience. When the loop has come to this, it has read all there was.
    Parted(Address),
}

/// A member of the group, this one included.
#[derive(Debug)]
struct Member {
    peer: PeerId,
    /// What it has told; `None`: nothing since it joined, or since this member did.
    bindings: Option<Vec<ServiceRange>>,
    /// Our bindings were told since it joined.
    knows_us: bool,
    /// One of us does not read, and the other has parted from it.
    is_parted: bool,
    has_part_on_its_way: bool,
    /// What we have sent it since we met, and what it has read of that.
    sent: u64,
    read: u64,
    /// It left so much unread that we are held up.
    is_congested: bool,
    /// When it last told that it has read something.
    read_at: u64,
    /// What we have read of what it has sent since we met, and what it was told of that.
    taken: u64,
    told: u64,
}

impl Member {
    const fn new(peer: PeerId) -> Self {
        Self {
            peer,
            bindings: None,
            knows_us: false,
            is_parted: false,
            has_part_on_its_way: false,
            sent: 0,
            read: 0,
            is_congested: false,
            read_at: 0,
            taken: 0,
            told: 0,
        }
    }

    /// Whether we have met: what is sent either way is taken and counted.
    const fn has_met(&self) -> bool {
        self.bindings.is_some() && self.knows_us && !self.is_parted
    }

    fn ranges(&self) -> &[ServiceRange] {
        self.bindings.as_deref().unwrap_or_default()
    }

    fn is_bound_inside(&self, to: ServiceRange) -> bool {
        self.ranges().iter().any(|range| range.overlaps(to))
    }

    fn count(&mut self, cost: u64) {
        self.sent += cost;
        self.is_congested |= self.sent - self.read > UNREAD_BYTES_MAX;
    }

    fn has_read(&mut self, total: u64, now: u64) {
        self.read = total.clamp(self.read, self.sent);
        self.is_congested &= self.sent - self.read > UNREAD_BYTES_MAX / 2;
        self.read_at = now;
    }

    /// The end of what was between us: all its bindings are down.
    fn part(&mut self, told: &mut Vec<Told>) {
        told.extend(self.ranges().iter().map(|range| Told::Down(self.peer, *range)));
        self.is_parted = true;
    }
}

/// A group that this member has joined.
#[derive(Debug)]
pub(super) struct Group {
    own: Address,
    members: BTreeMap<Address, Member>,
    /// Members seen so far, over all groups of this transport: the upper half of attachments.
    count: u32,
    /// The bindings that were last sent; for those who join.
    announced: Vec<ServiceRange>,
    /// What is to be told to the loop.
    pub(super) told: Vec<Told>,
    /// What is to be sent before anything else.
    pub(super) frames: Vec<Frame>,
}

impl Group {
    /// A group that is about to be joined, with the bindings to tell.
    pub(super) fn new(own: Address, count: u32, announced: Vec<ServiceRange>) -> Self {
        let (told, frames) = (Vec::new(), Vec::new());
        Self { own, members: BTreeMap::new(), count, announced, told, frames }
    }

    /// Members seen so far.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// The name of this member, once it has joined.
    pub(super) fn own_peer(&self) -> Option<PeerId> {
        Some(self.members.get(&self.own)?.peer)
    }

    /// Where a member is reached, if it is up.
    pub(super) fn address_of(&self, peer: PeerId) -> Option<Address> {
        let (address, member) = self.members.iter().find(|(_, member)| member.peer == peer)?;
        (!member.is_parted).then_some(*address)
    }

    /// Those who leave unread so much that we are held up.
    pub(super) fn congested(&self) -> BTreeSet<PeerId> {
        let congested = self.members.values().filter(|member| member.is_congested);
        congested.map(|member| member.peer).collect()
    }

    fn next_peer(&mut self, address: Address) -> PeerId {
        self.count += 1;
        let attachment = u64::from(self.count) << 32 | u64::from(address.pid);
        PeerId { node: address.node, attachment }
    }

    /// Members have gone and come; `members` are all there are now. Who joins is told of the others
    /// by that list alone. Gives whether this member is still one.
    pub(super) fn change(&mut self, members: &[Address], left: &[Address]) -> bool {
        for address in left {
            if let Some(mut member) = self.members.remove(address)
                && !member.is_parted
            {
                member.part(&mut self.told);
            }
        }
        let known = self.members.len();
        for address in members {
            if !self.members.contains_key(address) {
                let peer = self.next_peer(*address);
                self.members.insert(*address, Member::new(peer));
            }
        }
        if self.members.len() > known {
            self.frames.push(Frame::Bindings(self.announced.clone()));
        }
        members.contains(&self.own)
    }

    /// The group is lost: everybody is down.
    pub(super) fn leave(&mut self) {
        let all: Vec<Address> = self.members.keys().copied().collect();
        self.change(&[], &all);
    }

    /// New bindings of this member go out now.
    pub(super) fn announces(&mut self, bindings: &[ServiceRange]) {
        self.announced = bindings.to_vec();
    }

    /// A message of the group, this member's own included.
    pub(super) fn message(&mut self, from: Address, mut bytes: Vec<u8>, now: u64) {
        let Some(frame) = Frame::of_bytes(&bytes) else { return };
        if !self.members.contains_key(&from) {
            return;
        }
        let cost = (bytes.len() - HEADER_BYTES + MESSAGE_COST) as u64;
        let is_ours = match frame {
            Frame::Multicast(to) => {
                if from == self.own {
                    let takers = self.members.values_mut();
                    takers.filter(|m| m.has_met() && m.is_bound_inside(to)).for_each(|taker| {
                        taker.count(cost);
                    });
                }
                self.members.get(&self.own).is_some_and(|own| own.is_bound_inside(to))
            }
            Frame::Send(to) => {
                if from == self.own
                    && let Some(taker) = self.members.get_mut(&to)
                    && taker.has_met()
                {
                    taker.count(cost);
                }
                to == self.own
            }
            Frame::Each(heads) => return self.each(from, &heads, bytes),
            control => return self.control(from, control, now),
        };
        let sender = &self.members[&from];
        if is_ours && sender.has_met() {
            bytes.drain(..HEADER_BYTES);
            self.told.push(Told::Message(sender.peer, bytes));
        }
    }

    /// A message for several members: who is one of them puts its own head before the rest.
    fn each(&mut self, from: Address, heads: &[(Address, Vec<u8>)], mut bytes: Vec<u8>) {
        let length = |head: &Vec<u8>| head.len() + ADDRESS_BYTES;
        let before = HEADER_BYTES + heads.iter().map(|(_, head)| length(head)).sum::<usize>();
        let rest = bytes.len().saturating_sub(before);
        for (to, head) in heads.iter().filter(|_| from == self.own) {
            if let Some(taker) = self.members.get_mut(to)
                && taker.has_met()
            {
                taker.count((head.len() + rest + MESSAGE_COST) as u64);
            }
        }
        let ours = heads.iter().find(|(to, _)| *to == self.own);
        let sender = self.members.get(&from).filter(|sender| sender.has_met());
        if let (Some((_, head)), Some(sender)) = (ours, sender) {
            bytes.drain(..before - head.len());
            bytes[..head.len()].copy_from_slice(head);
            self.told.push(Told::Message(sender.peer, bytes));
        }
    }

    fn control(&mut self, from: Address, frame: Frame, now: u64) {
        match frame {
            Frame::Bindings(ranges) => self.bindings(from, ranges),
            Frame::Credit(to, total) if to == self.own => {
                if let Some(member) = self.members.get_mut(&from) {
                    member.has_read(total, now);
                }
            }
            Frame::Part(to) => self.part(from, to),
            Frame::Readmit(to) => self.readmit(from, to),
            _ => {}
        }
    }

    fn bindings(&mut self, from: Address, mut ranges: Vec<ServiceRange>) {
        ranges.retain(|range| !range.is_empty());
        ranges.truncate(BINDINGS_MAX);
        if from == self.own {
            self.members.values_mut().for_each(|member| member.knows_us = true);
        }
        let Some(member) = self.members.get_mut(&from) else { return };
        let old = member.bindings.replace(ranges).unwrap_or_default();
        if member.is_parted {
            return;
        }
        let (peer, new) = (member.peer, member.ranges());
        let gone = old.iter().filter(|range| !new.contains(range));
        self.told.extend(gone.map(|range| Told::Down(peer, *range)));
        let come = new.iter().filter(|range| !old.contains(range));
        self.told.extend(come.map(|range| Told::Up(peer, *range)));
    }

    /// Of two members, the one that is not this one; `None`: this is neither of them.
    fn other(&self, from: Address, to: Address) -> Option<Address> {
        match self.own {
            own if own == from && own != to => Some(to),
            own if own == to && own != from => Some(from),
            _ => None,
        }
    }

    fn part(&mut self, from: Address, to: Address) {
        let Some(other) = self.other(from, to) else { return };
        let Some(member) = self.members.get_mut(&other).filter(|m| !m.is_parted) else { return };
        member.part(&mut self.told);
        member.is_congested = false;
        if to == self.own {
            self.told.push(Told::Parted(other));
        }
    }

    fn readmit(&mut self, from: Address, to: Address) {
        let Some(other) = self.other(from, to) else { return };
        if !self.members.get(&other).is_some_and(|member| member.is_parted) {
            return;
        }
        let peer = self.next_peer(other);
        let mut again = Member::new(peer);
        if let Some(old) = self.members.remove(&other) {
            again.knows_us = old.knows_us;
            again.bindings = old.bindings;
        }
        self.told.extend(again.ranges().iter().map(|range| Told::Up(peer, *range)));
        self.members.insert(other, again);
    }

    /// The loop has read messages of a member.
    pub(super) fn has_taken(&mut self, peer: PeerId, cost: u64, now: u64) {
        let mut members = self.members.iter_mut();
        let Some((address, member)) = members.find(|(_, member)| member.peer == peer) else {
            return; // It has gone meanwhile.
        };
        member.taken += cost;
        if *address == self.own {
            member.has_read(member.taken, now);
        } else if member.taken - member.told >= CREDIT_BYTES {
            member.told = member.taken;
            self.frames.push(Frame::Credit(*address, member.taken));
        }
    }

    /// The loop has read all that came before the part of another.
    pub(super) fn asks_back(&mut self, other: Address) {
        self.frames.push(Frame::Readmit(other));
    }

    /// Parts from those who have read nothing for too long while we were held up by them; gives
    /// when to look again. `refused` has since when each holds us up.
    pub(super) fn lose_patience(
        &mut self,
        refused: &BTreeMap<PeerId, u64>,
        now: u64,
    ) -> Option<u64> {
        let mut next = None;
        for (address, member) in &mut self.members {
            let Some(since) = refused.get(&member.peer) else { continue };
            if *address == self.own || !member.is_congested || member.has_part_on_its_way {
                continue;
            }
            let until = member.read_at.max(*since) + UNREAD_TIME_MAX_NS;
            if until <= now {
                member.has_part_on_its_way = true;
                self.frames.push(Frame::Part(*address));
            } else {
                next = Some(next.map_or(until, |next: u64| next.min(until)));
            }
        }
        next
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
