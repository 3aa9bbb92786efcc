//! Raw reads and writes of pattern and filter arrays.
//!
//! What a program passes is bounded before anything is read or allocated. Beyond the bounds no
//! limit of the service can lie, so the answer is `TooBig`; but a bad handle comes first, and so
//! the fact is carried along instead of being reported here.

use super::ptr::{self, OutPtr};
use super::types::*;
use crate::evt::{Attributes, AttributesRef, Error, Filter, FilterKind, Filters, Name};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// `Limits::patterns_max` is never above this.
const NUMBER_MAX: u64 = 1024;
/// `Limits::pattern_bytes_max` is never above this.
const BYTES_MAX: u64 = u16::MAX as u64;

/// The bytes that one entry describes; `None` if they are more than [`BYTES_MAX`].
///
/// - `InvalidParam`: some, at NULL.
///
/// # Safety
///
/// `entry` is aligned, its `patternSize` and `pattern` are initialized, and so many bytes can be
/// read there as long as the result is used.
unsafe fn entry_bytes<'a>(entry: *const SaEvtEventPatternT) -> Result<Option<&'a [u8]>, Error> {
    // SAFETY: readable as our caller promises.
    let size = unsafe { (*entry).patternSize };
    // SAFETY: as above.
    let start = unsafe { (*entry).pattern };
    if size > 0 && start.is_null() {
        return Err(Error::InvalidParam);
    }
    if size > BYTES_MAX {
        return Ok(None);
    }
    // SAFETY: so many bytes are readable there, as our caller promises.
    Ok(unsafe { ptr::bytes(start, size) })
}

/// The patterns that a program passes in.
#[derive(Debug)]
pub(super) enum PatternsIn<'a> {
    /// NULL: those of the event stay.
    Unchanged,
    /// More patterns or bytes than any limit allows.
    TooBig,
    /// These.
    Given(Vec<&'a [u8]>),
}

impl PatternsIn<'_> {
    /// Looks at a pattern array without copying the bytes. `allocatedNumber` and `allocatedSize`
    /// are not looked at.
    ///
    /// - `InvalidParam`: something is to be read at NULL.
    /// - `NoMemory`.
    ///
    /// # Safety
    ///
    /// `array` is NULL or valid for reading as its own numbers say, and is written by no other
    /// thread as long as the result is used.
    pub(super) unsafe fn read(array: *const SaEvtEventPatternArrayT) -> Result<Self, Error> {
        if array.is_null() {
            return Ok(Self::Unchanged);
        }
        // SAFETY: not NULL, so our caller says that it can be read.
        let number = unsafe { (*array).patternsNumber };
        // SAFETY: as above.
        let entries = unsafe { (*array).patterns };
        if number > 0 && entries.is_null() {
            return Err(Error::InvalidParam);
        }
        if number > NUMBER_MAX {
            return Ok(Self::TooBig);
        }
        let mut patterns = Vec::new();
        patterns.try_reserve_exact(number as usize).map_err(|_| Error::NoMemory)?;
        let mut too_big = false;
        for index in 0..number as usize {
            // SAFETY: below the number of entries that our caller says are there.
            let entry = unsafe { entries.add(index) };
            // SAFETY: an entry of the array, which our caller says can be read.
            match unsafe { entry_bytes(entry) }? {
                Some(bytes) => patterns.push(bytes),
                None => too_big = true,
            }
        }
        Ok(if too_big { Self::TooBig } else { Self::Given(patterns) })
    }

    /// Packs these patterns and `publisher`; what is not given is taken from `present`.
    ///
    /// - `TooBig`, `NoMemory`.
    pub(super) fn pack(
        &self,
        publisher: Option<Name>,
        present: AttributesRef<'_>,
    ) -> Result<Attributes, Error> {
        let publisher = match publisher {
            Some(publisher) => publisher,
            None => Name::new(present.publisher())?,
        };
        match self {
            Self::Unchanged => Attributes::pack(&publisher, present.patterns()),
            Self::TooBig => Err(Error::TooBig),
            Self::Given(patterns) => Attributes::pack(&publisher, patterns.iter().copied()),
        }
    }
}

/// Copies a filter array. One beyond the bounds becomes one that is smaller but still above every
/// limit, so that the agent refuses it once it has found the handle to be good.
///
/// - `InvalidParam`: NULL where something is to be read, or an unknown type.
/// - `NoMemory`.
///
/// # Safety
///
/// `array` is NULL or valid for reading as its own numbers say, and is written by no other thread
/// during the call. The bytes of a pass-all filter need not be there.
pub(super) unsafe fn read_filters(array: *const SaEvtEventFilterArrayT) -> Result<Filters, Error> {
    if array.is_null() {
        return Err(Error::InvalidParam);
    }
    // SAFETY: not NULL, so our caller says that it can be read.
    let number = unsafe { (*array).filtersNumber };
    // SAFETY: as above.
    let entries = unsafe { (*array).filters };
    if number > 0 && entries.is_null() {
        return Err(Error::InvalidParam);
    }
    let mut filters = Vec::new();
    let kept = number.min(NUMBER_MAX + 1) as usize;
    filters.try_reserve_exact(kept).map_err(|_| Error::NoMemory)?;
    if number > NUMBER_MAX {
        filters.resize(kept, Filter { kind: FilterKind::PassAll, bytes: Vec::new() });
        return Ok(Filters(filters));
    }
    for index in 0..kept {
        // SAFETY: below the number of entries that our caller says are there.
        let entry = unsafe { entries.add(index) };
        // SAFETY: an entry of the array, which our caller says can be read.
        filters.push(unsafe { read_filter(entry) }?);
    }
    Ok(Filters(filters))
}

/// Copies one filter. In place of bytes that are too many, or that do not matter, it gets zeros.
///
/// # Safety
///
/// As for the entries in [`read_filters`].
unsafe fn read_filter(entry: *const SaEvtEventFilterT) -> Result<Filter, Error> {
    // SAFETY: readable as our caller promises.
    let kind = kind(unsafe { (*entry).filterType })?;
    // SAFETY: as above; only the address is taken.
    let pattern = unsafe { &raw const (*entry).filter };
    // SAFETY: as above.
    let size = unsafe { (*pattern).patternSize };
    let zeros = usize::try_from(size.min(BYTES_MAX + 1)).map_err(|_| Error::TooBig)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(zeros).map_err(|_| Error::NoMemory)?;
    let given = match kind {
        FilterKind::PassAll => None,
        // SAFETY: the bytes of other filters can be read, as our caller promises.
        _ => unsafe { entry_bytes(pattern) }?,
    };
    match given {
        Some(given) => bytes.extend_from_slice(given),
        None => bytes.resize(zeros, 0),
    }
    Ok(Filter { kind, bytes })
}

/// The filter type that a program named by a number.
fn kind(number: SaEvtEventFilterTypeT) -> Result<FilterKind, Error> {
    match number {
        SA_EVT_PREFIX_FILTER => Ok(FilterKind::Prefix),
        SA_EVT_SUFFIX_FILTER => Ok(FilterKind::Suffix),
        SA_EVT_EXACT_FILTER => Ok(FilterKind::Exact),
        SA_EVT_PASS_ALL_FILTER => Ok(FilterKind::PassAll),
        _ => Err(Error::InvalidParam),
    }
}

/// Where the patterns of an event go.
#[derive(Debug)]
pub(super) enum PatternsOut {
    /// Nowhere: they are not wanted.
    Unwanted,
    /// Into buffers of the caller.
    Buffers(Buffers),
    /// Into memory that the library allocates.
    Allocate(OutPtr<SaEvtEventPatternArrayT>),
}

/// What became of the patterns of an event.
#[derive(Debug)]
pub(super) enum PatternsTaken {
    /// They were not wanted.
    Nothing,
    /// They are in the caller's buffers.
    Copied {
        /// All of them.
        complete: bool,
    },
    /// They are in new memory and are still to be written to the array.
    Allocated {
        /// The memory; none if there are no patterns.
        block: Option<PatternBlock>,
        /// Where it is to be announced.
        array: OutPtr<SaEvtEventPatternArrayT>,
    },
}

impl PatternsOut {
    /// Tells from the array which it is.
    ///
    /// # Safety
    ///
    /// `array` is NULL, or aligned and writable, with `patterns` initialized. If that is not NULL,
    /// `allocatedNumber` is initialized, and so many entries are there with `allocatedSize` and
    /// `pattern` initialized; `allocatedSize` bytes are writable at each `pattern` that is not
    /// NULL. No other thread uses any of this as long as the result is used.
    pub(super) unsafe fn new(array: *mut SaEvtEventPatternArrayT) -> Self {
        let Some(array) = NonNull::new(array) else { return Self::Unwanted };
        // SAFETY: initialized as our caller promises.
        let entries = unsafe { (*array.as_ptr()).patterns };
        let Some(entries) = NonNull::new(entries) else {
            // SAFETY: not NULL, and otherwise as our caller promises.
            return unsafe { OutPtr::new(array.as_ptr()) }.map_or(Self::Unwanted, Self::Allocate);
        };
        // SAFETY: as above, since `patterns` is not NULL.
        let capacity = unsafe { (*array.as_ptr()).allocatedNumber };
        Self::Buffers(Buffers { array, entries, capacity })
    }

    /// Takes what is wanted of the patterns of an event.
    ///
    /// - `InvalidParam`: a buffer of the caller's is large enough, but NULL; nothing was written.
    /// - `NoMemory`.
    pub(super) fn take<'a, I>(self, patterns: I) -> Result<PatternsTaken, Error>
    where
        I: ExactSizeIterator<Item = &'a [u8]> + Clone,
    {
        match self {
            Self::Unwanted => Ok(PatternsTaken::Nothing),
            Self::Buffers(buffers) => {
                Ok(PatternsTaken::Copied { complete: buffers.fill(patterns)? })
            }
            Self::Allocate(array) => {
                Ok(PatternsTaken::Allocated { block: PatternBlock::copy_of(patterns)?, array })
            }
        }
    }
}

/// Pattern buffers of the caller. What may be read and written is what [`PatternsOut::new`] was
/// promised.
#[derive(Debug)]
pub(super) struct Buffers {
    array: NonNull<SaEvtEventPatternArrayT>,
    entries: NonNull<SaEvtEventPatternT>,
    capacity: u64,
}

impl Buffers {
    /// Copies every pattern that fits and sets the true number and sizes; whether all fitted.
    ///
    /// - `InvalidParam`: a buffer that is large enough is NULL; nothing was written.
    pub(super) fn fill<'a, I>(&self, patterns: I) -> Result<bool, Error>
    where
        I: ExactSizeIterator<Item = &'a [u8]> + Clone,
    {
        let number = patterns.len();
        let reachable = usize::try_from(self.capacity).unwrap_or(usize::MAX).min(number);
        for (index, pattern) in patterns.clone().take(reachable).enumerate() {
            if self.fits(index, pattern) && !pattern.is_empty() && self.buffer(index).is_none() {
                return Err(Error::InvalidParam);
            }
        }
        let mut complete = reachable == number;
        for (index, pattern) in patterns.take(reachable).enumerate() {
            // SAFETY: `reachable` is at most the number of entries.
            unsafe { (*self.entry(index)).patternSize = pattern.len() as u64 };
            if !self.fits(index, pattern) {
                complete = false;
            } else if let Some(buffer) = self.buffer(index) {
                // SAFETY: it fits into the buffer's `allocatedSize`.
                unsafe { ptr::write_bytes(buffer, pattern) };
            }
        }
        // SAFETY: the array is writable.
        unsafe { (*self.array.as_ptr()).patternsNumber = number as u64 };
        Ok(complete)
    }

    fn entry(&self, index: usize) -> *mut SaEvtEventPatternT {
        self.entries.as_ptr().wrapping_add(index)
    }

    fn fits(&self, index: usize, pattern: &[u8]) -> bool {
        // SAFETY: `fill` asks only below the number of entries; they are initialized.
        pattern.len() as u64 <= unsafe { (*self.entry(index)).allocatedSize }
    }

    /// Where the bytes go; `None` for NULL.
    fn buffer(&self, index: usize) -> Option<NonNull<u8>> {
        // SAFETY: as in `fits`.
        NonNull::new(unsafe { (*self.entry(index)).pattern })
    }
}

/// A pattern array in memory of the C library: one block for the array and one for each pattern,
/// so that a program can free it by `free()` as well as by `saEvtEventPatternFree`.
#[derive(Debug)]
pub(super) struct PatternBlock {
    entries: NonNull<SaEvtEventPatternT>,
    number: usize,
}

impl PatternBlock {
    /// Copies the patterns; `None` if there are none.
    ///
    /// - `NoMemory`.
    pub(super) fn copy_of<'a, I>(patterns: I) -> Result<Option<Self>, Error>
    where
        I: ExactSizeIterator<Item = &'a [u8]>,
    {
        // SAFETY: calloc may be asked for any size.
        Self::copy_with(patterns, |bytes| unsafe { libc::calloc(1, bytes) })
    }

    /// `allocate` gives zeroed memory that `free()` takes back, or NULL.
    fn copy_with<'a, I>(
        patterns: I,
        mut allocate: impl FnMut(usize) -> *mut c_void,
    ) -> Result<Option<Self>, Error>
    where
        I: ExactSizeIterator<Item = &'a [u8]>,
    {
        if patterns.len() == 0 {
            return Ok(None);
        }
        let bytes =
            patterns.len().checked_mul(size_of::<SaEvtEventPatternT>()).ok_or(Error::NoMemory)?;
        let entries = NonNull::new(allocate(bytes)).ok_or(Error::NoMemory)?.cast();
        // From here on, dropping the block frees the array and the entries counted so far.
        let mut block = Self { entries, number: 0 };
        for pattern in patterns {
            // A zero, not counted, follows: programs compare patterns by strcmp.
            let copy = allocate(pattern.len() + 1).cast::<u8>();
            let copy = NonNull::new(copy).ok_or(Error::NoMemory)?;
            // SAFETY: a new block of one byte more.
            unsafe { ptr::write_bytes(copy, pattern) };
            let size = pattern.len() as u64;
            let entry = SaEvtEventPatternT {
                allocatedSize: size,
                patternSize: size,
                pattern: copy.as_ptr(),
            };
            // SAFETY: there is room for one entry for each pattern.
            let place = unsafe { block.entries.add(block.number) };
            // SAFETY: inside the new block, which calloc has aligned for anything.
            unsafe { place.write(entry) };
            block.number += 1;
        }
        Ok(Some(block))
    }

    /// Takes back what [`PatternBlock::into_array`] gave.
    ///
    /// # Safety
    ///
    /// `entries` and `number` are what was given, and none of it has been freed.
    pub(super) unsafe fn from_array(entries: NonNull<SaEvtEventPatternT>, number: usize) -> Self {
        Self { entries, number }
    }

    /// Gives the memory away, as an array that a program can read and has to free.
    pub(super) fn into_array(block: Option<Self>) -> SaEvtEventPatternArrayT {
        let (patterns, number) = match block.map(ManuallyDrop::new) {
            Some(block) => (block.entries.as_ptr(), block.number()),
            None => (std::ptr::null_mut(), 0),
        };
        SaEvtEventPatternArrayT { allocatedNumber: number, patternsNumber: number, patterns }
    }

    /// Where the array is.
    pub(super) fn address(&self) -> usize {
        self.entries.as_ptr() as usize
    }

    /// How many entries it has.
    pub(super) fn number(&self) -> u64 {
        self.number as u64
    }
}

impl Drop for PatternBlock {
    fn drop(&mut self) {
        for index in 0..self.number {
            // SAFETY: so many entries are in the block.
            let entry = unsafe { self.entries.add(index) };
            // SAFETY: inside the block, initialized by `copy_with`.
            let pattern = unsafe { (*entry.as_ptr()).pattern };
            // SAFETY: it came from the C library and is freed only here.
            unsafe { libc::free(pattern.cast()) };
        }
        // SAFETY: as above.
        unsafe { libc::free(self.entries.as_ptr().cast()) };
    }
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;
