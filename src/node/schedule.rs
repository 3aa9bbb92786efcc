//! Who gets the next turn.
//!
//! Who has work stands in a line, gets a turn, and goes to its end if that was not enough. Who has
//! slept and rings is *favoured*: it goes before the line for a few events, so that it does not
//! wait for a turn of each that never stops. What it has beyond that waits in the line. In one
//! step the favoured get no more work done than the line does, so nobody in it starves.

use super::Server;
use super::turn::TURN_COST;
use crate::sys::descriptor::{self, Ready};
use std::io;
use std::os::fd::AsFd;

/// Turns between two looks at the descriptors while there is work.
const TURNS_BETWEEN_LOOKS: usize = 16;
/// Units of work after which the descriptors are looked at before all these turns are over: who has
/// just rung must not wait for many turns of one who never stops. About a twentieth of a
/// millisecond, beside which a look costs little.
pub(super) const WORK_BETWEEN_LOOKS: u64 = 512;
/// Units of work of a favoured turn: some events with a few takers each.
const FAVOUR_COST: u64 = 64;

impl Server {
    /// Looks at the descriptors. With nothing to do it sleeps there.
    pub(super) fn look_at_descriptors(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        let idle = self.has_no_work();
        let rests = idle && !self.recent_may_ring();
        if rests {
            self.alarm.set(self.next_due());
        }
        descriptor::epoll_wait(self.epoll.as_fd(), ready, (!rests).then_some(0))?;
        if idle {
            self.spare_recent();
        }
        Ok(())
    }

    /// Whether nobody waits for a turn.
    pub(super) fn has_no_work(&self) -> bool {
        // What the cluster has answered waits for turns of those who asked.
        self.work.is_empty() && self.favoured.is_empty() && self.core.orphans() == 0
    }

    /// Puts a client to the end of the line, unless it waits already.
    pub(super) fn queue(&mut self, slot: usize, generation: u32) {
        if self.begins_to_wait(slot, generation) {
            self.work.push_back((slot, generation));
        }
    }

    /// A client has rung or asked something: it comes before the line, unless it waits already.
    pub(super) fn favour(&mut self, slot: usize, generation: u32) {
        if self.begins_to_wait(slot, generation) {
            self.favoured.push_back((slot, generation));
        }
    }

    fn begins_to_wait(&mut self, slot: usize, generation: u32) -> bool {
        let client = self.client(slot, generation);
        client.is_some_and(|client| !std::mem::replace(&mut client.queued, true))
    }

    /// Gives turns until it is time to look at the descriptors again.
    pub(super) fn give_turns(&mut self) {
        self.spent = 0;
        let line = self.work.len();
        if !self.work.is_empty() || self.favoured.len() > 1 {
            while self.spent < WORK_BETWEEN_LOOKS
                && let Some((slot, generation)) = self.favoured.pop_front()
            {
                self.serve(slot, generation, FAVOUR_COST);
            }
        }
        // Who was not reached comes before what those have left that were.
        let left = self.work.len() - line;
        if !self.favoured.is_empty() {
            self.work.append(&mut self.favoured);
            self.work.make_contiguous()[line..].rotate_left(left);
        }
        self.recent.work += self.spent;
        self.spent = 0;
        for _ in 0..TURNS_BETWEEN_LOOKS {
            if self.spent >= WORK_BETWEEN_LOOKS {
                break;
            }
            let Some((slot, generation)) = self.work.pop_front() else { break };
            self.serve(slot, generation, TURN_COST);
        }
        self.recent.work += self.spent;
    }

    fn serve(&mut self, slot: usize, generation: u32, cost: u64) {
        // Also a turn that finds nothing is work.
        self.spent += 1;
        let Some(client) = self.client(slot, generation) else { return };
        client.queued = false;
        if self.turn(slot, cost) {
            self.queue(slot, generation);
        }
    }
}
