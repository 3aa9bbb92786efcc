//! Requests that are about what all programs have published: each waits until what was reserved in
//! every outbox when its turn came has been taken, by the turns of those programs.

use super::Server;
use super::client::{Client, Linked};
use crate::evt::Priority;
use crate::evt::node::ProcessKey;
use crate::link::outring::Seen;
use crate::wire::{Barrier, Body};

/// A program whose publications are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited {
    slot: usize,
    generation: u32,
    goal: Barrier,
}

impl Linked {
    /// Whether all up to `goal` has been taken. What is reserved and not committed is not waited
    /// for: its thread may never come to it.
    fn has_reached(&self, goal: &Barrier) -> bool {
        Priority::ALL.iter().all(|priority| {
            let (next, index) = (self.next[priority.index()], priority.index());
            next >= goal[index] || self.outbox.ring(*priority).look(next) == Seen::Nothing
        })
    }

    /// Up to where the rings are reserved. What a ring cannot hold is not there, whatever its
    /// positions say.
    pub(super) fn reserved(&self) -> Barrier {
        Priority::ALL.map(|priority| {
            let most = self.next[priority.index()] + self.outbox.ring_bytes();
            self.outbox.ring(priority).positions().0.min(most)
        })
    }
}

impl Server {
    /// Whether the first request of a client may be handled, for all that others have published
    /// before. If not, they have turns to come, after which this is to be asked again.
    pub(super) fn others_are_taken(&mut self, slot: usize) -> bool {
        let Some(client) = self.clients[slot].as_ref() else { return true };
        if client.awaits.is_none() {
            let process = client.process;
            let Some(waiting) = client.requests.front() else { return true };
            let body = waiting.request.body.clone();
            if !self.is_about_all(process, &body) {
                return true;
            }
            let awaited = self.await_others(slot);
            if let Some(client) = self.clients[slot].as_mut() {
                client.awaits = Some(awaited);
            }
        }
        loop {
            let awaits = self.clients[slot].as_ref().and_then(|client| client.awaits.as_ref());
            let last = awaits.and_then(|awaits| awaits.last().copied());
            if last.is_some_and(|last| !self.is_over(&last)) {
                return false;
            }
            let Some(client) = self.clients[slot].as_mut() else { return true };
            if client.awaits.as_mut().and_then(Vec::pop).is_none() {
                client.awaits = None;
                return true;
            }
        }
    }

    /// Whether the answer depends on what others have published: retained events must not come to
    /// a new subscription as if they were new, and "there is none" and "there is no room" must be
    /// true.
    fn is_about_all(&mut self, process: ProcessKey, body: &Body) -> bool {
        match body {
            Body::Subscribe { .. } => true,
            Body::RetentionClear { instance, id } => {
                !self.core.is_retained(process, *instance, *id)
            }
            Body::Credit { events, bytes } => {
                let granted = self.core.grant_credit(process, *events, *bytes);
                self.core.return_credit(process, granted);
                granted.events < *events || granted.bytes < *bytes
            }
            _ => false,
        }
    }

    /// Those of the others who have published what has not been taken; each gets a turn.
    fn await_others(&mut self, slot: usize) -> Vec<Awaited> {
        let mut awaited = Vec::new();
        for (other, client) in self.clients.iter().enumerate() {
            let Some(Client { linked: Some(linked), generation, .. }) = client else { continue };
            let goal = linked.reserved();
            if other != slot && !linked.has_reached(&goal) {
                awaited.push(Awaited { slot: other, generation: *generation, goal });
            }
        }
        for each in &awaited {
            self.queue(each.slot, each.generation);
        }
        awaited
    }

    /// Whether a program is waited for no more: it has gone, is bringing its state back, has itself
    /// to wait for other nodes, or has been taken from as far as is needed.
    fn is_over(&self, awaited: &Awaited) -> bool {
        let client = self.clients.get(awaited.slot).and_then(Option::as_ref);
        let Some(client) = client.filter(|client| client.generation == awaited.generation) else {
            return true;
        };
        let Some(linked) = &client.linked else { return true };
        let waits = linked.restoring || linked.held.is_some();
        (waits && !client.gone) || linked.has_reached(&awaited.goal)
    }
}
