//! One entry of the state log: length (u32), checksum (u32), kind (u8), content.

use crate::evt::node::{Change, EventRecord, Fact};
use crate::evt::{EventId, Incarnation, Name, Priority, Span, Time};

/// Longer entries than this are damage: the largest event and its attributes are far below.
const BYTES_MAX: usize = 128 << 20;

/// What an entry says.
#[derive(Debug)]
#[allow(missing_docs)] // The fields are what their types say.
pub enum Entry {
    /// A daemon's start began.
    Start { start: u32 },
    /// A channel exists.
    Channel { incarnation: Incarnation, name: Name, linked: bool },
    /// Its name is gone; open instances remain.
    Unlinked { incarnation: Incarnation },
    /// It is gone.
    Deleted { incarnation: Incarnation },
    /// An event is retained.
    Retained { incarnation: Incarnation, record: EventRecord, deadline: Time },
    /// It is not any more.
    RetentionEnded { incarnation: Incarnation, id: EventId },
    /// A block of event identifiers was offered in an outbox, told by its device and inode.
    Granted { first: EventId, memory: (u64, u64) },
    /// The daemon ended in order; nothing follows.
    Clean,
    /// What the private service of a user, which has moved here, called a channel.
    Moved { incarnation: Incarnation, user: u32, private: Incarnation },
    /// When a channel was made: nanoseconds since the epoch.
    Born { incarnation: Incarnation, born: i64 },
}

/// Appends one entry whose content `write` appends.
fn framed(to: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0; 8]);
    to.push(kind);
    write(to);
    let bytes = (to.len() - start - 8) as u32;
    let checksum = crc32fast::hash(&to[start + 8..]);
    to[start..start + 4].copy_from_slice(&bytes.to_le_bytes());
    to[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

fn channel(to: &mut Vec<u8>, incarnation: Incarnation, name: &Name, linked: bool) {
    framed(to, 2, |to| {
        to.extend_from_slice(&incarnation.0.to_le_bytes());
        to.push(u8::from(linked));
        to.extend_from_slice(name.octets());
    });
}

fn retained(to: &mut Vec<u8>, incarnation: Incarnation, record: &EventRecord, deadline: Time) {
    framed(to, 5, |to| {
        to.extend_from_slice(&incarnation.0.to_le_bytes());
        to.extend_from_slice(&deadline.0.to_le_bytes());
        to.extend_from_slice(&record.id.0.to_le_bytes());
        to.extend_from_slice(&record.publish_time.to_le_bytes());
        to.extend_from_slice(&record.retention.0.to_le_bytes());
        to.push(record.priority.number());
        let attributes: &[u8] = &record.attributes;
        to.extend_from_slice(&(attributes.len() as u32).to_le_bytes());
        to.extend_from_slice(attributes);
        to.extend_from_slice(&record.data);
    });
}

/// Appends an entry that is neither a change nor a fact of the core, or is one in plain form.
pub(super) fn encode(entry: &Entry, to: &mut Vec<u8>) {
    match entry {
        Entry::Start { start } => framed(to, 1, |to| to.extend_from_slice(&start.to_le_bytes())),
        Entry::Channel { incarnation, name, linked } => channel(to, *incarnation, name, *linked),
        Entry::Unlinked { incarnation } => {
            framed(to, 3, |to| to.extend_from_slice(&incarnation.0.to_le_bytes()));
        }
        Entry::Deleted { incarnation } => {
            framed(to, 4, |to| to.extend_from_slice(&incarnation.0.to_le_bytes()));
        }
        Entry::Retained { incarnation, record, deadline } => {
            retained(to, *incarnation, record, *deadline);
        }
        Entry::RetentionEnded { incarnation, id } => framed(to, 6, |to| {
            to.extend_from_slice(&incarnation.0.to_le_bytes());
            to.extend_from_slice(&id.0.to_le_bytes());
        }),
        Entry::Clean => framed(to, 7, |_| {}),
        Entry::Granted { first, memory: (device, inode) } => framed(to, 8, |to| {
            [first.0, *device, *inode].iter().for_each(|word| to.extend(word.to_le_bytes()));
        }),
        Entry::Moved { incarnation, user, private } => framed(to, 9, |to| {
            to.extend_from_slice(&incarnation.0.to_le_bytes());
            to.extend_from_slice(&user.to_le_bytes());
            to.extend_from_slice(&private.0.to_le_bytes());
        }),
        Entry::Born { incarnation, born } => framed(to, 10, |to| {
            to.extend_from_slice(&incarnation.0.to_le_bytes());
            to.extend_from_slice(&born.to_le_bytes());
        }),
    }
}

/// Appends a change of the core.
pub(super) fn encode_change(change: &Change, to: &mut Vec<u8>) {
    match change {
        Change::ChannelCreated { incarnation, name } => channel(to, *incarnation, name, true),
        Change::ChannelUnlinked { incarnation } => {
            encode(&Entry::Unlinked { incarnation: *incarnation }, to);
        }
        Change::ChannelDeleted { incarnation } => {
            encode(&Entry::Deleted { incarnation: *incarnation }, to);
        }
        Change::ChannelMoved { incarnation, user, private } => {
            let (incarnation, user, private) = (*incarnation, *user, *private);
            encode(&Entry::Moved { incarnation, user, private }, to);
        }
        Change::Retained { incarnation, record, deadline } => {
            retained(to, *incarnation, record, *deadline);
        }
        Change::RetentionEnded { incarnation, id } => {
            encode(&Entry::RetentionEnded { incarnation: *incarnation, id: *id }, to);
        }
    }
}

/// Appends a fact of the core.
pub(super) fn encode_fact(fact: &Fact<'_>, to: &mut Vec<u8>) {
    match fact {
        Fact::Channel { incarnation, name, linked } => channel(to, *incarnation, name, *linked),
        Fact::Moved { incarnation, user, private } => {
            let (incarnation, user, private) = (*incarnation, *user, *private);
            encode(&Entry::Moved { incarnation, user, private }, to);
        }
        Fact::Retained { incarnation, record, deadline } => {
            retained(to, *incarnation, record, *deadline);
        }
    }
}

/// Reads the first entry and gives what follows it. `None` at the end and at damage.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (head, rest) = bytes.split_at_checked(8)?;
    let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
    let checksum = u32::from_le_bytes(head[4..].try_into().ok()?);
    if length > BYTES_MAX {
        return None;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    if crc32fast::hash(content) != checksum {
        return None;
    }
    let (kind, content) = content.split_first()?;
    Some((decode_content(*kind, content)?, rest))
}

fn decode_content(kind: u8, mut content: &[u8]) -> Option<Entry> {
    let from = &mut content;
    let entry = match kind {
        1 => Entry::Start { start: u32::from_le_bytes(take(from)?) },
        2 => {
            let incarnation = incarnation(from)?;
            let [linked] = take(from)?;
            Entry::Channel {
                incarnation,
                name: Name::new(std::mem::take(from)).ok()?,
                linked: linked == 1,
            }
        }
        3 => Entry::Unlinked { incarnation: incarnation(from)? },
        4 => Entry::Deleted { incarnation: incarnation(from)? },
        5 => {
            let incarnation = incarnation(from)?;
            let deadline = Time(u64::from_le_bytes(take(from)?));
            let id = EventId(u64::from_le_bytes(take(from)?));
            let publish_time = i64::from_le_bytes(take(from)?);
            let retention = Span(u64::from_le_bytes(take(from)?));
            let [priority] = take(from)?;
            let length = u32::from_le_bytes(take(from)?) as usize;
            let (attributes, data) = from.split_at_checked(length)?;
            crate::evt::AttributesRef::parse(attributes).ok()?;
            let record = EventRecord {
                id,
                publish_time,
                retention,
                priority: Priority::new(priority).ok()?,
                attributes: attributes.to_vec(),
                data: data.to_vec(),
            };
            *from = &[];
            Entry::Retained { incarnation, record, deadline }
        }
        6 => Entry::RetentionEnded {
            incarnation: incarnation(from)?,
            id: EventId(u64::from_le_bytes(take(from)?)),
        },
        8 => Entry::Granted {
            first: EventId(u64::from_le_bytes(take(from)?)),
            memory: (u64::from_le_bytes(take(from)?), u64::from_le_bytes(take(from)?)),
        },
        7 => Entry::Clean,
        9 => Entry::Moved {
            incarnation: incarnation(from)?,
            user: u32::from_le_bytes(take(from)?),
            private: incarnation(from)?,
        },
        10 => {
            Entry::Born { incarnation: incarnation(from)?, born: i64::from_le_bytes(take(from)?) }
        }
        _ => return None,
    };
    from.is_empty().then_some(entry)
}

fn incarnation(from: &mut &[u8]) -> Option<Incarnation> {
    Some(Incarnation(u128::from_le_bytes(take(from)?)))
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Entry> {
        let incarnation = Incarnation(u128::MAX - 5);
        let record = EventRecord {
            id: EventId(1 << 50),
            publish_time: -3,
            retention: Span::FOREVER,
            priority: Priority::LOWEST,
            attributes: crate::evt::Attributes::empty().unwrap().packed().to_vec(),
            data: vec![7; 300],
        };
        vec![
            Entry::Start { start: 9 },
            Entry::Channel { incarnation, name: Name::new(b"a\0").unwrap(), linked: false },
            Entry::Unlinked { incarnation },
            Entry::Deleted { incarnation },
            Entry::Retained { incarnation, record, deadline: Time::MAX },
            Entry::RetentionEnded { incarnation, id: EventId(4) },
            Entry::Clean,
            Entry::Moved { incarnation, user: 1000, private: Incarnation(77) },
            Entry::Born { incarnation, born: -7 },
        ]
    }

    #[test]
    fn entries_come_back_as_they_went() {
        for entry in samples() {
            let mut bytes = Vec::new();
            encode(&entry, &mut bytes);
            let (back, rest) = decode(&bytes).unwrap();
            assert_eq!(format!("{back:?}"), format!("{entry:?}"));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_cut_or_changed_entry_ends_the_log() {
        for entry in samples() {
            let mut bytes = Vec::new();
            encode(&entry, &mut bytes);
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_none());
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                assert!(decode(&changed).is_none(), "{entry:?} byte {at}");
            }
        }
    }
}
