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
//! - What is on its way to a member, and unread there, is bounded; who would send more is refused
//!   until it has read. A member that has read nothing for [`UNREAD_TIME_MAX_NS`] while a sender
//!   was refused is [`Arrival::Down`] for that sender, so that it stops nobody for longer; it is
//!   up again when it reads.
//!
//! With [`Order::Total`] messages to ranges, and the coming and going of members, are besides heard
//! in the same order by all members that stay together.

pub mod corosync;
pub mod local;
mod roster;
pub mod sim;
pub mod tipc;

use std::io;
use std::os::fd::BorrowedFd;

/// How long a member may leave a refused sender waiting, in nanoseconds: longer than a node that is
/// busy, shorter than the ten seconds after which a call of a program gives up.
pub const UNREAD_TIME_MAX_NS: u64 = 5_000_000_000;

/// Ranges that one member can bind. A node needs a few; all of them go into one message.
pub const BINDINGS_MAX: usize = 64;

/// What a queued message counts beyond its own bytes, so that empty ones are bounded too.
const MESSAGE_COST: usize = 64;

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

    /// Whether it has an instance at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.lower > self.upper
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
///
/// It is a name between a transport and its user. Two members may know a third by different
/// attachments, so only `node` may be compared with what others say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    /// The number the engine gives the node, unique among those that can talk to each other.
    pub node: u32,
    /// Tells what has been attached to one node, one after the other or at once: a count in the
    /// upper half, a process or a port in the lower.
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
    /// refused with [`io::ErrorKind::WouldBlock`], or it is down. What was refused may be refused
    /// again, and is then followed by another of these.
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
    /// `InvalidInput`: the range is empty, bound already, or beyond [`BINDINGS_MAX`].
    fn bind(&mut self, range: ServiceRange) -> io::Result<()>;

    /// Ends a binding.
    ///
    /// # Errors
    ///
    /// `NotFound`: the range is not bound.
    fn unbind(&mut self, range: ServiceRange) -> io::Result<()>;

    /// Asks for [`Arrival::Up`] and [`Arrival::Down`] of members that bind ranges that overlap this
    /// one, those bound already included.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the range is empty or watched already.
    fn watch(&mut self, range: ServiceRange) -> io::Result<()>;

    /// Sends to every member that is bound inside `to`, each once, this one included if it is
    /// bound there. None bound is no error. Members whose [`Arrival::Up`] has not been heard yet
    /// may or may not get it.
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

    /// Whether [`Transport::send_each`] costs no more than a message to one of those members.
    fn carries_each(&self) -> bool {
        false
    }

    /// Sends a message to each of several members: its own head, then the tail, which is the same
    /// for all. The heads are of one length.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`], and then nothing was sent to any of them. `Unsupported`: it would
    /// cost as much as a message to each.
    fn send_each(&mut self, _to: &[(PeerId, Vec<u8>)], _tail: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

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

/// Which engine carries the messages, and what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineConfig {
    /// None: the node is alone.
    Local,
    /// Corosync on this host.
    Corosync {
        /// Tells apart the services of one cluster.
        service: String,
        /// Whether a node without quorum is no member; else every part of a cluster goes on.
        needs_quorum: bool,
    },
    /// TIPC of this host's kernel.
    Tipc {
        /// Tells apart the services of one cluster.
        service: String,
    },
}

/// Attaches to an engine, at once or as soon as it is there.
///
/// # Errors
///
/// What no waiting mends: an engine's library or kernel module is missing, a name is not allowed,
/// no descriptor is left.
pub fn open(config: &EngineConfig) -> io::Result<Box<dyn Transport>> {
    Ok(match config {
        EngineConfig::Local => Box::new(local::Local::new()?),
        EngineConfig::Corosync { service, needs_quorum } => {
            Box::new(corosync::Corosync::open(service, *needs_quorum)?)
        }
        EngineConfig::Tipc { service } => Box::new(tipc::Tipc::open(service)?),
    })
}
