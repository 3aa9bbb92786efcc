//! One machine of the simulated cluster: its core, its part of the cluster, its engine.

use crate::desk::Inboxes;
use SaEvt::evt::cluster::{Answer, Ask, Cluster, Life, Notice, Settings, Snapshot, Ticket, World};
use SaEvt::evt::node::{EventRecord, Fact, Genesis, Node};
use SaEvt::evt::{Incarnation, Limits, Name, Time};
use SaEvt::node::carriage::Carriage;
use SaEvt::transport::sim::Net;

/// What is left of a machine for its next start.
#[derive(Default)]
pub(crate) struct Saved {
    channels: Vec<(Incarnation, Name, bool)>,
    retained: Vec<(Incarnation, EventRecord, Time)>,
    snapshot: Option<Snapshot>,
}

pub(crate) struct Machine {
    pub(crate) node: Node,
    pub(crate) inboxes: Inboxes,
    pub(crate) cluster: Cluster,
    carriage: Carriage,
    /// How far its clock is ahead of the simulation's.
    pub(crate) ahead: u64,
    /// Nothing is done on it before.
    pub(crate) stopped_until: u64,
    /// Each start of a machine has another one.
    pub(crate) incarnation: u64,
    pub(crate) notices: Vec<Notice>,
    tickets: u64,
}

impl Machine {
    pub(crate) fn start(
        net: &Net,
        member: u16,
        start: u32,
        (now, ahead): (u64, u64),
        (limits, settings, window): (Limits, Settings, usize),
        saved: Saved,
    ) -> Self {
        let genesis = Genesis { member, start, hash_seed: u64::from(member) };
        let mut node = Node::new(limits, genesis);
        for (incarnation, name, linked) in saved.channels {
            node.adopt_channel(incarnation, &name, linked);
        }
        for (incarnation, record, deadline) in saved.retained {
            node.adopt_retained(incarnation, record, deadline);
        }
        // No program of before comes back.
        node.end_grace();
        let local = Time(now + ahead);
        let mut cluster = Cluster::new(settings, Life { member, start }, &mut node, local);
        if let Some(snapshot) = saved.snapshot {
            cluster.resume(snapshot, &node);
        }
        let transport = net.attach(u32::from(member));
        let carriage = Carriage::new(Box::new(transport), member).unwrap();
        Self {
            node,
            inboxes: Inboxes::new(window),
            cluster,
            carriage,
            ahead,
            stopped_until: 0,
            incarnation: now << 16 | u64::from(member),
            notices: Vec::new(),
            tickets: 0,
        }
    }

    /// What a log in the runtime directory would hold.
    pub(crate) fn save(&self) -> Saved {
        let mut saved = Saved { snapshot: self.cluster.snapshot(), ..Saved::default() };
        self.node.facts(&mut |fact| match fact {
            Fact::Channel { incarnation, name, linked } => {
                saved.channels.push((incarnation, *name, linked));
            }
            Fact::Retained { incarnation, record, deadline } => {
                saved.retained.push((incarnation, (**record).clone(), deadline));
            }
            Fact::Moved { .. } => {}
        });
        saved
    }

    pub(crate) fn time(&self, now: u64) -> Time {
        Time(now + self.ahead)
    }

    /// Calls something of the cluster.
    pub(crate) fn with<R>(
        &mut self,
        now: u64,
        call: impl FnOnce(&mut Cluster, &mut World<'_>) -> R,
    ) -> R {
        let now = self.time(now);
        let mut world = World { node: &mut self.node, windows: &mut self.inboxes, now };
        call(&mut self.cluster, &mut world)
    }

    /// When something is due by itself, by the simulation's clock.
    pub(crate) fn next(&self) -> u64 {
        let cluster = self.cluster.next_deadline();
        let node = self.node.next_deadline().unwrap_or(Time::MAX);
        let due = cluster.min(node).0.saturating_sub(self.ahead);
        due.max(self.stopped_until)
    }

    /// One turn of the machine's loop.
    pub(crate) fn work(&mut self, now: u64) {
        if now < self.stopped_until {
            return;
        }
        let local = self.time(now);
        let Self { carriage, cluster, node, inboxes, .. } = self;
        let mut world = World { node, windows: inboxes, now: local };
        carriage.receive(cluster, &mut world, usize::MAX).unwrap();
        if self.node.next_deadline().is_some_and(|due| due <= local) {
            self.node.expire(local);
        }
        if self.cluster.next_deadline() <= local {
            self.with(now, |cluster, world| cluster.tick(world));
        }
        self.with(now, |cluster, world| cluster.pump(world));
        let Self { carriage, cluster, node, inboxes, .. } = self;
        carriage.send(cluster, &mut World { node, windows: inboxes, now: local });
        self.cluster.take_notices(&mut self.notices);
        let mut changes = Vec::new();
        self.node.take_changes(&mut changes);
    }

    pub(crate) fn ask(&mut self, ask: Ask, now: u64) -> u64 {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.with(now, |cluster, world| cluster.request(ticket, ask, world));
        ticket.0
    }

    pub(crate) fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.cluster.take_answers(&mut answers);
        answers
    }
}
