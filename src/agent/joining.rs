//! How the library handles of a process come to share its one link, and give it up.
//!
//! No lock is held while a node is looked for: whoever needs the link meanwhile waits for the
//! attempt that is under way, and whoever does not is not kept.

use super::link::Link;
use super::restore;
use crate::evt::Error;
use parking_lot::{Condvar, Mutex};
use std::sync::{Arc, OnceLock};

/// Where the one link of the process is kept.
#[derive(Default)]
pub(super) struct LinkPlace {
    state: Mutex<State>,
    /// An attempt has ended.
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Absent,
    /// A thread is making the link.
    Connecting(Arc<Attempt>),
    /// So many users have the link: library handles, and those that are being made.
    Present(Arc<Link>, usize),
}

impl State {
    /// Whether this attempt is under way.
    fn is(&self, attempt: &Arc<Attempt>) -> bool {
        matches!(self, Self::Connecting(present) if Arc::ptr_eq(present, attempt))
    }
}

/// One attempt to make the link, and why it failed if it did.
#[derive(Default)]
struct Attempt {
    failed: OnceLock<Error>,
}

/// Tells those who wait for an attempt how it ended, also when that is by a panic.
struct Ending<'a> {
    place: &'a LinkPlace,
    attempt: Arc<Attempt>,
    outcome: Result<Arc<Link>, Error>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.place.state.lock();
        *state = match &self.outcome {
            Ok(link) => State::Present(Arc::clone(link), 1),
            Err(error) => {
                // An attempt ends once.
                let _ = self.attempt.failed.set(*error);
                State::Absent
            }
        };
        drop(state);
        self.place.changed.notify_all();
    }
}

impl LinkPlace {
    /// The link with a connection, made if there is none; the caller is one user more. Threads that
    /// call at once share one attempt and its outcome.
    ///
    /// - [`Error::TryAgain`]: no node can be reached.
    /// - [`Error::NoResources`], [`Error::NoMemory`].
    pub(super) fn join(&self) -> Result<Arc<Link>, Error> {
        let mut state = self.state.lock();
        loop {
            let attempt = match &mut *state {
                State::Absent => break,
                State::Connecting(attempt) => Arc::clone(attempt),
                State::Present(link, users) => {
                    *users += 1;
                    let link = Arc::clone(link);
                    drop(state);
                    restore::ensure(&link).inspect_err(|_| self.leave())?;
                    return Ok(link);
                }
            };
            self.changed.wait_while(&mut state, |state| state.is(&attempt));
            if let Some(error) = attempt.failed.get() {
                return Err(*error);
            }
        }
        let attempt = Arc::<Attempt>::default();
        *state = State::Connecting(Arc::clone(&attempt));
        drop(state);
        let mut ending = Ending { place: self, attempt, outcome: Err(Error::Library) };
        ending.outcome = restore::connect();
        ending.outcome.clone()
    }

    /// One user of the link less; the last one ends it.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        let State::Present(_, users) = &mut *state else { return };
        *users -= 1;
        if *users == 0 {
            let ended = std::mem::take(&mut *state);
            drop(state);
            drop(ended);
        }
    }
}
