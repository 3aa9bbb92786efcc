//! The inboxes of all library handles, as the core writes to them.

mod referring;

use super::sharing::Sharing;
use crate::evt::LibraryNo;
use crate::evt::node::{Data, Delivery, ProcessKey, Target, What, Windows};
use crate::evt::{EventId, Priority};
use crate::link::inbox::{Inbox, Source};
use crate::link::inring::{Reader, UNIT};
use crate::link::outbox::{Outbox, Place};
use crate::link::record::{IN_HEADER, InHeader, InKind};
use crate::sys::{clock, descriptor};
use referring::Refers;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// One inbox, from the node's side.
#[derive(Debug)]
pub(super) struct Window {
    inbox: Inbox,
    bell: OwnedFd,
    ends: [Ends; Priority::LEVELS],
    /// A bit for each priority with records that are not shown yet, and [`USED`], [`TOUCHED`].
    marks: u8,
    /// The node's queue holds more for it.
    pub(super) backlog: bool,
    /// What its records refer to in the segment; none for a program that has not mapped it.
    refers: Option<Box<Refers>>,
}

/// Where a ring of a window ends on both sides.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    /// Where the node stands; shown to the program at the end of a batch.
    tail: u64,
    /// Where the program is, as the node knows it.
    reader: Reader,
}

/// The marks of the priorities.
const LEVELS: u8 = (1 << Priority::LEVELS) - 1;
/// Written to since its pages were last given back.
const USED: u8 = 1 << Priority::LEVELS;
/// Written to since the last look whether it rests.
const TOUCHED: u8 = USED << 1;

impl Window {
    /// The window on an inbox, new or brought back by a restored program. `None` if the positions
    /// of a restored one make no sense.
    pub(super) fn new(inbox: Inbox, bell: OwnedFd) -> Option<Self> {
        let mut ends = [Ends::default(); Priority::LEVELS];
        for priority in Priority::ALL {
            let ring = inbox.ring(priority);
            let written = ring.written();
            let mut reader = Reader::at(ring.read());
            let right =
                written.is_multiple_of(UNIT) && ring.room(written, 0, &mut reader).is_some();
            if !right {
                return None;
            }
            ends[priority.index()] = Ends { tail: written, reader };
        }
        Some(Self { inbox, bell, ends, marks: 0, backlog: false, refers: None })
    }

    /// Bytes that the program has not read, and bytes of the rings.
    fn bytes(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        for priority in Priority::ALL {
            let ends = &self.ends[priority.index()];
            let unread = self.inbox.ring(priority).unread(ends.tail, &ends.reader);
            sum = (sum.0 + unread, sum.1 + self.inbox.ring_bytes());
        }
        sum
    }

    /// Whether the node that died held more for this handle than the window did.
    pub(super) fn had_backlog(&self) -> bool {
        self.inbox.has_backlog()
    }

    /// Writes a record; the caller sets the marks.
    #[inline(always)]
    fn put(
        &mut self,
        priority: Priority,
        header: &InHeader,
        attributes: &[u8],
        data: Source<'_>,
    ) -> Option<u64> {
        let ends = &mut self.ends[priority.index()];
        let bytes = u64::from(header.bytes);
        let room = self.inbox.ring(priority).room(ends.tail, bytes, &mut ends.reader)?;
        ends.tail = room.position + bytes;
        self.inbox.write(priority, room, header, attributes, data);
        Some(room.position + bytes)
    }

    /// Writes a lost-event; the caller sets the marks.
    #[inline(never)]
    fn put_lost(&mut self, instance: u64) -> Option<u64> {
        self.put(Priority::HIGHEST, &lost_header(instance), &[], Source::Bytes(&[]))
    }

    /// Sets the marks for a record of this priority.
    #[inline(always)]
    fn note(
        &mut self,
        to: Target,
        priority: Priority,
        changed: &mut Vec<Target>,
        newly_used: &mut Vec<Target>,
    ) {
        let marks = 1 << priority.number() | USED | TOUCHED;
        if self.marks & marks != marks {
            if self.marks & LEVELS == 0 {
                changed.push(to);
            }
            if self.marks & USED == 0 {
                newly_used.push(to);
            }
            self.marks |= marks;
        }
    }

    /// Shows what was written and rings if the program sleeps.
    fn show(&mut self) {
        for priority in Priority::ALL {
            if self.marks & 1 << priority.number() != 0 {
                self.inbox.ring(priority).show(self.ends[priority.index()].tail);
            }
        }
        self.marks &= !LEVELS;
        self.ring();
    }

    fn ring(&self) {
        if self.inbox.agent_bell().must_ring() {
            descriptor::raise(self.bell.as_fd());
        }
    }

    /// A node begins with this inbox: nothing is queued behind it yet.
    pub(super) fn begin(&self) {
        self.inbox.set_backlog(0);
        let _ = self.inbox.room_bell().stay_awake();
    }

    /// Asks the program to ring when it has read.
    pub(super) fn ask_for_room(&self) {
        self.inbox.room_bell().fall_asleep();
    }

    /// Whether it was written to since this was last asked.
    pub(super) const fn take_touch(&mut self) -> bool {
        let touched = self.marks & TOUCHED != 0;
        self.marks &= !TOUCHED;
        touched
    }

    /// Gives pages of rings that are empty back to the system.
    pub(super) fn give_back(&mut self) {
        if self.marks & USED == 0 {
            return;
        }
        self.marks &= !USED;
        for priority in Priority::ALL {
            self.inbox.give_back(priority, self.ends[priority.index()].tail);
        }
    }
}

/// The data of the publication that is being published.
struct InFlight {
    outbox: Rc<Outbox>,
    priority: Priority,
    position: u64,
    skip: usize,
    bytes: usize,
    /// They are in the segment.
    shared: bool,
}

impl InFlight {
    fn place(&self) -> Place<'_> {
        Place {
            outbox: &self.outbox,
            priority: self.priority,
            position: self.position,
            skip: self.skip,
            bytes: self.bytes,
        }
    }
}

/// All inboxes, by process and library.
#[derive(Default)]
pub(super) struct Inboxes {
    table: Vec<Vec<Option<Window>>>,
    changed: Vec<Target>,
    answered: Vec<Target>,
    backlogged: Vec<Target>,
    newly_used: Vec<Target>,
    in_flight: Option<InFlight>,
    sharing: Option<Sharing>,
    /// Those that refer to the segment.
    referring: VecDeque<Target>,
}

impl Inboxes {
    pub(super) fn get_mut(&mut self, to: Target) -> Option<&mut Window> {
        self.table.get_mut(to.process.0 as usize)?.get_mut(to.library.0 as usize)?.as_mut()
    }

    fn get(&self, to: Target) -> Option<&Window> {
        self.table.get(to.process.0 as usize)?.get(to.library.0 as usize)?.as_ref()
    }

    /// Adds the window of a program that has mapped the segment of the number `mapped`.
    pub(super) fn add(&mut self, to: Target, mut window: Window, mapped: u64) {
        self.let_refer(&mut window, mapped);
        let (process, library) = (to.process.0 as usize, to.library.0 as usize);
        if self.table.len() <= process {
            self.table.resize_with(process + 1, Vec::new);
        }
        let row = &mut self.table[process];
        if row.len() <= library {
            row.resize_with(library + 1, || None);
        }
        row[library] = Some(window);
    }

    pub(super) fn remove(&mut self, to: Target) {
        if let Some(row) = self.table.get_mut(to.process.0 as usize)
            && let Some(place) = row.get_mut(to.library.0 as usize)
            && let Some(window) = place.take()
        {
            // Its program reads it no more.
            self.forget(to, window);
        }
    }

    /// A program has let go of its connection. If it has not ended, `end` will tell when it does.
    pub(super) fn remove_process(&mut self, process: ProcessKey, end: Option<OwnedFd>) {
        if let Some(row) = self.table.get_mut(process.0 as usize) {
            let windows = std::mem::take(row).into_iter().flatten();
            self.part_with(process, windows, end);
        }
        self.answered.retain(|to| to.process != process);
    }

    /// The windows of a process.
    pub(super) fn windows_of(&mut self, process: ProcessKey) -> impl Iterator<Item = &mut Window> {
        self.table.get_mut(process.0 as usize).into_iter().flatten().flatten()
    }

    /// Bytes that a process has not read, and bytes of its windows.
    pub(super) fn bytes_of(&self, process: ProcessKey) -> (u64, u64) {
        let row = self.table.get(process.0 as usize).into_iter().flatten().flatten();
        row.map(Window::bytes).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The first handle of a process, from a number on, for which the node's queue holds more.
    pub(super) fn backlogged_of(&self, process: ProcessKey, from: LibraryNo) -> Option<Target> {
        let row = self.table.get(process.0 as usize)?;
        let mut numbers = (0_u32..).zip(row).skip(from.0 as usize);
        let waits = |window: &Option<Window>| window.as_ref().is_some_and(|window| window.backlog);
        let (number, _) = numbers.find(|(_, window)| waits(window))?;
        Some(Target { process, library: LibraryNo(number) })
    }

    /// Says where the data of the next publications are.
    pub(super) fn begin_flight(&mut self, outbox: &Rc<Outbox>, priority: Priority) {
        let outbox = Rc::clone(outbox);
        let (position, skip, bytes, shared) = (0, 0, 0, false);
        self.in_flight = Some(InFlight { outbox, priority, position, skip, bytes, shared });
    }

    /// Says where in that ring the data of the next publication are.
    pub(super) const fn set_in_flight(&mut self, position: u64, skip: usize, bytes: usize) {
        if let Some(flight) = &mut self.in_flight {
            flight.position = position;
            flight.skip = skip;
            flight.bytes = bytes;
        }
    }

    /// Lets go of the last publisher's outbox.
    pub(super) fn end_flight(&mut self) {
        self.in_flight = None;
    }

    /// An asynchronous open of this handle was answered: its program must look.
    pub(super) fn note_answer(&mut self, to: Target) {
        self.answered.push(to);
    }

    /// Rings a program whose asynchronous opens were answered; the replies are on their way.
    pub(super) fn ring_answered(&mut self, process: ProcessKey) {
        let mut answered = std::mem::take(&mut self.answered);
        answered.retain(|to| {
            let own = to.process == process;
            if own && let Some(window) = self.get(*to) {
                window.ring();
            }
            !own
        });
        self.answered = answered;
    }

    /// Rings a program through all its library handles.
    pub(super) fn ring_all(&mut self, process: ProcessKey) {
        self.windows_of(process).for_each(|window| window.ring());
    }

    /// Shows everything written since the last call and rings who sleeps.
    pub(super) fn show(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        for to in changed.drain(..) {
            if let Some(window) = self.get_mut(to) {
                window.show();
            }
        }
        self.changed = changed;
    }

    /// A handle whose window has been written to for the first time since it gave its pages back.
    pub(super) fn pop_used(&mut self) -> Option<Target> {
        self.newly_used.pop()
    }

    /// A handle whose queue has become non-empty.
    pub(super) fn pop_backlogged(&mut self) -> Option<Target> {
        self.backlogged.pop()
    }
}

#[inline]
const fn rounded(content: u64) -> Option<u32> {
    let bytes = content.next_multiple_of(UNIT);
    if bytes > u32::MAX as u64 { None } else { Some(bytes as u32) }
}

/// The header of an event with so many bytes of data in its record; `None` if it is none, or too
/// long.
#[inline(always)]
fn event_header(delivery: &Delivery<'_>, data_bytes: usize) -> Option<InHeader> {
    let What::Event {
        subscription,
        id,
        publish_time,
        retention,
        left,
        priority,
        attributes,
        data: _,
    } = &delivery.what
    else {
        return None;
    };
    let mut header = InHeader {
        bytes: 0,
        kind: InKind::Event,
        instance: delivery.instance.0,
        subscription: subscription.0,
        attributes_bytes: attributes.len() as u32,
        data_bytes: data_bytes as u32,
        priority: u32::from(priority.number()),
        id: id.0,
        publish_time: *publish_time,
        retention: retention.0,
        left: left.0,
    };
    header.bytes = rounded(header.content_bytes())?;
    Some(header)
}

impl Windows for Inboxes {
    #[inline(always)]
    fn put(&mut self, to: Target, delivery: &Delivery<'_>) -> Option<u64> {
        let Self { table, in_flight, changed, newly_used, .. } = self;
        let window = table.get_mut(to.process.0 as usize)?.get_mut(to.library.0 as usize)?;
        let window = window.as_mut()?;
        let end = match &delivery.what {
            What::Lost => window.put_lost(delivery.instance.0),
            What::Event { priority, attributes, data, .. } => {
                let source = match data {
                    Data::Stored(bytes) => Source::Bytes(bytes),
                    Data::InFlight => Source::Outbox(in_flight.as_ref()?.place()),
                };
                let header = event_header(delivery, source.bytes())?;
                window.put(*priority, &header, attributes, source)
            }
        }?;
        window.note(to, delivery.what.priority(), changed, newly_used);
        Some(end)
    }

    fn put_shared(&mut self, to: Target, delivery: &Delivery<'_>) -> Option<u64> {
        self.refer_to_shared(to, delivery)
    }

    fn consumed(&self, to: Target, priority: Priority, position: u64) -> bool {
        self.get(to).is_none_or(|window| {
            let ring = window.inbox.ring(priority);
            ring.read().wrapping_sub(position) as i64 >= 0
        })
    }

    fn data_in_flight(&mut self, into: &mut Vec<u8>) {
        if let Some(flight) = &self.in_flight {
            if flight.shared {
                return self.shared_data(into);
            }
            flight.place().append_to(into);
        }
    }

    fn share_in_flight(&mut self) -> bool {
        self.share()
    }

    fn end_share(&mut self) {
        self.end_shared();
    }

    fn backlog(&mut self, to: Target, levels: u8) {
        let Some(window) = self.get_mut(to) else { return };
        let begins = levels != 0 && !window.backlog;
        window.backlog = levels != 0;
        window.inbox.set_backlog(levels);
        if levels != 0 && !begins {
            return;
        }
        if begins {
            self.backlogged.push(to);
        } else {
            let _ = window.inbox.room_bell().stay_awake();
        }
    }
}

fn lost_header(instance: u64) -> InHeader {
    InHeader {
        bytes: IN_HEADER as u32,
        kind: InKind::Lost,
        instance,
        subscription: 0,
        attributes_bytes: 0,
        data_bytes: 0,
        priority: u32::from(Priority::HIGHEST.number()),
        id: EventId::LOST.0,
        publish_time: clock::wall(),
        retention: 0,
        left: 0,
    }
}
