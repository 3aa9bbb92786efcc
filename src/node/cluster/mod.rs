//! The node in its cluster: what the engine brings goes to the replication, what that has to say
//! goes to the engine, and requests that others must agree to wait for their answers.
//!
//! Nothing here waits: the engine has a descriptor in the loop's set, and the replication a
//! deadline. A node without a cluster pays one branch for each look.

mod engine;
mod parked;
mod shown;

pub(super) use engine::{Attached, attach};

use super::carriage::Carriage;
use super::cluster_config::{ClusterConfig, Engine};
use super::config::Config;
use super::{ENGINE, Server, log, token};
use crate::evt::cluster::{Answer, Cluster, Life, Notice, Ticket, World};
use crate::evt::node::{Node, ProcessKey};
use crate::evt::{Error, InstanceNo, Span, Time};
use crate::sys::clock;
use crate::transport::Standing;
use parked::Parked;
use shown::told;
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Arrivals that are taken between two rounds of turns, so that programs wait for no long queue.
const ARRIVALS_MAX: usize = 16;
/// How long a node that has just got quorum waits for the greetings of the others before it relies
/// on that: they take some milliseconds, on a busy host some hundred.
const SETTLING: Span = Span(1_000_000_000);
/// An engine that runs is reached sooner; after so long the log says that it is waited for.
const SILENT_TIME: Span = Span(5_000_000_000);
/// How long a node that ends waits until what it has said last is on its way.
const FAREWELL_TIME: Span = Span(1_000_000_000);

/// The replication, its engine, and who waits for it.
pub(in crate::node) struct Replication {
    config: ClusterConfig,
    cluster: Cluster,
    carriage: Carriage,
    standing: Standing,
    /// Since when the engine says so.
    standing_since: Time,
    /// The log says that the engine has not been reached.
    is_told_missing: bool,
    tickets: u64,
    parked: BTreeMap<Ticket, Parked>,
    opening: BTreeMap<(ProcessKey, InstanceNo), Ticket>,
    answers: Vec<Answer>,
    notices: Vec<Notice>,
    /// What has changed last, the newest last, by the wall clock.
    changes: VecDeque<(i64, String)>,
    /// The engine may have more.
    hears: bool,
    /// Something was told to the cluster since it was last pumped.
    has_news: bool,
    /// When the replication is to be looked at again.
    due: Time,
}

impl Replication {
    /// Begins the node's part: from now on its core gathers what others must hear of.
    ///
    /// # Errors
    ///
    /// What the engine says, as one line.
    pub(in crate::node) fn begin(
        config: &Config,
        attached: Attached,
        start: u32,
        (node, now): (&mut Node, Time),
    ) -> Result<Box<Self>, String> {
        let Attached { transport, standing, member, config: cluster } = attached;
        let settings = cluster.settings(&config.limits);
        let carriage = Carriage::new(transport, member)
            .map_err(|error| format!("cannot join the cluster: {error}"))?
            .with_standing(standing);
        let own = Life { member, start };
        log(format_args!(
            "cluster: start {start} of member {member}, by {}",
            cluster.engine.name()
        ));
        Ok(Box::new(Self {
            cluster: Cluster::new(settings, own, node, now),
            config: cluster,
            carriage,
            standing,
            standing_since: now,
            is_told_missing: false,
            tickets: 0,
            parked: BTreeMap::new(),
            opening: BTreeMap::new(),
            answers: Vec::new(),
            notices: Vec::new(),
            changes: VecDeque::new(),
            hears: true,
            has_news: true,
            due: now,
        }))
    }

    /// The descriptor that is readable while the engine has something.
    pub(in crate::node) fn watched_by(&self, server: &Server) -> io::Result<()> {
        match self.carriage.transport().readiness() {
            Some(readiness) => server.watch(readiness, libc::EPOLLIN as u32, token(ENGINE, 0, 0)),
            None => Ok(()),
        }
    }

    /// When there is something to do; at once while there is more.
    pub(in crate::node) fn due(&self) -> Time {
        if self.hears || self.has_news || self.cluster.has_unsent() { Time(0) } else { self.due }
    }

    /// Whether programs are served.
    fn is_serving(&self) -> bool {
        self.cluster.is_serving() && self.standing != Standing::Outside
    }

    /// Why a request cannot be put to the cluster now, if it cannot. While a node starts, only what
    /// has a timeout of its own waits.
    fn refusal(&self, waits: bool) -> Option<Error> {
        match (self.standing, self.cluster.is_serving()) {
            (Standing::Outside, _) => Some(Error::Unavailable),
            (Standing::Starting, true) => Some(Error::TryAgain),
            (_, false) if !waits => Some(Error::TryAgain),
            _ => None,
        }
    }

    /// Notes what the engine says of this node, and what follows for a node that starts.
    fn note_standing(&mut self, now: Time) -> Option<Standing> {
        let told = self.carriage.standing();
        let changed = (told != self.standing).then_some(told);
        if changed.is_some() {
            (self.standing, self.standing_since) = (told, now);
            self.is_told_missing = true;
        }
        let is_member = self.standing == Standing::Member;
        if !is_member {
            self.cluster.wait_anew(now);
        }
        let is_settled = self.standing_since.after(SETTLING) <= now && !self.cluster.is_meeting();
        self.cluster.set_quorate(self.config.needs_quorum && is_member && is_settled);
        changed
    }
}

impl Server {
    /// Calls something of the cluster, if there is one.
    fn with_cluster<R>(
        &mut self,
        call: impl FnOnce(&mut Replication, &mut World<'_>) -> R,
    ) -> Option<R> {
        let Self { core, inboxes, replication, now, .. } = self;
        let replication = replication.as_mut()?;
        let mut world = World { node: core, windows: inboxes, now: *now };
        Some(call(replication, &mut world))
    }

    /// Whether programs are served; before, those of an earlier start cannot come back.
    pub(in crate::node) fn is_serving(&self) -> bool {
        self.replication.as_ref().is_none_or(|replication| replication.is_serving())
    }

    /// The engine has something.
    pub(in crate::node) fn note_engine(&mut self) {
        if let Some(replication) = &mut self.replication {
            replication.hears = true;
        }
    }

    /// Takes what the engine has, as much as is good for the programs, and does what is due.
    ///
    /// # Errors
    ///
    /// The engine has ended for good.
    pub(in crate::node) fn hear_cluster(&mut self) -> io::Result<()> {
        let now = self.now;
        let Some(replication) = &mut self.replication else { return Ok(()) };
        if replication.due() > now {
            return Ok(());
        }
        let heard: Option<io::Result<usize>> = self.with_cluster(|replication, world| {
            let Replication { carriage, cluster, hears, config, .. } = replication;
            let mut heard = 0;
            while *hears && heard < ARRIVALS_MAX {
                // Each has come by now, and not before: round trips are counted by this.
                world.now = clock::elapsed();
                let taken = carriage.receive(cluster, world, 1).map_err(|error| {
                    let engine = config.engine.name();
                    io::Error::other(format!("{engine} has ended this node's part: {error}"))
                })?;
                *hears = taken > 0;
                heard += taken;
            }
            Ok(heard)
        });
        let heard = heard.unwrap_or(Ok(0))?;
        let now = clock::elapsed();
        self.now = now;
        let told = self.with_cluster(|replication, _| {
            replication.has_news |= heard > 0;
            replication.note_standing(now)
        });
        if let Some(standing) = told.flatten() {
            self.heed_standing(standing);
        }
        self.miss_engine();
        if self.with_cluster(|replication, _| replication.cluster.wants_all_published())
            == Some(true)
        {
            self.take_all();
        }
        self.with_cluster(|replication, world| {
            if replication.cluster.next_deadline() <= now {
                replication.cluster.tick(world);
                replication.has_news = true;
            }
            replication.due = replication.cluster.next_deadline();
        });
        Ok(())
    }

    /// Says once that an engine has not been reached that should be there by now.
    fn miss_engine(&mut self) {
        let now = self.now;
        let Some(replication) = &mut self.replication else { return };
        let since = replication.standing_since;
        if !replication.is_told_missing && since.after(SILENT_TIME) <= now {
            replication.is_told_missing = true;
            let what = match replication.config.engine {
                Engine::Corosync => "corosync is not reached; see that it runs",
                Engine::Tipc => {
                    "this host has no TIPC address: give it one (tipc node set address 1.1.1)"
                }
            };
            self.note_change_of_cluster(what.into());
        }
    }

    /// The engine says something else of this node than before.
    fn heed_standing(&mut self, standing: Standing) {
        self.show_standing();
        let Some(replication) = &self.replication else { return };
        let engine = replication.config.engine.name();
        let (what, error) = match standing {
            Standing::Member => ("this node is a member", None),
            Standing::Starting => ("is not reached, or forms a cluster", Some(Error::TryAgain)),
            Standing::Outside => ("this node is outside: no quorum", Some(Error::Unavailable)),
        };
        // A node that starts has promised nothing: its opens wait for better times.
        let waits = standing == Standing::Starting && !replication.cluster.is_serving();
        self.note_change_of_cluster(format!("{engine}: {what}"));
        if let Some(error) = error.filter(|_| !waits) {
            self.fail_opens(error);
        }
    }

    /// Whether the engine says that this node is no member.
    pub(in crate::node) fn is_outside(&self) -> bool {
        self.replication.as_ref().is_some_and(|it| it.standing == Standing::Outside)
    }

    /// Tells all programs whether this node is a member, and wakes those for which that is news.
    fn show_standing(&mut self) {
        let outside = self.is_outside();
        for client in self.clients.iter().flatten() {
            if let Some(linked) = &client.linked
                && linked.outbox.set_outside(outside)
            {
                self.inboxes.ring_all(client.process);
            }
        }
    }

    /// Moves the replication on: what this node has done goes out, what was waited for is answered,
    /// what should be known is logged.
    pub(in crate::node) fn speak_to_cluster(&mut self) {
        let Some(replication) = &self.replication else { return };
        if !replication.has_news && !self.core.has_gathered() && !replication.cluster.has_unsent() {
            return;
        }
        self.now = clock::elapsed();
        self.with_cluster(|replication, world| {
            replication.has_news = false;
            replication.cluster.pump(world);
        });
        self.heed_notices();
        self.give_answers();
        self.show_effects();
        self.with_cluster(|replication, world| {
            let Replication { carriage, cluster, .. } = replication;
            carriage.send(cluster, world);
            replication.due = cluster.next_deadline();
        });
        self.release_held();
        // It is nobody's turn that is to pay.
        let _ = self.core.take_work();
    }

    fn heed_notices(&mut self) {
        let Some(replication) = &mut self.replication else { return };
        let mut notices = std::mem::take(&mut replication.notices);
        replication.cluster.take_notices(&mut notices);
        for notice in notices.drain(..) {
            self.heed(&notice);
        }
        if let Some(replication) = &mut self.replication {
            replication.notices = notices;
        }
    }

    fn heed(&mut self, notice: &Notice) {
        match notice {
            Notice::Start(start) => self.note_start(*start),
            // Programs of an earlier start could not come back before.
            Notice::Serving if self.grace_ends.is_some() => {
                self.grace_ends = Some(self.now.after(self.config.grace));
            }
            _ => {}
        }
        self.note_change_of_cluster(told(notice));
    }

    /// Says goodbye, so that nobody takes what was sent for incomplete.
    pub(in crate::node) fn leave_cluster(&mut self) {
        let end = clock::elapsed().after(FAREWELL_TIME);
        self.with_cluster(|replication, world| {
            replication.cluster.pump(world);
            replication.cluster.leave();
            let Replication { carriage, cluster, .. } = replication;
            // Who has no room now is slow, and will be told of a loss.
            while cluster.has_unsent() && clock::elapsed() < end {
                carriage.send(cluster, world);
            }
            carriage.finish(end);
        });
    }
}
