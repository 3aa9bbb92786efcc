//! Memory that both sides of a link map: a header page and rings of one length.

use crate::sys::memory::{self, Mapping};
use std::io;
use std::os::fd::BorrowedFd;

/// Bytes of the header page.
pub(super) const HEADER: usize = 4096;
/// The length of a ring, as a power of two: from one page to what four of can be added up.
const RING_BITS: std::ops::RangeInclusive<u32> = 12..=if usize::BITS == 64 { 30 } else { 28 };

/// Maps memory that came by descriptor, after checking what it is. `memory_bytes` is the length of
/// the whole for rings of `ring_bytes` each.
pub(super) fn map(
    memory: BorrowedFd<'_>,
    ring_bytes: usize,
    memory_bytes: impl Fn(usize) -> usize,
) -> io::Result<Mapping> {
    if !RING_BITS.map(|bits| 1 << bits).any(|length: usize| length == ring_bytes) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let bytes = memory_bytes(ring_bytes);
    memory::check_sealed(memory, bytes)?;
    Mapping::new(memory, bytes)
}

/// The length of the rings in memory that came by descriptor, by the length of the whole.
pub(super) fn ring_bytes_of(
    memory: BorrowedFd<'_>,
    memory_bytes: impl Fn(usize) -> usize,
) -> io::Result<usize> {
    let bytes = memory::bytes_of(memory)?;
    let found = RING_BITS.map(|bits| 1 << bits).find(|length| memory_bytes(*length) == bytes);
    found.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Copies eight-byte words that the other side may be writing to: each is read once, so that what
/// is judged afterwards is what is used.
///
/// # Safety
///
/// `from` is aligned to eight bytes, and `N` words are readable there.
#[inline(always)]
pub(super) unsafe fn copy_words<const N: usize>(from: *const u8) -> [[u8; 8]; N] {
    let from = from.cast::<u64>();
    std::array::from_fn(|index| {
        // SAFETY: below `N`, so inside, as our caller says.
        let word = unsafe { from.add(index) };
        // SAFETY: readable and aligned, as our caller says.
        unsafe { word.read_volatile() }.to_ne_bytes()
    })
}
