//! How the events of a channel travel between nodes, as an administrator may choose.

use crate::evt::name_pattern::characters;
use crate::evt::{Name, NamePattern};

/// What becomes of events for a member that takes them more slowly than they are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remote {
    /// Beyond the bound on its queue they are dropped, with a lost-event there. The default: a
    /// member that is slow, stopped or broken slows nobody on other nodes.
    #[default]
    Drop,
    /// Publishers of the channel wait for it, as long as it takes anything, and for
    /// [`super::Settings::patience`] when it takes nothing; then as with `Drop`.
    Backpressure,
}

/// In which order subscribers get the events of a channel that have one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ordering {
    /// Those of one publisher as they were published. The default: subscribers of the publisher's
    /// node wait for nobody, and others for one message.
    #[default]
    Publisher,
    /// All of them in one order everywhere: every subscriber waits until every member has them.
    /// What the creator of a channel says holds for the channel.
    Total,
}

/// How the events of a channel travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Travel {
    /// What becomes of those for a slow member.
    pub remote: Remote,
    /// In which order they are delivered.
    pub ordering: Ordering,
}

/// How the events of all channels travel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Travels {
    /// Those of channels that are not named.
    pub all: Travel,
    /// Those of some channels, by name. The first one that fits counts.
    pub some: Vec<(NamePattern, Travel)>,
}

impl Travels {
    /// How the events of a channel travel.
    #[must_use]
    pub fn of(&self, name: &Name) -> Travel {
        if self.some.is_empty() {
            return self.all;
        }
        let name = characters(name.octets());
        let found = self.some.iter().find(|(pattern, _)| pattern.matches(&name));
        found.map_or(self.all, |(_, travel)| *travel)
    }
}
