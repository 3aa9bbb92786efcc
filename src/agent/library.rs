//! One library handle: its window, its selection object, and what waits to be called back.

use super::connection::{Connection, PendingOpen};
use super::instance::Instance;
use super::lending::{self, Lending};
use super::link::Link;
use super::reading::{Found, Recent};
use super::segments::Segments;
use super::{Callbacks, Version};
use crate::evt::{Error, Incarnation, LibraryNo, Priority};
use crate::link::inbox::Inbox;
use crate::sys::descriptor;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::process::{self, Process, forget_descriptor, note_descriptor};

/// The outcome of an asynchronous open, waiting for dispatch.
pub(super) struct Completion {
    pub(super) invocation: u64,
    pub(super) outcome: Result<Arc<Instance>, Error>,
}

/// Outcomes that wait for dispatch. Most of the time there is none, which costs no lock to see.
#[derive(Default)]
pub(super) struct Completions {
    there: AtomicBool,
    list: Mutex<VecDeque<Completion>>,
}

impl Completions {
    fn are_there(&self) -> bool {
        self.there.load(Ordering::Acquire)
    }

    /// Adds one if, with the list locked, it is still `wanted`: of a finalized handle nothing may
    /// remain, as the completion holds the handle.
    fn push(&self, completion: Completion, wanted: impl FnOnce() -> bool) {
        let mut list = self.list.lock();
        if wanted() {
            list.push_back(completion);
            self.there.store(true, Ordering::Release);
        }
    }

    /// Takes the oldest one.
    pub(super) fn pop(&self) -> Option<Completion> {
        if !self.are_there() {
            return None;
        }
        let mut list = self.list.lock();
        let oldest = list.pop_front();
        self.there.store(!list.is_empty(), Ordering::Release);
        oldest
    }

    /// Drops all.
    pub(super) fn clear(&self) {
        let mut list = self.list.lock();
        list.clear();
        self.there.store(false, Ordering::Release);
    }
}

/// The descriptor that programs wait on: an epoll set over the doorbell, the control socket's end,
/// the retry timer, and an eventfd that is raised while something unread remains. It is the set of
/// the bell itself, if the node is there that gave it: a set in a set makes each wake-up dearer.
///
/// The set is closed first: who is woken at the end looks again, and must not find it empty.
#[derive(Debug)]
struct SelectionObject {
    set: OwnedFd,
    raised: bool,
    unread: OwnedFd,
}

/// Where the reader stands, and what wakes it. One thread at a time.
pub(super) struct Reader {
    /// Next position to read, by priority.
    pub(super) at: [u64; Priority::LEVELS],
    /// The node wrote what cannot be; the next dispatch says so.
    pub(super) nonsense: bool,
    /// The record that was found last.
    pub(super) found: Found,
    /// What it is for.
    pub(super) recent: Recent,
    /// The record that is read and not given back.
    pub(super) lending: Lending,
    /// Where it may refer to.
    pub(super) segments: Segments,
    /// The set of the bell, unless that is the selection object.
    bell: Option<OwnedFd>,
    /// The number of the connection that the bell came with.
    bell_of: u64,
    object: Option<SelectionObject>,
}

/// One library handle.
pub(super) struct Library {
    pub(super) number: LibraryNo,
    pub(super) version: Version,
    pub(super) callbacks: Box<dyn Callbacks>,
    pub(super) link: Arc<Link>,
    pub(super) inbox: Inbox,
    pub(super) memory: OwnedFd,
    pub(super) reader: Mutex<Reader>,
    pub(super) instances: Mutex<BTreeMap<usize, Arc<Instance>>>,
    pub(super) completions: Completions,
    /// Asynchronous opens without a reply.
    pub(super) opening: AtomicUsize,
    /// Open instances that a restarted node did not know any more.
    pub(super) instances_lost: AtomicUsize,
    /// Elapsed time from when the node may be asked for more again.
    pub(super) refill_from: AtomicU64,
    finalized: AtomicBool,
    /// What the node's count of leaving and coming back was when the handle was made, or would have
    /// been if the node was outside then.
    membership: u32,
    pub(super) process: &'static Process,
}

/// What a new library handle is made of.
pub(super) struct Parts {
    pub(super) number: LibraryNo,
    pub(super) version: Version,
    pub(super) callbacks: Box<dyn Callbacks>,
    pub(super) link: Arc<Link>,
    pub(super) inbox: Inbox,
    pub(super) memory: OwnedFd,
    pub(super) bell: OwnedFd,
    pub(super) bell_of: u64,
    pub(super) process: &'static Process,
}

impl Library {
    pub(super) fn new(parts: Parts) -> Self {
        note_descriptor(parts.memory.as_raw_fd());
        note_descriptor(parts.bell.as_raw_fd());
        let membership = parts.link.outbox.membership() & !1;
        let segments = Segments::new(parts.link.segment());
        // Asleep from the start: the first event must ring.
        parts.inbox.agent_bell().fall_asleep();
        Self {
            number: parts.number,
            version: parts.version,
            callbacks: parts.callbacks,
            link: parts.link,
            inbox: parts.inbox,
            memory: parts.memory,
            reader: Mutex::new(Reader {
                at: [0; 4],
                nonsense: false,
                found: Found::default(),
                recent: Recent::default(),
                lending: Lending::none(),
                segments,
                bell: Some(parts.bell),
                bell_of: parts.bell_of,
                object: None,
            }),
            instances: Mutex::new(BTreeMap::new()),
            completions: Completions::default(),
            opening: AtomicUsize::new(0),
            instances_lost: AtomicUsize::new(0),
            refill_from: AtomicU64::new(0),
            finalized: AtomicBool::new(false),
            membership,
            process: parts.process,
        }
    }

    /// Whether the handle may be used for what needs no service.
    ///
    /// - [`Error::Unavailable`]: it is of release B.03, and the node is outside its cluster or was
    ///   at some time since the handle was made.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, SA_AIS_ERR_UNAVAILABLE of all functions.
    #[inline]
    pub(super) fn check_local(&self) -> Result<(), Error> {
        if self.link.outbox.membership() == self.membership || self.version < Version::B03 {
            return Ok(());
        }
        Err(Error::Unavailable)
    }

    /// Whether the handle may be used for what needs the service.
    ///
    /// - [`Error::Unavailable`]: as for [`Library::check_local`].
    /// - [`Error::TryAgain`]: it is of an earlier release, and the node is outside its cluster.
    #[inline]
    pub(super) fn check_service(&self) -> Result<(), Error> {
        let membership = self.link.outbox.membership();
        if membership == self.membership { Ok(()) } else { self.judge(membership) }
    }

    #[cold]
    fn judge(&self, membership: u32) -> Result<(), Error> {
        match (self.version < Version::B03, membership % 2) {
            (false, _) => Err(Error::Unavailable),
            (true, 1) => Err(Error::TryAgain),
            (true, _) => Ok(()),
        }
    }

    /// An error of the node as this handle may see it.
    pub(super) fn known(&self, error: Error) -> Error {
        match error {
            Error::Unavailable if self.version < Version::B03 => Error::TryAgain,
            known => known,
        }
    }

    /// Whether the calling process is the one that made the handle, and not a forked child.
    pub(super) fn is_of_this_process(&self) -> bool {
        process::existing().is_some_and(|process| std::ptr::eq(process, self.process))
    }

    pub(super) fn is_finalized(&self) -> bool {
        self.finalized.load(Ordering::Acquire)
    }

    /// Marks the handle as finalized and wakes everybody who waits for it.
    pub(super) fn end(&self) {
        self.finalized.store(true, Ordering::Release);
        let mut reader = self.reader.lock();
        reader.raise();
        // It holds this handle.
        reader.recent = Recent::default();
        if let (Some(object), Ok(ended)) = (&reader.object, self.process.ended()) {
            // Without memory for it, what has just been raised wakes all but one who is on its way
            // into a wait at this very moment.
            let _ = descriptor::epoll_add(
                object.set.as_fd(),
                ended.as_raw_fd(),
                libc::EPOLLIN as u32,
                0,
            );
        }
        drop(reader);
        if let Some(connection) = self.link.connection() {
            connection.kick();
        }
    }

    /// The selection object's number; made at the first call.
    ///
    /// - [`Error::NoResources`]: no descriptors left.
    pub(super) fn selection_object(&self) -> Result<RawFd, Error> {
        let mut reader = self.reader.lock();
        if let Some(object) = &reader.object {
            return Ok(object.set.as_raw_fd());
        }
        let object = self.make_object(&mut reader).map_err(|_| Error::NoResources)?;
        let number = object.set.as_raw_fd();
        note_descriptor(object.unread.as_raw_fd());
        reader.object = Some(object);
        drop(reader);
        // Something may be unread already, or the node may have gone.
        self.settle(false);
        Ok(number)
    }

    fn make_object(&self, reader: &mut Reader) -> io::Result<SelectionObject> {
        // So that finalizing finds it made.
        self.process.ended()?;
        let unread = descriptor::eventfd()?;
        let bell = reader.bell.take();
        let is_bell = bell.is_some();
        let set = bell.map_or_else(descriptor::epoll, Ok)?;
        if let Err(error) = self.fill(&set, &unread) {
            // What has been added to a bell is there already the next time.
            reader.bell = is_bell.then_some(set);
            return Err(error);
        }
        if !is_bell {
            note_descriptor(set.as_raw_fd());
        }
        Ok(SelectionObject { set, raised: false, unread })
    }

    /// Has the set watch all that is to wake the program, beside the bell.
    fn fill(&self, set: &OwnedFd, unread: &OwnedFd) -> io::Result<()> {
        let readable = libc::EPOLLIN as u32;
        watch(set, unread.as_raw_fd(), readable)?;
        watch(set, self.link.timer.as_raw_fd(), readable)?;
        match self.link.connection() {
            Some(connection) => watch_end(set, &connection),
            None => Ok(()),
        }
    }

    /// The node has gone, and with it what its bell watches. The bell of a newer connection stays.
    pub(super) fn disconnected(&self, connection: &Connection) {
        let mut reader = self.reader.lock();
        if let Some(object) = &reader.object {
            descriptor::epoll_remove(object.set.as_fd(), connection.socket_number());
        }
        if reader.bell_of == connection.number() {
            reader.drop_bell();
        }
    }

    /// The node is back: its new bell.
    pub(super) fn reconnected(&self, bell: OwnedFd, connection: &Connection) -> io::Result<()> {
        let mut reader = self.reader.lock();
        if !self.link.is_present(connection) {
            // Gone again.
            return Ok(());
        }
        if let Some(object) = &reader.object {
            let readable = libc::EPOLLIN as u32;
            descriptor::epoll_add(object.set.as_fd(), bell.as_raw_fd(), readable, 0)?;
            watch_end(&object.set, connection)?;
        }
        note_descriptor(bell.as_raw_fd());
        reader.bell = Some(bell);
        reader.bell_of = connection.number();
        reader.raise();
        Ok(())
    }

    /// An asynchronous open has come to its end.
    pub(super) fn complete(
        self: &Arc<Self>,
        open: PendingOpen,
        outcome: Result<Incarnation, Error>,
        by: u64,
    ) {
        let outcome = super::channels::opened(&open.instance, open.taken, outcome, by);
        let completion = Completion { invocation: open.invocation, outcome };
        self.completions.push(completion, || !self.is_finalized());
        self.opening.fetch_sub(1, Ordering::AcqRel);
        self.reader.lock().raise();
    }

    /// Makes the selection object say what is the case: readable while something that would be
    /// called back is unread. Records at the head that nobody wants any more are passed over.
    /// `in_vain`: nothing was found, so whatever made the object readable is taken off.
    pub(super) fn settle(&self, in_vain: bool) {
        let bell = self.inbox.agent_bell();
        let mut reader = self.reader.lock();
        // A sleeper is rung once. A ring that is on its way only now will wake it in vain.
        if bell.stay_awake() || in_vain {
            reader.take_rings(in_vain);
        }
        // The last look comes after falling asleep: either it sees a new record, or the node sees
        // that this program sleeps and rings.
        let stuck = lending::end(self, &mut reader).is_err();
        if reader.recent.instance().is_some_and(|instance| instance.is_closed()) && !stuck {
            reader.recent = Recent::default();
        }
        let pending = stuck || self.has_pending(&mut reader) || {
            bell.fall_asleep();
            self.has_pending(&mut reader)
        };
        if pending {
            if bell.stay_awake() {
                reader.take_rings(false);
            }
            reader.raise();
        } else {
            reader.segments.forget_earlier();
            reader.lower();
        }
        drop(reader);
        self.give_room();
    }

    /// Tells a node that waits for room that some has been made.
    pub(super) fn give_room(&self) {
        if self.inbox.room_bell().must_ring()
            && let Some(connection) = self.link.connection()
        {
            connection.ring_node();
        }
    }

    fn has_pending(&self, reader: &mut Reader) -> bool {
        if self.is_finalized() || self.completions.are_there() {
            return true;
        }
        if self.opening.load(Ordering::Acquire) > 0
            && let Some(connection) = self.link.connection()
            && connection.has_message()
        {
            return true;
        }
        super::reading::peek(self, reader) || reader.nonsense
    }

    /// Waits until the selection object is readable.
    pub(super) fn wait(&self) -> Result<(), Error> {
        // Short of descriptors or memory: it may be better the next time.
        let number = self.selection_object().map_err(|_| Error::TryAgain)?;
        descriptor::poll([(number, libc::POLLIN)], None).map_err(|_| Error::TryAgain)?;
        Ok(())
    }
}

fn watch_end(set: &OwnedFd, connection: &Connection) -> io::Result<()> {
    watch(set, connection.socket_number(), libc::EPOLLRDHUP as u32)
}

/// Adds a descriptor to a set that may have it: a selection object that was made just now watches
/// the new connection already.
fn watch(set: &OwnedFd, member: RawFd, events: u32) -> io::Result<()> {
    match descriptor::epoll_add(set.as_fd(), member, events, 0) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

impl Reader {
    fn raise(&mut self) {
        if let Some(object) = &mut self.object
            && !object.raised
        {
            object.raised = true;
            descriptor::raise(object.unread.as_fd());
        }
    }

    fn lower(&mut self) {
        if let Some(object) = &mut self.object
            && object.raised
        {
            object.raised = false;
            descriptor::lower(object.unread.as_fd());
        }
    }

    /// Takes rings off the bell; with `all` also those of nodes before.
    fn take_rings(&self, all: bool) {
        let set = self.object.as_ref().map(|object| &object.set);
        if let Some(bell) = &self.bell {
            descriptor::hear(bell.as_fd());
        }
        if let Some(set) = set.filter(|_| all || self.bell.is_none()) {
            descriptor::hear(set.as_fd());
        }
    }

    /// Lets go of the bell of a node that has gone.
    fn drop_bell(&mut self) {
        if let Some(bell) = self.bell.take() {
            forget_descriptor(bell.as_raw_fd());
            if let Some(object) = &self.object {
                descriptor::epoll_remove(object.set.as_fd(), bell.as_raw_fd());
            }
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        forget_descriptor(self.memory.as_raw_fd());
        let reader = self.reader.get_mut();
        if let Some(bell) = &reader.bell {
            forget_descriptor(bell.as_raw_fd());
        }
        if let Some(object) = &reader.object {
            forget_descriptor(object.set.as_raw_fd());
            forget_descriptor(object.unread.as_raw_fd());
        }
    }
}
