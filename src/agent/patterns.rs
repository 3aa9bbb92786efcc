//! Which pattern arrays were given out, and how long each is.
//!
//! `saEvtEventPatternFree` gets an address and no count, and programs of release B.01 free with
//! `free()`, so that neither a hidden header nor the event's own count can tell the length. An
//! address that comes back from the allocator simply overwrites its old entry.

use super::Handle;
use crate::evt::Error;
use std::collections::{BTreeMap, BTreeSet};

/// Pattern arrays of this process, by address.
#[derive(Debug, Default)]
pub(super) struct PatternTable {
    by_address: BTreeMap<usize, (Handle, u64)>,
    by_event: BTreeSet<(Handle, usize)>,
}

impl PatternTable {
    pub(super) fn remember(&mut self, event: Handle, address: usize, number: u64) {
        if let Some((older, _)) = self.by_address.insert(address, (event, number)) {
            self.by_event.remove(&(older, address));
        }
        self.by_event.insert((event, address));
    }

    /// Takes an entry back: the number of patterns.
    ///
    /// - [`Error::InvalidParam`]: the address was not given out for this event.
    pub(super) fn forget(&mut self, event: Handle, address: usize) -> Result<u64, Error> {
        if !self.by_event.remove(&(event, address)) {
            return Err(Error::InvalidParam);
        }
        self.by_address.remove(&address).map(|(_, number)| number).ok_or(Error::InvalidParam)
    }

    /// The event is gone: its arrays can only be freed with `free()` now.
    pub(super) fn forget_event(&mut self, event: Handle) {
        let all = (event, 0)..=(event, usize::MAX);
        let addresses: Vec<_> = self.by_event.range(all).map(|(_, address)| *address).collect();
        for address in addresses {
            self.by_event.remove(&(event, address));
            self.by_address.remove(&address);
        }
    }

    /// The open instance of a slot is gone, with all its events.
    pub(super) fn forget_instance(&mut self, of_instance: impl Fn(Handle) -> bool) {
        self.by_event.retain(|(event, _)| !of_instance(*event));
        self.by_address.retain(|_, (event, _)| !of_instance(*event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_taken_back_once_and_only_for_its_event() {
        let mut table = PatternTable::default();
        table.remember(1, 0x1000, 3);
        assert_eq!(table.forget(2, 0x1000), Err(Error::InvalidParam));
        assert_eq!(table.forget(1, 0x2000), Err(Error::InvalidParam));
        assert_eq!(table.forget(1, 0x1000), Ok(3));
        assert_eq!(table.forget(1, 0x1000), Err(Error::InvalidParam));
    }

    #[test]
    fn an_address_that_the_allocator_gives_again_belongs_to_its_newest_event() {
        let mut table = PatternTable::default();
        table.remember(1, 0x1000, 3);
        table.remember(2, 0x1000, 5);
        assert_eq!(table.forget(1, 0x1000), Err(Error::InvalidParam));
        assert_eq!(table.forget(2, 0x1000), Ok(5));
    }

    #[test]
    fn a_freed_event_leaves_nothing_behind() {
        let mut table = PatternTable::default();
        table.remember(1, 0x1000, 3);
        table.remember(1, 0x2000, 3);
        table.forget_event(1);
        table.remember(2, 0x3000, 1);
        table.forget_instance(|event| event == 2);
        assert!(table.by_address.is_empty() && table.by_event.is_empty());
    }
}
