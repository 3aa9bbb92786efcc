//! What an event says of itself: patterns and publisher name in one flat block, and the priority.
//!
//! The block is the same in a program, in the rings and in the node, so that passing an event on
//! is one copy. Little-endian: publisher length (u16), number of patterns (u16), the size of each
//! pattern (u16), the publisher's octets, the patterns' bytes. Bytes outside are judged once, by
//! [`AttributesRef::parse`].

use super::{Error, Limits, Name};

/// `SaEvtEventPriorityT`: 0 is the highest, 3 the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// `SA_EVT_HIGHEST_PRIORITY`.
    pub const HIGHEST: Self = Self(0);
    /// `SA_EVT_LOWEST_PRIORITY`.
    pub const LOWEST: Self = Self(3);
    /// How many levels there are.
    pub const LEVELS: usize = 4;
    /// All levels, the highest first.
    pub const ALL: [Self; Self::LEVELS] = [Self(0), Self(1), Self(2), Self(3)];

    /// The level of a number.
    ///
    /// - [`Error::InvalidParam`]: above 3.
    pub const fn new(number: u8) -> Result<Self, Error> {
        if number > 3 { Err(Error::InvalidParam) } else { Ok(Self(number)) }
    }

    /// The number, 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        // The mask changes nothing: it saves tables of all levels their checks.
        (self.0 & 3) as usize
    }
}

const HEADER: usize = 4;

/// Patterns and publisher name, packed and owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    packed: Vec<u8>,
}

impl Attributes {
    /// Packs a publisher name and patterns given one by one.
    ///
    /// - [`Error::TooBig`]: more patterns, or a larger pattern, than the packed form can count
    ///   (65535 each). The configured limits are checked by [`AttributesRef::within`].
    /// - [`Error::NoMemory`].
    pub fn pack<'a, I>(publisher: &Name, patterns: I) -> Result<Self, Error>
    where
        I: ExactSizeIterator<Item = &'a [u8]> + Clone,
    {
        let count = u16::try_from(patterns.len()).map_err(|_| Error::TooBig)?;
        let mut bytes = HEADER + 2 * usize::from(count) + publisher.octets().len();
        for pattern in patterns.clone() {
            u16::try_from(pattern.len()).map_err(|_| Error::TooBig)?;
            bytes += pattern.len();
        }
        let mut packed = Vec::new();
        packed.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
        packed.extend_from_slice(&(publisher.octets().len() as u16).to_le_bytes());
        packed.extend_from_slice(&count.to_le_bytes());
        for pattern in patterns.clone() {
            packed.extend_from_slice(&(pattern.len() as u16).to_le_bytes());
        }
        packed.extend_from_slice(publisher.octets());
        for pattern in patterns {
            packed.extend_from_slice(pattern);
        }
        Ok(Self { packed })
    }

    /// No patterns, no publisher name.
    pub fn empty() -> Result<Self, Error> {
        Self::pack(&Name::EMPTY, std::iter::empty())
    }

    /// A view for reading.
    #[must_use]
    pub fn view(&self) -> AttributesRef<'_> {
        AttributesRef { packed: &self.packed }
    }

    /// The packed bytes.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }
}

/// A checked view of packed attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributesRef<'a> {
    packed: &'a [u8],
}

impl<'a> AttributesRef<'a> {
    /// Checks that `packed` is exactly one well-formed block.
    ///
    /// - [`Error::InvalidParam`]: lengths that do not add up, or a publisher above 256 octets.
    pub fn parse(packed: &'a [u8]) -> Result<Self, Error> {
        let publisher = read_u16(packed, 0).ok_or(Error::InvalidParam)?;
        let count = read_u16(packed, 2).ok_or(Error::InvalidParam)?;
        if publisher > Name::OCTETS_MAX {
            return Err(Error::InvalidParam);
        }
        let mut bytes = HEADER + 2 * count + publisher;
        for index in 0..count {
            bytes += read_u16(packed, HEADER + 2 * index).ok_or(Error::InvalidParam)?;
        }
        if bytes == packed.len() { Ok(Self { packed }) } else { Err(Error::InvalidParam) }
    }

    /// Checks the number and the sizes of the patterns.
    ///
    /// - [`Error::TooBig`]: above `patterns_max` or `pattern_bytes_max`.
    pub fn within(&self, limits: &Limits) -> Result<(), Error> {
        let fits = self.patterns_number() as u64 <= limits.patterns_max
            && self.patterns().all(|pattern| pattern.len() as u64 <= limits.pattern_bytes_max);
        if fits { Ok(()) } else { Err(Error::TooBig) }
    }

    /// The packed bytes.
    #[must_use]
    pub const fn packed(&self) -> &'a [u8] {
        self.packed
    }

    /// How many patterns there are.
    #[must_use]
    pub fn patterns_number(&self) -> usize {
        usize::from(u16::from_le_bytes([self.packed[2], self.packed[3]]))
    }

    fn publisher_bytes(&self) -> usize {
        usize::from(u16::from_le_bytes([self.packed[0], self.packed[1]]))
    }

    /// The publisher name's octets.
    #[must_use]
    pub fn publisher(&self) -> &'a [u8] {
        let start = HEADER + 2 * self.patterns_number();
        &self.packed[start..start + self.publisher_bytes()]
    }

    /// The first pattern; empty if there is none (an absent pattern matches like an empty one).
    #[must_use]
    pub fn first_pattern(&self) -> &'a [u8] {
        self.patterns().next().unwrap_or_default()
    }

    /// The patterns in order.
    #[must_use]
    pub fn patterns(&self) -> Patterns<'a> {
        let count = self.patterns_number();
        let sizes = &self.packed[HEADER..HEADER + 2 * count];
        let bytes = &self.packed[HEADER + 2 * count + self.publisher_bytes()..];
        Patterns { sizes, bytes }
    }
}

/// Walks over the patterns of an event.
#[derive(Debug, Clone)]
pub struct Patterns<'a> {
    sizes: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Iterator for Patterns<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (size, sizes) = self.sizes.split_first_chunk::<2>()?;
        let (pattern, bytes) = self.bytes.split_at(usize::from(u16::from_le_bytes(*size)));
        (self.sizes, self.bytes) = (sizes, bytes);
        Some(pattern)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.sizes.len() / 2;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Patterns<'_> {}

fn read_u16(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_le_bytes([pair[0], pair[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(publisher: &[u8], patterns: &[&[u8]]) -> Attributes {
        Attributes::pack(&Name::new(publisher).unwrap(), patterns.iter().copied()).unwrap()
    }

    #[test]
    fn what_is_packed_can_be_read_again() {
        let packed = pack(b"me", &[b"a\0b", b"", b"zz"]);
        let view = AttributesRef::parse(packed.packed()).unwrap();
        assert_eq!(view.publisher(), b"me");
        assert_eq!(view.patterns().collect::<Vec<_>>(), [b"a\0b".as_slice(), b"", b"zz"]);
        assert_eq!(view.first_pattern(), b"a\0b");
        assert_eq!(pack(b"", &[]).view().first_pattern(), b"");
    }

    #[test]
    fn every_truncated_or_lengthened_block_is_refused() {
        let packed = pack(b"me", &[b"abc", b"d"]);
        for end in 0..packed.packed().len() {
            assert!(AttributesRef::parse(&packed.packed()[..end]).is_err(), "{end}");
        }
        let mut longer = packed.packed().to_vec();
        longer.push(0);
        assert!(AttributesRef::parse(&longer).is_err());
    }

    #[test]
    fn limits_count_patterns_and_bytes_of_each() {
        let limits = Limits { patterns_max: 2, pattern_bytes_max: 3, ..Limits::default() };
        assert_eq!(pack(b"", &[b"abc", b"abc"]).view().within(&limits), Ok(()));
        assert_eq!(pack(b"", &[b"abcd"]).view().within(&limits), Err(Error::TooBig));
        assert_eq!(pack(b"", &[b"", b"", b""]).view().within(&limits), Err(Error::TooBig));
    }
}
