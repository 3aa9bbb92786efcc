//! The records in the rings. Little-endian, fixed width, the same for 32-bit programs; frozen for
//! link version 1. Payload bytes follow the header: packed attributes, then data.

/// The link version this layout belongs to.
pub const VERSION: u32 = 1;

/// Bytes of an outbox record's header.
pub const OUT_HEADER: usize = 48;
/// Bytes of an inbox record's header.
pub const IN_HEADER: usize = 64;
/// Bytes of a reference.
pub const REFERENCE: usize = 16;

/// A publication on its way to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutHeader {
    /// `InstanceNo`.
    pub instance: u64,
    /// `EventId`.
    pub id: u64,
    /// Nanoseconds since the epoch.
    pub publish_time: i64,
    /// Retention time in nanoseconds.
    pub retention: u64,
    /// Bytes of packed attributes.
    pub attributes_bytes: u32,
    /// Bytes of data.
    pub data_bytes: u32,
}

impl OutHeader {
    /// The header as bytes.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; OUT_HEADER] {
        let mut to = [0; OUT_HEADER];
        to[0..8].copy_from_slice(&self.instance.to_le_bytes());
        to[8..16].copy_from_slice(&self.id.to_le_bytes());
        to[16..24].copy_from_slice(&self.publish_time.to_le_bytes());
        to[24..32].copy_from_slice(&self.retention.to_le_bytes());
        to[32..36].copy_from_slice(&self.attributes_bytes.to_le_bytes());
        to[36..40].copy_from_slice(&self.data_bytes.to_le_bytes());
        to
    }

    /// Reads a header.
    #[inline]
    #[must_use]
    pub fn decode(from: &[u8; OUT_HEADER]) -> Self {
        Self {
            instance: u64_at(from, 0),
            id: u64_at(from, 8),
            publish_time: u64_at(from, 16) as i64,
            retention: u64_at(from, 24),
            attributes_bytes: u32_at(from, 32),
            data_bytes: u32_at(from, 36),
        }
    }

    /// Bytes of the whole record.
    #[must_use]
    pub const fn record_bytes(&self) -> u64 {
        OUT_HEADER as u64 + self.attributes_bytes as u64 + self.data_bytes as u64
    }
}

/// What an inbox record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InKind {
    /// Nothing: skips to the end of the ring. Only its first eight bytes exist.
    #[default]
    Pad,
    /// An event for a subscription.
    Event,
    /// The lost-event of an open instance.
    Lost,
    /// An event that the program's own side has withdrawn before it was read.
    Withdrawn,
    /// An event for a subscription whose data are in a segment: those of the record are a
    /// [`Reference`].
    Shared,
}

impl InKind {
    const fn number(self) -> u32 {
        match self {
            Self::Pad => 1,
            Self::Event => 2,
            Self::Lost => 3,
            Self::Withdrawn => 4,
            Self::Shared => 5,
        }
    }

    /// The kind of a number; `None` is nonsense.
    #[inline]
    #[must_use]
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Pad),
            2 => Some(Self::Event),
            3 => Some(Self::Lost),
            4 => Some(Self::Withdrawn),
            5 => Some(Self::Shared),
            _ => None,
        }
    }
}

/// A delivery on its way to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InHeader {
    /// Bytes of the whole record, a multiple of eight.
    pub bytes: u32,
    /// What it is.
    pub kind: InKind,
    /// `InstanceNo`.
    pub instance: u64,
    /// `SubscriptionNo`.
    pub subscription: u32,
    /// Bytes of packed attributes.
    pub attributes_bytes: u32,
    /// Bytes of data.
    pub data_bytes: u32,
    /// 0 to 3.
    pub priority: u32,
    /// `EventId`.
    pub id: u64,
    /// Nanoseconds since the epoch.
    pub publish_time: i64,
    /// Retention time as the publisher set it.
    pub retention: u64,
    /// Retention time left when the record was written.
    pub left: u64,
}

impl InHeader {
    /// The header as bytes.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; IN_HEADER] {
        let mut to = [0; IN_HEADER];
        to[..8].copy_from_slice(&Self::first_word(self.kind, self.bytes));
        to[8..16].copy_from_slice(&self.instance.to_le_bytes());
        to[16..20].copy_from_slice(&self.subscription.to_le_bytes());
        to[20..24].copy_from_slice(&self.attributes_bytes.to_le_bytes());
        to[24..28].copy_from_slice(&self.data_bytes.to_le_bytes());
        to[28..32].copy_from_slice(&self.priority.to_le_bytes());
        to[32..40].copy_from_slice(&self.id.to_le_bytes());
        to[40..48].copy_from_slice(&self.publish_time.to_le_bytes());
        to[48..56].copy_from_slice(&self.retention.to_le_bytes());
        to[56..64].copy_from_slice(&self.left.to_le_bytes());
        to
    }

    /// The first eight bytes of a record: length and kind.
    #[must_use]
    pub fn first_word(kind: InKind, bytes: u32) -> [u8; 8] {
        let mut to = [0; 8];
        to[..4].copy_from_slice(&bytes.to_le_bytes());
        to[4..].copy_from_slice(&kind.number().to_le_bytes());
        to
    }

    /// The length and the kind that a header begins with.
    #[inline]
    #[must_use]
    pub fn first_of(from: &[u8; IN_HEADER]) -> (u64, Option<InKind>) {
        (u64::from(u32_at(from, 0)), InKind::of(u32_at(from, 4)))
    }

    /// Reads a header. `None` if kind or lengths are nonsense.
    #[inline]
    #[must_use]
    pub fn decode(from: &[u8; IN_HEADER]) -> Option<Self> {
        let header = Self {
            bytes: u32_at(from, 0),
            kind: InKind::of(u32_at(from, 4))?,
            instance: u64_at(from, 8),
            subscription: u32_at(from, 16),
            attributes_bytes: u32_at(from, 20),
            data_bytes: u32_at(from, 24),
            priority: u32_at(from, 28),
            id: u64_at(from, 32),
            publish_time: u64_at(from, 40) as i64,
            retention: u64_at(from, 48),
            left: u64_at(from, 56),
        };
        let content = header.content_bytes();
        (u64::from(header.bytes) >= content && header.priority < 4).then_some(header)
    }

    /// Bytes of header, attributes and data without what rounds up to the record's length.
    #[inline]
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        IN_HEADER as u64 + self.attributes_bytes as u64 + self.data_bytes as u64
    }
}

/// Where in a segment the data of an event are: the data of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The number of the segment.
    pub segment: u64,
    /// Where in it they begin.
    pub offset: u32,
    /// How many bytes.
    pub bytes: u32,
}

impl Reference {
    /// The reference as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REFERENCE] {
        let mut to = [0; REFERENCE];
        to[..8].copy_from_slice(&self.segment.to_le_bytes());
        to[8..12].copy_from_slice(&self.offset.to_le_bytes());
        to[12..].copy_from_slice(&self.bytes.to_le_bytes());
        to
    }

    /// Reads a reference.
    #[must_use]
    pub fn decode(from: &[u8; REFERENCE]) -> Self {
        Self { segment: u64_at(from, 0), offset: u32_at(from, 8), bytes: u32_at(from, 12) }
    }
}

#[inline]
fn u32_at(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([from[at], from[at + 1], from[at + 2], from[at + 3]])
}

#[inline]
fn u64_at(from: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&from[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_went() {
        let out = OutHeader {
            instance: 1 << 40 | 3,
            id: u64::MAX - 7,
            publish_time: -5,
            retention: 9,
            attributes_bytes: 70_000,
            data_bytes: 65_536,
        };
        assert_eq!(OutHeader::decode(&out.encode()), out);
        let delivery = InHeader {
            bytes: 128,
            kind: InKind::Lost,
            instance: 1 << 40 | 3,
            subscription: 8,
            attributes_bytes: 40,
            data_bytes: 24,
            priority: 3,
            id: 1 << 60,
            publish_time: i64::MIN,
            retention: 7,
            left: 6,
        };
        assert_eq!(InHeader::decode(&delivery.encode()), Some(delivery));
    }

    /// Programs keep an old library mapped for years: these bytes never change for version 1.
    #[test]
    fn the_bytes_of_version_1_are_frozen() {
        assert_eq!(VERSION, 1);
        let out = OutHeader {
            instance: 0x0102_0304_0506_0708,
            id: 0x1112_1314_1516_1718,
            publish_time: 0x2122_2324_2526_2728,
            retention: 0x3132_3334_3536_3738,
            attributes_bytes: 0x4142_4344,
            data_bytes: 0x5152_5354,
        };
        let mut expected = vec![8, 7, 6, 5, 4, 3, 2, 1];
        for high in [0x10, 0x20, 0x30] {
            expected.extend((1..=8).rev().map(|low| high | low));
        }
        expected.extend([0x44, 0x43, 0x42, 0x41, 0x54, 0x53, 0x52, 0x51]);
        expected.extend([0; 8]);
        assert_eq!(out.encode().to_vec(), expected);
        let delivery = InHeader {
            bytes: 0x0102_0304,
            kind: InKind::Event,
            instance: 0x1112_1314_1516_1718,
            subscription: 0x2122_2324,
            attributes_bytes: 0x3132_3334,
            data_bytes: 0x4142_4344,
            priority: 3,
            id: 0x5152_5354_5556_5758,
            publish_time: 0x6162_6364_6566_6768,
            retention: 0x7172_7374_7576_7778,
            left: 0x0182_0384_0586_0788,
        };
        let mut expected = vec![4, 3, 2, 1, 2, 0, 0, 0];
        expected.extend((0x11..=0x18).rev());
        expected.extend([0x24, 0x23, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31]);
        expected.extend([0x44, 0x43, 0x42, 0x41, 3, 0, 0, 0]);
        for high in [0x50, 0x60, 0x70] {
            expected.extend((1..=8).rev().map(|low| high | low));
        }
        expected.extend([0x88, 7, 0x86, 5, 0x84, 3, 0x82, 1]);
        assert_eq!(delivery.encode().to_vec(), expected);
        assert_eq!(InKind::of(1), Some(InKind::Pad));
        assert_eq!(InKind::of(3), Some(InKind::Lost));
        assert_eq!(InKind::of(4), Some(InKind::Withdrawn));
        assert_eq!(InKind::of(5), Some(InKind::Shared));
        let (segment, offset, bytes) = (0x0102_0304_0506_0708, 0x1112_1314, 0x2122_2324);
        let to = Reference { segment, offset, bytes };
        let expected = [8, 7, 6, 5, 4, 3, 2, 1, 0x14, 0x13, 0x12, 0x11, 0x24, 0x23, 0x22, 0x21];
        assert_eq!(to.encode(), expected);
        assert_eq!(Reference::decode(&to.encode()), to);
    }

    #[test]
    fn lengths_that_do_not_add_up_are_nonsense() {
        let mut header = InHeader {
            bytes: 64,
            kind: InKind::Event,
            instance: 0,
            subscription: 0,
            attributes_bytes: 0,
            data_bytes: 0,
            priority: 0,
            id: 0,
            publish_time: 0,
            retention: 0,
            left: 0,
        };
        assert!(InHeader::decode(&header.encode()).is_some());
        header.data_bytes = 1;
        assert!(InHeader::decode(&header.encode()).is_none());
        header.data_bytes = 0;
        header.priority = 4;
        assert!(InHeader::decode(&header.encode()).is_none());
        assert_eq!(InKind::of(0), None);
        assert_eq!(InKind::of(6), None);
    }
}
