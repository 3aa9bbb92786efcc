//! The driver's side of the core, made up: inboxes that hold a few records each, and a process
//! that numbers its publications.

use SaEvt::evt::node::{
    Data, Delivery, IdBlock, Identity, Node, ProcessKey, Target, What, Windows,
};
use SaEvt::evt::{EventId, InstanceNo, Priority, Span, SubscriptionNo};
use std::collections::{BTreeMap, VecDeque};

/// An event as a program finds it in its inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) subscription: SubscriptionNo,
    pub(crate) id: EventId,
    pub(crate) publish_time: i64,
    pub(crate) retention: Span,
    pub(crate) left: Span,
    pub(crate) priority: Priority,
    pub(crate) attributes: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// One record of an inbox; without event it is the lost-event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) instance: InstanceNo,
    pub(crate) event: Option<Event>,
}

#[derive(Debug, Default)]
struct Ring {
    written: u64,
    unread: VecDeque<Record>,
}

/// All inboxes. A ring has room for `capacity` records.
#[derive(Debug)]
pub(crate) struct Inboxes {
    pub(crate) capacity: usize,
    /// The data of the publication that is being published.
    pub(crate) in_flight: Vec<u8>,
    /// How often they were read. Each reading finds other bytes if `treacherous`.
    pub(crate) readings: u8,
    pub(crate) treacherous: bool,
    /// The data of the present publication are shared, and these they are.
    shared: Option<Vec<u8>>,
    /// Payloads that may still be shared, and how many were.
    pub(crate) slots: usize,
    pub(crate) shares: usize,
    pub(crate) backlog: BTreeMap<Target, bool>,
    /// The priorities at which something waits, a bit for each.
    pub(crate) levels: BTreeMap<Target, u8>,
    rings: BTreeMap<(Target, Priority), Ring>,
}

impl Inboxes {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            in_flight: Vec::new(),
            readings: 0,
            treacherous: false,
            shared: None,
            slots: usize::MAX,
            shares: 0,
            backlog: BTreeMap::new(),
            levels: BTreeMap::new(),
            rings: BTreeMap::new(),
        }
    }

    /// Takes the next record of the highest non-empty ring, as dispatch does.
    pub(crate) fn take(&mut self, from: Target) -> Option<Record> {
        let key = |priority| (from, priority);
        let mut rings = Priority::ALL.into_iter().map(key);
        let full = rings.find(|key| self.rings.get(key).is_some_and(|r| !r.unread.is_empty()))?;
        self.rings.get_mut(&full)?.unread.pop_front()
    }

    /// Forgets an inbox.
    pub(crate) fn close(&mut self, target: Target) {
        self.rings.retain(|(of, _), _| *of != target);
        self.backlog.remove(&target);
        self.levels.remove(&target);
    }

    fn read(&mut self) -> Vec<u8> {
        self.readings = self.readings.wrapping_add(1);
        let mut bytes = self.in_flight.clone();
        if self.treacherous {
            bytes.fill(self.readings);
        }
        bytes
    }
}

impl Windows for Inboxes {
    fn put(&mut self, to: Target, delivery: &Delivery<'_>) -> Option<u64> {
        let key = (to, delivery.what.priority());
        let capacity = self.capacity;
        if self.rings.entry(key).or_default().unread.len() >= capacity {
            return None;
        }
        let event = match delivery.what {
            What::Lost => None,
            What::Event {
                subscription,
                id,
                publish_time,
                retention,
                left,
                priority,
                attributes,
                data,
            } => {
                let data = match data {
                    Data::InFlight => self.shared.clone().unwrap_or_else(|| self.read()),
                    Data::Stored(bytes) => bytes.to_vec(),
                };
                let attributes = attributes.to_vec();
                Some(Event {
                    subscription,
                    id,
                    publish_time,
                    retention,
                    left,
                    priority,
                    attributes,
                    data,
                })
            }
        };
        let ring = self.rings.get_mut(&key)?;
        ring.unread.push_back(Record { instance: delivery.instance, event });
        ring.written += 1;
        Some(ring.written)
    }

    fn consumed(&self, to: Target, priority: Priority, position: u64) -> bool {
        let ring = self.rings.get(&(to, priority));
        ring.is_some_and(|ring| position <= ring.written - ring.unread.len() as u64)
    }

    fn data_in_flight(&mut self, into: &mut Vec<u8>) {
        let bytes = self.shared.clone().unwrap_or_else(|| self.read());
        into.extend_from_slice(&bytes);
    }

    fn share_in_flight(&mut self) -> bool {
        assert!(self.shared.is_none(), "the publication before has been ended");
        if self.slots == 0 {
            return false;
        }
        self.slots -= 1;
        self.shares += 1;
        self.shared = Some(self.read());
        true
    }

    fn end_share(&mut self) {
        assert!(self.shared.take().is_some(), "what ends has begun");
    }

    fn backlog(&mut self, to: Target, levels: u8) {
        let before = self.levels.insert(to, levels).unwrap_or(0);
        assert_ne!(before, levels, "the driver is told of changes only");
        self.backlog.insert(to, levels != 0);
    }
}

/// Numbers publications from the blocks a process is granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    block: IdBlock,
    used: u32,
}

impl Ids {
    pub(crate) fn new(node: &mut Node, process: ProcessKey) -> Self {
        let block = node.grant_ids(process).expect("the counter has just begun");
        Self { block, used: 0 }
    }

    pub(crate) fn next(&mut self) -> EventId {
        assert!(self.used < self.block.count);
        self.used += 1;
        EventId(self.block.first.0 + u64::from(self.used) - 1)
    }
}

/// An identity of a user.
pub(crate) fn identity(uid: u32) -> Identity {
    Identity { uid, gid: 100, pid: 4711 }
}
