//! One client's turn: a bounded piece of its work, then everything it caused is made to last and
//! shown.

use super::client::{Client, Linked};
use super::requests::Requests;
use super::{Server, log::Level};
use crate::evt::node::{Cost, Credit, Drained, Fault, ProcessKey, Publication, Target};
use crate::evt::{EventId, InstanceNo, LibraryNo, Priority, Span};
use crate::link::outbox::Outbox;
use crate::link::outring::{OutRing, Seen};
use crate::link::record::{OUT_HEADER, OutHeader};
use std::rc::Rc;

/// Records of one ring taken in one turn: enough that showing and ringing cost little for each.
const BATCH_RECORDS: usize = 256;
/// Bytes of one ring taken in one turn.
const BATCH_BYTES: u64 = 512 << 10;
/// Work units of one turn: records, matches, takers, and what is copied for them. The rest waits
/// for the next turn, which comes when everybody else has had one.
pub(super) const TURN_COST: u64 = 4096;
/// Work units of one event that are done whatever is left of the turn, so that an event with a
/// usual number of takers is never split.
const EVENT_COST: u64 = 1024;
/// Takers of one turn when the publisher has gone: as many as a turn has for the largest events of
/// the default limits, since the price of this one is not known any more.
const ORPHAN_BATCH: u32 = 64;
/// Bytes that are copied in a unit of work.
pub(super) const COPY_BYTES: u64 = 1024;

/// A publication that has takers left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unfinished {
    /// Its ring.
    index: usize,
    /// Where its record ends.
    end: u64,
    /// Work units for each taker.
    price: u64,
}

/// What a record has cost.
///
/// Made of a [`Cost`] as soon as there is one: handed on whole it would be copied by words of
/// another length than it was written by, for which the processor waits.
struct Done {
    /// Work units.
    work: u64,
    /// There are takers left.
    waits: bool,
}

impl Done {
    #[inline(always)]
    const fn of(cost: Cost, price: u64) -> Self {
        let work = 1 + cost.matches as u64 + price * cost.enqueues as u64;
        Self { work, waits: cost.waits > 0 }
    }
}

/// How many takers, at this price, can be served with so many units of work, which are at most
/// those of a turn.
#[inline]
fn batch(units: u64, price: u64) -> u32 {
    // Mostly one: a division takes longer than what else is done here.
    let takers = if price == 1 { units } else { (units / price).max(1) };
    takers as u32
}

/// Work units for each taker of a record of so many bytes.
#[inline]
const fn price(bytes: u64) -> u64 {
    1 + bytes / COPY_BYTES
}

/// A range that was found in a ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    bytes: u64,
    is_record: bool,
}

/// What is visible in one ring from the position on where the node stands; `seen` has what it has
/// found, so that each commit word is read once. Gives where it ends, and whether there may be
/// more.
fn visible(
    ring: &OutRing<'_>,
    start: u64,
    seen: &mut Vec<Range>,
    budget: u64,
) -> Result<(u64, bool), &'static str> {
    seen.clear();
    let mut end = start;
    // Each costs one unit at least.
    let most = BATCH_RECORDS.min(budget as usize);
    while seen.len() < most {
        if end - start >= BATCH_BYTES {
            return Ok((end, true));
        }
        let (bytes, is_record) = match ring.look(end) {
            Seen::Nothing => return Ok((end, false)),
            Seen::Record(bytes) => (bytes, true),
            Seen::Pad(bytes) => (bytes, false),
            Seen::Nonsense => return Err("its outbox holds nonsense"),
        };
        end += bytes;
        seen.push(Range { bytes, is_record });
    }
    Ok((end, true))
}

/// What is the same for all records of a batch.
struct Batch {
    process: ProcessKey,
    outbox: Rc<Outbox>,
    priority: Priority,
    again_until: u64,
    prepaid_until: u64,
    resumed: bool,
    forgiving: bool,
}

impl Server {
    /// Gives a client a turn of `cost` units of work. True if it has more to do.
    pub(super) fn turn(&mut self, slot: usize, cost: u64) -> bool {
        let Some(client) = self.clients[slot].as_mut() else { return false };
        if let Err(why) = client.read(&mut self.buffer) {
            self.drop_client(slot, why);
            return false;
        }
        if client.gone && client.is_restoring() && !client.is_dead() {
            // It will try again; what it has published is for instances it has not restored.
            self.disconnect(slot);
            return false;
        }
        let mut budget = cost;
        let more = match self.take(slot, &mut budget) {
            Ok(more) => more,
            Err(why) => {
                self.drop_client(slot, why);
                return false;
            }
        };
        let requests = self.handle_requests(slot, more, &mut budget);
        let more = self.admit(slot, &mut budget) || more;
        self.spent += cost - budget;
        let Some(process) = self.clients[slot].as_ref().map(|client| client.process) else {
            return false;
        };
        let mut from = LibraryNo(0);
        while let Some(to) = self.inboxes.backlogged_of(process, from) {
            self.refill(to);
            from = LibraryNo(to.library.0 + 1);
        }
        self.offer_ids(slot);
        self.settle(slot);
        let Some(client) = self.clients[slot].as_mut() else { return false };
        let work = match requests {
            Requests::Due => true,
            Requests::Waiting => false,
            Requests::Unheard => !client.is_deaf(),
            Requests::None => client.readable && !client.is_deaf(),
        };
        if work {
            return true;
        }
        if more {
            let held = client.linked.as_ref().filter(|linked| linked.held.is_some());
            // Of one whose publications wait, what is urgent passes.
            return held.is_none_or(|linked| linked.may_ring(&[Priority::HIGHEST]));
        }
        if client.gone {
            self.disconnect(slot);
            return false;
        }
        self.rest(slot)
    }

    /// Takes what is in one client's outbox at this moment; what it goes on publishing meanwhile
    /// can wait.
    pub(super) fn take_everything(&mut self, slot: usize) {
        let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_ref() else { return };
        let goal = linked.reserved();
        loop {
            let reached = match self.clients[slot].as_ref() {
                Some(Client { linked: Some(linked), .. }) => {
                    linked.next.iter().zip(goal).all(|(next, goal)| *next >= goal)
                }
                _ => true,
            };
            if reached {
                return;
            }
            match self.take(slot, &mut TURN_COST.clone()) {
                Ok(true) if self.is_held(slot) => return,
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => return self.drop_client(slot, why),
            }
        }
    }

    /// Takes publications, and counts the work down. True if there may be more.
    fn take(&mut self, slot: usize, budget: &mut u64) -> Result<bool, &'static str> {
        if !self.publish_on(slot, budget) {
            return Ok(true);
        }
        let mut more = false;
        for priority in Priority::ALL {
            let Some(client) = self.clients[slot].as_mut() else { return Ok(false) };
            let gone = client.gone;
            let Some(linked) = client.linked.as_mut() else { return Ok(false) };
            linked.held = None;
            if linked.restoring && !gone {
                return Ok(false);
            }
            let index = priority.index();
            let ring = linked.outbox.ring(priority);
            let (end, cut) = visible(&ring, linked.next[index], &mut self.seen, *budget)?;
            more |= cut;
            if end == linked.next[index] {
                continue;
            }
            client.used = true;
            if end > ring.positions().1 {
                ring.take(end);
            }
            let seen = std::mem::take(&mut self.seen);
            let all = self.take_batch(slot, priority, &seen, budget);
            self.seen = seen;
            if !all? {
                return Ok(true);
            }
        }
        Ok(more)
    }

    /// Goes on with the publication that has takers left. True if there is none any more: only then
    /// is its record taken, and what follows it may be looked at.
    fn publish_on(&mut self, slot: usize, budget: &mut u64) -> bool {
        let Some(Client { linked: Some(linked), process, .. }) = self.clients[slot].as_mut() else {
            return true;
        };
        let Some(Unfinished { index, end, price }) = linked.unfinished else { return true };
        let batch = batch(*budget, price);
        let cost = self.core.publish_on(Some(*process), batch, self.now, &mut self.inboxes);
        *budget = budget.saturating_sub(price * u64::from(cost.enqueues));
        if cost.waits > 0 {
            return false;
        }
        linked.next[index] = end;
        linked.unfinished = None;
        true
    }

    /// Takes what was `seen` in one ring; false if the work of this turn is done before.
    fn take_batch(
        &mut self,
        slot: usize,
        priority: Priority,
        seen: &[Range],
        budget: &mut u64,
    ) -> Result<bool, &'static str> {
        let index = priority.index();
        let Some(Client { linked: Some(linked), process, .. }) = self.clients[slot].as_ref() else {
            return Ok(true);
        };
        let batch = Batch {
            process: *process,
            outbox: Rc::clone(&linked.outbox),
            priority,
            again_until: linked.again_until[index],
            prepaid_until: linked.prepaid_until[index],
            resumed: linked.resumed,
            forgiving: linked.forgiving,
        };
        self.inboxes.begin_flight(&batch.outbox, priority);
        let mut position = linked.next[index];
        let mut unfinished = None;
        let mut number = 0;
        let mut published = 0;
        for range in seen {
            if *budget == 0 {
                break;
            }
            if range.is_record {
                if self.core.is_patient() {
                    let place = (priority, position);
                    if self.holds_back(slot, batch.process, &batch.outbox, place) {
                        break;
                    }
                }
                published += 1;
                let Done { work, waits } =
                    self.publish(slot, &batch, position, range.bytes, *budget)?;
                // The last one of a turn may be more than what is left.
                self.spent += work.saturating_sub(*budget);
                *budget = budget.saturating_sub(work);
                if waits {
                    let (end, price) = (position + range.bytes, price(range.bytes));
                    unfinished = Some(Unfinished { index, end, price });
                    break;
                }
            }
            position += range.bytes;
            number += 1;
        }
        let all = number == seen.len() && *budget > 0;
        if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_mut() {
            linked.next[index] = position;
            linked.unfinished = unfinished;
            linked.published += published;
        }
        self.inboxes.end_flight();
        Ok(all)
    }

    /// Publishes the record of `bytes` bytes at `position`, as far as `budget` goes. Gives what it
    /// cost.
    #[inline]
    fn publish(
        &mut self,
        slot: usize,
        from: &Batch,
        position: u64,
        bytes: u64,
        budget: u64,
    ) -> Result<Done, &'static str> {
        const BAD: &str = "it published what cannot be";
        let Batch { process, priority, .. } = *from;
        let price = price(bytes);
        let header = from.outbox.read_header(priority, position);
        let attributes_bytes = header.attributes_bytes as usize;
        if header.record_bytes() > bytes {
            return Err(BAD);
        }
        if attributes_bytes > self.attributes.capacity() {
            return if from.resumed {
                Ok(Done::of(self.skip(slot, header), price))
            } else {
                Err(BAD)
            };
        }
        if attributes_bytes != self.attributes.len() {
            self.attributes.resize(attributes_bytes, 0);
        }
        from.outbox.read(priority, position, OUT_HEADER, &mut self.attributes);
        let publication = Publication {
            instance: InstanceNo(header.instance),
            id: EventId(header.id),
            publish_time: header.publish_time,
            retention: Span(header.retention.min(Span::FOREVER.0)),
            priority,
            attributes: &self.attributes,
            data_bytes: u64::from(header.data_bytes),
        };
        let skip = OUT_HEADER + attributes_bytes;
        self.inboxes.set_in_flight(position, skip, header.data_bytes as usize);
        let prepaid = position < from.prepaid_until;
        if publication.retention > Span::ZERO && (prepaid || from.forgiving) {
            let bytes = u64::from(header.attributes_bytes) + u64::from(header.data_bytes);
            self.core.adopt_credit(process, Credit { events: 1, bytes });
        }
        let batch = batch(budget.max(EVENT_COST), price);
        let outcome = if position < from.again_until {
            // A copy: the address of what is busy would cost its registers.
            let again = publication;
            self.core.publish_again(process, &again, batch, self.now, &mut self.inboxes)
        } else {
            self.core.publish(process, &publication, batch, self.now, &mut self.inboxes)
        };
        // Written for a node that has gone, or by its limits: not dropping the program for it.
        let excused = |fault| prepaid || (from.resumed && fault == Fault::TooBig);
        match outcome {
            Ok(cost) => Ok(Done::of(cost, price)),
            Err(Fault::Withheld) => {
                self.refuse_publication(slot, header);
                Ok(Done::of(Cost::default(), price))
            }
            Err(fault) if excused(fault) => Ok(Done::of(self.skip(slot, header), price)),
            Err(_) => Err(BAD),
        }
    }

    /// Passes over a publication that cannot be taken: subscribers are told that they have lost
    /// something, and the first one is logged. Gives the cost.
    #[inline(never)]
    fn skip(&mut self, slot: usize, header: OutHeader) -> Cost {
        let Some(Client { linked: Some(linked), process, .. }) = self.clients[slot].as_mut() else {
            return Cost::default();
        };
        let (is_first, process) = (linked.skipped == 0, *process);
        linked.skipped += 1;
        if is_first {
            let what = format_args!("publishes above the limits: such events of it are lost");
            self.log_of(slot, Level::Warning, what);
        }
        let bytes = u64::from(header.attributes_bytes) + u64::from(header.data_bytes);
        let spent = Credit { events: 1, bytes: bytes.next_multiple_of(Credit::UNIT) };
        let spent = (header.retention > 0).then_some(spent);
        let instance = InstanceNo(header.instance);
        let inboxes = &mut self.inboxes;
        self.core.lose_publication(process, instance, spent, self.now, inboxes)
    }

    /// Moves what waits for a handle to its window; asks for room if it does not all fit.
    pub(super) fn refill(&mut self, to: Target) {
        let drained = self.core.drain(to, self.now, &mut self.inboxes);
        if drained == Drained::Empty {
            return;
        }
        if let Some(window) = self.inboxes.get_mut(to) {
            window.ask_for_room();
        }
        // What was read before the program could see the wish is room already.
        let _ = self.core.drain(to, self.now, &mut self.inboxes);
    }

    /// Gives each publication of a program that has gone a turn of its own.
    pub(super) fn publish_of_gone(&mut self) {
        let number = self.core.orphans();
        for _ in 0..number {
            let _ = self.core.publish_on(None, ORPHAN_BATCH, self.now, &mut self.inboxes);
        }
        if number > 0 {
            self.show_effects();
        }
    }

    /// Makes everything that has happened last, and shows it to those it is for.
    pub(super) fn show_effects(&mut self) {
        while let Some(to) = self.inboxes.pop_backlogged() {
            self.refill(to);
        }
        self.record_changes();
        self.inboxes.show();
        self.note_used_windows();
    }

    /// Makes everything a turn caused last, and shows it: the log first, then the events, the
    /// replies, and the space in the outbox.
    pub(super) fn settle(&mut self, slot: usize) {
        self.show_effects();
        let flushed = self.clients[slot].as_mut().map_or(Ok(()), Client::flush);
        if let Err(why) = flushed {
            self.drop_client(slot, why);
            return;
        }
        if let Some(client) = self.clients[slot].as_ref()
            && client.has_answered()
        {
            self.inboxes.ring_answered(client.process);
        }
        if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_mut() {
            linked.finish();
        }
    }

    /// A client has nothing more, until it rings or the node looks. True if it has just got work
    /// after all.
    fn rest(&mut self, slot: usize) -> bool {
        let Some(client) = self.clients[slot].as_ref() else { return false };
        let Some(linked) = client.linked.as_ref() else { return false };
        if linked.restoring {
            return false;
        }
        if linked.has_more(&Priority::ALL) {
            return true;
        }
        if client.used {
            self.note_use(slot);
        }
        self.note_recent(slot);
        false
    }
}

impl Linked {
    /// Gives the space of what was taken back; a ring that is empty by then may begin anew.
    fn finish(&mut self) {
        for priority in Priority::ALL {
            let ring = self.outbox.ring(priority);
            let next = &mut self.next[priority.index()];
            if ring.positions().2 == *next {
                continue;
            }
            ring.finish(*next);
            if ring.has_worked(*next)
                && let Some(begin) = ring.go_back(*next)
            {
                *next = begin;
            }
        }
    }
}
