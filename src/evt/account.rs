//! Accounts: what clients make the node hold, charged, bounded, and given back with its holder.

use super::{EventId, Incarnation, Limits, Name};
use std::collections::{BTreeMap, BTreeSet};

/// Identifiers a process may give to its publications: `count` of them from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdBlock {
    /// The first identifier.
    pub first: EventId,
    /// How many there are: always [`IdBlock::COUNT`].
    pub count: u32,
}

impl IdBlock {
    /// The identifiers of a block; the first one is a multiple of it.
    pub const COUNT: u32 = 65_536;
    /// How many blocks of a process are remembered: the newest.
    pub const HELD_MAX: usize = 64;

    const fn start_of(id: EventId) -> u32 {
        (id.0 >> EventId::COUNTER_BITS) as u32 & ((1 << EventId::START_BITS) - 1)
    }
}

/// Permission to retain: publications with a retention time spend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Credit {
    /// Publications.
    pub events: u32,
    /// Their bytes: packed attributes and data, [`super::node::EventRecord::bytes_of`].
    pub bytes: u64,
}

impl Credit {
    /// A program spends credit in units of so many bytes.
    pub const UNIT: u64 = 64;
}

/// Hands out numbers that are never used again.
#[derive(Debug)]
pub(super) struct Numbers {
    member: u16,
    start: u32,
    events: u64,
    incarnations: u64,
    /// Blocks of earlier starts that some process holds now, and those of private services that
    /// have moved here, for each user apart.
    adopted: BTreeSet<(Option<u32>, EventId)>,
}

impl Numbers {
    pub(super) const fn new(member: u16, start: u32) -> Self {
        let adopted = BTreeSet::new();
        Self { member, start, events: 0, incarnations: 0, adopted }
    }

    pub(super) fn next_start(&mut self, start: u32) {
        (self.start, self.events, self.incarnations) = (start, 0, 0);
    }

    /// A block nobody had; none when the counter of this start is used up.
    pub(super) fn block(&mut self) -> Option<IdBlock> {
        let count = u64::from(IdBlock::COUNT);
        if self.events + count > 1 << EventId::COUNTER_BITS {
            return None;
        }
        let first = EventId(EventId::first_of(self.member, self.start).0 + self.events);
        self.events += count;
        Some(IdBlock { first, count: IdBlock::COUNT })
    }

    /// Whether `block` can have been granted before, and nobody has claimed it: by an earlier life
    /// of the node, by this one to a link that has ended since, or by the private service of `user`
    /// before it moved here.
    pub(super) fn adopt(&mut self, user: u32, block: IdBlock) -> bool {
        let start = IdBlock::start_of(block.first);
        let whole =
            block.count == IdBlock::COUNT && block.first.0.is_multiple_of(u64::from(block.count));
        let used = block.first.0.wrapping_sub(EventId::first_of(self.member, self.start).0);
        let known = match self.private_user(user, block.first) {
            None => {
                let earlier = start < self.start || (start == self.start && used < self.events);
                block.first.member() == self.member && earlier
            }
            Some(_) => block.first.member() == EventId::private_member(user),
        };
        whole
            && start > 0
            && known
            && self.adopted.insert((self.private_user(user, block.first), block.first))
    }

    /// Whose private service granted a block that `user` holds; none for this member's own.
    pub(super) fn private_user(&self, user: u32, first: EventId) -> Option<u32> {
        if self.is_private(first) { Some(user) } else { None }
    }

    /// Whether a private service other than this member grants such identifiers.
    pub(super) const fn is_private(&self, id: EventId) -> bool {
        id.member() != self.member && id.member() >= EventId::PRIVATE_MEMBERS
    }

    /// Forgets a block that a process of `user` holds no more.
    pub(super) fn forget(&mut self, user: u32, first: EventId) {
        self.adopted.remove(&(self.private_user(user, first), first));
    }

    /// A new incarnation of `name`; none when the counter of this start is used up.
    pub(super) fn incarnation(&mut self, name: &Name) -> Option<Incarnation> {
        if self.incarnations >> EventId::COUNTER_BITS > 0 {
            return None;
        }
        let number = EventId::first_of(self.member, self.start).0 + self.incarnations;
        self.incarnations += 1;
        Some(Incarnation(u128::from(hash_of(name)) << 64 | u128::from(number)))
    }
}

/// FNV-1a: the same on every machine and in every release, unlike the hashing of tables.
fn hash_of(name: &Name) -> u64 {
    name.octets().iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What one process holds.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) credit_events: u64,
    pub(super) credit_bytes: u64,
    pub(super) subscriptions: u64,
    pub(super) filter_bytes: u64,
    /// First identifiers of the blocks held, the newest last.
    blocks: Vec<EventId>,
}

impl Account {
    /// Remembers a block; gives the one that is forgotten for it.
    pub(super) fn hold(&mut self, block: IdBlock) -> Option<EventId> {
        let full = self.blocks.len() == IdBlock::HELD_MAX;
        let oldest = full.then(|| self.blocks.remove(0));
        self.blocks.push(block.first);
        oldest
    }

    /// Whether `id` is inside a block held.
    #[inline]
    pub(super) fn holds(&self, id: EventId) -> bool {
        let first = EventId(id.0 - id.0 % u64::from(IdBlock::COUNT));
        self.blocks.iter().rev().any(|held| *held == first)
    }

    pub(super) fn blocks(&self) -> &[EventId] {
        &self.blocks
    }

    /// Whether there is credit for one event of `bytes`.
    pub(super) const fn affords(&self, bytes: u64) -> bool {
        self.credit_events > 0 && self.credit_bytes >= bytes
    }
}

/// What one user holds, over all processes of that user, gone ones included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    libraries: u64,
    pub(super) retained_events: u64,
    pub(super) retained_bytes: u64,
    credit_events: u64,
    credit_bytes: u64,
}

/// Retained events and outstanding credit, in all and per user.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) retained_events: u64,
    pub(super) retained_bytes: u64,
    pub(super) credit_events: u64,
    pub(super) credit_bytes: u64,
    users: BTreeMap<u32, User>,
}

impl Ledger {
    /// How many events and bytes more may be retained for `user`, credit counted as spent.
    fn room(&self, limits: &Limits, user: u32) -> (u64, u64) {
        let (held_events, held_bytes) = self.users.get(&user).map_or((0, 0), |user| {
            (user.retained_events + user.credit_events, user.retained_bytes + user.credit_bytes)
        });
        let in_all = self.retained_events + self.credit_events;
        let events = limits.retained_events_max.saturating_sub(in_all);
        let events_of_user = limits.retained_events_per_user_max.saturating_sub(held_events);
        let in_all = self.retained_bytes + self.credit_bytes;
        let bytes = limits.retained_bytes_max.saturating_sub(in_all);
        let bytes_of_user = limits.retained_bytes_per_user_max.saturating_sub(held_bytes);
        (events.min(events_of_user), bytes.min(bytes_of_user))
    }

    /// Whether one event more of `bytes` fits without credit.
    pub(super) fn fits(&self, limits: &Limits, user: u32, bytes: u64) -> bool {
        let room = self.room(limits, user);
        room.0 > 0 && room.1 >= bytes
    }

    /// Gives out credit: at most what is asked, at most what the bounds leave.
    pub(super) fn grant(
        &mut self,
        limits: &Limits,
        user: u32,
        account: &mut Account,
        asked: Credit,
    ) -> Credit {
        let room = self.room(limits, user);
        let events = room.0.min(u64::from(asked.events));
        let bytes = if events == 0 { 0 } else { room.1.min(asked.bytes) };
        self.add_credit(user, account, events, bytes);
        Credit { events: events as u32, bytes }
    }

    /// Adds credit whatever the bounds say: it was spent before a restart.
    pub(super) fn add_credit(&mut self, user: u32, account: &mut Account, events: u64, bytes: u64) {
        if events > 0 || bytes > 0 {
            let held = self.users.entry(user).or_default();
            held.credit_events += events;
            held.credit_bytes += bytes;
        }
        self.credit_events += events;
        self.credit_bytes += bytes;
        account.credit_events += events;
        account.credit_bytes += bytes;
    }

    /// Takes credit back: at most what the account holds.
    pub(super) fn take_back(&mut self, user: u32, account: &mut Account, events: u64, bytes: u64) {
        let events = events.min(account.credit_events);
        let bytes = bytes.min(account.credit_bytes);
        account.credit_events -= events;
        account.credit_bytes -= bytes;
        self.credit_events -= events;
        self.credit_bytes -= bytes;
        if let Some(held) = self.users.get_mut(&user) {
            held.credit_events -= events;
            held.credit_bytes -= bytes;
        }
        self.tidy(user);
    }

    /// Charges a retained event to a user, or to nobody.
    pub(super) fn charge(&mut self, user: Option<u32>, bytes: u64) {
        self.retained_events += 1;
        self.retained_bytes += bytes;
        if let Some(user) = user {
            let held = self.users.entry(user).or_default();
            held.retained_events += 1;
            held.retained_bytes += bytes;
        }
    }

    /// Gives the charge of a retained event back.
    pub(super) fn release(&mut self, user: Option<u32>, bytes: u64) {
        self.retained_events -= 1;
        self.retained_bytes -= bytes;
        if let Some(user) = user {
            if let Some(held) = self.users.get_mut(&user) {
                held.retained_events -= 1;
                held.retained_bytes -= bytes;
            }
            self.tidy(user);
        }
    }

    /// Library handles of all processes of a user.
    pub(super) fn libraries(&self, user: u32) -> u64 {
        self.users.get(&user).map_or(0, |held| held.libraries)
    }

    pub(super) fn open_library(&mut self, user: u32) {
        self.users.entry(user).or_default().libraries += 1;
    }

    pub(super) fn close_library(&mut self, user: u32) {
        if let Some(held) = self.users.get_mut(&user) {
            held.libraries -= 1;
        }
        self.tidy(user);
    }

    pub(super) fn user(&self, user: u32) -> Option<&User> {
        self.users.get(&user)
    }

    fn tidy(&mut self, user: u32) {
        if self.users.get(&user).is_some_and(|held| *held == User::default()) {
            self.users.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_with_the_counter_and_go_on_with_the_next_start() {
        let mut numbers = Numbers::new(3, 1);
        let blocks = (1_u64 << EventId::COUNTER_BITS) / u64::from(IdBlock::COUNT);
        for _ in 0..blocks {
            assert!(numbers.block().is_some());
        }
        assert_eq!(numbers.block(), None);
        numbers.next_start(2);
        assert_eq!(numbers.block().map(|block| block.first), Some(EventId::first_of(3, 2)));
    }

    #[test]
    fn only_whole_blocks_of_earlier_starts_are_adopted_and_only_once() {
        let mut numbers = Numbers::new(0, 5);
        let block = |start, offset, count| IdBlock {
            first: EventId(EventId::first_of(0, start).0 + offset),
            count,
        };
        assert!(numbers.adopt(7, block(4, 0, 65_536)));
        assert!(!numbers.adopt(7, block(4, 0, 65_536)));
        assert!(!numbers.adopt(7, block(5, 0, 65_536)));
        assert!(!numbers.adopt(7, block(6, 0, 65_536)));
        assert!(!numbers.adopt(7, block(0, 0, 65_536)));
        assert!(!numbers.adopt(7, block(3, 1, 65_536)));
        assert!(!numbers.adopt(7, block(3, 0, 65_535)));
        numbers.forget(7, block(4, 0, 65_536).first);
        assert!(numbers.adopt(7, block(4, 0, 65_536)));
    }

    #[test]
    fn blocks_of_a_private_service_are_adopted_for_its_user_alone() {
        let mut numbers = Numbers::new(0, 5);
        let block = |member, start| IdBlock {
            first: EventId::first_of(member, start),
            count: IdBlock::COUNT,
        };
        let (private, other) = (EventId::private_member(7), EventId::private_member(8));
        assert!(numbers.adopt(7, block(private, 9)), "its start counts are its own");
        assert!(!numbers.adopt(7, block(private, 9)));
        assert!(!numbers.adopt(8, block(private, 9)), "of another user");
        assert!(numbers.adopt(7 + 512, block(private, 9)), "nobody can claim it before him");
        assert!(!numbers.adopt(7, block(other, 9)));
        assert!(!numbers.adopt(7, block(1, 4)), "of another host");
        let of = |member| block(member, 4).first;
        assert!(numbers.is_private(of(private)) && numbers.is_private(of(other)));
        assert!(!numbers.is_private(of(0)) && !numbers.is_private(of(1)));
        assert!(!Numbers::new(private, 5).is_private(of(private)), "it knows its own");
        numbers.forget(7, block(private, 9).first);
        assert!(numbers.adopt(7, block(private, 9)));
    }

    #[test]
    fn two_lives_of_a_name_differ_below_the_same_hash() {
        let mut numbers = Numbers::new(0, 1);
        let name = Name::new(b"safChnl=a").unwrap();
        let first = numbers.incarnation(&name).unwrap();
        let second = numbers.incarnation(&name).unwrap();
        assert_ne!(first, second);
        assert_eq!(first.0 >> 64, second.0 >> 64);
    }

    #[test]
    fn an_account_remembers_the_newest_blocks() {
        let mut account = Account::default();
        let mut numbers = Numbers::new(0, 1);
        let first = numbers.block().unwrap();
        account.hold(first);
        assert!(account.holds(EventId(first.first.0 + 65_535)));
        assert!(!account.holds(EventId(first.first.0 + 65_536)));
        for _ in 0..IdBlock::HELD_MAX - 1 {
            assert_eq!(account.hold(numbers.block().unwrap()), None);
        }
        assert!(account.holds(first.first));
        assert_eq!(account.hold(numbers.block().unwrap()), Some(first.first));
        assert!(!account.holds(first.first));
    }
}
