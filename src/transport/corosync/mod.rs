//! A cluster by Corosync: one closed process group for each service.
//!
//! The loop's half is here; the engine's half runs in a thread of its own (`engine`), as calls of
//! libcpg that set up a connection can block for as long as corosync does not answer, and as a
//! member that does not dispatch makes its corosync queue without bound. Between them are two
//! bounded queues (`shared`). Everything a member sends goes to the whole group in agreed order:
//! what it has bound, messages to ranges, and messages to one member, which the others drop. So a
//! message costs the same however many it is for, and coming and going have their place in the
//! order of messages (`group`).

mod engine;
mod frame;
mod group;
mod session;
mod shared;

use super::roster::{Bindings, Roster};
use super::{Arrival, MESSAGE_COST, Order, PeerId, ServiceRange, Transport};
use crate::sys::cpg::{self, Cpg};
use crate::sys::cpg_quorum::QuorumService;
use crate::sys::{clock, descriptor};
use group::{CREDIT_BYTES, Told};
use shared::{Heard, Outgoing, Shared, State};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Length of the longest message. Corosync's own bound is 1,047,552 bytes for what it sends in one
/// piece; libcpg sleeps, and prints, on longer ones.
const MESSAGE_BYTES_MAX: usize = 960 << 10;
/// The names of groups begin so.
const GROUP_PREFIX: &str = "saevt:";
/// The transport of a node whose host runs corosync.
#[derive(Debug)]
pub struct Corosync {
    shared: Arc<Shared>,
    bindings: Bindings,
    roster: Roster,
    /// Told by this half itself, before anything the engine has told.
    ready: VecDeque<Arrival>,
    own: Option<PeerId>,
}

impl Corosync {
    /// Attaches to the corosync of this host as soon as that runs. `service` tells apart the
    /// services of one cluster; with `needs_quorum` a node without quorum is no member. Starts a
    /// thread, which takes the signals that are not blocked by now.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the name of the service is empty or too long for a group. Else libcpg, or
    /// libquorum if it is needed, is not installed; or no descriptor or thread is left.
    pub fn open(service: &str, needs_quorum: bool) -> io::Result<Self> {
        let group = format!("{GROUP_PREFIX}{service}");
        if service.is_empty() || group.len() > cpg::NAME_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let cpg = Cpg::load()?;
        let quorum = if needs_quorum { Some(QuorumService::load()?) } else { None };
        let shared = Arc::new(Shared::new()?);
        engine::start(Arc::clone(&shared), cpg, quorum, group)?;
        let bindings = Bindings::default();
        Ok(Self { shared, bindings, roster: Roster::default(), ready: VecDeque::new(), own: None })
    }

    /// Puts arrivals of this half into the queue.
    fn push(&mut self, arrivals: Vec<Arrival>) {
        self.ready.extend(arrivals);
        if !self.ready.is_empty() {
            descriptor::raise(self.shared.to_loop.as_fd());
        }
    }

    /// The bindings have changed: the group is told in its turn.
    fn announce(&self) {
        let mut state = self.shared.state();
        state.bindings = self.bindings.ranges().to_vec();
        if state.is_attached {
            let outgoing = Outgoing::Bindings(state.bindings.clone());
            state.outgoing_bytes += outgoing.cost();
            state.outgoing.push_back(outgoing);
            self.shared.ring_engine();
        }
    }

    /// Puts a message into the queue if there is room for it and at all who get it.
    fn put(
        &self,
        takers: impl Iterator<Item = PeerId>,
        message: &[u8],
        outgoing: impl FnOnce(Vec<u8>) -> Outgoing,
    ) -> io::Result<()> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut state = self.shared.state();
        if self.own.is_none() || !state.is_attached {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !has_room(&mut state, takers, message.len() + MESSAGE_COST) {
            self.shared.ring_engine();
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let was_empty = state.outgoing.is_empty();
        let outgoing = outgoing(message.to_vec());
        state.outgoing_bytes += outgoing.cost();
        state.outgoing.push_back(outgoing);
        if was_empty {
            self.shared.ring_engine();
        }
        Ok(())
    }

    /// What the engine has told, as the user of this transport is to hear it.
    fn hear(&mut self, heard: Heard, state: &mut State) -> Option<Arrival> {
        match heard {
            Heard::Told(Told::Up(peer, range)) => self.roster.up(peer, range),
            Heard::Told(Told::Down(peer, range)) => self.roster.down(peer, range),
            Heard::Told(Told::Message(from, bytes)) => {
                let taken = state.taken.entry(from).or_default();
                let before = *taken;
                *taken += (bytes.len() + MESSAGE_COST) as u64;
                if before < CREDIT_BYTES && *taken >= CREDIT_BYTES {
                    self.shared.ring_engine();
                }
                Some(Arrival::Message { from, bytes })
            }
            Heard::Told(Told::Parted(other)) => {
                state.parted.push(other);
                self.shared.ring_engine();
                None
            }
            Heard::Room => Some(Arrival::Room),
            Heard::Standing(standing, own) => {
                self.own = own;
                Some(Arrival::Standing(standing))
            }
        }
    }
}

/// Whether a message can be taken; notes who holds it up.
fn has_room(state: &mut State, takers: impl Iterator<Item = PeerId>, cost: usize) -> bool {
    let mut has_room = state.has_room(cost);
    let now = clock::elapsed().0;
    for taker in takers {
        if state.congested.contains(&taker) {
            state.refused.entry(taker).or_insert(now);
            has_room = false;
        }
    }
    state.is_refused |= !has_room;
    has_room
}

impl Drop for Corosync {
    /// The engine's thread leaves the group by itself; it may be stuck in a call, so nobody waits.
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.ring_engine();
    }
}

impl Transport for Corosync {
    fn own(&self) -> Option<PeerId> {
        self.own
    }

    fn bind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.bindings.bind(range)?;
        self.announce();
        Ok(())
    }

    fn unbind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.bindings.unbind(range)?;
        self.announce();
        Ok(())
    }

    fn watch(&mut self, range: ServiceRange) -> io::Result<()> {
        let told = self.roster.watch(range)?;
        self.push(told);
        Ok(())
    }

    fn multicast(&mut self, to: ServiceRange, message: &[u8]) -> io::Result<()> {
        self.put(self.roster.takers(to), message, |message| Outgoing::Multicast(to, message))
    }

    fn send(&mut self, to: PeerId, message: &[u8]) -> io::Result<()> {
        if !self.roster.is_up(to) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.put(std::iter::once(to), message, |message| Outgoing::Send(to, message))
    }

    fn carries_each(&self) -> bool {
        true
    }

    fn send_each(&mut self, to: &[(PeerId, Vec<u8>)], tail: &[u8]) -> io::Result<()> {
        if to.iter().any(|(peer, _)| !self.roster.is_up(*peer)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let heads = to.iter().map(|(_, head)| head.len() + frame::ADDRESS_BYTES).sum::<usize>();
        if heads + tail.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let takers = to.iter().map(|(peer, _)| *peer);
        self.put(takers, tail, |tail| Outgoing::Each(to.to_vec(), tail))
    }

    fn try_receive(&mut self) -> io::Result<Option<Arrival>> {
        if let Some(arrival) = self.ready.pop_front() {
            return Ok(Some(arrival));
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        while let Some(heard) = state.heard.pop_front() {
            if let Some(arrival) = self.hear(heard, &mut state) {
                return Ok(Some(arrival));
            }
        }
        if let Some(why) = &state.failure {
            return Err(io::Error::other(why.clone()));
        }
        descriptor::lower(shared.to_loop.as_fd());
        Ok(None)
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn order(&self) -> Order {
        Order::Total
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.to_loop.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_whose_name_is_no_name_of_a_group_is_refused() {
        for name in ["", &"x".repeat(cpg::NAME_BYTES_MAX - GROUP_PREFIX.len() + 1)] {
            let refused = Corosync::open(name, false).map(|_| ()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
