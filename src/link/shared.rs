//! Memory that both sides of a link map: a header page and rings of one length.

use crate::sys::memory::{self, Mapping};
use std::io;
use std::os::fd::BorrowedFd;

/// Bytes of the header page.
pub(super) const HEADER: usize = 4096;
/// The length of a ring, as a power of two: from one page to what four of can be added up.
const RING_BITS: std::ops::RangeInclusive<u32> = 12..=if usize::BITS == 64 { 30 } else { 28 };

/// The longest piece of a copy. Beyond 2 to 8 KiB, as the machine may be, the C library leaves a
/// copy to one instruction (`rep movsb`), which some processors execute 25 times as slowly where
/// the target lies a few bytes behind the source in its page: 7.7 us and not 0.3 for 16 KiB on an
/// AMD EPYC of the fourth generation. Records lie so in the rings of two programs again and again.
const PIECE: usize = 2048;

/// Copies `bytes` bytes between places that do not overlap. Short ones, as most are, without a
/// call: by their first and last bytes, which together cover them.
///
/// # Safety
///
/// `from` is valid for reads of so many bytes, and `to` for writes.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    match bytes {
        // SAFETY: the caller answers for the whole, and there are at least as many bytes as in one.
        8..16 => unsafe { copy_ends::<8>(from, to, bytes) },
        // SAFETY: as above.
        16..32 => unsafe { copy_ends::<16>(from, to, bytes) },
        // SAFETY: as above.
        32..=64 => unsafe { copy_ends::<32>(from, to, bytes) },
        // SAFETY: the caller answers for it.
        _ => unsafe { copy_by_call(from, to, bytes) },
    }
}

/// As [`copy`], and smaller, for where little is gained: by the C library, long ones in pieces.
///
/// # Safety
///
/// As for [`copy`].
#[inline(always)]
pub(super) unsafe fn copy_by_call(from: *const u8, to: *mut u8, bytes: usize) {
    if bytes > PIECE {
        // SAFETY: the caller answers for it.
        unsafe { copy_pieces(from, to, bytes) }
    } else {
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) }
    }
}

/// Copies pieces of [`PIECE`] bytes, and what is left.
///
/// # Safety
///
/// As for [`copy`].
#[inline(never)]
unsafe fn copy_pieces(from: *const u8, to: *mut u8, bytes: usize) {
    for begin in (0..bytes).step_by(PIECE) {
        let piece = PIECE.min(bytes - begin);
        // SAFETY: where a piece begins is inside of what the caller answers for.
        let from = unsafe { from.add(begin) };
        // SAFETY: as above.
        let to = unsafe { to.add(begin) };
        // SAFETY: so is its end.
        unsafe { std::ptr::copy_nonoverlapping(from, to, piece) };
    }
}

/// Copies the first and the last `N` of `bytes` bytes.
///
/// # Safety
///
/// As for [`copy`]; `bytes` is at least `N`.
#[inline(always)]
unsafe fn copy_ends<const N: usize>(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the first byte of the last `N`, which are there.
    let from_end = unsafe { from.add(bytes - N) };
    // SAFETY: as above.
    let to_end = unsafe { to.add(bytes - N) };
    // SAFETY: an array of bytes has no alignment; so many can be read.
    let first = unsafe { from.cast::<[u8; N]>().read() };
    // SAFETY: as above.
    let last = unsafe { from_end.cast::<[u8; N]>().read() };
    // SAFETY: as above, for writing.
    unsafe { to.cast::<[u8; N]>().write(first) };
    // SAFETY: as above.
    unsafe { to_end.cast::<[u8; N]>().write(last) };
}

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

#[cfg(test)]
mod tests {
    use super::{PIECE, copy, copy_by_call};

    #[test]
    fn copies_of_any_length_are_whole_and_no_longer() {
        let lengths = (0..=130).chain(PIECE - 1..=PIECE + 1).chain([2 * PIECE, 3 * PIECE + 5]);
        for bytes in lengths {
            let from: Vec<u8> = (0..bytes).map(|at| (at % 251 + 1) as u8).collect();
            for by_call in [false, true] {
                let mut to = vec![0; bytes + 2];
                let place = to[1..].as_mut_ptr();
                if by_call {
                    // SAFETY: both have so many bytes.
                    unsafe { copy_by_call(from.as_ptr(), place, bytes) };
                } else {
                    // SAFETY: as above.
                    unsafe { copy(from.as_ptr(), place, bytes) };
                }
                assert_eq!(to[1..=bytes], from, "{bytes} bytes");
                assert_eq!((to[0], to[bytes + 1]), (0, 0), "{bytes} bytes");
            }
        }
    }
}
