//! Who must be woken: a word in shared memory that its owner sets before it goes to sleep.
//!
//! The sleeper sets the word and then looks at its rings once more; the waker shows its record and
//! then looks at the word. One of the two always sees the other. Only a peer that said it sleeps
//! is rung, and only once.
//!
//! A sleeper that ends says so in the same word: who shows a record later knows that nobody takes
//! it.

use super::sync::{AtomicU32, Ordering, fence};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const RUNG: u32 = 2;
const GONE: u32 = 3;

/// The word of one sleeper. Zero, as fresh memory is, means awake.
#[derive(Debug, Clone, Copy)]
pub struct Bell<'a>(pub &'a AtomicU32);

impl Bell<'_> {
    /// Sleeper: says that it is about to sleep. It must look for work after this, and call
    /// [`Bell::stay_awake`] if there is some.
    pub fn fall_asleep(self) {
        self.0.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Sleeper: it is awake. True if it had been rung, so that there is a ring to take off the
    /// descriptor.
    #[must_use]
    pub fn stay_awake(self) -> bool {
        self.0.swap(AWAKE, Ordering::SeqCst) == RUNG
    }

    /// Sleeper: it ends, after one more look for work. Whoever shows a record that this look
    /// misses finds [`Bell::is_gone`] afterwards.
    pub fn leave(self) {
        // A swap, so that the exchange of a waker that saw it asleep has come before, or fails.
        self.0.swap(GONE, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether the sleeper has ended in good order; one that was killed cannot say so.
    #[inline]
    #[must_use]
    pub fn is_gone(self) -> bool {
        self.0.load(Ordering::SeqCst) == GONE
    }

    /// Waker, after its record is visible: true if it must ring.
    #[inline]
    #[must_use]
    pub fn must_ring(self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::SeqCst) == ASLEEP
            && self.0.compare_exchange(ASLEEP, RUNG, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}
