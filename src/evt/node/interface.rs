//! What goes into the core and comes out of it.

use crate::evt::retention::EventRecord;
use crate::evt::{
    EventId, Incarnation, InstanceNo, LibraryNo, Name, Priority, Span, SubscriptionNo, Time,
};
use std::rc::Rc;

/// A connected process: a slot the core chose, used again after the process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey(pub u32);

/// The inbox of a library handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The process.
    pub process: ProcessKey,
    /// Its library handle.
    pub library: LibraryNo,
}

/// Who a process is, by the credentials of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// User; charged for what it retains.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Process.
    pub pid: u32,
}

/// With what a node begins; event ids and incarnations are made of member, start and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Genesis {
    /// Number of this member, 10 bits.
    pub member: u16,
    /// Start count, 18 bits, at least 1, never used before.
    pub start: u32,
    /// Seed of the hash tables: unknown to clients, so that they cannot aim for collisions.
    pub hash_seed: u64,
}

/// One publication, as taken from the publisher's outbox.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The publishing instance.
    pub instance: InstanceNo,
    /// The identifier, from a block of the process.
    pub id: EventId,
    /// Nanoseconds since the epoch.
    pub publish_time: i64,
    /// Retention time; zero if it is not retained.
    pub retention: Span,
    /// Priority.
    pub priority: Priority,
    /// Packed attributes in the node's own memory, not yet judged.
    pub attributes: &'a [u8],
    /// Size of the data.
    pub data_bytes: u64,
}

/// The windows of all inboxes, given by the driver. Each has one ring for each priority.
pub trait Windows {
    /// Writes a delivery to the ring of its priority (a lost-event: the highest). Gives the
    /// position after the record, or `None` if the ring has no room; then nothing was written.
    fn put(&mut self, to: Target, delivery: &Delivery<'_>) -> Option<u64>;
    /// Whether the program has taken the record that ended at `position`.
    fn consumed(&self, to: Target, priority: Priority, position: u64) -> bool;
    /// Appends the data of the publication that is being published, `data_bytes` of them, to
    /// `into`, which is empty and has the room.
    fn data_in_flight(&mut self, into: &mut Vec<u8>);
    /// Puts the data of the publication that is being published where several windows can refer to
    /// them; false if that cannot be. Until [`Windows::end_share`] they go out by
    /// [`Windows::put_shared`], and [`Windows::data_in_flight`] gives the same bytes.
    fn share_in_flight(&mut self) -> bool {
        false
    }
    /// As [`Windows::put`] for an event whose data have been shared.
    fn put_shared(&mut self, to: Target, delivery: &Delivery<'_>) -> Option<u64> {
        self.put(to, delivery)
    }
    /// The publication whose data are shared has gone to all of its takers.
    fn end_share(&mut self) {}
    /// For which priorities the queue behind a window is not empty has changed: bit `p` of
    /// `levels` is priority `p`. What waits at a priority comes before whatever a window holds of
    /// lower ones, so the program must know.
    fn backlog(&mut self, to: Target, levels: u8);
}

/// One record of an inbox.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The open instance it is for.
    pub instance: InstanceNo,
    /// What it is.
    pub what: What<'a>,
}

/// What is delivered.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// An event.
    Event {
        /// The first registered subscription that matches.
        subscription: SubscriptionNo,
        /// Identifier.
        id: EventId,
        /// Nanoseconds since the epoch.
        publish_time: i64,
        /// Retention time as the publisher set it.
        retention: Span,
        /// Retention time left; zero if there was none.
        left: Span,
        /// Priority.
        priority: Priority,
        /// Packed attributes.
        attributes: &'a [u8],
        /// The data.
        data: Data<'a>,
    },
    /// The lost-event; its attributes are made by the agent.
    Lost,
}

impl What<'_> {
    /// The priority whose ring it goes to.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        match self {
            Self::Event { priority, .. } => *priority,
            Self::Lost => Priority::HIGHEST,
        }
    }
}

/// Where the data of a delivery are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// Still in the publisher's outbox, and the event has this one taker; or shared.
    InFlight,
    /// In the node's memory.
    Stored(&'a [u8]),
}

/// What a client cannot do by mistake: the driver drops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The publication breaks the protocol: attributes that are no block, an id outside the blocks
    /// of the process, an instance without the publisher flag, a retention time without credit, or
    /// an id that is retained already.
    Malformed,
    /// A size above a limit, which a program that came from an earlier start may not know.
    TooBig,
    /// The instance may not publish any more, which its program may not know yet.
    Withheld,
}

/// Work that a publication caused, to bound what one client gets done in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Filters compared.
    pub matches: u32,
    /// Open instances it was delivered to or queued for.
    pub enqueues: u32,
    /// Open instances that it has still to go to; see [`super::Node::publish_on`].
    pub waits: u32,
}

/// What a drain left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing waits.
    Empty,
    /// Events wait for room in a window.
    More,
}

/// What must be kept for a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "names are inline; changes are few and short-lived")]
pub enum Change {
    /// A channel was created, linked.
    ChannelCreated {
        /// The channel.
        incarnation: Incarnation,
        /// Its name.
        name: Name,
    },
    /// A channel lost its name and lives on.
    ChannelUnlinked {
        /// The channel.
        incarnation: Incarnation,
    },
    /// A channel is gone, with its name and its retained events.
    ChannelDeleted {
        /// The channel.
        incarnation: Incarnation,
    },
    /// A channel is what the private service of a user called otherwise.
    ChannelMoved {
        /// The channel.
        incarnation: Incarnation,
        /// The user.
        user: u32,
        /// What it was there.
        private: Incarnation,
    },
    /// An event was retained.
    Retained {
        /// Its channel.
        incarnation: Incarnation,
        /// The event.
        record: Rc<EventRecord>,
        /// When it lapses.
        deadline: Time,
    },
    /// An event was cleared. Lapsing and deletion of the channel are not told.
    RetentionEnded {
        /// Its channel.
        incarnation: Incarnation,
        /// The event.
        id: EventId,
    },
}

/// What is the case now; see [`super::Node::facts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A channel.
    Channel {
        /// The channel.
        incarnation: Incarnation,
        /// Its name.
        name: &'a Name,
        /// Whether the name leads to it.
        linked: bool,
    },
    /// What the private service of a user, which has moved here, called a channel.
    Moved {
        /// The channel.
        incarnation: Incarnation,
        /// The user.
        user: u32,
        /// What it was there.
        private: Incarnation,
    },
    /// A retained event.
    Retained {
        /// Its channel.
        incarnation: Incarnation,
        /// The event.
        record: &'a Rc<EventRecord>,
        /// When it lapses.
        deadline: Time,
    },
}
