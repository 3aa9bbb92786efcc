//! What the programs of the simulation have done and had, and what they must have had.

use crate::desk::Event;
use SaEvt::evt::node::ProcessKey;
use SaEvt::evt::{EventId, Incarnation, InstanceNo, LibraryNo, OpenFlags, SubscriptionNo};
use std::collections::{BTreeMap, BTreeSet};

/// A program: which start of which machine it runs on, and what the core calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    pub(crate) machine: usize,
    pub(crate) incarnation: u64,
    pub(crate) process: ProcessKey,
}

/// An open instance whose open was answered.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) program: Program,
    pub(crate) number: InstanceNo,
    pub(crate) channel: Incarnation,
    pub(crate) flags: OpenFlags,
    /// Which word each subscription wants; none: every event.
    pub(crate) subscriptions: BTreeMap<SubscriptionNo, Option<usize>>,
    pub(crate) alive: bool,
    /// How often each event came.
    arrivals: BTreeMap<EventId, u32>,
    /// How often it may come: as a retained event, by subscribing.
    replays: BTreeMap<EventId, u32>,
    /// What was retained when it first subscribed: does not come live besides.
    stored_before: Option<BTreeSet<EventId>>,
    /// The last serial number by subscription, publisher and priority; none once a subscription
    /// was removed, which gives what is queued to others.
    order: Option<BTreeMap<(SubscriptionNo, Program, u8), u64>>,
    pub(crate) lost_at: Option<u64>,
    /// The channel is in total order.
    pub(crate) ordered: bool,
    /// What came live, in order.
    sequence: Vec<EventId>,
    /// What it must have had, or a lost-event after; if the publisher's machine survives, or in any
    /// case.
    owed: BTreeMap<EventId, bool>,
}

/// A publication.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) serial: u64,
    pub(crate) at: u64,
    pub(crate) by: Program,
    pub(crate) channel: Incarnation,
    pub(crate) event: Event,
    pub(crate) clear_asked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) opens: Vec<Open>,
    pub(crate) sent: BTreeMap<EventId, Sent>,
    pub(crate) lost_events: u64,
    pub(crate) deliveries: u64,
}

pub(crate) const LIBRARY: LibraryNo = LibraryNo(0);

impl Open {
    pub(crate) fn new(
        program: Program,
        number: InstanceNo,
        channel: Incarnation,
        flags: OpenFlags,
        ordered: bool,
    ) -> Self {
        Self {
            program,
            number,
            channel,
            flags,
            subscriptions: BTreeMap::new(),
            alive: true,
            arrivals: BTreeMap::new(),
            replays: BTreeMap::new(),
            stored_before: None,
            order: Some(BTreeMap::new()),
            lost_at: None,
            ordered,
            sequence: Vec::new(),
            owed: BTreeMap::new(),
        }
    }

    /// Whether a subscription wants events of a word.
    pub(crate) fn wants(&self, word: usize) -> bool {
        self.subscriptions.values().any(|filter| filter.is_none_or(|wanted| wanted == word))
    }

    /// It subscribes while these events are retained.
    pub(crate) fn note_stored(&mut self, stored: BTreeSet<EventId>) {
        for id in &stored {
            *self.replays.entry(*id).or_default() += 1;
        }
        self.stored_before.get_or_insert(stored);
    }

    pub(crate) fn note_unsubscribed(&mut self) {
        self.order = None;
        self.owed.clear();
    }

    pub(crate) fn owe(&mut self, id: EventId, in_any_case: bool) {
        self.owed.insert(id, in_any_case);
    }

    pub(crate) fn has_had(&self, id: EventId) -> bool {
        self.arrivals.contains_key(&id)
    }
}

impl Ledger {
    pub(crate) fn position(&self, program: Program, number: InstanceNo) -> Option<usize> {
        let mut all = self.opens.iter();
        all.position(|open| open.alive && open.program == program && open.number == number)
    }

    /// An event has been read.
    pub(crate) fn deliver(&mut self, at: usize, event: &Event) {
        self.deliveries += 1;
        let open = &mut self.opens[at];
        let sent = self.sent.get(&event.id).expect("an event that nobody published");
        let whole =
            Event { subscription: event.subscription, left: event.left, ..sent.event.clone() };
        assert_eq!(*event, whole, "an event is delivered as it was published");
        let word = usize::from(event.attributes[event.attributes.len() - 1] - b'a');
        let filter = open.subscriptions.get(&event.subscription);
        assert!(
            filter.is_some_and(|filter| filter.is_none_or(|wanted| wanted == word)),
            "a subscription that is there and matches"
        );
        let had = open.arrivals.entry(event.id).or_default();
        *had += 1;
        let had = *had;
        let live = u32::from(
            !open.stored_before.as_ref().is_some_and(|stored| stored.contains(&event.id)),
        );
        let replays = open.replays.get(&event.id).copied().unwrap_or(0);
        assert!(had <= live + replays, "{:?} came {had} times to {open:?}", event.id);
        if had > 1 {
            // The agent knows what the instance has had.
            return;
        }
        open.owed.remove(&event.id);
        if live > 0 && replays == 0 && open.order.is_some() {
            open.sequence.push(event.id);
        }
        if let Some(order) = &mut open.order {
            let key = (event.subscription, sent.by, event.priority.number());
            let before = order.insert(key, sent.serial).unwrap_or(0);
            assert!(
                before < sent.serial,
                "{:?}, number {}, came after {before} of {key:?}: {open:?}",
                event.id,
                sent.serial
            );
        }
    }

    pub(crate) fn lose(&mut self, at: usize, now: u64) {
        self.lost_events += 1;
        self.opens[at].lost_at = Some(now);
    }

    /// Whether some channel is in total order.
    pub(crate) fn orders(&self) -> bool {
        self.opens.iter().any(|open| open.ordered)
    }

    /// All subscribers of a channel in total order had the events of one priority in one order.
    pub(crate) fn check_sequences(&self) {
        let mut by_channel: BTreeMap<(Incarnation, u8), BTreeMap<usize, Vec<EventId>>> =
            BTreeMap::new();
        let opens = self.opens.iter().enumerate();
        for (at, open) in opens.filter(|(_, open)| open.ordered) {
            for id in &open.sequence {
                let sent = &self.sent[id];
                let key = (sent.channel, sent.event.priority.number());
                by_channel.entry(key).or_default().entry(at).or_default().push(*id);
            }
        }
        for sequences in by_channel.values() {
            let all: Vec<_> = sequences.iter().collect();
            for (at, (one, first)) in all.iter().enumerate() {
                let places: BTreeMap<EventId, usize> =
                    first.iter().enumerate().map(|(place, id)| (*id, place)).collect();
                for (other, second) in &all[at + 1..] {
                    let common: Vec<usize> =
                        second.iter().filter_map(|id| places.get(id).copied()).collect();
                    let (one, other) = (&self.opens[**one], &self.opens[**other]);
                    assert!(common.is_sorted(), "one order: {one:?} {other:?}");
                }
            }
        }
    }

    /// Everything that programs have not had was announced.
    pub(crate) fn check_losses(&self, survives: impl Fn(Program) -> bool) {
        for open in self.opens.iter().filter(|open| open.alive) {
            for (id, in_any_case) in &open.owed {
                let sent = &self.sent[id];
                let told = open.lost_at.is_some_and(|at| at >= sent.at);
                let told = told || !(*in_any_case || survives(sent.by));
                assert!(
                    told,
                    "{id:?}, published at {} by {:?} (which {} survived), never came, silently, to \
                     {open:?}",
                    sent.at,
                    sent.by,
                    if survives(sent.by) { "has" } else { "has not" },
                );
            }
        }
    }
}
