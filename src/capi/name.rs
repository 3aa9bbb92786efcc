//! `saAisNameLend` and `saAisNameBorrow`, for programs built with `SA_EXTENDED_NAME_SOURCE`.
//!
//! The encoding is the one that other AIS libraries use, as names pass between them: a string
//! shorter than 256 octets lies inside, with its NUL, behind its length; of a longer one the
//! address is kept, unaligned, at the offset that is the size of a pointer, and the length is a
//! magic number.

use super::types::{SaConstStringT, SaNameT};
use std::ffi::{CStr, c_char};

/// The length that says "an address follows".
const EXTENDED: u16 = 0xcd2b;
/// Where that address is.
const ADDRESS_AT: usize = size_of::<*const c_char>();
const _: () = assert!(2 * ADDRESS_AT <= size_of::<SaNameT>());

/// Makes `name` stand for the string `value`; an empty one if that is NULL. Nothing happens if
/// `name` is NULL.
///
/// # Safety
///
/// `value` is NULL or a NUL-terminated string; one of 256 octets or more must live as long as
/// `name` is used. `name` is NULL, or aligned and writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saAisNameLend(value: SaConstStringT, name: *mut SaNameT) {
    if name.is_null() {
        return;
    }
    let octets = if value.is_null() {
        c""
    } else {
        // SAFETY: not NULL, so the caller says that it is a NUL-terminated string.
        unsafe { CStr::from_ptr(value) }
    }
    .to_bytes_with_nul();
    // SAFETY: not NULL, so the caller says that a whole SaNameT is there; this is its length.
    let length = unsafe { &raw mut (*name).length };
    // SAFETY: as above; this is the start of its 256 octets.
    let inside = unsafe { &raw mut (*name).value }.cast::<u8>();
    if octets.len() <= 256 {
        // SAFETY: at most the 256 octets of `value` are written. A copy that may overlap, as the
        // string may come from this very name.
        unsafe { std::ptr::copy(octets.as_ptr(), inside, octets.len()) };
        // SAFETY: aligned and writable, as part of the caller's SaNameT.
        unsafe { length.write(octets.len() as u16 - 1) };
    } else {
        // SAFETY: the offset is inside the SaNameT, by the assertion above.
        let address = unsafe { name.cast::<u8>().add(ADDRESS_AT) };
        // SAFETY: a pointer fits there, by the same assertion; the write needs no alignment.
        unsafe { address.cast::<SaConstStringT>().write_unaligned(value) };
        // SAFETY: aligned and writable, as part of the caller's SaNameT.
        unsafe { length.write(EXTENDED) };
    }
}

/// Gives the string that `name` stands for; NULL if `name` is NULL, has 256 octets or more inside,
/// or no NUL behind or at the end of them.
///
/// # Safety
///
/// `name` is NULL, or aligned and readable, up to and including the octet behind its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saAisNameBorrow(name: *const SaNameT) -> SaConstStringT {
    if name.is_null() {
        return std::ptr::null();
    }
    // SAFETY: not NULL, so the caller says that a SaNameT with a length is there.
    let length = unsafe { (*name).length };
    if length == EXTENDED {
        // SAFETY: the offset is inside the SaNameT, by the assertion above.
        let address = unsafe { name.cast::<u8>().add(ADDRESS_AT) };
        // SAFETY: whoever wrote that length wrote a pointer there; no alignment is needed.
        return unsafe { address.cast::<SaConstStringT>().read_unaligned() };
    }
    // SAFETY: the start of the octets of the caller's SaNameT.
    let inside = unsafe { &raw const (*name).value }.cast::<u8>();
    let ends_at = |octet: u16| {
        // SAFETY: below, `octet` is 255 or less, which is inside the 256 octets.
        let octet = unsafe { inside.add(usize::from(octet)) };
        // SAFETY: octets up to `length` are readable, as our caller says.
        unsafe { octet.read() == 0 }
    };
    if length < 256 && (ends_at(length) || (length > 0 && ends_at(length - 1))) {
        inside.cast()
    } else {
        std::ptr::null()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn lend(value: &CStr) -> SaNameT {
        let mut name = SaNameT { length: 7, value: [0xff; 256] };
        // SAFETY: a string and a name that live through the call, and beyond.
        unsafe { saAisNameLend(value.as_ptr(), &mut name) };
        name
    }

    fn borrow(name: &SaNameT) -> Option<&CStr> {
        // SAFETY: a name that is initialized throughout.
        let value = unsafe { saAisNameBorrow(name) };
        // SAFETY: not NULL, so it is a string inside `name` or one that the test still holds.
        (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
    }

    #[test]
    fn a_short_string_is_a_plain_name_with_a_nul() {
        for length in [0, 1, 254, 255] {
            let value = CString::new(vec![b'x'; length]).unwrap();
            let name = lend(&value);
            assert_eq!(usize::from(name.length), length);
            assert_eq!(&name.value[..=length], value.as_bytes_with_nul());
            assert_eq!(borrow(&name), Some(value.as_c_str()));
        }
    }

    #[test]
    fn a_long_string_is_kept_by_its_address() {
        for length in [256, 5000] {
            let value = CString::new(vec![b'x'; length]).unwrap();
            let name = lend(&value);
            assert_eq!(name.length, 0xcd2b);
            assert_eq!(borrow(&name).map(CStr::as_ptr), Some(value.as_ptr()));
        }
    }

    #[test]
    fn a_name_without_a_nul_is_not_borrowed() {
        let mut name = SaNameT { length: 3, value: [b'x'; 256] };
        assert_eq!(borrow(&name), None);
        name.length = 256;
        assert_eq!(borrow(&name), None);
        name.length = 257;
        assert_eq!(borrow(&name), None);
    }

    #[test]
    fn a_nul_that_the_length_counts_is_tolerated() {
        let mut name = SaNameT { length: 3, value: [b'x'; 256] };
        name.value[2] = 0;
        assert_eq!(borrow(&name), Some(c"xx"));
        let empty = SaNameT { length: 0, value: [b'x'; 256] };
        assert_eq!(borrow(&empty), None);
    }

    #[test]
    fn null_arguments_do_no_harm() {
        let mut name = SaNameT { length: 3, value: [b'x'; 256] };
        // SAFETY: NULL is allowed for the string.
        unsafe { saAisNameLend(std::ptr::null(), &mut name) };
        assert_eq!(borrow(&name), Some(c""));
        // SAFETY: NULL is allowed for the name.
        unsafe { saAisNameLend(c"x".as_ptr(), std::ptr::null_mut()) };
        // SAFETY: NULL is allowed.
        assert!(unsafe { saAisNameBorrow(std::ptr::null()) }.is_null());
    }
}
