//! The messages of one group: a header of 16 bytes, little-endian, and what a member has sent.

use crate::transport::ServiceRange;

/// The form below. Messages of other forms are passed over, as if their sender were not there.
const FORM: u8 = 1;
/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 16;
const RANGE_BYTES: usize = 12;
/// Bytes of an address before the head of one of several.
pub(super) const ADDRESS_BYTES: usize = 8;

/// A member as corosync knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) node: u32,
    pub(super) pid: u32,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// All that the sender has bound.
    Bindings(Vec<ServiceRange>),
    /// For all who are bound inside a range.
    Multicast(ServiceRange),
    /// For one member.
    Send(Address),
    /// To one member: so much of what it has sent has been read, counted from when the two met.
    Credit(Address, u64),
    /// To one member: it does not read, and is down for the sender until it asks for readmission.
    Part(Address),
    /// To one member that has sent a `Part`: everything has been read.
    Readmit(Address),
    /// For several members: what goes before the rest for each, all of one length.
    Each(Vec<(Address, Vec<u8>)>),
}

fn header(kind: u8, words: [u32; 3]) -> Vec<u8> {
    let mut bytes = vec![FORM, kind, 0, 0];
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

impl Frame {
    /// The bytes of a frame with the message it carries.
    pub(super) fn to_bytes(&self, message: &[u8]) -> Vec<u8> {
        let one = |kind, to: &Address| header(kind, [to.node, to.pid, 0]);
        let mut bytes = match self {
            Self::Bindings(_) => header(1, [0; 3]),
            Self::Multicast(to) => header(2, [to.service_type, to.lower, to.upper]),
            Self::Send(to) => one(3, to),
            Self::Credit(to, _) => one(4, to),
            Self::Part(to) => one(5, to),
            Self::Readmit(to) => one(6, to),
            Self::Each(heads) => {
                let length = heads.first().map_or(0, |(_, head)| head.len());
                header(7, [heads.len() as u32, length as u32, 0])
            }
        };
        if let Self::Each(heads) = self {
            for (to, head) in heads {
                bytes.extend_from_slice(&to.node.to_le_bytes());
                bytes.extend_from_slice(&to.pid.to_le_bytes());
                bytes.extend_from_slice(head);
            }
        }
        if let Self::Bindings(ranges) = self {
            for range in ranges {
                for word in [range.service_type, range.lower, range.upper] {
                    bytes.extend_from_slice(&word.to_le_bytes());
                }
            }
        }
        if let Self::Credit(_, read) = self {
            bytes.extend_from_slice(&read.to_le_bytes());
        }
        bytes.extend_from_slice(message);
        bytes
    }

    /// Reads a frame; what it carries is behind the header. `None`: it is of another form.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
        let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
        let (first, second) = (word(&header[4..8])?, word(&header[8..12])?);
        let to = Address { node: first, pid: second };
        let is_bare = body.is_empty();
        match (header[0], header[1]) {
            (FORM, 1) if body.len().is_multiple_of(RANGE_BYTES) => {
                let ranges = body.chunks_exact(RANGE_BYTES).map(|chunk| {
                    let service_type = word(&chunk[..4])?;
                    let (lower, upper) = (word(&chunk[4..8])?, word(&chunk[8..])?);
                    Some(ServiceRange { service_type, lower, upper })
                });
                Some(Self::Bindings(ranges.collect::<Option<_>>()?))
            }
            (FORM, 2) => {
                let upper = word(&header[12..])?;
                Some(Self::Multicast(ServiceRange { service_type: first, lower: second, upper }))
            }
            (FORM, 3) => Some(Self::Send(to)),
            (FORM, 4) => Some(Self::Credit(to, u64::from_le_bytes(body.try_into().ok()?))),
            (FORM, 5) if is_bare => Some(Self::Part(to)),
            (FORM, 6) if is_bare => Some(Self::Readmit(to)),
            (FORM, 7) => read_heads(body, first as usize, second as usize),
            _ => None,
        }
    }
}

/// The heads of a message for several members: each behind an address.
fn read_heads(body: &[u8], number: usize, length: usize) -> Option<Frame> {
    let each = length.checked_add(ADDRESS_BYTES)?;
    let heads = body.get(..each.checked_mul(number)?)?;
    let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
    let heads = heads.chunks_exact(each).map(|entry| {
        let to = Address { node: word(&entry[..4])?, pid: word(&entry[4..ADDRESS_BYTES])? };
        Some((to, entry[ADDRESS_BYTES..].to_vec()))
    });
    Some(Frame::Each(heads.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: Address = Address { node: 3, pid: 70_000 };

    #[test]
    fn frames_come_back_as_they_were() {
        let range = ServiceRange { service_type: 9, lower: 1, upper: u32::MAX };
        for frame in [
            Frame::Bindings(Vec::new()),
            Frame::Bindings(vec![range, ServiceRange::instance(1, 2)]),
            Frame::Multicast(range),
            Frame::Send(TO),
            Frame::Credit(TO, 1 << 40),
            Frame::Part(TO),
            Frame::Readmit(TO),
            Frame::Each(Vec::new()),
            Frame::Each(vec![(TO, b"one".to_vec()), (Address { node: 4, ..TO }, b"two".to_vec())]),
        ] {
            assert_eq!(Frame::of_bytes(&frame.to_bytes(&[])), Some(frame));
        }
        let bytes = Frame::Send(TO).to_bytes(b"message");
        assert_eq!(Frame::of_bytes(&bytes), Some(Frame::Send(TO)));
        assert_eq!(&bytes[HEADER_BYTES..], b"message");
    }

    #[test]
    fn what_is_cut_or_of_another_form_is_passed_over() {
        let whole = Frame::Credit(TO, 7).to_bytes(&[]);
        for length in 0..whole.len() {
            assert_eq!(Frame::of_bytes(&whole[..length]), None, "{length} bytes");
        }
        let heads = Frame::Each(vec![(TO, b"head".to_vec())]).to_bytes(&[]);
        for length in 0..heads.len() {
            assert_eq!(Frame::of_bytes(&heads[..length]), None, "{length} bytes");
        }
        let mut endless = heads;
        endless[4..12].fill(0xff);
        assert_eq!(Frame::of_bytes(&endless), None);
        let mut newer = Frame::Send(TO).to_bytes(b"message");
        newer[0] = FORM + 1;
        assert_eq!(Frame::of_bytes(&newer), None);
        let ranges = Frame::Bindings(vec![ServiceRange::whole(1)]).to_bytes(&[0]);
        assert_eq!(Frame::of_bytes(&ranges), None);
        assert_eq!(Frame::of_bytes(&Frame::Part(TO).to_bytes(&[0])), None);
    }
}
