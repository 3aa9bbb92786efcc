//! The inbox ring: the node and one reader.

use super::explore;
use crate::link::inring::{InRing, Positions, Reader, UNIT};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const UNITS: u64 = 4;
const PAD: u64 = u64::MAX;

struct Ring {
    positions: Positions,
    /// First word of a record: its length in units; then its word in every other unit.
    data: Vec<UnsafeCell<u64>>,
}

// SAFETY: the cells are reached by the ring's protocol only, and loom reports where it fails.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    fn at(units: u64) -> Self {
        let data = (0..UNITS).map(|_| UnsafeCell::new(0)).collect();
        let ring = Self { positions: Positions::default(), data };
        ring.ring().show(units * UNIT);
        ring.ring().advance(units * UNIT);
        ring
    }

    fn ring(&self) -> InRing<'_> {
        InRing::new(&self.positions, UNITS * UNIT)
    }

    fn store(&self, position: u64, word: u64) {
        let cell = &self.data[(self.ring().offset(position) / UNIT) as usize];
        // SAFETY: loom checks that nobody else is at the cell.
        cell.with_mut(|cell| unsafe { *cell = word });
    }

    fn load(&self, position: u64) -> u64 {
        let cell = &self.data[(self.ring().offset(position) / UNIT) as usize];
        // SAFETY: loom checks that nobody writes to the cell.
        cell.with(|cell| unsafe { *cell })
    }

    /// Node: writes a record of `1 + words` units. False when there is no room.
    fn put(&self, tail: &mut u64, word: u64, words: u64) -> bool {
        let bytes = (1 + words) * UNIT;
        let Some(room) = self.ring().room(*tail, bytes, &mut Reader::default()) else {
            return false;
        };
        let (pad, pad_bytes) = room.pad;
        if pad_bytes > 0 {
            self.store(pad, PAD);
        }
        self.store(room.position, words);
        for index in 0..words {
            self.store(room.position + (1 + index) * UNIT, word);
        }
        *tail = room.position + bytes;
        true
    }

    /// Reader: takes what is there.
    fn take(&self, at: &mut u64, into: &mut Vec<u64>) {
        let written = self.ring().written();
        while *at < written {
            let words = self.load(*at);
            if words == PAD {
                *at += self.ring().rest(*at);
                continue;
            }
            let word = self.load(*at + UNIT);
            for index in 1..words {
                assert_eq!(self.load(*at + (1 + index) * UNIT), word, "torn");
            }
            into.push(word);
            *at += (1 + words) * UNIT;
            self.ring().advance(*at);
        }
    }
}

#[test]
fn records_come_whole_once_and_in_order_while_the_ring_fills_and_wraps() {
    explore(4, || {
        // One unit in, so that the second record of two units needs a pad.
        let ring = Arc::new(Ring::at(1));
        let reader = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let (mut at, mut taken) = (UNIT, Vec::new());
                for _ in 0..3 {
                    ring.take(&mut at, &mut taken);
                }
                (at, taken)
            })
        };
        let (mut tail, mut put) = (UNIT, Vec::new());
        for (word, words) in [(1, 1), (2, 2), (3, 1), (4, 1)] {
            if ring.put(&mut tail, word, words) {
                put.push(word);
                ring.ring().show(tail);
            }
        }
        let (mut at, mut taken) = reader.join().unwrap();
        ring.take(&mut at, &mut taken);
        assert_eq!(taken, put);
        assert_eq!(ring.ring().read(), tail);
    });
}

#[test]
fn pages_are_given_back_only_when_all_was_read() {
    explore(4, || {
        let ring = Arc::new(Ring::at(0));
        let reader = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let (mut at, mut taken) = (0, Vec::new());
                ring.take(&mut at, &mut taken);
                ring.take(&mut at, &mut taken);
                (at, taken)
            })
        };
        let mut tail = 0;
        assert!(ring.put(&mut tail, 1, 1));
        ring.ring().show(tail);
        if ring.ring().read() == tail {
            (0..UNITS).for_each(|unit| ring.store(unit * UNIT, 0));
        }
        assert!(ring.put(&mut tail, 2, 1));
        ring.ring().show(tail);
        let (mut at, mut taken) = reader.join().unwrap();
        ring.take(&mut at, &mut taken);
        assert_eq!(taken, [1, 2]);
    });
}
