//! The slots of the segment: which payload is where, and how many records refer to it.
//!
//! A slot is free again when every window that refers to it has been read past that record, or has
//! gone. The slot that became free last is used first: its memory is still near the processor.

use super::config::Config;
use super::log;
use crate::link::outbox::Place;
use crate::link::record::{REFERENCE, Reference};
use crate::link::segment::{SLOT_BYTES, Segment};
use crate::sys::{descriptor, process};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// One slot.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Records that refer to it.
    holders: u32,
    /// Bytes that were written to it last.
    bytes: u32,
}

/// What one ring refers to: slots, each with the end of the record that does, in their order.
pub(super) type Held = VecDeque<(u64, u16)>;

/// The segment of this start, and its slots.
#[derive(Debug)]
pub(super) struct Sharing {
    segment: Segment,
    memory: OwnedFd,
    number: u64,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// The slot of the publication that is being published.
    current: Option<u16>,
    permitted: bool,
    left: Vec<Left>,
}

/// What a program refers to that has let go of its connection and goes on to live: it will bring
/// its windows back, and may read them meanwhile. So it keeps these slots until it ends.
#[derive(Debug)]
struct Left {
    slots: Vec<u16>,
    end: OwnedFd,
}

/// With so many of them nothing is shared: no well-behaved program lets go of its connection.
const LEFT_MAX: usize = 64;

impl Sharing {
    /// The segment of a start, unless the configuration says that there is none.
    pub(super) fn begin(config: &Config) -> Option<Self> {
        if config.shared_slots == 0 || !config.policy.is_empty() {
            return None;
        }
        let made = Self::new(config.shared_slots);
        made.inspect_err(|error| log(format_args!("there is no segment for payloads: {error}")))
            .ok()
    }

    pub(super) fn new(slots: usize) -> io::Result<Self> {
        let (memory, segment) = Segment::create(slots)?;
        Ok(Self {
            segment,
            memory,
            // Never zero, which stands for none.
            number: process::random() | 1,
            slots: vec![Slot::default(); slots],
            free: (0..slots as u16).rev().collect(),
            current: None,
            permitted: true,
            left: Vec::new(),
        })
    }

    /// Number and memory for a program; `None` while nothing is to be shared.
    pub(super) fn hand(&self) -> Option<(u64, OwnedFd)> {
        // Without a descriptor for it the program gets everything whole.
        let memory = self.memory.try_clone().ok().filter(|_| self.permitted)?;
        Some((self.number, memory))
    }

    /// Whether this is the segment of a number.
    pub(super) const fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// Whether payloads are written here.
    pub(super) const fn is_permitted(&self) -> bool {
        self.permitted
    }

    /// Says whether payloads may be written here. If not, what is here is erased: at once, or when
    /// it has been read.
    pub(super) fn permit(&mut self, permitted: bool) {
        self.permitted = permitted;
        if !permitted {
            for slot in std::mem::take(&mut self.free) {
                self.release(slot);
            }
        }
    }

    /// How many slots are free.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Whether so few are free that it is worth looking for more.
    pub(super) fn is_short(&self) -> bool {
        self.free.len() * 2 < self.slots.len()
    }

    /// Whether data of so many bytes may be put into a slot.
    pub(super) const fn takes(&self, bytes: usize) -> bool {
        self.permitted && bytes <= SLOT_BYTES && self.left.len() < LEFT_MAX
    }

    /// Puts the data of a publication into a slot; false if none is free.
    pub(super) fn fill(&mut self, place: &Place<'_>) -> bool {
        let Some(slot) = self.free.pop() else { return false };
        self.segment.fill(usize::from(slot), place);
        self.slots[usize::from(slot)] = Slot { holders: 0, bytes: place.bytes as u32 };
        self.current = Some(slot);
        true
    }

    /// The data of the publication that is being published, if they are in a slot.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        let slot = usize::from(self.current?);
        Some(self.segment.bytes(slot, self.slots[slot].bytes as usize))
    }

    /// What refers to the data of the publication that is being published.
    pub(super) fn reference(&self) -> Option<[u8; REFERENCE]> {
        let slot = usize::from(self.current?);
        let (offset, bytes) = (Segment::offset(slot) as u32, self.slots[slot].bytes);
        Some(Reference { segment: self.number, offset, bytes }.encode())
    }

    /// A record refers to the data of the publication that is being published. Gives their slot.
    pub(super) fn hold(&mut self) -> Option<u16> {
        let slot = self.current?;
        self.slots[usize::from(slot)].holders += 1;
        Some(slot)
    }

    /// The publication has gone to all of its takers.
    pub(super) fn end(&mut self) {
        if let Some(slot) = self.current.take()
            && self.slots[usize::from(slot)].holders == 0
        {
            self.release(slot);
        }
    }

    /// Gives up what a ring refers to before the position `read`.
    #[inline]
    pub(super) fn give_up(&mut self, held: &mut Held, read: u64) {
        while let Some((end, slot)) = held.front().copied()
            && read.wrapping_sub(end) as i64 >= 0
        {
            held.pop_front();
            self.give_up_one(slot);
        }
    }

    /// One record less refers to a slot.
    pub(super) fn give_up_one(&mut self, slot: u16) {
        let holders = &mut self.slots[usize::from(slot)].holders;
        *holders -= 1;
        if *holders == 0 && self.current != Some(slot) {
            self.release(slot);
        }
    }

    /// A program has let go of its connection whose windows refer to these slots. If it has not
    /// ended, `end` will tell when it does.
    pub(super) fn leave(&mut self, slots: Vec<u16>, end: Option<OwnedFd>) {
        match end {
            Some(end) => self.left.push(Left { slots, end }),
            None => slots.into_iter().for_each(|slot| self.give_up_one(slot)),
        }
    }

    /// Takes back what programs had left that have ended.
    pub(super) fn forget_ended(&mut self) {
        let has_ended = |left: &mut Left| {
            let seen = descriptor::poll([(left.end.as_raw_fd(), libc::POLLIN)], Some(0));
            seen.is_ok_and(|[events]| events != 0)
        };
        let ended: Vec<_> = self.left.extract_if(.., has_ended).collect();
        ended.into_iter().for_each(|left| self.leave(left.slots, None));
    }

    fn release(&mut self, slot: u16) {
        if !self.permitted {
            let bytes = std::mem::take(&mut self.slots[usize::from(slot)].bytes);
            self.segment.erase(usize::from(slot), bytes as usize);
        }
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::Priority;
    use crate::link::outbox::Outbox;
    use std::os::fd::AsFd;

    /// Slots, and an outbox to fill them from.
    fn slots(number: usize) -> (Sharing, Outbox) {
        (Sharing::new(number).unwrap(), Outbox::create(4096).unwrap().1)
    }

    /// Publishes 100 bytes; `takers` records refer to them. Gives their slot, unless none was free.
    fn publish(sharing: &mut Sharing, outbox: &Outbox, takers: usize) -> Option<u16> {
        let (priority, position, skip, bytes) = (Priority::LOWEST, 0, 0, 100);
        if !sharing.fill(&Place { outbox, priority, position, skip, bytes }) {
            return None;
        }
        let slot = sharing.current;
        assert!((0..takers).all(|_| sharing.hold() == slot));
        assert_eq!(sharing.bytes().map(<[u8]>::len), Some(100));
        sharing.end();
        assert!(sharing.bytes().is_none() && sharing.reference().is_none());
        slot
    }

    #[test]
    fn a_slot_is_used_again_when_all_have_read_it_and_the_last_one_first() {
        let (mut sharing, outbox) = slots(2);
        let first = publish(&mut sharing, &outbox, 2).unwrap();
        let second = publish(&mut sharing, &outbox, 1).unwrap();
        assert_ne!(first, second);
        assert_eq!(publish(&mut sharing, &outbox, 1), None, "there are two");
        sharing.give_up_one(first);
        assert_eq!(publish(&mut sharing, &outbox, 1), None, "one has not read it");
        sharing.give_up_one(second);
        sharing.give_up_one(first);
        assert_eq!(publish(&mut sharing, &outbox, 1), Some(first));
        assert_eq!(publish(&mut sharing, &outbox, 0), Some(second), "nobody refers to it");
        assert_eq!(publish(&mut sharing, &outbox, 1), Some(second));
    }

    #[test]
    fn a_ring_gives_up_what_has_been_read_whatever_the_program_says() {
        let (mut sharing, outbox) = slots(4);
        let mut held = Held::new();
        for end in [80, 160, 240] {
            held.push_back((end, publish(&mut sharing, &outbox, 1).unwrap()));
        }
        for (read, left) in
            [(0, 3), (79, 3), (80, 2), (8, 2), (u64::MAX, 2), (239, 1), (1 << 40, 0)]
        {
            sharing.give_up(&mut held, read);
            assert_eq!((held.len(), sharing.free()), (left, 4 - left), "read {read}");
        }
    }

    #[test]
    fn a_slot_is_not_given_away_while_its_publication_is_on_its_way() {
        let (mut sharing, outbox) = slots(1);
        let (priority, position, skip, bytes) = (Priority::LOWEST, 0, 0, 100);
        assert!(sharing.fill(&Place { outbox: &outbox, priority, position, skip, bytes }));
        let slot = sharing.hold().unwrap();
        sharing.give_up_one(slot);
        assert_eq!(sharing.free(), 0, "another taker may come");
        sharing.end();
        assert_eq!(sharing.free(), 1);
    }

    #[test]
    fn who_lets_go_and_lives_on_keeps_its_slots_until_it_ends() {
        let (mut sharing, outbox) = slots(100);
        let slot = publish(&mut sharing, &outbox, 2).unwrap();
        let ends = [(); LEFT_MAX].map(|()| descriptor::eventfd().unwrap());
        sharing.leave(vec![slot, slot], Some(ends[0].try_clone().unwrap()));
        sharing.forget_ended();
        assert_eq!(sharing.free(), 99, "it may read it still");
        descriptor::raise(ends[0].as_fd());
        sharing.forget_ended();
        assert_eq!(sharing.free(), 100);

        for end in &ends {
            assert!(sharing.takes(100));
            let slot = publish(&mut sharing, &outbox, 1).unwrap();
            sharing.leave(vec![slot], Some(end.try_clone().unwrap()));
        }
        assert!(!sharing.takes(100), "so many mean no good");
        sharing.forget_ended();
        assert_eq!((sharing.takes(100), sharing.free()), (true, 100 - (LEFT_MAX - 1)));
        let slot = publish(&mut sharing, &outbox, 1).unwrap();
        sharing.leave(vec![slot], None);
        assert_eq!(sharing.free(), 100 - (LEFT_MAX - 1), "it had ended");
    }

    #[test]
    fn when_sharing_ends_what_is_there_is_erased_as_soon_as_it_has_been_read() {
        let (mut sharing, _) = slots(3);
        let outbox = Outbox::with_record(&[b's'; 100]);
        let held = publish(&mut sharing, &outbox, 1).unwrap();
        let free = publish(&mut sharing, &outbox, 0).unwrap();
        let is_blank = |sharing: &Sharing, slot: u16| {
            sharing.segment.bytes(usize::from(slot), 100).iter().all(|byte| *byte == 0)
        };
        assert!(!is_blank(&sharing, held) && !is_blank(&sharing, free));
        assert!(sharing.hand().is_some_and(|(number, _)| sharing.is(number)));
        sharing.permit(false);
        assert!(!is_blank(&sharing, held) && is_blank(&sharing, free), "one is unread");
        assert!(sharing.hand().is_none() && !sharing.takes(100));
        sharing.give_up_one(held);
        assert!(is_blank(&sharing, held));
        sharing.permit(true);
        assert_eq!((sharing.free(), sharing.takes(SLOT_BYTES)), (3, true));
        assert!(!sharing.takes(SLOT_BYTES + 1) && sharing.hand().is_some());
    }
}
