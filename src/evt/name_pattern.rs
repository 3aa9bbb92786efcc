//! Channels chosen by their names, in rules and tables of a configuration.

use wildmatch::WildMatch;

/// Names of channels, in which `*` stands for any octets and `?` for one.
#[derive(Debug, Clone, PartialEq)]
pub struct NamePattern(WildMatch);

impl Eq for NamePattern {}

/// Octets as patterns see them: one character for each, since names need not be text.
#[must_use]
pub fn characters(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

impl NamePattern {
    /// The pattern that is written so.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(WildMatch::new(&characters(text.as_bytes())))
    }

    /// Whether a name, as its [`characters`], is one of them.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_compared_and_not_letters() {
        let matches =
            |pattern: &str, name: &[u8]| NamePattern::new(pattern).matches(&characters(name));
        assert!(matches("a?c*", b"abc") && matches("a?c*", b"a\xffcdef"));
        assert!(!matches("a?c*", b"ac") && !matches("a?c", b"abcd"));
        // One letter of two octets is not one octet.
        assert!(
            matches("\u{e9}*", "\u{e9}t\u{e9}".as_bytes()) && !matches("?", "\u{e9}".as_bytes())
        );
        assert!(matches("*", b"") && !matches("", b"a"));
    }
}
