//! The tables behind library handles and channel handles.
//!
//! Each entry has a lock of its own and never moves, so that a call on one handle shares no lock
//! with a call on another; only taking and giving back slots is one at a time.

use super::Handle;
use super::handles::{Draw, KIND_SHIFT, Kind, SLOTS_MAX};
use crate::evt::Error;
use parking_lot::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::sync::OnceLock;

/// Entries of the first row; each row has twice as many as the one before.
const FIRST_ROW: usize = 8;
const ROWS: usize = (SLOTS_MAX / FIRST_ROW).ilog2() as usize + 1;

/// What is held at one slot.
#[derive(Debug)]
struct Held<T> {
    handle: Handle,
    value: Option<T>,
}

impl<T> Held<T> {
    /// - [`Error::BadHandle`]: this is behind another handle, or behind none.
    const fn must_be(&self, handle: Handle) -> Result<(), Error> {
        if self.handle == handle && handle != 0 { Ok(()) } else { Err(Error::BadHandle) }
    }
}

/// One slot. Aligned so that threads with different handles share no cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Entry<T>(RwLock<Held<T>>);

/// Which slots are in use.
#[derive(Debug)]
struct Book {
    generations: Vec<u32>,
    free: Vec<usize>,
    draw: Draw,
}

/// Library handles or channel handles of this process.
#[derive(Debug)]
pub(super) struct Table<T> {
    kind: Kind,
    rows: [OnceLock<Box<[Entry<T>]>>; ROWS],
    book: Mutex<Book>,
}

/// A slot that has been taken and not yet filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) slot: usize,
    pub(super) generation: u32,
    pub(super) handle: Handle,
}

/// Reads what is behind a handle. While one lives the handle stays valid: nothing may wait then.
pub(super) type Reading<'a, T> = MappedRwLockReadGuard<'a, T>;
/// Changes what is behind a handle.
pub(super) type Writing<'a, T> = MappedRwLockWriteGuard<'a, T>;

/// The row of a slot, and the place in it.
#[inline]
const fn row_of(slot: usize) -> (usize, usize) {
    let row = (slot / FIRST_ROW + 1).ilog2() as usize;
    (row, slot - FIRST_ROW * ((1 << row) - 1))
}

impl<T> Table<T> {
    pub(super) const fn new(kind: Kind, seed: u64) -> Self {
        let book = Book { generations: Vec::new(), free: Vec::new(), draw: Draw::new(seed) };
        Self { kind, rows: [const { OnceLock::new() }; ROWS], book: Mutex::new(book) }
    }

    /// Takes a slot; its handle is not valid before [`Table::fill`].
    ///
    /// - [`Error::NoResources`]: all `most` slots are in use.
    /// - [`Error::NoMemory`].
    pub(super) fn take(&self, most: u64) -> Result<Taken, Error> {
        let mut book = self.book.lock();
        let slot = match book.free.pop() {
            Some(slot) => slot,
            None => self.new_slot(&mut book, most)?,
        };
        let check = book.draw.next() >> 2 & !0xffff;
        let handle = (self.kind as u64) << KIND_SHIFT | check | slot as u64;
        let generation = &mut book.generations[slot];
        *generation = generation.wrapping_add(1);
        Ok(Taken { slot, generation: *generation, handle })
    }

    fn new_slot(&self, book: &mut Book, most: u64) -> Result<usize, Error> {
        let slot = book.generations.len();
        if slot as u64 >= most.min(SLOTS_MAX as u64) {
            return Err(Error::NoResources);
        }
        book.generations.try_reserve(1).map_err(|_| Error::NoMemory)?;
        // Giving a slot back must not fail.
        let missing = slot + 1 - book.free.len();
        book.free.try_reserve(missing).map_err(|_| Error::NoMemory)?;
        let (row, place) = row_of(slot);
        if place == 0 {
            let mut entries = Vec::new();
            entries.try_reserve_exact(FIRST_ROW << row).map_err(|_| Error::NoMemory)?;
            let empty = || Entry(RwLock::new(Held { handle: 0, value: None }));
            entries.resize_with(FIRST_ROW << row, empty);
            // Under the lock of the book, so nobody else makes this row. One that was made for a
            // slot that then was not taken is there already.
            let _ = self.rows[row].set(entries.into_boxed_slice());
        }
        book.generations.push(0);
        Ok(slot)
    }

    #[inline]
    fn entry(&self, slot: usize) -> Option<&RwLock<Held<T>>> {
        let (row, place) = row_of(slot);
        self.rows.get(row)?.get()?.get(place).map(|entry| &entry.0)
    }

    /// Makes the handle of a taken slot valid.
    pub(super) fn fill(&self, taken: Taken, value: T) {
        if let Some(entry) = self.entry(taken.slot) {
            *entry.write() = Held { handle: taken.handle, value: Some(value) };
        }
    }

    /// Gives a taken slot back that was never filled.
    pub(super) fn give_back(&self, taken: Taken) {
        self.release(taken.slot);
    }

    /// What is behind a handle.
    ///
    /// - [`Error::BadHandle`].
    pub(super) fn get(&self, handle: Handle) -> Result<Reading<'_, T>, Error> {
        let entry = self.entry((handle & 0xffff) as usize).ok_or(Error::BadHandle)?;
        let held = entry.read();
        held.must_be(handle)?;
        RwLockReadGuard::try_map(held, |held| held.value.as_ref()).map_err(|_| Error::BadHandle)
    }

    /// What is behind a handle, to be changed.
    ///
    /// - [`Error::BadHandle`].
    pub(super) fn get_mut(&self, handle: Handle) -> Result<Writing<'_, T>, Error> {
        let entry = self.entry((handle & 0xffff) as usize).ok_or(Error::BadHandle)?;
        let held = entry.write();
        held.must_be(handle)?;
        RwLockWriteGuard::try_map(held, |held| held.value.as_mut()).map_err(|_| Error::BadHandle)
    }

    /// What is at a slot, whatever its handle.
    #[inline]
    pub(super) fn at(&self, slot: usize) -> Option<Reading<'_, T>> {
        RwLockReadGuard::try_map(self.entry(slot)?.read(), |held| held.value.as_ref()).ok()
    }

    /// What is at a slot, whatever its handle, to be changed.
    pub(super) fn at_mut(&self, slot: usize) -> Option<Writing<'_, T>> {
        RwLockWriteGuard::try_map(self.entry(slot)?.write(), |held| held.value.as_mut()).ok()
    }

    /// Makes a handle invalid. Only one caller gets the value. The slot is not used again before
    /// [`Table::release`]: first the node must have been told that its user has gone.
    pub(super) fn remove(&self, handle: Handle) -> Result<T, Error> {
        let entry = self.entry((handle & 0xffff) as usize).ok_or(Error::BadHandle)?;
        let mut held = entry.write();
        held.must_be(handle)?;
        held.handle = 0;
        held.value.take().ok_or(Error::BadHandle)
    }

    /// Gives the slot of a removed handle back.
    pub(super) fn release(&self, slot: usize) {
        self.book.lock().free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &Table<u32>, value: u32) -> Handle {
        let taken = table.take(u64::MAX).unwrap();
        table.fill(taken, value);
        taken.handle
    }

    fn get(table: &Table<u32>, handle: Handle) -> Result<u32, Error> {
        table.get(handle).map(|value| *value)
    }

    #[test]
    fn a_handle_is_valid_from_fill_to_remove() {
        let table = Table::new(Kind::Library, 1);
        let taken = table.take(10).unwrap();
        assert_eq!(get(&table, taken.handle), Err(Error::BadHandle));
        table.fill(taken, 5);
        assert_eq!(get(&table, taken.handle), Ok(5));
        assert_eq!(table.at(taken.slot).map(|value| *value), Some(5));
        assert_eq!(table.remove(taken.handle), Ok(5));
        assert_eq!(table.remove(taken.handle), Err(Error::BadHandle));
        assert_eq!(get(&table, taken.handle), Err(Error::BadHandle));
        assert!(table.at(taken.slot).is_none());
    }

    #[test]
    fn a_reused_slot_gets_another_handle() {
        let table = Table::new(Kind::Channel, 2);
        let first = add(&table, 1);
        table.remove(first).unwrap();
        table.release((first & 0xffff) as usize);
        let second = add(&table, 2);
        assert_eq!(first & 0xffff, second & 0xffff);
        assert_ne!(first, second);
        assert_eq!(get(&table, first), Err(Error::BadHandle));
    }

    #[test]
    fn zero_and_other_kinds_find_nothing() {
        let libraries = Table::new(Kind::Library, 3);
        let channels = Table::new(Kind::Channel, 3);
        let library = add(&libraries, 1);
        let channel = add(&channels, 2);
        assert_eq!(get(&libraries, 0), Err(Error::BadHandle));
        assert_eq!(get(&libraries, channel), Err(Error::BadHandle));
        assert_eq!(get(&channels, library), Err(Error::BadHandle));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let table = Table::<u32>::new(Kind::Library, 4);
        for _ in 0..10 {
            table.take(10).unwrap();
        }
        assert_eq!(table.take(10), Err(Error::NoResources));
    }

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let table = Table::new(Kind::Channel, 5);
        let handles: Vec<_> = (0..SLOTS_MAX as u32).map(|value| add(&table, value)).collect();
        assert_eq!(table.take(u64::MAX), Err(Error::NoResources));
        for (value, handle) in (0..).zip(handles) {
            assert_eq!(get(&table, handle), Ok(value));
        }
    }
}
