//! The library inside a program: handle table, link, dispatch, selection object.
//!
//! Everything here is safe Rust for `capi`. Raw pointers stay in `capi`; callbacks come in as a
//! [`Callbacks`] object. Argument checks that need no state (NULL, ranges, flags) are the
//! caller's; checks that need the handle or a limit are made here, in the contract's order
//! (handle, version, membership, callbacks, access, sizes, existence, service).

use crate::evt::{
    Attributes, AttributesRef, Error, EventId, Filters, Limits, Name, OpenFlags, Priority, Span,
    SubscriptionId,
};
use std::os::fd::RawFd;

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

/// What the program registered with `saEvtInitialize`; called only inside [`dispatch`], without
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

/// How much [`dispatch`] does.
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
    todo!("{version:?} {}", callbacks.has_open())
}

/// The selection object of a library handle. Errors: `BadHandle`, `NoResources`.
pub fn selection_object(library: Handle) -> Result<RawFd, Error> {
    todo!("{library}")
}

/// Runs pending callbacks. Errors: `BadHandle`.
pub fn dispatch(library: Handle, flags: DispatchFlags) -> Result<(), Error> {
    todo!("{library} {flags:?}")
}

/// Ends a library handle and everything below it. Errors: `BadHandle`.
pub fn finalize(library: Handle) -> Result<(), Error> {
    todo!("{library}")
}

/// Opens a channel. `timeout` zero or less: `Timeout` without effect; `i64::MAX`: no limit.
pub fn channel_open(
    library: Handle,
    name: &Name,
    flags: OpenFlags,
    timeout: i64,
) -> Result<Handle, Error> {
    todo!("{library} {name} {flags:?} {timeout}")
}

/// Starts to open a channel; the outcome comes through `Callbacks::open`.
pub fn channel_open_async(
    library: Handle,
    invocation: u64,
    name: &Name,
    flags: OpenFlags,
) -> Result<(), Error> {
    todo!("{library} {invocation} {name} {flags:?}")
}

/// Closes an open instance. Errors: `BadHandle`.
pub fn channel_close(channel: Handle) -> Result<(), Error> {
    todo!("{channel}")
}

/// Removes a channel's name. Errors: `BadHandle`, `NotExist`, `TryAgain`, `Timeout`.
pub fn channel_unlink(library: Handle, name: &Name) -> Result<(), Error> {
    todo!("{library} {name}")
}

/// Allocates an event. Errors: `BadHandle`, `Access` (B.03, no publisher flag), `NoMemory`,
/// `NoResources`.
pub fn event_allocate(channel: Handle) -> Result<Handle, Error> {
    todo!("{channel}")
}

/// Frees an event. Errors: `BadHandle`.
pub fn event_free(event: Handle) -> Result<(), Error> {
    todo!("{event}")
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
    let _ = attributes;
    todo!("{event} {priority:?} {retention:?}")
}

/// Lets `read` look at the attributes of an event. Errors: `BadHandle`, and what `read` returns.
pub fn attributes<R>(
    event: Handle,
    read: impl FnOnce(EventView<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    let _ = read;
    todo!("{event}")
}

/// Remembers that `patterns` (an address) with `number` entries was given out for `event`, so that
/// [`patterns_forget`] can tell. Overwrites an older entry of the same address.
pub fn patterns_remember(event: Handle, patterns: usize, number: u64) -> Result<(), Error> {
    todo!("{event} {patterns} {number}")
}

/// Takes back what [`patterns_remember`] noted: the number of entries. Errors: `BadHandle`;
/// `InvalidParam` if the address was not given out for this event.
pub fn patterns_forget(event: Handle, patterns: usize) -> Result<u64, Error> {
    todo!("{event} {patterns}")
}

/// Lets `read` look at the data of a received event. Errors: `BadHandle` (also for an allocated
/// event), and what `read` returns.
pub fn data<R>(event: Handle, read: impl FnOnce(&[u8]) -> Result<R, Error>) -> Result<R, Error> {
    let _ = read;
    todo!("{event}")
}

/// Publishes a snapshot of the event's attributes with `data`; gives the id of the publication.
///
/// Errors: `BadHandle`, `Access`, `TooBig`, `TryAgain`, `NoResources` (retention bound),
/// `Timeout`.
pub fn publish(event: Handle, data: &[u8]) -> Result<EventId, Error> {
    todo!("{event} {}", data.len())
}

/// Adds a subscription. Errors: `BadHandle`, `Init`, `Access`, `TooBig`, `Exist`, `TryAgain`,
/// `Timeout`, `NoMemory`, `NoResources`.
pub fn subscribe(channel: Handle, filters: Filters, id: SubscriptionId) -> Result<(), Error> {
    todo!("{channel} {filters:?} {id:?}")
}

/// Removes a subscription. Errors: `BadHandle`, `NotExist`, `TryAgain`, `Timeout`.
pub fn unsubscribe(channel: Handle, id: SubscriptionId) -> Result<(), Error> {
    todo!("{channel} {id:?}")
}

/// Ends the retention of an event. Errors: `BadHandle`, `NotExist`, `TryAgain`, `Timeout`.
pub fn retention_clear(channel: Handle, id: EventId) -> Result<(), Error> {
    todo!("{channel} {id:?}")
}

/// The limits in force for a library handle of release B.03. Errors: `BadHandle`, `Version`.
pub fn limits(library: Handle) -> Result<Limits, Error> {
    todo!("{library}")
}

/// Marks the library as unusable after a caught panic: every later call gives `Library`.
pub fn poison(entry_point: &'static str) {
    todo!("{entry_point}")
}

/// Whether [`poison`] was called in this process.
#[must_use]
pub fn is_poisoned() -> bool {
    false
}
