//! What a thread is about: whether it is in the library's own code, and which library handle it
//! dispatches. Most events are read and freed in the callback that brings them, and so their
//! library handle is found without a look in the tables.
//!
//! Both are one thread-local, as a shared library pays for each address of one by a call.

use super::library::Library;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// What needs no destructor is not registered with the thread, which may be the program's.
type Held = Option<ManuallyDrop<Arc<Library>>>;

struct Thread {
    /// In the library's own code, as opposed to the program's callbacks.
    inside: Cell<bool>,
    /// What is dispatched.
    library: RefCell<Held>,
}

thread_local! {
    static THREAD: Thread =
        const { Thread { inside: Cell::new(false), library: RefCell::new(None) } };
}

/// Restores the mark at the end of a scope, also when that is left by a panic.
struct Restore(bool);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        THREAD.with(|thread| thread.inside.set(self.0));
    }
}

#[inline(always)]
fn marked<R>(inside: bool, body: impl FnOnce() -> R) -> R {
    let _restore = Restore(THREAD.with(|thread| thread.inside.replace(inside)));
    body()
}

/// Runs what is the library's own.
#[inline(always)]
pub(crate) fn inside<R>(body: impl FnOnce() -> R) -> R {
    marked(true, body)
}

/// Runs a callback of the program.
#[inline(always)]
pub(super) fn outside<R>(callback: impl FnOnce() -> R) -> R {
    marked(false, callback)
}

/// Whether this thread is in the library's own code.
pub(crate) fn is_inside() -> bool {
    THREAD.with(|thread| thread.inside.get())
}

/// Puts back what was there before, when dispatch ends: it may be nested.
pub(super) struct Dispatching(Held);

/// From now on this thread dispatches `library`.
pub(super) fn enter(library: &Arc<Library>) -> Dispatching {
    let held = Some(ManuallyDrop::new(Arc::clone(library)));
    Dispatching(THREAD.with(|thread| thread.library.replace(held)))
}

impl Drop for Dispatching {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.library.replace(self.0.take())).map(ManuallyDrop::into_inner);
    }
}

/// Lets `look` see the library handle that this thread dispatches. `None` if there is none, or it
/// belongs to the parent of this process.
#[inline(always)]
pub(super) fn with<R>(look: impl FnOnce(&Library) -> Option<R>) -> Option<R> {
    THREAD.with(|thread| {
        let library = thread.library.borrow();
        let library = library.as_ref()?;
        if library.is_of_this_process() { look(library) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_count_as_the_programs_code() {
        let seen = inside(|| (is_inside(), outside(is_inside), is_inside()));
        assert_eq!(seen, (true, false, true));
        assert!(!is_inside());
    }
}
