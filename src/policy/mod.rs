//! Who may do what on which channel: rules, and what they come to for one user.
//!
//! The rules are read in their order, and the first that is about a user, a channel and an action
//! decides. What no rule is about is permitted: whoever may connect may do it. Names of users and
//! groups become numbers when the rules are read, since the kernel tells numbers of its peers and
//! looking names up can take long.

pub mod accounts;
mod rules;

pub(crate) use rules::Table;
pub use rules::{LookUp, PATTERNS_MAX, RULES_MAX};

use crate::evt::name_pattern::{NamePattern, characters};
use bitflags::bitflags;

bitflags! {
    /// What can be permitted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Actions: u8 {
        /// Publishing on a channel.
        const PUBLISH = 1;
        /// Subscribing on a channel.
        const SUBSCRIBE = 2;
        /// Making a channel.
        const CREATE = 4;
        /// Removing the name of a channel.
        const UNLINK = 8;
        /// Ending the retention of an event on a channel.
        const CLEAR = 16;
        /// Asking about what is not one's own. Judged for a channel without a name.
        const ADMINISTRATE = 32;
    }
}

impl Actions {
    /// Each action with its name in the configuration.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("publish", Self::PUBLISH),
        ("subscribe", Self::SUBSCRIBE),
        ("create", Self::CREATE),
        ("unlink", Self::UNLINK),
        ("clear", Self::CLEAR),
        ("administrate", Self::ADMINISTRATE),
    ];

    /// The names of these actions, for people.
    #[must_use]
    pub fn shown(self) -> String {
        let named = Self::NAMES.iter().filter(|(_, action)| self.contains(*action));
        named.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Who asks, by the word of the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The user.
    pub user: u32,
    /// The group and all others.
    pub groups: &'a [u32],
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// Nobody else; `None`: everybody. A user, or a member of a group.
    who: Option<Who>,
    /// No other channel; `None`: all.
    channels: Option<Vec<NamePattern>>,
    actions: Actions,
    permits: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Who {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl Rule {
    fn is_about(&self, who: Subject<'_>, channel: &str) -> bool {
        let named = self.who.as_ref().is_none_or(|named| {
            named.users.contains(&who.user)
                || named.groups.iter().any(|group| who.groups.contains(group))
        });
        let matches = |patterns: &Vec<NamePattern>| patterns.iter().any(|it| it.matches(channel));
        named && self.channels.as_ref().is_none_or(matches)
    }
}

/// What has been decided for one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is permitted.
    pub permitted: bool,
    /// The rule that says so, counted from 1; none if no rule is about it.
    pub rule: Option<usize>,
}

/// All rules. The default has none, so that everything is permitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    /// Patterns of all rules together.
    patterns: usize,
    has_groups: bool,
}

impl Policy {
    /// Whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many rules there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a rule names a group, so that the groups of a subject matter.
    #[must_use]
    pub const fn asks_for_groups(&self) -> bool {
        self.has_groups
    }

    /// How many comparisons one question takes at most.
    #[must_use]
    pub const fn comparisons(&self) -> u64 {
        (self.rules.len() + self.patterns) as u64
    }

    /// All that a subject may do on a channel; with an empty name, what concerns no channel.
    #[must_use]
    pub fn permitted(&self, who: Subject<'_>, channel: &[u8]) -> Actions {
        let channel = characters(channel);
        let (mut permitted, mut open) = (Actions::empty(), Actions::all());
        for rule in &self.rules {
            if rule.actions.intersects(open) && rule.is_about(who, &channel) {
                if rule.permits {
                    permitted |= rule.actions & open;
                }
                open -= rule.actions;
            }
        }
        permitted | open
    }

    /// What is decided for one action, and by which rule.
    #[must_use]
    pub fn decide(&self, who: Subject<'_>, channel: &[u8], action: Actions) -> Decision {
        let name = characters(channel);
        let is_about = |rule: &Rule| rule.actions.intersects(action) && rule.is_about(who, &name);
        let found = self.rules.iter().position(is_about);
        let permitted = found.is_none_or(|at| self.rules[at].permits);
        Decision { permitted, rule: found.map(|at| at + 1) }
    }
}

#[cfg(test)]
mod tests;
