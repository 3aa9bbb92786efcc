//! A channel: one life of a name, from creation to deletion.

use super::index::Index;
use super::retention::RetentionStore;
use super::{Incarnation, Name, OpenFlags};
use foldhash::fast::FixedState;

/// A channel, linked or unlinked.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) incarnation: Incarnation,
    pub(super) name: Name,
    /// Whether the name leads here.
    pub(super) linked: bool,
    /// Made by an earlier start or moved here: instances may still come back to it in the grace
    /// time.
    pub(super) adopted: bool,
    /// What private services that have moved here call it, the newest last.
    pub(super) aliases: Vec<(u32, Incarnation)>,
    /// Its other numbers in the cluster.
    pub(super) lives: Vec<Incarnation>,
    /// Programs on other nodes subscribe.
    pub(super) remote: bool,
    /// What is published waits for its place among what others publish.
    pub(super) ordered: bool,
    /// Publishers here wait where those are slow.
    pub(super) patient: bool,
    /// They have to wait now.
    pub(super) pressed: bool,
    /// Open instances.
    pub(super) openers: u64,
    /// Open instances that may publish.
    pub(super) publishers: u64,
    /// Open instances that may subscribe.
    pub(super) subscribers: u64,
    /// Publications since the start.
    pub(super) publications: u64,
    /// Those of them that came from other nodes.
    pub(super) publications_of_others: u64,
    /// Lost-events handed out.
    pub(super) lost_events: u64,
    pub(super) index: Index,
    pub(super) retention: RetentionStore,
}

impl Channel {
    pub(super) fn new(incarnation: Incarnation, name: Name, hasher: &FixedState) -> Self {
        Self {
            incarnation,
            name,
            linked: true,
            adopted: false,
            aliases: Vec::new(),
            lives: Vec::new(),
            remote: false,
            ordered: false,
            patient: false,
            pressed: false,
            openers: 0,
            publishers: 0,
            subscribers: 0,
            publications: 0,
            publications_of_others: 0,
            lost_events: 0,
            index: Index::new(hasher),
            retention: RetentionStore::new(hasher),
        }
    }

    /// Counts an open instance in.
    pub(super) fn enter(&mut self, flags: OpenFlags) {
        self.openers += 1;
        self.publishers += u64::from(flags.contains(OpenFlags::PUBLISHER));
        self.subscribers += u64::from(flags.contains(OpenFlags::SUBSCRIBER));
    }

    /// Counts an open instance out.
    pub(super) fn leave(&mut self, flags: OpenFlags) {
        self.openers -= 1;
        self.publishers -= u64::from(flags.contains(OpenFlags::PUBLISHER));
        self.subscribers -= u64::from(flags.contains(OpenFlags::SUBSCRIBER));
    }

    /// Whether nothing keeps the channel: it has no name, no instance, and none can come back.
    pub(super) const fn is_over(&self, grace: bool) -> bool {
        !self.linked && self.openers == 0 && !(grace && self.adopted)
    }
}
