//! The node's state machine: requests, publications and the time go in; records for the windows,
//! changes to keep and the next deadline come out.
//!
//! The driver owns sockets, shared memory, clocks and the log. It calls [`Node::drain`] for a
//! library handle when the program has made room in a window, and after every call without
//! `windows` that can change a queue ([`Node::mark_lost`], [`Node::unsubscribe`],
//! [`Node::channel_close`]); it takes the changes after every call, before the next one.
//!
//! Source: SAI-AIS-EVT-B.03.01, chapters on channels, publishing, delivery and retention.

mod drain;
mod facts;
mod interface;
mod moved;
mod open;
mod publish;
mod replica;
mod restore;
mod rights;
mod route;
mod spread;
mod subscribe;

pub use super::account::{Credit, IdBlock};
pub use super::retention::EventRecord;
pub use facts::{ChannelStatistics, ProcessStatistics, Statistic, Totals};
pub use interface::{
    Change, Cost, Data, Delivery, Drained, Fact, Fault, Genesis, Identity, ProcessKey, Publication,
    Target, What, Windows,
};
pub use replica::Outward;

use super::account::{Account, Ledger, Numbers};
use super::channel::Channel;
use super::queue::Queue;
use super::retention::Deadlines;
use super::slab::Slab;
use super::spares::Spares;
use super::subscription::Instance;
use super::{Error, EventId, Incarnation, InstanceNo, LibraryNo, Limits, Name, SubscriptionNo};
use foldhash::fast::FixedState;
use replica::Gathered;
use route::Route;
use spread::FanOut;
use std::collections::{BTreeMap, HashMap};

/// Marks a slot of a process without open instance.
const NO_INSTANCE: u32 = u32::MAX;

/// A connected process.
#[derive(Debug)]
struct Process {
    identity: Identity,
    libraries: BTreeMap<LibraryNo, u32>,
    /// Open instances by slot; [`NO_INSTANCE`] if free.
    slots: Vec<u32>,
    instances: u64,
    account: Account,
    /// Lost-events handed out.
    lost_events: u64,
    route: Route,
}

/// A library handle.
#[derive(Debug)]
struct Library {
    target: Target,
    queue: Queue,
    /// What the driver was last told of the queue.
    backlog: u8,
    instances: Vec<u32>,
}

/// Open instances that get an event, each with its first subscription that matches.
type Takers = Vec<(u32, SubscriptionNo)>;

/// Room that is used again by every publication.
#[derive(Debug, Default)]
struct Scratch {
    takers: Takers,
    data: Vec<u8>,
}

/// Whether instances of an earlier start may still come back.
#[derive(Debug, Clone, Copy, Default)]
struct Recovery {
    grace: bool,
    unclean: bool,
}

/// The semantics of one node.
#[derive(Debug)]
pub struct Node {
    limits: Limits,
    hasher: FixedState,
    numbers: Numbers,
    ledger: Ledger,
    processes: Slab<Process>,
    libraries: Slab<Library>,
    instances: Slab<Instance>,
    channels: Slab<Channel>,
    /// Linked channels by name.
    names: HashMap<Name, u32, FixedState>,
    incarnations: HashMap<Incarnation, u32, FixedState>,
    /// What channels were called by the private service of a user, which has moved here.
    aliases: BTreeMap<(u32, Incarnation), u32>,
    /// Retained events that came by such a move and are not yet on their way to the subscriptions
    /// that exist: the first one for each.
    arrivals: BTreeMap<(u32, SubscriptionNo), u64>,
    deadlines: Deadlines,
    /// Number of the newest retained event.
    retained_serial: u64,
    /// Number of the newest publication.
    publications: u64,
    /// Lost-events handed out.
    lost_events: u64,
    recovery: Recovery,
    changes: Vec<Change>,
    /// Work since the driver last asked; see [`Node::take_work`].
    work: u64,
    scratch: Scratch,
    spares: Spares,
    /// Publications with takers left, in publish order.
    fan_outs: Vec<FanOut>,
    /// Whether others must hear of what happens here.
    clustered: bool,
    gathered: Gathered,
}

impl Node {
    /// A node without channels.
    #[must_use]
    pub fn new(limits: Limits, genesis: Genesis) -> Self {
        let hasher = FixedState::with_seed(genesis.hash_seed);
        Self {
            limits,
            hasher: hasher.clone(),
            numbers: Numbers::new(genesis.member, genesis.start),
            ledger: Ledger::default(),
            processes: Slab::new(),
            libraries: Slab::new(),
            instances: Slab::new(),
            channels: Slab::new(),
            names: HashMap::with_hasher(hasher.clone()),
            incarnations: HashMap::with_hasher(hasher),
            aliases: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            deadlines: Deadlines::default(),
            retained_serial: 0,
            publications: 0,
            lost_events: 0,
            recovery: Recovery::default(),
            changes: Vec::new(),
            work: 0,
            scratch: Scratch::default(),
            spares: Spares::default(),
            fan_outs: Vec::new(),
            clustered: false,
            gathered: Gathered::default(),
        }
    }

    /// The bounds in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Moves the changes since the last call to the end of `into`.
    pub fn take_changes(&mut self, into: &mut Vec<Change>) {
        into.append(&mut self.changes);
    }

    /// The work since the last call that grows with what is held: records that were moved to
    /// windows, entries of queues and stores that were looked at, subscriptions that were taken out
    /// and instances that were closed. Publishing says its cost itself.
    pub fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Goes on with the event ids of another start, when those of this one are used up. Blocks
    /// that were granted stay good.
    pub fn next_start(&mut self, start: u32) {
        self.numbers.next_start(start);
    }

    /// Grants a process identifiers for its publications; `None` when the counter of this start is
    /// used up, or the process is unknown.
    pub fn grant_ids(&mut self, process: ProcessKey) -> Option<IdBlock> {
        let holder = self.processes.get_mut(process.0)?;
        let block = self.numbers.block()?;
        if let Some(forgotten) = holder.account.hold(block) {
            self.numbers.forget(holder.identity.uid, forgotten);
        }
        Some(block)
    }

    /// Whether an identifier is one of private services, other than this node if it is one itself.
    #[must_use]
    pub const fn is_private_id(&self, id: EventId) -> bool {
        self.numbers.is_private(id)
    }

    /// Accepts identifiers that an earlier start granted, or the private service of the process's
    /// user, claimed by a restored link. What these cannot have granted, or another process holds,
    /// is ignored.
    pub fn adopt_ids(&mut self, process: ProcessKey, block: IdBlock) {
        let Some(holder) = self.processes.get(process.0) else { return };
        let user = holder.identity.uid;
        let of = self.numbers.private_user(user, block.first);
        let held = |(_, process): (u32, &Process)| {
            let concerned = of.is_none_or(|user| process.identity.uid == user);
            concerned && process.account.blocks().contains(&block.first)
        };
        if self.processes.iter().any(held) || !self.numbers.adopt(user, block) {
            return;
        }
        let account = &mut self.processes[process.0].account;
        if let Some(forgotten) = account.hold(block) {
            self.numbers.forget(user, forgotten);
        }
    }

    /// Grants credit for publications with a retention time: at most what is asked, at most what
    /// the bounds leave after all that is retained and granted. May be nothing.
    pub fn grant_credit(&mut self, process: ProcessKey, events: u32, bytes: u64) -> Credit {
        let Some(holder) = self.processes.get_mut(process.0) else { return Credit::default() };
        let asked = Credit { events, bytes };
        self.ledger.grant(&self.limits, holder.identity.uid, &mut holder.account, asked)
    }

    /// Adds credit that a publication spent with an earlier start of the node and that has not been
    /// taken yet: its publish call was answered, so the bounds do not count.
    pub fn adopt_credit(&mut self, process: ProcessKey, credit: Credit) {
        let Some(holder) = self.processes.get_mut(process.0) else { return };
        let events = u64::from(credit.events);
        let user = holder.identity.uid;
        self.ledger.add_credit(user, &mut holder.account, events, credit.bytes);
    }

    /// Whether an event is retained on the channel of an open instance.
    #[must_use]
    pub fn is_retained(&self, process: ProcessKey, instance: InstanceNo, id: EventId) -> bool {
        self.instance_key(process, instance)
            .is_some_and(|key| self.channels[self.instances[key].channel].retention.contains(id))
    }

    /// Takes unspent credit back: at most what the process holds.
    pub fn return_credit(&mut self, process: ProcessKey, credit: Credit) {
        let Some(holder) = self.processes.get_mut(process.0) else { return };
        let events = u64::from(credit.events);
        self.ledger.take_back(holder.identity.uid, &mut holder.account, events, credit.bytes);
    }

    fn library_key(&self, process: ProcessKey, library: LibraryNo) -> Option<u32> {
        self.processes.get(process.0)?.libraries.get(&library).copied()
    }

    fn instance_key(&self, process: ProcessKey, number: InstanceNo) -> Option<u32> {
        let slots = &self.processes.get(process.0)?.slots;
        let key = *slots.get(number.slot() as usize)?;
        let instance = self.instances.get(key)?;
        (instance.number == number).then_some(key)
    }

    /// Ends the retention of an event, on the channel of any open instance of it.
    ///
    /// - [`Error::BadHandle`]: unknown instance.
    /// - [`Error::NotExist`]: no such event is retained on the channel.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventRetentionTimeClear().
    pub fn retention_clear(
        &mut self,
        process: ProcessKey,
        instance: InstanceNo,
        id: EventId,
    ) -> Result<(), Error> {
        let key = self.instance_key(process, instance).ok_or(Error::BadHandle)?;
        self.end_retention(self.instances[key].channel, id)
    }

    fn end_retention(&mut self, channel: u32, id: EventId) -> Result<(), Error> {
        let channel = &mut self.channels[channel];
        let (serial, retained) = channel.retention.remove(id).ok_or(Error::NotExist)?;
        self.deadlines.remove(retained.deadline, serial);
        self.ledger.release(retained.user, retained.record.bytes());
        let incarnation = channel.incarnation;
        self.changes.push(Change::RetentionEnded { incarnation, id });
        if self.clustered {
            self.gathered.end(id);
        }
        Ok(())
    }

    /// When [`Node::expire`] is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<super::Time> {
        self.deadlines.next()
    }

    /// Drops the events whose retention has lapsed at `now`, and says how many there were. An event
    /// lapses when `now` reaches its deadline. Cost: logarithmic for each of them.
    pub fn expire(&mut self, now: super::Time) -> usize {
        let mut lapsed = 0;
        while let Some((channel, priority, serial)) = self.deadlines.lapse(now) {
            if let Some(retained) = self.channels[channel].retention.remove_at(priority, serial) {
                self.ledger.release(retained.user, retained.record.bytes());
                if self.clustered {
                    self.gathered.end(retained.record.id);
                }
                lapsed += 1;
            }
        }
        lapsed
    }
}
