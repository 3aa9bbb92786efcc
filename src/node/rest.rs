//! Giving the pages of links that rest back to the system.
//!
//! Every link that has been used is looked at once in [`REST`], however often it works and sleeps
//! in between. One that was not used since the last look gives its pages back and is not looked at
//! again before it is used.

use super::Server;
use crate::evt::{Priority, Span};

/// How long a link must rest, and the time between two looks.
pub(super) const REST: Span = Span(1_000_000_000);

impl Server {
    /// Windows that have been written to for the first time since they gave their pages back.
    pub(super) fn note_used_windows(&mut self) {
        while let Some(to) = self.inboxes.pop_used() {
            self.note_use(to.process.0 as usize);
        }
    }

    /// Notes that a client is to be looked at, if it is not noted already.
    pub(super) fn note_use(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut client.watched, true) {
            self.resting.push_back((self.now.after(REST), (slot, client.generation)));
        }
    }

    /// Looks at those whose time has come.
    pub(super) fn look_at_rest(&mut self) {
        while let Some((at, (slot, generation))) = self.resting.front().copied()
            && at <= self.now
        {
            self.resting.pop_front();
            if self.client(slot, generation).is_some() && !self.give_back(slot) {
                self.resting.push_back((self.now.after(REST), (slot, generation)));
            }
        }
    }

    /// Gives the pages of a client back, unless it was used since the last look. True if that is
    /// done.
    fn give_back(&mut self, slot: usize) -> bool {
        let Some(client) = self.clients[slot].as_mut() else { return true };
        let process = client.process;
        let mut used = std::mem::take(&mut client.used);
        for window in self.inboxes.windows_of(process) {
            used |= window.take_touch();
        }
        if used || self.inboxes.is_to_be_erased(process) {
            return false;
        }
        client.watched = false;
        self.forget_recent(slot);
        let linked = self.clients[slot].as_mut().and_then(|client| client.linked.as_mut());
        if let Some(linked) = linked {
            for priority in Priority::ALL {
                let next = &mut linked.next[priority.index()];
                *next = linked.outbox.give_back(priority, *next);
            }
        }
        for window in self.inboxes.windows_of(process) {
            window.give_back();
        }
        true
    }
}
