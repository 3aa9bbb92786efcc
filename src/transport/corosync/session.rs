//! One connection to corosync, from joining the group until it is lost.

use super::MESSAGE_BYTES_MAX;
use super::engine::Engine;
use super::frame::{Address, Frame, HEADER_BYTES};
use super::group::Group;
use super::shared::{Heard, Outgoing, Shared};
use crate::sys::cpg::{self, Connection};
use crate::sys::cpg_quorum::Quorum;
use crate::sys::{clock, descriptor};
use crate::transport::Standing;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// Own messages that are on their way at once. With fewer the engine idles, with more each of them
/// waits longer; 50 gave all of the throughput at a hundredth of the delay of no bound.
const IN_FLIGHT_MAX: usize = 64;
/// And their bytes: what one round of the token carries, several times over.
const IN_FLIGHT_BYTES_MAX: usize = 1 << 20;
/// What is dispatched before the rest has its turn.
const DISPATCHES: usize = 256;
/// When the engine has no room, it is asked again after so many nanoseconds.
const AGAIN_NS: u64 = 2_000_000;
/// Quorum that goes for less than this was not gone: a change of the ring passes in less.
const QUORUM_BLIP_NS: u64 = 1_000_000_000;
/// A node that starts waits so long for quorum before it is outside.
const QUORUM_START_NS: u64 = 10_000_000_000;

/// What this node is, by group and quorum.
#[derive(Debug)]
pub(super) struct Stand {
    shown: Standing,
    is_in_group: bool,
    is_quorate: bool,
    /// Since when there is no quorum.
    since: u64,
}

impl Stand {
    const fn new(shown: Standing, is_quorate: bool, now: u64) -> Self {
        Self { shown, is_in_group: false, is_quorate, since: now }
    }

    fn set_quorate(&mut self, is_quorate: bool, now: u64) {
        if self.is_quorate && !is_quorate {
            self.since = now;
        }
        self.is_quorate = is_quorate;
    }

    /// When what is shown may change by itself.
    fn deadline(&self) -> Option<u64> {
        let waits = self.is_in_group && !self.is_quorate;
        match self.shown {
            Standing::Member if waits => Some(self.since + QUORUM_BLIP_NS),
            Standing::Starting if waits => Some(self.since + QUORUM_START_NS),
            _ => None,
        }
    }

    /// What has changed and is to be told.
    fn change(&mut self, now: u64) -> Option<Standing> {
        let standing = if !self.is_in_group {
            Standing::Starting
        } else if self.is_quorate {
            Standing::Member
        } else if self.deadline().is_some_and(|deadline| deadline <= now) {
            Standing::Outside
        } else {
            self.shown
        };
        (std::mem::replace(&mut self.shown, standing) != standing).then_some(standing)
    }
}

/// A connection, and the group it has joined.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    connection: Connection,
    quorum: Option<Quorum>,
    descriptors: [RawFd; 2],
    own: Address,
    group: Group,
    stand: Stand,
    /// Control messages that go before everything else.
    control: VecDeque<Frame>,
    /// What goes next, when the engine has room.
    next: Option<Vec<u8>>,
    in_flight: VecDeque<usize>,
    in_flight_bytes: usize,
    /// What is to be told to the loop at the end of the turn.
    heard: Vec<Heard>,
    had_a_group: bool,
}

impl<'a> Session<'a> {
    /// Connects and joins. Can block.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`, `Unsupported`, `InvalidData`: for good. Else not now.
    pub(super) fn open(engine: &Engine, shared: &'a Shared) -> io::Result<Self> {
        let connection = engine.cpg.connect()?;
        let quorum = engine.quorum.map(|service| service.connect()).transpose()?;
        if connection.atomic_bytes_max()? < MESSAGE_BYTES_MAX + HEADER_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let own = Address { node: connection.local_node()?, pid: std::process::id() };
        let of_quorum = quorum.as_ref().map_or(Ok(-1), Quorum::descriptor)?;
        let descriptors = [connection.descriptor()?, of_quorum];
        connection.join(&engine.group)?;
        let mut state = shared.state();
        state.is_attached = true;
        let group = Group::new(own, engine.count, state.bindings.clone());
        drop(state);
        let stand = Stand::new(engine.shown, quorum.is_none(), clock::elapsed().0);
        Ok(Self {
            shared,
            connection,
            quorum,
            descriptors,
            own,
            group,
            stand,
            control: VecDeque::new(),
            next: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            heard: Vec::new(),
            had_a_group: false,
        })
    }

    /// Whether it was ever in the group.
    pub(super) const fn had_a_group(&self) -> bool {
        self.had_a_group
    }

    /// Serves both queues until the loop wants no more, or the connection is lost.
    ///
    /// # Errors
    ///
    /// The connection is lost; what corosync says of it.
    pub(super) fn run(&mut self) -> io::Result<()> {
        loop {
            let now = clock::elapsed().0;
            if !self.listen_to_loop(now) {
                return Ok(());
            }
            let has_no_room = self.send()?;
            let has_more = self.dispatch(now)?;
            if let Some(quorum) = &self.quorum
                && let Some(is_quorate) = quorum.dispatch()?
            {
                self.stand.set_quorate(is_quorate, now);
            }
            self.show_standing(now);
            let patience = self.tell_loop(now);
            let is_busy = has_more || (!has_no_room && self.has_work());
            let again = has_no_room.then_some(now + AGAIN_NS);
            let at = [again, patience, self.stand.deadline()].into_iter().flatten().min();
            let wait = if is_busy { Some(0) } else { at.map(|at| at.saturating_sub(now)) };
            let [connection, quorum] = self.descriptors;
            let bell = self.shared.to_engine.as_raw_fd();
            let events = [connection, quorum, bell].map(|fd| (fd, libc::POLLIN));
            let [.., rung] = descriptor::poll(events, wait)?;
            if rung != 0 {
                descriptor::lower(self.shared.to_engine.as_fd());
            }
        }
    }

    /// Takes what the loop has read. Gives whether it wants to go on.
    fn listen_to_loop(&mut self, now: u64) -> bool {
        let mut state = self.shared.state();
        let (taken, parted) = (std::mem::take(&mut state.taken), std::mem::take(&mut state.parted));
        let is_over = state.is_over;
        drop(state);
        for (peer, cost) in taken {
            self.group.has_taken(peer, cost, now);
        }
        for other in parted {
            self.group.asks_back(other);
        }
        !is_over
    }

    fn may_send(&self) -> bool {
        self.had_a_group
            && self.in_flight.len() < IN_FLIGHT_MAX
            && self.in_flight_bytes < IN_FLIGHT_BYTES_MAX
    }

    /// Whether there is something that could be sent at once.
    fn has_work(&self) -> bool {
        let has_control = !self.control.is_empty() || !self.group.frames.is_empty();
        self.may_send()
            && (self.next.is_some() || has_control || !self.shared.state().outgoing.is_empty())
    }

    /// Sends while the window and the engine have room; gives whether the engine had none.
    fn send(&mut self) -> io::Result<bool> {
        while self.may_send() {
            if self.next.is_none() {
                self.next = self.take_next();
            }
            let Some(bytes) = self.next.take() else { return Ok(false) };
            match self.connection.multicast(&bytes) {
                Ok(()) => {
                    self.in_flight.push_back(bytes.len());
                    self.in_flight_bytes += bytes.len();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.next = Some(bytes);
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// What is to be sent next: control messages first, or who waits for a credit waits for the
    /// messages of others too.
    fn take_next(&mut self) -> Option<Vec<u8>> {
        self.control.extend(self.group.frames.drain(..));
        if let Some(frame) = self.control.pop_front() {
            return Some(frame.to_bytes(&[]));
        }
        let mut state = self.shared.state();
        while let Some(outgoing) = state.outgoing.pop_front() {
            state.outgoing_bytes -= outgoing.cost();
            match outgoing {
                Outgoing::Bindings(ranges) => {
                    self.group.announces(&ranges);
                    return Some(Frame::Bindings(ranges).to_bytes(&[]));
                }
                Outgoing::Multicast(to, message) => {
                    return Some(Frame::Multicast(to).to_bytes(&message));
                }
                Outgoing::Send(to, message) => {
                    // One that has gone since gets nothing, nor does one that came in its place.
                    if let Some(to) = self.group.address_of(to) {
                        return Some(Frame::Send(to).to_bytes(&message));
                    }
                }
                Outgoing::Each(heads, tail) => {
                    let there = |(to, head)| Some((self.group.address_of(to)?, head));
                    let heads: Vec<_> = heads.into_iter().filter_map(there).collect();
                    if !heads.is_empty() {
                        return Some(Frame::Each(heads).to_bytes(&tail));
                    }
                }
            }
        }
        None
    }

    /// Takes what has arrived; gives whether there may be more.
    fn dispatch(&mut self, now: u64) -> io::Result<bool> {
        let mut arrived = Vec::new();
        self.connection.dispatch(&mut arrived, DISPATCHES)?;
        let has_more = arrived.len() >= DISPATCHES;
        for heard in arrived {
            match heard {
                cpg::Heard::Message { node, pid, bytes } => {
                    let from = Address { node, pid };
                    if from == self.own
                        && let Some(length) = self.in_flight.pop_front()
                    {
                        self.in_flight_bytes -= length;
                    }
                    self.group.message(from, bytes, now);
                }
                cpg::Heard::Change { members, left } => {
                    let addresses = |list: &[cpg::Address]| -> Vec<Address> {
                        list.iter().map(|at| Address { node: at.node, pid: at.pid }).collect()
                    };
                    let is_in = self.group.change(&addresses(&members), &addresses(&left));
                    self.had_a_group |= is_in;
                    if !is_in {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    self.stand.is_in_group = true;
                    self.show_standing(now);
                }
            }
            self.heard.extend(self.group.told.drain(..).map(Heard::Told));
        }
        Ok(has_more)
    }

    fn show_standing(&mut self, now: u64) {
        self.heard.extend(self.group.told.drain(..).map(Heard::Told));
        if let Some(standing) = self.stand.change(now) {
            let own = self.group.own_peer().filter(|_| standing != Standing::Starting);
            self.heard.push(Heard::Standing(standing, own));
        }
    }

    /// Hands over what was heard, and says who is held up and who is not any more. Gives when to
    /// look for those who do not read.
    fn tell_loop(&mut self, now: u64) -> Option<u64> {
        let congested = self.group.congested();
        let mut state = self.shared.state();
        let refused = state.refused.len();
        state.refused.retain(|peer, _| congested.contains(peer));
        let mut has_room = state.refused.len() < refused;
        if state.is_refused && state.is_half_empty() {
            state.is_refused = false;
            has_room = true;
        }
        state.congested = congested;
        let next = self.group.lose_patience(&state.refused, now);
        drop(state);
        if has_room {
            self.heard.push(Heard::Room);
        }
        self.shared.tell(self.heard.drain(..));
        next
    }

    /// Everybody is down, and this node is nothing for now. Gives how many members there were and
    /// what was told last.
    pub(super) fn end(mut self) -> (u32, Standing) {
        let mut state = self.shared.state();
        state.is_attached = false;
        state.outgoing.clear();
        state.outgoing_bytes = 0;
        let has_refused = state.is_refused || !state.refused.is_empty();
        (state.is_refused, state.congested) = (false, BTreeSet::new());
        state.refused.clear();
        state.taken.clear();
        state.parted.clear();
        drop(state);
        self.group.leave();
        self.stand.is_in_group = false;
        self.show_standing(clock::elapsed().0);
        if has_refused {
            self.heard.push(Heard::Room);
        }
        self.shared.tell(self.heard.drain(..));
        (self.group.count(), self.stand.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_that_is_gone_for_a_moment_is_not_gone() {
        let mut stand = Stand::new(Standing::Starting, false, 0);
        stand.is_in_group = true;
        assert_eq!(stand.change(0), None);
        stand.set_quorate(true, 1);
        assert_eq!(stand.change(1), Some(Standing::Member));
        stand.set_quorate(false, 10);
        assert_eq!(stand.change(QUORUM_BLIP_NS + 9), None);
        stand.set_quorate(true, QUORUM_BLIP_NS + 9);
        assert_eq!((stand.change(QUORUM_BLIP_NS + 10), stand.deadline()), (None, None));
        stand.set_quorate(false, QUORUM_BLIP_NS + 20);
        let deadline = stand.deadline().unwrap();
        assert_eq!(stand.change(deadline - 1), None);
        assert_eq!(stand.change(deadline), Some(Standing::Outside));
        stand.set_quorate(true, deadline + 1);
        assert_eq!(stand.change(deadline + 1), Some(Standing::Member));
    }

    #[test]
    fn a_node_that_starts_waits_for_quorum_before_it_is_outside() {
        let mut stand = Stand::new(Standing::Starting, false, 100);
        assert_eq!((stand.change(100), stand.deadline()), (None, None));
        stand.is_in_group = true;
        assert_eq!(stand.change(99 + QUORUM_START_NS), None);
        assert_eq!(stand.change(100 + QUORUM_START_NS), Some(Standing::Outside));
    }
}
