//! What programs of this node ask for that others must agree to.

use super::directory::Roles;
use super::message::{Body, Op, Stream};
use super::operations::Local;
use super::{Cluster, Plant, World};
use crate::evt::node::ProcessKey;
use crate::evt::{Error, EventId, Incarnation, InstanceNo, LibraryNo, Name, OpenFlags, Time};

/// By what the driver knows a request: any number that it does not use twice at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a request comes to; the channel, if it was an open.
pub type Outcome = Result<Option<Incarnation>, Error>;

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Which.
    pub ticket: Ticket,
    /// The outcome.
    pub outcome: Outcome,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// To open a channel; see [`crate::evt::node::Node::channel_open`].
    Open {
        /// The process.
        process: ProcessKey,
        /// Its library handle.
        library: LibraryNo,
        /// The instance to be made.
        instance: InstanceNo,
        /// The channel.
        name: Name,
        /// How.
        flags: OpenFlags,
        /// The handle is of release B.02 or later.
        names_are_dns: bool,
    },
    /// To unlink a channel.
    Unlink {
        /// Its name.
        name: Name,
    },
    /// To end the retention of an event.
    Clear {
        /// The process.
        process: ProcessKey,
        /// An open instance of the channel.
        instance: InstanceNo,
        /// The event.
        id: EventId,
    },
}

/// How far the node named in an event's identifier has been asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probing {
    Not,
    Asked,
    Answered,
}

/// A request that waits until it can be begun.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    ask: Ask,
    gives_up: Option<Time>,
    probing: Probing,
}

impl Waiting {
    pub(super) fn gives_up(&self) -> Option<Time> {
        self.gives_up
    }
}

/// What an attempt to begin a request came to.
enum Attempt {
    Done(Outcome),
    /// An operation was asked for, which will answer.
    Begun,
    Wait,
}

impl Cluster {
    /// Takes a request. The answer comes by [`Cluster::take_answers`], perhaps at once.
    pub fn request(&mut self, ticket: Ticket, ask: Ask, world: &mut World<'_>) {
        self.pump(world);
        if self.waiting.len() + self.pending.len() >= self.settings.requests_max {
            self.answers.push(Answer { ticket, outcome: Err(Error::TryAgain) });
            return;
        }
        let own_time = !matches!(ask, Ask::Open { .. });
        let gives_up = own_time.then(|| world.now.after(self.settings.request_timeout));
        let mut waiting = Waiting { ticket, ask, gives_up, probing: Probing::Not };
        match self.attempt(&mut waiting, world) {
            Attempt::Done(outcome) => self.answers.push(Answer { ticket, outcome }),
            Attempt::Begun => {}
            Attempt::Wait => self.waiting.push_back(waiting),
        }
        self.pump(world);
    }

    /// A process has gone: nobody waits for its requests. Operations that have begun go on, and
    /// open nothing: another process may have its number by then.
    pub fn forget(&mut self, process: ProcessKey) {
        self.waiting.retain(|waiting| match &waiting.ask {
            Ask::Open { process: of, .. } | Ask::Clear { process: of, .. } => *of != process,
            Ask::Unlink { .. } => true,
        });
        for pending in &mut self.pending {
            pending.forget(|local| local.opens_for(process));
        }
    }

    /// Nobody waits for a request any more. An open instance that it has made already stays.
    pub fn withdraw(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        for pending in self.pending.iter_mut().filter(|pending| pending.is_of(ticket)) {
            pending.forget(|_| true);
        }
    }

    /// Tries requests again that waited, in order.
    pub(super) fn retry_waiting(&mut self, world: &mut World<'_>) {
        if !std::mem::take(&mut self.retry) {
            return;
        }
        for _ in 0..self.waiting.len() {
            let Some(mut waiting) = self.waiting.pop_front() else { return };
            match self.attempt(&mut waiting, world) {
                Attempt::Done(outcome) => {
                    self.answers.push(super::Answer { ticket: waiting.ticket, outcome });
                }
                Attempt::Begun => {}
                Attempt::Wait => self.waiting.push_back(waiting),
            }
        }
    }

    fn attempt(&mut self, waiting: &mut Waiting, world: &mut World<'_>) -> Attempt {
        let holds = self.holds_lease(world.now)
            || (self.settings.has(Plant::NoLease) && self.view.is_some() && !self.frozen);
        if !self.serving || !holds {
            return Attempt::Wait;
        }
        match waiting.ask.clone() {
            Ask::Open { process, library, instance, name, flags, names_are_dns } => {
                let open = (process, library, instance, flags);
                self.open(waiting.ticket, open, &name, names_are_dns, world)
            }
            Ask::Unlink { name } => {
                if self.directory.linked(&name).is_none() && self.applied == self.stable {
                    return Attempt::Done(Err(Error::NotExist));
                }
                self.ask(Op::Unlink { name }, Local::Answer, Some(waiting.ticket), world);
                Attempt::Begun
            }
            Ask::Clear { process, instance, id } => {
                self.clear(waiting, process, instance, id, world)
            }
        }
    }

    fn open(
        &mut self,
        ticket: Ticket,
        (process, library, instance, flags): (ProcessKey, LibraryNo, InstanceNo, OpenFlags),
        name: &Name,
        names_are_dns: bool,
        world: &mut World<'_>,
    ) -> Attempt {
        let checked = world.node.check_open(process, library, instance, name, flags, names_are_dns);
        if let Err(error) = checked {
            return Attempt::Done(Err(error));
        }
        let creates = flags.contains(OpenFlags::CREATE);
        if let Some((key, entry)) = self.directory.linked(name) {
            let known = entry.touched <= self.stable;
            let subscribes = flags.contains(Roles::SUBSCRIBER);
            if known && (!subscribes || self.announced_and_known(key)) {
                let place = (key, flags);
                return Attempt::Done(self.open_here(process, library, instance, place, world));
            }
        } else if !creates {
            if self.applied > self.stable {
                return Attempt::Wait;
            }
            return Attempt::Done(Err(Error::NotExist));
        }
        let create = if creates { world.node.next_incarnation(name) } else { None };
        if creates && create.is_none() {
            return Attempt::Done(Err(Error::NoResources));
        }
        let roles = flags & (Roles::PUBLISHER | Roles::SUBSCRIBER);
        let local = Local::Open { process, library, instance, flags };
        let ordered = create.is_some() && self.settings.orders(name);
        self.ask(Op::Open { name: *name, create, roles, ordered }, local, Some(ticket), world);
        Attempt::Begun
    }

    /// Whether every member knows that this node subscribes to a channel, and will go on to.
    fn announced_and_known(&self, key: Incarnation) -> bool {
        let known = self.directory.find(key).is_some_and(|(_, entry)| {
            entry.has(self.own.member, Roles::SUBSCRIBER) && entry.touched <= self.stable
        });
        known && self.announced(key).contains(Roles::SUBSCRIBER)
    }

    fn clear(
        &mut self,
        waiting: &mut Waiting,
        process: ProcessKey,
        instance: InstanceNo,
        id: EventId,
        world: &mut World<'_>,
    ) -> Attempt {
        let incarnation = match world.node.channel_of(process, instance) {
            Ok(incarnation) => incarnation,
            Err(error) => return Attempt::Done(Err(error)),
        };
        let held = world.node.retained(incarnation, id).is_some();
        if let Some(place) = self.retained.place(id).filter(|_| held) {
            let op = Op::Clear { incarnation, id, place };
            self.ask(op, Local::Answer, Some(waiting.ticket), world);
            return Attempt::Begun;
        }
        if self.orders.has(id) {
            return Attempt::Wait;
        }
        match waiting.probing {
            Probing::Asked => return Attempt::Wait,
            Probing::Answered => return Attempt::Done(Err(Error::NotExist)),
            Probing::Not => {}
        }
        if self.settings.has(Plant::NoProbe) {
            return Attempt::Done(Err(Error::NotExist));
        }
        // It may be on its way here: its publisher's node knows.
        let (view, applied) = self.position();
        let members = self.view.as_ref().map(|view| view.members.clone()).unwrap_or_default();
        let publisher = self.peers.values_mut().find(|peer| {
            let there = peer.life.is_some_and(|life| members.contains(&life));
            peer.established && there && peer.life.is_some_and(|l| l.member == id.member())
        });
        let Some(peer) = publisher else { return Attempt::Done(Err(Error::NotExist)) };
        peer.push(Body::Stream { view, applied, stream: Stream::Probe { id } });
        waiting.probing = Probing::Asked;
        Attempt::Wait
    }

    /// The publisher's node has sent everything that it had: what is not here now is not retained.
    pub(super) fn hear_probed(&mut self, id: EventId) {
        for waiting in &mut self.waiting {
            let asked = matches!(&waiting.ask, Ask::Clear { id: of, .. } if *of == id);
            if asked {
                waiting.probing = Probing::Answered;
                self.retry = true;
            }
        }
    }
}
