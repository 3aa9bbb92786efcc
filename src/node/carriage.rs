//! Between the replication and an engine: packets become messages, arrivals become packets.

#![allow(clippy::disallowed_methods)] // A driver.

use crate::evt::Time;
use crate::evt::cluster::{Addressed, Body, Carried, Cluster, PeerKey, World};
use crate::sys::{clock, descriptor};
use crate::transport::{Arrival, PeerId, ServiceRange, Standing, Transport};
use crate::wire::peer;
use crate::wire::pieces::{LAST, Pieces, cut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

/// The service that nodes bind, each the instance of its member number. Above the types that TIPC
/// keeps for itself.
pub const SERVICE_TYPE: u32 = 18_200;
/// Instances of the service: as many as there are member numbers of hosts.
pub const SERVICE: ServiceRange = ServiceRange { service_type: SERVICE_TYPE, lower: 0, upper: 511 };

/// An engine and what is on its way through it.
pub struct Carriage {
    transport: Box<dyn Transport>,
    arriving: BTreeMap<PeerId, Pieces>,
    /// The rest of a packet whose first pieces have been sent.
    leaving: BTreeMap<PeerId, VecDeque<Vec<u8>>>,
    /// Members with such a rest that there was no room for, since the engine last told of room.
    refused: BTreeSet<PeerId>,
    standing: Standing,
}

fn key_of(peer: PeerId) -> PeerKey {
    PeerKey { node: peer.node, attachment: peer.attachment }
}

fn peer_of(key: PeerKey) -> PeerId {
    PeerId { node: key.node, attachment: key.attachment }
}

impl Carriage {
    /// Makes this member known to the others, and the others to it.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub fn new(mut transport: Box<dyn Transport>, member: u16) -> io::Result<Self> {
        transport.watch(SERVICE)?;
        transport.bind(ServiceRange::instance(SERVICE_TYPE, u32::from(member)))?;
        let (arriving, leaving, refused) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { transport, arriving, leaving, refused, standing: Standing::Starting })
    }

    /// The engine.
    #[must_use]
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// What the engine said of this node before it was handed over.
    #[must_use]
    pub fn with_standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// What the engine last said of this node.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Takes at most `most` arrivals and tells the cluster of them. Gives how many there were.
    ///
    /// # Errors
    ///
    /// What ended the engine for good.
    pub fn receive(
        &mut self,
        cluster: &mut Cluster,
        world: &mut World<'_>,
        most: usize,
    ) -> io::Result<usize> {
        for taken in 0..most {
            let Some(arrival) = self.transport.try_receive()? else { return Ok(taken) };
            self.hear(arrival, cluster, world);
        }
        Ok(most)
    }

    fn hear(&mut self, arrival: Arrival, cluster: &mut Cluster, world: &mut World<'_>) {
        let own = self.transport.own();
        match arrival {
            Arrival::Up { peer, .. } if Some(peer) != own => {
                self.forget(peer);
                cluster.peer_up(key_of(peer), world);
            }
            Arrival::Down { peer, .. } if Some(peer) != own => {
                self.forget(peer);
                cluster.peer_down(key_of(peer), world);
            }
            Arrival::Message { from, bytes } if Some(from) != own => {
                let whole = self.arriving.entry(from).or_default().add(&bytes);
                let packet = match whole {
                    Ok(None) => return cluster.hear_part(key_of(from), world.now),
                    Ok(Some(bytes)) => peer::decode(&bytes),
                    Err(error) => Err(error),
                };
                match packet {
                    Ok(packet) => cluster.receive(key_of(from), packet, world),
                    Err(_) => cluster.break_session(key_of(from), world),
                }
            }
            Arrival::Room => {
                self.refused.clear();
                cluster.room();
            }
            Arrival::Standing(standing) => self.standing = standing,
            _ => {}
        }
    }

    /// Waits for the engine, until `end` at most. False if that is over.
    fn wait(&self, end: Time) -> bool {
        let left = clock::elapsed().until(end).0;
        let readiness = self.transport.readiness().map_or(-1, |readiness| readiness.as_raw_fd());
        let polled = descriptor::poll([(readiness, libc::POLLIN)], Some(left));
        left > 0 && polled.is_ok()
    }

    /// Waits until all that was sent is on its way, or `end`: an engine with a thread of its own
    /// sends when that runs.
    pub fn finish(&mut self, end: Time) {
        let Some(own) = self.transport.own() else { return };
        // What comes back to its sender has gone out behind everything before it.
        if self.transport.send(own, &[]).is_err() {
            return;
        }
        loop {
            match self.transport.try_receive() {
                Ok(Some(Arrival::Message { from, .. })) if from == own => return,
                Ok(Some(_)) => {}
                Ok(None) if self.wait(end) => {}
                _ => return,
            }
        }
    }

    fn forget(&mut self, peer: PeerId) {
        self.arriving.remove(&peer);
        self.leaving.remove(&peer);
        self.refused.remove(&peer);
    }

    /// Sends what the cluster has to say, as far as there is room.
    pub fn send(&mut self, cluster: &mut Cluster, world: &mut World<'_>) {
        let Self { transport, leaving, refused, .. } = self;
        // The cluster takes a packet for sent when its first piece is: it may have nothing to say
        // when there is room for the rest.
        for (to, rest) in leaving.iter_mut().filter(|(_, rest)| !rest.is_empty()) {
            if !refused.contains(to) && post(&mut **transport, *to, rest) == Carried::Full {
                refused.insert(*to);
            }
        }
        cluster.send(world, &mut |to, body| match to {
            [one] => carry(&mut **transport, leaving, *one, body),
            several => carry_together(&mut **transport, leaving, several, body),
        });
    }
}

type Leaving = BTreeMap<PeerId, VecDeque<Vec<u8>>>;

fn carry(
    transport: &mut dyn Transport,
    leaving: &mut Leaving,
    to: Addressed,
    body: &Body,
) -> Carried {
    let Addressed { key, session, number } = to;
    let to = peer_of(key);
    let rest = leaving.entry(to).or_default();
    match post(transport, to, rest) {
        Carried::Sent => {}
        other => return other,
    }
    let bytes = [peer::head(session, number, body), peer::content(body)].concat();
    rest.extend(cut(&bytes, transport.message_bytes_max()));
    let pieces = rest.len();
    match post(transport, to, rest) {
        // Nothing of it has gone: it is not begun.
        Carried::Full if rest.len() == pieces => {
            rest.clear();
            Carried::Full
        }
        // The rest goes before the next packet.
        Carried::Full => Carried::Sent,
        other => other,
    }
}

/// Sends a packet of one piece to several members, if the engine makes one message of that.
fn carry_together(
    transport: &mut dyn Transport,
    leaving: &Leaving,
    to: &[Addressed],
    body: &Body,
) -> Carried {
    let is_leaving =
        |to: &Addressed| leaving.get(&peer_of(to.key)).is_some_and(|rest| !rest.is_empty());
    if !transport.carries_each() || to.iter().any(is_leaving) {
        return Carried::Apart;
    }
    let head = |to: &Addressed| {
        let head = peer::head(to.session, to.number, body);
        (peer_of(to.key), [&[LAST][..], &head].concat())
    };
    let heads: Vec<(PeerId, Vec<u8>)> = to.iter().map(head).collect();
    match transport.send_each(&heads, &peer::content(body)) {
        Ok(()) => Carried::Sent,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Carried::Full,
        // Too long, or one has gone: the others get it by themselves.
        Err(_) => Carried::Apart,
    }
}

/// Sends pieces, as far as there is room.
fn post(transport: &mut dyn Transport, to: PeerId, pieces: &mut VecDeque<Vec<u8>>) -> Carried {
    while let Some(piece) = pieces.front() {
        match transport.send(to, piece) {
            Ok(()) => {
                pieces.pop_front();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Carried::Full,
            // It is gone, or the engine is: what comes next is told by an arrival.
            Err(_) => {
                pieces.clear();
                return Carried::Gone;
            }
        }
    }
    Carried::Sent
}
