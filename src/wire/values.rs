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
