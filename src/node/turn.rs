//! One client's turn: a bounded piece of its work, then everything it caused is made to last and
//! shown.

use super::{Server, client::Client, log};
use crate::evt::node::{Credit, Drained, Fault, Publication, Target};
use crate::evt::{EventId, InstanceNo, Priority, Span};
use crate::link::outring::{OutRing, Seen};
use crate::link::record::OUT_HEADER;
use crate::sys::clock;
use std::rc::Rc;

/// Records of one ring taken in one turn: enough that showing and ringing cost little for each.
const BATCH_RECORDS: usize = 256;
/// Bytes of one ring taken in one turn.
const BATCH_BYTES: u64 = 512 << 10;
/// Work units (records, matches, enqueues) of one turn; the rest waits for the next one.
const TURN_COST: u64 = 4096;

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
        let more = match self.take(slot) {
            Ok(more) => more,
            Err(why) => {
                self.drop_client(slot, why);
                return false;
            }
        };
        let waits = self.handle_requests(slot, more);
        let more = self.admit(slot) || more;
        let Some(process) = self.clients[slot].as_ref().map(|client| client.process) else {
            return false;
        };
        for to in self.inboxes.backlogged_of(process) {
            self.refill(to);
        }
        self.offer_ids(slot);
        self.settle(slot);
        let Some(client) = self.clients[slot].as_mut() else { return false };
        if more || (!waits && (!client.requests.is_empty() || client.readable)) {
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
        let outbox = Rc::clone(&linked.outbox);
        // What a ring cannot hold is not there, whatever its positions say.
        let goal = Priority::ALL.map(|priority| {
            let most = linked.next[priority.index()] + outbox.ring_bytes();
            outbox.ring(priority).positions().0.min(most)
        });
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
            match self.take(slot) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => return self.drop_client(slot, why),
            }
        }
    }

    /// Takes publications. True if there may be more.
    fn take(&mut self, slot: usize) -> Result<bool, &'static str> {
        let mut cost = 0;
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
            cost += self.take_batch(slot, priority, end, TURN_COST.saturating_sub(cost))?;
            if cost >= TURN_COST {
                return Ok(true);
            }
        }
        Ok(more)
    }

    /// Takes the records of one ring up to `end`, or until the budget is spent. Gives the cost.
    fn take_batch(
        &mut self,
        slot: usize,
        priority: Priority,
        end: u64,
        budget: u64,
    ) -> Result<u64, &'static str> {
        let index = priority.index();
        let mut cost = 0;
        let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_ref() else {
            return Ok(0);
        };
        let outbox = Rc::clone(&linked.outbox);
        let mut position = linked.next[index];
        while position < end && cost < budget.max(1) {
            match outbox.ring(priority).look(position) {
                Seen::Pad(bytes) => position += bytes,
                Seen::Record(bytes) => {
                    cost += self.publish(slot, &outbox, priority, position, bytes)?;
                    position += bytes;
                }
                Seen::Nothing | Seen::Nonsense => return Err("its outbox holds nonsense"),
            }
            if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_mut() {
                linked.next[index] = position;
            }
        }
        self.inboxes.end_flight();
        Ok(cost)
    }

    /// Publishes the record at `position`. Gives its cost.
    fn publish(
        &mut self,
        slot: usize,
        outbox: &Rc<crate::link::outbox::Outbox>,
        priority: Priority,
        position: u64,
        bytes: u64,
    ) -> Result<u64, &'static str> {
        const BAD: &str = "it published what cannot be";
        let Some(Client { linked: Some(linked), process, .. }) = self.clients[slot].as_ref() else {
            return Ok(0);
        };
        let header = outbox.read_header(priority, position);
        let attributes_bytes = header.attributes_bytes as usize;
        if header.record_bytes() > bytes || attributes_bytes > self.attributes.capacity() {
            return Err(BAD);
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
        let outcome = if position < linked.again_until[index] {
            self.core.publish_again(*process, &publication, self.now, &mut self.inboxes)
        } else {
            self.core.publish(*process, &publication, self.now, &mut self.inboxes)
        };
        let cost = match outcome {
            Ok(cost) => cost,
            Err(Fault::Malformed) if prepaid => {
                // Written for a node that has gone: not dropping the program for it.
                log(format_args!("an event of pid {} was skipped: {BAD}", self.pid_of(slot)));
                return Ok(1);
            }
            Err(Fault::Malformed) => return Err(BAD),
        };
        Ok(1 + u64::from(cost.matches) + u64::from(cost.enqueues))
    }

    fn pid_of(&self, slot: usize) -> u32 {
        self.clients[slot].as_ref().map_or(0, |client| client.peer.pid)
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

    /// Makes everything a turn caused last, and shows it: the log first, then the events, the
    /// replies, and the space in the outbox.
    pub(super) fn settle(&mut self, slot: usize) {
        for to in self.inboxes.take_backlogged() {
            self.refill(to);
        }
        self.record_changes();
        self.inboxes.show();
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
        self.note_used_windows();
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
            client.used = false;
            let key = (slot, client.generation);
            self.resting.push_back((clock::elapsed().after(super::REST), key));
        }
        false
    }
}
