//! The events of one open instance: allocated ones and received ones.

use super::Handle;
use super::handles::{Draw, EVENT_CHECK_MASK, EVENTS_MAX, EventHandle};
use super::segments::Segments;
use crate::evt::{Attributes, AttributesRef, Error, EventId, Priority, Span};
use crate::link::inbox::Inbox;
use crate::link::part::Part;
use crate::link::record::{InHeader, InKind};
use crate::link::segment::SegmentView;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// The largest block that is kept to be used again: room for the attributes of most events, and
/// little for each of the open instances that a program may have.
const SPARE_BYTES_MAX: usize = 4096;

/// An event in the hands of the program.
#[derive(Debug)]
pub(super) enum Event {
    /// From `saEvtEventAllocate`: writable.
    Allocated { attributes: Attributes, priority: Priority, retention: Span },
    /// From the deliver callback: read-only.
    Received(Received),
}

/// A received event: packed attributes, then data, in one block. While it is lent, only the
/// attributes are in the block, and the data still in the record that brought them.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) block: Vec<u8>,
    pub(super) attributes_bytes: u32,
    pub(super) priority: Priority,
    pub(super) retention: Span,
    pub(super) publish_time: i64,
    pub(super) id: EventId,
    pub(super) lent: Option<Lent>,
}

/// The record of a lent event.
#[derive(Debug)]
pub(super) struct Lent {
    position: u64,
    data_bytes: u32,
    /// Where the data are, if not in the record.
    shared: Option<(Arc<SegmentView>, u32)>,
}

impl Received {
    /// The data; of a lent event they are in `inbox`, or in a segment.
    pub(super) fn data<'a>(&'a self, inbox: &'a Inbox) -> Data<'a> {
        let attributes_bytes = self.attributes_bytes;
        let Some(Lent { position, data_bytes, shared }) = &self.lent else {
            return Data(Place::Own(&self.block[attributes_bytes as usize..]));
        };
        let found = shared.as_ref().and_then(|(view, offset)| view.part(*offset, *data_bytes));
        let part = || inbox.part(self.priority, *position, attributes_bytes, *data_bytes);
        Data(Place::Lent(found.unwrap_or_else(part)))
    }

    pub(super) fn packed_attributes(&self) -> &[u8] {
        &self.block[..self.attributes_bytes as usize]
    }
}

/// The data of a received event.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a>(Place<'a>);

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Own(&'a [u8]),
    Lent(Part<'a>),
}

impl<'a> Data<'a> {
    /// Those of a record in `inbox`, which has found its place in `segments` if it refers to one.
    #[inline]
    pub(super) fn lent(
        inbox: &'a Inbox,
        segments: &'a Segments,
        priority: Priority,
        position: u64,
        header: &InHeader,
    ) -> Self {
        let InHeader { kind, attributes_bytes, data_bytes, .. } = *header;
        if kind == InKind::Shared
            && let Some(part) = segments.part(data_bytes)
        {
            return Self(Place::Lent(part));
        }
        Self(Place::Lent(inbox.part(priority, position, attributes_bytes, data_bytes)))
    }

    /// How many bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match &self.0 {
            Place::Own(bytes) => bytes.len(),
            Place::Lent(part) => part.bytes(),
        }
    }

    /// Copies them to `to`, which is as long.
    #[inline]
    pub fn copy_to(&self, to: &mut [MaybeUninit<u8>]) {
        match &self.0 {
            Place::Own(bytes) => {
                to.iter_mut().zip(*bytes).for_each(|(to, byte)| _ = to.write(*byte));
            }
            Place::Lent(part) => part.copy_to(to),
        }
    }

    /// Copies them to the end of `into`, which has room for them.
    pub fn append_to(&self, into: &mut Vec<u8>) {
        match &self.0 {
            Place::Own(bytes) => into.extend_from_slice(bytes),
            Place::Lent(part) => part.append_to(into),
        }
    }
}

/// What [`EventTable::remove`] gives.
#[derive(Debug)]
pub(super) struct Freed {
    /// What it held, to be dropped where no lock is held.
    pub(super) kept: Option<Event>,
    /// Pattern arrays were given out for it.
    pub(super) gave_patterns: bool,
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
    /// A block to be used again: most events are freed while they are lent.
    spare: Vec<u8>,
}

impl EventTable {
    pub(super) const fn new(instance_slot: usize, draw: &mut Draw) -> Self {
        let first_check = draw.next() as u32;
        Self { instance_slot, first_check, slots: Vec::new(), free: Vec::new(), spare: Vec::new() }
    }

    /// Adds an event.
    ///
    /// - [`Error::NoResources`]: the instance has 16777216 events.
    /// - [`Error::NoMemory`].
    pub(super) fn add(&mut self, event: Event) -> Result<Handle, Error> {
        let slot = self.free_slot()?;
        Ok(self.fill(slot, event))
    }

    /// Takes a slot without an event, which is filled then.
    fn free_slot(&mut self) -> Result<usize, Error> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot as usize);
        }
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
        Ok(slot)
    }

    fn fill(&mut self, slot: usize, event: Event) -> Handle {
        let place = &mut self.slots[slot];
        place.check = place.check.wrapping_add(1);
        place.event = Some(event);
        let instance_slot = self.instance_slot;
        EventHandle { instance_slot, slot, check: place.check }.encode()
    }

    /// Reserves a slot for an event that is put there later. Gives its number and the check that
    /// was the last one there.
    ///
    /// - [`Error::NoResources`], [`Error::NoMemory`]: as [`EventTable::add`].
    pub(super) fn reserve(&mut self) -> Result<(usize, u32), Error> {
        let slot = self.free_slot()?;
        Ok((slot, self.slots[slot].check))
    }

    /// Puts the event of a record in the slot that was reserved for it; its data stay in the
    /// record.
    ///
    /// - [`Error::Library`]: its attributes are no block.
    /// - [`Error::NoMemory`].
    pub(super) fn put(
        &mut self,
        event: EventHandle,
        (inbox, segments): (&Inbox, &Segments),
        priority: Priority,
        position: u64,
        header: &InHeader,
    ) -> Result<(), Error> {
        let InHeader { kind, attributes_bytes, data_bytes, .. } = *header;
        let shared = if kind == InKind::Shared { segments.place() } else { None };
        let mut block = std::mem::take(&mut self.spare);
        block.clear();
        block.try_reserve_exact(attributes_bytes as usize).map_err(|_| Error::NoMemory)?;
        inbox.part(priority, position, 0, attributes_bytes).append_to(&mut block);
        AttributesRef::parse(&block).map_err(|_| Error::Library)?;
        let place = self.slots.get_mut(event.slot).ok_or(Error::Library)?;
        place.check = event.check;
        place.event = Some(Event::Received(Received {
            block,
            attributes_bytes,
            priority,
            retention: Span(header.retention),
            publish_time: header.publish_time,
            id: EventId(header.id),
            lent: Some(Lent { position, data_bytes, shared }),
        }));
        Ok(())
    }

    /// The record of an event that was lent is not needed afterwards: if the event is there still,
    /// it gets its data.
    ///
    /// - [`Error::NoMemory`]: it is lent as before.
    pub(super) fn keep(&mut self, handle: EventHandle, inbox: &Inbox) -> Result<(), Error> {
        let Ok(Event::Received(received)) = self.get_mut(handle) else { return Ok(()) };
        let data = received.data(inbox);
        let mut block = Vec::new();
        let bytes = received.attributes_bytes as usize + data.bytes();
        block.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
        block.extend_from_slice(received.packed_attributes());
        data.append_to(&mut block);
        received.lent = None;
        let attributes = std::mem::replace(&mut received.block, block);
        self.use_again(attributes);
        Ok(())
    }

    fn use_again(&mut self, block: Vec<u8>) {
        if block.capacity() <= SPARE_BYTES_MAX {
            self.spare = block;
        }
    }

    #[inline]
    fn find(&self, handle: EventHandle) -> Result<usize, Error> {
        let place = self.slots.get(handle.slot).ok_or(Error::BadHandle)?;
        let right = place.check & EVENT_CHECK_MASK == handle.check && place.event.is_some();
        if right { Ok(handle.slot) } else { Err(Error::BadHandle) }
    }

    /// Whether an event is there.
    pub(super) fn has(&self, handle: EventHandle) -> bool {
        self.find(handle).is_ok()
    }

    #[inline]
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

    /// Frees an event.
    pub(super) fn remove(&mut self, handle: EventHandle) -> Result<Freed, Error> {
        let slot = self.find(handle)?;
        let place = &mut self.slots[slot];
        let gave_patterns = std::mem::take(&mut place.gave_patterns);
        self.free.push(slot as u32);
        if let Some(Event::Received(Received { block, lent: Some(_), .. })) = &mut place.event {
            let block = std::mem::take(block);
            place.event = None;
            self.use_again(block);
            return Ok(Freed { kept: None, gave_patterns });
        }
        Ok(Freed { kept: place.event.take(), gave_patterns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::Name;
    use crate::link::inbox::Source;
    use crate::link::inring::Room;
    use crate::link::record::{IN_HEADER, InKind};

    fn allocated() -> Event {
        let attributes = Attributes::empty().unwrap();
        Event::Allocated { attributes, priority: Priority::LOWEST, retention: Span::ZERO }
    }

    /// A window with records of one kind, each written where the one before was.
    struct Window(Inbox);

    impl Window {
        fn new() -> Self {
            Self(Inbox::create(1 << 16).unwrap().1)
        }

        fn write(&self, attributes: &[u8], data: &[u8]) -> InHeader {
            let header = InHeader {
                bytes: (IN_HEADER + attributes.len() + data.len()).next_multiple_of(8) as u32,
                kind: InKind::Event,
                instance: 1,
                subscription: 1,
                attributes_bytes: attributes.len() as u32,
                data_bytes: data.len() as u32,
                priority: 3,
                id: 2000,
                publish_time: 5,
                retention: 6,
                left: 6,
            };
            let room = Room { pad: (0, 0), position: 0 };
            self.0.write(Priority::LOWEST, room, &header, attributes, Source::Bytes(data));
            header
        }

        /// Has a table put the event of a record in a slot.
        fn put(&self, table: &mut EventTable, header: &InHeader) -> Result<EventHandle, Error> {
            let (slot, check) = table.reserve()?;
            let check = check.wrapping_add(1) & EVENT_CHECK_MASK;
            let event = EventHandle { instance_slot: table.instance_slot, slot, check };
            let from = (&self.0, &Segments::default());
            table.put(event, from, Priority::LOWEST, 0, header).map(|()| event)
        }

        /// Has a table lend an event of this window.
        fn lend(&self, table: &mut EventTable, attributes: &[u8], data: &[u8]) -> EventHandle {
            let header = self.write(attributes, data);
            self.put(table, &header).unwrap()
        }

        fn data_of(&self, table: &EventTable, event: EventHandle) -> Vec<u8> {
            let Ok(Event::Received(received)) = table.get(event) else { panic!("it is there") };
            let data = received.data(&self.0);
            let mut room = vec![MaybeUninit::new(b'x'); data.bytes()];
            data.copy_to(&mut room);
            let mut appended = Vec::with_capacity(data.bytes());
            data.append_to(&mut appended);
            assert_eq!(room.len(), appended.len());
            appended
        }
    }

    fn packed(pattern: &[u8]) -> Vec<u8> {
        Attributes::pack(&Name::EMPTY, [pattern].into_iter()).unwrap().packed().to_vec()
    }

    fn table() -> EventTable {
        EventTable::new(7, &mut Draw::new(1))
    }

    #[test]
    fn the_data_of_a_lent_event_are_in_the_window_until_it_is_kept() {
        let (window, mut table) = (Window::new(), table());
        let event = window.lend(&mut table, &packed(b"first"), b"data");
        assert_eq!(window.data_of(&table, event), b"data");
        window.write(&packed(b"other"), b"DATA");
        assert_eq!(window.data_of(&table, event), b"DATA", "nothing was copied yet");
        table.keep(event, &window.0).unwrap();
        window.write(&packed(b"third"), b"....");
        assert_eq!(window.data_of(&table, event), b"DATA");
        table.keep(event, &window.0).unwrap();
        assert_eq!(window.data_of(&table, event), b"DATA", "it is copied once");
        let Ok(Event::Received(received)) = table.get(event) else { panic!("it is there") };
        assert_eq!(received.packed_attributes(), packed(b"first"), "what was judged stays");
        assert_eq!((received.id, received.publish_time), (EventId(2000), 5));
        assert!(table.remove(event).unwrap().kept.is_some());
    }

    #[test]
    fn the_block_of_an_event_that_was_freed_while_lent_serves_the_next() {
        let (window, mut table) = (Window::new(), table());
        let event = window.lend(&mut table, &packed(b"a longer pattern"), b"data");
        assert!(table.remove(event).unwrap().kept.is_none());
        table.keep(event, &window.0).unwrap();
        let block = table.spare.as_ptr();
        assert!(table.spare.capacity() >= packed(b"a longer pattern").len());
        for data in [b"".as_slice(), b"more data"] {
            let event = window.lend(&mut table, &packed(b"pattern"), data);
            let Ok(Event::Received(received)) = table.get(event) else { panic!("it is there") };
            assert_eq!(
                (received.block.as_ptr(), window.data_of(&table, event)),
                (block, data.to_vec())
            );
            table.remove(event).unwrap();
        }
        let event = window.lend(&mut table, &packed(&[b'x'; 2 * SPARE_BYTES_MAX]), b"");
        table.remove(event).unwrap();
        assert_eq!(table.spare.capacity(), 0, "nothing large stays behind");
    }

    #[test]
    fn attributes_that_are_no_block_are_refused() {
        let (window, mut table) = (Window::new(), table());
        let header = window.write(b"no block", b"data");
        assert_eq!(window.put(&mut table, &header), Err(Error::Library));
        let event = window.lend(&mut table, &packed(b"pattern"), b"data");
        assert_eq!(window.data_of(&table, event), b"data");
    }

    #[test]
    fn a_freed_event_is_gone_and_its_slot_gets_another_handle() {
        let mut table = table();
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
