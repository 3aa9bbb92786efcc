//! The daemon: one event loop around the pure core.
//!
//! The loop watches the listening socket, each program's control socket, its bell and its end,
//! and the termination signals. Whoever has work gets turns of bounded cost in rotation.
#![allow(clippy::disallowed_methods)] // A driver.

mod alarm;
mod arrival;
pub mod carriage;
mod client;
mod cluster;
pub mod cluster_config;
mod cluster_travel;
pub mod config;
mod departure;
pub mod entry;
mod grants;
mod holding;
mod journal;
mod log;
pub mod metrics;
mod others;
mod permits;
pub mod place;
mod recent;
mod reload;
mod requests;
mod rest;
mod schedule;
mod sharing;
mod starts;
mod status;
mod supervisor;
mod throttle;
mod turn;
mod windows;

use crate::evt::node::{Change, Genesis, Identity, Node};
use crate::evt::{EventId, Span, Time};
use crate::sys::descriptor::{self, Ready};
use crate::sys::{clock, process, socket};
use crate::wire::MESSAGE_BYTES_MAX;
pub use log::{complain, log};

use alarm::Alarm;
use client::{Client, Linked};
use cluster::{Attached, Replication};
use config::Config;
use departure::Departure;
use journal::Journal;
use log::Level;
use metrics::Metrics;
use place::Place;
use recent::Recent;
use sharing::Sharing;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use supervisor::Supervisor;
use windows::Inboxes;

/// Pause between attempts to write the state file on a full or broken disk. Each costs all facts.
const MEND_PAUSE: Span = Span(1_000_000_000);
/// How long the daemon accepts nobody after it could not for want of descriptors.
const ACCEPT_PAUSE: Span = Span(100_000_000);
const LISTENER: u64 = 0;
const SIGNAL: u64 = 1;
const CONTROL: u64 = 2;
const BELL: u64 = 3;
const END: u64 = 4;
const SYSTEM: u64 = 5;
const CHANGE: u64 = 6;
const METRICS: u64 = 7;
const SCRAPER: u64 = 8;
const ALARM: u64 = 9;
const ENGINE: u64 = 10;

/// What a descriptor stands for in the epoll set: a kind, a client's slot and its generation.
const fn token(kind: u64, slot: usize, generation: u32) -> u64 {
    kind << 56 | (slot as u64) << 32 | generation as u64
}

/// The daemon's whole state.
struct Server {
    config: Config,
    core: Node,
    inboxes: Inboxes,
    clients: Vec<Option<Client>>,
    generation: u32,
    connected: usize,
    epoll: OwnedFd,
    alarm: Alarm,
    place: Place,
    journal: Journal,
    changes: Vec<Change>,
    /// Clients that have work, in the order of their turns.
    work: VecDeque<(usize, u32)>,
    /// Those that have slept and come first.
    favoured: VecDeque<(usize, u32)>,
    /// Those that the node looks at itself while it is awake.
    recent: Recent,
    resting: VecDeque<(Time, (usize, u32))>,
    grace_ends: Option<Time>,
    /// The log could not be written; when to try again.
    mend_at: Option<Time>,
    accept_at: Option<Time>,
    idle_since: Option<Time>,
    /// Of a private daemon that moves when a system service appears.
    departure: Option<Departure>,
    supervisor: Supervisor,
    /// Of a node in a cluster.
    replication: Option<Box<Replication>>,
    /// Everything is at the system service now.
    has_departed: bool,
    /// A move has failed after the programs were left: they are served again from the state.
    begins_anew: bool,
    start: u32,
    /// When it started, by the wall clock.
    since: i64,
    now: Time,
    /// Units of work since the last look at the descriptors.
    spent: u64,
    /// What the policy has refused to all programs.
    refusals: u64,
    /// Lines of log about users.
    log_users: log::Users,
    /// Counters for Prometheus, if they are wanted.
    metrics: Option<Metrics>,
    /// Room for what the epoll set reports.
    ready: Vec<Ready>,
    buffer: Vec<u8>,
    attributes: Vec<u8>,
    /// Room for what is found in an outbox.
    seen: Vec<turn::Range>,
    ending: bool,
}

/// Runs the daemon until a termination signal comes or it has been idle for long enough.
///
/// `place` is what the daemon holds: lock, socket, signals. The socket's name is removed at the
/// end.
///
/// # Errors
///
/// What made a start impossible, as one line.
pub fn run(config: Config, place: Place) -> Result<(), String> {
    let mut server = Server::start(config, place)?;
    server.depart_first();
    while !server.ending {
        server.step().map_err(|error| match error.kind() {
            // It says itself what has failed.
            io::ErrorKind::Other => error.to_string(),
            _ => format!("the event loop failed: {error}"),
        })?;
        if server.begins_anew {
            server.note_end();
            let Server { config, place, departure, .. } = server;
            server = Server::start(config, place)?;
            server.departure = departure;
        }
    }
    server.end();
    Ok(())
}

/// The core with what an earlier start has left.
fn resume(left: journal::Left, mut core: Node, attached: Option<&Attached>, now: Time) -> Node {
    let (restarted, clean) = (left.of_this_boot, left.clean);
    journal::adopt(left, &mut core, now);
    if restarted {
        // What others have published meanwhile is missed also after an end in order.
        core.begin_grace(!clean || attached.is_some());
    }
    core
}

impl Server {
    fn start(config: Config, place: Place) -> Result<Self, String> {
        let directory = config.state_dir.clone();
        let shown = directory.display();
        let left = journal::read(&directory)
            .map_err(|error| format!("cannot read the state in {shown}: {error}"))?;
        let yields = config.yields_to.is_some();
        let start = match left.start {
            0 if yields => departure::first_start(),
            before => starts::next(before),
        };
        let attached = config.cluster.as_ref().map(|it| cluster::attach(it, &place)).transpose()?;
        let member = match &attached {
            Some(attached) => attached.member,
            None if yields => EventId::private_member(process::user()),
            None => 0,
        };
        let now = clock::elapsed();
        let genesis = Genesis { member, start, hash_seed: process::random() };
        let restarted = left.of_this_boot;
        let (grants, births) = (left.grants(), left.births());
        let mut core =
            resume(left, Node::new(config.limits.clone(), genesis), attached.as_ref(), now);
        let join = |attached| Replication::begin(&config, attached, start, (&mut core, now));
        let replication = attached.map(join).transpose()?;
        let journal = Journal::begin(&directory, start, grants, births, &|visit| core.facts(visit))
            .map_err(|error| format!("cannot write the state in {shown}: {error}"))?;
        let epoll = descriptor::epoll().map_err(|error| format!("no epoll set: {error}"))?;
        let alarm = Alarm::new().map_err(|error| format!("no timer: {error}"))?;
        let attributes_bytes = config.limits.attributes_bytes_max() as usize;
        let mut server = Self {
            grace_ends: restarted.then(|| now.after(config.grace)),
            mend_at: None,
            accept_at: None,
            idle_since: Some(now),
            departure: yields.then(|| Departure::new(now)),
            supervisor: Supervisor::new(now),
            replication,
            has_departed: false,
            begins_anew: false,
            inboxes: Inboxes::new(Sharing::begin(&config)),
            clients: Vec::new(),
            generation: 0,
            connected: 0,
            changes: Vec::new(),
            work: VecDeque::new(),
            favoured: VecDeque::new(),
            recent: Recent::default(),
            resting: VecDeque::new(),
            spent: 0,
            refusals: 0,
            log_users: log::Users::default(),
            metrics: None,
            ready: Vec::new(),
            buffer: vec![0; MESSAGE_BYTES_MAX],
            attributes: Vec::with_capacity(attributes_bytes),
            seen: Vec::new(),
            ending: false,
            config,
            core,
            epoll,
            alarm,
            place,
            journal,
            start,
            since: clock::wall(),
            now,
        };
        server.watch_all()?;
        Ok(server)
    }

    /// Watches what is there before the first program, listens for who wants metrics, and tells the
    /// supervisor.
    fn watch_all(&mut self) -> Result<(), String> {
        let failed = |error| format!("cannot watch the socket: {error}");
        let events = libc::EPOLLIN as u32;
        self.watch_listener().map_err(failed)?;
        let signals = self.place.signals.as_fd();
        self.watch(signals, events, token(SIGNAL, 0, 0)).map_err(failed)?;
        self.watch(self.alarm.readiness(), events, token(ALARM, 0, 0)).map_err(failed)?;
        if let Some(address) = &self.config.metrics {
            let metrics = Metrics::listen(address, self.config.socket_mode)?;
            self.watch(metrics.listener(), events, token(METRICS, 0, 0)).map_err(failed)?;
            self.metrics = Some(metrics);
        }
        if let Some(replication) = &self.replication {
            let watched = replication.watched_by(self);
            watched.map_err(|error| format!("cannot watch the engine: {error}"))?;
        }
        self.supervisor.ready();
        Ok(())
    }

    fn watch_listener(&self) -> io::Result<()> {
        let listener = self.place.listener.as_fd();
        self.watch(listener, libc::EPOLLIN as u32, token(LISTENER, 0, 0))
    }

    fn watch(&self, member: BorrowedFd<'_>, events: u32, token: u64) -> io::Result<()> {
        descriptor::epoll_add(self.epoll.as_fd(), member.as_raw_fd(), events, token)
    }

    /// Looks at the descriptors, then gives turns to those that have work.
    fn step(&mut self) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        if !self.passes_descriptors() {
            self.look_at_descriptors(&mut ready)?;
        }
        self.now = clock::elapsed();
        for ready in ready.drain(..) {
            self.note(ready);
        }
        self.ready = ready;
        self.pass_time();
        if self.has_departed || self.begins_anew {
            // What is published from now on is not for this daemon.
            return Ok(());
        }
        self.hear_cluster()?;
        self.give_turns();
        self.publish_of_gone();
        self.speak_to_cluster();
        Ok(())
    }

    fn client(&mut self, slot: usize, generation: u32) -> Option<&mut Client> {
        self.clients.get_mut(slot)?.as_mut().filter(|client| client.generation == generation)
    }

    /// What a client shares with this node, once it has said hello.
    fn linked(&self, slot: usize) -> Option<&Linked> {
        self.clients[slot].as_ref()?.linked.as_ref()
    }

    fn note(&mut self, ready: Ready) {
        let kind = ready.token >> 56;
        let (slot, generation) = ((ready.token >> 32 & 0xff_ffff) as usize, ready.token as u32);
        match kind {
            LISTENER => self.accept(),
            SIGNAL => self.hear_signals(),
            SYSTEM => self.hear_system(),
            CHANGE => self.note_change(),
            ALARM => self.alarm.end(),
            METRICS => self.accept_scrapers(),
            SCRAPER => self.serve_scraper(slot, generation),
            ENGINE => self.note_engine(),
            _ => {
                let Some(client) = self.client(slot, generation) else {
                    return self.inboxes.forget_ended();
                };
                match kind {
                    CONTROL => client.readable = true,
                    END => {
                        client.gone = true;
                        client.readable = true;
                    }
                    _ => {}
                }
                if kind == CONTROL && ready.events & (libc::EPOLLERR as u32) != 0 {
                    client.gone = true;
                }
                self.favour(slot, generation);
            }
        }
    }

    fn accept(&mut self) {
        loop {
            match socket::accept(self.place.listener.as_fd()) {
                Ok(Some(control)) => {
                    if let Err(error) = self.connect(control) {
                        complain(format_args!("a program could not be connected: {error}"));
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    complain(format_args!("cannot accept programs for a while: {error}"));
                    // Its readiness would be reported at each look.
                    let listener = self.place.listener.as_raw_fd();
                    descriptor::epoll_remove(self.epoll.as_fd(), listener);
                    self.accept_at = Some(self.now.after(ACCEPT_PAUSE));
                    return;
                }
            }
        }
    }

    fn connect(&mut self, control: OwnedFd) -> io::Result<()> {
        let peer = socket::peer(control.as_fd())?;
        socket::set_send_bytes(control.as_fd(), 2 * MESSAGE_BYTES_MAX);
        let identity = Identity { uid: peer.uid, gid: peer.gid, pid: peer.pid };
        let process = match self.core.connect(identity) {
            Ok(process) => process,
            Err(error) => {
                let reply = crate::wire::Reply {
                    id: 1,
                    code: Err(error),
                    body: crate::wire::reply::Body::None,
                };
                return socket::send(control.as_fd(), &reply.encode(), &[]);
            }
        };
        let slot = process.0 as usize;
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let pidfd = process::pidfd(peer.pid).ok();
        let watched = self
            .watch(
                control.as_fd(),
                (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
                token(CONTROL, slot, generation),
            )
            .and_then(|()| match &pidfd {
                Some(pidfd) => {
                    self.watch(pidfd.as_fd(), libc::EPOLLIN as u32, token(END, slot, generation))
                }
                None => Ok(()),
            });
        if let Err(error) = watched {
            self.core.disconnect(process);
            return Err(error);
        }
        if self.clients.len() <= slot {
            self.clients.resize_with(slot + 1, || None);
        }
        self.clients[slot] = Some(Client::new(process, generation, peer, control, pidfd));
        self.connected += 1;
        self.idle_since = None;
        self.queue(slot, generation);
        Ok(())
    }

    /// Ends the link of a client that broke it.
    fn drop_client(&mut self, slot: usize, why: &str) {
        self.log_of(slot, Level::Warning, format_args!("dropped: {why}"));
        self.disconnect(slot);
    }

    /// Closes everything a client had.
    fn disconnect(&mut self, slot: usize) {
        let Some(client) = self.clients[slot].take() else { return };
        if let Some(arrival) = &client.arrival {
            self.end_arrival(client.peer.uid, arrival);
        }
        if let Some(linked) = &client.linked {
            let grants = self.journal.grants();
            if client.has_ended() {
                grants.forget(linked.memory);
            } else {
                grants.end(linked.memory);
            }
        }
        self.inboxes.end_flight();
        if let Some(replication) = &mut self.replication {
            replication.forget(client.process);
        }
        self.core.disconnect(client.process);
        self.inboxes.remove_process(client.process, client.into_end());
        self.connected -= 1;
        if self.connected == 0 {
            self.idle_since = Some(self.now);
        }
        self.record_changes();
        self.inboxes.show();
    }

    /// Takes what is visible in every outbox, however much it is.
    fn take_all(&mut self) {
        for slot in 0..self.clients.len() {
            if self.clients[slot].is_some() {
                self.take_everything(slot);
            }
        }
    }

    /// Writes what the core has changed to the log.
    fn record_changes(&mut self) {
        self.core.take_changes(&mut self.changes);
        if self.changes.is_empty() {
            return;
        }
        // A failure leaves a log that wants mending, and that tells.
        let _ = self.journal.append(&mut self.changes);
        self.changes.clear();
        if self.journal.wants_mending() && self.mend_at.is_none_or(|at| at <= self.now) {
            self.mend();
        }
    }

    /// Writes the log anew; one line when that begins to fail and one when it works again.
    fn mend(&mut self) {
        let core = &self.core;
        match self.journal.mend(&|visit| core.facts(visit)) {
            Ok(()) => {
                if self.mend_at.take().is_some() {
                    log(format_args!("the state file is whole again"));
                }
            }
            Err(error) => {
                if self.mend_at.is_none() {
                    complain(format_args!(
                        "cannot write the state file, a restart would lose events: {error}"
                    ));
                }
                self.mend_at = Some(self.now.after(MEND_PAUSE));
            }
        }
    }

    /// All identifiers of this start are used up: the next start number begins.
    fn advance_start(&mut self) {
        self.note_start(starts::next(self.start));
        self.core.next_start(self.start);
    }

    /// This start has another number from now on.
    fn note_start(&mut self, start: u32) {
        self.start = start;
        if let Err(error) = self.journal.note_start(start) {
            complain(format_args!("cannot note a start number: {error}"));
        }
    }
}
