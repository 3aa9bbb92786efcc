//! Bytes of shared memory as a program reads them.

use super::shared;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Part of a record that the agent has not given back yet, or of what it refers to. The node may
/// still write there, if it breaks the rules: what has to be right is copied first.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    from: *const u8,
    bytes: usize,
    memory: PhantomData<&'a ()>,
}

impl Part<'_> {
    /// So many bytes at `from`.
    ///
    /// # Safety
    ///
    /// They can be read as long as the lifetime lasts.
    #[inline]
    pub(super) const unsafe fn new(from: *const u8, bytes: usize) -> Self {
        Self { from, bytes, memory: PhantomData }
    }

    /// How many bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies the bytes to `to`, which is as long.
    #[inline]
    pub fn copy_to(&self, to: &mut [MaybeUninit<u8>]) {
        assert_eq!(to.len(), self.bytes, "the caller has made room");
        // SAFETY: so many bytes are there, as whoever made this says; `to` is as long, and no part
        // of memory that is shared with a node.
        unsafe { shared::copy_by_call(self.from, to.as_mut_ptr().cast(), self.bytes) };
    }

    /// Copies the bytes to the end of `into`, which has room for them.
    pub fn append_to(&self, into: &mut Vec<u8>) {
        let end = into.len() + self.bytes;
        self.copy_to(&mut into.spare_capacity_mut()[..self.bytes]);
        // SAFETY: so many bytes have just been written behind what was there.
        unsafe { into.set_len(end) };
    }
}
