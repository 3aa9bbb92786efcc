//! Who belongs together: proposing a view, and what members say to that.

use super::directory::Roles;
use super::message::{Body, Life, Op, Ordered, PeerKey, Report, State, ViewId};
use super::peer::Peer;
use super::{Cluster, Plant, World};
use crate::evt::{Incarnation, Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A proposal is waited for up to so many times `hang_time`: twice as long each time that the same
/// members have not come to its end. They answer, so it is not for them; what they say is long.
const PATIENCE_MAX: u64 = 16;

/// A view on its way, at the member that proposes it.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) view: ViewId,
    pub(super) since: Time,
    /// How long it is waited for, though all that take part answer.
    patience: Span,
    pub(super) members: BTreeSet<Life>,
    pub(super) reports: BTreeMap<Life, Report>,
    /// Whose states are needed; those that have come.
    pub(super) fetching: BTreeSet<Life>,
    pub(super) states: BTreeMap<Life, State>,
}

impl Cluster {
    /// Proposes a view if this node is the one to do that, and the one in force is not right.
    pub(super) fn consider_view(&mut self, world: &mut World<'_>) {
        let choice = self.choice(world.now);
        if choice != self.chosen {
            self.chosen = choice;
            self.beat_all();
        }
        if choice != self.own {
            self.proposal = None;
            return;
        }
        if self.waits_for_followers(world.now) {
            return;
        }
        let wanted = self.followers(world.now);
        if self.is_right(&wanted, world.now) || world.now < self.propose_after {
            return;
        }
        if let Some(proposal) = &self.proposal
            && proposal.members == wanted
            && world.now < proposal.since.after(proposal.patience)
        {
            return;
        }
        if !self.warm && wanted.len() == 1 && !self.may_serve(1, world.now) {
            return;
        }
        self.propose(wanted, world);
    }

    /// Whether a member that answers follows another one still. It knows more than this node, which
    /// was perhaps stopped: nothing is begun without it, for `hang_time`.
    fn waits_for_followers(&mut self, now: Time) -> bool {
        let strays = |peer: &Peer| self.answers(peer, now) && peer.choice != Some(self.own);
        if !self.peers.values().any(strays) {
            self.strayed = None;
            return false;
        }
        let since = *self.strayed.get_or_insert(now);
        now < since.after(self.settings.hang_time)
    }

    /// This node and those that take it for the sequencer.
    fn followers(&self, now: Time) -> BTreeSet<Life> {
        let follow = self
            .peers
            .values()
            .filter(|peer| self.answers(peer, now) && peer.choice == Some(self.own));
        follow.filter_map(|peer| peer.life).chain([self.own]).collect()
    }

    /// Whether the view in force is this node's, of exactly these members, as they are now.
    fn is_right(&self, wanted: &BTreeSet<Life>, now: Time) -> bool {
        let Some(view) = &self.view else { return false };
        let synced = |life: &Life| {
            let peer = self.peer_of(*life).and_then(|key| self.peers.get(&key));
            *life == self.own || peer.is_some_and(|peer| peer.synced)
        };
        let serves = self.serve_by.is_some() || !self.may_serve(wanted.len(), now);
        !self.frozen
            && view.id.leader == self.own
            && view.members == *wanted
            && wanted.iter().all(synced)
            && serves
    }

    /// Whether a cluster of so many members that all start may serve.
    pub(super) fn may_serve(&self, members: usize, now: Time) -> bool {
        let all = self.settings.members_expected.is_some_and(|expected| members >= expected);
        let at_once = self.settings.has(Plant::ServeAtOnce);
        at_once || all || self.quorate || now >= self.born.after(self.settings.alone_after)
    }

    fn propose(&mut self, members: BTreeSet<Life>, world: &mut World<'_>) {
        self.epoch = self.epoch.max(self.promised.epoch) + 1;
        let view = ViewId { epoch: self.epoch, leader: self.own };
        self.promised = view;
        self.frozen = true;
        let own = self.own;
        for life in members.iter().filter(|life| **life != own) {
            self.push_to(*life, Body::Propose(view));
        }
        let reports = BTreeMap::from([(self.own, self.report(view, self.own))]);
        // What the same members had to say has perhaps been too much for that time.
        let again = self.proposal.take().filter(|before| before.members == members);
        let (hang, most) = (self.settings.hang_time, PATIENCE_MAX);
        let longer = |before: Span| Span(before.0.saturating_mul(2).min(most * hang.0));
        let patience = again.map_or(hang, |before| longer(before.patience));
        self.proposal = Some(Proposal {
            view,
            since: world.now,
            patience,
            members,
            reports,
            fetching: BTreeSet::new(),
            states: BTreeMap::new(),
        });
        self.combine(world);
    }

    /// Queues a packet for a member, if there is a session with it.
    pub(super) fn push_to(&mut self, life: Life, body: Body) {
        if let Some(peer) = self.peer_of(life).and_then(|key| self.peers.get_mut(&key)) {
            peer.push(body);
        }
    }

    /// Gives a proposal up that a member takes part in.
    pub(super) fn abandon_proposal(&mut self, life: Life) {
        if self.proposal.as_ref().is_some_and(|proposal| proposal.members.contains(&life)) {
            self.proposal = None;
        }
    }

    /// What this node says of itself to the one that proposes a view.
    pub(super) fn report(&self, view: ViewId, to: Life) -> Report {
        let concerns = self.says_order(to);
        let said = |ordered: &Ordered| match ordered {
            ordered if concerns => ordered.clone(),
            Ordered { op, .. } => Ordered { op: op.plain(), ..*ordered },
        };
        Report {
            view,
            prior: self.view.as_ref().map(|view| view.id).or(self.resumed),
            cold: !self.warm && self.resumed.is_none(),
            empty: self.directory.entries().is_empty() && self.retained.is_empty(),
            serving: self.serving,
            applied: self.applied,
            suffix: self.suffix.iter().map(said).collect(),
            have: self.said_have(concerns),
        }
    }

    /// Whether a member is told of what is in total order. Where there is nothing of that here,
    /// nothing is said of what was; one that does not know of it would understand nothing at all.
    fn says_order(&self, to: Life) -> bool {
        let uses = self.directory.has_ordered()
            || self.retained.holds_in_order()
            || self.orders.unfinished() > 0;
        uses && self.version_of(to) >= 2
    }

    /// The version of the messages that a member speaks.
    pub(super) fn version_of(&self, life: Life) -> u16 {
        self.versions.get(&life.member).copied().unwrap_or(self.settings.version)
    }

    /// How far this node has the retained events of each life, for others.
    fn said_have(&self, uses: bool) -> BTreeMap<Life, u64> {
        let mut have = self.retained.have().clone();
        have.retain(|owner, _| uses || !owner.is_in_order());
        have
    }

    /// Everything this node knows, for a member.
    pub(super) fn state(&self, to: Life) -> State {
        let held = self.retained.held().iter();
        let (ahead, uses) = (self.retained.ahead().iter(), self.says_order(to));
        let held = held.filter(|(place, _)| uses || !place.owner.is_in_order());
        State {
            directory: self.directory.clone(),
            have: self.said_have(uses),
            live: held.map(|(place, (incarnation, _))| (*place, *incarnation)).collect(),
            ahead: ahead.filter(|place| uses || !place.owner.is_in_order()).copied().collect(),
        }
    }

    pub(super) fn hear_proposal(&mut self, from: PeerKey, view: ViewId, world: &mut World<'_>) {
        let choice = self.choice(world.now);
        let epoch = self.epoch.max(self.promised.epoch);
        self.epoch = epoch.max(view.epoch);
        let Some(peer) = self.peers.get(&from) else { return };
        let follows = peer.life == Some(choice) && view.leader == choice;
        let answer = if follows && view > self.promised {
            self.promised = view;
            self.frozen = true;
            self.proposal = None;
            Body::Report(Box::new(self.report(view, view.leader)))
        } else {
            Body::Refuse { epoch }
        };
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.drop_reports();
            peer.push(answer);
        }
    }

    pub(super) fn hear_refusal(&mut self, epoch: u64, world: &mut World<'_>) {
        self.epoch = self.epoch.max(epoch);
        self.proposal = None;
        self.propose_after = world.now.after(self.settings.beat_min);
    }

    pub(super) fn hear_report(&mut self, life: Life, report: Report, world: &mut World<'_>) {
        let Some(proposal) = self.proposal.as_mut() else { return };
        if proposal.view == report.view && proposal.members.contains(&life) {
            proposal.reports.insert(life, report);
            self.combine(world);
        }
    }

    pub(super) fn hear_fetch(&mut self, from: PeerKey, view: ViewId) {
        if view != self.promised {
            return;
        }
        let state = Box::new(self.state(view.leader));
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.push(Body::State(view, state));
        }
    }

    pub(super) fn hear_state(
        &mut self,
        life: Life,
        view: ViewId,
        state: State,
        world: &mut World<'_>,
    ) {
        let Some(proposal) = self.proposal.as_mut() else { return };
        if proposal.view == view && proposal.fetching.contains(&life) {
            proposal.states.insert(life, state);
            self.combine(world);
        }
    }
}

impl Op {
    /// Does nothing: no channel has this number.
    const MARK: Self = Self::Roles { incarnation: Incarnation(0), roles: Roles::empty() };

    /// Whether it stands in the place of one that was not to be said in version 1.
    pub(super) fn is_mark(&self) -> bool {
        *self == Self::MARK
    }

    /// What comes nearest to it in version 1, where there is nobody any more whom it concerns.
    pub(super) fn plain(&self) -> Self {
        match self {
            Self::Publish { .. } | Self::Clear { .. } if self.version() > 1 => Self::MARK,
            Self::Open { name, create, roles, .. } => {
                Self::Open { name: *name, create: *create, roles: *roles, ordered: false }
            }
            other => other.clone(),
        }
    }
}
