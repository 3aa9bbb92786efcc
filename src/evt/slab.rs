//! A table whose entries are found by a small number that is used again after removal.

use super::Error;
use std::ops::{Index, IndexMut};

/// Entries by slot number. Looking up is one index; no order is promised but slot order.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts an entry into a free slot.
    ///
    /// - [`Error::NoMemory`]: nothing changed.
    pub(super) fn insert(&mut self, value: T) -> Result<u32, Error> {
        if let Some(key) = self.free.pop() {
            self.slots[key as usize] = Some(value);
            return Ok(key);
        }
        let key = u32::try_from(self.slots.len()).map_err(|_| Error::NoResources)?;
        self.slots.try_reserve(1).map_err(|_| Error::NoMemory)?;
        // Room for every slot, so that removing never allocates.
        self.free.try_reserve(self.slots.len() + 1).map_err(|_| Error::NoMemory)?;
        self.slots.push(Some(value));
        Ok(key)
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<T> {
        let value = self.slots.get_mut(key as usize)?.take()?;
        self.free.push(key);
        Some(value)
    }

    pub(super) fn get(&self, key: u32) -> Option<&T> {
        self.slots.get(key as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        self.slots.get_mut(key as usize)?.as_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The entries in at most `number` slots from `from` on, and the slot after them unless that
    /// was the last. Cost: `number`.
    pub(super) fn page(
        &self,
        from: u32,
        number: u32,
    ) -> (impl Iterator<Item = (u32, &T)>, Option<u32>) {
        let slots = self.slots.len() as u32;
        let begin = from.min(slots);
        let end = begin.saturating_add(number).min(slots);
        let page = (begin..end).filter_map(|key| Some((key, self.get(key)?)));
        (page, (end < slots).then_some(end))
    }

    /// The entries in slot order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(key, slot)| Some((key as u32, slot.as_ref()?)))
    }
}

/// For keys the core itself holds: such a key always has an entry.
impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, key: u32) -> &T {
        self.get(key).expect("a key held by the core has an entry")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, key: u32) -> &mut T {
        self.get_mut(key).expect("a key held by the core has an entry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_after_its_entry_went() {
        let mut slab = Slab::new();
        let first = slab.insert('a').unwrap();
        let second = slab.insert('b').unwrap();
        assert_eq!(slab.remove(first), Some('a'));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.insert('c').unwrap(), first);
        assert_eq!(slab.iter().map(|(_, value)| *value).collect::<String>(), "cb");
        assert_eq!((slab.len(), slab[second]), (2, 'b'));
    }

    #[test]
    fn pages_have_every_entry_once() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..7).map(|number| slab.insert(number).unwrap()).collect();
        slab.remove(keys[3]);
        let (mut found, mut from) = (Vec::new(), Some(0));
        while let Some(begin) = from {
            let (page, next) = slab.page(begin, 2);
            found.extend(page.map(|(_, value)| *value));
            from = next;
        }
        assert_eq!(found, [0, 1, 2, 4, 5, 6]);
        assert_eq!(slab.page(u32::MAX, u32::MAX).1, None);
    }
}
