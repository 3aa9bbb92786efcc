//! The count of starts, on which the identifiers of events rest: none is given twice.
//!
//! Each start has its number in the head of the state log, and in a file of its own that is written
//! first. One of them may be damaged or missing.

use crate::evt::EventId;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAGIC: &[u8; 16] = b"saevt-start-0001";
/// Start numbers, by the width that event identifiers give them: after the last comes 1.
const WIDTH: u32 = (1 << EventId::START_BITS) - 1;

/// The start number after `start`; 0 stands for none.
pub(super) const fn next(start: u32) -> u32 {
    start % WIDTH + 1
}

/// Which of two start numbers is the later one, the numbers being a circle.
pub(super) const fn later(one: u32, other: u32) -> u32 {
    let ahead = (one % WIDTH + WIDTH - other % WIDTH) % WIDTH;
    if other == 0 || (one != 0 && ahead < WIDTH / 2) { one } else { other }
}

/// The number in the file of its own; 0 if there is none or it is damaged.
pub(super) fn read(directory: &Path) -> u32 {
    let bytes = std::fs::read(directory.join("start")).unwrap_or_default();
    let number = |at: usize| {
        let bytes: Option<[u8; 4]> = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
        bytes.map(u32::from_le_bytes)
    };
    let whole = bytes.starts_with(MAGIC) && bytes.len() == MAGIC.len() + 8;
    match (number(16), number(20)) {
        (Some(start), Some(checksum)) if whole && checksum == crc32fast::hash(&bytes[..20]) => {
            start
        }
        _ => 0,
    }
}

/// Notes a start number in the file of its own, which holds the old one or the new one whatever
/// happens.
pub(super) fn write(directory: &Path, start: u32) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let new = directory.join("start.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    std::fs::rename(&new, directory.join("start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_last_start_number_comes_the_first() {
        assert_eq!((next(0), next(1), next(WIDTH - 1), next(WIDTH)), (1, 2, WIDTH, 1));
    }

    #[test]
    fn the_later_start_counts_also_where_the_numbers_begin_again() {
        for (earlier, late) in [(0, 5), (4, 5), (1, 1), (WIDTH, 1), (WIDTH - 1, WIDTH), (0, 0)] {
            assert_eq!((later(earlier, late), later(late, earlier)), (late, late));
        }
    }
}
