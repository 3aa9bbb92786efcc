//! Event identifiers that the node has granted, and the publications that get them.

use crate::evt::EventId;
use crate::evt::node::IdBlock;
use crate::link::outbox::Outbox;
use crate::link::outring::Refused;
use crate::wire::request::Block;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks of identifiers that may still be in the outbox: far more than it can hold.
const BLOCKS_KEPT: usize = 16;
const COUNT: u64 = IdBlock::COUNT as u64;

/// The identifiers of one link.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The next one. A multiple of a block's length says that none is left, and so the first one
    /// of a block is not used.
    next: AtomicU64,
    blocks: Mutex<VecDeque<Block>>,
}

impl Ids {
    /// Sees to it that there are identifiers, before room is taken for a record that needs one.
    ///
    /// - [`Refused::Full`]: no block is on offer now.
    #[inline(always)]
    pub(super) fn prepare(&self, outbox: &Outbox) -> Result<(), Refused> {
        if self.next.load(Ordering::Relaxed).is_multiple_of(COUNT) {
            self.begin_block(outbox)?;
        }
        Ok(())
    }

    /// The next identifier. The node keeps a block on offer in the outbox and is never behind by
    /// more records than a block has identifiers, so that this asks nobody.
    ///
    /// - [`Refused::Full`]: no block is on offer now.
    #[inline(always)]
    pub(super) fn take(&self, outbox: &Outbox) -> Result<EventId, Refused> {
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            if next.is_multiple_of(COUNT) {
                next = self.begin_block(outbox)?;
            }
            let taken = self.next.compare_exchange_weak(
                next,
                next + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match taken {
                Ok(id) => return Ok(EventId(id)),
                Err(newer) => next = newer,
            }
        }
    }

    /// Takes the block on offer, unless another thread has. Gives what is next.
    #[cold]
    fn begin_block(&self, outbox: &Outbox) -> Result<u64, Refused> {
        let mut blocks = self.blocks.lock();
        let next = self.next.load(Ordering::Relaxed);
        if !next.is_multiple_of(COUNT) {
            return Ok(next);
        }
        let first = outbox.take_block();
        if first == 0 {
            return Err(Refused::Full);
        }
        if !first.is_multiple_of(COUNT) || first.checked_add(COUNT).is_none() {
            return Err(Refused::Nonsense);
        }
        blocks.push_back((EventId(first), IdBlock::COUNT));
        if blocks.len() > BLOCKS_KEPT {
            blocks.pop_front();
        }
        self.next.store(first + 1, Ordering::Relaxed);
        Ok(first + 1)
    }

    /// From now on another block is used.
    pub(super) fn end_block(&self) {
        // Under the lock, so that a block that is being taken just now is no exception.
        let _blocks = self.blocks.lock();
        self.next.store(0, Ordering::Relaxed);
    }

    /// The blocks that records in the outbox have, or will have, identifiers of.
    pub(super) fn blocks(&self, outbox: &Outbox) -> Vec<Block> {
        let blocks = self.blocks.lock();
        let offered = outbox.offered_block();
        let on_offer = (offered != 0).then_some((EventId(offered), IdBlock::COUNT));
        blocks.iter().copied().chain(on_offer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::create(1 << 12).unwrap().1
    }

    #[test]
    fn identifiers_of_a_block_come_once_and_then_those_of_the_next() {
        let (ids, outbox) = (Ids::default(), outbox());
        assert_eq!(ids.prepare(&outbox), Err(Refused::Full));
        assert_eq!(ids.take(&outbox), Err(Refused::Full));
        outbox.offer_block(3 * COUNT);
        assert_eq!(ids.prepare(&outbox), Ok(()));
        for id in 3 * COUNT + 1..4 * COUNT {
            assert_eq!(ids.take(&outbox), Ok(EventId(id)));
        }
        assert_eq!(ids.take(&outbox), Err(Refused::Full));
        outbox.offer_block(9 * COUNT);
        assert_eq!(ids.take(&outbox), Ok(EventId(9 * COUNT + 1)));
        outbox.offer_block(11 * COUNT);
        let block = |number| (EventId(number * COUNT), IdBlock::COUNT);
        assert_eq!(ids.blocks(&outbox), [block(3), block(9), block(11)]);
        ids.end_block();
        assert_eq!(ids.take(&outbox), Ok(EventId(11 * COUNT + 1)));
    }

    #[test]
    fn the_newest_blocks_are_remembered() {
        let (ids, outbox) = (Ids::default(), outbox());
        for number in 1..=BLOCKS_KEPT as u64 + 1 {
            outbox.offer_block(number * COUNT);
            ids.end_block();
            ids.take(&outbox).unwrap();
        }
        let blocks = ids.blocks(&outbox);
        assert_eq!((blocks.len(), blocks[0].0), (BLOCKS_KEPT, EventId(2 * COUNT)));
    }

    #[test]
    fn blocks_that_cannot_be_are_refused() {
        let (ids, outbox) = (Ids::default(), outbox());
        for first in [1, COUNT + 1, u64::MAX, u64::MAX - (COUNT - 1)] {
            outbox.offer_block(first);
            assert_eq!(ids.take(&outbox), Err(Refused::Nonsense), "{first}");
        }
    }

    #[test]
    fn threads_get_different_identifiers() {
        const EACH: usize = 30_000;
        let (ids, outbox) = (Ids::default(), outbox());
        let take = || {
            let mut taken = Vec::with_capacity(EACH);
            while taken.len() < EACH {
                match ids.take(&outbox) {
                    Ok(id) => taken.push(id),
                    Err(_) => std::thread::yield_now(),
                }
            }
            taken
        };
        let all = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            for number in 1..=2 {
                outbox.offer_block(number * COUNT);
                while outbox.offered_block() != 0 {
                    std::thread::yield_now();
                }
            }
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
        });
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), different.len()), (4 * EACH, 4 * EACH));
        assert!(all.iter().all(|id| id.0 > COUNT && id.0 < 3 * COUNT));
    }
}
