//! The library handle that a thread dispatches. Most events are read and freed in the callback that
//! brings them, and so their library handle is found without a look in the tables.

use super::library::Library;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// What needs no destructor is not registered with the thread, which may be the program's.
type Held = Option<ManuallyDrop<Arc<Library>>>;

thread_local! {
    static LIBRARY: RefCell<Held> = const { RefCell::new(None) };
}

/// Puts back what was there before, when dispatch ends: it may be nested.
pub(super) struct Dispatching(Held);

/// From now on this thread dispatches `library`.
pub(super) fn enter(library: &Arc<Library>) -> Dispatching {
    Dispatching(LIBRARY.replace(Some(ManuallyDrop::new(Arc::clone(library)))))
}

impl Drop for Dispatching {
    fn drop(&mut self) {
        LIBRARY.replace(self.0.take()).map(ManuallyDrop::into_inner);
    }
}

/// Lets `look` see the library handle that this thread dispatches. `None` if there is none, or it
/// belongs to the parent of this process.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(&Library) -> Option<R>) -> Option<R> {
    LIBRARY.with_borrow(|library| {
        let library = library.as_ref()?;
        if library.is_of_this_process() { look(library) } else { None }
    })
}
