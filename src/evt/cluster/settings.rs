//! What an administrator may set, and faults that tests plant.

use super::travel::{Ordering, Travels};
use crate::evt::{Limits, Name, Span};

/// The bounds and times of the replication. Each default has its reason beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many members the cluster has when all are there; a starting node that sees so many
    /// serves at once. `None`: not known.
    pub members_expected: Option<usize>,
    /// How long a starting node waits for others before it serves alone. Corosync forms a ring of
    /// the node itself for 3 s at each start.
    pub alone_after: Span,
    /// A member that has not answered for so long is gone on without. Must be above the time the
    /// engine itself takes to notice a death: 8.1 s with Corosync's defaults.
    pub hang_time: Span,
    /// Calls without a timeout of their own are answered after so long.
    pub request_timeout: Span,
    /// The first sign of life comes so long after the last packet: a lost tail is noticed then.
    pub beat_min: Span,
    /// Signs of life come at least so often.
    pub beat_max: Span,
    /// Bytes of events that wait for one peer; beyond, events are dropped with a notice. Twice what
    /// a Corosync ring carries in a tenth of a second, rounded up.
    pub peer_queue_bytes_max: u64,
    /// The highest version of the messages that is spoken: [`Settings::VERSION`], or an earlier one
    /// for as long as a cluster may have to go back to it.
    pub version: u16,
    /// How the events of each channel travel.
    pub travels: Travels,
    /// How long publishers wait for a member that takes nothing, on channels with
    /// [`super::Remote::Backpressure`]. Longer than a busy node is away, shorter than a program
    /// goes on trying that has nothing else to do.
    pub patience: Span,
    /// Bytes of a packet up to which small events are packed together: what Corosync carries as
    /// fast, byte for byte, as anything larger.
    pub batch_bytes_max: u64,
    /// Requests of programs that wait for the cluster. Beyond: `TryAgain`.
    pub requests_max: usize,
    /// What must be the same everywhere: the five limits of the contract, bytes of the attributes
    /// of an event, retained events and their bytes.
    pub limits: [u64; 8],
    /// A fault to plant, for tests of the tests. Builds without debug assertions have none.
    pub plant: Option<Plant>,
}

impl Settings {
    /// The newest version of the messages. What it brought: total order.
    pub const VERSION: u16 = 2;
    /// The oldest that is still spoken.
    pub const VERSION_MIN: u16 = 1;

    /// The defaults, with these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            members_expected: None,
            alone_after: Span(6_000_000_000),
            hang_time: Span(9_000_000_000),
            request_timeout: Span(10_000_000_000),
            beat_min: Span(100_000_000),
            beat_max: Span(1_000_000_000),
            peer_queue_bytes_max: 8 << 20,
            version: Self::VERSION,
            travels: Travels::default(),
            patience: Span(2_000_000_000),
            batch_bytes_max: 60 << 10,
            requests_max: 65_536,
            limits: [
                limits.channels_max,
                limits.event_bytes_max,
                limits.pattern_bytes_max,
                limits.patterns_max,
                limits.retention_max.0,
                limits.attributes_bytes_max(),
                limits.retained_events_max,
                limits.retained_bytes_max,
            ],
            plant: None,
        }
    }

    /// Whether a channel that is created is to be in total order.
    pub(super) fn orders(&self, name: &Name) -> bool {
        self.travels.of(name).ordering == Ordering::Total
    }

    pub(super) fn patience(&self) -> Span {
        if self.has(Plant::EndlessPatience) { Span(u64::MAX) } else { self.patience }
    }

    pub(super) fn channels_max(&self) -> u64 {
        self.limits[0]
    }

    /// Whether a fault is planted.
    pub(super) fn has(&self, plant: Plant) -> bool {
        cfg!(debug_assertions) && self.plant == Some(plant)
    }
}

/// Faults that the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Requests are answered when the operation is applied here, not when it is everywhere.
    AnswerUnstable,
    /// The sequencer counts an operation as stable without waiting for all members.
    SkipAck,
    /// The sessions' numbers are not compared, so packets of an earlier session are taken.
    AnySession,
    /// The end of a session makes no lost-event due.
    SilentBreak,
    /// The beginning of a stream after a break makes no lost-event due.
    SilentBegin,
    /// Overflow towards a peer sends no notice.
    SilentOverflow,
    /// Events in total order are given to subscribers before they are everywhere.
    GiveEarly,
    /// What is on its way in total order is kept at the beginning of a view, whoever it is from.
    KeepForeign,
    /// Publishers in total order ask again for what has been applied.
    AskTwice,
    /// Events of channels whose publishers wait are dropped with the others.
    DropPatient,
    /// Publishers wait for as long as it takes.
    EndlessPatience,
    /// A stream is heard before the operations it rests on.
    HearEarly,
    /// A merge keeps what the other side has removed.
    Resurrect,
    /// What a member that has gone had sent to some is not brought to the others.
    NoForward,
    /// Deadlines are taken over without conversion of clocks.
    OneClock,
    /// Events behind a transfer overtake it.
    Overtake,
    /// A node answers without looking at its lease.
    NoLease,
    /// The end of a node leaves its roles.
    KeepRoles,
    /// A view begins without the operations that some members have not applied.
    NoMissing,
    /// Channels of one name that meet stay apart.
    KeepApart,
    /// An event that is to be cleared is not asked for where it comes from.
    NoProbe,
    /// A view without a member that is there makes no lost-event due.
    SilentParting,
    /// Nobody compares what a sign of life says of the last packet.
    SilentTail,
    /// Events go to all members.
    SendAll,
    /// A node that starts serves at once.
    ServeAtOnce,
    /// Requests wait for as long as it takes.
    NoTimeout,
    /// A node goes on with its start count though others know a later one.
    KeepStart,
    /// An unlink without effect is told as done.
    UnlinkTwice,
    /// What was removed here while others went on without this node is told as removed here.
    SureApart,
}
