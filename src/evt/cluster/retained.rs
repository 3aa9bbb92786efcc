//! Where the retained events of the cluster are numbered, and how far this node has them.

use super::message::{Life, Place};
use crate::evt::{EventId, Incarnation};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The events this node retains, by the number their publisher's node gave them. What is covered
/// by `have` and not held has ended; so no marks are kept of what has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Retained {
    held: BTreeMap<Place, (Incarnation, EventId)>,
    /// By event. One has several places where its copies were left from before a start of several
    /// nodes.
    places: BTreeSet<(EventId, Place)>,
    have: BTreeMap<Life, u64>,
    /// Cleared by an operation that has overtaken the event.
    ahead: BTreeSet<Place>,
}

fn places_of(id: EventId) -> RangeInclusive<(EventId, Place)> {
    let at = |member, start, number| Place { owner: Life { member, start }, number };
    (id, at(0, 0, 0))..=(id, at(u16::MAX, u32::MAX, u64::MAX))
}

impl Retained {
    /// How far the events of each life are known here.
    pub(super) const fn have(&self) -> &BTreeMap<Life, u64> {
        &self.have
    }

    pub(super) fn have_of(&self, owner: Life) -> u64 {
        self.have.get(&owner).copied().unwrap_or(0)
    }

    pub(super) const fn held(&self) -> &BTreeMap<Place, (Incarnation, EventId)> {
        &self.held
    }

    pub(super) const fn ahead(&self) -> &BTreeSet<Place> {
        &self.ahead
    }

    /// Whether something is held that is in total order.
    pub(super) fn holds_in_order(&self) -> bool {
        self.held.range(Place::FIRST_IN_ORDER..).next().is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn place(&self, id: EventId) -> Option<Place> {
        self.places.range(places_of(id)).next().map(|(_, place)| *place)
    }

    pub(super) fn covers(&self, place: Place) -> bool {
        self.have_of(place.owner) >= place.number
    }

    /// Numbers the next retained event of this node.
    pub(super) fn number(&mut self, own: Life, incarnation: Incarnation, id: EventId) -> Place {
        let place = Place { owner: own, number: self.have_of(own) + 1 };
        self.note(place, incarnation, id);
        place
    }

    /// Notes an event that has come. False if it was cleared before.
    pub(super) fn note(&mut self, place: Place, incarnation: Incarnation, id: EventId) -> bool {
        self.cover(place.owner, place.number);
        if self.ahead.remove(&place) {
            return false;
        }
        self.held.insert(place, (incarnation, id));
        self.places.insert((id, place));
        true
    }

    /// Nothing of this life up to this number will come any more.
    pub(super) fn cover(&mut self, owner: Life, number: u64) {
        let have = self.have.entry(owner).or_default();
        *have = number.max(*have);
        let limit = Place { owner, number: *have };
        let first = Place { owner, number: 0 };
        let passed: Vec<Place> = self.ahead.range(first..limit).copied().collect();
        passed.iter().for_each(|place| {
            self.ahead.remove(place);
        });
    }

    /// An event has ended here.
    pub(super) fn end(&mut self, id: EventId) {
        while let Some(place) = self.place(id) {
            self.places.remove(&(id, place));
            self.held.remove(&place);
        }
    }

    /// An event that has not come yet will have been cleared when it comes.
    pub(super) fn clear_ahead(&mut self, place: Place) {
        if !self.covers(place) {
            self.ahead.insert(place);
        }
    }

    /// The event of a place.
    pub(super) fn at(&self, place: Place) -> Option<(Incarnation, EventId)> {
        self.held.get(&place).copied()
    }

    /// The first event of a life from a number on, up to another.
    pub(super) fn next(
        &self,
        owner: Life,
        from: u64,
        upto: u64,
    ) -> Option<(Place, Incarnation, EventId)> {
        if from > upto {
            return None;
        }
        let range = Place { owner, number: from }..=Place { owner, number: upto };
        let (place, (incarnation, id)) = self.held.range(range).next()?;
        Some((*place, *incarnation, *id))
    }
}
