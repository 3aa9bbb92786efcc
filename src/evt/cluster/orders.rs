//! Events of channels in total order: all subscribers everywhere get those of one priority in one
//! sequence.
//!
//! They are operations like those on the directory, numbered by the sequencer. A member gives them
//! to its subscribers when they are everywhere, its own included: then whoever goes on without it
//! has them in the same place. At the beginning of a view what has been applied and not given yet
//! counts if its publisher's node was in the same view before: then it has it so too. Else it is
//! lost here, since that node may have asked for it again among others, in another place.

use super::message::{Forward, Item, Life, Op, Ordered, Place, ViewId};
use super::peer::Offset;
use super::retained::Retained;
use super::{Cluster, Plant, World};
use crate::evt::node::Outward;
use crate::evt::{EventId, Incarnation, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Publications of this node that go as one operation.
#[derive(Debug)]
struct Batch {
    request: u64,
    items: Vec<Item>,
    /// Who is charged for each, if it is retained.
    users: Vec<u32>,
    bytes: u64,
    applied: bool,
    /// Members of this view or a later one that were in another one when it was applied, so that
    /// they do not have it.
    lacking: BTreeSet<Life>,
}

impl Batch {
    /// Nobody is charged any more for what is on its way in it.
    fn discharge(&self, world: &mut World<'_>) {
        for (item, user) in self.items.iter().zip(&self.users) {
            if item.place.is_some() {
                world.node.discharge(*user, &item.record);
            }
        }
    }
}

/// Events that have been applied and not been given to subscribers.
#[derive(Debug)]
struct Due {
    /// They are given when this operation is everywhere.
    number: u64,
    origin: Life,
    request: u64,
    items: Vec<Item>,
    /// Some of them are on channels that are in total order no more.
    loose: bool,
}

/// Events in total order that are on their way.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Those of this node, oldest first.
    out: VecDeque<Batch>,
    pub(super) out_bytes: u64,
    /// How many of them have been asked for in this view.
    asked: usize,
    due: VecDeque<Due>,
    due_bytes: u64,
    /// The last request of each node that was given to subscribers.
    given: BTreeMap<Life, u64>,
    /// Retained events of this node so far.
    retained: u64,
    /// Channels that are in total order no more and on which events of this node are on their way
    /// in it. What is published on them meanwhile goes the same way, behind those.
    loose: BTreeSet<Incarnation>,
    /// Something has been given that events of others may have waited for.
    pub(super) freed: bool,
    /// Whether some of this node have been given since that was looked at.
    pub(super) taken: bool,
}

fn bytes(items: &[Item]) -> u64 {
    items.iter().map(Item::bytes).sum()
}

/// Takes the deadlines of events for those of the own clock.
pub(super) fn localise(op: &mut Op, offset: &Offset) {
    if let Op::Publish { items } = op {
        items.iter_mut().for_each(|item| item.deadline = offset.convert(item.deadline));
    }
}

impl Orders {
    /// Channels of which something of this node is on its way.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = Incarnation> {
        self.out.iter().flat_map(|batch| batch.items.iter().map(|item| item.incarnation))
    }

    /// Whether what is published on a channel that is in total order no more has to go that way.
    pub(super) fn is_loose(&self, incarnation: Incarnation) -> bool {
        self.loose.contains(&incarnation)
    }

    /// Whether an event is on its way.
    pub(super) fn has(&self, id: EventId) -> bool {
        let out = self.out.iter().flat_map(|batch| &batch.items);
        let due = self.due.iter().flat_map(|due| &due.items);
        out.chain(due).any(|item| item.record.id == id)
    }

    /// A view begins with these members that were in another one before.
    pub(super) fn note_lacking<'a>(&mut self, strangers: impl Iterator<Item = &'a Life> + Clone) {
        for batch in self.out.iter_mut().filter(|batch| batch.applied) {
            batch.lacking.extend(strangers.clone());
        }
    }

    /// Up to which number the retained events of an owner are to be forwarded. Those of this node
    /// that have been applied will be given yet; who does not lack them has them to give too. Were
    /// they waited for there, each could wait for the other.
    pub(super) fn upto(&self, forward: &Forward, retained: &Retained) -> u64 {
        let lacks = |batch: &&Batch| batch.applied && batch.lacking.contains(&forward.to);
        let items = self.out.iter().filter(lacks).flat_map(|batch| &batch.items);
        let places = items.filter_map(|item| item.place);
        let last = places.filter(|place| place.owner == forward.owner).map(|place| place.number);
        last.max().unwrap_or(0).max(retained.have_of(forward.owner))
    }

    /// The first of the retained events of `owner` that has been applied and will be given in its
    /// place in the sequence. Those after it will be, too: an origin has all or none of them due.
    pub(super) fn first_due(&self, owner: Life) -> Option<u64> {
        let all = self.due.iter().filter(|due| due.origin.in_order() == owner);
        let mut places = all.flat_map(|due| &due.items).filter_map(|item| item.place);
        places.next().map(|place| place.number)
    }

    pub(super) fn unfinished(&self) -> usize {
        self.out.len() + self.due.len()
    }
}

impl Cluster {
    /// Takes a publication of this node on a channel in total order. False: it has no room.
    pub(super) fn publish_in_order(&mut self, event: &Outward) -> bool {
        let Some(record) = event.record.clone() else { return false };
        let bound = self.settings.peer_queue_bytes_max;
        let retained = record.retention > Span::ZERO;
        let fits = self.orders.out_bytes + record.bytes() <= bound || self.orders.out.is_empty();
        // What is retained must not end for want of room here: its user is charged for it already.
        debug_assert_eq!(retained, event.charged, "charged from its publication on");
        if !retained && !fits {
            return false;
        }
        let place = retained.then(|| {
            self.orders.retained += 1;
            Place { owner: self.own.in_order(), number: self.orders.retained }
        });
        let (incarnation, deadline) = (event.incarnation, event.deadline);
        let item = Item { incarnation, place, deadline, record };
        let size = item.bytes();
        self.orders.out_bytes += size;
        let batch_max = self.settings.batch_bytes_max;
        let unasked = self.orders.out.len() > self.orders.asked;
        if let Some(last) = self.orders.out.back_mut().filter(|_| unasked)
            && last.bytes + size <= batch_max
        {
            last.items.push(item);
            last.users.push(event.user);
            last.bytes += size;
            return true;
        }
        self.requested += 1;
        let request = self.requested;
        let (items, users) = (vec![item], vec![event.user]);
        self.orders.out.push_back(Batch {
            request,
            items,
            users,
            bytes: size,
            applied: false,
            lacking: BTreeSet::new(),
        });
        true
    }

    /// Asks for what waits, as far as the others have room: each node may have its part of a queue
    /// on its way.
    pub(super) fn ask_in_order(&mut self, world: &mut World<'_>) {
        let Some(view) = self.view.as_ref().filter(|_| !self.frozen) else { return };
        if view.version < 2 {
            return self.end_order(world);
        }
        let part = self.settings.peer_queue_bytes_max / view.members.len().max(1) as u64;
        loop {
            let Orders { out, asked, .. } = &self.orders;
            let on_its_way: u64 = out.iter().take(*asked).map(|batch| batch.bytes).sum();
            let Some(next) = out.get(*asked) else { return };
            if *asked > 0 && on_its_way + next.bytes > part {
                return;
            }
            let (request, op) = (next.request, Op::Publish { items: next.items.clone() });
            self.orders.asked += 1;
            self.submit(request, op, world);
        }
    }

    /// In a view of version 1, which has no total order: no channel is in it any more, and what
    /// nobody has applied goes the way that events go on others, behind what has been.
    fn end_order(&mut self, world: &mut World<'_>) {
        while self.orders.asked == 0 {
            let Some(batch) = self.orders.out.pop_front() else { return };
            self.orders.out_bytes -= batch.bytes;
            self.orders.taken = true;
            batch.discharge(world);
            for (item, user) in batch.items.into_iter().zip(batch.users) {
                let Item { incarnation, deadline, record, .. } = item;
                for primary in self.primaries(incarnation, world) {
                    let times = (deadline, world.now);
                    let World { node, windows, .. } = world;
                    node.deliver_own(primary, &record, times, Some(user), *windows);
                }
                self.send_out(incarnation, Some(record), deadline, world);
            }
        }
    }

    /// Events have been applied.
    pub(super) fn note_due(&mut self, ordered: &Ordered, world: &mut World<'_>) {
        let Op::Publish { items } = &ordered.op else { return };
        let own = ordered.origin == self.own;
        if own {
            let mut all = self.orders.out.iter_mut();
            if let Some(batch) = all.find(|batch| batch.request == ordered.request) {
                batch.applied = true;
            }
        }
        let Ordered { number, origin, request, .. } = *ordered;
        let (mut items, loose) = (items.clone(), self.are_loose(items));
        if self.waits_for_past(origin) && self.orders.due_bytes > self.settings.peer_queue_bytes_max
        {
            let (kept, dropped): (Vec<Item>, Vec<Item>) =
                items.into_iter().partition(|item| item.place.is_some());
            items = kept;
            self.lose_on(dropped.iter().map(|item| item.incarnation).collect(), world);
        }
        self.orders.due_bytes += bytes(&items);
        self.orders.due.push_back(Due { number, origin, request, items, loose });
        if self.settings.has(Plant::GiveEarly) {
            self.give_due(world);
        }
    }

    /// Whether some events are on channels that are in total order no more.
    fn are_loose(&self, items: &[Item]) -> bool {
        let mut entries = items.iter().filter_map(|item| self.directory.find(item.incarnation));
        entries.any(|(_, entry)| !entry.ordered)
    }

    /// Whether what a peer sends has to wait, since it was published after what is still to be
    /// given here. That is soon: the peer has given it. While others are to bring something that is
    /// older nothing waits, or they could wait for each other.
    pub(super) fn has_loose_due(&self, peer: Option<Life>) -> bool {
        let mut due = self.orders.due.iter();
        due.any(|due| due.loose && Some(due.origin) == peer)
            && !self.expected.iter().any(|owner| owner.is_in_order())
    }

    /// Everything of this node has been given: what is published on channels that are in total
    /// order no more goes as on any other.
    pub(super) fn settle_loose(&mut self, world: &mut World<'_>) {
        if self.orders.out.is_empty() {
            for channel in std::mem::take(&mut self.orders.loose) {
                self.note_wanted(channel, world);
            }
        }
    }

    /// Whether older events of a node are still to come from others.
    fn waits_for_past(&self, origin: Life) -> bool {
        self.expected.contains(&origin.in_order())
    }

    /// Gives subscribers what is everywhere.
    pub(super) fn give_due(&mut self, world: &mut World<'_>) {
        let early = self.settings.has(Plant::GiveEarly);
        while let Some(due) = self.orders.due.front() {
            if (due.number > self.stable && !early) || self.waits_for_past(due.origin) {
                return;
            }
            let Some(due) = self.orders.due.pop_front() else { return };
            self.orders.due_bytes -= bytes(&due.items);
            self.orders.freed |= due.loose;
            self.retry = true;
            let own = self.take_own(&due);
            own.iter().for_each(|batch| batch.discharge(world));
            let given = self.orders.given.entry(due.origin).or_default();
            if *given >= due.request {
                continue;
            }
            *given = due.request;
            for (at, item) in due.items.iter().enumerate() {
                let user = own.as_ref().map(|batch| batch.users.get(at).copied());
                self.give(item, user, world);
            }
        }
    }

    /// The batch of this node that has come to its end.
    fn take_own(&mut self, due: &Due) -> Option<Batch> {
        let orders = &mut self.orders;
        let at = orders.out.iter().position(|batch| batch.request == due.request);
        let at = at.filter(|_| due.origin == self.own)?;
        let batch = orders.out.remove(at)?;
        orders.out_bytes -= batch.bytes;
        orders.asked = orders.asked.saturating_sub(1);
        orders.taken = true;
        Some(batch)
    }

    /// Gives one event to the subscribers here. `own`: it was published here, and who is charged.
    fn give(&mut self, item: &Item, own: Option<Option<u32>>, world: &mut World<'_>) {
        self.note_ended(world);
        let primaries = self.primaries(item.incarnation, world);
        let mut deadline = if item.place.is_some() { item.deadline } else { world.now };
        if let Some(place) = item.place {
            if self.retained.covers(place) {
                return;
            }
            if !self.note_item(place, primaries.first().copied(), item.record.id) {
                deadline = world.now;
            }
        }
        for primary in primaries {
            let (record, now) = (&item.record, world.now);
            match own {
                Some(user) => {
                    let times = (deadline, now);
                    world.node.deliver_own(primary, record, times, user, world.windows);
                }
                None => world.node.deliver_remote(primary, record, deadline, now, world.windows),
            }
        }
        self.settle_item(item, world);
    }

    /// A view begins: what is everywhere is given as far as nothing older is to come; the rest
    /// stays if its publisher's node has it in the same place. That node does not where its place
    /// could not be said to it, since the sequencer does not know of total order.
    pub(super) fn carry_over(
        &mut self,
        priors: &BTreeMap<Life, ViewId>,
        (leader, base): (Life, u64),
        world: &mut World<'_>,
    ) {
        self.give_due(world);
        let prior = self.view.as_ref().map(|view| view.id).or(self.resumed);
        let mut lost = BTreeSet::new();
        let keep_all = self.settings.has(Plant::KeepForeign);
        let said = self.version_of(leader) >= 2;
        for mut due in std::mem::take(&mut self.orders.due) {
            let had = due.origin == self.own || due.number <= self.stable || said;
            due.loose = self.are_loose(&due.items);
            if keep_all || (had && priors.get(&due.origin).copied() == prior) {
                due.number = if due.number <= self.stable { 0 } else { base };
                self.orders.due.push_back(due);
            } else {
                self.orders.due_bytes -= bytes(&due.items);
                lost.extend(due.items.iter().map(|item| item.incarnation));
            }
        }
        self.lose_on(lost.into_iter().collect(), world);
        let entries = self.orders.in_flight().filter_map(|channel| self.directory.find(channel));
        let loose = entries.filter(|(_, entry)| !entry.ordered);
        self.orders.loose = loose.flat_map(|(_, entry)| entry.lives.keys().copied()).collect();
        let twice = self.settings.has(Plant::AskTwice);
        let out = self.orders.out.iter();
        self.orders.asked = out.take_while(|batch| batch.applied && !twice).count();
    }
}
