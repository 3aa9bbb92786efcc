//! Requests that wait for the cluster, and who waits for them.

use super::Replication;
use crate::evt::cluster::{Answer, Ask, Outcome, Ticket};
use crate::evt::node::{ProcessKey, Target};
use crate::evt::{Error, InstanceNo, LibraryNo, Name};
use crate::node::Server;
use crate::node::client::Client;
use crate::wire::{Body, reply};

/// Requests of one program that wait for the cluster; beyond, its next one waits in its socket. As
/// many as it may have asked for asynchronously at once before it is held up.
const PARKED_PER_PROGRAM_MAX: usize = 256;

/// What a program waits for.
#[derive(Debug)]
pub(super) struct Parked {
    slot: usize,
    generation: u32,
    /// Of the request; 0: nobody reads the answer.
    id: u32,
    process: ProcessKey,
    what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Open { library: LibraryNo, instance: InstanceNo, asynchronous: bool },
    Unlink { name: Box<Name> },
    Clear,
}

impl Replication {
    /// Takes what answers a ticket.
    fn take_parked(&mut self, ticket: Ticket) -> Option<Parked> {
        let parked = self.parked.remove(&ticket)?;
        if let What::Open { instance, .. } = parked.what {
            self.opening.remove(&(parked.process, instance));
        }
        Some(parked)
    }

    /// A program has gone.
    pub(in crate::node) fn forget(&mut self, process: ProcessKey) {
        self.cluster.forget(process);
        self.parked.retain(|_, parked| parked.process != process);
        self.opening.retain(|(of, _), _| *of != process);
        self.has_news = true;
    }

    /// Gives up the opens that have not come to their end, of one instance or of all of a library
    /// handle. Nobody waits for them any more.
    fn give_up_opens(&mut self, process: ProcessKey, of: impl Fn(LibraryNo, InstanceNo) -> bool) {
        let range = (process, InstanceNo(0))..=(process, InstanceNo(u64::MAX));
        let opens: Vec<Ticket> = self.opening.range(range).map(|(_, ticket)| *ticket).collect();
        for ticket in opens {
            let ended = self.parked.get(&ticket).is_some_and(|parked| {
                matches!(parked.what, What::Open { library, instance, .. } if of(library, instance))
            });
            if ended {
                self.take_parked(ticket);
                self.cluster.withdraw(ticket);
            }
        }
    }
}

impl Server {
    /// Answers all opens that have not come to their end, as if nothing had happened.
    pub(super) fn fail_opens(&mut self, error: Error) {
        let Some(replication) = &mut self.replication else { return };
        let opens: Vec<(Ticket, (ProcessKey, InstanceNo))> =
            replication.opening.iter().map(|(whose, ticket)| (*ticket, *whose)).collect();
        for (ticket, (process, instance)) in opens {
            if let Some(replication) = &mut self.replication {
                replication.cluster.withdraw(ticket);
            }
            self.core.channel_close(process, instance);
            self.answer(Answer { ticket, outcome: Err(error) });
        }
        self.show_effects();
    }

    pub(super) fn give_answers(&mut self) {
        let Some(replication) = &mut self.replication else { return };
        let mut answers = std::mem::take(&mut replication.answers);
        replication.cluster.take_answers(&mut answers);
        for answer in answers.drain(..) {
            self.answer(answer);
        }
        if let Some(replication) = &mut self.replication {
            replication.answers = answers;
        }
    }

    /// Answers a request that has waited for the cluster.
    fn answer(&mut self, answer: Answer) {
        let Some(replication) = &mut self.replication else { return };
        let Some(parked) = replication.take_parked(answer.ticket) else { return };
        let Parked { slot, generation, id, process, what } = parked;
        let Some(client) = self.client(slot, generation) else { return };
        client.parked -= 1;
        match what {
            What::Open { library, asynchronous: true, .. } => {
                self.inboxes.note_answer(Target { process, library });
            }
            What::Unlink { name } if answer.outcome.is_ok() => {
                self.log_unlinked(slot, &name);
            }
            _ => {}
        }
        if let Some(client) = self.client(slot, generation).filter(|_| id != 0) {
            let (code, body) = reply_of(answer.outcome);
            client.reply(id, code, body, Vec::new());
        }
        // Its turn sends the reply, and goes on with what it has asked for behind that.
        self.favour(slot, generation);
    }

    /// Whether the next request of a client has to wait until others of it are answered.
    pub(in crate::node) fn must_wait_for_answers(&self, slot: usize) -> bool {
        let Some(client) = &self.clients[slot] else { return false };
        let next = client.requests.front().map(|waiting| &waiting.request.body);
        let asks = |body: &Body| {
            matches!(body, Body::Open { .. } | Body::Unlink { .. } | Body::RetentionClear { .. })
        };
        client.parked >= PARKED_PER_PROGRAM_MAX && next.is_some_and(asks)
    }

    /// Puts a request to the cluster; its answer comes later.
    ///
    /// # Errors
    ///
    /// What the program is to be answered at once.
    fn park(&mut self, slot: usize, id: u32, ask: Ask, what: What) -> Result<(), Error> {
        let Some(Client { process, generation, .. }) = self.clients[slot] else {
            return Err(Error::BadHandle);
        };
        let waits = matches!(what, What::Open { .. });
        let parked = self.with_cluster(|replication, world| {
            if let Some(error) = replication.refusal(waits) {
                return Err(error);
            }
            replication.tickets += 1;
            let ticket = Ticket(replication.tickets);
            if let What::Open { instance, .. } = what {
                replication.opening.insert((process, instance), ticket);
            }
            let parked = Parked { slot, generation, id, process, what };
            replication.parked.insert(ticket, parked);
            replication.has_news = true;
            replication.cluster.request(ticket, ask, world);
            Ok(())
        });
        parked.unwrap_or(Err(Error::Library))?;
        if let Some(client) = self.clients[slot].as_mut() {
            client.parked += 1;
        }
        Ok(())
    }

    /// Puts a request to the cluster, if it is about what others must agree to.
    pub(in crate::node) fn ask_cluster(
        &mut self,
        slot: usize,
        process: ProcessKey,
        id: u32,
        body: &Body,
    ) -> Option<Result<(), Error>> {
        match *body {
            Body::Open { library, instance, flags, names_are_dns, asynchronous, name } => {
                let ask = Ask::Open { process, library, instance, name, flags, names_are_dns };
                Some(self.park(slot, id, ask, What::Open { library, instance, asynchronous }))
            }
            Body::Unlink { name } => {
                let what = What::Unlink { name: Box::new(name) };
                Some(self.park(slot, id, Ask::Unlink { name }, what))
            }
            Body::RetentionClear { instance, id: event } => {
                let ask = Ask::Clear { process, instance, id: event };
                Some(self.park(slot, id, ask, What::Clear))
            }
            // What is closed is perhaps not open yet.
            Body::Close { instance } => {
                self.give_up_opens(slot, process, |_, of| of == instance);
                None
            }
            Body::LibraryClose { library } => {
                self.give_up_opens(slot, process, |of, _| of == library);
                None
            }
            // A program that was connected to a node of before comes back when this one serves.
            Body::Hello { resumes: true, .. } if !self.is_serving() => Some(Err(Error::TryAgain)),
            // What moves here would be unknown to the others.
            Body::MoveChannel { .. } | Body::MoveRetained { .. } => Some(Err(Error::TryAgain)),
            _ => None,
        }
    }

    fn give_up_opens(
        &mut self,
        slot: usize,
        process: ProcessKey,
        of: impl Fn(LibraryNo, InstanceNo) -> bool,
    ) {
        let Some(replication) = &mut self.replication else { return };
        let before = replication.parked.len();
        replication.give_up_opens(process, of);
        let ended = before - replication.parked.len();
        if let Some(client) = self.clients[slot].as_mut() {
            client.parked -= ended;
        }
    }
}

fn reply_of(outcome: Outcome) -> (Result<(), Error>, reply::Body) {
    match outcome {
        Ok(Some(incarnation)) => (Ok(()), reply::Body::Opened { incarnation }),
        Ok(None) => (Ok(()), reply::Body::None),
        Err(error) => (Err(error), reply::Body::None),
    }
}
