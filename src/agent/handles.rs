//! Handle values and the tables behind them.
//!
//! A handle is no pointer: it is a kind, a slot and a check word that is drawn anew for each use of
//! the slot, so that a stale, foreign or made-up value finds nothing.
//!
//! | bits | library, channel | event |
//! |---|---|---|
//! | 62..63 | kind 1, 2 | kind 3 |
//! | 40..61 | check | check |
//! | 16..39 | check | slot in the instance's event table |
//! | 0..15 | slot | slot of the open instance |

use super::Handle;
use crate::evt::Error;

const KIND_SHIFT: u32 = 62;
const EVENT_SLOT_SHIFT: u32 = 16;
const EVENT_CHECK_SHIFT: u32 = 40;
/// Events one open instance can have at once.
pub(super) const EVENTS_MAX: usize = 1 << (EVENT_CHECK_SHIFT - EVENT_SLOT_SHIFT);
/// Entries one table can have.
pub(super) const SLOTS_MAX: usize = 1 << EVENT_SLOT_SHIFT;
/// The check bits of an event handle.
pub(super) const EVENT_CHECK_MASK: u32 = (1 << (KIND_SHIFT - EVENT_CHECK_SHIFT)) - 1;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Library = 1,
    Channel = 2,
    Event = 3,
}

/// The parts of an event handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventHandle {
    pub(super) instance_slot: usize,
    pub(super) slot: usize,
    pub(super) check: u32,
}

impl EventHandle {
    pub(super) const fn encode(self) -> Handle {
        (Kind::Event as u64) << KIND_SHIFT
            | ((self.check & EVENT_CHECK_MASK) as u64) << EVENT_CHECK_SHIFT
            | (self.slot as u64) << EVENT_SLOT_SHIFT
            | self.instance_slot as u64
    }

    pub(super) const fn decode(handle: Handle) -> Option<Self> {
        if handle >> KIND_SHIFT != Kind::Event as u64 {
            return None;
        }
        Some(Self {
            instance_slot: (handle & 0xffff) as usize,
            slot: (handle >> EVENT_SLOT_SHIFT) as usize & (EVENTS_MAX - 1),
            check: (handle >> EVENT_CHECK_SHIFT) as u32 & EVENT_CHECK_MASK,
        })
    }
}

/// A stream of numbers that cannot be guessed from the outside (splitmix64 over a random seed).
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[derive(Debug)]
struct Entry<T> {
    handle: Handle,
    generation: u32,
    value: Option<T>,
}

/// Library handles or channel handles of this process.
#[derive(Debug)]
pub(super) struct Table<T> {
    kind: Kind,
    entries: Vec<Entry<T>>,
    free: Vec<usize>,
    draw: Draw,
}

/// A slot that has been taken and not yet filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) slot: usize,
    pub(super) generation: u32,
    pub(super) handle: Handle,
}

impl<T: Clone> Table<T> {
    pub(super) const fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, entries: Vec::new(), free: Vec::new(), draw: Draw::new(seed) }
    }

    /// Takes a slot; its handle is not valid before [`Table::fill`].
    ///
    /// - [`Error::NoResources`]: all `most` slots are in use.
    /// - [`Error::NoMemory`].
    pub(super) fn take(&mut self, most: u64) -> Result<Taken, Error> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = self.entries.len();
                if slot as u64 >= most.min(SLOTS_MAX as u64) {
                    return Err(Error::NoResources);
                }
                self.entries.try_reserve(1).map_err(|_| Error::NoMemory)?;
                // Giving a slot back must not fail.
                self.free.try_reserve(slot + 1).map_err(|_| Error::NoMemory)?;
                self.entries.push(Entry { handle: 0, generation: 0, value: None });
                slot
            }
        };
        let check = self.draw.next() >> 2 & !0xffff;
        let handle = (self.kind as u64) << KIND_SHIFT | check | slot as u64;
        let entry = &mut self.entries[slot];
        entry.generation = entry.generation.wrapping_add(1);
        Ok(Taken { slot, generation: entry.generation, handle })
    }

    /// Makes the handle of a taken slot valid.
    pub(super) fn fill(&mut self, taken: Taken, value: T) {
        let entry = &mut self.entries[taken.slot];
        entry.handle = taken.handle;
        entry.value = Some(value);
    }

    /// Gives a taken slot back that was never filled.
    pub(super) fn give_back(&mut self, taken: Taken) {
        self.free.push(taken.slot);
    }

    pub(super) fn get(&self, handle: Handle) -> Result<T, Error> {
        let entry = self.entries.get((handle & 0xffff) as usize).ok_or(Error::BadHandle)?;
        if entry.handle != handle || handle == 0 {
            return Err(Error::BadHandle);
        }
        entry.value.clone().ok_or(Error::BadHandle)
    }

    /// What is at a slot, whatever its handle.
    pub(super) fn at(&self, slot: usize) -> Option<&T> {
        self.entries.get(slot)?.value.as_ref()
    }

    /// Makes a handle invalid. Only one caller gets the value. The slot is not used again before
    /// [`Table::release`]: first the node must have been told that its user has gone.
    pub(super) fn remove(&mut self, handle: Handle) -> Result<T, Error> {
        let slot = (handle & 0xffff) as usize;
        let entry = self.entries.get_mut(slot).ok_or(Error::BadHandle)?;
        if entry.handle != handle || handle == 0 {
            return Err(Error::BadHandle);
        }
        let value = entry.value.take().ok_or(Error::BadHandle)?;
        entry.handle = 0;
        Ok(value)
    }

    /// Gives the slot of a removed handle back.
    pub(super) fn release(&mut self, slot: usize) {
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &mut Table<u32>, value: u32) -> Handle {
        let taken = table.take(10).unwrap();
        table.fill(taken, value);
        taken.handle
    }

    #[test]
    fn a_handle_is_valid_from_fill_to_remove() {
        let mut table = Table::new(Kind::Library, 1);
        let taken = table.take(10).unwrap();
        assert_eq!(table.get(taken.handle), Err(Error::BadHandle));
        table.fill(taken, 5);
        assert_eq!(table.get(taken.handle), Ok(5));
        assert_eq!(table.remove(taken.handle), Ok(5));
        assert_eq!(table.remove(taken.handle), Err(Error::BadHandle));
        assert_eq!(table.get(taken.handle), Err(Error::BadHandle));
    }

    #[test]
    fn a_reused_slot_gets_another_handle() {
        let mut table = Table::new(Kind::Channel, 2);
        let first = add(&mut table, 1);
        table.remove(first).unwrap();
        table.release((first & 0xffff) as usize);
        let second = add(&mut table, 2);
        assert_eq!(first & 0xffff, second & 0xffff);
        assert_ne!(first, second);
        assert_eq!(table.get(first), Err(Error::BadHandle));
    }

    #[test]
    fn zero_and_other_kinds_find_nothing() {
        let mut libraries = Table::new(Kind::Library, 3);
        let mut channels = Table::new(Kind::Channel, 3);
        let library = add(&mut libraries, 1);
        let channel = add(&mut channels, 2);
        assert_eq!(libraries.get(0), Err(Error::BadHandle));
        assert_eq!(libraries.get(channel), Err(Error::BadHandle));
        assert_eq!(channels.get(library), Err(Error::BadHandle));
        assert_eq!(EventHandle::decode(channel), None);
    }

    #[test]
    fn event_handles_keep_their_parts() {
        let parts = EventHandle { instance_slot: 65_535, slot: EVENTS_MAX - 1, check: 77 };
        assert_eq!(EventHandle::decode(parts.encode()), Some(parts));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut table = Table::new(Kind::Library, 4);
        for value in 0..10 {
            add(&mut table, value);
        }
        assert_eq!(table.take(10), Err(Error::NoResources));
    }
}
