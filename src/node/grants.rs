//! Which blocks of event identifiers were offered to which outbox.
//!
//! A program that brings its link to the next daemon claims the blocks its outbox has identifiers
//! of. It shows the outbox itself, whose memory nobody else can show who has not been given it: so
//! nobody can claim blocks of others, to publish under their identifiers or to have them refused.
//! Blocks of private services that have moved here were offered by those; they are good for the
//! programs of their user.

use crate::evt::EventId;
use crate::evt::node::IdBlock;
use std::collections::{BTreeMap, VecDeque};

/// What tells one memory from another: see [`crate::sys::memory::identity`].
pub(super) type Memory = (u64, u64);

/// Outboxes without link whose blocks are remembered, the newest, of this start and earlier ones.
/// Many times the programs that a daemon has at once.
const ENDED_MAX: usize = 65_536;

/// What one outbox was offered.
#[derive(Debug, Default)]
struct Held {
    /// First identifiers of the blocks, the newest last.
    blocks: VecDeque<EventId>,
    /// When its link ended, by number; none while it has one.
    ended: Option<u64>,
}

/// The blocks of all outboxes that may still come.
#[derive(Debug, Default)]
pub(super) struct Grants {
    held: BTreeMap<Memory, Held>,
    ended: VecDeque<(u64, Memory)>,
    serial: u64,
}

impl Grants {
    /// Notes that a block is on offer in an outbox.
    pub(super) fn add(&mut self, memory: Memory, first: EventId) {
        let held = self.held.entry(memory).or_default();
        held.ended = None;
        if held.blocks.len() == IdBlock::HELD_MAX {
            held.blocks.pop_front();
        }
        held.blocks.push_back(first);
    }

    /// Whether a block was offered in this outbox.
    pub(super) fn has(&self, memory: Memory, first: EventId) -> bool {
        self.held.get(&memory).is_some_and(|held| held.blocks.contains(&first))
    }

    /// The link of an outbox has ended; it may come back.
    pub(super) fn end(&mut self, memory: Memory) {
        let Some(held) = self.held.get_mut(&memory) else { return };
        self.serial += 1;
        held.ended = Some(self.serial);
        self.ended.push_back((self.serial, memory));
        if self.ended.len() > ENDED_MAX
            && let Some((serial, oldest)) = self.ended.pop_front()
            && self.held.get(&oldest).is_some_and(|held| held.ended == Some(serial))
        {
            self.held.remove(&oldest);
        }
    }

    /// The program of an outbox has ended, and its memory with it.
    pub(super) fn forget(&mut self, memory: Memory) {
        self.held.remove(&memory);
    }

    /// No outbox has a link: a start begins with what was left.
    pub(super) fn end_all(&mut self) {
        let all: Vec<_> = self.held.keys().copied().collect();
        for memory in all {
            self.end(memory);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Memory, EventId)> {
        let all = self.held.iter();
        all.flat_map(|(memory, held)| held.blocks.iter().map(|first| (*memory, *first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_good_for_the_outbox_it_was_offered_in() {
        let mut grants = Grants::default();
        grants.add((1, 2), EventId(65_536));
        assert!(grants.has((1, 2), EventId(65_536)));
        assert!(!grants.has((1, 3), EventId(65_536)));
        assert!(!grants.has((1, 2), EventId(131_072)));
        grants.end((1, 2));
        assert!(grants.has((1, 2), EventId(65_536)), "it may come back");
        grants.forget((1, 2));
        assert_eq!(grants.iter().count(), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_an_outbox_with_a_link_is_not_forgotten() {
        let mut grants = Grants::default();
        for first in 0..IdBlock::HELD_MAX as u64 + 1 {
            grants.add((0, 0), EventId(first));
        }
        assert_eq!(grants.iter().count(), IdBlock::HELD_MAX);
        assert!(!grants.has((0, 0), EventId(0)));
        grants.end((0, 0));
        grants.add((0, 0), EventId(100));
        grants.add((0, 1), EventId(200));
        grants.end((0, 1));
        for inode in 2..ENDED_MAX as u64 + 1 {
            grants.add((0, inode), EventId(inode));
            grants.end((0, inode));
        }
        assert!(grants.has((0, 0), EventId(100)), "it has come back since");
        assert!(grants.has((0, 1), EventId(200)));
        grants.add((1, 0), EventId(300));
        grants.end((1, 0));
        assert!(grants.has((0, 0), EventId(100)));
        assert!(!grants.has((0, 1), EventId(200)), "the oldest without link goes");
        assert!(grants.ended.len() <= ENDED_MAX);
    }
}
