//! The outbox of a process: four rings towards its node in one sealed memory.
//!
//! The memory is made by the node and kept by the agent, so that a node that is started again
//! finds what was published meanwhile. Layout, version 1: one page of header, the commit words of
//! the four rings, the data of the four rings.

use super::bell::Bell;
use super::outring::{OutRing, Positions, Slot, UNIT};
use super::record::{OUT_HEADER, OutHeader};
use super::shared::{self, HEADER};
use super::sync::{AtomicU32, AtomicU64, Line, Ordering};
use crate::evt::Priority;
use crate::sys::memory::{self, Mapping};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

const LEVELS: usize = Priority::LEVELS;

/// What both sides share beside the rings.
#[repr(C)]
struct Header {
    positions: [Positions; LEVELS],
    node_bell: Line<AtomicU32>,
    credit: Line<AtomicU64>,
    block: Line<AtomicU64>,
    rights: Line<AtomicU64>,
    membership: Line<AtomicU32>,
    segment: Line<AtomicU64>,
}

const _: () = assert!(size_of::<Header>() <= HEADER);

/// Retention credit in one word: events above, bytes in units of 64 below.
const CREDIT_SHIFT: u32 = 40;
const CREDIT_UNITS: u64 = (1 << CREDIT_SHIFT) - 1;

/// One side's view of an outbox.
#[derive(Debug)]
pub struct Outbox {
    mapping: Mapping,
    ring_bytes: usize,
    /// Where the data of each ring begin.
    starts: [usize; LEVELS],
}

impl Outbox {
    /// Bytes of the memory for rings of `ring_bytes` each.
    #[must_use]
    pub const fn memory_bytes(ring_bytes: usize) -> usize {
        HEADER + LEVELS * (ring_bytes / UNIT as usize * 8 + ring_bytes)
    }

    /// One with a record at its beginning that has these data and no attributes, for tests.
    #[cfg(test)]
    pub(crate) fn with_record(data: &[u8]) -> Self {
        let (_, outbox) = Self::create(1 << 17).expect("memory for a test");
        let header = OutHeader {
            instance: 1,
            id: 2000,
            publish_time: 0,
            retention: 0,
            attributes_bytes: 0,
            data_bytes: data.len() as u32,
        };
        let ring = outbox.ring(Priority::LOWEST);
        let slot = ring.reserve(header.record_bytes()).expect("an empty ring has room");
        outbox.write(Priority::LOWEST, slot, &header, &[], data);
        outbox
    }

    /// Node: makes the memory and its view of it.
    pub fn create(ring_bytes: usize) -> io::Result<(OwnedFd, Self)> {
        let memory = memory::sealed(c"saevt-outbox", Self::memory_bytes(ring_bytes))?;
        let outbox = Self::open(std::os::fd::AsFd::as_fd(&memory), ring_bytes)?;
        Ok((memory, outbox))
    }

    /// Node: a view of memory that a program brings back. Its rings may have another length than
    /// this node would give them.
    pub fn reopen(memory: BorrowedFd<'_>) -> io::Result<Self> {
        Self::open(memory, shared::ring_bytes_of(memory, Self::memory_bytes)?)
    }

    /// Either side: a view of memory that came by descriptor, after checking what it is.
    pub fn open(memory: BorrowedFd<'_>, ring_bytes: usize) -> io::Result<Self> {
        let mapping = shared::map(memory, ring_bytes, Self::memory_bytes)?;
        let words = LEVELS * (ring_bytes / UNIT as usize) * 8;
        let starts = std::array::from_fn(|index| HEADER + words + index * ring_bytes);
        Ok(Self { mapping, ring_bytes, starts })
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, longer than a header, and all of a header are
        // atomics, for which every bit pattern is a value.
        unsafe { self.mapping.start().cast::<Header>().as_ref() }
    }

    /// Bytes of each ring.
    #[must_use]
    pub const fn ring_bytes(&self) -> u64 {
        self.ring_bytes as u64
    }

    /// The ring of a priority.
    #[inline]
    #[must_use]
    pub fn ring(&self, priority: Priority) -> OutRing<'_> {
        let words = self.ring_bytes / UNIT as usize;
        let offset = HEADER + priority.index() * words * 8;
        // SAFETY: the offset is inside the mapping, before the data of the rings.
        let start = unsafe { self.mapping.start().add(offset) };
        // SAFETY: `words` atomics lie there, aligned to eight bytes, and live as the mapping does.
        let commits =
            unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>().as_ptr(), words) };
        OutRing::new(&self.header().positions[priority.index()], commits)
    }

    #[inline]
    fn data_offset(&self, priority: Priority, ring_offset: u64) -> usize {
        self.starts[priority.index()] + ring_offset as usize
    }

    #[inline(always)]
    fn data(&self, priority: Priority, position: u64, bytes: usize) -> *mut u8 {
        let ring_offset = position & (self.ring_bytes as u64 - 1);
        assert!(ring_offset as usize + bytes <= self.ring_bytes, "records are contiguous");
        // SAFETY: the assertion keeps the address inside the ring's part of the mapping.
        unsafe { self.mapping.start().add(self.data_offset(priority, ring_offset)) }.as_ptr()
    }

    /// Agent: writes one record into a reserved range.
    #[inline(always)]
    pub fn write(
        &self,
        priority: Priority,
        slot: Slot,
        header: &OutHeader,
        attributes: &[u8],
        data: &[u8],
    ) {
        let bytes = OUT_HEADER + attributes.len() + data.len();
        let to = self.data(priority, slot.position, bytes);
        // SAFETY: `to` has room for the whole record, which begins with the header. The range is
        // this thread's alone until it is committed.
        unsafe { to.cast::<[u8; OUT_HEADER]>().write_unaligned(header.encode()) };
        // SAFETY: still inside the record.
        let to = unsafe { to.add(OUT_HEADER) };
        // SAFETY: `to` has room for what is left of the record; shared memory never overlaps the
        // program's own.
        unsafe { shared::copy_by_call(attributes.as_ptr(), to, attributes.len()) };
        // SAFETY: at most the end of the record.
        let to = unsafe { to.add(attributes.len()) };
        // SAFETY: as for the attributes.
        unsafe { shared::copy_by_call(data.as_ptr(), to, data.len()) };
    }

    /// Node: copies the header of the record at `position`. It is judged after the copy, since
    /// the program can change the original at any time.
    #[must_use]
    pub fn read_header(&self, priority: Priority, position: u64) -> OutHeader {
        let from = self.data(priority, position, OUT_HEADER);
        // SAFETY: `from` has room for a header inside the ring, where records begin at words.
        let words = unsafe { shared::copy_words::<{ OUT_HEADER / 8 }>(from) };
        let mut encoded = [0; OUT_HEADER];
        encoded.copy_from_slice(words.as_flattened());
        OutHeader::decode(&encoded)
    }

    /// Node: copies `to.len()` bytes of the record at `position`, from `skip` on.
    #[inline]
    pub fn read(&self, priority: Priority, position: u64, skip: usize, to: &mut [u8]) {
        let from = self.data(priority, position + skip as u64, to.len());
        // SAFETY: `from` is inside the ring; `to` is the node's own memory. The program may write
        // there meanwhile: then the bytes are a mixture, which the judge of the copy refuses or
        // which only the misbehaving program's own event shows.
        unsafe { shared::copy(from, to.as_mut_ptr(), to.len()) };
    }

    /// The word by which the node says that it sleeps.
    #[must_use]
    pub fn node_bell(&self) -> Bell<'_> {
        Bell(&self.header().node_bell.0)
    }

    /// Node: offers a block of event identifiers by its first one, in place of what is on offer.
    pub fn offer_block(&self, first: u64) {
        self.header().block.0.store(first, Ordering::Release);
    }

    /// The block on offer; 0 for none. It stays on offer.
    #[must_use]
    pub fn offered_block(&self) -> u64 {
        self.header().block.0.load(Ordering::Acquire)
    }

    /// Takes the block on offer; 0 for none.
    #[must_use]
    pub fn take_block(&self) -> u64 {
        self.header().block.0.swap(0, Ordering::AcqRel)
    }

    /// How often the node has changed what open instances of the program may do. Zero: never, so
    /// that each may do all that it was opened for. Nodes and agents of before this word leave it.
    #[must_use]
    pub fn rights(&self) -> u64 {
        self.header().rights.0.load(Ordering::Acquire)
    }

    /// Node: has changed what an open instance may do.
    pub fn change_rights(&self) {
        self.header().rights.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts how often the node has left its cluster or come back: odd while it is outside. A node
    /// without a cluster never changes it.
    #[inline]
    #[must_use]
    pub fn membership(&self) -> u32 {
        self.header().membership.0.load(Ordering::Acquire)
    }

    /// Node: says whether it is outside its cluster; true if that has changed.
    pub fn set_outside(&self, outside: bool) -> bool {
        let changed = (self.membership() % 2 == 1) != outside;
        if changed {
            self.header().membership.0.fetch_add(1, Ordering::AcqRel);
        }
        changed
    }

    /// The number of the segment that the program has mapped; 0 for none.
    #[must_use]
    pub fn mapped_segment(&self) -> u64 {
        self.header().segment.0.load(Ordering::Acquire)
    }

    /// Agent: says which segment is mapped. The node looks when a library handle is opened.
    pub fn note_segment(&self, number: u64) {
        self.header().segment.0.store(number, Ordering::Release);
    }

    /// Agent: takes credit for one retained event of `bytes` bytes; false if there is not enough.
    #[must_use]
    pub fn spend_credit(&self, bytes: u64) -> bool {
        let price = 1 << CREDIT_SHIFT | bytes.div_ceil(UNIT);
        let word = &self.header().credit.0;
        let mut credit = word.load(Ordering::Acquire);
        loop {
            let enough =
                credit >> CREDIT_SHIFT >= 1 && credit & CREDIT_UNITS >= price & CREDIT_UNITS;
            if !enough {
                return false;
            }
            match word.compare_exchange(credit, credit - price, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(newer) => credit = newer,
            }
        }
    }

    /// Adds credit for `events` events of `bytes` bytes together: the node's grants, or what the
    /// agent spent on a publication that then had no room.
    pub fn add_credit(&self, events: u64, bytes: u64) {
        let word = (events << CREDIT_SHIFT) | (bytes / UNIT);
        self.header().credit.0.fetch_add(word, Ordering::AcqRel);
    }

    /// Node: takes all credit back that has not been spent: events and bytes.
    pub fn take_credit(&self) -> (u64, u64) {
        let credit = self.header().credit.0.swap(0, Ordering::AcqRel);
        (credit >> CREDIT_SHIFT, (credit & CREDIT_UNITS) * UNIT)
    }

    /// Node: gives the pages of an empty ring back, a quarter at a time; publishers go on in the
    /// rest meanwhile. `at` is the node's own note of where it stands; gives the new one.
    #[must_use]
    pub fn give_back(&self, priority: Priority, mut at: u64) -> u64 {
        let ring = self.ring(priority);
        for _ in 0..LEVELS {
            let Some(slot) = ring.withdraw(at) else { break };
            let offset = ring.offset(slot.position);
            self.mapping.give_back(self.data_offset(priority, offset), slot.bytes as usize);
            ring.release(slot);
            at = slot.position + slot.bytes;
        }
        at
    }
}

/// Bytes of a record in an outbox: `bytes` of them, `skip` behind the record's beginning.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Whose.
    pub outbox: &'a Outbox,
    /// Which ring.
    pub priority: Priority,
    /// Where the record begins.
    pub position: u64,
    /// How far in.
    pub skip: usize,
    /// How many.
    pub bytes: usize,
}

impl Place<'_> {
    /// Copies the bytes straight to `to`.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `self.bytes` bytes and is not in the same outbox.
    #[inline]
    pub(super) unsafe fn copy_out(&self, to: *mut u8) {
        let from = self.outbox.data(self.priority, self.position + self.skip as u64, self.bytes);
        // SAFETY: `from` is inside the ring, and the caller answers for `to`.
        unsafe { shared::copy(from, to, self.bytes) };
    }

    /// Copies the bytes to the end of `into`, which has room for them.
    pub fn append_to(&self, into: &mut Vec<u8>) {
        let start = into.len();
        assert!(into.capacity() - start >= self.bytes, "the caller has made room");
        let to = into.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `to` has room for the bytes and is not shared.
        unsafe { self.copy_out(to) };
        // SAFETY: so many bytes have just been written behind `start`.
        unsafe { into.set_len(start + self.bytes) };
    }
}
