//! Ordered operations: asking, sequencing, applying, and when they are everywhere.

use super::directory::{Effect, Roles};
use super::message::{Body, Life, Op, Ordered, Packet, PeerKey, ViewId};
use super::requests::{Answer, Outcome, Ticket};
use super::{Cluster, Plant, World};
use crate::evt::node::ProcessKey;
use crate::evt::{Error, EventId, Incarnation, InstanceNo, LibraryNo, OpenFlags, Time};

/// What is done on this node when an operation it has asked for is applied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Local {
    /// An open instance is made.
    Open { process: ProcessKey, library: LibraryNo, instance: InstanceNo, flags: OpenFlags },
    /// Nothing else; somebody waits for the answer.
    Answer,
    /// Nothing, and nobody waits.
    Silent,
    /// Instances subscribe already that have come back without waiting for this: what was published
    /// elsewhere until all know of them they have missed.
    Subscribed(Incarnation),
}

impl Local {
    /// Whether an open instance is to be made for a process.
    pub(super) fn opens_for(&self, process: ProcessKey) -> bool {
        matches!(self, Self::Open { process: of, .. } if *of == process)
    }
}

/// An operation this node has asked for.
#[derive(Debug)]
pub(super) struct Pending {
    request: u64,
    pub(super) op: Op,
    local: Local,
    /// Who waits; nobody any more after a timeout.
    ticket: Option<Ticket>,
    /// When the answer is a timeout.
    gives_up: Option<Time>,
    /// The operation it rests on, once it is applied, and what to answer when that is everywhere.
    done: Option<(u64, Outcome)>,
    /// Others have gone on without this node since it was asked for, and may have applied it.
    apart: bool,
}

impl Pending {
    pub(super) fn gives_up(&self) -> Option<Time> {
        self.gives_up.filter(|_| self.ticket.is_some())
    }

    pub(super) fn is_of(&self, ticket: Ticket) -> bool {
        self.ticket == Some(ticket)
    }

    /// Nobody waits for it any more, if it is `of` those.
    pub(super) fn forget(&mut self, of: impl FnOnce(&Local) -> bool) {
        if of(&self.local) {
            self.ticket = None;
            if self.done.is_none() {
                self.local = Local::Silent;
            }
        }
    }
}

impl Cluster {
    /// Asks for an operation.
    pub(super) fn ask(
        &mut self,
        op: Op,
        local: Local,
        ticket: Option<Ticket>,
        world: &mut World<'_>,
    ) {
        self.requested += 1;
        let request = self.requested;
        let own_time = !matches!(local, Local::Open { .. });
        let gives_up = own_time.then(|| world.now.after(self.settings.request_timeout));
        let (done, apart) = (None, false);
        let pending = Pending { request, op: op.clone(), local, ticket, gives_up, done, apart };
        self.pending.push_back(pending);
        self.submit(request, op, world);
    }

    pub(super) fn submit(&mut self, request: u64, op: Op, world: &mut World<'_>) {
        let Some((view, version)) = self.view.as_ref().map(|view| (view.id, view.version)) else {
            return;
        };
        let op = if op.version() > version { op.plain() } else { op };
        if self.frozen {
            return;
        }
        if view.leader == self.own {
            self.sequence(self.own, request, op, world);
        } else {
            self.push_to(view.leader, Body::Request { view, request, op });
        }
    }

    /// In a new view: what was applied rests on the view, what was not is asked for again. A
    /// channel to be created gets another number: the old one may live on beyond a split.
    ///
    /// `apart`: members meet that were not all in one view before. What had been removed here and
    /// was not known everywhere may have been removed by others too, who were told so.
    pub(super) fn ask_again(&mut self, apart: bool, world: &mut World<'_>) {
        let base = self.applied;
        let apart = apart && !self.settings.has(Plant::SureApart);
        let mut again = Vec::new();
        for pending in &mut self.pending {
            pending.apart |= apart;
            if let Some((number, outcome)) = &mut pending.done {
                *number = base;
                if apart && outcome.is_ok() && pending.op.removes() {
                    *outcome = Err(Error::Timeout);
                }
                continue;
            }
            if let Op::Open { name, create: Some(create), .. } = &mut pending.op
                && let Some(other) = world.node.next_incarnation(name)
            {
                *create = other;
            }
            again.push((pending.request, pending.op.clone()));
        }
        again.into_iter().for_each(|(request, op)| self.submit(request, op, world));
    }

    pub(super) fn hear_request(
        &mut self,
        from: Life,
        view: ViewId,
        request: u64,
        op: Op,
        world: &mut World<'_>,
    ) {
        let current = self.view.as_ref().is_some_and(|own| own.id == view);
        if current && self.is_leader() && !self.frozen {
            self.sequence(from, request, op, world);
        }
    }

    fn sequence(&mut self, origin: Life, request: u64, op: Op, world: &mut World<'_>) {
        self.sequenced += 1;
        let ordered = Ordered { number: self.sequenced, origin, request, op };
        self.unsent.push(ordered.clone());
        self.apply(self.own, ordered, world);
    }

    pub(super) fn hear_ops(
        &mut self,
        from: Life,
        view: ViewId,
        ops: Vec<Ordered>,
        world: &mut World<'_>,
    ) {
        let current = self.view.as_ref().is_some_and(|own| own.id == view);
        if !current || view.leader != from || self.frozen {
            return;
        }
        for ordered in ops {
            if ordered.number != self.applied + 1 {
                let key = self.peer_of(from);
                return key.into_iter().for_each(|key| self.break_session(key, world));
            }
            self.apply(from, ordered, world);
        }
        self.release_all(world);
    }

    /// Applies the next operation to the directory and the node.
    pub(super) fn apply(&mut self, leader: Life, ordered: Ordered, world: &mut World<'_>) {
        self.applied = ordered.number;
        let unlinked: Vec<Incarnation> = match &ordered.op {
            Op::Unlink { name } => self
                .directory
                .linked(name)
                .map_or_else(Vec::new, |(_, entry)| entry.lives.keys().copied().collect()),
            _ => Vec::new(),
        };
        let effect = self.directory.apply(leader, &ordered, self.settings.channels_max());
        let mut cleared = false;
        match (&ordered.op, effect) {
            (Op::Open { name, .. }, Effect::Opened { incarnation, created }) => {
                if created {
                    // Without memory for it opens here fail, and the next view tries again.
                    let _ = world.node.adopt_replica(incarnation, name);
                }
                self.note_wanted(incarnation, world);
            }
            (_, Effect::Unlinked { incarnation }) => {
                unlinked.iter().for_each(|life| world.node.unlink_replica(*life));
                // An open that is under way will not be of this one any more.
                self.unsettled.insert(incarnation);
            }
            (_, Effect::Assigned { incarnation }) => self.note_wanted(incarnation, world),
            (Op::Publish { .. }, _) => self.note_due(&ordered, world),
            (Op::Clear { incarnation, id, place }, _) => {
                cleared = world.node.clear_replica(*incarnation, *id);
                self.retained.end(*id);
                self.retained.clear_ahead(*place);
            }
            _ => {}
        }
        if ordered.origin == self.own {
            self.complete(&ordered, effect, cleared, world);
        }
        self.suffix.push_back(ordered);
    }

    /// Tells the node whether others want what is published on a channel.
    pub(super) fn note_wanted(&mut self, key: Incarnation, world: &mut World<'_>) {
        let Some((_, entry)) = self.directory.find(key) else { return };
        let wanted = entry.is_wanted_by_others(self.own.member);
        let ordered = entry.ordered || self.orders.is_loose(key);
        for life in entry.lives.keys() {
            world.node.set_remote(*life, wanted || ordered);
            world.node.set_ordered(*life, ordered);
        }
        self.note_patient(key, world);
    }

    /// Does the local part of an operation that this node has asked for.
    fn complete(
        &mut self,
        ordered: &Ordered,
        effect: Effect,
        cleared: bool,
        world: &mut World<'_>,
    ) {
        if let Effect::Opened { incarnation, .. } = effect {
            // Its roles are those of who asked, and that may be nobody any more.
            self.unsettled.insert(incarnation);
        }
        let asked = self.pending.iter().position(|pending| pending.request == ordered.request);
        let Some(at) = asked else { return };
        let twice = self.settings.has(Plant::UnlinkTwice);
        let Pending { local, apart, .. } = self.pending[at];
        // Perhaps it was this very request that has removed it elsewhere.
        let missing = if apart { Error::Timeout } else { Error::NotExist };
        let outcome = match (local, effect) {
            (Local::Answer, Effect::Missing) if twice => Ok(None),
            (Local::Answer, Effect::Missing) => Err(missing),
            (_, Effect::Missing) => Err(Error::NotExist),
            (_, Effect::Full) => Err(Error::NoResources),
            (
                Local::Open { process, library, instance, flags },
                Effect::Opened { incarnation, .. },
            ) => self.open_here(process, library, instance, (incarnation, flags), world),
            (_, Effect::Clear) if !cleared => Err(missing),
            _ => Ok(None),
        };
        if matches!(local, Local::Silent) {
            self.pending.remove(at);
        } else {
            self.pending[at].done = Some((ordered.number, outcome));
        }
    }

    /// Makes an open instance on a channel of the directory.
    pub(super) fn open_here(
        &self,
        process: ProcessKey,
        library: LibraryNo,
        instance: InstanceNo,
        (key, flags): (Incarnation, OpenFlags),
        world: &mut World<'_>,
    ) -> Outcome {
        let lives = self.directory.find(key).map(|(_, entry)| entry.lives.keys());
        let mut lives = lives.into_iter().flatten();
        let known = lives.find(|life| world.node.is_linked(**life) == Some(true));
        let known = known.copied().unwrap_or(key);
        world.node.open_replica(process, library, instance, known, flags).map(Some)
    }

    /// Sends what was sequenced, how far this node is, and how far everybody is.
    pub(super) fn flush_operations(&mut self, _world: &mut World<'_>) {
        let Some(view) = self.view.as_ref().map(|view| view.id) else { return };
        if self.frozen {
            return;
        }
        if view.leader != self.own {
            if self.applied > self.acked {
                self.acked = self.applied;
                self.push_to(view.leader, Body::Ack { view, number: self.acked });
            }
            return;
        }
        let ops = std::mem::take(&mut self.unsent);
        if !ops.is_empty() {
            self.push_to_others(&Body::Ops { view, ops });
        }
        let acks = self.view.as_ref().and_then(|view| view.acks.values().min().copied());
        let stable = match acks {
            Some(least) if !self.settings.has(Plant::SkipAck) => least,
            _ => self.applied,
        };
        self.advance_stable(stable);
        if self.stable > self.told_stable {
            self.told_stable = self.stable;
            self.push_to_others(&Body::Stable { view, number: self.stable });
        }
    }

    fn push_to_others(&mut self, body: &Body) {
        let Some(view) = &self.view else { return };
        let others = self.peers.values_mut().filter(|peer| {
            peer.established && peer.life.is_some_and(|life| view.members.contains(&life))
        });
        others.for_each(|peer| peer.push(body.clone()));
    }

    pub(super) fn hear_ack(&mut self, from: Life, view: ViewId, number: u64) {
        if self.frozen || number > self.applied {
            return;
        }
        if let Some(own) = self.view.as_mut().filter(|own| own.id == view)
            && let Some(ack) = own.acks.get_mut(&from)
        {
            *ack = number.max(*ack);
        }
    }

    pub(super) fn hear_stable(&mut self, from: Life, view: ViewId, number: u64) {
        let current = self.view.as_ref().is_some_and(|own| own.id == view);
        if current && view.leader == from && number <= self.applied {
            self.advance_stable(number);
        }
    }

    fn advance_stable(&mut self, number: u64) {
        if number <= self.stable {
            return;
        }
        self.stable = number;
        self.retry = true;
        while self.suffix.front().is_some_and(|ordered| ordered.number <= number) {
            self.suffix.pop_front();
        }
    }

    /// Answers requests whose operation is everywhere.
    pub(super) fn answer_stable(&mut self, world: &mut World<'_>) {
        let any = self.settings.has(Plant::AnswerUnstable);
        let (stable, answers) = (self.stable, &mut self.answers);
        let mut missed = Vec::new();
        self.pending.retain_mut(|pending| {
            let Some((number, outcome)) = pending.done else { return true };
            if number > stable && !any {
                return true;
            }
            if let Some(ticket) = pending.ticket {
                answers.push(Answer { ticket, outcome });
            }
            if let Local::Subscribed(channel) = pending.local {
                missed.push(channel);
            }
            false
        });
        self.lose_on(missed, world);
    }

    /// Answers requests that have waited for too long.
    pub(super) fn give_up(&mut self, now: Time) {
        if self.settings.has(Plant::NoTimeout) {
            return;
        }
        let late = |by: Option<Time>| by.is_some_and(|by| by <= now);
        for pending in &mut self.pending {
            if late(pending.gives_up())
                && let Some(ticket) = pending.ticket.take()
            {
                self.answers.push(Answer { ticket, outcome: Err(Error::Timeout) });
            }
        }
        let answers = &mut self.answers;
        self.waiting.retain(|waiting| {
            let late = late(waiting.gives_up());
            if late {
                answers.push(Answer { ticket: waiting.ticket, outcome: Err(Error::Timeout) });
            }
            !late
        });
    }

    /// The roles of this node on a channel, as the others will know them when what it has asked for
    /// is done.
    pub(super) fn announced(&self, key: Incarnation) -> Roles {
        let Some((_, entry)) = self.directory.find(key) else { return Roles::empty() };
        let known = entry.roles.get(&self.own.member).copied().unwrap_or(Roles::empty());
        let open = self.pending.iter().filter(|pending| pending.done.is_none());
        open.fold(known, |roles, pending| match &pending.op {
            Op::Open { name, roles: more, .. } if entry.linked && *name == entry.name => {
                roles | *more
            }
            Op::Roles { incarnation, roles: all } if entry.lives.contains_key(incarnation) => *all,
            _ => roles,
        })
    }

    /// Tells the others what is done on channels here, where that has changed.
    pub(super) fn settle_roles(&mut self, world: &mut World<'_>) {
        self.unsettled.extend(world.node.take_touched());
        if self.frozen || self.view.is_none() || self.unsettled.is_empty() {
            return;
        }
        for incarnation in std::mem::take(&mut self.unsettled) {
            let Some((key, entry)) = self.directory.find(incarnation) else { continue };
            let lives = entry.lives.keys();
            let mut roles =
                lives.fold(Roles::empty(), |roles, life| roles | world.node.roles(*life));
            let opening = self.pending.iter().filter(|pending| pending.done.is_none());
            for pending in opening {
                if let Op::Open { name, roles: more, .. } = &pending.op
                    && entry.linked
                    && *name == entry.name
                {
                    roles |= *more;
                }
            }
            if roles != self.announced(key) {
                let gains = (roles - self.announced(key)).contains(Roles::SUBSCRIBER);
                let local = if gains { Local::Subscribed(key) } else { Local::Silent };
                self.ask(Op::Roles { incarnation: key, roles }, local, None, world);
            }
        }
    }

    /// Whether a peer waits to hear if an event is on its way to it: the driver takes all that its
    /// programs have published, then calls [`Cluster::pump`].
    #[must_use]
    pub fn wants_all_published(&self) -> bool {
        !self.probes.is_empty()
    }

    pub(super) fn answer_probes(&mut self) {
        let (view, applied) = self.position();
        let probes: Vec<(PeerKey, EventId)> = std::mem::take(&mut self.probes);
        let (wait, probes): (Vec<_>, Vec<_>) =
            probes.into_iter().partition(|(_, id)| self.orders.has(*id));
        self.probes = wait;
        for (key, id) in probes {
            if let Some(peer) = self.peers.get_mut(&key) {
                let stream = super::Stream::Probed { id };
                peer.push(Packet::stream(view, applied, stream));
            }
        }
    }
}
