//! The library inside a program: handle table, link, dispatch, selection object.
//!
//! Everything here is safe Rust for `capi`. Raw pointers stay in `capi`; callbacks come in as a
//! [`Callbacks`] object. Argument checks that need no state (NULL, ranges, flags) are the
//! caller's; checks that need the handle or a limit are made here, in the contract's order
//! (handle, version, membership, callbacks, access, sizes, existence, service).

mod channels;
mod connection;
pub(crate) mod current;
mod dispatch;
mod events;
mod handles;
mod ids;
mod instance;
mod joining;
mod lending;
mod library;
mod link;
mod patterns;
mod place;
mod process;
mod publish;
mod reading;
mod restore;
mod rights;
mod segments;
mod table;

use crate::evt::{
    Attributes, AttributesRef, Error, EventId, Filters, LibraryNo, Limits, Name, OpenFlags,
    Priority, Span, SubscriptionId,
};
use crate::link::inbox::Inbox;
pub use crate::wire::members;
pub use crate::wire::status as questions;
use crate::wire::status::{Page, Topic};
use crate::wire::{Body, reply};
pub use events::Data;
use events::Event;
use instance::Seat;
use library::{Library, Parts};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `SaEvtHandleT`, `SaEvtChannelHandleT`, `SaEvtEventHandleT`: hard to guess, never soon reused.
pub type Handle = u64;

/// The release a program asked for; governs every handle derived from the library handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// B.01 (and B.00).
    B01,
    /// B.02.
    B02,
    /// B.03.
    B03,
}

/// What the program registered with `saEvtInitialize`; called only inside [`dispatch()`], without
/// any lock held.
pub trait Callbacks: Send + Sync {
    /// Whether an open callback was registered.
    fn has_open(&self) -> bool;
    /// Whether a deliver callback was registered.
    fn has_deliver(&self) -> bool;
    /// The outcome of an asynchronous open: the caller's invocation, and the channel handle or the
    /// error.
    fn open(&self, invocation: u64, outcome: Result<Handle, Error>);
    /// An event was delivered: `event` is a new received event.
    fn deliver(&self, subscription: SubscriptionId, event: Handle, data_bytes: u64);
}

/// How much [`dispatch()`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchFlags {
    /// At most one callback.
    One,
    /// Everything that is pending.
    All,
    /// Until the handle is finalized.
    Blocking,
}

/// The attributes of an event, as [`attributes`] shows them.
#[derive(Debug, Clone, Copy)]
pub struct EventView<'a> {
    /// Patterns and publisher name.
    pub attributes: AttributesRef<'a>,
    /// Priority.
    pub priority: Priority,
    /// Retention time as the publisher set it.
    pub retention: Span,
    /// Nanoseconds since the epoch; `i64::MIN` (`SA_TIME_UNKNOWN`) for an allocated event.
    pub publish_time: i64,
    /// `EventId::NONE` for an allocated event.
    pub id: EventId,
}

/// Makes a library handle. Errors: `TryAgain` (service not reachable), `NoMemory`,
/// `NoResources`, `Timeout`, `Library`.
pub fn initialize(version: Version, callbacks: Box<dyn Callbacks>) -> Result<Handle, Error> {
    let handle = attach(version, callbacks)?;
    let outcome = process::local_library(handle);
    if let Err(error) = outcome {
        finalize(handle)?;
        return Err(error);
    }
    Ok(handle)
}

/// As [`initialize`], also while the node is outside its cluster: the node can be asked what it is.
pub fn attach(version: Version, callbacks: Box<dyn Callbacks>) -> Result<Handle, Error> {
    let process = process::current()?;
    let link = process.link.join()?;
    let made = make_library(process, &link, version, callbacks);
    if made.is_err() {
        process.link.leave();
    }
    made
}

fn make_library(
    process: &'static process::Process,
    link: &Arc<link::Link>,
    version: Version,
    callbacks: Box<dyn Callbacks>,
) -> Result<Handle, Error> {
    let taken = process.libraries.take(link.limits.libraries_per_process_max)?;
    let number = LibraryNo(taken.slot as u32);
    match open_library(link, number) {
        Ok(Opened { inbox, memory, bell, by }) => {
            let link = Arc::clone(link);
            let handle = taken.handle;
            let bell_of = by;
            let parts =
                Parts { number, version, callbacks, link, inbox, memory, bell, bell_of, process };
            let library = Arc::new(Library::new(parts));
            library.link.libraries.lock().insert(number, Arc::downgrade(&library));
            if !library.link.is_present_number(by) {
                // The node that made the inbox has gone, and its successor may not know of it.
                library.link.libraries.lock().remove(&number);
                library.link.tell(Body::LibraryClose { library: number });
                process.libraries.give_back(taken);
                return Err(Error::TryAgain);
            }
            process.libraries.fill(taken, library);
            Ok(handle)
        }
        Err(error) => {
            link.tell(Body::LibraryClose { library: number });
            process.libraries.give_back(taken);
            Err(error)
        }
    }
}

/// What the node made for a library handle, and the connection it was made by.
struct Opened {
    inbox: Inbox,
    memory: OwnedFd,
    bell: OwnedFd,
    by: u64,
}

/// Has the node make an inbox.
fn open_library(link: &link::Link, library: LibraryNo) -> Result<Opened, Error> {
    let deadline = link::request_deadline();
    let body = Body::LibraryOpen { library, resumes: false };
    let received = link.ask(body, deadline, None).map_err(link::Failure::settled)?;
    received.reply.code?;
    let descriptors = received.descriptors;
    let [memory, bell] = <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| Error::NoResources)?;
    let inbox = Inbox::reopen(memory.as_fd()).map_err(|_| Error::NoMemory)?;
    Ok(Opened { inbox, memory, bell, by: received.by })
}

/// The selection object of a library handle. Errors: `BadHandle`, `NoResources`.
pub fn selection_object(library: Handle) -> Result<RawFd, Error> {
    process::local_library(library)?.selection_object()
}

/// Runs pending callbacks. Errors: `BadHandle` (from blocking dispatch also when one of the open
/// instances was lost with its node).
pub fn dispatch(library: Handle, flags: DispatchFlags) -> Result<(), Error> {
    dispatch::run(&process::local_library(library)?, flags)
}

/// How many open instances of a library handle were lost, over its whole life, because a restarted
/// node did not know their channels any more. Errors: `BadHandle`.
pub fn instances_lost(library: Handle) -> Result<usize, Error> {
    Ok(process::library(library)?.instances_lost.load(Ordering::Acquire))
}

/// Ends a library handle and everything below it. Errors: `BadHandle`.
pub fn finalize(library: Handle) -> Result<(), Error> {
    let process = process::existing().ok_or(Error::BadHandle)?;
    let library = process.libraries.remove(library)?;
    library.end();
    let instances = std::mem::take(&mut *library.instances.lock());
    let mut slots = Vec::new();
    for instance in instances.values() {
        // What another thread closes meanwhile is told and released there.
        if process.channels.remove(instance.handle).is_ok() {
            slots.push(instance.slot);
        }
        instance.close();
        channels::forget_patterns(instance);
    }
    library.completions.clear();
    library.link.libraries.lock().remove(&library.number);
    library.link.tell(Body::LibraryClose { library: library.number });
    if let Some(connection) = library.link.connection() {
        for open in connection.take_opens_of(&library) {
            process.channels.give_back(open.taken);
        }
    }
    slots.into_iter().for_each(|slot| process.channels.release(slot));
    process.libraries.release(library.number.0 as usize);
    process.link.leave();
    Ok(())
}

/// Opens a channel. `timeout` zero or less: `Timeout` without effect; `i64::MAX`: no limit.
pub fn channel_open(
    library: Handle,
    name: &Name,
    flags: OpenFlags,
    timeout: i64,
) -> Result<Handle, Error> {
    let library = process::serving_library(library)?;
    channels::check_name(&library, name, flags)?;
    let timeout = Span::from_sa_time(timeout).unwrap_or_default();
    if timeout == Span::ZERO {
        return Err(Error::Timeout);
    }
    channels::open(&library, name, flags, timeout)
}

/// Starts to open a channel; the outcome comes through `Callbacks::open`.
pub fn channel_open_async(
    library: Handle,
    invocation: u64,
    name: &Name,
    flags: OpenFlags,
) -> Result<(), Error> {
    let library = process::serving_library(library)?;
    channels::check_name(&library, name, flags)?;
    if !library.callbacks.has_open() {
        return Err(Error::Init);
    }
    channels::open_async(&library, invocation, name, flags)
}

/// Closes an open instance. Errors: `BadHandle`.
pub fn channel_close(channel: Handle) -> Result<(), Error> {
    let process = process::existing().ok_or(Error::BadHandle)?;
    process.channels.get(channel)?.instance.library.check_local()?;
    let seat = process.channels.remove(channel)?;
    channels::close(&seat.instance);
    Ok(())
}

/// Removes a channel's name. Errors: `BadHandle`, `NotExist`, `TryAgain`, `Timeout`.
pub fn channel_unlink(library: Handle, name: &Name) -> Result<(), Error> {
    channels::ask(&process::serving_library(library)?, Body::Unlink { name: *name })
}

/// Allocates an event. Errors: `BadHandle`, `Access` (B.03, no publisher flag), `NoMemory`,
/// `NoResources`.
pub fn event_allocate(channel: Handle) -> Result<Handle, Error> {
    let mut seat = process::seat_mut(channel)?;
    let instance = &seat.instance;
    if instance.version() >= Version::B03 && !instance.flags.contains(OpenFlags::PUBLISHER) {
        return Err(Error::Access);
    }
    let attributes = Attributes::empty()?;
    let (priority, retention) = (Priority::LOWEST, Span::ZERO);
    seat.events.add(Event::Allocated { attributes, priority, retention })
}

/// Frees an event. Errors: `BadHandle`.
#[inline]
pub fn event_free(event: Handle) -> Result<(), Error> {
    match current::with(|library| free_lent(library, event)) {
        Some(()) => Ok(()),
        None => free_kept(event),
    }
}

/// Frees an event that is in its record alone.
#[inline]
fn free_lent(library: &Library, event: Handle) -> Option<()> {
    lending::record_of(library, event).map(lending::Record::free)
}

fn free_kept(event: Handle) -> Result<(), Error> {
    let (mut seat, parts) = process::of_event_mut(event)?;
    if !seat.events.has(parts) {
        let library = Arc::clone(&seat.instance.library);
        // The reader is locked before a seat.
        drop(seat);
        if free_lent(&library, event).is_some() {
            return Ok(());
        }
        // Somebody else may have had it put in the table meanwhile.
        (seat, _) = process::of_event_mut(event)?;
    }
    let freed = seat.events.remove(parts)?;
    drop(seat);
    if freed.gave_patterns
        && let Some(process) = process::existing()
    {
        process.patterns.lock().forget_event(event);
    }
    drop(freed.kept);
    Ok(())
}

/// Sets the attributes of an allocated event; all or nothing.
///
/// `attributes` is called with the present attributes once the event is known to be writable, and
/// gives the new ones (it copies what the caller leaves as it is). Errors: `BadHandle`, `Access`
/// (received event), `TooBig` (patterns above the limits, or for B.03 the retention), and what
/// `attributes` returns.
pub fn attributes_set(
    event: Handle,
    priority: Priority,
    retention: Span,
    attributes: impl FnOnce(AttributesRef<'_>) -> Result<Attributes, Error>,
) -> Result<(), Error> {
    let (mut seat, parts) = process::of_lent_event_mut(event)?;
    let Seat { instance, events } = &mut *seat;
    let limits = &instance.library.link.limits;
    let Event::Allocated { attributes: present, priority: old_priority, retention: old_retention } =
        events.get_mut(parts)?
    else {
        return Err(Error::Access);
    };
    if instance.version() >= Version::B03 && retention > limits.retention_max {
        return Err(Error::TooBig);
    }
    let new = attributes(present.view())?;
    new.view().within(limits)?;
    *present = new;
    *old_priority = priority;
    *old_retention = retention;
    Ok(())
}

/// Lets `read` look at the attributes of an event; it must not call this module, which would wait
/// for itself. Errors: `BadHandle`, and what `read` returns.
pub fn attributes<R>(
    event: Handle,
    read: impl FnOnce(EventView<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    let (seat, parts) = process::of_lent_event(event)?;
    match seat.events.get(parts)? {
        Event::Allocated { attributes, priority, retention } => read(EventView {
            attributes: attributes.view(),
            priority: *priority,
            retention: *retention,
            publish_time: i64::MIN,
            id: EventId::NONE,
        }),
        Event::Received(received) => read(EventView {
            attributes: AttributesRef::parse(received.packed_attributes())?,
            priority: received.priority,
            retention: received.retention,
            publish_time: received.publish_time,
            id: received.id,
        }),
    }
}

/// Remembers that `patterns` (an address) with `number` entries was given out for `event`, so that
/// [`patterns_forget`] can tell. Overwrites an older entry of the same address.
pub fn patterns_remember(event: Handle, patterns: usize, number: u64) -> Result<(), Error> {
    let (mut seat, parts) = process::of_lent_event_mut(event)?;
    let process = process::existing().ok_or(Error::BadHandle)?;
    seat.events.note_patterns(parts)?;
    process.patterns.lock().remember(event, patterns, number);
    Ok(())
}

/// Takes back what [`patterns_remember`] noted: the number of entries. Errors: `BadHandle`;
/// `InvalidParam` if the address was not given out for this event.
pub fn patterns_forget(event: Handle, patterns: usize) -> Result<u64, Error> {
    let (seat, parts) = process::of_lent_event(event)?;
    seat.events.get(parts)?;
    let process = process::existing().ok_or(Error::BadHandle)?;
    process.patterns.lock().forget(event, patterns)
}

/// Lets `read` look at the data of a received event; it must not call this module, which would wait
/// for itself. Errors: `BadHandle` (also for an allocated event), and what `read` returns.
pub fn data<R>(event: Handle, read: impl FnOnce(Data<'_>) -> Result<R, Error>) -> Result<R, Error> {
    let mut read = Some(read);
    let in_record = current::with(|library| {
        let record = lending::record_of(library, event)?;
        read.take().map(|read| read(record.data()))
    });
    let read = match (in_record, read) {
        (None, Some(read)) => read,
        (Some(result), _) => return result,
        (None, None) => return Err(Error::Library),
    };
    let (seat, parts) = process::of_lent_event(event)?;
    match seat.events.get(parts)? {
        Event::Allocated { .. } => Err(Error::BadHandle),
        Event::Received(received) => read(received.data(&seat.instance.library.inbox)),
    }
}

/// Publishes a snapshot of the event's attributes with `data`; gives the id of the publication.
///
/// Errors: `BadHandle`, `Access`, `TooBig`, `TryAgain`, `NoResources` (retention bound),
/// `Timeout`.
pub fn publish(event: Handle, data: &[u8]) -> Result<EventId, Error> {
    publish::publish(event, data)
}

/// Adds a subscription. Errors: `BadHandle`, `Init`, `Access`, `TooBig`, `Exist`, `TryAgain`,
/// `Timeout`, `NoMemory`, `NoResources`.
pub fn subscribe(channel: Handle, filters: Filters, id: SubscriptionId) -> Result<(), Error> {
    channels::subscribe(&process::instance(channel)?, filters, id)
}

/// Removes a subscription. Errors: `BadHandle`, `NotExist`, `TryAgain`, `Timeout`.
pub fn unsubscribe(channel: Handle, id: SubscriptionId) -> Result<(), Error> {
    channels::unsubscribe(&process::instance(channel)?, id)
}

/// Ends the retention of an event. Errors: `BadHandle`, `NotExist`, `TryAgain`, `Timeout`.
pub fn retention_clear(channel: Handle, id: EventId) -> Result<(), Error> {
    channels::retention_clear(&process::instance(channel)?, id)
}

/// The limits in force for a library handle of release B.03. Errors: `BadHandle`, `Version`.
pub fn limits(library: Handle) -> Result<Limits, Error> {
    let library = process::local_library(library)?;
    if library.version < Version::B03 {
        return Err(Error::Version);
    }
    Ok(library.link.limits.clone())
}

/// The socket where the daemon is expected, and whether a private one is started there if nobody
/// answers. `None`: there is no place for one.
#[must_use]
pub fn service_place() -> Option<(PathBuf, bool)> {
    place::find().map(|place| (place.socket, place.private.is_some()))
}

/// Asks the node about itself; gives the answer, or the first page of it. Errors: `BadHandle`,
/// `NotExist` (no such channel), `TryAgain`, `Timeout`.
pub fn status(library: Handle, topic: Topic) -> Result<Page, Error> {
    let library = process::library(library)?;
    restore::ensure(&library.link)?;
    library.link.connection().ok_or(Error::TryAgain)?.expect_long_replies()?;
    let asked = library.link.ask(Body::Status(topic), link::request_deadline(), Some(&library));
    let reply = asked.map_err(link::Failure::settled)?.reply;
    reply.code?;
    match reply.body {
        reply::Body::Status(page) => Ok(*page),
        _ => Err(Error::Library),
    }
}

static POISONED: AtomicBool = AtomicBool::new(false);

/// Marks the library as unusable after a caught panic: every later call gives `Library`.
pub fn poison(entry_point: &'static str) {
    if !POISONED.swap(true, Ordering::AcqRel) {
        crate::sys::log::line(&format!("libSaEvt: a defect was caught in {entry_point}"));
    }
}

/// Whether [`poison`] was called in this process.
#[must_use]
pub fn is_poisoned() -> bool {
    POISONED.load(Ordering::Acquire)
}
