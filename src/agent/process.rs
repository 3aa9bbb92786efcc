//! What the library keeps for the process it lives in, and how it notices that it lives in
//! another one now: the child of a fork begins anew and leaves its parent's link alone.

use super::Handle;
use super::handles::{EventHandle, Kind};
use super::instance::{Instance, Seat};
use super::joining::LinkPlace;
use super::lending;
use super::library::Library;
use super::patterns::PatternTable;
use super::table::{Reading, Table, Writing};
use crate::evt::Error;
use crate::sys::memory::{ForkMark, Leaked};
use crate::sys::{descriptor, inherited, process};
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The library's state in one process.
pub(super) struct Process {
    mark: ForkMark,
    pub(super) libraries: Table<Arc<Library>>,
    pub(super) channels: Table<Seat>,
    pub(super) link: LinkPlace,
    pub(super) patterns: Mutex<PatternTable>,
    /// Readable for ever; made with the first selection object.
    ended: OnceLock<OwnedFd>,
    /// What a parent left in this process. Its locks may be held by threads that do not exist here,
    /// so it is never touched; it is kept in reach for checkers of memory.
    _left: Option<&'static Self>,
}

static CURRENT: Leaked<Process> = Leaked::new();
/// The state of the parent, in the child of a fork.
static LEFT: Leaked<Process> = Leaked::new();

/// Descriptors of the present link, one bit each, for the child of a fork to close. Larger
/// numbers are not noted: a child then keeps copies, which the node does not mind, as it goes by
/// the end of the process.
static NOTED: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// Notes a descriptor that belongs to the link.
pub(super) fn note_descriptor(number: RawFd) {
    if let Some(word) = NOTED.get(number as usize / 64) {
        word.fetch_or(1 << (number % 64), Ordering::Relaxed);
    }
}

/// The descriptor is about to be closed.
pub(super) fn forget_descriptor(number: RawFd) {
    if let Some(word) = NOTED.get(number as usize / 64) {
        word.fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
    }
}

/// Runs in the child of a fork, before anything else does: unmaps the parent's memory, closes the
/// copies of its descriptors and forgets its state, which is leaked since its locks may be held by
/// threads that do not exist here.
extern "C" fn in_child() {
    CURRENT.move_to(&LEFT);
    inherited::unmap();
    for (index, word) in NOTED.iter().enumerate() {
        let mut bits = word.swap(0, Ordering::Relaxed);
        while bits != 0 {
            descriptor::close_copy((index * 64) as RawFd + bits.trailing_zeros() as RawFd);
            bits &= bits - 1;
        }
    }
}

/// The state of this process, made at first use.
///
/// - [`Error::NoMemory`].
pub(super) fn current() -> Result<&'static Process, Error> {
    if let Some(process) = existing() {
        return Ok(process);
    }
    let stale = CURRENT.get();
    if CURRENT.replace(stale, Box::new(Process::new()?)) {
        inherited::note_mappings();
        process::at_fork(in_child);
    }
    existing().ok_or(Error::Library)
}

/// The state of this process if it has one.
#[inline]
pub(super) fn existing() -> Option<&'static Process> {
    CURRENT.get().filter(|process| process.mark.holds())
}

impl Process {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            mark: ForkMark::new().map_err(|_| Error::NoMemory)?,
            libraries: Table::new(Kind::Library, process::random()),
            channels: Table::new(Kind::Channel, process::random()),
            link: LinkPlace::default(),
            patterns: Mutex::new(PatternTable::default()),
            ended: OnceLock::new(),
            _left: LEFT.get(),
        })
    }

    /// An eventfd that is readable for ever. Selection objects of finalized library handles hold
    /// it, as a thread can be on its way into a wait on one when everything else in it is closed.
    pub(super) fn ended(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(ended) = self.ended.get() {
            return Ok(ended.as_fd());
        }
        let ended = descriptor::eventfd()?;
        descriptor::raise(ended.as_fd());
        let ended = self.ended.get_or_init(|| {
            note_descriptor(ended.as_raw_fd());
            ended
        });
        Ok(ended.as_fd())
    }
}

/// The library behind a handle.
pub(super) fn library(handle: Handle) -> Result<Arc<Library>, Error> {
    existing().ok_or(Error::BadHandle)?.libraries.get(handle).map(|library| Arc::clone(&library))
}

/// The library behind a handle that may be used for what needs no service.
///
/// - [`Error::BadHandle`], and the errors of [`Library::check_local`].
pub(super) fn local_library(handle: Handle) -> Result<Arc<Library>, Error> {
    let library = library(handle)?;
    library.check_local()?;
    Ok(library)
}

/// The library behind a handle that may be used for what needs the service.
///
/// - [`Error::BadHandle`], and the errors of [`Library::check_service`].
pub(super) fn serving_library(handle: Handle) -> Result<Arc<Library>, Error> {
    let library = library(handle)?;
    library.check_service()?;
    Ok(library)
}

/// The open instance behind a handle, to be used for what needs the service.
///
/// - [`Error::BadHandle`], and the errors of [`Library::check_service`].
pub(super) fn instance(handle: Handle) -> Result<Arc<Instance>, Error> {
    let seat = existing().ok_or(Error::BadHandle)?.channels.get(handle)?;
    seat.instance.library.check_service()?;
    Ok(Arc::clone(&seat.instance))
}

/// The open instance behind a handle with its events, to be changed.
pub(super) fn seat_mut(handle: Handle) -> Result<Writing<'static, Seat>, Error> {
    let seat = existing().ok_or(Error::BadHandle)?.channels.get_mut(handle)?;
    seat.instance.library.check_local()?;
    Ok(seat)
}

/// The open instance an event handle belongs to, with its events, and the parts of the handle.
#[inline]
pub(super) fn of_event(handle: Handle) -> Result<(Reading<'static, Seat>, EventHandle), Error> {
    let parts = EventHandle::decode(handle).ok_or(Error::BadHandle)?;
    let process = existing().ok_or(Error::BadHandle)?;
    let seat = process.channels.at(parts.instance_slot).ok_or(Error::BadHandle)?;
    Ok((seat, parts))
}

/// As [`of_event`], for an event that may be lent: then it is put in the table first.
///
/// - [`Error::NoMemory`], [`Error::Library`]: it could not be.
pub(super) fn of_lent_event(
    handle: Handle,
) -> Result<(Reading<'static, Seat>, EventHandle), Error> {
    let (seat, parts) = of_event(handle)?;
    seat.instance.library.check_local()?;
    if seat.events.has(parts) {
        return Ok((seat, parts));
    }
    let library = Arc::clone(&seat.instance.library);
    // The reader is locked before a seat.
    drop(seat);
    lending::into_table(&library, handle)?;
    of_event(handle)
}

/// As [`of_lent_event`], for events to be changed.
pub(super) fn of_lent_event_mut(
    handle: Handle,
) -> Result<(Writing<'static, Seat>, EventHandle), Error> {
    drop(of_lent_event(handle)?);
    of_event_mut(handle)
}

/// As [`of_event`], for events to be changed.
pub(super) fn of_event_mut(handle: Handle) -> Result<(Writing<'static, Seat>, EventHandle), Error> {
    let parts = EventHandle::decode(handle).ok_or(Error::BadHandle)?;
    let process = existing().ok_or(Error::BadHandle)?;
    let seat = process.channels.at_mut(parts.instance_slot).ok_or(Error::BadHandle)?;
    seat.instance.library.check_local()?;
    Ok((seat, parts))
}
