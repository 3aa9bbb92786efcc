//! A private daemon moves here: its channels and retained events come by requests, wait until it
//! has said that this is all, and take effect then, a piece at each of its turns. What ends
//! before that leaves nothing behind.
//!
//! The private daemon is a program of its user like any other: what waits is charged to the user as
//! if it were retained already, and one private daemon of a user moves at a time.

use super::client::Client;
use super::turn::COPY_BYTES;
use super::{Server, log};
use crate::evt::node::{EventRecord, ProcessKey};
use crate::evt::{Error, Incarnation, Name, Time};
use crate::wire::Body;
use std::collections::VecDeque;

/// Work units of what takes effect, besides what is copied and what the core counts: it is written
/// to the log, as what a request asks for is.
const ITEM_COST: u64 = 16;

/// Something that moves.
#[derive(Debug)]
enum Item {
    Channel { private: Incarnation, name: Box<Name>, linked: bool },
    Retained { private: Incarnation, record: Box<EventRecord>, deadline: Time },
}

/// What has come from one private daemon.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    waiting: VecDeque<Item>,
    /// Channels among them.
    channels: u64,
    /// All has come: what waits takes effect.
    complete: bool,
    refused: u64,
    taken: u64,
}

impl Server {
    /// Handles a request of a private daemon that moves here.
    ///
    /// - [`Error::TryAgain`]: another private daemon of the user is moving.
    /// - [`Error::NoResources`]: more channels than this service may have.
    /// - For an event, the errors of [`crate::evt::node::Node::reserve_moved`].
    pub(super) fn arrive(
        &mut self,
        slot: usize,
        process: ProcessKey,
        body: Body,
    ) -> Result<(), Error> {
        let most = self.core.limits().channels_max;
        let item = match body {
            Body::MoveChannel { private, linked, name } => {
                let arrival = self.arrival(slot)?;
                if arrival.channels >= most {
                    return Err(Error::NoResources);
                }
                arrival.channels += 1;
                Item::Channel { private, name: Box::new(name), linked }
            }
            Body::MoveRetained { private, left, record } => {
                self.arrival(slot)?;
                self.core.reserve_moved(process, &record)?;
                let deadline = self.now.after(left.min(record.retention));
                Item::Retained { private, record, deadline }
            }
            _ => return Ok(()),
        };
        self.arrival(slot)?.waiting.push_back(item);
        Ok(())
    }

    /// The arrival of a client, begun if it is its first word of it.
    fn arrival(&mut self, slot: usize) -> Result<&mut Arrival, Error> {
        let user = self.clients[slot].as_ref().map(|client| client.peer.uid);
        let begun = |client: &Client| client.arrival.is_some();
        if !self.clients[slot].as_ref().is_some_and(begun) {
            let of_user = |client: &&Client| Some(client.peer.uid) == user && begun(client);
            if self.clients.iter().flatten().any(|client| of_user(&client)) {
                return Err(Error::TryAgain);
            }
        }
        let client = self.clients[slot].as_mut().ok_or(Error::BadHandle)?;
        let arrival = client.arrival.get_or_insert_default();
        arrival.complete = false;
        Ok(arrival)
    }

    /// Whether a request must wait until what has come before it has taken effect.
    pub(super) fn waits_for_arrival(&mut self, slot: usize) -> bool {
        let Some(client) = self.clients[slot].as_mut() else { return false };
        let ends = client.requests.front().is_some_and(|it| it.request.body == Body::MoveEnd);
        let Some(arrival) = client.arrival.as_mut().filter(|_| ends) else { return false };
        arrival.complete = true;
        !arrival.waiting.is_empty()
    }

    /// Lets some of what has come take effect, if all has come: one piece at least, until the work
    /// of this turn is done. True if there was something.
    pub(super) fn admit(&mut self, slot: usize, budget: &mut u64) -> bool {
        let Some(Client { arrival: Some(arrival), process, peer, .. }) =
            self.clients[slot].as_mut()
        else {
            return false;
        };
        if !arrival.complete || arrival.waiting.is_empty() {
            return false;
        }
        let (process, user) = (*process, peer.uid);
        while let Some(item) = self.next_to_arrive(slot) {
            let mut cost = ITEM_COST;
            let outcome = match item {
                Item::Channel { private, name, linked } => {
                    self.core.move_channel(process, private, &name, linked)
                }
                Item::Retained { private, record, deadline } => {
                    cost += record.bytes() / COPY_BYTES;
                    self.core.release_moved(user, &record);
                    self.permit_moved(slot, process, private)
                        .and_then(|()| self.core.move_retained(process, private, *record, deadline))
                }
            };
            let Some(arrival) = self.clients[slot].as_mut().and_then(|it| it.arrival.as_mut())
            else {
                return false;
            };
            let count = if outcome.is_ok() { &mut arrival.taken } else { &mut arrival.refused };
            *count += 1;
            *budget = budget.saturating_sub(cost + self.core.take_work());
            if *budget == 0 {
                break;
            }
        }
        if let Some(Client { arrival: Some(arrival), .. }) = &self.clients[slot]
            && arrival.waiting.is_empty()
        {
            log(format_args!(
                "the private service of uid {user} has moved here: {} channels and events taken, \
                 {} refused",
                arrival.taken, arrival.refused
            ));
        }
        self.core.end_move(self.now, &mut self.inboxes);
        *budget = budget.saturating_sub(self.core.take_work());
        self.grace_ends = Some(self.now.after(self.config.grace));
        true
    }

    fn next_to_arrive(&mut self, slot: usize) -> Option<Item> {
        let arrival = self.clients[slot].as_mut()?.arrival.as_mut()?;
        let item = arrival.waiting.pop_front()?;
        arrival.channels -= u64::from(matches!(item, Item::Channel { .. }));
        Some(item)
    }

    /// Gives back what an arrival that has ended was charged for.
    pub(super) fn end_arrival(&mut self, user: u32, arrival: &Arrival) {
        for item in &arrival.waiting {
            if let Item::Retained { record, .. } = item {
                self.core.release_moved(user, record);
            }
        }
    }
}
