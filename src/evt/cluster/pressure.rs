//! Publishers that wait for members that take events slowly.
//!
//! The node is told which of its channels are *pressed*: too much waits for a member that
//! subscribes to them. It says so to whoever takes publications from programs, who then leaves
//! them where they are ([`crate::evt::node::Node::holds_back`]). What is on its way at that moment
//! has room: a channel is pressed when a part of the queue is left, and nobody may publish more
//! than a part of that before the node is looked at again.

use super::directory::Roles;
use super::travel::Remote;
use super::{Cluster, World};
use crate::evt::{Incarnation, Span, Time};
use std::collections::BTreeSet;

/// Publishers wait when this part of a queue is full.
const PRESSED_PART: u64 = 2;
/// They go on when no more than this part is.
const RELIEVED_PART: u64 = 4;
/// This part of a queue may be published before the node is looked at.
const UNSEEN_PART: u64 = 4;

/// Whether publishers wait for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pressure {
    /// They do not.
    #[default]
    None,
    /// They do; it last took something, or the waiting began, then.
    Since(Time),
    /// They have waited in vain. That is over when it has taken everything.
    Overdue,
}

impl Pressure {
    /// Looks again at a queue in which so much `waits`, and of which something was last `taken`
    /// then. The patience is over when that was `until` or before.
    fn look(&mut self, waits: u64, bound: u64, taken: Time, (until, now): (Time, Time)) {
        *self = match *self {
            Self::None if waits > bound / PRESSED_PART => Self::Since(now),
            Self::Since(_) if waits <= bound / RELIEVED_PART => Self::None,
            Self::Since(since) if since.max(taken) <= until => Self::Overdue,
            Self::Overdue if waits == 0 => Self::None,
            Self::Since(since) => Self::Since(since.max(taken)),
            same => same,
        };
    }

    const fn is_felt(self) -> bool {
        matches!(self, Self::Since(_))
    }

    /// When the patience is over.
    fn overdue_at(self, patience: Span) -> Option<Time> {
        match self {
            Self::Since(since) => Some(since.after(patience)),
            _ => None,
        }
    }
}

impl Cluster {
    /// When the patience with some queue is over.
    pub(super) fn overdue_at(&self) -> Option<Time> {
        if self.patient.is_empty() {
            return None;
        }
        let all = self.peers.values().map(|peer| peer.pressure).chain([self.pressure]);
        all.filter_map(|pressure| pressure.overdue_at(self.settings.patience())).min()
    }

    /// Notes whether publishers of a channel wait where others are slow.
    pub(super) fn note_patient(&mut self, key: Incarnation, world: &mut World<'_>) {
        let Some((_, entry)) = self.directory.find(key) else { return };
        let patient = (entry.is_wanted_by_others(self.own.member) || entry.ordered)
            && self.settings.travels.of(&entry.name).remote == Remote::Backpressure;
        for life in entry.lives.keys() {
            if patient {
                self.patient.insert(*life);
            } else {
                self.patient.remove(life);
            }
            world.node.set_patient(*life, patient);
        }
        self.pressed = None;
    }

    /// Tells the node which channels are pressed, where that has changed.
    pub(super) fn settle_pressure(&mut self, world: &mut World<'_>) {
        let bound = self.settings.peer_queue_bytes_max;
        let until = Time(world.now.0.saturating_sub(self.settings.patience().0));
        if self.patient.is_empty() {
            return;
        }
        let times = (until, world.now);
        for peer in self.peers.values_mut() {
            let waits = if peer.flow.streaming { peer.flow.behind_bytes } else { 0 };
            peer.pressure.look(waits, bound, peer.taken, times);
        }
        // What is in total order waits for all at once: for this node itself, that is.
        if std::mem::take(&mut self.orders.taken) {
            self.given = world.now;
        }
        self.pressure.look(self.orders.out_bytes, bound, self.given, times);
        let pressed = self.peers.values().filter(|peer| peer.pressure.is_felt());
        let pressed = pressed.filter_map(|peer| peer.life).map(|life| life.member);
        let own = self.pressure.is_felt().then_some(self.own.member);
        let pressed: BTreeSet<u16> = pressed.chain(own).collect();
        if self.pressed.as_ref() == Some(&pressed) {
            return;
        }
        world.node.set_unseen_max(bound / UNSEEN_PART);
        for life in &self.patient {
            let Some((_, entry)) = self.directory.find(*life) else { continue };
            let waits = if entry.ordered {
                own.is_some()
            } else {
                pressed.iter().any(|member| entry.has(*member, Roles::SUBSCRIBER))
            };
            world.node.set_pressed(*life, waits);
        }
        self.pressed = Some(pressed);
    }
}
