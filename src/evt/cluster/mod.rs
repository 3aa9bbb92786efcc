//! One node's part in a cluster: pure, like all semantics.
//!
//! Arrivals, requests of programs and the time go in, together with the [`Node`] they act on;
//! packets, answers and the next deadline come out. The driver carries packets, in order and whole
//! for each peer, and tells of peers that come and go. It calls [`Cluster::pump`] after everything
//! that may have changed the node, then [`Cluster::send`].
//!
//! All members of a *view* apply the same operations in the order of one sequencer, the member with
//! the lowest number. A view begins when the sequencer has brought what its members know together;
//! then nothing else is needed for agreement. Events go straight from the publisher's node to those
//! that want them. ARCHITECTURE.md, "The cluster", has the whole picture.

mod combine;
mod directory;
mod install;
mod message;
mod operations;
mod orders;
mod peer;
mod pressure;
mod requests;
mod retained;
mod sessions;
mod settings;
mod snapshot;
mod status;
mod streams;
mod together;
mod travel;
mod views;

pub use directory::{Directory, Effect, Entry, Roles};
pub use message::{
    Beat, Body, Dot, Forward, Hello, Install, Item, Life, Op, Ordered, Packet, PeerKey, Place,
    Report, State, Stream, ViewId,
};
pub use requests::{Answer, Ask, Outcome, Ticket};
pub use settings::{Plant, Settings};
pub use snapshot::Snapshot;
pub use status::{PeerStatus, Progress, Relation};
pub use travel::{Ordering, Remote, Travel, Travels};

use super::node::{Fact, Node, Windows};
use super::{EventId, Incarnation, Span, Time};
use operations::Pending;
use orders::Orders;
use peer::{Away, Peer};
use requests::Waiting;
use retained::Retained;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use views::Proposal;

/// Deleted channels that are remembered for a member that is away, because it missed what was
/// published on them: as many as there can be channels at a time, by the default limits.
const AWAY_CHANNELS_MAX: usize = 65_536;

/// Views that a node remembers: who comes back from an earlier one makes an answer doubtful that
/// need not be, so enough for members that come and go beside one that is stopped.
const PAST_VIEWS_MAX: usize = 64;

/// What the state machine acts on, lent for one call.
pub struct World<'a> {
    /// The node.
    pub node: &'a mut Node,
    /// Its windows.
    pub windows: &'a mut dyn Windows,
    /// The time.
    pub now: Time,
}

/// What has become of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// It is on its way.
    Sent,
    /// There is no room for this peer; [`Cluster::room`] tells when to try again.
    Full,
    /// The peer is not there.
    Gone,
    /// Not to several peers at once, though perhaps to each by itself.
    Apart,
}

/// Whom a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressed {
    /// The peer.
    pub key: PeerKey,
    /// Its number of the session.
    pub session: u32,
    /// The packet's number there; 0 for [`Body::Hello`] and [`Body::Beat`].
    pub number: u64,
}

/// What hands a packet to the engine: the same content for one peer or for several.
pub type Carry<'a> = dyn FnMut(&[Addressed], &Body) -> Carried + 'a;

/// What an administrator should read in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A peer speaks no version of the messages that is spoken here: versions it speaks.
    Version(PeerKey, u16, u16),
    /// A peer has the member number of this node, or of another peer.
    SameMember(PeerKey, u16),
    /// Limits that must be the same everywhere differ: which of [`Settings::limits`].
    Limits(PeerKey, usize),
    /// Peers know a later start of this member: this is the start count from now on.
    Start(u32),
    /// A view has begun, with so many members.
    View(ViewId, usize),
    /// Programs are served from now on.
    Serving,
    /// A session has ended.
    Lost(Life),
}

/// The view in force.
#[derive(Debug, Clone)]
struct View {
    id: ViewId,
    members: BTreeSet<Life>,
    /// The version of the messages that is used in it.
    version: u16,
    /// For the sequencer: how far each other member has applied.
    acks: BTreeMap<Life, u64>,
}

/// The replication of one node.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    own: Life,
    born: Time,
    ticked: Time,
    /// When this node last did anything.
    awake: Time,
    peers: BTreeMap<PeerKey, Peer>,
    /// Lives that there was a stream to, and is none now.
    away: BTreeMap<Life, Away>,
    /// Numbers of sessions given out.
    sessions: u32,
    /// The highest start known of each member.
    starts: BTreeMap<u16, u32>,
    /// The version of the messages that each other member speaks that has been met.
    versions: BTreeMap<u16, u16>,
    /// Others that belong here have channels in total order.
    must_order: bool,

    view: Option<View>,
    /// Views this node was in before, the last [`PAST_VIEWS_MAX`].
    past: BTreeSet<ViewId>,
    /// The last view of an earlier start, where that was kept.
    resumed: Option<ViewId>,
    /// No operation is applied or asked for until the next view begins.
    frozen: bool,
    /// The highest view this node has promised to take part in.
    promised: ViewId,
    /// Whom the others were last told to be taken for the sequencer.
    chosen: Life,
    epoch: u64,
    proposal: Option<Proposal>,
    propose_after: Time,
    /// Since when a member that answers follows another one than this.
    strayed: Option<Time>,
    /// It has served programs, or may.
    serving: bool,
    /// It was serving in an earlier view, or has a view: what it has is not left over.
    warm: bool,
    quorate: bool,
    /// The view lets it serve, from then on when what is retained has come, or at the latest then.
    serve_by: Option<Time>,
    /// Lives that are gone whose events are still to come.
    expected: BTreeSet<Life>,
    /// What had been published on each channel when the view began.
    published: BTreeMap<Incarnation, u64>,
    /// Who forwards what, by the view.
    plan: Vec<Forward>,

    directory: Directory,
    /// The last operation applied, by the number of the view's sequencer.
    applied: u64,
    /// The last one that every member has applied.
    stable: u64,
    /// Operations this node has sequenced in its life.
    sequenced: u64,
    /// Operations of the view that are not known to be everywhere.
    suffix: VecDeque<Ordered>,
    /// For the sequencer: what has not been sent to the others yet.
    unsent: Vec<Ordered>,
    told_stable: u64,
    acked: u64,

    retained: Retained,
    pending: VecDeque<Pending>,
    requested: u64,
    orders: Orders,
    waiting: VecDeque<Waiting>,
    /// Something has changed that requests may have waited for.
    retry: bool,
    /// Channels whose roles may not be what the others were told.
    unsettled: BTreeSet<Incarnation>,
    /// Channels whose publishers wait where others are slow, by each of their numbers.
    patient: BTreeSet<Incarnation>,
    /// Members that they wait for, as the node was told; none if it has to be told.
    pressed: Option<BTreeSet<u16>>,
    /// Whether publishers wait for what is in total order, and when some of it was last given.
    pressure: pressure::Pressure,
    given: Time,
    /// Peers that want to know whether an event is on its way.
    probes: Vec<(PeerKey, EventId)>,
    answers: Vec<Answer>,
    notices: Vec<Notice>,
}

impl Cluster {
    /// A node that starts. Channels and retained events that `node` has from before are shared with
    /// the others if none of them is in a cluster already; else they are void.
    #[must_use]
    pub fn new(settings: Settings, own: Life, node: &mut Node, now: Time) -> Self {
        node.join_cluster();
        let mut made = Self {
            settings,
            own,
            born: now,
            ticked: now,
            awake: now,
            peers: BTreeMap::new(),
            away: BTreeMap::new(),
            sessions: 0,
            starts: BTreeMap::from([(own.member, own.start)]),
            versions: BTreeMap::new(),
            must_order: false,
            view: None,
            past: BTreeSet::new(),
            resumed: None,
            frozen: true,
            promised: ViewId { epoch: 0, leader: own },
            chosen: own,
            epoch: 0,
            proposal: None,
            propose_after: now,
            strayed: None,
            serving: false,
            warm: false,
            quorate: false,
            serve_by: None,
            expected: BTreeSet::new(),
            published: BTreeMap::new(),
            plan: Vec::new(),
            directory: Directory::default(),
            applied: 0,
            stable: 0,
            sequenced: 0,
            suffix: VecDeque::new(),
            unsent: Vec::new(),
            told_stable: 0,
            acked: 0,
            retained: Retained::default(),
            pending: VecDeque::new(),
            requested: 0,
            orders: Orders::default(),
            waiting: VecDeque::new(),
            retry: false,
            unsettled: BTreeSet::new(),
            patient: BTreeSet::new(),
            pressed: None,
            pressure: pressure::Pressure::None,
            given: now,
            probes: Vec::new(),
            answers: Vec::new(),
            notices: Vec::new(),
        };
        made.seed(node);
        made
    }

    /// Takes what the node has from an earlier start as operations and events of this one.
    fn seed(&mut self, node: &Node) {
        let (own, mut sequenced) = (self.own, 0);
        let (directory, retained) = (&mut self.directory, &mut self.retained);
        node.facts(&mut |fact| match fact {
            Fact::Channel { incarnation, name, linked: true } => {
                sequenced += 1;
                directory.seed(incarnation, *name, Dot { leader: own, number: sequenced });
            }
            Fact::Retained { incarnation, record, .. } => {
                retained.number(own, incarnation, record.id);
            }
            _ => {}
        });
        self.sequenced = sequenced;
    }

    /// Who this node is.
    #[must_use]
    pub const fn own(&self) -> Life {
        self.own
    }

    /// Whether programs are served.
    #[must_use]
    pub const fn is_serving(&self) -> bool {
        self.serving
    }

    /// The view in force and its members; `None` before the first.
    #[must_use]
    pub fn view(&self) -> Option<(ViewId, &BTreeSet<Life>)> {
        self.view.as_ref().map(|view| (view.id, &view.members))
    }

    /// The channels as all members of the view know them.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The engine says that this side has quorum: a starting node serves.
    pub fn set_quorate(&mut self, quorate: bool) {
        self.quorate = quorate;
    }

    /// The engine is not there yet: a starting node begins anew to wait for others.
    pub fn wait_anew(&mut self, now: Time) {
        if !self.warm {
            self.born = now;
        }
    }

    /// Whether a member has come that there is no session with yet, though there may be.
    #[must_use]
    pub fn is_meeting(&self) -> bool {
        self.peers.values().any(|peer| !peer.established && !peer.refused && !peer.left)
    }

    /// Whether [`Cluster::send`] has something to hand over that was not refused.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.peers.values().any(Peer::has_unsent)
    }

    /// Moves what should be logged to the end of `into`.
    pub fn take_notices(&mut self, into: &mut Vec<Notice>) {
        into.append(&mut self.notices);
    }

    /// Moves answers to requests that waited to the end of `into`.
    pub fn take_answers(&mut self, into: &mut Vec<Answer>) {
        into.append(&mut self.answers);
    }

    /// Whether there is a session with a member.
    #[must_use]
    pub fn has_session(&self, life: Life) -> bool {
        self.peer_of(life).is_some()
    }

    /// The peer whose life it is, if there is a session.
    fn peer_of(&self, life: Life) -> Option<PeerKey> {
        let mut all = self.peers.iter();
        all.find(|(_, peer)| peer.established && peer.life == Some(life)).map(|(key, _)| *key)
    }

    fn is_leader(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.id.leader == self.own)
    }

    /// Whether this node may answer from what it knows: nobody can have gone on without it.
    fn holds_lease(&self, now: Time) -> bool {
        let Some(view) = &self.view else { return false };
        if self.frozen {
            return false;
        }
        let lease = Span(self.settings.hang_time.0 / 3 * 2);
        let fresh = |life: &Life| {
            let peer = self.peer_of(*life).and_then(|key| self.peers.get(&key));
            // One that has gone on to another view answers, and yet knows more than this node.
            peer.is_some_and(|peer| now < peer.echoed.after(lease) && peer.epoch <= view.id.epoch)
        };
        if view.id.leader == self.own {
            view.members.iter().filter(|life| **life != self.own).all(fresh)
        } else {
            fresh(&view.id.leader)
        }
    }

    /// Notes the highest start of a member.
    fn note_start(&mut self, life: Life) {
        let known = self.starts.entry(life.member).or_default();
        *known = life.start.max(*known);
        let latest = *known;
        self.away.retain(|away, _| away.member != life.member || away.start >= latest);
    }

    /// When [`Cluster::tick`] is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Time {
        let beats = self.peers.values().map(|peer| peer.beat_at).min();
        let own = [
            Some(self.ticked.after(self.settings.beat_max)),
            beats,
            self.overdue_at(),
            self.waiting.iter().filter_map(Waiting::gives_up).min(),
            self.pending.iter().filter_map(Pending::gives_up).min(),
        ];
        own.into_iter().flatten().min().unwrap_or(Time::MAX)
    }

    /// A node that was stopped must not take the others for stopped: they have had no chance to be
    /// heard.
    fn wake(&mut self, now: Time) {
        if now >= self.awake.after(Span(self.settings.hang_time.0 / 4)) {
            let graced = Time(now.0.saturating_sub(self.settings.hang_time.0 / 2));
            for peer in self.peers.values_mut() {
                peer.replied = peer.replied.max(graced);
            }
        }
        self.awake = now;
    }

    /// Does what is due.
    pub fn tick(&mut self, world: &mut World<'_>) {
        let now = world.now;
        self.wake(now);
        self.ticked = now;
        self.beat(now);
        self.consider_view(world);
        self.give_up(now);
        self.consider_serving(now);
        self.retry = true;
        self.pump(world);
    }

    /// Takes what the node has gathered, moves streams and operations on. To be called after
    /// everything that may have changed the node.
    pub fn pump(&mut self, world: &mut World<'_>) {
        self.note_ended(world);
        self.publish_outward(world);
        self.settle_roles(world);
        self.ask_in_order(world);
        self.settle_loose(world);
        self.flush_operations(world);
        self.answer_stable(world);
        self.give_due(world);
        self.retry_waiting(world);
        self.flush_operations(world);
        self.answer_stable(world);
        self.give_due(world);
        if std::mem::take(&mut self.orders.freed) {
            self.release_all(world);
        }
        self.answer_probes();
        self.fill_streams(world);
        self.settle_pressure(world);
    }

    /// Notes which events the node retains no more. Before others come: one that was forgotten may
    /// come again.
    fn note_ended(&mut self, world: &mut World<'_>) {
        for id in world.node.take_ended() {
            self.retained.end(id);
        }
        for (channel, number) in world.node.take_deleted() {
            self.patient.remove(&channel);
            for away in self.away.values_mut() {
                let more = away.published.remove(&channel) != Some(number);
                if more && away.unsure.len() < AWAY_CHANNELS_MAX {
                    away.unsure.insert(channel);
                }
            }
        }
    }

    /// What is waited for when the cluster stands still, for tests and status: packets that wait,
    /// requests, operations that are not everywhere.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        let queued: usize = self.peers.values().map(Peer::queued).sum();
        let marks = self.expected.len() + self.unsettled.len() + self.orders.unfinished();
        queued + self.waiting.len() + self.pending.len() + self.suffix.len() + marks
    }

    /// The retained events this node knows, by id.
    #[must_use]
    pub fn retained_ids(&self) -> BTreeSet<EventId> {
        self.retained.held().values().map(|(_, id)| *id).collect()
    }
}
