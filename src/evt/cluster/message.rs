//! What nodes say to each other, and the numbers they say it with.

use super::directory::{Directory, Roles};
use crate::evt::node::EventRecord;
use crate::evt::{EventId, Incarnation, Name, Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A member as the engine names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// The number the engine gives the node.
    pub node: u32,
    /// Tells the attachments of one node apart.
    pub attachment: u64,
}

/// One start of one member: what happens in it is numbered, and never numbered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// Member number, below 512.
    pub member: u16,
    /// Start count, at least 1.
    pub start: u32,
}

impl Life {
    /// Marks whose events are in total order.
    const IN_ORDER: u16 = 0x8000;

    /// As whose the events of this life that are in total order are numbered: apart from the
    /// others, since they come another way. Since version 2.
    #[must_use]
    pub const fn in_order(self) -> Self {
        Self { member: self.member | Self::IN_ORDER, start: self.start }
    }

    /// Whose events they are, whether or not they are in total order.
    #[must_use]
    pub const fn of(self) -> Self {
        Self { member: self.member & !Self::IN_ORDER, start: self.start }
    }

    /// Whether these are events in total order.
    pub(super) const fn is_in_order(self) -> bool {
        self.member & Self::IN_ORDER != 0
    }

    const fn version(self) -> u16 {
        if self.is_in_order() { 2 } else { 1 }
    }
}

impl Place {
    /// The first place of an event in total order.
    pub(super) const FIRST_IN_ORDER: Self =
        Self { owner: Life { member: Life::IN_ORDER, start: 0 }, number: 0 };

    pub(super) const fn version(&self) -> u16 {
        self.owner.version()
    }
}

/// A set of members that agree on one order of operations, and who gives that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId {
    /// Above that of every view its leader has heard of.
    pub epoch: u64,
    /// The sequencer.
    pub leader: Life,
}

/// The place of an operation: numbered by its sequencer, over all its views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The sequencer.
    pub leader: Life,
    /// Its number, from 1.
    pub number: u64,
}

/// The place of a retained event: numbered by the node it was published on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The publisher's node.
    pub owner: Life,
    /// Its number, from 1.
    pub number: u64,
}

/// A change of the directory, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The asking node opens the channel of a name, in roles it has not had there.
    Open {
        /// The name.
        name: Name,
        /// The number for the channel if no linked one has the name; `None`: do not create.
        create: Option<Incarnation>,
        /// The roles that come to those the node has.
        roles: Roles,
        /// If it is created, its events are in total order. Since version 2.
        ordered: bool,
    },
    /// The name is taken from its channel.
    Unlink {
        /// The name.
        name: Name,
    },
    /// A retained event ends.
    Clear {
        /// Its channel.
        incarnation: Incarnation,
        /// The event.
        id: EventId,
        /// Where it is numbered, for those it has not reached yet.
        place: Place,
    },
    /// What the asking node does on a channel is exactly this from now on.
    Roles {
        /// The channel.
        incarnation: Incarnation,
        /// All its roles.
        roles: Roles,
    },
    /// Events of the asking node on channels in total order, or on what were such when they were
    /// published. Since version 2.
    Publish {
        /// The events.
        items: Vec<Item>,
    },
}

impl Op {
    /// Whether it does something once only: for whoever comes next there is nothing to remove.
    pub(super) const fn removes(&self) -> bool {
        matches!(self, Self::Unlink { .. } | Self::Clear { .. })
    }

    /// The first version of the messages that has it.
    #[must_use]
    pub const fn version(&self) -> u16 {
        match self {
            Self::Publish { .. } | Self::Open { ordered: true, .. } => 2,
            Self::Clear { place, .. } => place.version(),
            _ => 1,
        }
    }
}

/// An operation in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// Its number at the sequencer.
    pub number: u64,
    /// The node that asked.
    pub origin: Life,
    /// That node's number of the request.
    pub request: u64,
    /// The change.
    pub op: Op,
}

/// The first word of a session, both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The lowest version of the messages that the sender speaks.
    pub version_min: u16,
    /// The highest.
    pub version_max: u16,
    /// Who it is.
    pub life: Life,
    /// The sender's number of the session.
    pub number: u32,
    /// The receiver's number, if the sender knows it.
    pub echo: Option<u32>,
    /// How far the sender has the receiver's retained events.
    pub have: u64,
    /// The highest start of the receiver's member that the sender knows.
    pub seen_start: u32,
    /// Limits that must be the same everywhere.
    pub limits: [u64; 8],
    /// Clocks and choice.
    pub beat: Beat,
}

/// A sign of life. Not numbered, and overtakes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The sender's clock.
    pub time: Time,
    /// The newest clock value of the receiver that the sender has, and how long it has had it.
    pub echo: Option<(Time, Span)>,
    /// Number of the last numbered packet of the session.
    pub sent: u64,
    /// Whom the sender takes for the sequencer.
    pub choice: Life,
    /// The last view the sender has promised to take part in.
    pub epoch: u64,
}

/// What a member says of itself when a view is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The proposed view.
    pub view: ViewId,
    /// The view it has installed.
    pub prior: Option<ViewId>,
    /// It has not been in a view since its start; what it has is left from an earlier one.
    pub cold: bool,
    /// Nothing is left either.
    pub empty: bool,
    /// It serves programs.
    pub serving: bool,
    /// The last operation it has applied.
    pub applied: u64,
    /// Those that are not known to be everywhere.
    pub suffix: Vec<Ordered>,
    /// How far it has the retained events of each life.
    pub have: BTreeMap<Life, u64>,
}

/// Everything a component knows, from one of its members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Channels.
    pub directory: Directory,
    /// How far the member has the retained events of each life.
    pub have: BTreeMap<Life, u64>,
    /// Those that are retained, with their channels.
    pub live: BTreeMap<Place, Incarnation>,
    /// Those that were cleared before they came.
    pub ahead: BTreeSet<Place>,
}

/// Who forwards the retained events of a member that is gone to one that lacks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Whose events.
    pub owner: Life,
    /// Who has them.
    pub holder: Life,
    /// Who lacks them.
    pub to: Life,
    /// The last one it has.
    pub after: u64,
}

/// A view begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Which.
    pub view: ViewId,
    /// The version of the messages that all members speak, as far as is used.
    pub version: u16,
    /// Programs may be served.
    pub serve: bool,
    /// All members.
    pub members: BTreeSet<Life>,
    /// The view that each of them was in before, if any.
    pub priors: BTreeMap<Life, ViewId>,
    /// The sequencer's last operation before it.
    pub base: u64,
    /// Operations of the view before that the receiver has not applied.
    pub missing: Vec<Ordered>,
    /// The directory, where it is not what the receiver then has.
    pub directory: Option<Box<Directory>>,
    /// The receiver has nothing to contribute: what it has from before its start is void.
    pub void: bool,
    /// Retained events that were ended on the other side of a split.
    pub removed: Vec<Place>,
    /// What is forwarded.
    pub plan: Vec<Forward>,
}

/// One event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its channel, by a number of the sender.
    pub incarnation: Incarnation,
    /// Its place, if it is retained.
    pub place: Option<Place>,
    /// When its retention ends, by the sender's clock.
    pub deadline: Time,
    /// The event.
    pub record: Rc<EventRecord>,
}

impl Item {
    /// Bytes it counts for in queues.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.record.bytes() + Self::HEADER_BYTES
    }

    /// What an item takes besides attributes and data, rounded up.
    pub const HEADER_BYTES: u64 = 96;
}

/// What goes along the event stream of a session, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// The stream begins, or begins again after a break.
    Began {
        /// Channels on which something was published that the receiver may not have had.
        missed: Vec<Incarnation>,
    },
    /// Events.
    Items(Vec<Item>),
    /// Events in a short form, without the deadlines of those that nobody is to keep. Since version
    /// 2.
    Burst(Vec<Item>),
    /// All retained events of the sender from before the beginning have been sent.
    CaughtUp,
    /// All events of a life that is gone have been forwarded, up to this number.
    Forwarded {
        /// Whose.
        owner: Life,
        /// The last number.
        upto: u64,
    },
    /// Events on these channels were dropped for want of room.
    Lost(Vec<Incarnation>),
    /// The sender leaves in order; nothing follows.
    Goodbye,
    /// Whether an event is retained by the sender. Answered by [`Stream::Probed`].
    Probe {
        /// The event.
        id: EventId,
    },
    /// Everything published before the probe has been sent.
    Probed {
        /// The event.
        id: EventId,
    },
}

/// The content of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "names are inline; packets are short-lived")]
pub enum Body {
    /// See [`Hello`].
    Hello(Box<Hello>),
    /// See [`Beat`].
    Beat(Beat),
    /// A view is proposed.
    Propose(ViewId),
    /// It is refused: the sender follows another sequencer, or has promised a later view.
    Refuse {
        /// The highest epoch the sender knows.
        epoch: u64,
    },
    /// See [`Report`].
    Report(Box<Report>),
    /// The sequencer wants the whole state for a view.
    Fetch(ViewId),
    /// The whole state.
    State(ViewId, Box<State>),
    /// See [`Install`].
    Install(Box<Install>),
    /// An operation is asked for.
    Request {
        /// The view.
        view: ViewId,
        /// Number of the request.
        request: u64,
        /// The operation.
        op: Op,
    },
    /// Operations in order.
    Ops {
        /// The view.
        view: ViewId,
        /// The operations.
        ops: Vec<Ordered>,
    },
    /// Applied up to this number.
    Ack {
        /// The view.
        view: ViewId,
        /// The number.
        number: u64,
    },
    /// Applied by everybody up to this number.
    Stable {
        /// The view.
        view: ViewId,
        /// The number.
        number: u64,
    },
    /// Part of the event stream: to be heard when the receiver is as far as the sender was.
    Stream {
        /// The view the sender had installed.
        view: ViewId,
        /// The last operation it had applied.
        applied: u64,
        /// What it is.
        stream: Stream,
    },
}

fn version_of(ops: &[Ordered]) -> u16 {
    highest(ops.iter().map(|ordered| ordered.op.version()))
}

/// The highest of the versions in which parts of something can be said.
fn highest(all: impl Iterator<Item = u16>) -> u16 {
    all.max().unwrap_or(1)
}

impl State {
    fn version(&self) -> u16 {
        let places = self.live.keys().chain(&self.ahead).map(Place::version);
        let owners = self.have.keys().map(|owner| owner.version());
        highest(places.chain(owners).chain([self.directory.version()]))
    }
}

impl Install {
    fn version(&self) -> u16 {
        let removed = self.removed.iter().map(Place::version);
        let plan = self.plan.iter().map(|forward| forward.owner.version());
        let directory = self.directory.as_ref().map(|directory| directory.version());
        let rest = [self.version, version_of(&self.missing)];
        highest(removed.chain(plan).chain(directory).chain(rest))
    }
}

impl Stream {
    fn version(&self) -> u16 {
        match self {
            Self::Items(items) => {
                highest(items.iter().filter_map(|item| item.place).map(|place| place.version()))
            }
            Self::Forwarded { owner, .. } => owner.version(),
            Self::Burst(_) => 2,
            _ => 1,
        }
    }
}

impl Body {
    /// In the form that a peer of that version is sent.
    pub(super) fn shortened(self, version: u16) -> Self {
        match self {
            Self::Stream { view, applied, stream: Stream::Items(items) } if version >= 2 => {
                Self::Stream { view, applied, stream: Stream::Burst(items) }
            }
            other => other,
        }
    }

    /// As it is kept.
    pub(super) fn lengthened(self) -> Self {
        match self {
            Self::Stream { view, applied, stream: Stream::Burst(items) } => {
                Self::Stream { view, applied, stream: Stream::Items(items) }
            }
            other => other,
        }
    }

    /// The first version of the messages in which this can be said.
    #[must_use]
    pub fn version(&self) -> u16 {
        match self {
            Self::Report(report) => {
                let owners = report.have.keys().map(|owner| owner.version());
                highest(owners.chain([version_of(&report.suffix)]))
            }
            Self::State(_, state) => state.version(),
            Self::Install(install) => install.version(),
            Self::Stream { stream, .. } => stream.version(),
            Self::Request { op, .. } => op.version(),
            Self::Ops { ops, .. } => version_of(ops),
            _ => 1,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The receiver's number of the session; 0 with a [`Body::Hello`].
    pub session: u32,
    /// Number of the packet in the session; 0 for [`Body::Hello`] and [`Body::Beat`].
    pub number: u64,
    /// What it says.
    pub body: Body,
}
