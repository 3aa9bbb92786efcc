//! Handle values and the tables behind them.
//!
//! A handle is no pointer: it is a kind, a slot and a check word that is drawn anew for each use of
//! the slot, so that a stale, foreign or made-up value finds nothing.
//!
//! | bits | library, channel | event |
//! |---|---|---|
//! | 62..63 | kind 1, 2 | kind 3 |
//! | 40..61 | check | check |
//! | 16..39 | check | slot in the instance's event table |
//! | 0..15 | slot | slot of the open instance |

use super::Handle;

pub(super) const KIND_SHIFT: u32 = 62;
const EVENT_SLOT_SHIFT: u32 = 16;
const EVENT_CHECK_SHIFT: u32 = 40;
/// Events one open instance can have at once.
pub(super) const EVENTS_MAX: usize = 1 << (EVENT_CHECK_SHIFT - EVENT_SLOT_SHIFT);
/// Entries one table can have.
pub(super) const SLOTS_MAX: usize = 1 << EVENT_SLOT_SHIFT;
/// The check bits of an event handle.
pub(super) const EVENT_CHECK_MASK: u32 = (1 << (KIND_SHIFT - EVENT_CHECK_SHIFT)) - 1;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Library = 1,
    Channel = 2,
    Event = 3,
}

/// The parts of an event handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventHandle {
    pub(super) instance_slot: usize,
    pub(super) slot: usize,
    pub(super) check: u32,
}

impl EventHandle {
    pub(super) const fn encode(self) -> Handle {
        (Kind::Event as u64) << KIND_SHIFT
            | ((self.check & EVENT_CHECK_MASK) as u64) << EVENT_CHECK_SHIFT
            | (self.slot as u64) << EVENT_SLOT_SHIFT
            | self.instance_slot as u64
    }

    pub(super) const fn decode(handle: Handle) -> Option<Self> {
        if handle >> KIND_SHIFT != Kind::Event as u64 {
            return None;
        }
        Some(Self {
            instance_slot: (handle & 0xffff) as usize,
            slot: (handle >> EVENT_SLOT_SHIFT) as usize & (EVENTS_MAX - 1),
            check: (handle >> EVENT_CHECK_SHIFT) as u32 & EVENT_CHECK_MASK,
        })
    }
}

/// A stream of numbers that cannot be guessed from the outside (splitmix64 over a random seed).
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_handles_keep_their_parts() {
        let parts = EventHandle { instance_slot: 65_535, slot: EVENTS_MAX - 1, check: 77 };
        assert_eq!(EventHandle::decode(parts.encode()), Some(parts));
    }
}
