//! What the child of a fork is not to keep: the shared memory of its parent.
//!
//! The ranges are noted where the child finds them without a lock and without an allocation, and
//! unmaps them before it does anything else. `MADV_DONTFORK` would do the same in the kernel, but
//! a checker of memory that runs in the child goes on to look there, and faults on each page.
//!
//! The child of a bare `clone` runs no handler and keeps the memory until it ends or becomes
//! another program. It does nothing with it, since [`super::memory::ForkMark`] is the kernel's.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// A range, or room for one. Never freed, so that a child can walk all of them whatever the
/// threads of its parent were doing; what is free is used again.
#[derive(Debug)]
pub(super) struct Note {
    /// The first byte; null when nothing is noted.
    start: AtomicPtr<u8>,
    bytes: AtomicUsize,
    taken: AtomicBool,
    next: AtomicPtr<Self>,
}

impl Note {
    fn take(&self) -> bool {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn set(&self, start: *mut u8, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.start.store(start, Ordering::Release);
    }

    /// Takes the range out, if one is noted.
    fn clear(&self) -> Option<(*mut u8, usize)> {
        let start = self.start.swap(null_mut(), Ordering::AcqRel);
        (!start.is_null()).then(|| (start, self.bytes.load(Ordering::Relaxed)))
    }

    /// Forgets the range, which is about to be unmapped. False if it is noted no more: this is a
    /// child, which has unmapped it, and something else may be there by now.
    pub(super) fn forget(&self) -> bool {
        let there = self.clear().is_some();
        self.taken.store(false, Ordering::Release);
        there
    }
}

/// The notes of a process. They are walked for each new one, so there are few: those of one link.
#[derive(Debug)]
struct Notes {
    wanted: AtomicBool,
    /// The newest note; each leads to the one before.
    newest: AtomicPtr<Note>,
}

static NOTES: Notes = Notes::new();

impl Notes {
    const fn new() -> Self {
        Self { wanted: AtomicBool::new(false), newest: AtomicPtr::new(null_mut()) }
    }

    fn iter(&self) -> impl Iterator<Item = &'static Note> + use<> {
        fn at(place: &AtomicPtr<Note>) -> Option<&'static Note> {
            // SAFETY: null, or a box that `add` has leaked.
            unsafe { place.load(Ordering::Acquire).as_ref() }
        }
        std::iter::successors(at(&self.newest), |known| at(&known.next))
    }

    fn note(&self, start: *mut u8, bytes: usize) -> Option<&'static Note> {
        self.wanted.load(Ordering::Acquire).then(|| {
            let note = self.iter().find(|note| note.take()).unwrap_or_else(|| self.add());
            note.set(start, bytes);
            note
        })
    }

    /// One more, which is taken.
    fn add(&self) -> &'static Note {
        let note: &Note = Box::leak(Box::new(Note {
            start: AtomicPtr::new(null_mut()),
            bytes: AtomicUsize::new(0),
            taken: AtomicBool::new(true),
            next: AtomicPtr::new(null_mut()),
        }));
        let mut newest = self.newest.load(Ordering::Acquire);
        loop {
            note.next.store(newest, Ordering::Relaxed);
            let new = std::ptr::from_ref(note).cast_mut();
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            match self.newest.compare_exchange(newest, new, success, failure) {
                Ok(_) => return note,
                Err(newer) => newest = newer,
            }
        }
    }
}

/// Notes a mapping just made, if that is wanted. A child that is forked between the two keeps it,
/// as that of a bare `clone` does.
pub(super) fn note(start: *mut u8, bytes: usize) -> Option<&'static Note> {
    NOTES.note(start, bytes)
}

/// From now on mappings are noted for [`unmap`].
pub fn note_mappings() {
    NOTES.wanted.store(true, Ordering::Release);
}

/// In the child of a fork, before anything else: unmaps whatever its parent has noted. Nothing may
/// use that any more. Does only what a signal handler may.
pub fn unmap() {
    for (start, bytes) in NOTES.iter().filter_map(Note::clear) {
        // SAFETY: the range was noted, so it is mapped: it is forgotten before it is unmapped. The
        // caller answers for nobody using it.
        unsafe { libc::munmap(start.cast(), bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_has_unmapped_is_not_unmapped_again_and_notes_are_used_again() {
        let notes = Notes::new();
        // These addresses stand for ranges: nothing is mapped or unmapped.
        let page = |number: usize| std::ptr::without_provenance_mut::<u8>(number << 12);
        assert!(notes.note(page(1), 4096).is_none(), "not wanted");
        notes.wanted.store(true, Ordering::Relaxed);
        let first = notes.note(page(1), 4096).unwrap();
        let second = notes.note(page(2), 8192).unwrap();
        assert!(first.forget());
        let third = notes.note(page(3), 4096).unwrap();
        assert_eq!(notes.iter().count(), 2, "the first one is used again");
        let ranges: Vec<_> = notes.iter().filter_map(Note::clear).collect();
        assert_eq!(ranges, [(page(2), 8192), (page(3), 4096)]);
        assert!(!second.forget() && !third.forget(), "they have gone");
    }
}
