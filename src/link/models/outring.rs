//! The outbox ring: two publishing threads and the node.

use super::explore;
use crate::link::outring::{OutRing, Positions, Refused, Seen, UNIT};
use crate::link::sync::AtomicU64;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const UNITS: usize = 4;

/// A ring with its data: one word for each unit.
struct Ring {
    positions: Positions,
    commits: Vec<AtomicU64>,
    data: Vec<UnsafeCell<u64>>,
}

// SAFETY: the cells are reached by the ring's protocol only, and loom reports where it fails.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// A ring that has been used up to `position`: all three positions are there.
    fn at(position: u64) -> Self {
        let ring = Self {
            positions: Positions::default(),
            commits: (0..UNITS).map(|_| AtomicU64::new(0)).collect(),
            data: (0..UNITS).map(|_| UnsafeCell::new(0)).collect(),
        };
        for _ in 0..position / UNIT {
            let slot = ring.ring().reserve(UNIT).unwrap();
            ring.ring().commit(slot);
            ring.ring().take(slot.position + UNIT);
            ring.ring().finish(slot.position + UNIT);
        }
        ring
    }

    fn ring(&self) -> OutRing<'_> {
        OutRing::new(&self.positions, &self.commits)
    }

    fn cells(&self, position: u64, bytes: u64) -> &[UnsafeCell<u64>] {
        let first = (self.ring().offset(position) / UNIT) as usize;
        &self.data[first..first + (bytes / UNIT) as usize]
    }

    /// Publishes `word` in a record of so many units.
    fn publish(&self, word: u64, units: u64) -> Result<(), Refused> {
        let slot = self.ring().reserve(units * UNIT)?;
        for cell in self.cells(slot.position, slot.bytes) {
            // SAFETY: loom checks that nobody else is at the cell.
            cell.with_mut(|cell| unsafe { *cell = word });
        }
        self.ring().commit(slot);
        Ok(())
    }

    /// Takes what is visible, as the node does, from `next` on.
    fn take(&self, next: &mut u64, into: &mut Vec<u64>) {
        let ring = self.ring();
        let mut end = *next;
        let mut seen = Vec::new();
        loop {
            match ring.look(end) {
                Seen::Nothing => break,
                Seen::Nonsense => panic!("nonsense at {end}"),
                Seen::Pad(bytes) => end += bytes,
                Seen::Record(bytes) => {
                    seen.push((end, bytes));
                    end += bytes;
                }
            }
        }
        ring.take(end);
        for (position, bytes) in seen {
            let words: Vec<u64> = self
                .cells(position, bytes)
                .iter()
                // SAFETY: loom checks that nobody writes to the cell.
                .map(|cell| cell.with(|cell| unsafe { *cell }))
                .collect();
            assert!(words.iter().all(|word| *word == words[0]), "torn: {words:?}");
            into.push(words[0]);
        }
        ring.finish(end);
        *next = end;
    }

    /// Gives a part of the ring back as the node does when it rests; true if no publisher was
    /// faster. Its pages read as zero afterwards.
    fn give_back(&self, next: &mut u64) -> bool {
        let Some(slot) = self.ring().withdraw(*next) else { return false };
        for cell in self.cells(slot.position, slot.bytes) {
            // SAFETY: loom checks that nobody else is at the cell.
            cell.with_mut(|cell| unsafe { *cell = 0 });
        }
        self.ring().release(slot);
        *next = slot.position + slot.bytes;
        true
    }
}

/// Two threads that publish a record of one unit each, and give its word.
fn publishers(ring: &Arc<Ring>) -> [thread::JoinHandle<u64>; 2] {
    [10, 20].map(|word| {
        let ring = Arc::clone(ring);
        thread::spawn(move || {
            ring.publish(word, 1).unwrap();
            word
        })
    })
}

/// All of `published`, each once, and those of one thread in their order.
fn check(taken: &[u64], published: &[u64]) {
    let mut sorted = taken.to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, published, "taken as {taken:?}");
    for thread in [10, 20] {
        let own: Vec<u64> = taken.iter().copied().filter(|word| word / 10 * 10 == thread).collect();
        assert!(own.is_sorted(), "out of order: {taken:?}");
    }
}

#[test]
fn records_of_two_threads_come_whole_once_and_in_order_past_a_pad() {
    explore(2, || {
        // Three units in, so that a record of two units needs a pad and wraps.
        let ring = Arc::new(Ring::at(3 * UNIT));
        let others = [(10, 2), (20, 1)].map(|(word, units)| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || match ring.publish(word, units) {
                Ok(()) => vec![word],
                Err(refused) => {
                    assert_eq!(refused, Refused::Full);
                    Vec::new()
                }
            })
        });
        let (mut next, mut taken) = (3 * UNIT, Vec::new());
        ring.take(&mut next, &mut taken);
        ring.take(&mut next, &mut taken);
        let published: Vec<u64> = others.into_iter().flat_map(|t| t.join().unwrap()).collect();
        ring.take(&mut next, &mut taken);
        check(&taken, &published);
    });
}

#[test]
fn a_full_ring_refuses_and_no_old_commit_is_taken_for_a_new_one() {
    explore(2, || {
        let ring = Arc::new(Ring::at(2 * UNIT));
        let others = [10, 20].map(|first| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                let mut published = Vec::new();
                for word in first..first + 3 {
                    match ring.publish(word, 1) {
                        Ok(()) => published.push(word),
                        Err(refused) => assert_eq!(refused, Refused::Full),
                    }
                }
                published
            })
        });
        let (mut next, mut taken) = (2 * UNIT, Vec::new());
        ring.take(&mut next, &mut taken);
        ring.take(&mut next, &mut taken);
        let published: Vec<u64> = others.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert!(published.len() >= UNITS, "an empty ring took less than it holds");
        ring.take(&mut next, &mut taken);
        check(&taken, &published);
    });
}

#[test]
fn an_empty_ring_goes_back_to_its_first_bytes_or_a_publisher_was_faster() {
    explore(2, || {
        let ring = Arc::new(Ring::at(3 * UNIT));
        let others = publishers(&ring);
        let (mut next, mut taken) = (3 * UNIT, Vec::new());
        if let Some(begin) = ring.ring().go_back(next) {
            assert_eq!(ring.ring().offset(begin), 0);
            let (_, took, done) = ring.ring().positions();
            assert_eq!((took, done), (begin, begin));
            next = begin;
        }
        ring.take(&mut next, &mut taken);
        let published: Vec<u64> = others.into_iter().map(|t| t.join().unwrap()).collect();
        ring.take(&mut next, &mut taken);
        check(&taken, &published);
    });
}

#[test]
fn pages_are_given_back_only_where_nobody_publishes() {
    explore(2, || {
        let ring = Arc::new(Ring::at(3 * UNIT));
        let others = publishers(&ring);
        let (mut next, mut taken) = (3 * UNIT, Vec::new());
        ring.take(&mut next, &mut taken);
        if ring.give_back(&mut next) {
            let (_, took, done) = ring.ring().positions();
            assert_eq!((took, done), (next, next));
        }
        ring.take(&mut next, &mut taken);
        let published: Vec<u64> = others.into_iter().map(|t| t.join().unwrap()).collect();
        ring.take(&mut next, &mut taken);
        check(&taken, &published);
    });
}
