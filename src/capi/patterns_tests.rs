//! Tests of `patterns.rs`, in a file of their own for length.

use super::*;
use std::ptr::{null, null_mut};

fn entry(bytes: &[u8]) -> SaEvtEventPatternT {
    // The allocated size is to be ignored on input.
    let pattern = bytes.as_ptr().cast_mut();
    SaEvtEventPatternT { allocatedSize: 1, patternSize: bytes.len() as u64, pattern }
}

fn nowhere(size: u64) -> SaEvtEventPatternT {
    SaEvtEventPatternT { allocatedSize: size, patternSize: size, pattern: null_mut() }
}

/// An entry that claims more than is there, to show that nobody looks.
fn dangling(size: u64) -> SaEvtEventPatternT {
    SaEvtEventPatternT { pattern: NonNull::dangling().as_ptr(), ..nowhere(size) }
}

fn pack(entries: &mut [SaEvtEventPatternT], number: u64) -> Result<Vec<Vec<u8>>, Error> {
    let array = SaEvtEventPatternArrayT {
        allocatedNumber: 0,
        patternsNumber: number,
        patterns: entries.as_mut_ptr(),
    };
    // SAFETY: an array that is live and, where it counts, describes live bytes.
    let patterns = unsafe { PatternsIn::read(&array) }?;
    let packed = patterns.pack(Some(Name::EMPTY), Attributes::empty()?.view())?;
    Ok(packed.view().patterns().map(<[u8]>::to_vec).collect())
}

fn filter(filterType: u32, filter: SaEvtEventPatternT) -> SaEvtEventFilterT {
    SaEvtEventFilterT { filterType, filter }
}

fn filters(entries: &mut [SaEvtEventFilterT], number: u64) -> Result<Vec<Filter>, Error> {
    let array = SaEvtEventFilterArrayT { filtersNumber: number, filters: entries.as_mut_ptr() };
    // SAFETY: an array that is live and, where it counts, describes live bytes.
    unsafe { read_filters(&array) }.map(|filters| filters.0)
}

#[test]
fn patterns_are_read_by_their_size_alone() {
    let mut entries = [entry(b"a\0b"), nowhere(0), dangling(0), entry(&[b'z'; 65535])];
    let read = pack(&mut entries, 4).unwrap();
    assert_eq!(read[..3], [b"a\0b".to_vec(), vec![], vec![]]);
    assert_eq!(read[3].len(), 65535);
    assert_eq!(pack(&mut entries, 1).unwrap().len(), 1);
    assert_eq!(pack(&mut [], 0), Ok(vec![]));
}

#[test]
fn what_is_not_given_stays_as_it_is() {
    let me = Name::new(b"me").unwrap();
    let present = Attributes::pack(&me, [b"p".as_slice()].into_iter()).unwrap();
    // SAFETY: NULL is allowed.
    let unchanged = unsafe { PatternsIn::read(null()) }.unwrap();
    assert_eq!(unchanged.pack(None, present.view()), Ok(present.clone()));
    let named = unchanged.pack(Some(Name::EMPTY), present.view()).unwrap();
    assert_eq!(named.view().publisher(), b"");
    assert_eq!(named.view().first_pattern(), b"p");
}

#[test]
fn patterns_at_null_are_refused_and_impossible_ones_left_to_the_agent() {
    assert_eq!(pack(&mut [entry(b"a"), nowhere(1)], 2), Err(Error::InvalidParam));
    assert_eq!(pack(&mut [nowhere(u64::MAX)], 1), Err(Error::InvalidParam));
    assert_eq!(pack(&mut [dangling(65536)], 1), Err(Error::TooBig));
    assert_eq!(pack(&mut [dangling(u64::MAX)], 1), Err(Error::TooBig));
    assert_eq!(pack(&mut [dangling(65536), nowhere(1)], 2), Err(Error::InvalidParam));
    assert_eq!(pack(&mut [entry(b"a")], 1025), Err(Error::TooBig));
    assert_eq!(pack(&mut [entry(b"a")], u64::MAX), Err(Error::TooBig));
    let array =
        SaEvtEventPatternArrayT { allocatedNumber: 1, patternsNumber: 1, patterns: null_mut() };
    // SAFETY: a live array without entries.
    assert_eq!(unsafe { PatternsIn::read(&array) }.unwrap_err(), Error::InvalidParam);
}

#[test]
fn filters_are_copied_by_type_and_size() {
    let mut entries = [
        filter(1, entry(b"a\0")),
        filter(2, nowhere(0)),
        filter(3, entry(b"c")),
        filter(4, dangling(0)),
    ];
    let read = filters(&mut entries, 4).unwrap();
    let kinds: Vec<_> = read.iter().map(|filter| filter.kind).collect();
    use FilterKind::{Exact, PassAll, Prefix, Suffix};
    assert_eq!(kinds, [Prefix, Suffix, Exact, PassAll]);
    assert_eq!(read[0].bytes, b"a\0");
    assert!(read[1].bytes.is_empty() && read[3].bytes.is_empty());
    assert_eq!(filters(&mut [], 0), Ok(vec![]));
}

#[test]
fn filters_of_unknown_type_or_at_null_are_refused() {
    for number in [0, 5, u32::MAX] {
        let mut entries = [filter(3, entry(b"c")), filter(number, entry(b"a"))];
        assert_eq!(filters(&mut entries, 2), Err(Error::InvalidParam));
    }
    assert_eq!(filters(&mut [filter(1, nowhere(1))], 1), Err(Error::InvalidParam));
    // SAFETY: NULL is allowed.
    assert_eq!(unsafe { read_filters(null()) }, Err(Error::InvalidParam));
    let array = SaEvtEventFilterArrayT { filtersNumber: 1, filters: null_mut() };
    // SAFETY: a live array without entries.
    assert_eq!(unsafe { read_filters(&array) }, Err(Error::InvalidParam));
}

#[test]
fn the_bytes_of_a_pass_all_filter_are_never_read() {
    for there in [nowhere(5), dangling(5)] {
        let read = filters(&mut [filter(4, there)], 1).unwrap();
        assert_eq!(read[0].bytes, [0; 5]);
    }
    assert_eq!(filters(&mut [filter(4, dangling(u64::MAX))], 1).unwrap()[0].bytes.len(), 65536);
}

#[test]
fn impossible_filters_become_ones_that_every_limit_refuses() {
    let widest = crate::evt::Limits {
        patterns_max: NUMBER_MAX,
        pattern_bytes_max: BYTES_MAX,
        ..Default::default()
    };
    let within = |filters: Vec<Filter>| Filters(filters).within(&widest);
    for size in [65536, u64::MAX] {
        let read = filters(&mut [filter(1, dangling(size))], 1).unwrap();
        assert_eq!(within(read), Err(Error::TooBig));
    }
    for number in [1025, u64::MAX] {
        let read = filters(&mut [filter(1, entry(b"a"))], number).unwrap();
        assert_eq!(within(read), Err(Error::TooBig));
    }
    let mut most = vec![filter(1, entry(b"a")); 1024];
    assert_eq!(within(filters(&mut most, 1024).unwrap()), Ok(()));
}

const PATTERNS: [&[u8]; 3] = [b"abc", b"", b"d\0"];

/// Asks for [`PATTERNS`] in buffers of the caller.
fn fill(capacity: u64, entries: &mut [SaEvtEventPatternT]) -> (Result<bool, Error>, u64) {
    let mut array = SaEvtEventPatternArrayT {
        allocatedNumber: capacity,
        patternsNumber: 777,
        patterns: entries.as_mut_ptr(),
    };
    // SAFETY: live entries that describe live buffers.
    let out = unsafe { PatternsOut::new(&mut array) };
    let taken = out.take(PATTERNS.into_iter());
    assert_eq!(array.allocatedNumber, capacity);
    let complete = taken.map(|taken| matches!(taken, PatternsTaken::Copied { complete: true }));
    (complete, array.patternsNumber)
}

fn buffer(bytes: &mut [u8]) -> SaEvtEventPatternT {
    let allocatedSize = bytes.len() as u64;
    SaEvtEventPatternT { allocatedSize, patternSize: 555, pattern: bytes.as_mut_ptr() }
}

#[test]
fn the_callers_buffers_are_filled_and_the_rest_is_left_alone() {
    let (mut first, mut third) = ([b'x'; 4], [b'x'; 2]);
    let spare = SaEvtEventPatternT { patternSize: 555, ..nowhere(0) };
    let mut entries = [buffer(&mut first), nowhere(0), buffer(&mut third), spare];
    assert_eq!(fill(4, &mut entries), (Ok(true), 3));
    assert_eq!(entries.map(|entry| entry.patternSize), [3, 0, 2, 555]);
    assert_eq!(entries.map(|entry| entry.allocatedSize), [4, 0, 2, 0]);
    assert_eq!((&first, &third), (b"abcx", b"d\0"));
}

#[test]
fn too_few_or_too_small_buffers_still_learn_the_sizes() {
    let (mut first, mut third) = ([b'x'; 2], [b'x'; 2]);
    let mut entries = [buffer(&mut first), nowhere(0), buffer(&mut third)];
    assert_eq!(fill(3, &mut entries), (Ok(false), 3));
    assert_eq!(entries.map(|entry| entry.patternSize), [3, 0, 2]);
    assert_eq!((&first, &third), (b"xx", b"d\0"));

    let mut entries = [buffer(&mut third), dangling(555)];
    assert_eq!(fill(1, &mut entries), (Ok(false), 3));
    assert_eq!(entries.map(|entry| entry.patternSize), [3, 555]);
    assert_eq!(fill(0, &mut entries), (Ok(false), 3));
}

#[test]
fn a_missing_buffer_that_claims_room_is_refused_before_anything_is_written() {
    let mut first = [b'x'; 4];
    let mut entries = [buffer(&mut first), nowhere(0), nowhere(2)];
    assert_eq!(fill(3, &mut entries), (Err(Error::InvalidParam), 777));
    assert_eq!((first, entries[0].patternSize), (*b"xxxx", 555));
    entries[2].allocatedSize = 1;
    assert_eq!(fill(3, &mut entries), (Ok(false), 3));
}

/// Asks for patterns in memory of the library's.
fn allocate(patterns: &[&[u8]]) -> SaEvtEventPatternArrayT {
    let mut array =
        SaEvtEventPatternArrayT { allocatedNumber: 9, patternsNumber: 9, patterns: null_mut() };
    // SAFETY: a live array without entries.
    let out = unsafe { PatternsOut::new(&mut array) };
    match out.take(patterns.iter().copied()).unwrap() {
        PatternsTaken::Allocated { block, array } => array.write(PatternBlock::into_array(block)),
        other => panic!("{other:?}"),
    }
    array
}

#[test]
fn allocated_patterns_are_blocks_that_free_takes_back() {
    let array = allocate(&PATTERNS);
    assert_eq!((array.allocatedNumber, array.patternsNumber), (3, 3));
    for (index, expected) in PATTERNS.iter().enumerate() {
        // SAFETY: the array has three entries.
        let entry = unsafe { array.patterns.add(index) };
        // SAFETY: as above.
        let entry = unsafe { *entry };
        let size = expected.len();
        assert_eq!((entry.allocatedSize, entry.patternSize), (size as u64, size as u64));
        // SAFETY: a NUL follows the bytes, so one more can be read.
        let bytes = unsafe { std::slice::from_raw_parts(entry.pattern, size + 1) };
        assert_eq!((&bytes[..size], bytes[size]), (*expected, 0));
        // SAFETY: a block of the C library of its own, as programs of release B.01 expect.
        unsafe { libc::free(entry.pattern.cast()) };
    }
    // SAFETY: as above.
    unsafe { libc::free(array.patterns.cast()) };
}

#[test]
fn allocated_patterns_can_be_taken_back_and_dropped() {
    let array = allocate(&PATTERNS);
    let entries = NonNull::new(array.patterns).unwrap();
    // SAFETY: just given, and not freed.
    let block = unsafe { PatternBlock::from_array(entries, 3) };
    assert_eq!((block.address(), block.number()), (array.patterns as usize, 3));
}

#[test]
fn no_patterns_need_no_memory() {
    let array = allocate(&[]);
    assert!(array.patterns.is_null());
    assert_eq!((array.allocatedNumber, array.patternsNumber), (0, 0));
}

#[test]
fn memory_that_runs_out_midway_is_an_error() {
    for good in 0..=4 {
        let mut left = good;
        let block = PatternBlock::copy_with(PATTERNS.into_iter(), |bytes| {
            if left == 0 {
                return null_mut();
            }
            left -= 1;
            // SAFETY: calloc may be asked for any size.
            unsafe { libc::calloc(1, bytes) }
        });
        assert_eq!(
            block.map(|block| block.is_some()),
            match good {
                4 => Ok(true),
                _ => Err(Error::NoMemory),
            }
        );
    }
}

#[test]
fn patterns_that_are_not_wanted_are_not_touched() {
    // SAFETY: NULL is allowed.
    let out = unsafe { PatternsOut::new(null_mut()) };
    assert!(matches!(out.take(PATTERNS.into_iter()), Ok(PatternsTaken::Nothing)));
}
