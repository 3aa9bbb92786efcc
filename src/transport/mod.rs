//! Between nodes: messages to members that are bound to name sequences.
//!
//! Addresses are those of TIPC: a service type and a closed range of its instances. Members *bind*
//! ranges; a message goes to one member, or to all that are bound inside a range; watchers hear of
//! bindings coming and going. A transport knows nothing of what messages mean.
//!
//! What every transport promises:
//!
//! - Messages from one member to another arrive whole, once, in the order they were sent, whether
//!   they were sent to it alone or to a range, as long as it hears [`Arrival::Up`] of a binding of
//!   that member and not [`Arrival::Down`] of the last one. What is on its way at a `Down` may be
//!   lost; nothing of before arrives after it.
//! - Nothing arrives from a member before its `Up`, if it is bound inside a watched range.
//! - A member that comes back is another [`PeerId`].
//! - No call blocks.
//!
//! With [`Order::Total`] messages to ranges, and the coming and going of members, are besides heard
//! in the same order by all members that stay together.

pub mod sim;

use std::io;
use std::os::fd::BorrowedFd;

/// A service type and a closed range of its instances: TIPC's {type, lower, upper}.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceRange {
    /// The service.
    pub service_type: u32,
    /// The lowest instance of the range.
    pub lower: u32,
    /// The highest instance of the range, not below `lower`.
    pub upper: u32,
}

impl ServiceRange {
    /// One instance of a service.
    #[must_use]
    pub const fn instance(service_type: u32, instance: u32) -> Self {
        Self { service_type, lower: instance, upper: instance }
    }

    /// All instances of a service.
    #[must_use]
    pub const fn whole(service_type: u32) -> Self {
        Self { service_type, lower: 0, upper: u32::MAX }
    }

    /// Whether the two have an instance in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.service_type == other.service_type
            && self.lower <= other.upper
            && other.lower <= self.upper
    }
}

/// A member: a node, and which of its attachments to the engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    /// The number the engine gives the node, unique among those that can talk to each other.
    pub node: u32,
    /// Tells the attachments of one node apart: a process, a port, a count.
    pub attachment: u64,
}

/// In which order messages to ranges are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those of one sender in the order they were sent.
    Publisher,
    /// All of them in one order everywhere.
    Total,
}

/// What the engine says of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The engine cannot be reached, or has not formed a cluster yet; waiting may help.
    Starting,
    /// The node is a member, with quorum where that is required.
    Member,
    /// The engine's own verdict: the node is no member, or has no quorum where that is required.
    Outside,
}

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A member has bound a range that overlaps a watched one. Also told of the own bindings.
    Up {
        /// The member.
        peer: PeerId,
        /// What it has bound.
        range: ServiceRange,
    },
    /// A binding that was told of is gone, with its member or without.
    Down {
        /// The member.
        peer: PeerId,
        /// What it had bound.
        range: ServiceRange,
    },
    /// A message.
    Message {
        /// Who sent it; may be this member, if it is bound inside the range it sent to.
        from: PeerId,
        /// The message, at most [`Transport::message_bytes_max`] long.
        bytes: Vec<u8>,
    },
    /// There is room again for a member that [`Transport::send`] or [`Transport::multicast`]
    /// refused with [`io::ErrorKind::WouldBlock`].
    Room,
    /// What the engine says of this node has changed. When the engine goes away all members are
    /// told to be down before; bindings and watches are made again by the transport itself when it
    /// is back, under another own [`PeerId`].
    Standing(Standing),
}

/// Carries messages between the members that are bound to service ranges.
pub trait Transport {
    /// Who this member is; `None` before the engine has said so. Changes only beside
    /// [`Arrival::Standing`].
    fn own(&self) -> Option<PeerId>;

    /// Binds a range, for as long as this transport lives.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the range is empty or bound already; what the engine says.
    fn bind(&mut self, range: ServiceRange) -> io::Result<()>;

    /// Ends a binding.
    ///
    /// # Errors
    ///
    /// `NotFound`: the range is not bound; what the engine says.
    fn unbind(&mut self, range: ServiceRange) -> io::Result<()>;

    /// Asks for [`Arrival::Up`] and [`Arrival::Down`] of members that bind ranges that overlap this
    /// one, those bound already included.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the range is empty or watched already; what the engine says.
    fn watch(&mut self, range: ServiceRange) -> io::Result<()>;

    /// Sends to every member that is bound inside `to`, each once, this one included if it is
    /// bound there. None bound is no error.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: no room for one of them, and nothing was sent to any; [`Arrival::Room`] tells
    /// when to try again. `InvalidInput`: longer than [`Transport::message_bytes_max`].
    /// `NotConnected`: the engine is away.
    fn multicast(&mut self, to: ServiceRange, message: &[u8]) -> io::Result<()>;

    /// Sends to one member.
    ///
    /// # Errors
    ///
    /// As [`Transport::multicast`], and `NotFound`: the member is not up.
    fn send(&mut self, to: PeerId, message: &[u8]) -> io::Result<()>;

    /// The next thing heard; `None` when nothing is waiting.
    ///
    /// # Errors
    ///
    /// What ends this transport for good, with one line that says why.
    fn try_receive(&mut self) -> io::Result<Option<Arrival>>;

    /// Length of the longest message, in bytes.
    fn message_bytes_max(&self) -> usize;

    /// In which order messages to ranges are heard.
    fn order(&self) -> Order;

    /// A descriptor that is readable while something waits to be received; `None` if the transport
    /// is driven by other means.
    fn readiness(&self) -> Option<BorrowedFd<'_>>;
}
