//! One client's turn: a bounded piece of its work, then everything it caused is made to last and
//! shown.

use super::requests::Requests;
use super::{Server, client::Client, log};
use crate::evt::node::{Cost, Credit, Drained, Fault, Publication, Target};
use crate::evt::{EventId, InstanceNo, Priority, Span};
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

/// How many takers, at this price, can be served with so many units of work.
fn batch(units: u64, price: u64) -> u32 {
    u32::try_from(units / price).unwrap_or(u32::MAX).max(1)
}

/// Visible records of one ring, from the position where the node stands.
fn visible(ring: &OutRing<'_>, start: u64) -> Result<(u64, bool), &'static str> {
    let mut end = start;
    for _ in 0..BATCH_RECORDS {
        if end - start >= BATCH_BYTES {
            return Ok((end, true));
        }
        match ring.look(end) {
            Seen::Nothing => return Ok((end, false)),
            Seen::Pad(bytes) | Seen::Record(bytes) => end += bytes,
            Seen::Nonsense => return Err("its outbox holds nonsense"),
        }
    }
    Ok((end, true))
}

impl Server {
    /// Gives a client its turn. True if it has more to do.
    pub(super) fn turn(&mut self, slot: usize) -> bool {
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
        let mut budget = TURN_COST;
        let more = match self.take(slot, &mut budget) {
            Ok(more) => more,
            Err(why) => {
                self.drop_client(slot, why);
                return false;
            }
        };
        let requests = self.handle_requests(slot, more, &mut budget);
        let more = self.admit(slot, &mut budget) || more;
        self.spent += TURN_COST - budget;
        let Some(process) = self.clients[slot].as_ref().map(|client| client.process) else {
            return false;
        };
        for to in self.inboxes.backlogged_of(process) {
            self.refill(to);
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
        if more || work {
            return true;
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
            if linked.restoring && !gone {
                return Ok(false);
            }
            let index = priority.index();
            let outbox = Rc::clone(&linked.outbox);
            let ring = outbox.ring(priority);
            let (end, cut) = visible(&ring, linked.next[index])?;
            more |= cut;
            if end == linked.next[index] {
                continue;
            }
            client.used = true;
            if end > ring.positions().1 {
                ring.take(end);
            }
            if !self.take_batch(slot, priority, end, budget)? {
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

    /// Takes the records of one ring up to `end`; false if the work of this turn is done before.
    fn take_batch(
        &mut self,
        slot: usize,
        priority: Priority,
        end: u64,
        budget: &mut u64,
    ) -> Result<bool, &'static str> {
        let index = priority.index();
        let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_ref() else {
            return Ok(true);
        };
        let outbox = Rc::clone(&linked.outbox);
        let mut position = linked.next[index];
        let mut unfinished = None;
        while position < end && *budget > 0 && unfinished.is_none() {
            let taken = match outbox.ring(priority).look(position) {
                Seen::Pad(bytes) => {
                    position += bytes;
                    0
                }
                Seen::Record(bytes) => {
                    let (cost, price) =
                        self.publish(slot, &outbox, priority, position, (bytes, *budget))?;
                    let work = u64::from(cost.matches) + price * u64::from(cost.enqueues);
                    *budget = budget.saturating_sub(1 + work);
                    if cost.waits > 0 {
                        unfinished = Some(Unfinished { index, end: position + bytes, price });
                    } else {
                        position += bytes;
                    }
                    1
                }
                Seen::Nothing | Seen::Nonsense => return Err("its outbox holds nonsense"),
            };
            if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_mut() {
                linked.next[index] = position;
                linked.unfinished = unfinished;
                linked.published += taken;
            }
        }
        self.inboxes.end_flight();
        Ok(position == end && *budget > 0)
    }

    /// Publishes the record of `bytes` bytes at `position`, as far as `budget` goes. Gives what it
    /// cost, and the work units for each taker.
    fn publish(
        &mut self,
        slot: usize,
        outbox: &Rc<crate::link::outbox::Outbox>,
        priority: Priority,
        position: u64,
        (bytes, budget): (u64, u64),
    ) -> Result<(Cost, u64), &'static str> {
        const BAD: &str = "it published what cannot be";
        let Some(Client { linked: Some(linked), process, .. }) = self.clients[slot].as_ref() else {
            return Ok((Cost::default(), 1));
        };
        let header = outbox.read_header(priority, position);
        let attributes_bytes = header.attributes_bytes as usize;
        if header.record_bytes() > bytes {
            return Err(BAD);
        }
        if attributes_bytes > self.attributes.capacity() {
            return if linked.resumed { Ok((self.skip(slot, &header), 1)) } else { Err(BAD) };
        }
        self.attributes.resize(attributes_bytes, 0);
        outbox.read(priority, position, OUT_HEADER, &mut self.attributes);
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
        let data_bytes = header.data_bytes as usize;
        self.inboxes.set_in_flight(outbox, priority, position, skip, data_bytes);
        let index = priority.index();
        let prepaid = position < linked.prepaid_until[index];
        if publication.retention > Span::ZERO && (prepaid || linked.forgiving) {
            let bytes = u64::from(header.attributes_bytes) + u64::from(header.data_bytes);
            self.core.adopt_credit(*process, Credit { events: 1, bytes });
        }
        let price = 1 + bytes / COPY_BYTES;
        let batch = batch(budget.max(EVENT_COST), price);
        let outcome = if position < linked.again_until[index] {
            self.core.publish_again(*process, &publication, batch, self.now, &mut self.inboxes)
        } else {
            self.core.publish(*process, &publication, batch, self.now, &mut self.inboxes)
        };
        // Written for a node that has gone, or by its limits: not dropping the program for it.
        let excused = |fault| prepaid || (linked.resumed && fault == Fault::TooBig);
        match outcome {
            Ok(cost) => Ok((cost, price)),
            Err(fault) if excused(fault) => Ok((self.skip(slot, &header), price)),
            Err(_) => Err(BAD),
        }
    }

    /// Passes over a publication that cannot be taken: subscribers are told that they have lost
    /// something, and the first one is logged. Gives the cost.
    fn skip(&mut self, slot: usize, header: &OutHeader) -> Cost {
        let Some(Client { linked: Some(linked), process, peer, .. }) = self.clients[slot].as_mut()
        else {
            return Cost::default();
        };
        if linked.skipped == 0 {
            let pid = peer.pid;
            log(format_args!(
                "events of pid {pid} are lost: what it publishes is above the limits"
            ));
        }
        linked.skipped += 1;
        let bytes = u64::from(header.attributes_bytes) + u64::from(header.data_bytes);
        let spent = Credit { events: 1, bytes: bytes.next_multiple_of(Credit::UNIT) };
        let spent = (header.retention > 0).then_some(spent);
        let (process, instance) = (*process, InstanceNo(header.instance));
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
    fn show_effects(&mut self) {
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
        if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_ref() {
            for priority in Priority::ALL {
                let ring = linked.outbox.ring(priority);
                let next = linked.next[priority.index()];
                if ring.positions().2 != next {
                    ring.finish(next);
                }
            }
        }
    }

    /// Lets a client sleep until it rings. True if it has just got work after all.
    fn rest(&mut self, slot: usize) -> bool {
        let Some(client) = self.clients[slot].as_mut() else { return false };
        let Some(linked) = client.linked.as_ref() else { return false };
        if linked.restoring {
            return false;
        }
        linked.outbox.node_bell().fall_asleep();
        let waits = Priority::ALL.iter().any(|priority| {
            let ring = linked.outbox.ring(*priority);
            ring.look(linked.next[priority.index()]) != Seen::Nothing
        });
        if waits {
            let _ = linked.outbox.node_bell().stay_awake();
            return true;
        }
        if client.used {
            self.note_use(slot);
        }
        false
    }
}
