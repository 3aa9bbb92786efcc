//! The end of a daemon, and the move of a private one.
//!
//! A private daemon looks for a system service, a few times and then whenever the directory of its
//! socket has changed. When one answers, it hands its channels and
//! retained events over, sends its programs there, and leaves.
//!
//! First everything is handed over while the programs wait; a service that takes nothing costs them
//! no more than that. Then their connections end, so that publishers see that nobody is there, and
//! what they have published meanwhile is taken and handed over too. Only when the service has said
//! that all of it has arrived is a program told where to go: from then on the service writes to the
//! memory of the program. If the second part fails, this daemon begins anew, as after a restart in
//! order.
//!
//! A link to the service's socket in place of its own tells programs that come later.

use super::{Server, complain, starts};
use crate::evt::node::{EventRecord, Fact};
use crate::evt::{Error, EventId, Incarnation, Span, Time};
use crate::link::record::VERSION;
use crate::sys::{clock, descriptor, process, socket};
use crate::wire::{Body, MESSAGE_BYTES_MAX, Reply, Request, reply};
use nix::sys::socket::{Shutdown, shutdown};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// Pause between two looks for a system service: one system call that finds nothing.
const LOOK_PAUSE: Span = Span(1_000_000_000);
/// Looks after which the next one is made when the directory of its socket has changed. More than
/// one, as a service binds its socket before it listens there, and nothing tells of that.
const LOOKS: u32 = 3;
/// First and longest pause after a system service was there and did not take this one's state.
const RETRY_FIRST: Span = Span(2_000_000_000);
const RETRY_LONGEST: Span = Span(60_000_000_000);
/// How long a system service may say nothing. Programs wait meanwhile, at most as long as a call
/// waits for its answer.
const SILENCE: Span = Span(2_000_000_000);
/// Where a private daemon stands with its move.
#[derive(Debug)]
pub(super) enum Departure {
    /// There is no system service, or it did not take what is here.
    ///
    /// When so many `looks` have been made, `changes` tells when the next one is worth it. Where
    /// that is not to be had, it looks on.
    Waiting { look_at: Time, pause: Span, looks: u32, changes: Option<OwnedFd> },
    /// One has been asked whether it would serve.
    Asked { control: OwnedFd, until: Time, pause: Span },
}

impl Departure {
    /// The first look is due at once.
    pub(super) const fn new(now: Time) -> Self {
        Self::look(now, RETRY_FIRST)
    }

    const fn look(look_at: Time, pause: Span) -> Self {
        Self::Waiting { look_at, pause, looks: LOOKS, changes: None }
    }

    /// When something is due; [`Time::MAX`] for nothing.
    pub(super) const fn due(&self) -> Time {
        match self {
            Self::Waiting { look_at, .. } => *look_at,
            Self::Asked { until, .. } => *until,
        }
    }
}

/// The connection by which the state is handed over.
struct Stream {
    control: OwnedFd,
    buffer: Vec<u8>,
    sent: u32,
    answered: u32,
    refused: u64,
}

impl Stream {
    /// Reads what the service has answered to the hello.
    fn begin(control: OwnedFd) -> io::Result<Self> {
        socket::set_send_bytes(control.as_fd(), 2 * MESSAGE_BYTES_MAX);
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let received = socket::receive(control.as_fd(), &mut buffer)?;
        let bytes = received.map_or(0, |received| received.bytes);
        let reply = Reply::decode(&buffer[..bytes])
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if !matches!(reply, Reply { code: Ok(()), body: reply::Body::Welcome { .. }, .. }) {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
        }
        Ok(Self { control, buffer, sent: 0, answered: 0, refused: 0 })
    }

    /// Sends a request; answers to earlier ones are taken meanwhile.
    fn send(&mut self, body: Body) -> io::Result<()> {
        let request = Request { id: self.sent + 2, barrier: [0; 4], body }.encode();
        if request.len() > MESSAGE_BYTES_MAX {
            self.refused += 1;
            return Ok(());
        }
        loop {
            self.take_answers()?;
            match socket::send(self.control.as_fd(), &request, &[]) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(libc::POLLIN | libc::POLLOUT)?;
                }
                Err(error) => return Err(error),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until everything has been answered.
    fn settle(&mut self) -> io::Result<()> {
        loop {
            self.take_answers()?;
            if self.answered == self.sent {
                return Ok(());
            }
            self.wait(libc::POLLIN)?;
        }
    }

    fn take_answers(&mut self) -> io::Result<()> {
        while let Some(received) = socket::receive(self.control.as_fd(), &mut self.buffer)? {
            if received.bytes == 0 {
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            let reply = Reply::decode(&self.buffer[..received.bytes])
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if reply.code == Err(Error::TryAgain) {
                return Err(io::Error::from(io::ErrorKind::ResourceBusy));
            }
            self.answered += 1;
            self.refused += u64::from(reply.code.is_err());
        }
        Ok(())
    }

    fn wait(&self, events: libc::c_short) -> io::Result<()> {
        let [seen] = descriptor::poll([(self.control.as_raw_fd(), events)], Some(SILENCE.0))?;
        if seen == 0 { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(()) }
    }
}

/// Whether the reason why nobody could be reached ends with a change of the directory.
fn shows_when_over(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | ConnectionRefused | PermissionDenied)
}

/// Changes of the directory of a socket, or, as long as that is not there, of the one in which the
/// way to it ends. `None` where that cannot be told.
fn changes_towards(socket: &Path) -> Option<OwnedFd> {
    let mut next = socket;
    while let Some(directory) = next.parent() {
        match descriptor::changes_of(directory) {
            // What came before it was watched is no change.
            Ok(_) if next != socket && next.exists() => next = socket,
            Ok(changes) => return Some(changes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => next = directory,
            Err(_) => return None,
        }
    }
    None
}

impl Server {
    /// Before the first program is served: where a system service is there already, what an earlier
    /// private daemon has left goes to it.
    pub(super) fn depart_first(&mut self) {
        self.look_for_system();
        if let Some(Departure::Asked { control, .. }) = &self.departure {
            let wait = [(control.as_raw_fd(), libc::POLLIN)];
            if descriptor::poll(wait, Some(SILENCE.0)).is_ok_and(|[seen]| seen != 0) {
                self.hear_system();
            }
        }
    }

    /// Does what is due at this time.
    pub(super) fn pass_departure(&mut self) {
        if self.departure.as_ref().is_none_or(|departure| departure.due() > self.now) {
            return;
        }
        match self.departure {
            Some(Departure::Waiting { .. }) => self.look_for_system(),
            Some(Departure::Asked { pause, .. }) => self.put_off(pause),
            None => {}
        }
    }

    /// Tries again after a pause, and longer the next time.
    fn put_off(&mut self, pause: Span) {
        let look_at = clock::elapsed().after(pause);
        let pause = Span(pause.0 * 2).min(RETRY_LONGEST);
        self.departure = Some(Departure::look(look_at, pause));
    }

    /// Where the system service would listen, something has changed.
    pub(super) fn note_change(&mut self) {
        if let Some(Departure::Waiting { changes: Some(_), pause, .. }) = self.departure {
            self.departure = Some(Departure::look(self.now, pause));
        }
    }

    /// Tells of changes on the way to where the system service would listen.
    fn watch_place(&self, system: &Path) -> Option<OwnedFd> {
        let changes = changes_towards(system)?;
        self.watch(changes.as_fd(), libc::EPOLLIN as u32, super::token(super::CHANGE, 0, 0))
            .ok()?;
        Some(changes)
    }

    /// Asks a system service, if one listens and lets this user connect.
    fn look_for_system(&mut self) {
        let Some(Departure::Waiting { pause, looks, .. }) = self.departure else { return };
        let Some(system) = &self.config.yields_to else { return };
        let looks = looks.saturating_sub(1);
        // Before the look, so that nothing is missed in between.
        let changes = if looks == 0 { self.watch_place(system) } else { None };
        let control = match socket::connect(system) {
            Ok(control) => control,
            Err(error) => {
                let tells = changes.is_some() && shows_when_over(&error);
                let next = clock::elapsed().after(LOOK_PAUSE);
                let look_at = if tells { Time::MAX } else { next };
                let pause = RETRY_FIRST;
                self.departure = Some(Departure::Waiting { look_at, pause, looks, changes });
                return;
            }
        };
        let hello = Body::Hello { version: VERSION, resumes: false, blocks: Vec::new() };
        let request = Request { id: 1, barrier: [0; 4], body: hello }.encode();
        let asked = socket::send(control.as_fd(), &request, &[]).and_then(|()| {
            self.watch(control.as_fd(), libc::EPOLLIN as u32, super::token(super::SYSTEM, 0, 0))
        });
        match asked {
            Ok(()) => {
                let until = clock::elapsed().after(SILENCE);
                self.departure = Some(Departure::Asked { control, until, pause });
            }
            Err(_) => self.put_off(pause),
        }
    }

    /// The system service has answered: what it takes is handed over.
    pub(super) fn hear_system(&mut self) {
        let (control, pause) = match self.departure.take() {
            Some(Departure::Asked { control, pause, .. }) => (control, pause),
            other => {
                self.departure = other;
                return;
            }
        };
        let mut stream = match Stream::begin(control) {
            Ok(stream) => stream,
            Err(error) => return self.has_failed(&error, pause),
        };
        let mut told = Told::default();
        if let Err(error) = self.hand_over(&mut stream, &mut told) {
            return self.has_failed(&error, pause);
        }
        self.hang_up();
        match self.hand_over(&mut stream, &mut told) {
            Ok(()) => self.leave_programs(stream.refused),
            Err(error) => {
                self.has_failed(&error, pause);
                self.begins_anew = true;
            }
        }
    }

    fn has_failed(&mut self, error: &io::Error, pause: Span) {
        complain(format_args!("the system service does not take over: {error}"));
        self.put_off(pause);
    }

    /// Hands over what is here and was not handed over yet.
    fn hand_over(&mut self, stream: &mut Stream, told: &mut Told) -> io::Result<()> {
        self.now = clock::elapsed();
        self.take_last();
        self.hand_over_facts(stream, told)?;
        stream.send(Body::MoveEnd)?;
        stream.settle()
    }

    fn hand_over_facts(&self, stream: &mut Stream, told: &mut Told) -> io::Result<()> {
        let mut channels = VecDeque::new();
        let mut events = VecDeque::new();
        self.core.facts(&mut |fact| match fact {
            Fact::Channel { incarnation, name, linked } => {
                if told.channels.insert(incarnation) {
                    channels.push_back((incarnation, *name, linked));
                }
            }
            Fact::Retained { incarnation, record, deadline } => {
                if told.events.insert((incarnation, record.id)) {
                    events.push_back((incarnation, Rc::clone(record), deadline));
                }
            }
            Fact::Moved { .. } => {}
        });
        for (private, name, linked) in channels {
            stream.send(Body::MoveChannel { private, linked, name })?;
        }
        for (private, record, deadline) in events {
            let left = clock::elapsed().until(deadline);
            if left > Span::ZERO {
                let record = Box::new(EventRecord::clone(&record));
                stream.send(Body::MoveRetained { private, left, record })?;
            }
        }
        Ok(())
    }

    /// Takes what programs have published so far, notes a clean end, and leaves.
    ///
    /// A publisher must see that nobody is there before this daemon looks for the last time: what
    /// it publishes later would end with it if it ended before the next daemon comes.
    pub(super) fn end(&mut self) {
        if self.has_departed {
            // The link in place of the socket stays.
            return;
        }
        self.supervisor.ends();
        self.hang_up();
        self.take_last();
        self.leave_cluster();
        self.note_end();
        self.place.leave(&self.config);
    }

    /// Takes what is visible in every outbox, lets it reach everybody, and shows it.
    fn take_last(&mut self) {
        self.take_all();
        while self.core.orphans() > 0 {
            self.publish_of_gone();
        }
        for slot in 0..self.clients.len() {
            self.settle(slot);
        }
    }

    pub(super) fn note_end(&mut self) {
        if let Err(error) = self.journal.end() {
            complain(format_args!("cannot note the clean end: {error}"));
        }
    }

    /// Ends all connections, and has publishers look at theirs before each event.
    fn hang_up(&mut self) {
        self.recent.clear();
        for client in self.clients.iter().flatten() {
            // One that has hung up already needs no telling.
            let _ = shutdown(client.control.as_raw_fd(), Shutdown::Both);
            // After that: who reads this finds the connection's end.
            if let Some(linked) = &client.linked {
                linked.outbox.node_bell().leave();
            }
        }
    }

    /// Everything is at the system service. Forgets it here, so that no later private daemon brings
    /// it back, and sends the programs there.
    fn leave_programs(&mut self, refused: u64) {
        if refused > 0 {
            complain(format_args!("the system service has refused {refused} of what was here"));
        }
        if let Err(error) = self.journal.forget(&self.config.state_dir) {
            complain(format_args!("the state file cannot be emptied: {error}"));
        }
        if let Some(system) = &self.config.yields_to
            && let Err(error) = self.place.point_to(&self.config.socket, system)
        {
            complain(format_args!("cannot leave a link to the system service: {error}"));
        }
        let moved = Reply { id: 0, code: Err(Error::TryAgain), body: reply::Body::Moved }.encode();
        // Who has come back already. Who comes later finds the link.
        while let Ok(Some(control)) = socket::accept(self.place.listener.as_fd()) {
            // One that has gone needs no telling.
            let _ = socket::send(control.as_fd(), &moved, &[]);
        }
        self.has_departed = true;
        self.ending = true;
    }
}

/// What has been handed over.
#[derive(Default)]
struct Told {
    channels: HashSet<Incarnation>,
    events: HashSet<(Incarnation, EventId)>,
}

/// The start count of a private daemon that finds none: a random one, so that its identifiers
/// differ from those of other users when they meet. In the lower half, as counts go on from there.
pub(super) fn first_start() -> u32 {
    let half = 1 << (EventId::START_BITS - 1);
    starts::next((process::random() % half) as u32)
}
