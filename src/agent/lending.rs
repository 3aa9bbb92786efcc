//! The event that is lent: while the deliver callback runs, it stays in the record that brought it.
//!
//! Most programs copy the data and free the event in the callback. So nothing of the record is
//! copied before, and it is given back to the node when the event is freed. Whoever asks for the
//! attributes, or comes by another thread, has the event put in the table of its open instance;
//! then only the data stay in the record. And whoever keeps the event, until a thread looks for the
//! next one or the dispatch ends, has it get its data. So a library handle lends one event at most,
//! and none of them holds up the node longer than its own callback.

use super::Handle;
use super::events::Data;
use super::handles::EventHandle;
use super::library::{Library, Reader};
use super::reading::Found;
use crate::evt::Error;
use parking_lot::MutexGuard;

/// Where the event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// None is lent.
    Nowhere,
    /// In its record alone.
    Record,
    /// In the table of its instance, if it has not been freed, with its data in the record.
    Table,
}

/// Whether the record that was found last, of the open instance that `Reader::recent` has, is read
/// and not given back.
#[derive(Debug)]
pub(super) struct Lending {
    stage: Stage,
    event: Handle,
}

impl Lending {
    pub(super) const fn none() -> Self {
        Self { stage: Stage::Nowhere, event: 0 }
    }

    /// Whether a record is read and not given back.
    pub(super) fn is_there(&self) -> bool {
        self.stage != Stage::Nowhere
    }
}

impl Reader {
    /// Whether `event` is in its record alone.
    #[inline]
    fn lends(&self, event: Handle) -> bool {
        self.lending.event == event
            && self.lending.stage == Stage::Record
            // With its channel an event ends.
            && self.recent.instance().is_some_and(|instance| !instance.is_closed())
    }

    /// Gives the record back.
    #[inline]
    fn give_back(&mut self, library: &Library) {
        self.lending.stage = Stage::Nowhere;
        let priority = self.found.priority;
        library.inbox.ring(priority).advance(self.at[priority.index()]);
    }
}

/// Makes the record that was found a lent event. `None` if its channel has been closed just now.
///
/// - [`Error::NoResources`], [`Error::NoMemory`]: no room for another event.
#[inline]
pub(super) fn begin(library: &Library, reader: &mut Reader) -> Result<Option<Handle>, Error> {
    let Some(instance) = reader.recent.instance() else { return Ok(None) };
    let event = match instance.next_event() {
        Some(event) => event,
        None => match library.process.channels.get_mut(instance.handle) {
            Ok(mut seat) => instance.reserve(seat.events.reserve()?),
            Err(_) => return Ok(None),
        },
    };
    let event = event.encode();
    reader.lending = Lending { stage: Stage::Record, event };
    reader.at[reader.found.priority.index()] = reader.found.end();
    Ok(Some(event))
}

/// Gives the record back, if one is lent.
///
/// - [`Error::TryAgain`]: the program keeps its event and has no memory for it. It is lent as
///   before.
#[inline]
pub(super) fn end(library: &Library, reader: &mut Reader) -> Result<(), Error> {
    if reader.lending.is_there() { keep(library, reader) } else { Ok(()) }
}

#[cold]
fn keep(library: &Library, reader: &mut Reader) -> Result<(), Error> {
    if reader.lending.stage == Stage::Record {
        put(library, reader).or_else(|error| match error {
            // The next dispatch tells; the event has gone.
            Error::Library => Ok(()),
            _ => Err(Error::TryAgain),
        })?;
    }
    // An event is freed with its seat locked, after all who have copied its data with the seat
    // locked. What the program copied, it has copied before the node sees that there is room.
    if let Some(instance) = reader.recent.instance()
        && let Some(event) = EventHandle::decode(reader.lending.event)
        // If the channel is closed, its events have gone with it.
        && let Ok(mut seat) = library.process.channels.get_mut(instance.handle)
    {
        seat.events.keep(event, &library.inbox).map_err(|_| Error::TryAgain)?;
    }
    reader.give_back(library);
    Ok(())
}

/// Puts the lent event from its record in the table of its instance.
///
/// - [`Error::Library`]: its attributes are no block. It has gone.
/// - [`Error::NoMemory`]: it is lent as before.
fn put(library: &Library, reader: &mut Reader) -> Result<(), Error> {
    let Reader { recent, lending, nonsense, found, segments, .. } = reader;
    let outcome = match (recent.instance(), EventHandle::decode(lending.event)) {
        (Some(instance), Some(event)) => {
            library.process.channels.get_mut(instance.handle).and_then(|mut seat| {
                let Found { priority, position, ref header, .. } = *found;
                let from = (&library.inbox, &*segments);
                seat.events.put(event, from, priority, position, header)?;
                instance.reserved_is_used();
                Ok(())
            })
        }
        _ => Err(Error::BadHandle),
    };
    match outcome {
        Err(Error::NoMemory) => return outcome,
        Err(Error::Library) => *nonsense = true,
        // Its channel has been closed just now: there is nothing to keep.
        Ok(()) | Err(_) => {}
    }
    lending.stage = Stage::Table;
    outcome.or_else(|error| if error == Error::Library { Err(error) } else { Ok(()) })
}

/// If `event` is in its record alone, puts it in the table of its instance.
///
/// - [`Error::Library`], [`Error::NoMemory`].
pub(super) fn into_table(library: &Library, event: Handle) -> Result<(), Error> {
    let mut reader = library.reader.lock();
    if reader.lends(event) { put(library, &mut reader) } else { Ok(()) }
}

/// The record of a lent event. While it lives nobody gives the record back.
pub(super) struct Record<'a>(&'a Library, MutexGuard<'a, Reader>);

/// The record of `event`, if it is there alone.
#[inline]
pub(super) fn record_of(library: &Library, event: Handle) -> Option<Record<'_>> {
    let reader = library.reader.lock();
    if reader.lends(event) { Some(Record(library, reader)) } else { None }
}

impl Record<'_> {
    /// The data.
    #[inline]
    pub(super) fn data(&self) -> Data<'_> {
        let Found { priority, position, header, .. } = &self.1.found;
        Data::lent(&self.0.inbox, &self.1.segments, *priority, *position, header)
    }

    /// Frees the event and gives its record back.
    #[inline]
    pub(super) fn free(mut self) {
        self.1.give_back(self.0);
    }
}
