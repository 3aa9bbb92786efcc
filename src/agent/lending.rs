//! The event that is lent: while the deliver callback runs, the data stay in the window.
//!
//! Most programs copy the data and free the event in the callback. So the record of an event is
//! read, but not given back to the node, until a thread looks for the next one or the dispatch
//! ends. If the event was freed by then, nothing else was copied than its attributes; if not, it
//! gets its data first. So a library handle lends one event at most, and none of them holds up the
//! node longer than its own callback.

use super::Handle;
use super::handles::EventHandle;
use super::instance::Instance;
use super::library::{Library, Reader};
use crate::evt::{Error, Priority};
use std::sync::atomic::Ordering;

/// A record that is read and not given back.
#[derive(Debug)]
pub(super) struct Lending {
    priority: Priority,
    /// Where the record ends.
    end: u64,
    /// The handle of the open instance, whose slot may be another one's by then.
    channel: Handle,
    event: Handle,
}

/// Notes that the record of `event` that ends at `end` is read and not given back.
pub(super) fn begin(
    reader: &mut Reader,
    instance: &Instance,
    priority: Priority,
    end: u64,
    event: Handle,
) {
    reader.at[priority.index()] = end;
    reader.lending = Some(Lending { priority, end, channel: instance.handle, event });
}

/// Gives the record back, if one is lent.
///
/// - [`Error::TryAgain`]: the program keeps its event and has no memory for the data. It is lent as
///   before.
pub(super) fn end(library: &Library, reader: &mut Reader) -> Result<(), Error> {
    let Some(lending) = &reader.lending else { return Ok(()) };
    // An event is freed with its seat locked, after all who have copied its data with the seat
    // locked. What the program copied, it has copied before the node sees that there is room.
    if !library.returned.load(Ordering::Acquire)
        && let Some(event) = EventHandle::decode(lending.event)
        // If the channel is closed, its events have gone with it.
        && let Ok(mut seat) = library.process.channels.get_mut(lending.channel)
    {
        seat.events.keep(event, &library.inbox).map_err(|_| Error::TryAgain)?;
    }
    // Nobody sets it before the next event is lent: this one is freed, or lent no more.
    library.returned.store(false, Ordering::Relaxed);
    library.inbox.ring(lending.priority).advance(lending.end);
    reader.lending = None;
    Ok(())
}
