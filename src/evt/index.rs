//! Which subscriptions of a channel match an event, without looking at those that cannot.
//!
//! Subscriptions are filed under their first filter: exact values in a hash table; prefixes and
//! suffixes in one hash table each, asked once for every distinct length that is registered; what
//! matches any first pattern apart. The tables are only looked up, never walked, so that hash
//! order can show nowhere.

use super::{AttributesRef, Error, FilterKind, Filters, SubscriptionNo};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::rc::Rc;

/// A subscription as the index knows it.
#[derive(Debug, Clone)]
struct Entry {
    instance: u32,
    subscription: SubscriptionNo,
    /// Present when there is more to check than the first filter.
    filters: Option<Rc<Filters>>,
}

impl Entry {
    /// Whether the filters behind the first one match too.
    fn matches(&self, attributes: AttributesRef<'_>) -> bool {
        self.filters.as_ref().is_none_or(|filters| filters.matches(attributes))
    }
}

/// The subscriptions filed under one value, ordered by instance and then by registration.
#[derive(Debug, Default)]
struct Bucket(Vec<Entry>);

impl Bucket {
    fn insert(&mut self, entry: Entry) -> Result<(), Error> {
        self.0.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let key = (entry.instance, entry.subscription);
        let at = self.0.partition_point(|other| (other.instance, other.subscription) < key);
        self.0.insert(at, entry);
        Ok(())
    }

    fn remove(&mut self, instance: u32, subscription: SubscriptionNo) {
        let key = (instance, subscription);
        let found = self.0.binary_search_by_key(&key, |entry| (entry.instance, entry.subscription));
        if let Ok(at) = found {
            self.0.remove(at);
        }
    }

    fn remove_instance(&mut self, instance: u32) {
        let start = self.0.partition_point(|entry| entry.instance < instance);
        let end = self.0.partition_point(|entry| entry.instance <= instance);
        self.0.drain(start..end);
    }
}

/// Which of a bucket's entries to take out.
#[derive(Debug, Clone, Copy)]
enum Removal {
    One(u32, SubscriptionNo),
    Instance(u32),
}

/// Buckets by value, with the number of values of each length.
#[derive(Debug)]
struct Table {
    /// Distinct lengths in rising order, and how many values have each.
    lengths: Vec<(usize, usize)>,
    buckets: HashMap<Box<[u8]>, Bucket, FixedState>,
}

impl Table {
    fn new(hasher: &FixedState) -> Self {
        Self { lengths: Vec::new(), buckets: HashMap::with_hasher(hasher.clone()) }
    }

    fn insert(&mut self, value: &[u8], entry: Entry) -> Result<(), Error> {
        if let Some(bucket) = self.buckets.get_mut(value) {
            return bucket.insert(entry);
        }
        let mut key = Vec::new();
        key.try_reserve_exact(value.len()).map_err(|_| Error::NoMemory)?;
        key.extend_from_slice(value);
        self.buckets.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.lengths.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let mut bucket = Bucket::default();
        bucket.insert(entry)?;
        self.buckets.insert(key.into_boxed_slice(), bucket);
        match self.lengths.binary_search_by_key(&value.len(), |(length, _)| *length) {
            Ok(at) => self.lengths[at].1 += 1,
            Err(at) => self.lengths.insert(at, (value.len(), 1)),
        }
        Ok(())
    }

    fn remove(&mut self, value: &[u8], removal: Removal) {
        let Some(bucket) = self.buckets.get_mut(value) else { return };
        bucket.take_out(removal);
        if !bucket.0.is_empty() {
            return;
        }
        self.buckets.remove(value);
        if let Ok(at) = self.lengths.binary_search_by_key(&value.len(), |(length, _)| *length) {
            self.lengths[at].1 -= 1;
            if self.lengths[at].1 == 0 {
                self.lengths.remove(at);
            }
        }
    }
}

impl Bucket {
    fn take_out(&mut self, removal: Removal) {
        match removal {
            Removal::One(instance, subscription) => self.remove(instance, subscription),
            Removal::Instance(instance) => self.remove_instance(instance),
        }
    }
}

/// The subscriptions of one channel.
#[derive(Debug)]
pub(super) struct Index {
    exact: Table,
    prefixes: Table,
    suffixes: Table,
    rest: Bucket,
    version: u64,
}

/// Where a subscription is filed.
enum Place<'a> {
    Exact(&'a [u8]),
    Prefix(&'a [u8]),
    Suffix(&'a [u8]),
    Rest,
}

fn place(filters: &Filters) -> Place<'_> {
    let Some(first) = filters.0.first() else { return Place::Rest };
    match first.kind {
        FilterKind::Exact => Place::Exact(&first.bytes),
        FilterKind::Prefix if !first.bytes.is_empty() => Place::Prefix(&first.bytes),
        FilterKind::Suffix if !first.bytes.is_empty() => Place::Suffix(&first.bytes),
        FilterKind::Prefix | FilterKind::Suffix | FilterKind::PassAll => Place::Rest,
    }
}

impl Index {
    pub(super) fn new(hasher: &FixedState) -> Self {
        Self {
            exact: Table::new(hasher),
            prefixes: Table::new(hasher),
            suffixes: Table::new(hasher),
            rest: Bucket::default(),
            version: 0,
        }
    }

    /// How often something was filed or taken out.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// Files a subscription.
    ///
    /// - [`Error::NoMemory`]: nothing changed.
    pub(super) fn insert(
        &mut self,
        instance: u32,
        subscription: SubscriptionNo,
        filters: &Rc<Filters>,
    ) -> Result<(), Error> {
        self.version += 1;
        let more = (filters.0.len() > 1).then(|| Rc::clone(filters));
        let entry = Entry { instance, subscription, filters: more };
        match place(filters) {
            Place::Exact(value) => self.exact.insert(value, entry),
            Place::Prefix(value) => self.prefixes.insert(value, entry),
            Place::Suffix(value) => self.suffixes.insert(value, entry),
            Place::Rest => self.rest.insert(entry),
        }
    }

    /// Takes one subscription out.
    pub(super) fn remove(
        &mut self,
        instance: u32,
        subscription: SubscriptionNo,
        filters: &Filters,
    ) {
        self.take_out(filters, Removal::One(instance, subscription));
    }

    /// Takes out all subscriptions of an instance that are filed where `filters` are. Called for
    /// each subscription of the instance it empties each place with one move.
    pub(super) fn remove_instance(&mut self, instance: u32, filters: &Filters) {
        self.take_out(filters, Removal::Instance(instance));
    }

    fn take_out(&mut self, filters: &Filters, removal: Removal) {
        self.version += 1;
        match place(filters) {
            Place::Exact(value) => self.exact.remove(value, removal),
            Place::Prefix(value) => self.prefixes.remove(value, removal),
            Place::Suffix(value) => self.suffixes.remove(value, removal),
            Place::Rest => self.rest.take_out(removal),
        }
    }

    /// Calls `visit` with every bucket whose value the first pattern has.
    fn candidates(&self, first: &[u8], mut visit: impl FnMut(&Bucket)) {
        if !self.exact.lengths.is_empty() {
            self.exact.buckets.get(first).map(&mut visit);
        }
        for (length, _) in &self.prefixes.lengths {
            let Some(head) = first.get(..*length) else { break };
            self.prefixes.buckets.get(head).map(&mut visit);
        }
        for (length, _) in &self.suffixes.lengths {
            let Some(start) = first.len().checked_sub(*length) else { break };
            self.suffixes.buckets.get(&first[start..]).map(&mut visit);
        }
        visit(&self.rest);
    }

    /// Calls `taker` with instance and subscription for every subscription that matches, several
    /// times for an instance with several; gives the number of comparisons made. Cost: one look-up
    /// for each distinct length of a prefix or suffix, and the subscriptions filed under the
    /// values found.
    pub(super) fn matches(
        &self,
        attributes: AttributesRef<'_>,
        mut taker: impl FnMut(u32, SubscriptionNo),
    ) -> u32 {
        let mut comparisons = 1;
        self.candidates(attributes.first_pattern(), |bucket| {
            for entry in &bucket.0 {
                comparisons += 1;
                if entry.matches(attributes) {
                    taker(entry.instance, entry.subscription);
                }
            }
        });
        comparisons
    }

    /// The first registered subscription of an instance that matches. Cost as for
    /// [`Index::matches`], but only subscriptions of the instance are looked at.
    pub(super) fn first_match(
        &self,
        instance: u32,
        attributes: AttributesRef<'_>,
    ) -> Option<SubscriptionNo> {
        let mut first = None;
        self.candidates(attributes.first_pattern(), |bucket| {
            let start = bucket.0.partition_point(|entry| entry.instance < instance);
            let mut own = bucket.0[start..].iter().take_while(|entry| entry.instance == instance);
            let found = own.find(|entry| entry.matches(attributes));
            let number = found.map(|entry| entry.subscription);
            first = first.into_iter().chain(number).min();
        });
        first
    }

    /// Whether no subscription is filed.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let tables = [&self.exact, &self.prefixes, &self.suffixes];
        let empty = |table: &&Table| table.buckets.is_empty() && table.lengths.is_empty();
        self.rest.0.is_empty() && tables.iter().all(empty)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attributes, Filter, Name};
    use super::*;

    fn filters(list: &[(FilterKind, &[u8])]) -> Rc<Filters> {
        let filter =
            |(kind, bytes): &(FilterKind, &[u8])| Filter { kind: *kind, bytes: bytes.to_vec() };
        Rc::new(Filters(list.iter().map(filter).collect()))
    }

    fn takers(index: &Index, patterns: &[&[u8]]) -> (Vec<u32>, u32) {
        let event = Attributes::pack(&Name::EMPTY, patterns.iter().copied()).unwrap();
        let mut found = Vec::new();
        let comparisons = index.matches(event.view(), |instance, _| found.push(instance));
        found.sort_unstable();
        (found, comparisons)
    }

    fn sample() -> (Index, Vec<Rc<Filters>>) {
        use FilterKind::{Exact, PassAll, Prefix, Suffix};
        let all = vec![
            filters(&[(Exact, b"abc")]),
            filters(&[(Prefix, b"a")]),
            filters(&[(Prefix, b"ab")]),
            filters(&[(Suffix, b"bc")]),
            filters(&[(PassAll, b""), (Exact, b"x")]),
            filters(&[]),
            filters(&[(Prefix, b"")]),
            filters(&[(Exact, b"")]),
        ];
        let mut index = Index::new(&FixedState::with_seed(7));
        for (number, each) in all.iter().enumerate() {
            index.insert(number as u32, SubscriptionNo(1), each).unwrap();
        }
        (index, all)
    }

    #[test]
    fn every_kind_of_first_filter_is_found() {
        let (index, _) = sample();
        assert_eq!(takers(&index, &[b"abc"]).0, [0, 1, 2, 3, 5, 6]);
        assert_eq!(takers(&index, &[b"abc", b"x"]).0, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(takers(&index, &[b"bc"]).0, [3, 5, 6]);
        assert_eq!(takers(&index, &[b"a"]).0, [1, 5, 6]);
        assert_eq!(takers(&index, &[]).0, [5, 6, 7]);
    }

    #[test]
    fn what_is_taken_out_is_not_found_and_leaves_nothing() {
        let (mut index, all) = sample();
        for (number, each) in all.iter().enumerate() {
            index.remove(number as u32, SubscriptionNo(2), each);
        }
        assert_eq!(takers(&index, &[b"abc"]).0, [0, 1, 2, 3, 5, 6]);
        for (number, each) in all.iter().enumerate() {
            index.remove_instance(number as u32, each);
        }
        assert!(takers(&index, &[b"abc"]).0.is_empty());
        assert!(index.is_empty());
    }

    #[test]
    fn subscriptions_that_cannot_match_cost_nothing() {
        let (mut index, _) = sample();
        let before = takers(&index, &[b"abc"]).1;
        for number in 0..1000_u32 {
            let value = format!("no{number:04}");
            let kinds = [FilterKind::Exact, FilterKind::Prefix, FilterKind::Suffix];
            let each = filters(&[(kinds[number as usize % 3], value.as_bytes())]);
            index.insert(100 + number, SubscriptionNo(1), &each).unwrap();
        }
        assert_eq!(takers(&index, &[b"abc"]).1, before);
    }
}
