//! What the node answers.

use super::bytes::{Malformed, Reader, Writer};
use super::status::Page;
use crate::evt::{Error, EventId, Incarnation, Limits, OpenFlags, Span};

/// The outcome of a request.
pub type Code = Result<(), Error>;

/// One reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The request's id; 0 for what the node says unasked.
    pub id: u32,
    /// The outcome.
    pub code: Code,
    /// What else there is to say.
    pub body: Body,
}

/// What a reply carries beside its code.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The fields are what their types say.
pub enum Body {
    /// Nothing.
    None,
    /// To a hello: the link version, the bytes of each ring of the outbox, the limits, and
    /// the number of the segment whose memory comes along as the last descriptor; 0 for none.
    Welcome { version: u32, outbox_bytes: u32, segment: u64, limits: Box<Limits> },
    /// To an open, and to the restoration of an instance: which channel it is.
    Opened { incarnation: Incarnation },
    /// To a `Gone` request: those that are gone.
    Gone { ids: Vec<EventId> },
    /// To a refill: how many events wait behind the window.
    Queued { events: u64 },
    /// To a question about the node.
    Status(Box<Page>),
    /// What an open instance may do of what it was opened for: publish, subscribe.
    Rights { rights: OpenFlags },
    /// Unasked: the service has moved to the system's node; restore there.
    Moved,
}

const CODES: [Error; 16] = [
    Error::Library,
    Error::Version,
    Error::Init,
    Error::Timeout,
    Error::TryAgain,
    Error::InvalidParam,
    Error::NoMemory,
    Error::BadHandle,
    Error::Access,
    Error::NotExist,
    Error::Exist,
    Error::NoSpace,
    Error::NoResources,
    Error::BadFlags,
    Error::TooBig,
    Error::Unavailable,
];

fn code_number(code: Code) -> u16 {
    let Err(error) = code else { return 0 };
    CODES.iter().position(|known| *known == error).map_or(1, |index| index as u16 + 1)
}

fn code_of(number: u16) -> Result<Code, Malformed> {
    match number.checked_sub(1) {
        None => Ok(Ok(())),
        Some(index) => CODES.get(usize::from(index)).map(|error| Err(*error)).ok_or(Malformed),
    }
}

impl Reply {
    /// The reply as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u16(match &self.body {
            Body::None => 1,
            Body::Welcome { .. } => 2,
            Body::Opened { .. } => 3,
            Body::Gone { .. } => 4,
            Body::Moved => 5,
            Body::Queued { .. } => 6,
            Body::Status(_) => 7,
            Body::Rights { .. } => 8,
        });
        to.u16(code_number(self.code));
        to.u32(self.id);
        match &self.body {
            Body::None | Body::Moved => {}
            Body::Welcome { version, outbox_bytes, segment, limits } => {
                to.u32(*version);
                to.u32(*outbox_bytes);
                to.u64(*segment);
                write_limits(limits, &mut to);
            }
            Body::Opened { incarnation } => to.u128(incarnation.0),
            Body::Queued { events } => to.u64(*events),
            Body::Status(page) => page.write(&mut to),
            Body::Rights { rights } => to.u8(rights.bits()),
            Body::Gone { ids } => {
                to.u16(ids.len() as u16);
                ids.iter().for_each(|id| to.u64(id.0));
            }
        }
        to.0
    }

    /// Reads a reply.
    ///
    /// - [`Malformed`]: anything but exactly one reply.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let kind = from.u16()?;
        let code = code_of(from.u16()?)?;
        let id = from.u32()?;
        let body = match kind {
            1 => Body::None,
            2 => Body::Welcome {
                version: from.u32()?,
                outbox_bytes: from.u32()?,
                segment: from.u64()?,
                limits: Box::new(read_limits(&mut from)?),
            },
            3 => Body::Opened { incarnation: Incarnation(from.u128()?) },
            4 => {
                let mut ids = Vec::new();
                for _ in 0..from.u16()? {
                    ids.push(EventId(from.u64()?));
                }
                Body::Gone { ids }
            }
            5 => Body::Moved,
            6 => Body::Queued { events: from.u64()? },
            7 => Body::Status(Box::new(Page::read(&mut from)?)),
            8 => Body::Rights { rights: OpenFlags::from_bits(from.u8()?).ok_or(Malformed)? },
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(Self { id, code, body })
    }
}

/// What an agent needs to know of the limits; the others are the node's own business.
fn write_limits(limits: &Limits, to: &mut Writer) {
    to.u64(limits.channels_max);
    to.u64(limits.event_bytes_max);
    to.u64(limits.pattern_bytes_max);
    to.u64(limits.patterns_max);
    to.u64(limits.retention_max.0);
    to.u64(limits.libraries_per_process_max);
    to.u64(limits.instances_per_process_max);
    to.u8(u8::from(limits.channel_names_are_dns));
}

fn read_limits(from: &mut Reader<'_>) -> Result<Limits, Malformed> {
    Ok(Limits {
        channels_max: from.u64()?,
        event_bytes_max: from.u64()?,
        pattern_bytes_max: from.u64()?,
        patterns_max: from.u64()?,
        retention_max: Span(from.u64()?),
        libraries_per_process_max: from.u64()?,
        instances_per_process_max: from.u64()?,
        channel_names_are_dns: from.u8()? == 1,
        ..Limits::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Body> {
        let limits = Box::new(Limits { channels_max: 3, ..Limits::default() });
        let mut samples = vec![
            Body::None,
            Body::Welcome { version: 1, outbox_bytes: 2, segment: 3, limits },
            Body::Opened { incarnation: Incarnation(u128::MAX - 1) },
            Body::Gone { ids: vec![EventId(5)] },
            Body::Moved,
            Body::Queued { events: 9 },
            Body::Rights { rights: OpenFlags::RIGHTS },
        ];
        let pages = super::super::status::tests::pages().into_iter();
        samples.extend(pages.map(|page| Body::Status(Box::new(page))));
        samples
    }

    #[test]
    fn every_reply_comes_back_as_it_went() {
        for body in samples() {
            let reply = Reply { id: 5, code: Ok(()), body };
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
        for error in CODES {
            let reply = Reply { id: 0, code: Err(error), body: Body::None };
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
    }

    #[test]
    fn no_truncated_or_lengthened_reply_is_taken() {
        for body in samples() {
            let mut bytes = Reply { id: 1, code: Ok(()), body }.encode();
            for end in 0..bytes.len() {
                assert!(Reply::decode(&bytes[..end]).is_err());
            }
            bytes.push(0);
            assert!(Reply::decode(&bytes).is_err());
        }
    }
}
