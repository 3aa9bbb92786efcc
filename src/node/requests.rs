//! What programs ask for, one function for each request.

use super::client::{Client, Linked, Waiting};
use super::log::Level;
use super::status::{STATUS_COST, TOTALS_COST};
use super::turn::COPY_BYTES;
use super::windows::Window;
use super::{Server, complain};
use crate::evt::node::{Credit, IdBlock, ProcessKey, Target};
use crate::evt::{Error, EventId, Incarnation, InstanceNo, LibraryNo, Priority};
use crate::link::POSITION_MAX;
use crate::link::inbox::Inbox;
use crate::link::outbox::Outbox;
use crate::link::outring::UNIT;
use crate::link::record::VERSION;
use crate::sys::{descriptor, memory};
use crate::wire::status::Topic;
use crate::wire::{Body, Request, reply};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

/// What a request comes to: the outcome, what else there is to say, and descriptors.
pub(super) type Answer = (Result<(), Error>, reply::Body, Vec<OwnedFd>);

/// Credit that one request gets at least if it is there: a few events, so that a program that
/// retains much does not ask for each.
const CREDIT_EVENTS: u32 = 64;
const CREDIT_BYTES: u64 = 64 << 10;

/// What has become of a client's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requests {
    /// None is left of those that were read.
    None,
    /// The first waits for publications of the same program.
    Waiting,
    /// The first waits for replies to be read.
    Unheard,
    /// The first waits for its turn, or for those of other programs.
    Due,
}

/// Work units of any request: it is read, answered and perhaps logged.
const REQUEST_COST: u64 = 16;
/// Work units of one that makes memory, maps it and hands it over.
const MEMORY_COST: u64 = 128;

/// Work units of a request, besides the work that the core counts.
fn cost(body: &Body) -> u64 {
    match body {
        Body::Hello { .. } | Body::LibraryOpen { .. } | Body::LibraryClose { .. } => MEMORY_COST,
        Body::MoveRetained { record, .. } => REQUEST_COST + record.bytes() / COPY_BYTES,
        Body::Status(Topic::Node) => TOTALS_COST,
        Body::Status(_) => STATUS_COST,
        Body::Gone { ids, .. } => REQUEST_COST + ids.len() as u64 / 8,
        _ => REQUEST_COST,
    }
}

pub(super) fn only(code: Result<(), Error>) -> Answer {
    (code, reply::Body::None, Vec::new())
}

/// The answer that says which channel it is.
fn opened(outcome: Result<Incarnation, Error>) -> Answer {
    match outcome {
        Ok(incarnation) => (Ok(()), reply::Body::Opened { incarnation }, Vec::new()),
        Err(error) => only(Err(error)),
    }
}

impl Server {
    /// Handles requests that are due, one at least, until the work of this turn is done.
    /// `more`: there are publications that could not be taken yet; without them, what a program
    /// that is gone has reserved and not committed will never come.
    pub(super) fn handle_requests(
        &mut self,
        slot: usize,
        more: bool,
        budget: &mut u64,
    ) -> Requests {
        let mut first = true;
        loop {
            let Some(client) = self.clients[slot].as_mut() else { return Requests::None };
            let Some(waiting) = client.requests.front() else { return Requests::None };
            let early = !client.is_due(&waiting.request.barrier) && (more || !client.gone);
            if early {
                return Requests::Waiting;
            }
            if client.is_deaf() {
                return Requests::Unheard;
            }
            if self.waits_for_arrival(slot) {
                return Requests::Waiting;
            }
            if self.must_wait_for_answers(slot) {
                return Requests::Waiting;
            }
            if (*budget == 0 && !first) || !self.others_are_taken(slot) {
                return Requests::Due;
            }
            first = false;
            let Some(client) = self.clients[slot].as_mut() else { return Requests::None };
            let Some(waiting) = client.requests.pop_front() else { return Requests::None };
            let process = client.process;
            let id = waiting.request.id;
            let cost = cost(&waiting.request.body) + self.policy_cost(&waiting.request.body);
            let answer = self.handle(slot, process, waiting);
            *budget = budget.saturating_sub(cost + self.core.take_work());
            let Some((code, body, descriptors)) = answer else { continue };
            let Some(client) = self.clients[slot].as_mut() else { return Requests::None };
            if id != 0 {
                client.reply(id, code, body, descriptors);
            }
        }
    }

    /// Handles a request. `None`: the cluster has to agree, and the answer comes later.
    fn handle(&mut self, slot: usize, process: ProcessKey, waiting: Waiting) -> Option<Answer> {
        let Waiting { mut request, descriptors } = waiting;
        let is_dispatched = match request.body {
            Body::Open { library, asynchronous: true, .. } => Some(Target { process, library }),
            _ => None,
        };
        let answer = match self.permit(slot, process, &mut request.body) {
            Ok(()) => self.handle_permitted(slot, process, request, descriptors),
            Err(error) => Some(only(Err(error))),
        };
        if let Some(to) = is_dispatched.filter(|_| answer.is_some()) {
            self.inboxes.note_answer(to);
        }
        answer
    }

    fn handle_permitted(
        &mut self,
        slot: usize,
        process: ProcessKey,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Option<Answer> {
        if self.replication.is_some() {
            let asked = self.ask_cluster(slot, process, request.id, &request.body);
            if let Some(outcome) = asked {
                return outcome.err().map(|error| only(Err(error)));
            }
        }
        Some(self.handle_here(slot, process, request, descriptors))
    }

    fn handle_here(
        &mut self,
        slot: usize,
        process: ProcessKey,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Answer {
        match request.body {
            Body::Hello { version, resumes, blocks } => {
                self.hello(slot, version, resumes, &blocks, descriptors)
            }
            Body::LibraryOpen { library, resumes } => {
                self.library_open(slot, Target { process, library }, resumes, descriptors)
            }
            Body::LibraryClose { library } => {
                self.core.library_close(process, library);
                self.inboxes.remove(Target { process, library });
                only(Ok(()))
            }
            Body::Open { library, instance, flags, names_are_dns, name, .. } => {
                let core = &mut self.core;
                opened(core.channel_open(process, library, instance, &name, flags, names_are_dns))
            }
            Body::Close { instance } => {
                self.core.channel_close(process, instance);
                only(Ok(()))
            }
            Body::Unlink { name } => only(self.unlink(slot, &name)),
            Body::Subscribe { instance, number, filters } => {
                let (now, inboxes) = (self.now, &mut self.inboxes);
                only(self.core.subscribe(process, instance, number, filters, now, inboxes))
            }
            Body::Unsubscribe { instance, number } => {
                only(self.core.unsubscribe(process, instance, number))
            }
            Body::RetentionClear { instance, id } => {
                only(self.core.retention_clear(process, instance, id))
            }
            Body::RestoreInstance { library, instance, incarnation, flags } => {
                let to = Target { process, library };
                opened(self.restore_instance(slot, to, instance, incarnation, flags))
            }
            Body::Credit { events, bytes } => self.credit(slot, process, events, bytes),
            Body::Refill { library } => {
                let to = Target { process, library };
                self.refill(to);
                (Ok(()), reply::Body::Queued { events: self.core.queued(to) }, Vec::new())
            }
            Body::Restored => {
                self.restored(slot);
                only(Ok(()))
            }
            Body::Gone { instance, ids } => {
                let gone = |id: &EventId| !self.core.is_retained(process, instance, *id);
                let ids = ids.into_iter().filter(gone).collect();
                (Ok(()), reply::Body::Gone { ids }, Vec::new())
            }
            Body::Rights { instance } => self.rights(process, instance),
            Body::Status(topic) => match self.status(slot, &topic) {
                Ok(page) => (Ok(()), reply::Body::Status(Box::new(page)), Vec::new()),
                Err(error) => only(Err(error)),
            },
            body @ (Body::MoveChannel { .. } | Body::MoveRetained { .. } | Body::MoveEnd) => {
                only(self.arrive(slot, process, body))
            }
        }
    }

    fn restore_instance(
        &mut self,
        slot: usize,
        to: Target,
        instance: InstanceNo,
        incarnation: Incarnation,
        flags: crate::evt::OpenFlags,
    ) -> Result<Incarnation, Error> {
        let (process, library) = (to.process, to.library);
        let channel = self.core.restore_instance(process, library, instance, incarnation, flags)?;
        if self.had_backlog(slot, to.library) {
            self.core.mark_lost(to.process, instance);
        }
        Ok(channel)
    }

    fn unlink(&mut self, slot: usize, name: &crate::evt::Name) -> Result<(), Error> {
        let outcome = self.core.channel_unlink(name);
        if outcome.is_ok() {
            self.log_unlinked(slot, name);
        }
        outcome
    }

    pub(super) fn log_unlinked(&mut self, slot: usize, name: &crate::evt::Name) {
        let what = format_args!("has unlinked channel \"{name}\"");
        self.log_about(slot, Level::Notice, Some(name), what);
    }

    fn had_backlog(&self, slot: usize, library: LibraryNo) -> bool {
        matches!(&self.clients[slot],
            Some(Client { linked: Some(linked), .. }) if linked.had_backlog.contains(&library.0))
    }

    fn hello(
        &mut self,
        slot: usize,
        version: u32,
        resumes: bool,
        blocks: &[(EventId, u32)],
        mut descriptors: Vec<OwnedFd>,
    ) -> Answer {
        if version != VERSION {
            return only(Err(Error::Version));
        }
        let memory = if resumes { descriptors.pop() } else { None };
        match self.link(slot, memory) {
            Ok(mut handed) => {
                let Some(Client { process, linked: Some(linked), .. }) = &self.clients[slot] else {
                    return only(Err(Error::Library));
                };
                for (first, count) in blocks {
                    // What a private service granted, which has moved here, is not known here.
                    let is_private = self.core.is_private_id(*first);
                    if is_private || self.journal.grants().has(linked.memory, *first) {
                        let block = IdBlock { first: *first, count: *count };
                        self.core.adopt_ids(*process, block);
                    }
                }
                // What was on offer came in `blocks`; from now on this start's are used.
                self.withdraw_offer(slot);
                self.offer_ids(slot);
                let (segment, memory) = self.inboxes.hand_segment().unzip();
                handed.extend(memory);
                let welcome = reply::Body::Welcome {
                    version: VERSION,
                    outbox_bytes: self.config.outbox_bytes as u32,
                    segment: segment.unwrap_or(0),
                    limits: Box::new(self.core.limits().clone()),
                };
                (Ok(()), welcome, handed)
            }
            Err(error) => {
                complain(format_args!("a program was refused: {error}"));
                only(Err(Error::NoResources))
            }
        }
    }

    /// A program that has let go of a connection and made another must not be served through both:
    /// its records would be taken twice.
    fn end_earlier_link(&mut self, slot: usize, identity: (u64, u64)) {
        let earlier = self.clients.iter().position(|client| {
            let linked = client.as_ref().and_then(|client| client.linked.as_ref());
            linked.is_some_and(|linked| linked.memory == identity)
        });
        if let Some(earlier) = earlier.filter(|earlier| *earlier != slot) {
            self.disconnect(earlier);
        }
    }

    fn withdraw_offer(&self, slot: usize) {
        if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_ref() {
            let _ = linked.outbox.take_block();
        }
    }

    /// Makes the outbox, or takes a restored one, and its bell. Gives what the program gets.
    fn link(&mut self, slot: usize, memory: Option<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
        let resumes = memory.is_some();
        let (identity, memory, outbox) = match memory {
            Some(memory) => {
                let identity = memory::identity(memory.as_fd())?;
                self.end_earlier_link(slot, identity);
                (identity, None, Outbox::reopen(memory.as_fd())?)
            }
            None => {
                let (memory, outbox) = Outbox::create(self.config.outbox_bytes)?;
                (memory::identity(memory.as_fd())?, Some(memory), outbox)
            }
        };
        let bell = descriptor::eventfd()?;
        let handed_bell = bell.try_clone()?;
        let outside = self.is_outside();
        let Some(client) = self.clients[slot].as_mut() else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
        let token = super::token(super::BELL, slot, client.generation);
        descriptor::epoll_add(self.epoll.as_fd(), bell.as_raw_fd(), events, token)?;
        let mut linked = Linked {
            outbox: Rc::new(outbox),
            _bell: bell,
            next: [0; 4],
            unfinished: None,
            held: None,
            again_until: [0; 4],
            prepaid_until: [0; 4],
            forgiving: resumes,
            resumed: resumes,
            published: 0,
            skipped: 0,
            memory: identity,
            restoring: resumes,
            had_backlog: BTreeSet::new(),
        };
        for priority in Priority::ALL {
            let index = priority.index();
            let (reserved, taken, done) = linked.outbox.ring(priority).take_over();
            let ordered = done <= taken && taken <= reserved && reserved <= POSITION_MAX;
            if !ordered || reserved - done > linked.outbox.ring_bytes() || done % UNIT != 0 {
                return Err(io::Error::other("the positions of its outbox make no sense"));
            }
            linked.next[index] = done;
            linked.again_until[index] = taken;
            linked.prepaid_until[index] = reserved;
        }
        let _ = linked.outbox.take_credit();
        let _ = linked.outbox.set_outside(outside);
        let _ = linked.outbox.node_bell().stay_awake();
        client.linked = Some(linked);
        Ok(memory.into_iter().chain([handed_bell]).collect())
    }

    fn library_open(
        &mut self,
        slot: usize,
        to: Target,
        resumes: bool,
        mut descriptors: Vec<OwnedFd>,
    ) -> Answer {
        // The number itself is bounded: the table of windows is as long as the highest one.
        if u64::from(to.library.0) >= self.core.limits().libraries_per_process_max {
            return only(Err(Error::NoResources));
        }
        if let Err(error) = self.core.library_open(to.process, to.library) {
            return only(Err(error));
        }
        let memory = if resumes { descriptors.pop() } else { None };
        match self.window(slot, to, memory) {
            Ok(handed) => (Ok(()), reply::Body::None, handed),
            Err(error) => {
                complain(format_args!("a library handle was refused: {error}"));
                self.core.library_close(to.process, to.library);
                only(Err(Error::NoResources))
            }
        }
    }

    fn window(
        &mut self,
        slot: usize,
        to: Target,
        memory: Option<OwnedFd>,
    ) -> io::Result<Vec<OwnedFd>> {
        let resumes = memory.is_some();
        let (memory, inbox) = match memory {
            Some(memory) => (None, Inbox::reopen(memory.as_fd())?),
            None => {
                let (memory, inbox) = Inbox::create(self.config.inbox_bytes)?;
                (Some(memory), inbox)
            }
        };
        let (bell, handed_bell) = descriptor::bell()?;
        let window = Window::new(inbox, bell)
            .ok_or_else(|| io::Error::other("the positions of its inbox make no sense"))?;
        if resumes
            && window.had_backlog()
            && let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_mut()
        {
            linked.had_backlog.insert(to.library.0);
        }
        window.begin();
        let mapped = self.clients[slot].as_ref().map_or(0, Client::mapped_segment);
        self.inboxes.add(to, window, mapped);
        Ok(memory.into_iter().chain([handed_bell]).collect())
    }

    fn restored(&mut self, slot: usize) {
        if let Some(client) = &self.clients[slot] {
            self.core.end_restore(client.process);
        }
        if let Some(Client { linked: Some(linked), readable, .. }) = self.clients[slot].as_mut() {
            linked.restoring = false;
            *readable = true;
        }
    }

    /// Keeps a block of event identifiers on offer.
    pub(super) fn offer_ids(&mut self, slot: usize) {
        let Some(Client { linked: Some(linked), process, .. }) = self.clients[slot].as_ref() else {
            return;
        };
        if linked.outbox.offered_block() != 0 {
            return;
        }
        let (outbox, process, memory) = (Rc::clone(&linked.outbox), *process, linked.memory);
        let mut block = self.core.grant_ids(process);
        if block.is_none() {
            self.advance_start();
            block = self.core.grant_ids(process);
        }
        if let Some(block) = block {
            // A failure leaves a log that wants mending; the grant is in what it then says.
            let _ = self.journal.grant(block.first, memory);
            outbox.offer_block(block.first.0);
        }
    }

    /// Grants retention credit through the word in the outbox. When the bounds are reached, what
    /// other programs have been granted and not spent is taken back first.
    fn credit(&mut self, slot: usize, process: ProcessKey, events: u32, bytes: u64) -> Answer {
        if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_mut() {
            linked.forgiving = false;
        }
        let enough = |granted: Credit| granted.events >= events && granted.bytes >= bytes;
        let (wanted_events, wanted_bytes) = (events.max(CREDIT_EVENTS), bytes.max(CREDIT_BYTES));
        let mut granted = self.core.grant_credit(process, wanted_events, wanted_bytes);
        if !enough(granted) {
            self.core.return_credit(process, granted);
            self.take_credit_back();
            granted = self.core.grant_credit(process, wanted_events, wanted_bytes);
        }
        // The word counts units of 64 bytes; what does not fill one stays with the node.
        let whole = Credit { bytes: granted.bytes / 64 * 64, ..granted };
        if !enough(whole) {
            self.core.return_credit(process, granted);
            return only(Err(Error::NoResources));
        }
        let rest = Credit { events: 0, bytes: granted.bytes - whole.bytes };
        self.core.return_credit(process, rest);
        if let Some(Client { linked: Some(linked), .. }) = self.clients[slot].as_ref() {
            linked.outbox.add_credit(u64::from(whole.events), whole.bytes);
        }
        only(Ok(()))
    }

    fn take_credit_back(&mut self) {
        for client in self.clients.iter().flatten() {
            if let Some(linked) = &client.linked {
                let (events, bytes) = linked.outbox.take_credit();
                let credit = Credit { events: events as u32, bytes };
                self.core.return_credit(client.process, credit);
            }
        }
    }
}
