//! Records of events that are over, to be filled anew: an event that waits for its taker costs no
//! allocation once as many have waited before.

use super::node::EventRecord;
use super::{EventId, Priority, Span};
use std::rc::Rc;

/// Bytes kept for later in all: some thousand small events, far less than a queue may hold.
const BYTES_MAX: usize = 1 << 20;
/// Room for data of up to twice this is the first size, and each one after it twice as much.
const FIRST_BYTES: usize = 64;
/// Sizes; what has more room, from 64 KiB on, is not kept.
const SIZES: usize = 10;

/// Records that nobody needs, by the room they have for data.
#[derive(Debug, Default)]
pub(super) struct Spares {
    sizes: [Vec<Rc<EventRecord>>; SIZES],
    bytes: usize,
}

/// Memory of a record.
const fn bytes_of(record: &EventRecord) -> usize {
    size_of::<EventRecord>() + record.attributes.capacity() + record.data.capacity()
}

/// The size to which so much room belongs.
const fn size(room: usize) -> usize {
    let times = room / FIRST_BYTES;
    if times == 0 { 0 } else { times.ilog2() as usize }
}

impl Spares {
    /// A record for that many bytes of data, of which nothing is true yet. Nobody else has it.
    pub(super) fn take(&mut self, data_bytes: u64) -> Rc<EventRecord> {
        let room = usize::try_from(data_bytes).unwrap_or(usize::MAX);
        let spare = self.sizes.get_mut(size(room)).and_then(Vec::pop);
        if let Some(spare) = spare {
            self.bytes -= bytes_of(&spare);
            return spare;
        }
        Rc::new(EventRecord {
            id: EventId::LOST,
            publish_time: 0,
            retention: Span::ZERO,
            priority: Priority::LOWEST,
            attributes: Vec::new(),
            data: Vec::new(),
        })
    }

    /// Keeps a record for later, if nobody else has it and there is room.
    pub(super) fn put_back(&mut self, mut record: Rc<EventRecord>) {
        if Rc::get_mut(&mut record).is_none() {
            return;
        }
        let bytes = bytes_of(&record);
        let Some(size) = self.sizes.get_mut(size(record.data.capacity())) else { return };
        if self.bytes + bytes <= BYTES_MAX && size.try_reserve(1).is_ok() {
            self.bytes += bytes;
            size.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(spares: &mut Spares, bytes: usize) -> Rc<EventRecord> {
        let mut record = spares.take(bytes as u64);
        let data = &mut Rc::get_mut(&mut record).unwrap().data;
        data.clear();
        data.reserve_exact(bytes);
        record
    }

    #[test]
    fn a_record_comes_back_with_its_room_for_data_of_its_size() {
        let mut spares = Spares::default();
        for bytes in [0, 1, 64, 127, 128, 1000, 1024, 40_000] {
            let record = filled(&mut spares, bytes);
            let (place, room) = (Rc::as_ptr(&record), record.data.capacity());
            spares.put_back(record);
            let again = spares.take(bytes as u64);
            assert_eq!((Rc::as_ptr(&again), again.data.capacity()), (place, room), "{bytes}");
        }
    }

    #[test]
    fn a_record_that_somebody_has_is_not_kept() {
        let mut spares = Spares::default();
        let record = filled(&mut spares, 100);
        let other = Rc::clone(&record);
        spares.put_back(record);
        assert!(!Rc::ptr_eq(&spares.take(100), &other));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spares = Spares::default();
        for bytes in [64, 5000, 65_536, 10 << 20] {
            let records: Vec<_> =
                (0..1000).map(|_| filled(&mut Spares::default(), bytes)).collect();
            records.into_iter().for_each(|record| spares.put_back(record));
            let kept = spares.sizes.iter().flatten().map(|record| bytes_of(record)).sum::<usize>();
            assert_eq!(kept, spares.bytes);
            assert!(kept <= BYTES_MAX, "{bytes}");
        }
        assert!(spares.bytes > BYTES_MAX / 2);
    }
}
