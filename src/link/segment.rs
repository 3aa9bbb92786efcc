//! The segment: payloads that several windows refer to, in one memory that the node alone writes.
//!
//! Layout, version 1: slots of [`SLOT_BYTES`] each. Which of them hold what is the node's own
//! business; a program knows of a payload by the reference in its window.

use super::outbox::Place;
use super::part::Part;
use crate::sys::memory::{self, Mapping};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Bytes of a slot, and of the largest payload that is shared: the default of `event_bytes_max`.
pub const SLOT_BYTES: usize = 64 << 10;
/// The most slots a segment can have: 64 MiB.
pub const SLOTS_MAX: usize = 1024;

/// The node's side: the one mapping of a segment that can write.
#[derive(Debug)]
pub struct Segment {
    mapping: Mapping,
}

impl Segment {
    /// Makes the memory and the mapping.
    ///
    /// # Errors
    ///
    /// Also when the kernel cannot forbid others to write, before Linux 5.1.
    pub fn create(slots: usize) -> io::Result<(OwnedFd, Self)> {
        let (memory, mapping) = memory::published(c"saevt-segment", slots * SLOT_BYTES)?;
        Ok((memory, Self { mapping }))
    }

    /// Where a slot begins.
    #[must_use]
    pub const fn offset(slot: usize) -> usize {
        slot * SLOT_BYTES
    }

    fn start(&self, slot: usize, bytes: usize) -> *mut u8 {
        let offset = Self::offset(slot);
        assert!(bytes <= SLOT_BYTES && offset + SLOT_BYTES <= self.mapping.bytes());
        // SAFETY: the assertion keeps the slot inside the mapping.
        unsafe { self.mapping.start().add(offset) }.as_ptr()
    }

    /// Copies the data of a publication from its outbox to a slot.
    pub fn fill(&mut self, slot: usize, place: &Place<'_>) {
        let to = self.start(slot, place.bytes);
        // SAFETY: `to` has room for so many bytes, and is no part of an outbox.
        unsafe { place.copy_out(to) };
    }

    /// The first bytes of a slot.
    #[must_use]
    pub fn bytes(&self, slot: usize, bytes: usize) -> &[u8] {
        let from = self.start(slot, bytes);
        // SAFETY: so many bytes are there, and nobody writes to them: other processes cannot, and
        // this one needs `&mut self`.
        unsafe { std::slice::from_raw_parts(from, bytes) }
    }

    /// Makes the first bytes of a slot zero.
    pub fn erase(&mut self, slot: usize, bytes: usize) {
        let to = self.start(slot, bytes);
        // SAFETY: so many bytes are there, and no slice of them while `&mut self` is held.
        unsafe { to.write_bytes(0, bytes) };
    }
}

/// A program's view of a segment.
#[derive(Debug)]
pub struct SegmentView {
    mapping: Mapping,
    number: u64,
}

impl SegmentView {
    /// A view of memory that came by descriptor, after checking what it is.
    pub fn open(memory: BorrowedFd<'_>, number: u64) -> io::Result<Self> {
        let bytes = memory::bytes_of(memory)?;
        let slots = bytes / SLOT_BYTES;
        if !bytes.is_multiple_of(SLOT_BYTES) || !(1..=SLOTS_MAX).contains(&slots) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        memory::check_published(memory, bytes)?;
        Ok(Self { mapping: Mapping::to_read(memory, bytes)?, number })
    }

    /// Which segment it is.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What a reference to this segment is about; `None` if that is not all inside.
    #[inline]
    #[must_use]
    pub fn part(&self, offset: u32, bytes: u32) -> Option<Part<'_>> {
        let (offset, bytes) = (offset as usize, bytes as usize);
        let whole = self.mapping.bytes();
        if offset > whole || bytes > whole - offset {
            return None;
        }
        // SAFETY: at most the end of the mapping, as just seen.
        let from = unsafe { self.mapping.start().add(offset) };
        // SAFETY: so many bytes follow, and the mapping is not given up before `self`.
        Some(unsafe { Part::new(from.as_ptr(), bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::Priority;
    use crate::link::outbox::Outbox;
    use std::os::fd::AsFd;

    fn place(outbox: &Outbox, bytes: usize) -> Place<'_> {
        let skip = crate::link::record::OUT_HEADER;
        Place { outbox, priority: Priority::LOWEST, position: 0, skip, bytes }
    }

    #[test]
    fn what_the_node_writes_a_program_reads() {
        let (memory, mut segment) = Segment::create(3).unwrap();
        let view = SegmentView::open(memory.as_fd(), 7).unwrap();
        let data: Vec<u8> = (0..SLOT_BYTES).map(|at| ((at * 31) >> 3) as u8).collect();
        segment.fill(1, &place(&Outbox::with_record(&data), SLOT_BYTES));
        assert_eq!((segment.bytes(1, SLOT_BYTES), view.number()), (data.as_slice(), 7));
        let offset = Segment::offset(1) as u32 + 100;
        let mut read = Vec::with_capacity(500);
        view.part(offset, 500).unwrap().append_to(&mut read);
        assert_eq!(read, data[100..600]);
        segment.erase(1, 300);
        let mut again = Vec::with_capacity(250);
        view.part(offset, 250).unwrap().append_to(&mut again);
        assert_eq!((&again[..200], &again[200..]), ([0; 200].as_slice(), &data[300..350]));
    }

    #[test]
    fn nobody_else_can_write_and_nothing_can_be_cut_off() {
        let (memory, _segment) = Segment::create(1).unwrap();
        assert!(Mapping::new(memory.as_fd(), SLOT_BYTES).is_err(), "mapped for writing");
        let file = std::fs::File::from(memory.try_clone().unwrap());
        assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
        assert!(std::os::unix::fs::FileExt::write_at(&file, b"x", 0).is_err());
    }

    #[test]
    fn other_memory_is_no_segment() {
        let other = memory::sealed(c"other", SLOT_BYTES).unwrap();
        assert!(SegmentView::open(other.as_fd(), 1).is_err(), "others could write to it");
        let (odd, _mapping) = memory::published(c"odd", SLOT_BYTES + 4096).unwrap();
        assert!(SegmentView::open(odd.as_fd(), 1).is_err());
        let (empty, _mapping) = memory::published(c"long", (SLOTS_MAX + 1) * SLOT_BYTES).unwrap();
        assert!(SegmentView::open(empty.as_fd(), 1).is_err());
        let pair = crate::sys::descriptor::eventfd().unwrap();
        assert!(SegmentView::open(pair.as_fd(), 1).is_err());
    }

    #[test]
    fn a_part_is_inside_the_segment_or_it_is_not_there() {
        let (memory, _segment) = Segment::create(2).unwrap();
        let view = SegmentView::open(memory.as_fd(), 1).unwrap();
        let has = |offset, bytes| view.part(offset, bytes).is_some();
        let all = 2 * SLOT_BYTES as u32;
        assert!(has(0, all) && has(all - 1, 1) && has(all, 0));
        assert!(!has(0, all + 1) && !has(all, 1) && !has(all + 1, 0));
        assert!(!has(u32::MAX, 1) && !has(u32::MAX, u32::MAX) && !has(1, u32::MAX));
    }
}
