//! Records that refer to the segment, from the side of the windows they are in.

use super::{Inboxes, Window, event_header};
use crate::evt::Priority;
use crate::evt::node::{Delivery, ProcessKey, Target, What};
use crate::link::inbox::Source;
use crate::link::record::InKind;
use crate::node::sharing::{Held, Sharing};
use std::os::fd::OwnedFd;

/// Windows that are looked at for what they have read, when slots begin to run out: in turn, so few
/// for each event that nobody waits for it.
const LOOKS: usize = 8;

/// What the records of a window refer to.
#[derive(Debug, Default)]
pub(super) struct Refers {
    held: [Held; Priority::LEVELS],
    number: usize,
    /// It is in the list of those that may refer to something.
    listed: bool,
}

impl Window {
    /// Gives up what has been read. True if it refers to something still.
    fn give_up(&mut self, sharing: &mut Sharing) -> bool {
        let Some(refers) = &mut self.refers else { return false };
        for priority in Priority::ALL {
            let held = &mut refers.held[priority.index()];
            if !held.is_empty() {
                let before = held.len();
                sharing.give_up(held, self.inbox.ring(priority).read());
                refers.number -= before - held.len();
            }
        }
        refers.number > 0
    }

    /// All that its records refer to.
    fn into_slots(self) -> impl Iterator<Item = u16> {
        let held = self.refers.into_iter().flat_map(|refers| refers.held);
        held.flatten().map(|(_, slot)| slot)
    }

    /// Whether one more record may refer to the segment. A window may refer to no more than is free
    /// for all: so whoever does not read leaves a share to the others, however many they are.
    fn may_refer(&mut self, sharing: &mut Sharing) -> bool {
        if self.refers.is_none() {
            return false;
        }
        self.give_up(sharing);
        self.refers.as_ref().is_some_and(|refers| refers.number < sharing.free())
    }

    /// The record that ends here refers to the slot of the present publication. True if the window
    /// is to be listed.
    fn refer(&mut self, priority: Priority, end: u64, sharing: &mut Sharing) -> bool {
        let (Some(refers), Some(slot)) = (&mut self.refers, sharing.hold()) else { return false };
        refers.held[priority.index()].push_back((end, slot));
        refers.number += 1;
        !std::mem::replace(&mut refers.listed, true)
    }
}

impl Inboxes {
    /// The inboxes of a start, with its segment if it has one.
    pub(in crate::node) fn new(sharing: Option<Sharing>) -> Self {
        Self { sharing, ..Self::default() }
    }

    /// The segment for a program: its number and its memory.
    pub(in crate::node) fn hand_segment(&self) -> Option<(u64, OwnedFd)> {
        self.sharing.as_ref()?.hand()
    }

    /// The program of a window has mapped the segment of this number.
    pub(super) fn let_refer(&self, window: &mut Window, mapped: u64) {
        if self.sharing.as_ref().is_some_and(|sharing| sharing.is(mapped)) {
            window.refers = Some(Box::default());
        }
    }

    /// A window goes.
    pub(super) fn forget(&mut self, to: Target, window: Window) {
        if let Some(sharing) = &mut self.sharing
            && window.refers.as_ref().is_some_and(|refers| refers.listed)
        {
            window.into_slots().for_each(|slot| sharing.give_up_one(slot));
            self.referring.retain(|other| *other != to);
        }
    }

    /// The windows of a process go. If it has not ended, it has them still, and may read what they
    /// refer to until it does.
    pub(super) fn part_with(
        &mut self,
        process: ProcessKey,
        windows: impl Iterator<Item = Window>,
        end: Option<OwnedFd>,
    ) {
        let Some(sharing) = &mut self.sharing else { return };
        let slots: Vec<u16> = windows.flat_map(Window::into_slots).collect();
        if !slots.is_empty() {
            self.referring.retain(|to| to.process != process);
            sharing.leave(slots, end);
        }
    }

    /// Programs that have let go of their connections may have ended.
    pub(in crate::node) fn forget_ended(&mut self) {
        if let Some(sharing) = &mut self.sharing {
            sharing.forget_ended();
        }
    }

    /// As [`crate::evt::node::Windows::put_shared`]: a program gets the data whole if it has not
    /// mapped the segment, or refers to its part of it already.
    pub(super) fn refer_to_shared(&mut self, to: Target, delivery: &Delivery<'_>) -> Option<u64> {
        let Self { table, sharing: Some(sharing), changed, newly_used, referring, .. } = self
        else {
            return None;
        };
        let window = table.get_mut(to.process.0 as usize)?.get_mut(to.library.0 as usize)?;
        let window = window.as_mut()?;
        let What::Event { priority, attributes, .. } = delivery.what else { return None };
        let end = if window.may_refer(sharing) {
            let reference = sharing.reference()?;
            let mut header = event_header(delivery, reference.len())?;
            header.kind = InKind::Shared;
            let end = window.put(priority, &header, attributes, Source::Bytes(&reference))?;
            if window.refer(priority, end, sharing) {
                referring.push_back(to);
            }
            end
        } else {
            let whole = sharing.bytes()?;
            let header = event_header(delivery, whole.len())?;
            window.put(priority, &header, attributes, Source::Bytes(whole))?
        };
        window.note(to, priority, changed, newly_used);
        Some(end)
    }

    /// Whether payloads may be shared from now on. What is shared when that ends is erased when it
    /// has been read; gives the windows that refer to it.
    pub(in crate::node) fn permit_sharing(&mut self, permitted: bool) -> Vec<Target> {
        let Some(sharing) = &mut self.sharing else { return Vec::new() };
        sharing.permit(permitted);
        if permitted { Vec::new() } else { self.referring.iter().copied().collect() }
    }

    /// Whether sharing has ended and the windows of a process refer to something still.
    pub(in crate::node) fn is_to_be_erased(&mut self, process: ProcessKey) -> bool {
        let Self { table, sharing: Some(sharing), .. } = self else { return false };
        if sharing.is_permitted() {
            return false;
        }
        let row = table.get_mut(process.0 as usize).into_iter().flatten().flatten();
        // Each of them is looked at.
        row.filter_map(|window| window.give_up(sharing).then_some(())).count() > 0
    }

    /// Looks at some windows for what they have read.
    fn look_for_slots(&mut self) {
        for _ in 0..self.referring.len().min(LOOKS) {
            let Some(to) = self.referring.pop_front() else { return };
            let Self { table, sharing: Some(sharing), .. } = self else { return };
            let row = table.get_mut(to.process.0 as usize);
            let window = row.and_then(|row| row.get_mut(to.library.0 as usize));
            let Some(window) = window.and_then(Option::as_mut) else { continue };
            if window.give_up(sharing) {
                self.referring.push_back(to);
            } else if let Some(refers) = &mut window.refers {
                refers.listed = false;
            }
        }
    }

    /// As [`crate::evt::node::Windows::share_in_flight`].
    pub(super) fn share(&mut self) -> bool {
        let bytes = self.in_flight.as_ref().map_or(usize::MAX, |flight| flight.bytes);
        let Some(sharing) = self.sharing.as_ref().filter(|sharing| sharing.takes(bytes)) else {
            return false;
        };
        if sharing.is_short() {
            self.look_for_slots();
        }
        let Self { sharing: Some(sharing), in_flight: Some(flight), .. } = self else {
            return false;
        };
        flight.shared = sharing.fill(&flight.place());
        flight.shared
    }

    /// As [`crate::evt::node::Windows::data_in_flight`], of what is shared.
    #[cold]
    pub(super) fn shared_data(&self, into: &mut Vec<u8>) {
        if let Some(bytes) = self.sharing.as_ref().and_then(Sharing::bytes) {
            into.extend_from_slice(bytes);
        }
    }

    /// As [`crate::evt::node::Windows::end_share`].
    pub(super) fn end_shared(&mut self) {
        if let Self { sharing: Some(sharing), in_flight: Some(flight), .. } = self {
            sharing.end();
            flight.shared = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::node::{Data, Windows};
    use crate::evt::{EventId, InstanceNo, LibraryNo, Span, SubscriptionNo};
    use crate::link::inbox::Inbox;
    use crate::link::outbox::Outbox;
    use crate::link::record::OUT_HEADER;
    use crate::sys::descriptor;
    use std::rc::Rc;

    const BYTES: usize = 5000;

    /// Windows, and an outbox with one record to publish from again and again.
    struct Stage {
        inboxes: Inboxes,
        outbox: Rc<Outbox>,
    }

    const fn target(process: u32, library: u32) -> Target {
        Target { process: ProcessKey(process), library: LibraryNo(library) }
    }

    impl Stage {
        /// With so many slots, and windows for these; one of process 9 has not mapped the segment.
        fn new(slots: usize, targets: &[Target]) -> Self {
            let outbox = Outbox::with_record(&[b'd'; BYTES]);
            let mut inboxes = Inboxes::new(Some(Sharing::new(slots).unwrap()));
            let number = inboxes.hand_segment().unwrap().0;
            for to in targets {
                let (_, inbox) = Inbox::create(1 << 16).unwrap();
                let window = Window::new(inbox, descriptor::bell().unwrap().0).unwrap();
                let mapped = if to.process.0 == 9 { 0 } else { number };
                inboxes.add(*to, window, mapped);
            }
            Self { inboxes, outbox: Rc::new(outbox) }
        }

        /// Publishes to these. Gives what kind of record each got; `None` for no room.
        fn publish(&mut self, to: &[Target]) -> Vec<Option<InKind>> {
            let priority = Priority::LOWEST;
            self.inboxes.begin_flight(&self.outbox, priority);
            self.inboxes.set_in_flight(0, OUT_HEADER, BYTES);
            let shared = self.inboxes.share_in_flight();
            let what = What::Event {
                subscription: SubscriptionNo(1),
                id: EventId(2000),
                publish_time: 0,
                retention: Span::ZERO,
                left: Span::ZERO,
                priority,
                attributes: &[],
                data: Data::InFlight,
            };
            let delivery = Delivery { instance: InstanceNo::new(1, 0), what };
            let got = to.iter().map(|to| {
                let before = self.inboxes.get(*to)?.ends[priority.index()].tail;
                if shared {
                    self.inboxes.put_shared(*to, &delivery)?;
                } else {
                    self.inboxes.put(*to, &delivery)?;
                }
                let window = self.inboxes.get_mut(*to)?;
                window.show();
                let (position, header) = window.inbox.next(priority, before).unwrap()?;
                let mut data = [0; 8];
                if header.kind == InKind::Event {
                    window.inbox.read_content(priority, position, &mut data);
                    assert_eq!((header.data_bytes, data), (BYTES as u32, [b'd'; 8]));
                }
                Some(header.kind)
            });
            let got = got.collect();
            if shared {
                self.inboxes.end_share();
            }
            self.inboxes.end_flight();
            got
        }

        /// The program of a window reads all that is there.
        fn read(&self, to: Target) {
            let ring = self.inboxes.get(to).unwrap().inbox.ring(Priority::LOWEST);
            ring.advance(ring.written());
        }

        /// How many of so many events to this window refer, when nobody reads.
        fn referring(&mut self, to: Target, number: usize) -> usize {
            let kinds: Vec<_> = (0..number).flat_map(|_| self.publish(&[to])).collect();
            kinds.iter().filter(|kind| **kind == Some(InKind::Shared)).count()
        }

        fn free(&self) -> usize {
            self.inboxes.sharing.as_ref().unwrap().free()
        }
    }

    #[test]
    fn who_never_reads_leaves_slots_to_those_who_do() {
        let [stopped, other, reader] = [target(0, 0), target(1, 0), target(2, 0)];
        let mut stage = Stage::new(8, &[stopped, other, reader]);
        assert_eq!(stage.referring(stopped, 9), 4);
        for _ in 0..50 {
            assert_eq!(stage.publish(&[stopped, reader])[1], Some(InKind::Shared));
            stage.read(reader);
        }
        assert_eq!(stage.referring(other, 9), 2, "the next one gets less");
        for _ in 0..50 {
            assert_eq!(stage.publish(&[other, reader])[1], Some(InKind::Shared));
            stage.read(reader);
        }
    }

    #[test]
    fn a_window_that_goes_and_a_process_that_goes_give_up_what_they_refer_to() {
        let [first, second, third] = [target(0, 0), target(1, 0), target(1, 1)];
        let mut stage = Stage::new(8, &[first, second, third]);
        stage.publish(&[first, second, third]);
        stage.publish(&[first]);
        stage.publish(&[second, third]);
        assert_eq!((stage.free(), stage.inboxes.referring.len()), (5, 3));
        stage.inboxes.remove(first);
        assert_eq!((stage.free(), stage.inboxes.referring.len()), (6, 2));
        stage.inboxes.remove_process(ProcessKey(1), None);
        assert_eq!((stage.free(), stage.inboxes.referring.len()), (8, 0));
    }

    #[test]
    fn a_program_that_lets_go_and_lives_on_keeps_what_its_windows_refer_to() {
        let reader = target(0, 0);
        let mut stage = Stage::new(8, &[reader]);
        stage.publish(&[reader]);
        let end = descriptor::eventfd().unwrap();
        stage.inboxes.remove_process(ProcessKey(0), Some(end.try_clone().unwrap()));
        stage.inboxes.forget_ended();
        assert_eq!((stage.free(), stage.inboxes.referring.len()), (7, 0));
        descriptor::raise(std::os::fd::AsFd::as_fd(&end));
        stage.inboxes.forget_ended();
        assert_eq!(stage.free(), 8);
    }

    #[test]
    fn what_has_been_read_is_found_also_in_windows_that_get_nothing_more() {
        let [quiet, busy] = [target(0, 0), target(1, 0)];
        let mut stage = Stage::new(8, &[quiet, busy]);
        assert_eq!(stage.referring(quiet, 9), 4);
        stage.read(quiet);
        assert_eq!(stage.referring(busy, 9), 4, "as many as if it were alone");
        assert_eq!(stage.inboxes.referring, [busy]);
    }

    #[test]
    fn who_has_not_mapped_the_segment_gets_all_data_in_its_window() {
        let [with, without] = [target(0, 0), target(9, 0)];
        let mut stage = Stage::new(8, &[with, without]);
        let kinds = stage.publish(&[with, without]);
        assert_eq!(kinds, [Some(InKind::Shared), Some(InKind::Event)]);
        stage.inboxes.permit_sharing(false);
        let kinds = stage.publish(&[with, without]);
        assert_eq!(kinds, [Some(InKind::Event), Some(InKind::Event)]);
    }

    #[test]
    fn a_process_is_looked_at_until_all_it_refers_to_is_erased() {
        let [one, other] = [target(0, 0), target(0, 1)];
        let mut stage = Stage::new(8, &[one, other]);
        stage.publish(&[one]);
        stage.publish(&[other]);
        assert!(!stage.inboxes.is_to_be_erased(ProcessKey(0)), "it may stay");
        let looks: Vec<_> = stage.inboxes.permit_sharing(false);
        assert_eq!(looks, [one, other]);
        stage.read(other);
        assert!(stage.inboxes.is_to_be_erased(ProcessKey(0)));
        assert_eq!(stage.free(), 7, "what was read is free though another is not");
        stage.read(one);
        assert!(!stage.inboxes.is_to_be_erased(ProcessKey(0)));
    }
}
