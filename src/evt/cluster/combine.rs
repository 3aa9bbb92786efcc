//! What the members of a new view know, brought together by its sequencer.

use super::directory::Directory;
use super::message::{Body, Forward, Install, Life, Ordered, Place, Report, State, ViewId};
use super::views::Proposal;
use super::{Cluster, Plant, World};
use std::collections::{BTreeMap, BTreeSet};

/// Members that were in one view before: they know the same, up to the last few operations.
#[derive(Debug)]
struct Group {
    members: BTreeSet<Life>,
    /// The one that has applied most.
    donor: Life,
}

/// The members whose knowledge counts, in groups. Where some were in a cluster already, what others
/// have left from before their start does not.
fn groups(reports: &BTreeMap<Life, Report>, own: Life) -> Vec<Group> {
    let mut by_view: BTreeMap<ViewId, BTreeSet<Life>> = BTreeMap::new();
    for (life, report) in reports.iter().filter(|(_, report)| !report.cold) {
        if let Some(prior) = report.prior {
            by_view.entry(prior).or_default().insert(*life);
        }
    }
    let sets: Vec<BTreeSet<Life>> = if by_view.is_empty() {
        let filled = reports.iter().filter(|(_, report)| !report.empty);
        filled.map(|(life, _)| BTreeSet::from([*life])).collect()
    } else {
        by_view.into_values().collect()
    };
    let group = |members: BTreeSet<Life>| {
        let applied = |life: &Life| reports.get(life).map_or(0, |report| report.applied);
        let donor = members.iter().copied().max_by_key(|life| (applied(life), *life == own));
        donor.map(|donor| Group { members, donor })
    };
    sets.into_iter().filter_map(group).collect()
}

/// Whose states are needed where several groups meet: those of the donors, and of members that know
/// of retained events that have not come to the donor. Only they can tell which of these have
/// ended.
fn states_wanted(reports: &BTreeMap<Life, Report>, groups: &[Group]) -> BTreeSet<Life> {
    let knows_more = |life: &Life, donor: &Life| {
        let (Some(report), Some(donor)) = (reports.get(life), reports.get(donor)) else {
            return false;
        };
        let mut have = report.have.iter();
        have.any(|(owner, number)| donor.have.get(owner).is_none_or(|known| known < number))
    };
    let wanted = |group: &Group| {
        let members = group.members.iter().copied();
        members.filter(|life| knows_more(life, &group.donor)).chain([group.donor]).collect()
    };
    groups.iter().flat_map(|group| -> Vec<Life> { wanted(group) }).collect()
}

/// What a view begins with.
struct Union {
    directory: Directory,
    /// Members whose directory is this one when they have applied what they lack.
    same: BTreeSet<Life>,
    /// Members that contribute.
    counted: BTreeSet<Life>,
    removed: Vec<Place>,
}

impl Cluster {
    /// Goes on with the proposal when everything it waits for has come.
    pub(super) fn combine(&mut self, world: &mut World<'_>) {
        let Some(proposal) = self.proposal.as_ref() else { return };
        if proposal.reports.len() < proposal.members.len() {
            return;
        }
        let groups = groups(&proposal.reports, self.own);
        if let Some(group) = groups.iter().find(|group| group.members.contains(&self.own)) {
            let ahead = proposal.reports.get(&group.donor).filter(|_| group.donor != self.own);
            if let Some(ahead) = ahead.map(|report| report.suffix.clone()) {
                // This node is behind in its own group: then it is so no more.
                self.apply_missing(&ahead, world);
                let report = self.report(self.promised, self.own);
                if let Some(proposal) = self.proposal.as_mut() {
                    proposal.reports.insert(self.own, report);
                }
                return self.combine(world);
            }
        }
        let alone = groups.len() == 1 && groups[0].members.contains(&self.own);
        let Some(proposal) = self.proposal.as_mut() else { return };
        if !alone {
            let asked = states_wanted(&proposal.reports, &groups).into_iter();
            let unasked: Vec<Life> =
                asked.filter(|life| *life != self.own && proposal.fetching.insert(*life)).collect();
            let view = proposal.view;
            unasked.into_iter().for_each(|donor| self.push_to(donor, Body::Fetch(view)));
        }
        let all = |proposal: &Proposal| proposal.states.len() == proposal.fetching.len();
        if let Some(proposal) = self.proposal.take_if(|proposal| all(proposal)) {
            match self.common_version(&proposal) {
                Some(version) => self.begin(proposal, &groups, version, world),
                // Who cannot take part is left out the next time.
                None => self.must_order = true,
            }
        }
    }

    /// The version of the messages that the view is to use: where there are channels in total order
    /// already, that of its members, which must know of it; else that of all members ever met,
    /// so that those can come back.
    fn common_version(&self, proposal: &Proposal) -> Option<u16> {
        let ordering = self.is_ordering()
            || proposal.states.values().any(|state| state.directory.has_ordered());
        let inside = |member: &u16| proposal.members.iter().any(|life| life.member == *member);
        let counted = self.versions.iter().filter(|(member, _)| !ordering || inside(member));
        let common = counted.map(|(_, version)| *version).fold(self.settings.version, u16::min);
        (!ordering || common >= 2).then_some(common)
    }

    fn begin(&mut self, proposal: Proposal, groups: &[Group], version: u16, world: &mut World<'_>) {
        let union = self.unite(&proposal, groups, version);
        let mut told = proposal.reports.values().flat_map(|report| report.have.keys());
        let in_order = union.directory.has_ordered() || told.any(|owner| owner.is_in_order());
        // Members of version 1 would not understand it. What is on its way each ends by itself.
        let plan = self.plan(&proposal, in_order && version >= 2);
        let serving = proposal.reports.values().any(|report| report.serving);
        let serve = serving || self.may_serve(proposal.members.len(), world.now);
        self.sequenced += 1;
        let priors = proposal.reports.iter();
        let priors: BTreeMap<Life, ViewId> =
            priors.filter_map(|(life, report)| Some((*life, report.prior?))).collect();
        let mut own = None;
        for life in &proposal.members {
            let group = groups.iter().find(|group| group.members.contains(life));
            let directory = (!union.same.contains(life)).then(|| Box::new(union.directory.clone()));
            let install = Install {
                view: proposal.view,
                version,
                serve,
                members: proposal.members.clone(),
                priors: priors.clone(),
                base: self.sequenced,
                missing: group
                    .filter(|_| !self.settings.has(Plant::NoMissing))
                    .map_or_else(Vec::new, |group| missing(&proposal, group, *life)),
                directory,
                void: !union.counted.contains(life),
                removed: union.removed.clone(),
                plan: plan.clone(),
            };
            if *life == self.own {
                own = Some(install);
                continue;
            }
            self.push_to(*life, Body::Install(Box::new(install)));
            if let Some(peer) = self.peer_of(*life).and_then(|key| self.peers.get_mut(&key)) {
                peer.synced = true;
            }
        }
        if let Some(install) = own {
            self.install(install, world);
        }
    }

    fn unite(&self, proposal: &Proposal, groups: &[Group], version: u16) -> Union {
        let own = self.state(self.own);
        let state = |group: &Group| {
            if group.members.contains(&self.own) {
                Some(&own)
            } else {
                proposal.states.get(&group.donor)
            }
        };
        let states: Vec<&State> = groups.iter().filter_map(state).collect();
        let keep_all = self.settings.has(Plant::Resurrect);
        let merged = states.iter().map(|state| state.directory.clone());
        let apart = self.settings.has(Plant::KeepApart);
        let merged = merged.reduce(|one, other| Directory::merge(&one, &other, keep_all, apart));
        let mut directory = merged.unwrap_or_default();
        if version >= 2 && proposal.reports.values().all(|report| report.prior.is_none()) {
            // All start: what is left from before is in the order that is wanted now.
            directory.set_ordered(|name| self.settings.orders(name));
        }
        let mut same = BTreeSet::new();
        for (group, state) in groups.iter().zip(&states) {
            if directory.is_same(&state.directory) {
                same.extend(group.members.iter().copied());
            }
        }
        let counted = groups.iter().flat_map(|group| group.members.iter().copied()).collect();
        let removed = if keep_all {
            Vec::new()
        } else {
            let states: Vec<_> = proposal.states.values().chain([&own]).collect();
            let mut removed = removed(&directory, &states);
            removed.retain(|place| place.version() <= version);
            removed
        };
        Union { directory, same, counted, removed }
    }

    /// Who brings the events of lives that are gone to whom. What is retained of a member that is
    /// there comes from itself.
    fn plan(&self, proposal: &Proposal, in_order: bool) -> Vec<Forward> {
        let mut plan = Vec::new();
        if self.settings.has(Plant::NoForward) {
            return plan;
        }
        let reports = &proposal.reports;
        let owners: BTreeSet<Life> =
            reports.values().flat_map(|report| report.have.keys().copied()).collect();
        let counted = |owner: &Life| in_order || !owner.is_in_order();
        let gone = |owner: &Life| counted(owner) && !proposal.members.contains(owner);
        for owner in owners.into_iter().filter(gone) {
            let have = |report: &Report| report.have.get(&owner).copied().unwrap_or(0);
            let most = reports.values().map(have).max().unwrap_or(0);
            let holder = reports.iter().find(|(_, report)| have(report) == most);
            let Some((holder, _)) = holder else { continue };
            let lacks = reports.iter().filter(|(_, report)| have(report) < most);
            // Those of a member that is there come from itself.
            let there = owner.is_in_order() && proposal.members.contains(&owner.of());
            let lacks = lacks.filter(|(to, _)| !there || **to == owner.of());
            for (to, report) in lacks {
                plan.push(Forward { owner, holder: *holder, to: *to, after: have(report) });
            }
        }
        for owner in proposal.members.iter().filter(|_| in_order) {
            let number = |report: &Report| report.have.get(&owner.in_order()).copied();
            // Others may have lost some that it has applied, and cannot tell.
            for (to, report) in reports.iter().filter(|(to, _)| *to != owner) {
                let after = number(report).unwrap_or(0);
                plan.push(Forward { owner: owner.in_order(), holder: *owner, to: *to, after });
            }
        }
        plan
    }
}

/// The operations that a member of a group has not applied and another has.
fn missing(proposal: &Proposal, group: &Group, life: Life) -> Vec<Ordered> {
    let applied = proposal.reports.get(&life).map_or(0, |report| report.applied);
    let donor = proposal.reports.get(&group.donor);
    let suffix = donor.map_or(&[][..], |report| &report.suffix);
    suffix.iter().filter(|ordered| ordered.number > applied).cloned().collect()
}

/// Retained events of one side that the other side has had and has no more. On a channel without
/// name a side keeps events only where it has open instances, so their absence says nothing.
fn removed(directory: &Directory, states: &[&State]) -> Vec<Place> {
    let mut removed = BTreeSet::new();
    for state in states {
        for (place, incarnation) in &state.live {
            let linked = directory.find(*incarnation).is_some_and(|(_, entry)| entry.linked);
            let ended = states.iter().any(|other| {
                let known = other.have.get(&place.owner).is_some_and(|have| *have >= place.number);
                let absent = known && !other.live.contains_key(place) && linked;
                absent || other.ahead.contains(place)
            });
            if ended {
                removed.insert(*place);
            }
        }
    }
    removed.into_iter().collect()
}
