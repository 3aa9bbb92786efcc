//! The beginning of a view at a member.

use super::directory::Roles;
use super::message::{Install, Life, Ordered, ViewId};
use super::{Away, Cluster, Notice, PAST_VIEWS_MAX, Plant, View, World};
use crate::evt::{Incarnation, Time};
use std::collections::{BTreeMap, BTreeSet};

impl Cluster {
    pub(super) fn hear_install(&mut self, life: Life, install: Install, world: &mut World<'_>) {
        let own = install.members.contains(&self.own);
        if install.view == self.promised && install.view.leader == life && own {
            self.install(install, world);
        }
    }

    /// Applies what others of the same view have applied already.
    pub(super) fn apply_missing(&mut self, missing: &[Ordered], world: &mut World<'_>) {
        let prior = self.view.as_ref().map(|view| view.id).or(self.resumed);
        let Some(leader) = prior.map(|view| view.leader) else { return };
        for ordered in missing {
            if ordered.number > self.applied {
                self.apply(leader, ordered.clone(), world);
            }
        }
    }

    pub(super) fn install(&mut self, install: Install, world: &mut World<'_>) {
        let prior = self.view.as_ref().map(|view| view.id);
        // What was published before is as its channel was.
        self.publish_outward(world);
        self.apply_missing(&install.missing, world);
        self.lose_left_out(&install, world);
        if install.void {
            self.forget_leftovers(world);
        }
        if let Some(directory) = install.directory {
            self.directory = *directory;
        }
        if install.version < 2 {
            self.directory.set_ordered(|_| false);
        }
        self.carry_over(&install.priors, (install.view.leader, install.base), world);
        self.reconcile(world);
        if prior.is_some() && install.priors.values().any(|other| Some(*other) != prior) {
            self.lose_on_unlinked(world);
        }
        let apart = prior.is_some_and(|prior| self.went_on_without(prior, &install.priors));
        for place in &install.removed {
            if let Some((incarnation, id)) = self.retained.at(*place) {
                world.node.clear_replica(incarnation, id);
                self.retained.end(id);
            }
            self.retained.clear_ahead(*place);
        }
        self.part_with(&install.members);
        if self.settings.has(Plant::KeepRoles) {
            self.directory.begin_view(None, install.view.leader, install.base);
        } else {
            self.directory.begin_view(Some(&install.members), install.view.leader, install.base);
        }
        let others = install.members.iter().filter(|life| **life != self.own);
        let acks: BTreeMap<Life, u64> = others.map(|life| (*life, 0)).collect();
        self.notices.push(Notice::View(install.view, install.members.len()));
        let (id, version) = (install.view, install.version);
        let moved = |life: &&Life| install.priors.get(life).copied() != prior;
        self.orders.note_lacking(install.members.iter().filter(moved));
        self.view = Some(View { id, members: install.members, version, acks });
        self.must_order = false;
        (self.applied, self.stable) = (install.base, install.base - 1);
        (self.told_stable, self.acked) = (install.base - 1, 0);
        self.suffix.clear();
        self.unsent.clear();
        (self.frozen, self.warm) = (false, true);
        self.proposal = None;
        self.expected = install.plan.iter().filter(|f| f.to == self.own).map(|f| f.owner).collect();
        self.plan = install.plan;
        if install.serve && self.serve_by.is_none() {
            self.serve_by = Some(world.now.after(self.settings.hang_time));
        }
        self.note_ended(world);
        self.end_flows(&install.priors, prior, world);
        self.published = world.node.published();
        self.note_all_roles(world);
        self.ask_again(apart, world);
        self.retry = true;
        self.consider_serving(world.now);
        self.release_all(world);
    }

    /// A sequencer that does not know of total order brings a mark in place of events in it, which
    /// others perhaps have had.
    fn lose_left_out(&self, install: &Install, world: &mut World<'_>) {
        let left_out = install.missing.iter().any(|ordered| ordered.op.is_mark());
        if left_out && self.version_of(install.view.leader) < 2 {
            self.lose_on(self.directory.entries().keys().copied().collect(), world);
        }
    }

    /// A view is over. Gives whether others come from one that this node was not in: they may have
    /// gone on without it. Those of an earlier one were gone on without, and have done nothing.
    fn went_on_without(&mut self, prior: ViewId, priors: &BTreeMap<Life, ViewId>) -> bool {
        self.past.insert(prior);
        if self.past.len() > PAST_VIEWS_MAX {
            self.past.pop_first();
        }
        priors.values().any(|other| !self.past.contains(other))
    }

    /// Members that there is a session with are gone on without. If they do not come back, because
    /// others have only noticed first that they are gone, the end of the session is the end of what
    /// they were known to publish on, which is forgotten now.
    fn part_with(&mut self, members: &BTreeSet<Life>) {
        for peer in self.peers.values_mut().filter(|peer| peer.established) {
            let Some(life) = peer.life else { continue };
            if members.contains(&life) {
                peer.published.clear();
            } else if !self.settings.has(Plant::SilentParting) {
                let all = self.directory.entries().values();
                let published = all.filter(|entry| entry.has(life.member, Roles::PUBLISHER));
                peer.published.extend(published.flat_map(|entry| entry.lives.keys()));
            }
        }
    }

    /// What is left from before the start is not known to the cluster any more.
    fn forget_leftovers(&mut self, world: &mut World<'_>) {
        let held: Vec<_> = self.retained.held().values().copied().collect();
        for (incarnation, id) in held {
            world.node.clear_replica(incarnation, id);
            self.retained.end(id);
        }
    }

    /// Makes the channels of the node what the directory says.
    fn reconcile(&mut self, world: &mut World<'_>) {
        for incarnation in world.node.linked() {
            let linked = self.directory.find(incarnation).is_some_and(|(_, entry)| entry.linked);
            if !linked {
                world.node.unlink_replica(incarnation);
            }
        }
        for (key, entry) in self.directory.entries() {
            let known = entry.lives.keys().find(|life| world.node.primary(**life).is_some());
            let known = match known {
                Some(known) => *known,
                None if entry.linked => {
                    // Without memory for it the channel is missed here until the next view.
                    let _ = world.node.adopt_replica(*key, &entry.name);
                    *key
                }
                None => continue,
            };
            for life in entry.lives.keys() {
                world.node.add_life(known, *life);
            }
        }
    }

    /// Members of several views meet. On a channel without a name somebody may have published who
    /// has forgotten it with his last instance, or was never met before.
    fn lose_on_unlinked(&self, world: &mut World<'_>) {
        let all = self.directory.entries().values().filter(|entry| !entry.linked);
        let lives = all.flat_map(|entry| entry.lives.keys().copied()).collect();
        self.lose_on(lives, world);
    }

    /// Streams to those that are not in the view any more have ended. So have those to members that
    /// were in another view before: they have perhaps begun to want what they were not sent.
    fn end_flows(
        &mut self,
        priors: &BTreeMap<Life, ViewId>,
        prior: Option<ViewId>,
        world: &World<'_>,
    ) {
        let Some(view) = &self.view else { return };
        let mut ended = Vec::new();
        for peer in self.peers.values_mut() {
            let inside = peer.life.is_some_and(|life| view.members.contains(&life));
            let moved = peer.life.is_some_and(|life| priors.get(&life).copied() != prior);
            if peer.flow.streaming && (moved || !inside) {
                peer.has = peer.has.max(peer.flow.cursor);
                let flow = std::mem::take(&mut peer.flow);
                ended.extend(peer.life.map(|life| (life, flow, inside)));
            } else if peer.flow.streaming {
                let to = peer.life;
                let own = self.plan.iter().filter(|f| f.holder == self.own && Some(f.to) == to);
                let retained = &self.retained;
                peer.flow.tasks.clear();
                own.for_each(|forward| {
                    let upto = self.orders.upto(forward, retained);
                    peer.owe(forward, upto);
                });
            }
        }
        for (life, flow, inside) in ended {
            self.note_away(life, flow, world);
            if let Some(away) = self.away.get_mut(&life).filter(|_| inside) {
                away.published.clone_from(&self.published);
            }
        }
    }

    /// A stream has ended: from now on that life misses what is published. What was sent last may
    /// never come either, if the session ends too.
    pub(super) fn note_away(&mut self, life: Life, flow: super::peer::Outflow, world: &World<'_>) {
        if !flow.streaming {
            return;
        }
        let behind = flow.behind.iter().map(|item| item.incarnation);
        let ordered = self.orders.in_flight();
        let missed =
            flow.lost.into_iter().chain(behind).chain(flow.sent_on).chain(ordered).collect();
        let published = world.node.published();
        self.away.insert(life, Away { published, unsure: missed });
    }

    /// Looks at all channels whether others want what is published on them, and whether they know
    /// what is done on them here.
    fn note_all_roles(&mut self, world: &mut World<'_>) {
        self.patient.clear();
        let keys: Vec<Incarnation> = self.directory.entries().keys().copied().collect();
        for key in keys {
            self.note_wanted(key, world);
            self.unsettled.insert(key);
        }
    }

    /// Serves programs when the view allows it and what is retained has come.
    pub(super) fn consider_serving(&mut self, now: Time) {
        let (Some(by), Some(view)) = (self.serve_by, &self.view) else { return };
        if self.serving {
            return;
        }
        let complete = |life: &Life| {
            let peer = self.peer_of(*life).and_then(|key| self.peers.get(&key));
            *life == self.own || peer.is_some_and(|peer| peer.complete)
        };
        if now >= by || (self.expected.is_empty() && view.members.iter().all(complete)) {
            self.serving = true;
            self.retry = true;
            self.notices.push(Notice::Serving);
        }
    }
}
