//! Values that messages of several kinds have in them.

use super::bytes::{Malformed, Reader, Writer};
use crate::evt::node::EventRecord;
use crate::evt::{EventId, Name, Priority, Span};

/// A flag: 0 or 1.
pub(super) fn read_flag(from: &mut Reader<'_>) -> Result<bool, Malformed> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// A name, which may be empty.
pub(super) fn read_name(from: &mut Reader<'_>) -> Result<Name, Malformed> {
    Name::new(from.octets()?).map_err(|_| Malformed)
}

pub(super) fn read_priority(from: &mut Reader<'_>) -> Result<Priority, Malformed> {
    Priority::new(from.u8()?).map_err(|_| Malformed)
}

pub(super) fn write_record(record: &EventRecord, to: &mut Writer) {
    to.u64(record.id.0);
    to.u64(record.publish_time as u64);
    to.u64(record.retention.0);
    to.u8(record.priority.number());
    to.octets_long(&record.attributes);
    to.octets_long(&record.data);
}

/// An event; its id, times and attributes are not judged.
pub(super) fn read_record(from: &mut Reader<'_>) -> Result<EventRecord, Malformed> {
    Ok(EventRecord {
        id: EventId(from.u64()?),
        publish_time: from.u64()? as i64,
        retention: Span(from.u64()?),
        priority: read_priority(from)?,
        attributes: from.octets_long()?.to_vec(),
        data: from.octets_long()?.to_vec(),
    })
}

/// The node keeps its lists far below 65536 entries.
pub(super) fn write_list<T>(list: &[T], to: &mut Writer, write: impl Fn(&T, &mut Writer)) {
    to.u16(list.len() as u16);
    list.iter().for_each(|entry| write(entry, to));
}

pub(super) fn read_list<'a, T>(
    from: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    // Nothing is reserved for what a message only says to have.
    let mut list = Vec::new();
    for _ in 0..from.u16()? {
        list.push(read(from)?);
    }
    Ok(list)
}

pub(super) fn write_named(list: &[(String, u64)], to: &mut Writer) {
    write_list(list, to, |(name, value), to| {
        to.octets(name.as_bytes());
        to.u64(*value);
    });
}

pub(super) fn read_named(from: &mut Reader<'_>) -> Result<Vec<(String, u64)>, Malformed> {
    read_list(from, |from| Ok((read_text(from)?, from.u64()?)))
}

pub(super) fn read_text(from: &mut Reader<'_>) -> Result<String, Malformed> {
    let text = std::str::from_utf8(from.octets()?).map_err(|_| Malformed)?;
    Ok(text.to_owned())
}
