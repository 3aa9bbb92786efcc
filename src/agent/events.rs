//! The events of one open instance: allocated ones and received ones.

use super::Handle;
use super::handles::{Draw, EVENT_CHECK_MASK, EVENTS_MAX, EventHandle};
use crate::evt::{Attributes, Error, EventId, Priority, Span};
use crate::link::record::InHeader;

/// An event in the hands of the program.
#[derive(Debug)]
pub(super) enum Event {
    /// From `saEvtEventAllocate`: writable.
    Allocated { attributes: Attributes, priority: Priority, retention: Span },
    /// From the deliver callback: read-only.
    Received(Received),
}

/// A received event: packed attributes, then data, in one block.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) block: Vec<u8>,
    pub(super) attributes_bytes: u32,
    pub(super) priority: Priority,
    pub(super) retention: Span,
    pub(super) publish_time: i64,
    pub(super) id: EventId,
}

impl Received {
    /// Room for the content of a record; still empty.
    ///
    /// - [`Error::NoMemory`].
    pub(super) fn with_room(header: &InHeader, priority: Priority) -> Result<Self, Error> {
        let bytes = header.attributes_bytes as usize + header.data_bytes as usize;
        let mut block = Vec::new();
        block.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
        Ok(Self {
            block,
            attributes_bytes: header.attributes_bytes,
            priority,
            retention: Span(header.retention),
            publish_time: header.publish_time,
            id: EventId(header.id),
        })
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.block[self.attributes_bytes as usize..]
    }

    pub(super) fn packed_attributes(&self) -> &[u8] {
        &self.block[..self.attributes_bytes as usize]
    }
}

#[derive(Debug)]
struct Slot {
    check: u32,
    /// Pattern arrays were given out for it.
    gave_patterns: bool,
    event: Option<Event>,
}

/// The events of one open instance, by slot.
#[derive(Debug)]
pub(super) struct EventTable {
    instance_slot: usize,
    first_check: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl EventTable {
    pub(super) const fn new(instance_slot: usize, draw: &mut Draw) -> Self {
        let first_check = draw.next() as u32;
        Self { instance_slot, first_check, slots: Vec::new(), free: Vec::new() }
    }

    /// Adds an event.
    ///
    /// - [`Error::NoResources`]: the instance has 16777216 events.
    /// - [`Error::NoMemory`].
    pub(super) fn add(&mut self, event: Event) -> Result<Handle, Error> {
        let slot = match self.free.pop() {
            Some(slot) => slot as usize,
            None => {
                let slot = self.slots.len();
                if slot >= EVENTS_MAX {
                    return Err(Error::NoResources);
                }
                self.slots.try_reserve(1).map_err(|_| Error::NoMemory)?;
                let most = self.slots.capacity();
                let missing = most - self.free.len().min(most);
                self.free.try_reserve(missing).map_err(|_| Error::NoMemory)?;
                let check = self.first_check.wrapping_add((slot as u32).wrapping_mul(40_503));
                self.slots.push(Slot { check, gave_patterns: false, event: None });
                slot
            }
        };
        let place = &mut self.slots[slot];
        place.check = place.check.wrapping_add(1);
        place.event = Some(event);
        let instance_slot = self.instance_slot;
        Ok(EventHandle { instance_slot, slot, check: place.check }.encode())
    }

    fn find(&self, handle: EventHandle) -> Result<usize, Error> {
        let place = self.slots.get(handle.slot).ok_or(Error::BadHandle)?;
        let right = place.check & EVENT_CHECK_MASK == handle.check && place.event.is_some();
        if right { Ok(handle.slot) } else { Err(Error::BadHandle) }
    }

    pub(super) fn get(&self, handle: EventHandle) -> Result<&Event, Error> {
        let slot = self.find(handle)?;
        self.slots[slot].event.as_ref().ok_or(Error::BadHandle)
    }

    pub(super) fn get_mut(&mut self, handle: EventHandle) -> Result<&mut Event, Error> {
        let slot = self.find(handle)?;
        self.slots[slot].event.as_mut().ok_or(Error::BadHandle)
    }

    /// Notes that pattern arrays were given out for an event.
    pub(super) fn note_patterns(&mut self, handle: EventHandle) -> Result<(), Error> {
        let slot = self.find(handle)?;
        self.slots[slot].gave_patterns = true;
        Ok(())
    }

    /// Frees an event. Gives it, and whether pattern arrays were given out for it.
    pub(super) fn remove(&mut self, handle: EventHandle) -> Result<(Event, bool), Error> {
        let slot = self.find(handle)?;
        let place = &mut self.slots[slot];
        let event = place.event.take().ok_or(Error::BadHandle)?;
        self.free.push(slot as u32);
        Ok((event, std::mem::take(&mut place.gave_patterns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocated() -> Event {
        let attributes = Attributes::empty().unwrap();
        Event::Allocated { attributes, priority: Priority::LOWEST, retention: Span::ZERO }
    }

    #[test]
    fn a_freed_event_is_gone_and_its_slot_gets_another_handle() {
        let mut table = EventTable::new(7, &mut Draw::new(1));
        let first = table.add(allocated()).unwrap();
        let parts = EventHandle::decode(first).unwrap();
        assert!(table.get(parts).is_ok());
        assert!(table.remove(parts).is_ok());
        assert_eq!(table.remove(parts).unwrap_err(), Error::BadHandle);
        let second = table.add(allocated()).unwrap();
        assert_ne!(first, second);
        assert_eq!(EventHandle::decode(second).unwrap().slot, parts.slot);
        assert_eq!(table.get(parts).unwrap_err(), Error::BadHandle);
    }
}
