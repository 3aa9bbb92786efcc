//! What the agent asks of the node.

use super::bytes::{Malformed, Reader, Writer};
use super::status::Topic;
use super::values::{read_name, read_record, write_record};
use crate::evt::node::EventRecord;
use crate::evt::{
    EventId, Filter, FilterKind, Filters, Incarnation, InstanceNo, LibraryNo, Name, OpenFlags,
    Span, SubscriptionNo,
};

/// Up to where the outbox rings were reserved when the request was made: the node handles the
/// request after everything before, so that it never overtakes a publication.
pub type Barrier = [u64; 4];

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Comes back with the reply; 0 where none is wanted.
    pub id: u32,
    /// What must be done before.
    pub barrier: Barrier,
    /// What is asked.
    pub body: Body,
}

/// A block of event identifiers that an earlier start of the node granted.
pub type Block = (EventId, u32);

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The fields are what their types say.
pub enum Body {
    /// The first message. With `resumes` the outbox's memory comes along, and the blocks of event
    /// identifiers it may contain.
    Hello { version: u32, resumes: bool, blocks: Vec<Block> },
    /// Makes a library handle, or with `resumes` brings its inbox back.
    LibraryOpen { library: LibraryNo, resumes: bool },
    /// Ends a library handle. No reply.
    LibraryClose { library: LibraryNo },
    /// Opens a channel. `asynchronous`: the handle's doorbell is rung with the reply.
    Open {
        library: LibraryNo,
        instance: InstanceNo,
        flags: OpenFlags,
        names_are_dns: bool,
        asynchronous: bool,
        name: Name,
    },
    /// Closes an open instance. No reply.
    Close { instance: InstanceNo },
    /// Removes a name.
    Unlink { name: Name },
    /// Adds a subscription.
    Subscribe { instance: InstanceNo, number: SubscriptionNo, filters: Filters },
    /// Removes a subscription.
    Unsubscribe { instance: InstanceNo, number: SubscriptionNo },
    /// Ends a retention.
    RetentionClear { instance: InstanceNo, id: EventId },
    /// Brings an open instance back after a restart of the node.
    RestoreInstance {
        library: LibraryNo,
        instance: InstanceNo,
        incarnation: Incarnation,
        flags: OpenFlags,
    },
    /// Asks for retention credit.
    Credit { events: u32, bytes: u64 },
    /// Asks to fill the window of a handle; the reply comes when it is done and says how many
    /// events still wait behind it.
    Refill { library: LibraryNo },
    /// All that existed before a restart of the node has been brought back.
    Restored,
    /// Which of these events are not retained any more on the channel of an instance.
    Gone { instance: InstanceNo, ids: Vec<EventId> },
    /// From a private daemon that moves here: a channel, by its number there.
    MoveChannel { private: Incarnation, linked: bool, name: Name },
    /// From a private daemon that moves here: an event retained on such a channel, and the time
    /// that it has left.
    MoveRetained { private: Incarnation, left: Span, record: Box<EventRecord> },
    /// From a private daemon that moves here: what came before is all, and takes effect. The
    /// reply comes when it has.
    MoveEnd,
    /// Asks about the node.
    Status(Topic),
    /// What an open instance may do of what it was opened for.
    Rights { instance: InstanceNo },
}

impl Body {
    const fn kind(&self) -> u16 {
        match self {
            Self::Hello { .. } => 1,
            Self::LibraryOpen { .. } => 2,
            Self::LibraryClose { .. } => 3,
            Self::Open { .. } => 4,
            Self::Close { .. } => 5,
            Self::Unlink { .. } => 6,
            Self::Subscribe { .. } => 7,
            Self::Unsubscribe { .. } => 8,
            Self::RetentionClear { .. } => 9,
            Self::RestoreInstance { .. } => 10,
            Self::Credit { .. } => 11,
            Self::Refill { .. } => 12,
            Self::Gone { .. } => 13,
            Self::Restored => 14,
            Self::MoveChannel { .. } => 15,
            Self::MoveRetained { .. } => 16,
            Self::MoveEnd => 17,
            Self::Status(_) => 18,
            Self::Rights { .. } => 19,
        }
    }

    fn write(&self, to: &mut Writer) {
        match self {
            Self::Hello { version, resumes, blocks } => {
                to.u32(*version);
                to.u8(u8::from(*resumes));
                to.u16(blocks.len() as u16);
                for (first, count) in blocks {
                    to.u64(first.0);
                    to.u32(*count);
                }
            }
            Self::LibraryOpen { library, resumes } => {
                to.u32(library.0);
                to.u8(u8::from(*resumes));
            }
            Self::LibraryClose { library } | Self::Refill { library } => to.u32(library.0),
            Self::Open { library, instance, flags, names_are_dns, asynchronous, name } => {
                to.u32(library.0);
                to.u64(instance.0);
                to.u8(flags.bits());
                to.u8(u8::from(*names_are_dns));
                to.u8(u8::from(*asynchronous));
                to.octets(name.octets());
            }
            Self::Close { instance } | Self::Rights { instance } => to.u64(instance.0),
            Self::Unlink { name } => to.octets(name.octets()),
            Self::Subscribe { instance, number, filters } => {
                to.u64(instance.0);
                to.u32(number.0);
                write_filters(filters, to);
            }
            Self::Unsubscribe { instance, number } => {
                to.u64(instance.0);
                to.u32(number.0);
            }
            Self::RetentionClear { instance, id } => {
                to.u64(instance.0);
                to.u64(id.0);
            }
            Self::RestoreInstance { library, instance, incarnation, flags } => {
                to.u32(library.0);
                to.u64(instance.0);
                to.u128(incarnation.0);
                to.u8(flags.bits());
            }
            Self::Credit { events, bytes } => {
                to.u32(*events);
                to.u64(*bytes);
            }
            Self::Restored | Self::MoveEnd => {}
            Self::Status(topic) => topic.write(to),
            Self::Gone { instance, ids } => {
                to.u64(instance.0);
                to.u16(ids.len() as u16);
                ids.iter().for_each(|id| to.u64(id.0));
            }
            Self::MoveChannel { private, linked, name } => {
                to.u128(private.0);
                to.u8(u8::from(*linked));
                to.octets(name.octets());
            }
            Self::MoveRetained { private, left, record } => {
                to.u128(private.0);
                to.u64(left.0);
                write_record(record, to);
            }
        }
    }

    fn read(kind: u16, from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            1 => {
                let version = from.u32()?;
                let resumes = bool_of(from.u8()?)?;
                let mut blocks = Vec::new();
                for _ in 0..from.u16()? {
                    blocks.push((EventId(from.u64()?), from.u32()?));
                }
                Self::Hello { version, resumes, blocks }
            }
            2 => Self::LibraryOpen { library: library(from)?, resumes: bool_of(from.u8()?)? },
            3 => Self::LibraryClose { library: library(from)? },
            4 => Self::Open {
                library: library(from)?,
                instance: instance(from)?,
                flags: flags(from)?,
                names_are_dns: bool_of(from.u8()?)?,
                asynchronous: bool_of(from.u8()?)?,
                name: read_name(from)?,
            },
            5 => Self::Close { instance: instance(from)? },
            6 => Self::Unlink { name: read_name(from)? },
            7 => Self::Subscribe {
                instance: instance(from)?,
                number: SubscriptionNo(from.u32()?),
                filters: read_filters(from)?,
            },
            8 => {
                Self::Unsubscribe { instance: instance(from)?, number: SubscriptionNo(from.u32()?) }
            }
            9 => Self::RetentionClear { instance: instance(from)?, id: EventId(from.u64()?) },
            10 => Self::RestoreInstance {
                library: library(from)?,
                instance: instance(from)?,
                incarnation: Incarnation(from.u128()?),
                flags: flags(from)?,
            },
            11 => Self::Credit { events: from.u32()?, bytes: from.u64()? },
            12 => Self::Refill { library: library(from)? },
            13 => {
                let instance = instance(from)?;
                let mut ids = Vec::new();
                for _ in 0..from.u16()? {
                    ids.push(EventId(from.u64()?));
                }
                Self::Gone { instance, ids }
            }
            14 => Self::Restored,
            18 => Self::Status(Topic::read(from)?),
            19 => Self::Rights { instance: instance(from)? },
            _ => return Self::read_move(kind, from),
        })
    }

    fn read_move(kind: u16, from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            15 => Self::MoveChannel {
                private: Incarnation(from.u128()?),
                linked: bool_of(from.u8()?)?,
                name: read_name(from)?,
            },
            16 => Self::MoveRetained {
                private: Incarnation(from.u128()?),
                left: Span(from.u64()?),
                record: Box::new(read_record(from)?),
            },
            17 => Self::MoveEnd,
            _ => return Err(Malformed),
        })
    }
}

impl Request {
    /// The request as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u16(self.body.kind());
        to.u16(0);
        to.u32(self.id);
        self.barrier.iter().for_each(|position| to.u64(*position));
        self.body.write(&mut to);
        to.0
    }

    /// Reads a request.
    ///
    /// - [`Malformed`]: anything but exactly one request.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let kind = from.u16()?;
        from.u16()?;
        let id = from.u32()?;
        let mut barrier = Barrier::default();
        for position in &mut barrier {
            *position = from.u64()?;
        }
        let body = Body::read(kind, &mut from)?;
        from.end()?;
        Ok(Self { id, barrier, body })
    }
}

fn bool_of(number: u8) -> Result<bool, Malformed> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn library(from: &mut Reader<'_>) -> Result<LibraryNo, Malformed> {
    from.u32().map(LibraryNo)
}

fn instance(from: &mut Reader<'_>) -> Result<InstanceNo, Malformed> {
    from.u64().map(InstanceNo)
}

fn flags(from: &mut Reader<'_>) -> Result<OpenFlags, Malformed> {
    OpenFlags::from_bits(from.u8()?).ok_or(Malformed)
}

/// Filters of one subscription that a message may hold, whatever the limits say.
const FILTERS_MAX: u16 = 1024;

fn write_filters(filters: &Filters, to: &mut Writer) {
    to.u16(filters.0.len() as u16);
    for filter in &filters.0 {
        to.u8(match filter.kind {
            FilterKind::Prefix => 1,
            FilterKind::Suffix => 2,
            FilterKind::Exact => 3,
            FilterKind::PassAll => 4,
        });
        to.octets(&filter.bytes);
    }
}

fn read_filters(from: &mut Reader<'_>) -> Result<Filters, Malformed> {
    let mut filters = Vec::new();
    let number = from.u16()?;
    if number > FILTERS_MAX {
        return Err(Malformed);
    }
    for _ in 0..number {
        let kind = match from.u8()? {
            1 => FilterKind::Prefix,
            2 => FilterKind::Suffix,
            3 => FilterKind::Exact,
            4 => FilterKind::PassAll,
            _ => return Err(Malformed),
        };
        filters.push(Filter { kind, bytes: from.octets()?.to_vec() });
    }
    Ok(Filters(filters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::Priority;

    fn samples() -> Vec<Body> {
        let record = EventRecord {
            id: EventId(1 << 60),
            publish_time: -4,
            retention: Span(9),
            priority: Priority::LOWEST,
            attributes: vec![5; 3],
            data: vec![6; 70_000],
        };
        let private = Incarnation(u128::MAX - 3);
        let filters = Filters(vec![
            Filter { kind: FilterKind::Exact, bytes: b"a\0".to_vec() },
            Filter { kind: FilterKind::PassAll, bytes: Vec::new() },
        ]);
        let (library, instance) = (LibraryNo(7), InstanceNo::new(3, 9));
        let name = Name::new(&[0xff; 256]).unwrap();
        let flags = OpenFlags::all();
        let mut samples = vec![
            Body::Hello { version: 1, resumes: true, blocks: vec![(EventId(9), 4)] },
            Body::LibraryOpen { library, resumes: false },
            Body::LibraryClose { library },
            Body::Open { library, instance, flags, names_are_dns: true, asynchronous: true, name },
            Body::Close { instance },
            Body::Unlink { name },
            Body::Subscribe { instance, number: SubscriptionNo(5), filters },
            Body::Unsubscribe { instance, number: SubscriptionNo(5) },
            Body::RetentionClear { instance, id: EventId(u64::MAX) },
            Body::RestoreInstance { library, instance, incarnation: Incarnation(u128::MAX), flags },
            Body::Credit { events: 1, bytes: u64::MAX },
            Body::Restored,
            Body::Refill { library },
            Body::Gone { instance, ids: vec![EventId(1), EventId(2)] },
            Body::Rights { instance },
            Body::MoveChannel { private, linked: true, name },
            Body::MoveRetained { private, left: Span(7), record: Box::new(record) },
            Body::MoveEnd,
        ];
        samples.extend(super::super::status::tests::topics().into_iter().map(Body::Status));
        samples
    }

    #[test]
    fn every_request_comes_back_as_it_went() {
        for body in samples() {
            let request = Request { id: 77, barrier: [1, 2, 3, u64::MAX], body };
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn no_truncated_or_lengthened_request_is_taken() {
        for body in samples() {
            let mut bytes = Request { id: 1, barrier: [0; 4], body }.encode();
            for end in 0..bytes.len() {
                assert!(Request::decode(&bytes[..end]).is_err());
            }
            bytes.push(0);
            assert!(Request::decode(&bytes).is_err());
        }
    }
}
