//! Programs whose publications wait, since nodes that subscribe to them are slow: what they publish
//! stays in their outbox until it has room, so that they are answered `TRY_AGAIN` in the end. What
//! is urgent passes.

use super::Server;
use super::client::Client;
use crate::evt::node::ProcessKey;
use crate::evt::{InstanceNo, Priority};
use crate::link::outbox::Outbox;

impl Server {
    /// Whether the record at `position` has to wait; then it is to be left there. One of a program
    /// that has gone never waits: nobody is made slower by that.
    #[inline(never)]
    pub(super) fn holds_back(
        &mut self,
        slot: usize,
        process: ProcessKey,
        outbox: &Outbox,
        (priority, position): (Priority, u64),
    ) -> bool {
        let instance = InstanceNo(outbox.read_header(priority, position).instance);
        let waits = self.core.holds_back(process, instance, priority);
        let Some(Client { linked: Some(linked), gone: false, .. }) = self.clients[slot].as_mut()
        else {
            return false;
        };
        linked.held = waits.then_some((instance, priority));
        waits
    }

    /// Whether publications of a client wait.
    pub(super) fn is_held(&self, slot: usize) -> bool {
        self.linked(slot).is_some_and(|linked| linked.held.is_some())
    }

    /// Gives a turn to those that need not wait any more.
    pub(super) fn release_held(&mut self) {
        if !self.core.is_patient() {
            return;
        }
        for slot in 0..self.clients.len() {
            let Some(Client { linked: Some(linked), process, generation, .. }) =
                &self.clients[slot]
            else {
                continue;
            };
            let held = linked.held;
            let (process, generation) = (*process, *generation);
            let waits = |(instance, priority)| self.core.holds_back(process, instance, priority);
            if held.is_some_and(|held| !waits(held)) {
                self.queue(slot, generation);
            }
        }
    }
}
