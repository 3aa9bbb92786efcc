//! What a node keeps for its next start, so that it comes back as one that was cut off for a while
//! and not as one that knows nothing: what was removed meanwhile stays removed.

use super::message::{Life, Ordered, Place, State, ViewId};
use super::{Cluster, Node};
use crate::evt::{EventId, Incarnation};
use std::collections::BTreeMap;

/// The replication of a node that has ended. Its channels and retained events are those of the node
/// itself, at the same moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last view.
    pub view: ViewId,
    /// The last operation applied in it.
    pub applied: u64,
    /// Operations that were not known to be everywhere.
    pub suffix: Vec<Ordered>,
    /// The highest start known of each member.
    pub starts: BTreeMap<u16, u32>,
    /// What it knew.
    pub state: State,
    /// The retained events.
    pub held: BTreeMap<Place, (Incarnation, EventId)>,
}

impl Cluster {
    /// What to keep for the next start; `None` before the first view.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let view = self.view.as_ref()?.id;
        Some(Snapshot {
            view,
            applied: self.applied,
            suffix: self.suffix.iter().cloned().collect(),
            starts: self.starts.clone(),
            state: self.state(self.own),
            held: self.retained.held().clone(),
        })
    }

    /// Goes on from what an earlier start of this member has kept, before anything else is done.
    /// Retained events that the node does not have any more have ended.
    pub fn resume(&mut self, snapshot: Snapshot, node: &Node) {
        self.directory = snapshot.state.directory;
        self.retained = super::Retained::default();
        for (place, (incarnation, id)) in snapshot.held {
            if node.retained(incarnation, id).is_some() {
                self.retained.note(place, incarnation, id);
            }
        }
        for (owner, number) in snapshot.state.have {
            self.retained.cover(owner, number);
        }
        snapshot.state.ahead.into_iter().for_each(|place| self.retained.clear_ahead(place));
        for (member, start) in snapshot.starts {
            self.note_start(Life { member, start });
        }
        self.sequenced = 0;
        self.applied = snapshot.applied;
        self.stable = snapshot.applied - snapshot.suffix.len() as u64;
        self.suffix = snapshot.suffix.into();
        self.resumed = Some(snapshot.view);
        self.epoch = snapshot.view.epoch;
        self.promised.epoch = snapshot.view.epoch;
    }
}
