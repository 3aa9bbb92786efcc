//! Filters and when they match.

use super::{AttributesRef, Error, Limits};

/// How a filter compares. Source: SAI-AIS-EVT-B.03.01, SaEvtEventFilterTypeT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FilterKind {
    /// The pattern begins with the filter.
    Prefix,
    /// The pattern ends with the filter.
    Suffix,
    /// Pattern and filter are the same bytes.
    Exact,
    /// Every pattern matches; the filter's bytes are not looked at.
    PassAll,
}

/// One filter of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// How it compares.
    pub kind: FilterKind,
    /// With what; empty for [`FilterKind::PassAll`].
    pub bytes: Vec<u8>,
}

impl Filter {
    /// Takes patterns that begin with these bytes.
    pub fn prefix(bytes: impl AsRef<[u8]>) -> Self {
        Self { kind: FilterKind::Prefix, bytes: bytes.as_ref().to_vec() }
    }

    /// Takes patterns that end with these bytes.
    pub fn suffix(bytes: impl AsRef<[u8]>) -> Self {
        Self { kind: FilterKind::Suffix, bytes: bytes.as_ref().to_vec() }
    }

    /// Takes patterns that are these bytes.
    pub fn exact(bytes: impl AsRef<[u8]>) -> Self {
        Self { kind: FilterKind::Exact, bytes: bytes.as_ref().to_vec() }
    }

    /// Takes every pattern.
    #[must_use]
    pub const fn pass_all() -> Self {
        Self { kind: FilterKind::PassAll, bytes: Vec::new() }
    }

    /// Whether the filter matches one pattern. An absent pattern is an empty one.
    #[must_use]
    pub fn matches(&self, pattern: &[u8]) -> bool {
        match self.kind {
            FilterKind::Prefix => pattern.starts_with(&self.bytes),
            FilterKind::Suffix => pattern.ends_with(&self.bytes),
            FilterKind::Exact => pattern == self.bytes,
            FilterKind::PassAll => true,
        }
    }
}

/// The filters of one subscription, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters(pub Vec<Filter>);

impl Filters {
    /// Whether every filter matches its pattern. Surplus filters meet an empty pattern, surplus
    /// patterns match, and no filters match everything.
    #[must_use]
    pub fn matches(&self, attributes: AttributesRef<'_>) -> bool {
        let mut patterns = attributes.patterns();
        self.0.iter().all(|filter| filter.matches(patterns.next().unwrap_or_default()))
    }

    /// Checks the number and the sizes.
    ///
    /// - [`Error::TooBig`]: above the limits for patterns.
    pub fn within(&self, limits: &Limits) -> Result<(), Error> {
        let fits = self.0.len() as u64 <= limits.patterns_max
            && self.0.iter().all(|filter| filter.bytes.len() as u64 <= limits.pattern_bytes_max);
        if fits { Ok(()) } else { Err(Error::TooBig) }
    }

    /// Bytes that the filters keep in memory, for accounts.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        self.0.iter().map(|filter| filter.bytes.len() as u64 + 32).sum::<u64>() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attributes, Name};
    use super::FilterKind::{Exact, PassAll, Prefix, Suffix};
    use super::*;

    fn matches(filters: &[(FilterKind, &[u8])], patterns: &[&[u8]]) -> bool {
        let filters =
            filters.iter().map(|(kind, bytes)| Filter { kind: *kind, bytes: bytes.to_vec() });
        let event = Attributes::pack(&Name::EMPTY, patterns.iter().copied()).unwrap();
        Filters(filters.collect()).matches(event.view())
    }

    #[test]
    fn the_examples_of_the_contract_hold() {
        assert!(matches(&[], &[b"any"]));
        assert!(matches(&[], &[]));
        assert!(matches(&[(PassAll, b"")], &[]));
        assert!(matches(&[(Exact, b"")], &[]));
        assert!(!matches(&[(Exact, b"a")], &[]));
        assert!(matches(&[(Exact, b"a"), (Suffix, b"")], &[b"a"]));
        assert!(!matches(&[(Exact, b"a"), (Prefix, b"b")], &[b"a"]));
        assert!(matches(&[(Exact, b"a")], &[b"a", b"zzz"]));
        assert!(matches(&[(PassAll, b""), (Exact, b"b")], &[b"x", b"b"]));
        assert!(!matches(&[(Prefix, b"abc")], &[b"ab"]));
        assert!(matches(&[(Suffix, b"abc")], &[b"abc"]));
        assert!(!matches(&[(Exact, b"a\0")], &[b"a"]));
    }

    #[test]
    fn empty_filters_and_patterns_follow_the_table() {
        for kind in [Prefix, Suffix] {
            assert!(matches(&[(kind, b"")], &[b""]));
            assert!(matches(&[(kind, b"")], &[b"x"]));
        }
        assert!(matches(&[(Exact, b"")], &[b""]));
        assert!(!matches(&[(Exact, b"")], &[b"x"]));
        for kind in [Prefix, Suffix, Exact] {
            assert!(!matches(&[(kind, b"f")], &[b""]));
        }
        assert!(matches(&[(PassAll, b"f")], &[b""]));
    }

    #[test]
    fn bytes_after_a_nul_count() {
        assert!(!matches(&[(Exact, b"a\0x")], &[b"a\0y"]));
        assert!(!matches(&[(Prefix, b"a\0x")], &[b"a\0y"]));
        assert!(!matches(&[(Suffix, b"x\0a")], &[b"y\0a"]));
    }
}
