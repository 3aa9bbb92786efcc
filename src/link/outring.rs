//! One ring of an outbox: many publishing threads, one node.
//!
//! A publisher reserves a range by moving `reserved`, copies its record, and commits by storing
//! the range's commit word. Commit words live apart from the data, one for each 64 bytes of ring,
//! and carry the lap: what an older record left behind can never look like a commit, and nothing
//! has to be cleared. The node stops at the first range that is not committed. A range that would
//! cross the end of the ring is preceded by a pad, so that every record is contiguous.
//!
//! Positions count bytes from the beginning of the ring's life and never wrap in practice (2^64).
//! `taken` is stored before the first effect of a batch and `done` after the last: what lies
//! between them when a node dies is what its successor must treat with care. Space is free again
//! from `done` on.

use super::POSITION_MAX;
use super::sync::{AtomicU64, Line, Ordering};

/// Ranges are multiples of this many bytes.
pub const UNIT: u64 = 64;
const PAD: u64 = 1;
const UNITS_SHIFT: u32 = 1;
const LAP_SHIFT: u32 = 24;
const UNITS_MAX: u64 = (1 << (LAP_SHIFT - UNITS_SHIFT)) - 1;
/// A ring that is found empty goes back to its first bytes after this many, so that a program
/// that never falls behind touches few pages, and those stay in the processor's caches.
pub(super) const WORKING_BYTES: u64 = 32 << 10;
/// No ring goes back from here on: each time it skips the rest of a lap, and positions must last.
/// A program whose ring is empty after each event comes here after years, or with 100,000 events
/// of 32 KiB a second after a month.
pub(super) const GOES_BACK_MAX: u64 = POSITION_MAX / 2;

/// The positions of one ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Positions {
    /// Where the next range begins; moved by publishers (and by the node, to give pages back).
    pub reserved: Line<AtomicU64>,
    /// Up to where the node has taken records out.
    pub taken: Line<AtomicU64>,
    /// Up to where all effects have happened.
    pub done: Line<AtomicU64>,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No room now.
    Full,
    /// The node's positions make no sense.
    Nonsense,
}

/// A reserved range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Position of its first byte.
    pub position: u64,
    /// Its length, a multiple of [`UNIT`].
    pub bytes: u64,
}

/// What the node sees at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing committed.
    Nothing,
    /// A pad of so many bytes.
    Pad(u64),
    /// A record of so many bytes.
    Record(u64),
    /// A length that cannot be: the client has broken its link.
    Nonsense,
}

/// One ring: its positions, its commit words, and its length in bytes (a power of two).
#[derive(Debug, Clone, Copy)]
pub struct OutRing<'a> {
    positions: &'a Positions,
    commits: &'a [AtomicU64],
    bytes: u64,
}

impl<'a> OutRing<'a> {
    /// `commits` has one word for each [`UNIT`] of the ring, and their number is a power of two.
    #[inline]
    #[must_use]
    pub fn new(positions: &'a Positions, commits: &'a [AtomicU64]) -> Self {
        debug_assert!(commits.len().is_power_of_two());
        Self { positions, commits, bytes: commits.len() as u64 * UNIT }
    }

    /// The offset of a position in the ring's data.
    #[inline]
    #[must_use]
    pub const fn offset(&self, position: u64) -> u64 {
        position & (self.bytes - 1)
    }

    /// Reserves a range for a record of `bytes` bytes.
    #[inline(always)]
    pub fn reserve(&self, bytes: u64) -> Result<Slot, Refused> {
        let bytes = bytes.next_multiple_of(UNIT);
        let mut reserved = self.positions.reserved.0.load(Ordering::Acquire);
        loop {
            let done = self.positions.done.0.load(Ordering::Acquire);
            let used = reserved.wrapping_sub(done);
            if used > self.bytes || reserved > POSITION_MAX {
                // `done` may be newer than `reserved`; then the newest `reserved` tells.
                let newest = self.positions.reserved.0.load(Ordering::Acquire);
                if newest == reserved {
                    return Err(Refused::Nonsense);
                }
                reserved = newest;
                continue;
            }
            let pad = self.pad_before(reserved, bytes);
            if used + pad + bytes > self.bytes {
                return Err(Refused::Full);
            }
            let next = reserved + pad + bytes;
            match self.positions.reserved.0.compare_exchange(
                reserved,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    if pad > 0 {
                        self.store_commit(reserved, pad, PAD);
                    }
                    return Ok(Slot { position: reserved + pad, bytes });
                }
                Err(newer) => reserved = newer,
            }
        }
    }

    /// Bytes to skip so that the record does not cross the end.
    #[inline]
    const fn pad_before(&self, position: u64, bytes: u64) -> u64 {
        let rest = self.bytes - self.offset(position);
        if bytes > rest { rest } else { 0 }
    }

    /// Shows a reserved range to the node; its record must be complete.
    #[inline]
    pub fn commit(&self, slot: Slot) {
        self.store_commit(slot.position, slot.bytes, 0);
    }

    /// Shows a reserved range to the node as one that has no record.
    #[cold]
    pub fn leave_empty(&self, slot: Slot) {
        self.store_commit(slot.position, slot.bytes, PAD);
    }

    #[inline(always)]
    fn store_commit(&self, position: u64, bytes: u64, pad: u64) {
        let word = self.lap(position) << LAP_SHIFT | (bytes / UNIT) << UNITS_SHIFT | pad;
        self.commit_word(position).store(word, Ordering::Release);
    }

    /// Never zero, so that fresh memory is no commit.
    #[inline]
    const fn lap(&self, position: u64) -> u64 {
        // A shift, since this is done for every record on both sides.
        ((position >> self.bytes.trailing_zeros()) + 1) & (u64::MAX >> LAP_SHIFT)
    }

    #[inline]
    fn commit_word(&self, position: u64) -> &'a AtomicU64 {
        &self.commits[(self.offset(position) / UNIT) as usize]
    }

    /// What is at `position`, which must be a multiple of [`UNIT`].
    #[must_use]
    #[inline]
    pub fn look(&self, position: u64) -> Seen {
        let word = self.commit_word(position).load(Ordering::Acquire);
        if word >> LAP_SHIFT != self.lap(position) {
            return Seen::Nothing;
        }
        let bytes = (word >> UNITS_SHIFT & UNITS_MAX) * UNIT;
        if bytes == 0 || self.offset(position) + bytes > self.bytes {
            Seen::Nonsense
        } else if word & PAD == 0 {
            Seen::Record(bytes)
        } else {
            Seen::Pad(bytes)
        }
    }

    /// The three positions: reserved, taken, done.
    #[must_use]
    pub fn positions(&self) -> (u64, u64, u64) {
        let done = self.positions.done.0.load(Ordering::Acquire);
        let taken = self.positions.taken.0.load(Ordering::Acquire);
        (self.positions.reserved.0.load(Ordering::Acquire), taken, done)
    }

    /// Node: before the first effect of a batch that ends at `position`.
    pub fn take(&self, position: u64) {
        self.positions.taken.0.store(position, Ordering::Release);
    }

    /// Node: after the last effect of the batch; the space is the publishers' again.
    pub fn finish(&self, position: u64) {
        self.positions.done.0.store(position, Ordering::Release);
    }

    /// Node: takes up to a quarter of an empty ring out of use, from the position `at` on where it
    /// stands, so that nobody writes there while its pages are given back. `None` when a
    /// publisher was faster. [`OutRing::release`] ends it.
    #[must_use]
    pub fn withdraw(&self, at: u64) -> Option<Slot> {
        self.withdraw_bytes(at, (self.bytes / 4).min(self.bytes - self.offset(at)))
    }

    fn withdraw_bytes(&self, at: u64, bytes: u64) -> Option<Slot> {
        if self.positions.reserved.0.load(Ordering::Relaxed) != at {
            return None;
        }
        // Said before it is done: whoever takes over from a node that dies here completes it.
        self.take(at + bytes);
        let reserved = self.positions.reserved.0.compare_exchange(
            at,
            at + bytes,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if reserved.is_err() {
            self.take(at);
            return None;
        }
        self.store_commit(at, bytes, PAD);
        Some(Slot { position: at, bytes })
    }

    /// Node: the positions as an earlier node left them: reserved, taken, done. If it died while it
    /// withdrew a range, that is completed: the range is *taken* and holds no record, as a range
    /// that was taken in a batch would.
    #[must_use]
    pub fn take_over(&self) -> (u64, u64, u64) {
        let (reserved, taken, done) = self.positions();
        let began = taken > done && taken - done <= self.bytes - self.offset(done);
        if began && done % UNIT == 0 && self.look(done) == Seen::Nothing {
            if reserved < taken {
                self.take(done);
            } else {
                self.store_commit(done, taken - done, PAD);
            }
        }
        self.positions()
    }

    /// Node: whether an empty ring at `at` has worked long enough to go back, and can.
    #[inline]
    #[must_use]
    pub const fn has_worked(&self, at: u64) -> bool {
        let offset = self.offset(at);
        // A pad of more cannot be told by a commit word.
        let rest_can_be_told = self.bytes - offset <= UNITS_MAX * UNIT;
        offset >= WORKING_BYTES && rest_can_be_told && at < GOES_BACK_MAX
    }

    /// Node: goes back to the first bytes of the ring, empty at `at` where the node stands, and
    /// gives the new position. The publishers could not do it without a pad, which leaves them
    /// no more room than before it until the node has seen it. `None` when one was faster.
    #[must_use]
    pub fn go_back(&self, at: u64) -> Option<u64> {
        let skipped = self.withdraw_bytes(at, self.bytes - self.offset(at))?;
        self.release(skipped);
        Some(skipped.position + skipped.bytes)
    }

    /// Node: puts a withdrawn range behind it.
    pub fn release(&self, slot: Slot) {
        self.take(slot.position + slot.bytes);
        self.finish(slot.position + slot.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: u64 = 4 * WORKING_BYTES;

    struct Memory(Positions, Vec<AtomicU64>);

    impl Memory {
        /// A ring that is empty at `at`.
        fn empty_at(at: u64) -> Self {
            let commits = (0..RING / UNIT).map(|_| AtomicU64::new(0)).collect();
            let memory = Self(Positions::default(), commits);
            memory.0.reserved.0.store(at, Ordering::Release);
            memory.ring().release(Slot { position: at, bytes: 0 });
            memory
        }

        fn ring(&self) -> OutRing<'_> {
            OutRing::new(&self.0, &self.1)
        }
    }

    #[test]
    fn an_empty_ring_goes_back_and_all_of_it_is_free() {
        let memory = Memory::empty_at(RING + WORKING_BYTES);
        let ring = memory.ring();
        assert!(ring.has_worked(RING + WORKING_BYTES));
        assert_eq!(ring.go_back(RING + WORKING_BYTES), Some(2 * RING));
        assert_eq!(ring.positions(), (2 * RING, 2 * RING, 2 * RING));
        assert_eq!(ring.look(2 * RING), Seen::Nothing);
        assert_eq!(ring.reserve(RING), Ok(Slot { position: 2 * RING, bytes: RING }));
        assert_eq!(ring.reserve(1), Err(Refused::Full));
    }

    #[test]
    fn a_range_without_a_record_is_passed_like_a_pad() {
        let memory = Memory::empty_at(0);
        let slot = memory.ring().reserve(100).unwrap();
        assert_eq!(memory.ring().look(0), Seen::Nothing);
        memory.ring().leave_empty(slot);
        assert_eq!(memory.ring().look(0), Seen::Pad(2 * UNIT));
    }

    #[test]
    fn a_ring_that_is_not_empty_does_not_go_back() {
        let memory = Memory::empty_at(WORKING_BYTES);
        let ring = memory.ring();
        let slot = ring.reserve(1).unwrap();
        assert_eq!(ring.go_back(WORKING_BYTES), None);
        ring.commit(slot);
        assert_eq!(ring.look(WORKING_BYTES), Seen::Record(UNIT));
    }

    #[test]
    fn a_ring_goes_back_after_its_working_bytes_and_while_positions_last() {
        let memory = Memory::empty_at(0);
        let ring = memory.ring();
        for (at, worked) in [
            (0, false),
            (WORKING_BYTES - UNIT, false),
            (WORKING_BYTES, true),
            (GOES_BACK_MAX - UNIT, true),
            (GOES_BACK_MAX + WORKING_BYTES, false),
        ] {
            assert_eq!(ring.has_worked(at), worked, "at {at}");
        }
    }

    #[test]
    fn a_ring_of_the_longest_kind_goes_back_where_a_commit_word_can_tell_the_rest() {
        let positions = Positions::default();
        // Only lengths are looked at.
        let ring = OutRing { positions: &positions, commits: &[], bytes: 1 << 30 };
        assert!(!ring.has_worked(WORKING_BYTES));
        assert!(!ring.has_worked(1 << 29));
        assert!(ring.has_worked((1 << 29) + UNIT));
    }

    /// What a successor finds where a node died while it went back from `WORKING_BYTES`.
    fn left_behind(reserved: u64, taken: u64) -> Memory {
        let memory = Memory::empty_at(WORKING_BYTES);
        memory.0.reserved.0.store(reserved, Ordering::Release);
        memory.ring().take(taken);
        memory
    }

    #[test]
    fn a_node_that_died_before_it_went_back_leaves_an_empty_ring() {
        let memory = left_behind(WORKING_BYTES, RING);
        let ring = memory.ring();
        assert_eq!(ring.take_over(), (WORKING_BYTES, WORKING_BYTES, WORKING_BYTES));
        assert_eq!(ring.reserve(1).map(|slot| slot.position), Ok(WORKING_BYTES));
        assert_eq!(ring.look(WORKING_BYTES), Seen::Nothing);
    }

    #[test]
    fn a_node_that_died_before_the_pad_was_there_leaves_it_to_its_successor() {
        let memory = left_behind(RING, RING);
        let ring = memory.ring();
        let slot = ring.reserve(1).unwrap();
        ring.commit(slot);
        assert_eq!(ring.take_over(), (RING + UNIT, RING, WORKING_BYTES));
        assert_eq!(ring.look(WORKING_BYTES), Seen::Pad(RING - WORKING_BYTES));
        assert_eq!(ring.look(RING), Seen::Record(UNIT));
    }

    #[test]
    fn a_batch_that_was_taken_is_left_as_it_is() {
        let memory = Memory::empty_at(WORKING_BYTES);
        let ring = memory.ring();
        let slot = ring.reserve(1).unwrap();
        ring.commit(slot);
        ring.take(WORKING_BYTES + UNIT);
        let left = (WORKING_BYTES + UNIT, WORKING_BYTES + UNIT, WORKING_BYTES);
        assert_eq!(ring.take_over(), left);
        assert_eq!(ring.look(WORKING_BYTES), Seen::Record(UNIT));
    }

    #[test]
    fn positions_that_make_no_sense_are_left_as_they_are() {
        for (taken, done) in [(RING, 1), (0, WORKING_BYTES), (9 * RING, 0), (u64::MAX, 0)] {
            let memory = Memory::empty_at(done);
            memory.ring().take(taken);
            assert_eq!(memory.ring().take_over(), (done, taken, done));
        }
    }

    #[test]
    fn what_a_node_skipped_before_it_died_is_a_pad_to_its_successor() {
        let memory = Memory::empty_at(WORKING_BYTES);
        let ring = memory.ring();
        let rest = RING - WORKING_BYTES;
        assert!(ring.withdraw_bytes(WORKING_BYTES, rest).is_some());
        assert_eq!(ring.look(WORKING_BYTES), Seen::Pad(rest));
    }
}
