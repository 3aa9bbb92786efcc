//! The rows of the contract that the core decides, one by one.

mod accounts;
mod channels;
mod delivery;
#[path = "../desk/mod.rs"]
mod desk;
mod moved;
mod overflow;
mod publishing;
mod recovery;
mod retention;
mod rights;
mod route;
mod spread;

use SaEvt::evt::node::{
    Change, ChannelStatistics, Cost, Fault, Genesis, Node, ProcessKey, Publication, Statistic,
    Target,
};
use SaEvt::evt::{
    Attributes, Error, EventId, Filter, FilterKind, Filters, InstanceNo, LibraryNo, Limits, Name,
    OpenFlags, Priority, Span, SubscriptionNo, Time,
};
use desk::{Event, Ids, Inboxes, Record, identity};

const PUBLISH: OpenFlags = OpenFlags::PUBLISHER;
const SUBSCRIBE: OpenFlags = OpenFlags::SUBSCRIBER;
const CREATE: OpenFlags = OpenFlags::CREATE;
/// The channel most tests use.
const CHANNEL: &str = "safChnl=a";

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn filters(list: &[(FilterKind, &str)]) -> Filters {
    let filter =
        |(kind, text): &(FilterKind, &str)| Filter { kind: *kind, bytes: text.as_bytes().to_vec() };
    Filters(list.iter().map(filter).collect())
}

fn exact(text: &str) -> Filters {
    filters(&[(FilterKind::Exact, text)])
}

fn everything() -> Filters {
    Filters::default()
}

/// An open instance and its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    process: ProcessKey,
    number: InstanceNo,
}

/// What to publish.
#[derive(Debug, Clone, Copy)]
struct Draft<'a> {
    pattern: &'a str,
    priority: u8,
    retention: Span,
    data: &'a str,
}

impl Default for Draft<'_> {
    fn default() -> Self {
        Self { pattern: "", priority: 3, retention: Span::ZERO, data: "" }
    }
}

/// A node with its driver's side.
struct Desk {
    node: Node,
    inboxes: Inboxes,
    now: Time,
    ids: Vec<(ProcessKey, Ids)>,
    opened: u32,
}

impl Desk {
    fn new() -> Self {
        Self::with(Limits::default(), 100)
    }

    fn with(limits: Limits, capacity: usize) -> Self {
        let genesis = Genesis { member: 1, start: 2, hash_seed: 3 };
        Self {
            node: Node::new(limits, genesis),
            inboxes: Inboxes::new(capacity),
            now: Time(0),
            ids: Vec::new(),
            opened: 0,
        }
    }

    /// A process with library handle 0.
    fn process(&mut self) -> ProcessKey {
        let process = self.node.connect(identity(0)).unwrap();
        self.node.library_open(process, LibraryNo(0)).unwrap();
        let ids = Ids::new(&mut self.node, process);
        self.ids.retain(|(of, _)| *of != process);
        self.ids.push((process, ids));
        process
    }

    fn try_open(
        &mut self,
        process: ProcessKey,
        channel: &str,
        flags: OpenFlags,
    ) -> Result<Open, Error> {
        self.opened += 1;
        let number = InstanceNo::new(self.opened, 7);
        let library = LibraryNo(0);
        self.node.channel_open(process, library, number, &name(channel), flags, false)?;
        Ok(Open { process, number })
    }

    fn open(&mut self, process: ProcessKey, channel: &str) -> Open {
        self.try_open(process, channel, PUBLISH | SUBSCRIBE | CREATE).unwrap()
    }

    fn close(&mut self, open: Open) {
        self.node.channel_close(open.process, open.number);
    }

    fn disconnect(&mut self, process: ProcessKey) {
        self.node.disconnect(process);
        self.inboxes.close(inbox(process));
    }

    fn unlink(&mut self, channel: &str) -> Result<(), Error> {
        self.node.channel_unlink(&name(channel))
    }

    fn subscribe(&mut self, open: Open, number: u32, filters: Filters) -> Result<(), Error> {
        let (process, instance) = (open.process, open.number);
        let number = SubscriptionNo(number);
        self.node.subscribe(process, instance, number, filters, self.now, &mut self.inboxes)
    }

    /// Removes a subscription, and drains as the driver does.
    fn unsubscribe(&mut self, open: Open, number: u32) -> Result<(), Error> {
        let answer = self.node.unsubscribe(open.process, open.number, SubscriptionNo(number));
        self.drain(open.process);
        answer
    }

    fn drain(&mut self, process: ProcessKey) {
        self.node.drain(inbox(process), self.now, &mut self.inboxes);
    }

    /// Publishes with credit, if it takes credit.
    fn publish(&mut self, open: Open, draft: Draft<'_>) -> EventId {
        if draft.retention > Span::ZERO {
            self.node.grant_credit(open.process, 1, 1 << 20);
        }
        self.publish_without_credit(open, draft).unwrap().0
    }

    fn publish_without_credit(
        &mut self,
        open: Open,
        draft: Draft<'_>,
    ) -> Result<(EventId, Cost), Fault> {
        let ids = self.ids.iter_mut().find(|(process, _)| *process == open.process).unwrap();
        let id = ids.1.next();
        let attributes = pack(&[draft.pattern]);
        let publication = publication(open, id, draft, &attributes);
        self.inboxes.in_flight = draft.data.into();
        let cost =
            self.node.publish(open.process, &publication, u32::MAX, self.now, &mut self.inboxes)?;
        Ok((id, cost))
    }

    /// Publishes an event with this pattern and nothing else.
    fn say(&mut self, open: Open, pattern: &str) -> EventId {
        self.publish(open, Draft { pattern, ..Draft::default() })
    }

    fn take(&mut self, process: ProcessKey) -> Option<Record> {
        self.inboxes.take(inbox(process))
    }

    /// Reads everything, draining as the driver does: instance and event; a lost-event has none.
    fn read(&mut self, process: ProcessKey) -> Vec<(InstanceNo, Option<Event>)> {
        let mut all = Vec::new();
        loop {
            self.drain(process);
            let Some(record) = self.take(process) else { return all };
            all.push((record.instance, record.event));
        }
    }

    /// Reads everything: the ids. A lost-event has `EventId::LOST`.
    fn ids(&mut self, process: ProcessKey) -> Vec<EventId> {
        let all = self.read(process).into_iter();
        all.map(|(_, event)| event.map_or(EventId::LOST, |event| event.id)).collect()
    }

    /// Reads everything: subscription and first pattern; a lost-event is `(0, "LOST")`.
    fn heard(&mut self, process: ProcessKey) -> Vec<(u32, String)> {
        let text = |event: Event| {
            let attributes = SaEvt::evt::AttributesRef::parse(&event.attributes).unwrap();
            let pattern = String::from_utf8(attributes.first_pattern().to_vec()).unwrap();
            (event.subscription.0, pattern)
        };
        let all = self.read(process).into_iter();
        all.map(|(_, event)| event.map_or((0, "LOST".to_owned()), text)).collect()
    }

    fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.node.take_changes(&mut changes);
        changes
    }

    /// What is known of each channel, put together by `show`.
    fn channels<T>(&self, mut show: impl FnMut(ChannelStatistics<'_>) -> T) -> Vec<T> {
        let mut all = Vec::new();
        self.node.statistics(&mut |statistic| {
            if let Statistic::Channel(channel) = statistic {
                all.push(show(channel));
            }
        });
        all
    }
}

fn inbox(process: ProcessKey) -> Target {
    Target { process, library: LibraryNo(0) }
}

fn pack(patterns: &[&str]) -> Attributes {
    Attributes::pack(&Name::EMPTY, patterns.iter().map(|pattern| pattern.as_bytes())).unwrap()
}

fn publication<'a>(
    open: Open,
    id: EventId,
    draft: Draft<'_>,
    attributes: &'a Attributes,
) -> Publication<'a> {
    Publication {
        instance: open.number,
        id,
        publish_time: 99,
        retention: draft.retention,
        priority: Priority::new(draft.priority).unwrap(),
        attributes: attributes.packed(),
        data_bytes: draft.data.len() as u64,
    }
}

/// What [`Desk::heard`] gives, written shortly.
fn heard(list: &[(u32, &str)]) -> Vec<(u32, String)> {
    list.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}
