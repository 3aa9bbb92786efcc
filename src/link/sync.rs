//! The atomics and locks of the link: the real ones, or loom's when the models run.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::{Condvar, Mutex, MutexGuard};

/// Takes a lock; a panic of another holder is no reason to fail, as the C boundary has poisoned
/// the library by then.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A value alone in its cache lines, so that the two sides do not fight over one.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Line<T>(pub T);
