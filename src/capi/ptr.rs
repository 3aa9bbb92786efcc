//! Raw reads and writes of single values, names and data. Decides only what can be read at all.

use super::types::SaNameT;
use crate::evt::{Error, Name};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Where one output goes. Nothing is written unless [`OutPtr::write`] is called.
#[derive(Debug)]
pub(super) struct OutPtr<T>(NonNull<T>);

impl<T: Copy> OutPtr<T> {
    /// `None` for NULL.
    ///
    /// # Safety
    ///
    /// `pointer` is NULL, or is aligned and writable for one `T` and used by no other thread as
    /// long as the result is used.
    pub(super) unsafe fn new(pointer: *mut T) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }

    /// Writes the output.
    pub(super) fn write(&self, value: T) {
        // SAFETY: aligned, writable and ours alone, as `new` was promised.
        unsafe { self.0.write(value) };
    }
}

/// A value that is read and may be written back.
#[derive(Debug)]
pub(super) struct InOutPtr<T> {
    out: OutPtr<T>,
    /// What was there when the call began.
    pub(super) given: T,
}

impl<T: Copy> InOutPtr<T> {
    /// `None` for NULL.
    ///
    /// # Safety
    ///
    /// As for [`OutPtr::new`]; and what is there is initialized.
    pub(super) unsafe fn new(pointer: *mut T) -> Option<Self> {
        // SAFETY: the same promise.
        let out = unsafe { OutPtr::new(pointer) }?;
        // SAFETY: not NULL here, and initialized as our caller promises.
        let given = unsafe { out.0.read() };
        Some(Self { out, given })
    }

    /// Writes the output.
    pub(super) fn write(&self, value: T) {
        self.out.write(value);
    }
}

/// Copies a name; `None` for NULL.
///
/// - `InvalidParam`: its length is above 256, which is also how a long extended name looks.
///
/// # Safety
///
/// `name` is NULL, or is aligned and points to a length and as many octets, written by no other
/// thread during the call.
pub(super) unsafe fn read_name(name: *const SaNameT) -> Result<Option<Name>, Error> {
    if name.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so our caller says that a length is there.
    let length = usize::from(unsafe { (*name).length });
    if length > Name::OCTETS_MAX {
        return Err(Error::InvalidParam);
    }
    // SAFETY: as above; only the address of the octets is taken.
    let octets = unsafe { &raw const (*name).value }.cast::<u8>();
    // SAFETY: `length` octets are there, as our caller says; they are not kept beyond this call.
    let octets = unsafe { std::slice::from_raw_parts(octets, length) };
    Name::new(octets).map(Some)
}

/// Copies the name of a channel, which must not be NULL or empty.
///
/// - `InvalidParam`: it is, or its length is above 256.
///
/// # Safety
///
/// As for [`read_name`].
pub(super) unsafe fn read_channel_name(name: *const SaNameT) -> Result<Name, Error> {
    // SAFETY: the same promise.
    let name = unsafe { read_name(name) }?.ok_or(Error::InvalidParam)?;
    if name.is_empty() { Err(Error::InvalidParam) } else { Ok(name) }
}

/// Where a name goes.
#[derive(Debug)]
pub(super) struct OutName(NonNull<SaNameT>);

impl OutName {
    /// `None` for NULL.
    ///
    /// # Safety
    ///
    /// As for [`OutPtr::new`].
    pub(super) unsafe fn new(pointer: *mut SaNameT) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }

    /// Writes length and octets, and a zero behind them where there is room, as many programs
    /// print the value as a string. The rest stays as it is.
    pub(super) fn write(&self, name: &Name) {
        let octets = name.octets();
        let target = self.0.as_ptr();
        // SAFETY: a whole writable SaNameT, as `new` was promised.
        unsafe { (*target).length = octets.len() as u16 };
        // SAFETY: as above; only the address of the octets is taken.
        let value = unsafe { &raw mut (*target).value }.cast::<u8>();
        // SAFETY: a Name has at most 256 octets, which is the room there; ours is elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(octets.as_ptr(), value, octets.len()) };
        if octets.len() < Name::OCTETS_MAX {
            // SAFETY: below 256, so still inside.
            let behind = unsafe { value.add(octets.len()) };
            // SAFETY: inside the writable SaNameT.
            unsafe { behind.write(0) };
        }
    }
}

/// The bytes at `start`: none for NULL or for size 0. `None` if there are more than memory can
/// hold in one piece, so that they cannot be there.
///
/// # Safety
///
/// `start` is NULL, or `size` bytes are readable there and are written by nobody as long as the
/// result is used.
pub(super) unsafe fn bytes<'a>(start: *const u8, size: u64) -> Option<&'a [u8]> {
    if start.is_null() || size == 0 {
        return Some(&[]);
    }
    let size = isize::try_from(size).ok()? as usize;
    // SAFETY: not NULL, not more than `isize::MAX`, and readable as our caller promises.
    Some(unsafe { std::slice::from_raw_parts(start, size) })
}

/// Copies `data` to memory of the caller's.
///
/// # Safety
///
/// `data.len()` bytes are writable at `buffer`, and no other thread uses them.
pub(super) unsafe fn write_bytes(buffer: NonNull<u8>, data: &[u8]) {
    // SAFETY: writable as our caller promises; `data` is the library's own, so elsewhere. NULL
    // is excluded by the type, also for size 0.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.as_ptr(), data.len()) };
}

/// Lets `copy` fill the first `bytes` bytes of a buffer or, if they do not fit, nothing; whether
/// they fitted. A buffer at NULL is no buffer: nothing is copied, and that is no failure.
///
/// # Safety
///
/// `buffer` is NULL, or `size` bytes are writable there and no other thread uses them.
pub(super) unsafe fn copy_out(
    bytes: usize,
    buffer: *mut u8,
    size: u64,
    copy: impl FnOnce(&mut [MaybeUninit<u8>]),
) -> bool {
    let Some(buffer) = NonNull::new(buffer) else { return true };
    let fits = bytes as u64 <= size;
    if fits {
        // SAFETY: not more than the buffer has, which is writable and used by nobody else.
        copy(unsafe { std::slice::from_raw_parts_mut(buffer.as_ptr().cast(), bytes) });
    }
    fits
}

#[cfg(test)]
#[allow(clippy::multiple_unsafe_ops_per_block)] // One fact makes all calls of a test sound.
mod tests {
    use super::*;
    use std::ptr::null;

    fn read(length: u16) -> Result<Option<Name>, Error> {
        let name = SaNameT { length, value: [b'x'; 256] };
        // SAFETY: a whole initialized name.
        unsafe { read_name(&name) }
    }

    #[test]
    fn names_of_up_to_256_octets_are_read() {
        assert_eq!(read(256).unwrap().unwrap().octets(), [b'x'; 256]);
        assert_eq!(read(0).unwrap().unwrap(), Name::EMPTY);
        assert_eq!(read(257), Err(Error::InvalidParam));
        assert_eq!(read(0xcd2b), Err(Error::InvalidParam));
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { read_name(null()) }, Ok(None));
    }

    #[test]
    fn a_channel_has_a_name_that_is_not_empty() {
        let empty = SaNameT { length: 0, value: [b'x'; 256] };
        // SAFETY: a whole initialized name.
        assert_eq!(unsafe { read_channel_name(&empty) }, Err(Error::InvalidParam));
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { read_channel_name(null()) }, Err(Error::InvalidParam));
    }

    #[test]
    fn a_written_name_ends_in_a_zero_and_leaves_the_rest_alone() {
        let mut name = SaNameT { length: 9, value: [b'x'; 256] };
        // SAFETY: a whole writable name.
        let out = unsafe { OutName::new(&mut name) }.unwrap();
        out.write(&Name::new(b"ab").unwrap());
        assert_eq!(name.length, 2);
        assert_eq!(&name.value[..4], b"ab\0x");
        // SAFETY: as above.
        let out = unsafe { OutName::new(&mut name) }.unwrap();
        out.write(&Name::new(&[b'y'; 256]).unwrap());
        assert_eq!((name.length, name.value), (256, [b'y'; 256]));
    }

    #[test]
    fn bytes_that_do_not_count_are_not_looked_at() {
        let dangling = NonNull::<u8>::dangling().as_ptr();
        // SAFETY: NULL, size 0 and impossible sizes are never read.
        unsafe {
            assert_eq!(bytes(null(), 100), Some(&[] as &[u8]));
            assert_eq!(bytes(dangling, 0), Some(&[] as &[u8]));
            assert_eq!(bytes(dangling, u64::MAX), None);
            assert_eq!(bytes(dangling, 1 << 63), None);
        }
    }

    #[test]
    fn an_in_out_value_is_read_once_and_written_back() {
        let mut value = 7_u64;
        // SAFETY: a live, initialized value.
        let pointer = unsafe { InOutPtr::new(&mut value) }.unwrap();
        assert_eq!(pointer.given, 7);
        pointer.write(8);
        assert_eq!(value, 8);
    }

    #[test]
    fn data_is_copied_whole_or_not_at_all() {
        let mut buffer = [b'x'; 4];
        let mut copy = |data: &[u8], size| {
            // SAFETY: a buffer of four bytes; no size above that is given.
            let fitted = unsafe {
                copy_out(data.len(), buffer.as_mut_ptr(), size, |room| {
                    assert_eq!(room.len(), data.len());
                    room.iter_mut().zip(data).for_each(|(to, byte)| _ = to.write(*byte));
                })
            };
            (fitted, buffer)
        };
        assert_eq!(copy(b"abcd", 3), (false, *b"xxxx"));
        assert_eq!(copy(b"", 0), (true, *b"xxxx"));
        assert_eq!(copy(b"abc", 3), (true, *b"abcx"));
        // SAFETY: NULL is allowed, with any size.
        assert!(unsafe { copy_out(3, std::ptr::null_mut(), 0, |_| unreachable!()) });
    }
}
