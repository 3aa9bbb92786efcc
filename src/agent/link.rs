//! The link of this process to its node: one outbox, one control connection at a time.

use super::connection::{Connection, Received};
use super::ids::Ids;
use super::library::Library;
use super::place::{self, Place};
use super::process::{forget_descriptor, note_descriptor};
use super::restore::Restored;
use crate::evt::{Error, EventId, LibraryNo, Limits, Priority, Time};
use crate::link::outbox::Outbox;
use crate::link::outring::{OutRing, Refused, Slot};
use crate::link::segment::SegmentView;
use crate::sys::clock::{self, QuickWall};
use crate::sys::descriptor;
use crate::wire::request::Block;
use crate::wire::{Barrier, Body, Request};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

/// How long a call without a timeout of its own waits for the node: nanoseconds.
pub(super) const REQUEST_TIME: u64 = 10_000_000_000;

/// When a request that is made now, without a timeout of its own, is given up.
pub(super) fn request_deadline() -> Time {
    clock::elapsed().after(crate::evt::Span(REQUEST_TIME))
}

/// First and longest pause between attempts to reach the node again: nanoseconds.
const RETRY_FIRST: u64 = 50_000_000;
const RETRY_LONGEST: u64 = 2_000_000_000;
/// Publications closer together than this need no look at the node: nanoseconds. No node goes and
/// comes back with its subscribers in less.
const LOOK_INTERVAL: u64 = 1_000_000;

/// Why a request got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was not sent.
    Down,
    /// It was sent, and the node went away.
    Lost,
    /// Time ran out.
    Timeout,
    /// The library handle was finalized meanwhile.
    Cancelled,
}

impl Failure {
    /// The code for a call that can be settled by the agent's own list: nothing happened.
    pub(super) const fn settled(self) -> Error {
        match self {
            Self::Down | Self::Lost => Error::TryAgain,
            Self::Timeout => Error::Timeout,
            Self::Cancelled => Error::BadHandle,
        }
    }

    /// The code for a call of which nobody knows whether it took place.
    pub(super) const fn unsettled(self) -> Error {
        match self {
            Self::Down => Error::TryAgain,
            Self::Lost | Self::Timeout => Error::Timeout,
            Self::Cancelled => Error::BadHandle,
        }
    }
}

#[derive(Debug)]
pub(super) struct Retry {
    pub(super) next: Time,
    pub(super) pause: u64,
}

/// The link of this process to its node.
pub(super) struct Link {
    pub(super) outbox: Outbox,
    pub(super) memory: OwnedFd,
    pub(super) limits: Limits,
    /// The segment of the present node, if there is one and it could be mapped.
    segment: Mutex<Option<Arc<SegmentView>>>,
    /// Where the node is; it changes when the service moves.
    pub(super) place: Mutex<Place>,
    pub(super) timer: OwnedFd,
    pub(super) retry: Mutex<Retry>,
    /// Held by the thread that restores the link.
    pub(super) restoring: Mutex<()>,
    pub(super) libraries: Mutex<BTreeMap<LibraryNo, Weak<Library>>>,
    control: Mutex<Option<Arc<Connection>>>,
    up: AtomicBool,
    ids: Ids,
    /// Wall time of the last look whether the node is there.
    looked_at: AtomicI64,
    /// The time that publications get.
    pub(super) wall: QuickWall,
}

impl Link {
    /// A link on a first connection.
    pub(super) fn new(
        outbox: Outbox,
        memory: OwnedFd,
        limits: Limits,
        place: Place,
        connection: Arc<Connection>,
    ) -> std::io::Result<Self> {
        let timer = descriptor::timer()?;
        note_descriptor(timer.as_raw_fd());
        note_descriptor(memory.as_raw_fd());
        Ok(Self {
            outbox,
            memory,
            limits,
            segment: Mutex::new(None),
            place: Mutex::new(place),
            timer,
            retry: Mutex::new(Retry { next: Time::default(), pause: RETRY_FIRST }),
            restoring: Mutex::new(()),
            libraries: Mutex::new(BTreeMap::new()),
            control: Mutex::new(Some(connection)),
            up: AtomicBool::new(true),
            ids: Ids::default(),
            looked_at: AtomicI64::new(0),
            wall: QuickWall::default(),
        })
    }

    /// The segment that new records may refer to.
    pub(super) fn segment(&self) -> Option<Arc<SegmentView>> {
        self.segment.lock().clone()
    }

    /// Maps the segment of a node and says so in the outbox. Without it all events come whole.
    pub(super) fn map_segment(&self, segment: Option<(u64, OwnedFd)>) {
        let view =
            segment.and_then(|(number, memory)| SegmentView::open(memory.as_fd(), number).ok());
        let mapped = view.map(Arc::new);
        self.outbox.note_segment(mapped.as_ref().map_or(0, |view| view.number()));
        *self.segment.lock() = mapped;
    }

    /// Whether there is a connection, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// The present connection.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.control.lock().clone()
    }

    /// Puts a new connection in place, after everything has been restored on it. What has ended
    /// since is told before anybody can ask for something new.
    pub(super) fn install(&self, connection: Arc<Connection>, restored: &Restored) {
        // Under the lock to the end: `down` of this connection must not come in between, and what
        // ends from now on finds the connection.
        let mut control = self.control.lock();
        restored.ended().for_each(|body| self.tell_by(&connection, body));
        *control = Some(connection);
        // From now on identifiers of the new start are used.
        self.ids.end_block();
        let mut retry = self.retry.lock();
        (retry.next, retry.pause) = (Time::default(), RETRY_FIRST);
        drop(retry);
        descriptor::arm(self.timer.as_fd(), 0);
        self.up.store(true, Ordering::Release);
    }

    /// Whether the connection of this number is the present one. What was agreed on by an older one
    /// and entered in the agent's lists after its end, no node has been told of.
    pub(super) fn is_present_number(&self, number: u64) -> bool {
        self.control.lock().as_ref().is_some_and(|present| present.number() == number)
    }

    /// Whether this is the present connection.
    pub(super) fn is_present(&self, connection: &Connection) -> bool {
        self.is_present_number(connection.number())
    }

    /// Notes that a connection has ended: all who wait on it are told.
    pub(super) fn down(&self, connection: &Arc<Connection>) {
        let mut control = self.control.lock();
        if !control.as_ref().is_some_and(|present| Arc::ptr_eq(present, connection)) {
            return;
        }
        self.up.store(false, Ordering::Release);
        *control = None;
        // Whoever waits on a selection object must come and try to reach the node again. Only that
        // attempt takes the timer off: a dispatch that is settling just now does not.
        descriptor::arm(self.timer.as_fd(), 1);
        drop(control);
        connection.handover.end();
        for open in connection.end_opens() {
            let library = Arc::clone(&open.library);
            library.complete(open, Err(Error::TryAgain), connection.number());
        }
        let libraries: Vec<_> = self.libraries.lock().values().filter_map(Weak::upgrade).collect();
        for library in libraries {
            library.disconnected(connection);
        }
    }

    /// The service has moved: the next attempt is made there.
    pub(super) fn move_to_system(&self) {
        *self.place.lock() = place::system();
    }

    /// Whether it is time for another attempt; if it is, says when the next one is due. The timer
    /// wakes whoever waits on a selection object.
    pub(super) fn may_retry(&self) -> bool {
        let now = clock::elapsed();
        let mut retry = self.retry.lock();
        if now < retry.next {
            descriptor::arm(self.timer.as_fd(), now.until(retry.next).0.max(1));
            return false;
        }
        let pause = retry.pause;
        retry.next = now.after(crate::evt::Span(pause));
        retry.pause = (pause * 2).min(RETRY_LONGEST);
        descriptor::lower(self.timer.as_fd());
        descriptor::arm(self.timer.as_fd(), pause);
        true
    }

    /// Another thread is restoring the link: whoever waits looks again after a while.
    pub(super) fn look_later(&self) {
        descriptor::lower(self.timer.as_fd());
        descriptor::arm(self.timer.as_fd(), RETRY_FIRST);
    }

    /// Up to where the outbox is reserved now.
    pub(super) fn barrier(&self) -> Barrier {
        Priority::ALL.map(|priority| self.outbox.ring(priority).positions().0)
    }

    /// Asks the node something and waits for the reply.
    ///
    /// `deadline` is when to give up; `whose` ends the wait when it is finalized.
    pub(super) fn ask(
        &self,
        body: Body,
        deadline: Time,
        whose: Option<&Library>,
    ) -> Result<Received, Failure> {
        let connection = self.connection().ok_or(Failure::Down)?;
        let id = connection.next_id();
        if !connection.handover.register(id) {
            return Err(Failure::Down);
        }
        let request = Request { id, barrier: self.barrier(), body };
        if connection.send(&request.encode(), &[], Some(deadline)).is_err() {
            connection.handover.forget(id);
            self.look(&connection);
            return Err(Failure::Down);
        }
        connection.wait(self, id, deadline, whose)
    }

    /// As [`Link::ask`] with the time of calls that have none of their own, for a plain outcome.
    pub(super) fn ask_plain(
        &self,
        body: Body,
        whose: Option<&Library>,
    ) -> Result<Result<(), Error>, Failure> {
        self.ask(body, request_deadline(), whose).map(|received| received.reply.code)
    }

    /// Tells the node something. Never waits and never fails: with the node away there is nobody to
    /// tell, and what is ended here is not restored there.
    pub(super) fn tell(&self, body: Body) {
        if let Some(connection) = self.connection() {
            self.tell_by(&connection, body);
        }
    }

    fn tell_by(&self, connection: &Connection, body: Body) {
        let request = Request { id: 0, barrier: self.barrier(), body };
        // A connection that has ended has nobody to tell.
        let _ = connection.send(&request.encode(), &[], None);
    }

    /// Takes what the node has sent, if nobody else is reading, and notices its end.
    pub(super) fn look(&self, connection: &Arc<Connection>) {
        connection.flush();
        if connection.handover.try_lead() {
            let alive = connection.pump();
            connection.handover.leave();
            if !alive {
                self.down(connection);
            }
        }
    }

    /// Rings the node if it must be rung.
    pub(super) fn ring(&self) {
        if self.must_ring() {
            self.ring_now();
        }
    }

    /// Whether, after a record was shown, [`Link::ring_now`] has something to do.
    pub(super) fn must_ring(&self) -> bool {
        let bell = self.outbox.node_bell();
        bell.must_ring() || bell.is_gone()
    }

    /// Rings the node. One that has ended may have missed the record: then the next one gets it
    /// now, if it is there already.
    pub(super) fn ring_now(&self) {
        if self.outbox.node_bell().is_gone() {
            self.notice_end();
            // Without success the record stays in the outbox, for whoever comes.
            let _ = super::restore::ensure(self);
        } else if let Some(connection) = self.connection() {
            connection.ring_node();
        }
    }

    /// Whether a publication at the time `now` must look after the link first: it is down, or
    /// [`Link::check_node`] is due.
    pub(super) fn wants_a_look(&self, now: i64) -> bool {
        !self.is_up() || self.outbox.node_bell().is_gone() || self.is_look_due(now)
    }

    fn is_look_due(&self, now: i64) -> bool {
        // Also after the clock was set back.
        now.wrapping_sub(self.looked_at.load(Ordering::Relaxed)) as u64 >= LOOK_INTERVAL
    }

    /// Looks whether the node is still there, before a record is handed to it at the time `now`:
    /// when it says that it has gone, and when the last look was a while ago. A node that was
    /// killed says nothing, and after this publication the program may never call again.
    pub(super) fn check_node(&self, now: i64) {
        let due = self.is_look_due(now);
        if due {
            self.looked_at.store(now, Ordering::Relaxed);
        }
        if due || self.outbox.node_bell().is_gone() {
            self.notice_end();
        }
    }

    fn notice_end(&self) {
        if let Some(connection) = self.connection()
            && connection.has_hung_up()
        {
            self.look(&connection);
        }
    }

    /// Reserves room in `ring` for a record of `bytes` bytes, and then the next event identifier:
    /// none is used up by an attempt that finds no room.
    #[inline(always)]
    pub(super) fn reserve(
        &self,
        ring: OutRing<'_>,
        bytes: u64,
    ) -> Result<(EventId, Slot), Refused> {
        self.ids.prepare(&self.outbox)?;
        let slot = ring.reserve(bytes)?;
        match self.ids.take(&self.outbox) {
            Ok(id) => Ok((id, slot)),
            Err(refused) => {
                // Other threads have taken the last ones just now.
                ring.leave_empty(slot);
                Err(refused)
            }
        }
    }

    /// The blocks that records in the outbox have, or will have, identifiers of.
    pub(super) fn blocks(&self) -> Vec<Block> {
        self.ids.blocks(&self.outbox)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        forget_descriptor(self.timer.as_raw_fd());
        forget_descriptor(self.memory.as_raw_fd());
    }
}
