//! One ring of an inbox: the node writes, one thread of the program at a time reads.
//!
//! Records are multiples of eight bytes and contiguous: what would cross the end is preceded by a
//! pad. `written` is stored after the record, `read` after it was taken out.

use super::POSITION_MAX;
use super::outring::{GOES_BACK_MAX, WORKING_BYTES};
use super::sync::{AtomicU64, Line, Ordering};

/// Records are multiples of this many bytes.
pub const UNIT: u64 = 8;
/// How often in a row a look finds the ring empty before it goes back. A reader that is ever found
/// behind would find too little room: what is in front of the pad stays taken until it has passed.
const CALM_LOOKS: u32 = 8;

/// The positions of one ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Positions {
    /// Up to where records are complete; moved by the node.
    pub written: Line<AtomicU64>,
    /// Up to where they have been taken out; moved by the program.
    pub read: Line<AtomicU64>,
}

/// Where the node may write next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Position of a pad to write first, and its length; length 0 for none.
    pub pad: (u64, u64),
    /// Position of the record.
    pub position: u64,
}

/// The reader, as the node knows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reader {
    /// Where it was when the node last looked.
    read: u64,
    /// How often in a row it had read everything then.
    calm: u32,
    /// The last pad before it: position and bytes.
    pad: (u64, u64),
}

impl Reader {
    /// A reader that has read up to `read`.
    #[must_use]
    pub const fn at(read: u64) -> Self {
        Self { read, calm: 0, pad: (0, 0) }
    }
}

/// One ring of `bytes` bytes, a power of two.
#[derive(Debug, Clone, Copy)]
pub struct InRing<'a> {
    positions: &'a Positions,
    bytes: u64,
}

impl<'a> InRing<'a> {
    /// A ring on these positions.
    #[inline]
    #[must_use]
    pub const fn new(positions: &'a Positions, bytes: u64) -> Self {
        Self { positions, bytes }
    }

    /// The offset of a position in the ring's data.
    #[inline]
    #[must_use]
    pub const fn offset(&self, position: u64) -> u64 {
        position & (self.bytes - 1)
    }

    /// Bytes from a position to the end of the ring.
    #[inline]
    #[must_use]
    pub const fn rest(&self, position: u64) -> u64 {
        self.bytes - self.offset(position)
    }

    /// Node: room for a record of `bytes` bytes after `tail`, the node's own note of where it
    /// stands. It looks where the program is only when it has to: when that leaves no room, and
    /// every [`WORKING_BYTES`], as the program writes there for each record it reads. `None` when
    /// there is no room, or the program's position makes no sense.
    #[must_use]
    #[inline]
    pub fn room(&self, tail: u64, bytes: u64, reader: &mut Reader) -> Option<Room> {
        // What is usual: it fits behind the record before, and it is not time for a look.
        let (offset, used) = (self.offset(tail), tail.wrapping_sub(reader.read));
        if offset % WORKING_BYTES + bytes < WORKING_BYTES
            && tail <= POSITION_MAX
            && bytes <= self.bytes - offset
            && used <= self.bytes - bytes
        {
            return Some(Room { pad: (tail, 0), position: tail });
        }
        self.search_room(tail, bytes, reader)
    }

    #[inline(never)]
    fn search_room(&self, tail: u64, bytes: u64, reader: &mut Reader) -> Option<Room> {
        reader.read = self.read();
        let used = tail.wrapping_sub(reader.read);
        reader.calm = if used == 0 { reader.calm.saturating_add(1) } else { 0 };
        let rest = self.rest(tail);
        // Only where another as long fits behind it before the reader has passed the pad; never
        // for one that does not fit itself, as in an empty ring nobody can make room.
        let two_fit = 2 * bytes <= self.offset(tail);
        let goes_back = reader.calm >= CALM_LOOKS && two_fit && tail < GOES_BACK_MAX;
        let pad = if bytes > rest || goes_back { rest } else { 0 };
        let fits = tail <= POSITION_MAX
            && used <= self.bytes
            && bytes <= self.bytes
            && used + pad + bytes <= self.bytes;
        if fits && pad > 0 {
            reader.pad = (tail, pad);
        }
        fits.then(|| Room { pad: (tail, pad), position: tail + pad })
    }

    /// Node: bytes of records before `tail` that the program has not read, whatever it says: at
    /// most those of the ring.
    #[must_use]
    pub fn unread(&self, tail: u64, reader: &Reader) -> u64 {
        let (read, (pad, pad_bytes)) = (self.read(), reader.pad);
        let passed = if read <= pad { pad_bytes } else { 0 };
        tail.wrapping_sub(read).saturating_sub(passed).min(self.bytes)
    }

    /// Node: shows everything before `tail` to the program.
    pub fn show(&self, tail: u64) {
        self.positions.written.0.store(tail, Ordering::Release);
    }

    /// Up to where records are complete.
    #[inline]
    #[must_use]
    pub fn written(&self) -> u64 {
        self.positions.written.0.load(Ordering::Acquire)
    }

    /// Up to where records have been taken out.
    #[inline]
    #[must_use]
    pub fn read(&self) -> u64 {
        self.positions.read.0.load(Ordering::Acquire)
    }

    /// Program: gives the space before `position` back.
    #[inline]
    pub fn advance(&self, position: u64) {
        self.positions.read.0.store(position, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: u64 = 64 * WORKING_BYTES;
    /// Every fourth is looked at.
    const RECORD: u64 = WORKING_BYTES / 4;
    /// Records before the one that goes back.
    const CALM: u32 = 4 * CALM_LOOKS - 1;

    /// Puts `number` records at `tail` and gives how many were put behind a pad. The program has
    /// read everything before each of them, or is always one behind.
    fn pads(
        ring: &InRing<'_>,
        tail: &mut u64,
        reader: &mut Reader,
        number: u32,
        behind: bool,
    ) -> u32 {
        let mut pads = 0;
        for _ in 0..number {
            ring.advance(if behind { tail.saturating_sub(RECORD) } else { *tail });
            let room = ring.room(*tail, RECORD, reader).unwrap();
            if room.pad.1 > 0 {
                pads += 1;
                assert_eq!(room.pad, (*tail, ring.rest(*tail)));
                assert_eq!(ring.offset(room.position), 0);
            }
            *tail = room.position + RECORD;
        }
        pads
    }

    #[test]
    fn a_ring_whose_reader_is_never_behind_goes_back() {
        let positions = Positions::default();
        let (ring, mut tail, mut reader) = (InRing::new(&positions, RING), 0, Reader::default());
        assert_eq!(pads(&ring, &mut tail, &mut reader, CALM, false), 0);
        assert_eq!(pads(&ring, &mut tail, &mut reader, 1, false), 1);
        assert_eq!(pads(&ring, &mut tail, &mut reader, 30, false), 10);
    }

    #[test]
    fn a_ring_whose_reader_was_behind_does_not_go_back_soon() {
        let positions = Positions::default();
        let (ring, mut tail, mut reader) = (InRing::new(&positions, RING), 0, Reader::default());
        assert_eq!(pads(&ring, &mut tail, &mut reader, 60, true), 0);
        assert_eq!(pads(&ring, &mut tail, &mut reader, CALM, false), 0);
        assert_eq!(pads(&ring, &mut tail, &mut reader, 1, false), 1);
    }

    #[test]
    fn a_pad_is_nothing_to_read() {
        let positions = Positions::default();
        let (ring, mut tail, mut reader) = (InRing::new(&positions, RING), 0, Reader::default());
        assert_eq!(pads(&ring, &mut tail, &mut reader, CALM, false), 0);
        assert_eq!(ring.unread(tail, &reader), RECORD);
        assert_eq!(pads(&ring, &mut tail, &mut reader, 1, false), 1);
        assert_eq!(ring.unread(tail, &reader), RECORD);
        ring.advance(tail - RECORD);
        assert_eq!(ring.unread(tail, &reader), RECORD);
        ring.advance(tail);
        assert_eq!(ring.unread(tail, &reader), 0);
        ring.advance(tail + 1);
        assert_eq!(ring.unread(tail, &reader), RING, "a program may say anything");
    }

    #[test]
    fn nothing_is_written_where_the_pad_is_before_the_reader_has_passed_it() {
        let positions = Positions::default();
        let (ring, mut tail, mut reader) = (InRing::new(&positions, RING), 0, Reader::default());
        assert_eq!(pads(&ring, &mut tail, &mut reader, CALM, false), 0);
        let pad = tail;
        ring.advance(pad);
        while let Some(room) = ring.room(tail, RECORD, &mut reader) {
            tail = room.position + RECORD;
        }
        assert_eq!(tail, pad + RING, "up to the pad of the lap before, and no further");
        ring.advance(pad + ring.rest(pad));
        assert!(ring.room(tail, RECORD, &mut reader).is_some());
    }

    #[test]
    fn no_ring_goes_back_when_positions_must_last() {
        let positions = Positions::default();
        let (ring, mut reader) = (InRing::new(&positions, RING), Reader::at(GOES_BACK_MAX));
        let mut tail = GOES_BACK_MAX;
        assert_eq!(pads(&ring, &mut tail, &mut reader, 60, false), 0);
    }
}
