//! The packets of one connection: a header of four bytes, and what it says.

use crate::transport::{BINDINGS_MAX, ServiceRange};

/// The form below. A connection that begins with another is ended.
const FORM: u8 = 1;
const HELLO: u8 = 1;
const BINDINGS: u8 = 2;
const MESSAGE: u8 = 3;
/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 4;

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The first one each way: the port under which the sender is found, and the service.
    Hello(u32, &'a [u8]),
    /// All that the sender has bound.
    Bindings(Vec<ServiceRange>),
    /// A message.
    Message(&'a [u8]),
}

const fn header(kind: u8) -> [u8; HEADER_BYTES] {
    [FORM, kind, 0, 0]
}

/// A message that is ready to be sent.
pub(super) fn message(bytes: &[u8]) -> Vec<u8> {
    [&header(MESSAGE), bytes].concat()
}

/// The first packet.
pub(super) fn hello(port: u32, service: &str) -> Vec<u8> {
    [&header(HELLO), &port.to_le_bytes(), service.as_bytes()].concat()
}

/// All that is bound.
pub(super) fn bindings(ranges: &[ServiceRange]) -> Vec<u8> {
    let mut bytes = header(BINDINGS).to_vec();
    for range in ranges {
        for word in [range.service_type, range.lower, range.upper] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None`: nobody who keeps to the form has sent it.
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
        let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
        match *header {
            [FORM, HELLO, ..] => {
                let (port, service) = body.split_at_checked(4)?;
                Some(Self::Hello(word(port)?, service))
            }
            [FORM, BINDINGS, ..] if body.len().is_multiple_of(12) => {
                let ranges = body.chunks_exact(12).map(|chunk| {
                    let service_type = word(&chunk[..4])?;
                    let (lower, upper) = (word(&chunk[4..8])?, word(&chunk[8..])?);
                    Some(ServiceRange { service_type, lower, upper }).filter(|r| !r.is_empty())
                });
                let ranges = ranges.collect::<Option<Vec<_>>>()?;
                (ranges.len() <= BINDINGS_MAX).then_some(Self::Bindings(ranges))
            }
            [FORM, MESSAGE, ..] => Some(Self::Message(body)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were() {
        let ranges = vec![ServiceRange::whole(3), ServiceRange::instance(4, 5)];
        assert_eq!(Packet::of_bytes(&bindings(&ranges)), Some(Packet::Bindings(ranges)));
        assert_eq!(Packet::of_bytes(&hello(77, "name")), Some(Packet::Hello(77, b"name")));
        assert_eq!(Packet::of_bytes(&message(b"")), Some(Packet::Message(b"")));
        assert_eq!(Packet::of_bytes(&message(b"text")), Some(Packet::Message(b"text")));
    }

    #[test]
    fn what_does_not_keep_to_the_form_is_nonsense() {
        let ranges = bindings(&[ServiceRange::whole(3)]);
        for bytes in [&ranges[..ranges.len() - 1], &hello(77, "")[..7], b"\x01\x03\x00", b""] {
            assert_eq!(Packet::of_bytes(bytes), None, "{bytes:?}");
        }
        let mut newer = message(b"text");
        newer[0] = FORM + 1;
        assert_eq!(Packet::of_bytes(&newer), None);
        let empty = ServiceRange { service_type: 1, lower: 2, upper: 1 };
        assert_eq!(Packet::of_bytes(&bindings(&[empty])), None);
        let many = vec![ServiceRange::whole(1); BINDINGS_MAX + 1];
        assert_eq!(Packet::of_bytes(&bindings(&many)), None);
    }
}
