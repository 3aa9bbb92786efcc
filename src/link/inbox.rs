//! The inbox of a library handle: four rings from its node in one sealed memory.
//!
//! Layout, version 1: one page of header, the data of the four rings.

use super::bell::Bell;
use super::inring::{InRing, Positions, Room, UNIT};
use super::outbox::Place;
use super::part::Part;
use super::record::{IN_HEADER, InHeader, InKind, REFERENCE, Reference};
use super::shared::{self, HEADER};
use super::sync::{AtomicU32, Line, Ordering};
use crate::evt::Priority;
use crate::sys::memory::{self, Mapping};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const LEVELS: usize = Priority::LEVELS;

#[repr(C)]
struct Header {
    positions: [Positions; LEVELS],
    agent_bell: Line<AtomicU32>,
    backlog: Line<AtomicU32>,
    wants_room: Line<AtomicU32>,
}

const _: () = assert!(size_of::<Header>() <= HEADER);

/// One side's view of an inbox.
#[derive(Debug)]
pub struct Inbox {
    mapping: Mapping,
    ring_bytes: usize,
}

impl Inbox {
    /// Bytes of each ring.
    #[must_use]
    pub const fn ring_bytes(&self) -> u64 {
        self.ring_bytes as u64
    }

    /// Bytes of the memory for rings of `ring_bytes` each.
    #[must_use]
    pub const fn memory_bytes(ring_bytes: usize) -> usize {
        HEADER + LEVELS * ring_bytes
    }

    /// Node: makes the memory and its view of it.
    pub fn create(ring_bytes: usize) -> io::Result<(OwnedFd, Self)> {
        let memory = memory::sealed(c"saevt-inbox", Self::memory_bytes(ring_bytes))?;
        let inbox = Self::open(memory.as_fd(), ring_bytes)?;
        Ok((memory, inbox))
    }

    /// Node: a view of memory that a program brings back. Its rings may have another length than
    /// this node would give them.
    pub fn reopen(memory: BorrowedFd<'_>) -> io::Result<Self> {
        Self::open(memory, shared::ring_bytes_of(memory, Self::memory_bytes)?)
    }

    /// Either side: a view of memory that came by descriptor, after checking what it is.
    pub fn open(memory: BorrowedFd<'_>, ring_bytes: usize) -> io::Result<Self> {
        Ok(Self { mapping: shared::map(memory, ring_bytes, Self::memory_bytes)?, ring_bytes })
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, longer than a header, and all of a header are
        // atomics, for which every bit pattern is a value.
        unsafe { self.mapping.start().cast::<Header>().as_ref() }
    }

    /// The ring of a priority.
    #[inline]
    #[must_use]
    pub fn ring(&self, priority: Priority) -> InRing<'_> {
        InRing::new(&self.header().positions[priority.index()], self.ring_bytes as u64)
    }

    #[inline]
    fn data_offset(&self, priority: Priority, ring_offset: u64) -> usize {
        HEADER + priority.index() * self.ring_bytes + ring_offset as usize
    }

    #[inline]
    fn data(&self, priority: Priority, position: u64, bytes: usize) -> *mut u8 {
        let ring_offset = position & (self.ring_bytes as u64 - 1);
        assert!(ring_offset as usize + bytes <= self.ring_bytes, "records are contiguous");
        // SAFETY: the assertion keeps the address inside the ring's part of the mapping.
        unsafe { self.mapping.start().add(self.data_offset(priority, ring_offset)) }.as_ptr()
    }

    /// Node: writes a record, after the pad it needs. It is seen only once it is shown.
    #[inline(always)]
    pub fn write(
        &self,
        priority: Priority,
        room: Room,
        header: &InHeader,
        attributes: &[u8],
        data: Source<'_>,
    ) {
        let (pad, pad_bytes) = room.pad;
        if pad_bytes > 0 {
            self.store(priority, pad, &InHeader::first_word(InKind::Pad, pad_bytes as u32));
        }
        let bytes = IN_HEADER + attributes.len() + data.bytes();
        let to = self.data(priority, room.position, bytes);
        // SAFETY: `to` has room for the whole record, which begins with the header.
        unsafe { to.cast::<[u8; IN_HEADER]>().write_unaligned(header.encode()) };
        // SAFETY: still inside the record.
        let to = unsafe { to.add(IN_HEADER) };
        // SAFETY: `to` has room for what is left of the record; the attributes are the node's own.
        unsafe { shared::copy(attributes.as_ptr(), to, attributes.len()) };
        // SAFETY: at most the end of the record.
        let to = unsafe { to.add(attributes.len()) };
        match data {
            // SAFETY: as for the attributes.
            Source::Bytes(bytes) => unsafe { shared::copy(bytes.as_ptr(), to, bytes.len()) },
            // SAFETY: `to` has room for the data, and is in an inbox.
            Source::Outbox(place) => unsafe { place.copy_out(to) },
        }
    }

    fn store(&self, priority: Priority, position: u64, bytes: &[u8]) {
        let to = self.data(priority, position, bytes.len());
        // SAFETY: `to` has room for the bytes inside the ring; `bytes` is this process's own.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Agent: the highest priority, from `first` on, at which something is there after the
    /// position for it in `at`; their number if there is none.
    #[inline]
    #[must_use]
    pub fn first_there(&self, first: usize, at: &[u64; LEVELS]) -> usize {
        let positions = &self.header().positions;
        let there =
            |level: &usize| positions[*level].written.0.load(Ordering::Acquire) != at[*level];
        (first..LEVELS).find(there).unwrap_or(LEVELS)
    }

    /// Agent: whether a record is at `position`, and no pad; its header comes to `header`. Of
    /// everything else [`Inbox::next`] tells what it is.
    #[inline(always)]
    #[must_use]
    pub fn record_at(&self, priority: Priority, position: u64, header: &mut InHeader) -> bool {
        let there = self.ring(priority).written().wrapping_sub(position);
        let rest = self.ring(priority).rest(position).min(there);
        if there > self.ring_bytes as u64
            || rest < IN_HEADER as u64
            || !(there | position).is_multiple_of(UNIT)
        {
            return false;
        }
        match InHeader::decode(&self.load_header(priority, position)) {
            Some(found) if found.kind != InKind::Pad && is_whole(&found, priority, rest) => {
                *header = found;
                true
            }
            _ => false,
        }
    }

    /// Agent: the next record of a priority after `position`, behind a pad if there is one: its
    /// position and header. `None` when nothing is there.
    ///
    /// # Errors
    ///
    /// [`Nonsense`] when the node's record cannot be.
    pub fn next(
        &self,
        priority: Priority,
        mut position: u64,
    ) -> Result<Option<(u64, InHeader)>, Nonsense> {
        let mut header = InHeader::default();
        // A node that goes on writing pads must not keep us.
        let end = self.ring(priority).written();
        while !self.record_at(priority, position, &mut header) {
            let there = end.wrapping_sub(position);
            if there == 0 {
                return Ok(None);
            }
            position += self.pad_at(priority, position, there)?;
        }
        Ok(Some((position, header)))
    }

    /// The length of the pad at `position`, one of the `there` bytes that follow. Only its first
    /// eight bytes need exist.
    #[cold]
    fn pad_at(&self, priority: Priority, position: u64, there: u64) -> Result<u64, Nonsense> {
        if there > self.ring_bytes as u64 || !(there | position).is_multiple_of(UNIT) {
            return Err(Nonsense);
        }
        let mut encoded = [0; IN_HEADER];
        let from = self.data(priority, position, UNIT as usize);
        // SAFETY: `from` has room for a first word inside the ring.
        let [word] = unsafe { shared::copy_words(from) };
        encoded[..UNIT as usize].copy_from_slice(&word);
        let (bytes, kind) = InHeader::first_of(&encoded);
        let rest = self.ring(priority).rest(position).min(there);
        let is_pad = kind == Some(InKind::Pad)
            && (UNIT..=rest).contains(&bytes)
            && bytes.is_multiple_of(UNIT);
        if is_pad { Ok(bytes) } else { Err(Nonsense) }
    }

    #[inline]
    fn load_header(&self, priority: Priority, position: u64) -> [u8; IN_HEADER] {
        let from = self.data(priority, position, IN_HEADER);
        // SAFETY: `from` has room for a header inside the ring, where records begin at words.
        let words = unsafe { shared::copy_words::<{ IN_HEADER / 8 }>(from) };
        let mut encoded = [0; IN_HEADER];
        encoded.copy_from_slice(words.as_flattened());
        encoded
    }

    #[inline]
    fn load(&self, priority: Priority, position: u64, to: &mut [u8]) {
        let from = self.data(priority, position, to.len());
        // SAFETY: `from` is inside the ring, and `to` is this process's own memory.
        unsafe { shared::copy_by_call(from, to.as_mut_ptr(), to.len()) };
    }

    /// Agent: copies what follows the header of a record: `to.len()` bytes.
    pub fn read_content(&self, priority: Priority, position: u64, to: &mut [u8]) {
        self.load(priority, position + IN_HEADER as u64, to);
    }

    /// Agent: the reference that a record with this header is about; `None` if it has none.
    #[must_use]
    pub fn reference(
        &self,
        priority: Priority,
        position: u64,
        header: &InHeader,
    ) -> Option<Reference> {
        let mut encoded = [0; REFERENCE];
        if header.data_bytes as usize != REFERENCE {
            return None;
        }
        let skip = IN_HEADER as u64 + u64::from(header.attributes_bytes);
        self.load(priority, position + skip, &mut encoded);
        Some(Reference::decode(&encoded))
    }

    /// Agent: a part of what follows the header of a record: `bytes` bytes after `skip` of them.
    #[inline]
    #[must_use]
    pub fn part(&self, priority: Priority, position: u64, skip: u32, bytes: u32) -> Part<'_> {
        let position = position + IN_HEADER as u64 + u64::from(skip);
        let from = self.data(priority, position, bytes as usize);
        // SAFETY: so many bytes are inside the ring, and the mapping is not given up before `self`.
        unsafe { Part::new(from, bytes as usize) }
    }

    /// Agent: writes the changed header of an unread record back: another subscription, or
    /// withdrawn.
    pub fn rewrite(&self, priority: Priority, position: u64, header: &InHeader) {
        self.store(priority, position, &header.encode());
    }

    /// The word by which the agent says that it sleeps.
    #[must_use]
    pub fn agent_bell(&self) -> Bell<'_> {
        Bell(&self.header().agent_bell.0)
    }

    /// Node: says at which priorities it holds more for this handle than the window does: bit `p`
    /// is priority `p`.
    pub fn set_backlog(&self, levels: u8) {
        self.header().backlog.0.store(u32::from(levels), Ordering::SeqCst);
    }

    /// Whether the node holds more at any priority, or held more when it died.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.header().backlog.0.load(Ordering::SeqCst) != 0
    }

    /// Whether the node holds more at any of the `levels` highest priorities.
    #[inline]
    #[must_use]
    pub fn has_backlog_above(&self, levels: usize) -> bool {
        self.header().backlog.0.load(Ordering::Acquire) & ((1 << levels) - 1) != 0
    }

    /// The word by which the node says that it waits for room: the agent rings after it has read.
    #[must_use]
    pub fn room_bell(&self) -> Bell<'_> {
        Bell(&self.header().wants_room.0)
    }

    /// Node: gives the pages of a window that is empty up to `tail`, where the node stands, back to
    /// the system.
    pub fn give_back(&self, priority: Priority, tail: u64) {
        if self.ring(priority).read() == tail {
            self.mapping.give_back(self.data_offset(priority, 0), self.ring_bytes);
        }
    }
}

/// Whether the record with this header, which is what it says inside, is one of a ring of this
/// priority and ends within `rest` bytes.
#[inline(always)]
fn is_whole(header: &InHeader, priority: Priority, rest: u64) -> bool {
    let bytes = u64::from(header.bytes);
    bytes <= rest && bytes.is_multiple_of(UNIT) && header.priority as usize == priority.index()
}

/// Where the data of a record come from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The node's memory.
    Bytes(&'a [u8]),
    /// Straight from the publisher's outbox.
    Outbox(Place<'a>),
}

impl Source<'_> {
    /// How many bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Outbox(place) => place.bytes,
        }
    }
}

/// The node has written what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonsense;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const RING: usize = 1 << 12;
    const HIGHEST: Priority = Priority::HIGHEST;

    fn header(bytes: u32, priority: Priority) -> InHeader {
        let priority = priority.index() as u32;
        InHeader { bytes, kind: InKind::Event, priority, ..InHeader::default() }
    }

    /// Writes the header of a record, or the first word of a pad, at `position`.
    fn put(inbox: &Inbox, position: u64, header: &InHeader) {
        match header.kind {
            InKind::Pad => {
                let word = InHeader::first_word(InKind::Pad, header.bytes);
                inbox.store(HIGHEST, position, &word);
            }
            _ => inbox.store(HIGHEST, position, &header.encode()),
        }
    }

    fn pad(bytes: u32) -> InHeader {
        InHeader { bytes, kind: InKind::Pad, ..InHeader::default() }
    }

    /// An inbox with these at these positions, and `written` up to there.
    fn inbox(records: &[(u64, InHeader)], written: u64) -> Inbox {
        let (_, inbox) = Inbox::create(RING).unwrap();
        records.iter().for_each(|(position, header)| put(&inbox, *position, header));
        inbox.ring(HIGHEST).show(written);
        inbox
    }

    #[test]
    fn a_record_is_found_at_its_place_and_behind_pads() {
        let record = header(128, HIGHEST);
        let inbox = inbox(&[(0, pad(8)), (8, pad(64)), (72, record)], 200);
        let mut found = InHeader::default();
        assert!(inbox.record_at(HIGHEST, 72, &mut found));
        assert_eq!(found, record);
        assert!(!inbox.record_at(HIGHEST, 0, &mut found), "a pad");
        assert!(!inbox.record_at(HIGHEST, 200, &mut found), "nothing");
        for position in [0, 8, 72] {
            assert_eq!(inbox.next(HIGHEST, position), Ok(Some((72, record))));
        }
        assert_eq!(inbox.next(HIGHEST, 200), Ok(None));
        assert_eq!(inbox.next(Priority::LOWEST, 0), Ok(None));
    }

    #[test]
    fn pads_that_nothing_follows_are_passed() {
        let length = RING as u64;
        let inbox = inbox(&[(length - 8, pad(8))], length);
        assert_eq!(inbox.next(HIGHEST, length - 8), Ok(None));
    }

    #[test]
    fn what_cannot_be_a_record_is_none() {
        let fine = header(128, HIGHEST);
        let data_bytes = 65;
        for (header, written, why) in [
            (header(128, Priority::LOWEST), 128, "another priority"),
            (header(136, HIGHEST), 128, "longer than what is there"),
            (header(124, HIGHEST), 128, "no multiple of eight"),
            (InHeader { data_bytes, ..fine }, 128, "shorter than its data"),
            (fine, 120, "not all there"),
            (fine, 32, "not even a header there"),
            (fine, 127, "no multiple of eight there"),
            (fine, RING as u64 + 128, "more than a ring there"),
            (pad(136), 128, "a pad longer than what is there"),
            (pad(12), 128, "a pad of no multiple of eight"),
            (pad(0), 128, "a pad of nothing"),
        ] {
            let inbox = inbox(&[(0, header)], written);
            assert!(!inbox.record_at(HIGHEST, 0, &mut InHeader::default()), "{why}");
            assert_eq!(inbox.next(HIGHEST, 0), Err(Nonsense), "{why}");
        }
    }
}
