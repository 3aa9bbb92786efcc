//! The larger parts of what nodes say to each other: events, and everything a member knows.

use super::burst::{read_burst, write_burst};
use super::bytes::{Malformed, Reader, Writer};
use super::peer::{
    read_have, read_life, read_name, read_owner, read_place, read_roles, write_have, write_life,
    write_name, write_place,
};
use super::values::{read_flag, read_record, write_record};
use crate::evt::cluster::{Directory, Dot, Entry, Item, State, Stream};
use crate::evt::{AttributesRef, EventId, Incarnation, Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub(super) fn write_directory(directory: &Directory, version: u16, to: &mut Writer) {
    write_have(directory.covered(), to);
    to.u32(directory.entries().len() as u32);
    for entry in directory.entries().values() {
        write_name(&entry.name, to);
        to.u8(u8::from(entry.linked));
        if version >= 2 {
            to.u8(u8::from(entry.ordered));
        }
        to.u64(entry.touched);
        to.u16(entry.lives.len() as u16);
        for (life, dot) in &entry.lives {
            to.u128(life.0);
            write_life(dot.leader, to);
            to.u64(dot.number);
        }
        to.u16(entry.roles.len() as u16);
        for (member, roles) in &entry.roles {
            to.u16(*member);
            to.u8(roles.bits());
        }
    }
}

pub(super) fn read_directory(from: &mut Reader<'_>, version: u16) -> Result<Directory, Malformed> {
    let covered = read_have(from, read_life)?;
    let mut entries = Vec::new();
    for _ in 0..from.u32()? {
        let (name, linked) = (read_name(from)?, read_flag(from)?);
        let ordered = version >= 2 && read_flag(from)?;
        let touched = from.u64()?;
        let mut lives = BTreeMap::new();
        for _ in 0..from.u16()? {
            let life = Incarnation(from.u128()?);
            let dot = Dot { leader: read_life(from)?, number: from.u64()? };
            if lives.insert(life, dot).is_some() {
                return Err(Malformed);
            }
        }
        let mut roles = BTreeMap::new();
        for _ in 0..from.u16()? {
            let member = from.u16()?;
            let held = read_roles(from)?;
            if held.is_empty() || roles.insert(member, held).is_some() {
                return Err(Malformed);
            }
        }
        entries.push(Entry { name, linked, ordered, lives, roles, touched });
    }
    Directory::from_parts(entries, covered).ok_or(Malformed)
}

pub(super) fn write_state(state: &State, version: u16, to: &mut Writer) {
    write_directory(&state.directory, version, to);
    write_have(&state.have, to);
    to.u32(state.live.len() as u32);
    for (place, incarnation) in &state.live {
        write_place(*place, to);
        to.u128(incarnation.0);
    }
    to.u32(state.ahead.len() as u32);
    state.ahead.iter().for_each(|place| write_place(*place, to));
}

pub(super) fn read_state(from: &mut Reader<'_>, version: u16) -> Result<State, Malformed> {
    let directory = read_directory(from, version)?;
    let have = read_have(from, read_owner)?;
    let mut live = BTreeMap::new();
    for _ in 0..from.u32()? {
        let place = read_place(from)?;
        if live.insert(place, Incarnation(from.u128()?)).is_some() {
            return Err(Malformed);
        }
    }
    let mut ahead = BTreeSet::new();
    for _ in 0..from.u32()? {
        if !ahead.insert(read_place(from)?) {
            return Err(Malformed);
        }
    }
    Ok(State { directory, have, live, ahead })
}

fn write_item(item: &Item, to: &mut Writer) {
    to.u128(item.incarnation.0);
    to.u8(u8::from(item.place.is_some()));
    if let Some(place) = item.place {
        write_place(place, to);
    }
    to.u64(item.deadline.0);
    write_record(&item.record, to);
}

fn read_item(from: &mut Reader<'_>) -> Result<Item, Malformed> {
    let incarnation = Incarnation(from.u128()?);
    let place = if read_flag(from)? { Some(read_place(from)?) } else { None };
    let deadline = Time(from.u64()?);
    let record = read_record(from)?;
    AttributesRef::parse(&record.attributes).map_err(|_| Malformed)?;
    let has_number = place.is_none_or(|place| place.number < u64::MAX);
    if !record.id.is_publishable() || !has_number || record.retention > Span::FOREVER {
        return Err(Malformed);
    }
    Ok(Item { incarnation, place, deadline, record: Rc::new(record) })
}

pub(super) fn write_items(items: &[Item], to: &mut Writer) {
    to.u32(items.len() as u32);
    items.iter().for_each(|item| write_item(item, to));
}

pub(super) fn read_items(from: &mut Reader<'_>) -> Result<Vec<Item>, Malformed> {
    let mut items = Vec::new();
    for _ in 0..from.u32()? {
        items.push(read_item(from)?);
    }
    Ok(items)
}

fn write_channels(channels: &[Incarnation], to: &mut Writer) {
    to.u32(channels.len() as u32);
    channels.iter().for_each(|channel| to.u128(channel.0));
}

fn read_channels(from: &mut Reader<'_>) -> Result<Vec<Incarnation>, Malformed> {
    let mut channels = Vec::new();
    for _ in 0..from.u32()? {
        channels.push(Incarnation(from.u128()?));
    }
    Ok(channels)
}

pub(super) fn write_stream(stream: &Stream, to: &mut Writer) {
    match stream {
        Stream::Began { missed } => {
            to.u8(1);
            write_channels(missed, to);
        }
        Stream::Items(items) => {
            to.u8(2);
            write_items(items, to);
        }
        Stream::Burst(items) => {
            to.u8(9);
            write_burst(items, to);
        }
        Stream::CaughtUp => to.u8(3),
        Stream::Forwarded { owner, upto } => {
            to.u8(4);
            write_life(*owner, to);
            to.u64(*upto);
        }
        Stream::Lost(channels) => {
            to.u8(5);
            write_channels(channels, to);
        }
        Stream::Goodbye => to.u8(6),
        Stream::Probe { id } => {
            to.u8(7);
            to.u64(id.0);
        }
        Stream::Probed { id } => {
            to.u8(8);
            to.u64(id.0);
        }
    }
}

pub(super) fn read_stream(from: &mut Reader<'_>) -> Result<Stream, Malformed> {
    Ok(match from.u8()? {
        1 => Stream::Began { missed: read_channels(from)? },
        2 => Stream::Items(read_items(from)?),
        3 => Stream::CaughtUp,
        4 => Stream::Forwarded { owner: read_owner(from)?, upto: from.u64()? },
        5 => Stream::Lost(read_channels(from)?),
        6 => Stream::Goodbye,
        7 => Stream::Probe { id: EventId(from.u64()?) },
        8 => Stream::Probed { id: EventId(from.u64()?) },
        9 => Stream::Burst(read_burst(from)?),
        _ => return Err(Malformed),
    })
}
