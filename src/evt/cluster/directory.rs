//! What all members know of the channels: a pure function of the operations applied.

use super::message::{Dot, Life, Op, Ordered};
use crate::evt::{Incarnation, Name, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};

/// What a member's programs do on a channel: publish, subscribe.
pub type Roles = OpenFlags;

/// A channel in the directory. Channels of one name that were created apart and met while both had
/// the name are one channel with several numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, or the one it had.
    pub name: Name,
    /// Whether the name leads here.
    pub linked: bool,
    /// Its events are in total order.
    pub ordered: bool,
    /// Its numbers, each with the operation that created it.
    pub lives: BTreeMap<Incarnation, Dot>,
    /// Which members publish and subscribe.
    pub roles: BTreeMap<u16, Roles>,
    /// The last operation of this view that was about it; 0 if none.
    pub touched: u64,
}

impl Entry {
    /// Whether a member other than `own` subscribes.
    #[must_use]
    pub fn is_wanted_by_others(&self, own: u16) -> bool {
        let mut others = self.roles.iter().filter(|(member, _)| **member != own);
        others.any(|(_, roles)| roles.contains(Roles::SUBSCRIBER))
    }

    /// Whether a member has a role.
    #[must_use]
    pub fn has(&self, member: u16, role: Roles) -> bool {
        self.roles.get(&member).is_some_and(|roles| roles.contains(role))
    }

    fn set(&mut self, member: u16, roles: Roles) {
        if roles.is_empty() {
            self.roles.remove(&member);
        } else {
            self.roles.insert(member, roles);
        }
    }
}

/// What an operation came to; the same on every member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The channel was opened.
    Opened {
        /// The channel.
        incarnation: Incarnation,
        /// It was created.
        created: bool,
    },
    /// The channel has lost its name.
    Unlinked {
        /// The channel.
        incarnation: Incarnation,
    },
    /// Roles have changed.
    Assigned {
        /// The channel.
        incarnation: Incarnation,
    },
    /// Events go to their subscribers.
    Published,
    /// To be cleared from the store of retained events.
    Clear,
    /// There is no linked channel of the name.
    Missing,
    /// The limit on channels is reached.
    Full,
}

/// All channels, and how far the operations of each sequencer are in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// By their lowest number.
    entries: BTreeMap<Incarnation, Entry>,
    /// Every number of every channel.
    lives: BTreeMap<Incarnation, Incarnation>,
    names: BTreeMap<Name, Incarnation>,
    covered: BTreeMap<Life, u64>,
    /// How many channels are in total order.
    ordered: usize,
}

impl Directory {
    /// A directory of what another member has sent; `None` if it contradicts itself.
    #[must_use]
    pub fn from_parts(entries: Vec<Entry>, covered: BTreeMap<Life, u64>) -> Option<Self> {
        let mut made = Self { covered, ..Self::default() };
        for entry in entries {
            let known = entry.lives.keys().any(|life| made.lives.contains_key(life));
            let taken = entry.linked && made.names.contains_key(&entry.name);
            if entry.lives.is_empty() || entry.name.is_empty() || known || taken {
                return None;
            }
            made.insert(entry);
        }
        Some(made)
    }

    /// The channels, by their lowest number.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<Incarnation, Entry> {
        &self.entries
    }

    /// How far the operations of each sequencer are in it.
    #[must_use]
    pub const fn covered(&self) -> &BTreeMap<Life, u64> {
        &self.covered
    }

    /// The channel of a number, with its lowest one.
    #[must_use]
    pub fn find(&self, incarnation: Incarnation) -> Option<(Incarnation, &Entry)> {
        let key = *self.lives.get(&incarnation)?;
        Some((key, self.entries.get(&key)?))
    }

    /// The linked channel of a name, with its lowest number.
    #[must_use]
    pub fn linked(&self, name: &Name) -> Option<(Incarnation, &Entry)> {
        let key = *self.names.get(name)?;
        Some((key, self.entries.get(&key)?))
    }

    /// Whether the events of some channel are in total order.
    #[must_use]
    pub const fn has_ordered(&self) -> bool {
        self.ordered > 0
    }

    /// The first version of the messages in which it can be said.
    pub(super) const fn version(&self) -> u16 {
        if self.has_ordered() { 2 } else { 1 }
    }

    /// Says of each channel whether its events are in total order.
    pub fn set_ordered(&mut self, ordered: impl Fn(&Name) -> bool) {
        self.ordered = 0;
        for entry in self.entries.values_mut() {
            entry.ordered = ordered(&entry.name);
            self.ordered += usize::from(entry.ordered);
        }
    }

    fn covers(&self, dot: Dot) -> bool {
        self.covered.get(&dot.leader).is_some_and(|covered| *covered >= dot.number)
    }

    fn insert(&mut self, entry: Entry) {
        let Some(key) = entry.lives.first_key_value().map(|(life, _)| *life) else { return };
        for life in entry.lives.keys() {
            self.lives.insert(*life, key);
        }
        if entry.linked {
            self.names.insert(entry.name, key);
        }
        self.ordered += usize::from(entry.ordered);
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: Incarnation) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.ordered -= usize::from(entry.ordered);
        for life in entry.lives.keys() {
            self.lives.remove(life);
        }
        if self.names.get(&entry.name) == Some(&key) {
            self.names.remove(&entry.name);
        }
        Some(entry)
    }

    /// Adds a channel that is left from an earlier start of this member.
    pub fn seed(&mut self, incarnation: Incarnation, name: Name, dot: Dot) {
        let lives = BTreeMap::from([(incarnation, dot)]);
        self.cover(dot);
        let roles = BTreeMap::new();
        self.insert(Entry { name, linked: true, ordered: false, lives, roles, touched: 0 });
    }

    fn cover(&mut self, dot: Dot) {
        let covered = self.covered.entry(dot.leader).or_default();
        *covered = dot.number.max(*covered);
    }

    /// Applies the next operation of a sequencer.
    pub fn apply(&mut self, leader: Life, ordered: &Ordered, channels_max: u64) -> Effect {
        let dot = Dot { leader, number: ordered.number };
        self.cover(dot);
        let member = ordered.origin.member;
        match &ordered.op {
            Op::Open { name, create, roles, ordered } => {
                let create = create.map(|create| (create, *ordered));
                self.open(name, create, (member, *roles), dot, channels_max)
            }
            Op::Unlink { name } => {
                let Some(key) = self.names.remove(name) else { return Effect::Missing };
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.linked = false;
                    entry.touched = dot.number;
                }
                self.forget_if_over(key);
                Effect::Unlinked { incarnation: key }
            }
            Op::Clear { .. } => Effect::Clear,
            Op::Publish { .. } => Effect::Published,
            Op::Roles { incarnation, roles } => {
                let Some(key) = self.lives.get(incarnation).copied() else {
                    return Effect::Missing;
                };
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.set(member, *roles);
                    entry.touched = dot.number;
                }
                self.forget_if_over(key);
                Effect::Assigned { incarnation: key }
            }
        }
    }

    fn open(
        &mut self,
        name: &Name,
        create: Option<(Incarnation, bool)>,
        (member, roles): (u16, Roles),
        dot: Dot,
        channels_max: u64,
    ) -> Effect {
        if let Some(key) = self.names.get(name).copied() {
            if let Some(entry) = self.entries.get_mut(&key) {
                let all = entry.roles.get(&member).copied().unwrap_or(Roles::empty()) | roles;
                entry.set(member, all);
                entry.touched = dot.number;
            }
            return Effect::Opened { incarnation: key, created: false };
        }
        let Some((incarnation, ordered)) = create else { return Effect::Missing };
        if self.entries.len() as u64 >= channels_max || self.lives.contains_key(&incarnation) {
            return Effect::Full;
        }
        let lives = BTreeMap::from([(incarnation, dot)]);
        let roles = BTreeMap::from([(member, roles)]);
        let touched = dot.number;
        let mut entry = Entry { name: *name, linked: true, ordered, lives, roles, touched };
        entry.roles.retain(|_, roles| !roles.is_empty());
        self.insert(entry);
        Effect::Opened { incarnation, created: true }
    }

    /// An unlinked channel on which nobody does anything is forgotten.
    fn forget_if_over(&mut self, key: Incarnation) {
        let over = self.entries.get(&key).is_some_and(|e| !e.linked && e.roles.is_empty());
        if over {
            self.remove(key);
        }
    }

    /// Begins a view, which is the sequencer's operation `base`: other members than these do
    /// nothing any more, and all operations so far are of the past.
    pub fn begin_view(&mut self, members: Option<&BTreeSet<Life>>, leader: Life, base: u64) {
        self.cover(Dot { leader, number: base });
        let there = members.map(|all| all.iter().map(|life| life.member).collect());
        let there: Option<BTreeSet<u16>> = there;
        for entry in self.entries.values_mut() {
            entry.roles.retain(|member, _| there.as_ref().is_none_or(|all| all.contains(member)));
            entry.touched = 0;
        }
        let keys: Vec<Incarnation> = self.entries.keys().copied().collect();
        keys.into_iter().for_each(|key| self.forget_if_over(key));
    }

    /// Takes the operations of the past as they are in the same directory elsewhere.
    fn settle(&mut self) {
        for entry in self.entries.values_mut() {
            entry.touched = 0;
        }
    }

    /// Whether the other directory says the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (mut one, mut two) = (self.clone(), other.clone());
        one.settle();
        two.settle();
        one == two
    }

    /// Unites the knowledge of two components. A channel stays linked if both sides have it so,
    /// or the other side has never known it; what is covered and absent was removed, unless
    /// `keep_all`. Channels of one name become one, unless `apart`: then one of them has the name.
    #[must_use]
    pub fn merge(one: &Self, other: &Self, keep_all: bool, apart: bool) -> Self {
        let mut pool: Vec<Entry> = Vec::new();
        let sides = [(one, other), (other, one)];
        for (own, opposite) in sides {
            for entry in own.entries.values() {
                let mut entry = entry.clone();
                let mut lives = entry.lives.iter();
                if !keep_all && lives.any(|(life, dot)| opposite.has_removed(*life, *dot)) {
                    entry.linked = false;
                }
                pool.push(entry);
            }
        }
        let mut made = Self::default();
        for (leader, number) in one.covered.iter().chain(&other.covered) {
            made.cover(Dot { leader: *leader, number: *number });
        }
        for entry in pool {
            made.unite(entry);
        }
        made.unite_names(apart);
        made
    }

    fn has_removed(&self, life: Incarnation, dot: Dot) -> bool {
        match self.find(life) {
            Some((_, entry)) => !entry.linked,
            None => self.covers(dot),
        }
    }

    /// Adds an entry, as one with those that share a number with it.
    fn unite(&mut self, mut entry: Entry) {
        let shared: BTreeSet<Incarnation> =
            entry.lives.keys().filter_map(|life| self.lives.get(life).copied()).collect();
        for key in shared {
            if let Some(met) = self.remove(key) {
                entry = join(entry, met);
            }
        }
        self.insert_apart(entry);
    }

    /// Inserts an entry without claiming its name yet.
    fn insert_apart(&mut self, entry: Entry) {
        let Some(key) = entry.lives.first_key_value().map(|(life, _)| *life) else { return };
        for life in entry.lives.keys() {
            self.lives.insert(*life, key);
        }
        self.ordered += usize::from(entry.ordered);
        self.entries.insert(key, entry);
    }

    /// Channels that have one name become one; then names lead to them.
    fn unite_names(&mut self, apart: bool) {
        let linked = self.entries.iter().filter(|(_, entry)| entry.linked);
        let mut by_name: BTreeMap<Name, Vec<Incarnation>> = BTreeMap::new();
        for (key, entry) in linked {
            by_name.entry(entry.name).or_default().push(*key);
        }
        for keys in by_name.into_values() {
            let mut entries: Vec<Entry> = keys.iter().filter_map(|key| self.remove(*key)).collect();
            if apart {
                for other in entries.split_off(1) {
                    self.insert(Entry { linked: false, ..other });
                }
            }
            if let Some(entry) = entries.into_iter().reduce(join) {
                self.insert(entry);
            }
        }
    }
}

fn join(mut one: Entry, other: Entry) -> Entry {
    one.linked &= other.linked;
    one.ordered &= other.ordered;
    one.lives.extend(other.lives);
    for (member, roles) in other.roles {
        let held = one.roles.entry(member).or_insert(Roles::empty());
        *held |= roles;
    }
    one.touched = one.touched.max(other.touched);
    one
}
