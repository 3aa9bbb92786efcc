//! One ring of an inbox: the node writes, one thread of the program at a time reads.
//!
//! Records are multiples of eight bytes and contiguous: what would cross the end is preceded by a
//! pad. `written` is stored after the record, `read` after it was taken out.

use super::POSITION_MAX;
use super::sync::{AtomicU64, Line, Ordering};

/// Records are multiples of this many bytes.
pub const UNIT: u64 = 8;
/// As for an outbox: an empty ring goes back to its first bytes after this many.
const WORKING_BYTES: u64 = 256 << 10;

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
    /// stands. `read` is where the program was when the node last looked; it is looked at again
    /// only when that leaves no room, as the program writes there for each record it reads. `None`
    /// when there is no room, or the program's position makes no sense.
    #[must_use]
    #[inline]
    pub fn room(&self, tail: u64, bytes: u64, read: &mut u64) -> Option<Room> {
        // What is usual: it fits behind the record before, and the ring need not begin anew.
        let (offset, used) = (self.offset(tail), tail.wrapping_sub(*read));
        let goes_on = used != 0 || offset < WORKING_BYTES;
        if goes_on
            && tail <= POSITION_MAX
            && bytes <= self.bytes - offset
            && used <= self.bytes - bytes
        {
            return Some(Room { pad: (tail, 0), position: tail });
        }
        self.search_room(tail, bytes, read)
    }

    #[inline(never)]
    fn search_room(&self, tail: u64, bytes: u64, read: &mut u64) -> Option<Room> {
        self.room_from(tail, bytes, *read).or_else(|| {
            *read = self.read();
            self.room_from(tail, bytes, *read)
        })
    }

    fn room_from(&self, tail: u64, bytes: u64, read: u64) -> Option<Room> {
        let used = tail.wrapping_sub(read);
        let rest = self.rest(tail);
        // Never for a record that would not fit then: in an empty ring nobody can make room.
        let fits_behind = rest + bytes <= self.bytes;
        let goes_back = used == 0 && self.offset(tail) >= WORKING_BYTES && fits_behind;
        let pad = if bytes > rest || goes_back { rest } else { 0 };
        let fits = tail <= POSITION_MAX
            && used <= self.bytes
            && bytes <= self.bytes
            && used + pad + bytes <= self.bytes;
        fits.then(|| Room { pad: (tail, pad), position: tail + pad })
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
