//! Channel and publisher names: octet strings of at most 256 octets.

use super::Error;
use std::fmt;

/// An octet string of 0 to 256 octets. NUL is an octet like any other; nothing is normalized.
///
/// Kept inline, so that copying a name never allocates.
#[derive(Clone, Copy)]
pub struct Name {
    length: u16,
    octets: [u8; Self::OCTETS_MAX],
}

impl Name {
    /// `SA_MAX_NAME_LENGTH`.
    pub const OCTETS_MAX: usize = 256;
    /// The name without octets.
    pub const EMPTY: Self = Self { length: 0, octets: [0; Self::OCTETS_MAX] };
    /// How a channel name begins from release B.02 on.
    pub const CHANNEL_RDN: &'static [u8] = b"safChnl=";

    /// Copies a name.
    ///
    /// - [`Error::InvalidParam`]: more than 256 octets.
    pub fn new(octets: &[u8]) -> Result<Self, Error> {
        if octets.len() > Self::OCTETS_MAX {
            return Err(Error::InvalidParam);
        }
        let mut name = Self::EMPTY;
        name.length = octets.len() as u16;
        name.octets[..octets.len()].copy_from_slice(octets);
        Ok(name)
    }

    /// The octets that count.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// Whether there are no octets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the name is a distinguished name that begins with the channel's own part.
    #[must_use]
    pub fn is_channel_dn(&self) -> bool {
        self.octets().starts_with(Self::CHANNEL_RDN)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.octets() == other.octets()
    }
}
impl Eq for Name {}
impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.octets().cmp(other.octets())
    }
}
impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.octets().hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.octets().escape_ascii())
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_at_most_256_octets() {
        assert_eq!(Name::new(&[b'x'; 256]).unwrap().octets().len(), 256);
        assert_eq!(Name::new(&[b'x'; 257]).unwrap_err(), Error::InvalidParam);
    }

    #[test]
    fn a_counted_nul_makes_another_name() {
        assert_ne!(Name::new(b"x").unwrap(), Name::new(b"x\0").unwrap());
    }

    #[test]
    fn names_are_printed_escaped() {
        assert_eq!(Name::new(b"a\x1b[2J\n").unwrap().to_string(), "a\\x1b[2J\\n");
    }
}
