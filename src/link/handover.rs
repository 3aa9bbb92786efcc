//! Several threads wait for replies on one socket, and none of them is a reader thread: the one
//! that reads (the leader) hands replies over, and wakes a successor before it leaves.

use super::sync::{Condvar, Mutex, MutexGuard, lock};
use std::collections::BTreeMap;

/// What a waiting thread is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<R> {
    /// The reply is here.
    Reply(R),
    /// Nobody reads: this thread must, and then call [`Handover::leave`].
    Lead,
    /// The link has ended; no reply will come.
    Ended,
    /// The thread was woken to see whether it still wants to wait.
    Look,
}

#[derive(Debug)]
struct State<R> {
    waiting: BTreeMap<u32, Option<R>>,
    led: bool,
    ended: bool,
}

/// The waiting threads of one link.
#[derive(Debug)]
pub struct Handover<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

impl<R> Default for Handover<R> {
    fn default() -> Self {
        let state = State { waiting: BTreeMap::new(), led: false, ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<R> Handover<R> {
    /// Says that a reply to request `id` will be waited for. False if the link has ended.
    #[must_use]
    pub fn register(&self, id: u32) -> bool {
        let mut state = lock(&self.state);
        if !state.ended {
            state.waiting.insert(id, None);
        }
        !state.ended
    }

    /// Gives up waiting. A reply that came meanwhile is returned.
    pub fn forget(&self, id: u32) -> Option<R> {
        lock(&self.state).waiting.remove(&id).flatten()
    }

    /// Waits until there is something to do for the one that waits for `id`; `rest` waits on the
    /// condition (with the caller's deadline) and gives the guard back. `wanted` is asked under the
    /// lock, so that a [`Handover::wake`] after it has become false is never missed.
    pub fn turn(
        &self,
        id: u32,
        wanted: impl Fn() -> bool,
        rest: impl FnOnce(&Condvar, Guard<'_, R>),
    ) -> Turn<R> {
        let mut state = lock(&self.state);
        if let Some(turn) = state.settled(id) {
            return turn;
        }
        if !wanted() {
            return Turn::Look;
        }
        if !state.led {
            state.led = true;
            return Turn::Lead;
        }
        rest(&self.changed, Guard(state));
        let mut state = lock(&self.state);
        state.settled(id).unwrap_or(Turn::Look)
    }

    /// Becomes the leader if nobody is.
    #[must_use]
    pub fn try_lead(&self) -> bool {
        let mut state = lock(&self.state);
        let free = !state.led && !state.ended;
        if free {
            state.led = true;
        }
        free
    }

    /// Leader: hands a reply over; gives it back if nobody waits for it (any more).
    pub fn deliver(&self, id: u32, reply: R) -> Option<R> {
        let mut state = lock(&self.state);
        let Some(place) = state.waiting.get_mut(&id) else { return Some(reply) };
        *place = Some(reply);
        self.changed.notify_all();
        None
    }

    /// Leader: reads no more; somebody else may.
    pub fn leave(&self) {
        lock(&self.state).led = false;
        self.changed.notify_all();
    }

    /// Wakes all waiting threads, so that each sees whether it still wants to wait.
    pub fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }

    /// The link is down: nobody will get a reply any more.
    pub fn end(&self) {
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }
}

impl<R> State<R> {
    fn settled(&mut self, id: u32) -> Option<Turn<R>> {
        if self.waiting.get(&id).is_some_and(Option::is_some) {
            return self.waiting.remove(&id).flatten().map(Turn::Reply);
        }
        if self.ended {
            self.waiting.remove(&id);
            return Some(Turn::Ended);
        }
        None
    }
}

/// The locked state, to wait on with the condition.
#[derive(Debug)]
pub struct Guard<'a, R>(MutexGuard<'a, State<R>>);

impl<R> Guard<'_, R> {
    /// Waits until something changed.
    pub fn wait(self, changed: &Condvar) {
        drop(changed.wait(self.0));
    }

    /// Waits until something changed or the time is over.
    pub fn wait_for(self, changed: &Condvar, time: std::time::Duration) {
        drop(changed.wait_timeout(self.0, time));
    }
}
