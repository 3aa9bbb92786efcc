//! Events in a short form: what an event has in common with the one before it is not said again.
//!
//! In a burst channel and attributes are mostly those of the event before, identifiers follow each
//! other, and moments are near: an event then takes 12 bytes beside its data, instead of 60 and its
//! attributes. The deadline of an event that nobody is to keep is not carried.

use super::bytes::{Malformed, Reader, Writer};
use super::peer::{read_place, write_place};
use crate::evt::cluster::Item;
use crate::evt::node::EventRecord;
use crate::evt::{AttributesRef, EventId, Incarnation, Priority, Span, Time};
use std::rc::Rc;

/// What the first byte of an event says: beside its priority, which has two bits, what it shares
/// with the event before and what it has.
mod flag {
    pub(super) const PRIORITY: u8 = 3;
    pub(super) const SAME_CHANNEL: u8 = 1 << 2;
    pub(super) const SAME_ATTRIBUTES: u8 = 1 << 3;
    pub(super) const NEXT_ID: u8 = 1 << 4;
    pub(super) const NEAR_TIME: u8 = 1 << 5;
    pub(super) const HAS_PLACE: u8 = 1 << 6;
    pub(super) const HAS_RETENTION: u8 = 1 << 7;
}

/// How much later than the one before it an event was published, if that is not long.
fn later(item: &Item, before: &Item) -> Option<u32> {
    let gap = item.record.publish_time.checked_sub(before.record.publish_time)?;
    u32::try_from(gap).ok()
}

fn flags_of(item: &Item, before: Option<&Item>) -> u8 {
    let record = &item.record;
    let mut flags = record.priority.number();
    let mut set = |flag: u8, holds: bool| flags |= if holds { flag } else { 0 };
    set(flag::HAS_PLACE, item.place.is_some());
    set(flag::HAS_RETENTION, record.retention > Span::ZERO);
    if let Some(before) = before {
        set(flag::SAME_CHANNEL, item.incarnation == before.incarnation);
        set(flag::SAME_ATTRIBUTES, record.attributes == before.record.attributes);
        set(flag::NEXT_ID, record.id.0 == before.record.id.0.wrapping_add(1));
        set(flag::NEAR_TIME, later(item, before).is_some());
    }
    flags
}

pub(super) fn write_burst(items: &[Item], to: &mut Writer) {
    to.u32(items.len() as u32);
    let mut before: Option<&Item> = None;
    for item in items {
        let (record, flags) = (&item.record, flags_of(item, before));
        to.u8(flags);
        if flags & flag::SAME_CHANNEL == 0 {
            to.u128(item.incarnation.0);
        }
        if flags & flag::NEXT_ID == 0 {
            to.u64(record.id.0);
        }
        match before.and_then(|before| later(item, before)) {
            Some(gap) => to.u32(gap),
            None => to.i64(record.publish_time),
        }
        if flags & flag::HAS_RETENTION != 0 {
            to.u64(record.retention.0);
        }
        if let Some(place) = item.place {
            write_place(place, to);
            to.u64(item.deadline.0);
        }
        if flags & flag::SAME_ATTRIBUTES == 0 {
            to.octets_long(&record.attributes);
        }
        to.octets_long(&record.data);
        before = Some(item);
    }
}

pub(super) fn read_burst(from: &mut Reader<'_>) -> Result<Vec<Item>, Malformed> {
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..from.u32()? {
        let item = read_item(from, items.last())?;
        items.push(item);
    }
    Ok(items)
}

fn read_item(from: &mut Reader<'_>, before: Option<&Item>) -> Result<Item, Malformed> {
    let flags = from.u8()?;
    let has = |flag: u8| flags & flag != 0;
    // What is the same as before needs something before.
    let same = |flag: u8| if has(flag) { before.ok_or(Malformed).map(Some) } else { Ok(None) };
    let incarnation = match same(flag::SAME_CHANNEL)? {
        Some(before) => before.incarnation,
        None => Incarnation(from.u128()?),
    };
    let id = match same(flag::NEXT_ID)? {
        Some(before) => EventId(before.record.id.0.wrapping_add(1)),
        None => EventId(from.u64()?),
    };
    let publish_time = match same(flag::NEAR_TIME)? {
        Some(before) => {
            let gap = i64::from(from.u32()?);
            before.record.publish_time.checked_add(gap).ok_or(Malformed)?
        }
        None => from.i64()?,
    };
    let retention = Span(if has(flag::HAS_RETENTION) { from.u64()? } else { 0 });
    let place = if has(flag::HAS_PLACE) { Some(read_place(from)?) } else { None };
    let deadline = Time(if place.is_some() { from.u64()? } else { 0 });
    let attributes = match same(flag::SAME_ATTRIBUTES)? {
        Some(before) => before.record.attributes.clone(),
        None => {
            let attributes = from.octets_long()?;
            AttributesRef::parse(attributes).map_err(|_| Malformed)?;
            attributes.to_vec()
        }
    };
    let data = from.octets_long()?.to_vec();
    let priority = Priority::new(flags & flag::PRIORITY).map_err(|_| Malformed)?;
    let has_number = place.is_none_or(|place| place.number < u64::MAX);
    if !id.is_publishable() || !has_number || retention > Span::FOREVER {
        return Err(Malformed);
    }
    let record = EventRecord { id, publish_time, retention, priority, attributes, data };
    Ok(Item { incarnation, place, deadline, record: Rc::new(record) })
}
