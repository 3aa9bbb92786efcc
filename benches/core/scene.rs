//! A node with as much in it as a bench wants, and windows that cost next to nothing.

use SaEvt::evt::node::{
    Change, Data, Delivery, Genesis, IdBlock, Identity, Node, ProcessKey, Publication, Target,
    What, Windows,
};
use SaEvt::evt::{
    Attributes, EventId, Filter, FilterKind, Filters, InstanceNo, LibraryNo, Limits, Name,
    OpenFlags, Priority, Span, SubscriptionNo, Time,
};

const LIBRARY: LibraryNo = LibraryNo(0);
/// The pattern of every event that is measured.
const PATTERN: &[u8] = b"bench";
/// The pattern of retained events, for which nobody asks.
const OTHER: &[u8] = b"other";
/// What idle programs ask for.
const IDLE: &[u8] = b"idle";
/// Retention of what is to stay.
const LONG: Span = Span(50_000_000_000_000);
/// Events in a block of identifiers.
const BLOCK: u64 = 65_536;

/// Takes what is put, into one buffer for all, unless it is shut.
pub(crate) struct Sink {
    in_flight: Vec<u8>,
    content: Vec<u8>,
    position: u64,
    pub(crate) shut: bool,
    /// Deliveries so far.
    pub(crate) deliveries: u64,
}

impl Windows for Sink {
    fn put(&mut self, _: Target, delivery: &Delivery<'_>) -> Option<u64> {
        if self.shut {
            return None;
        }
        self.content.clear();
        if let What::Event { attributes, data, .. } = delivery.what {
            self.content.extend_from_slice(attributes);
            match data {
                Data::InFlight => self.content.extend_from_slice(&self.in_flight),
                Data::Stored(bytes) => self.content.extend_from_slice(bytes),
            }
        }
        self.deliveries += 1;
        self.position += self.content.len() as u64;
        Some(self.position)
    }

    fn consumed(&self, _: Target, _: Priority, _: u64) -> bool {
        true
    }

    fn data_in_flight(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.in_flight);
    }

    fn backlog(&mut self, _: Target, _: u8) {}
}

/// What is in a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Bytes of data of each event.
    pub(crate) bytes: usize,
    /// Processes with a subscription that matches.
    pub(crate) takers: u32,
    /// Subscriptions of each taker, of which the last one matches.
    pub(crate) subscriptions: u32,
    /// Channels; the events go to one of them.
    pub(crate) channels: u32,
    /// Processes that have the channel open and a subscription that does not match.
    pub(crate) clients: u32,
    /// Retained events of the channel.
    pub(crate) retained: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { bytes: 64, takers: 1, subscriptions: 1, channels: 1, clients: 0, retained: 0 }
    }
}

/// A node, a publisher, its takers, and the rest.
pub(crate) struct Scene {
    node: Node,
    sink: Sink,
    publisher: ProcessKey,
    instance: InstanceNo,
    ids: IdBlock,
    attributes: Attributes,
    bytes: u64,
    takers: Vec<Target>,
    changes: Vec<Change>,
    now: Time,
}

impl Scene {
    /// Fills a node.
    pub(crate) fn new(size: Size) -> Self {
        let limits = Limits::default();
        let mut node = Node::new(limits, Genesis { member: 1, start: 2, hash_seed: 3 });
        let publisher = connect(&mut node);
        let instance = open(&mut node, publisher, 0);
        for channel in 1..size.channels {
            open(&mut node, publisher, channel);
        }
        let ids = node.grant_ids(publisher).expect("the first block");
        let in_flight = vec![7; size.bytes];
        let sink = Sink { in_flight, content: Vec::new(), position: 0, shut: false, deliveries: 0 };
        let attributes = Attributes::pack(&Name::EMPTY, [PATTERN].into_iter()).expect("small");
        let mut scene = Self {
            node,
            sink,
            publisher,
            instance,
            ids,
            attributes,
            bytes: size.bytes as u64,
            takers: Vec::new(),
            changes: Vec::new(),
            now: Time(1),
        };
        for _ in 0..size.clients {
            scene.listen(&[IDLE.to_vec()]);
        }
        let mut patterns: Vec<_> =
            (1..size.subscriptions).map(|number| format!("idle-{number}").into_bytes()).collect();
        patterns.push(PATTERN.to_vec());
        for _ in 0..size.takers {
            let target = scene.listen(&patterns);
            scene.takers.push(target);
        }
        let attributes = Attributes::pack(&Name::EMPTY, [OTHER].into_iter()).expect("small");
        for number in 0..size.retained {
            scene.retain(&attributes, number);
        }
        scene.forget_changes();
        scene
    }

    /// A process with these subscriptions on the first channel.
    fn listen(&mut self, patterns: &[Vec<u8>]) -> Target {
        let process = connect(&mut self.node);
        let instance = open(&mut self.node, process, 0);
        for (number, pattern) in (0_u32..).zip(patterns) {
            let filter = Filter { kind: FilterKind::Exact, bytes: pattern.clone() };
            let (filters, number) = (Filters(vec![filter]), SubscriptionNo(number));
            self.node
                .subscribe(process, instance, number, filters, self.now, &mut self.sink)
                .expect("within the bounds");
        }
        Target { process, library: LIBRARY }
    }

    /// Publishes an event that is retained; gives its id.
    fn retain(&mut self, attributes: &Attributes, number: u64) -> EventId {
        if number > 0 && number.is_multiple_of(BLOCK) {
            self.ids = self.node.grant_ids(self.publisher).expect("few blocks");
        }
        let bytes = self.bytes + attributes.packed().len() as u64;
        self.node.grant_credit(self.publisher, 1, bytes);
        let publication = publication(self.instance, self.ids, attributes, number);
        let publication = Publication { retention: LONG, data_bytes: self.bytes, ..publication };
        self.node
            .publish(self.publisher, &publication, u32::MAX, self.now, &mut self.sink)
            .expect("well-formed");
        publication.id
    }

    fn forget_changes(&mut self) {
        self.changes.clear();
        self.node.take_changes(&mut self.changes);
        self.changes.clear();
    }

    fn publish(&mut self, events: u64) {
        for number in 0..events {
            let publication = publication(self.instance, self.ids, &self.attributes, number);
            let publication = Publication { data_bytes: self.bytes, ..publication };
            let done =
                self.node.publish(self.publisher, &publication, u32::MAX, self.now, &mut self.sink);
            done.expect("well-formed");
        }
    }

    fn queue(&mut self, events: u64) {
        let mut left = events;
        while left > 0 {
            let batch = left.min(256);
            self.sink.shut = true;
            self.publish(batch);
            self.sink.shut = false;
            for taker in 0..self.takers.len() {
                self.node.drain(self.takers[taker], self.now, &mut self.sink);
            }
            left -= batch;
        }
    }

    fn retain_and_clear(&mut self, events: u64) {
        let attributes = Attributes::pack(&Name::EMPTY, [OTHER].into_iter()).expect("small");
        self.ids = self.node.grant_ids(self.publisher).expect("few blocks");
        for _ in 0..events {
            let id = self.retain(&attributes, 0);
            self.node.retention_clear(self.publisher, self.instance, id).expect("retained");
            self.forget_changes();
        }
    }

    /// Does some of all work, so that what is measured finds its tables and the allocator as they
    /// stay.
    pub(crate) fn warm_up(&mut self) {
        self.publish(512);
        self.queue(512);
        self.retain_and_clear(512);
    }

    /// Publishes events, each of which goes to the windows of all takers at once.
    #[inline(never)]
    pub(crate) fn measured_put(&mut self, events: u64) {
        self.publish(events);
    }

    /// Publishes events while the windows are full, 256 at a time, and drains the queues.
    #[inline(never)]
    pub(crate) fn measured_queue(&mut self, events: u64) {
        self.queue(events);
    }

    /// Publishes retained events and clears each at once, so that there are always as many.
    #[inline(never)]
    pub(crate) fn measured_retain(&mut self, events: u64) {
        self.retain_and_clear(events);
    }

    /// How many events have come to the windows.
    pub(crate) const fn deliveries(&self) -> u64 {
        self.sink.deliveries
    }
}

/// The publication of that number in a block of identifiers, without data.
fn publication(
    instance: InstanceNo,
    ids: IdBlock,
    attributes: &Attributes,
    number: u64,
) -> Publication<'_> {
    Publication {
        instance,
        id: EventId(ids.first.0 + number % BLOCK),
        publish_time: 1,
        retention: Span::ZERO,
        priority: Priority::LOWEST,
        attributes: attributes.packed(),
        data_bytes: 0,
    }
}

fn connect(node: &mut Node) -> ProcessKey {
    let process = node.connect(Identity { uid: 0, gid: 0, pid: 4711 }).expect("few processes");
    node.library_open(process, LIBRARY).expect("the first one");
    process
}

fn open(node: &mut Node, process: ProcessKey, channel: u32) -> InstanceNo {
    let number = InstanceNo::new(channel, 7);
    let name = Name::new(format!("safChnl=c{channel}").as_bytes()).expect("short");
    let flags = OpenFlags::CREATE | OpenFlags::PUBLISHER | OpenFlags::SUBSCRIBER;
    node.channel_open(process, LIBRARY, number, &name, flags, false).expect("within the bounds");
    number
}
