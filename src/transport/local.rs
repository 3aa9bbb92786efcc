//! A cluster of one: no engine, and everything that is sent comes back to this node.

use super::roster::{Bindings, Roster};
use super::{Arrival, MESSAGE_COST, Order, PeerId, ServiceRange, Standing, Transport};
use crate::sys::descriptor;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of what may wait to be received: some messages of the greatest length.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Length of the longest message: about what the greatest of the other transports carries.
const MESSAGE_BYTES_MAX: usize = 960 << 10;
/// The only member there is.
const OWN: PeerId = PeerId { node: 1, attachment: 1 };

/// The transport of a node that is alone.
#[derive(Debug)]
pub struct Local {
    bindings: Bindings,
    roster: Roster,
    waiting: VecDeque<Arrival>,
    /// What the messages in `waiting` cost.
    waiting_bytes: usize,
    has_refused: bool,
    /// Readable while something waits.
    bell: OwnedFd,
}

impl Local {
    /// A cluster of one, whose node is a member at once.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let mut local = Self {
            bindings: Bindings::default(),
            roster: Roster::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            has_refused: false,
            bell: descriptor::eventfd()?,
        };
        local.push(Some(Arrival::Standing(Standing::Member)));
        Ok(local)
    }

    fn push(&mut self, arrivals: impl IntoIterator<Item = Arrival>) {
        self.waiting.extend(arrivals);
        if !self.waiting.is_empty() {
            descriptor::raise(self.bell.as_fd());
        }
    }

    /// Puts a message into the queue, unless it is too long or the queue is full.
    fn deliver(&mut self, message: &[u8], is_taken: bool) -> io::Result<()> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !is_taken {
            return Ok(());
        }
        let cost = message.len() + MESSAGE_COST;
        if self.waiting_bytes + cost > QUEUE_BYTES_MAX {
            self.has_refused = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.waiting_bytes += cost;
        self.push([Arrival::Message { from: OWN, bytes: message.to_vec() }]);
        Ok(())
    }
}

impl Transport for Local {
    fn own(&self) -> Option<PeerId> {
        Some(OWN)
    }

    fn bind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.bindings.bind(range)?;
        let told = self.roster.up(OWN, range);
        self.push(told);
        Ok(())
    }

    fn unbind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.bindings.unbind(range)?;
        let told = self.roster.down(OWN, range);
        self.push(told);
        Ok(())
    }

    fn watch(&mut self, range: ServiceRange) -> io::Result<()> {
        let told = self.roster.watch(range)?;
        self.push(told);
        Ok(())
    }

    fn multicast(&mut self, to: ServiceRange, message: &[u8]) -> io::Result<()> {
        let is_taken = self.roster.takers(to).next().is_some();
        self.deliver(message, is_taken)
    }

    fn send(&mut self, to: PeerId, message: &[u8]) -> io::Result<()> {
        if !self.roster.is_up(to) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.deliver(message, true)
    }

    fn try_receive(&mut self) -> io::Result<Option<Arrival>> {
        let Some(arrival) = self.waiting.pop_front() else { return Ok(None) };
        if let Arrival::Message { bytes, .. } = &arrival {
            self.waiting_bytes -= bytes.len() + MESSAGE_COST;
        }
        if self.has_refused && self.waiting_bytes <= QUEUE_BYTES_MAX / 2 {
            self.has_refused = false;
            self.waiting.push_back(Arrival::Room);
        }
        if self.waiting.is_empty() {
            descriptor::lower(self.bell.as_fd());
        }
        Ok(Some(arrival))
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn order(&self) -> Order {
        Order::Total
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }
}
