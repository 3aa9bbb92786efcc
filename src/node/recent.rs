//! Programs that need not ring.
//!
//! While the node is awake it looks itself at the outboxes of the few programs that were served
//! last, before each look at the descriptors. These find its bell awake and make no system call:
//! on a busy processor the node is often awake without running, and a ring would tell it nothing
//! new. Before it sleeps it lets them ring again.

use super::Server;
use super::client::Linked;
use super::schedule::WORK_BETWEEN_LOOKS;
use crate::evt::Priority;
use crate::link::outring::Seen;

/// Programs that are looked at. Each costs two exchanges of a word whenever the node sleeps, about
/// a twentieth of a system call; two programs that answer each other are the usual case in which
/// each event wakes somebody, and there is room for two such pairs.
const RECENT_MAX: usize = 4;

/// How often in a row they are served without a look at the descriptors. Who rings waits for so
/// many short turns, some microseconds each.
const PASSED_MAX: u32 = 4;

/// The programs that are looked at.
#[derive(Default)]
pub(super) struct Recent {
    /// The last served first.
    places: Vec<(usize, u32)>,
    /// How often in a row they were served without a look at the descriptors.
    passed: u32,
    /// Units of work since that look.
    pub(super) work: u64,
}

impl Recent {
    /// Nobody is looked at any more; bells stay as they are.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }
}

impl Linked {
    /// Whether there is something to take of these priorities.
    pub(super) fn has_more(&self, priorities: &[Priority]) -> bool {
        priorities.iter().any(|priority| {
            self.outbox.ring(*priority).look(self.next[priority.index()]) != Seen::Nothing
        })
    }

    /// Lets the program ring from now on. True if there is something to take of these priorities
    /// already; then it does not ring.
    pub(super) fn may_ring(&self, priorities: &[Priority]) -> bool {
        self.outbox.node_bell().fall_asleep();
        let more = self.has_more(priorities);
        if more {
            let _ = self.outbox.node_bell().stay_awake();
        }
        more
    }

    /// Whether the node can look instead. What waits for slow nodes, or for the program to have
    /// restored its state, is no reason for a turn.
    fn can_be_looked_at(&self) -> bool {
        !self.restoring && self.held.is_none()
    }
}

impl Server {
    /// A program rests: the node looks at it from now on, and who was there longest rings again.
    pub(super) fn note_recent(&mut self, slot: usize) {
        let Some(client) = self.clients[slot].as_ref() else { return };
        let place = (slot, client.generation);
        if let Some(at) = self.recent.places.iter().position(|other| *other == place) {
            self.recent.places[..=at].rotate_right(1);
            return;
        }
        if self.recent.places.len() == RECENT_MAX
            && let Some((slot, generation)) = self.recent.places.pop()
        {
            self.let_ring(slot, generation);
        }
        self.recent.places.insert(0, place);
    }

    /// The node looks at this program no longer.
    pub(super) fn forget_recent(&mut self, slot: usize) {
        if let Some(at) = self.recent.places.iter().position(|(other, _)| *other == slot) {
            let (slot, generation) = self.recent.places.remove(at);
            self.let_ring(slot, generation);
        }
    }

    /// Lets a program ring from now on; it comes before the line if it has published already.
    fn let_ring(&mut self, slot: usize, generation: u32) {
        let linked = self.client(slot, generation).and_then(|client| client.linked.as_ref());
        if linked.is_some_and(|linked| linked.can_be_looked_at() && linked.may_ring(&Priority::ALL))
        {
            self.favour(slot, generation);
        }
    }

    /// Whether the descriptors can wait: there was nothing to do, and one of those who do not ring
    /// has published.
    pub(super) fn passes_descriptors(&mut self) -> bool {
        let idle = self.has_no_work();
        let more = self.any_recent(|linked| linked.has_more(&Priority::ALL));
        let few = self.recent.passed < PASSED_MAX && self.recent.work < WORK_BETWEEN_LOOKS;
        let passes = idle && more && few;
        if passes {
            self.recent.passed += 1;
        } else {
            (self.recent.passed, self.recent.work) = (0, 0);
        }
        passes
    }

    /// Before the node sleeps: everybody may ring again. True if somebody has published already,
    /// so that it must not sleep.
    pub(super) fn recent_may_ring(&mut self) -> bool {
        self.any_recent(|linked| linked.may_ring(&Priority::ALL))
    }

    /// Has those that `has_more` is true of come before the line. True if there are some.
    fn any_recent(&mut self, has_more: impl Fn(&Linked) -> bool) -> bool {
        self.leave_out_of_recent();
        let mut some = false;
        for at in 0..self.recent.places.len() {
            let (slot, generation) = self.recent.places[at];
            if self.linked(slot).is_some_and(&has_more) {
                self.favour(slot, generation);
                some = true;
            }
        }
        some
    }

    /// The node is awake again: nobody it looks at need ring any more.
    pub(super) fn spare_recent(&self) {
        for linked in self.recent.places.iter().filter_map(|(slot, _)| self.linked(*slot)) {
            // A ring that has come is reported by its descriptor.
            let _ = linked.outbox.node_bell().stay_awake();
        }
    }

    /// Leaves out who has gone, and whose bell is answered for elsewhere.
    fn leave_out_of_recent(&mut self) {
        let clients = &self.clients;
        self.recent.places.retain(|(slot, generation)| {
            clients[*slot].as_ref().is_some_and(|client| {
                client.generation == *generation
                    && client.linked.as_ref().is_some_and(Linked::can_be_looked_at)
            })
        });
    }
}
