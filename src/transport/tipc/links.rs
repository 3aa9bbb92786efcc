//! All connections of a member: how they come about, what goes over them, and how they end.

use super::Tipc;
use super::link::{Link, Stage};
use super::packet::{self, Packet};
use crate::sys::descriptor;
use crate::sys::tipc::{Place, Stream};
use crate::transport::{Arrival, PeerId, ServiceRange, UNREAD_TIME_MAX_NS};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Between attempts to connect to a member that is published, in nanoseconds.
const RETRY_NS: u64 = 200_000_000;
/// Who connects says within this who it is, or is nobody.
const GREETING_NS: u64 = 5_000_000_000;
/// Between looks whether the kernel has a number for this node.
const OWN_NODE_NS: u64 = 200_000_000;
/// Connections whose other end is not known yet. Each pair of members needs one, for a moment.
const GREETINGS_MAX: usize = 64;

impl Tipc {
    /// Sets the timer to the next moment at which something is due by itself.
    pub(super) fn set_timer(&self, now: u64) {
        let own = self.own.is_none().then_some(now + OWN_NODE_NS);
        let retries = self.known.values().filter_map(|known| known.retry_at);
        let links = self.links.values().filter_map(|link| match link.stage {
            Stage::Greeting(since) => Some(since + GREETING_NS),
            _ => link.refused_since.map(|since| since + UNREAD_TIME_MAX_NS),
        });
        let next = own.into_iter().chain(retries).chain(links).min();
        // Zero would disarm it.
        let wait = next.map_or(0, |next| next.saturating_sub(now).max(1));
        descriptor::arm(self.timer.as_fd(), wait);
    }

    /// Connects where that is due, and ends what has taken too long.
    pub(super) fn look_at_clock(&mut self, now: u64) {
        let is_late = |link: &Link| match link.stage {
            Stage::Greeting(since) => since + GREETING_NS <= now,
            _ => link.refused_since.is_some_and(|since| since + UNREAD_TIME_MAX_NS <= now),
        };
        let late: Vec<u64> =
            self.links.iter().filter(|(_, link)| is_late(link)).map(|(token, _)| *token).collect();
        for token in late {
            // It may have room by now, and the loop was too busy to see it.
            let link = self.links.get(&token);
            let has_room = link.is_some_and(|link| link.peer().is_some() && link.has_room());
            if !has_room || self.give_room(token).is_err() {
                self.end_link(token, now);
            }
        }
        let due: Vec<Place> = self
            .known
            .iter()
            .filter(|(_, known)| known.retry_at.is_some_and(|at| at <= now))
            .map(|(place, _)| *place)
            .collect();
        for place in due {
            self.connect(place, now);
        }
        self.set_timer(now);
    }

    /// Connects to a member, if this side is the one to do so and has not.
    fn connect(&mut self, place: Place, now: u64) {
        let is_ours = self.own.is_some() && self.place < place;
        let has_link = self.links.values().any(|link| link.place == Some(place));
        let Some(known) = self.known.get_mut(&place) else { return };
        known.retry_at = if self.own.is_none() { Some(now + OWN_NODE_NS) } else { None };
        if !is_ours || has_link {
            return;
        }
        known.retry_at = Some(now + RETRY_NS);
        if let Ok(stream) = Stream::begin(place)
            && self.add(stream, Stage::Connecting(place), Some(place)).is_ok()
        {
            // What becomes of it, it tells itself.
            self.known.entry(place).or_default().retry_at = None;
        }
    }

    /// The name is published there no more: a connection that was begun will never stand. One that
    /// stands tells its end by itself, behind what has arrived on it.
    pub(super) fn give_up(&mut self, place: Place, now: u64) {
        let begun = Stage::Connecting(place);
        let tokens: Vec<u64> =
            self.links.iter().filter(|(_, link)| link.stage == begun).map(|(t, _)| *t).collect();
        for token in tokens {
            self.end_link(token, now);
        }
    }

    /// Takes a connection into the set.
    fn add(&mut self, stream: Stream, stage: Stage, place: Option<Place>) -> io::Result<u64> {
        let token = self.next_token;
        let link = Link::new(stream, stage, place);
        let events = (libc::EPOLLIN | libc::EPOLLOUT) as u32;
        descriptor::epoll_add(self.set.as_fd(), link.as_fd().as_raw_fd(), events, token)?;
        self.next_token += 1;
        self.links.insert(token, link);
        Ok(token)
    }

    /// Watches a connection for room or not. One that cannot be watched is ended.
    fn watch_for_room(&mut self, token: u64, watch: bool) -> io::Result<()> {
        let Some(link) = self.links.get(&token) else { return Ok(()) };
        let room = if watch { libc::EPOLLOUT } else { 0 };
        let (set, socket) = (self.set.as_fd(), link.as_fd().as_raw_fd());
        descriptor::epoll_remove(set, socket);
        descriptor::epoll_add(set, socket, (libc::EPOLLIN | room) as u32, token)
    }

    /// Takes the connections that wait.
    pub(super) fn accept(&mut self, now: u64) -> io::Result<()> {
        while let Some(stream) = self.listener.accept()? {
            let is_greeting = |link: &&Link| matches!(link.stage, Stage::Greeting(_));
            if self.links.values().filter(is_greeting).count() < GREETINGS_MAX {
                let token = self.add(stream, Stage::Greeting(now), None)?;
                self.greet(token, now);
            }
        }
        self.set_timer(now);
        Ok(())
    }

    /// Says who this is, and what it has bound.
    fn greet(&mut self, token: u64, now: u64) {
        let hello = packet::hello(self.place.port, &self.service);
        let bindings = packet::bindings(self.bindings.ranges());
        let Some(link) = self.links.get_mut(&token) else { return };
        link.stage = Stage::Greeting(now);
        let result = link.insist(&hello).and_then(|()| link.insist(&bindings));
        let waits = link.waits_for_room();
        if result.and_then(|()| self.watch_for_room(token, waits)).is_err() {
            self.end_link(token, now);
        }
    }

    /// A connection is over: its member is down, and is looked for again.
    pub(super) fn end_link(&mut self, token: u64, now: u64) {
        let Some(link) = self.links.remove(&token) else { return };
        descriptor::epoll_remove(self.set.as_fd(), link.as_fd().as_raw_fd());
        if let Some(peer) = link.peer() {
            let down = |range: &ServiceRange| self.roster.down(peer, *range);
            let told: Vec<Arrival> = link.bound.iter().filter_map(down).collect();
            self.ready.extend(told);
            if link.refused_since.is_some() {
                self.ready.push_back(Arrival::Room);
            }
        }
        if let Some(known) = link.place.and_then(|place| self.known.get_mut(&place)) {
            known.retry_at = Some(now + RETRY_NS);
        }
        link.end();
        self.set_timer(now);
    }

    /// Something has happened to a connection: one packet is taken, and there may be room.
    pub(super) fn look_at_link(&mut self, token: u64, events: u32, now: u64) {
        if let Some(link) = self.links.get(&token)
            && matches!(link.stage, Stage::Connecting(_))
        {
            match link.stands() {
                Ok(true) => self.greet(token, now),
                Ok(false) => return,
                Err(_) => return self.end_link(token, now),
            }
        }
        if events & libc::EPOLLOUT as u32 != 0 && self.give_room(token).is_err() {
            return self.end_link(token, now);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let taken = self.links.get(&token).map(|link| link.receive(&mut buffer));
        let is_over = match taken {
            Some(Ok(Some(packet))) => self.take(token, packet, now).is_none(),
            Some(Ok(None)) | None => false,
            Some(Err(_)) => true,
        };
        self.buffer = buffer;
        if is_over {
            self.end_link(token, now);
        }
    }

    /// A connection has room: what waits goes first.
    fn give_room(&mut self, token: u64) -> io::Result<()> {
        let Some(link) = self.links.get_mut(&token) else { return Ok(()) };
        link.flush()?;
        if link.has_room() {
            let had_refused = link.refused_since.take().is_some();
            self.watch_for_room(token, false)?;
            self.ready.extend(had_refused.then_some(Arrival::Room));
        }
        Ok(())
    }

    /// Takes a packet. `None`: whoever sent it is no member of this service.
    fn take(&mut self, token: u64, packet: Packet<'_>, now: u64) -> Option<()> {
        let link = self.links.get(&token)?;
        match (link.stage, packet) {
            (Stage::Greeting(_), Packet::Hello(port, service)) => {
                if service != self.service.as_bytes() {
                    return None;
                }
                let node = link.node().ok()?;
                self.meet(token, Place { node, port }, now);
            }
            (Stage::Live(peer), Packet::Bindings(ranges)) => self.bound(token, peer, ranges),
            (Stage::Live(from), Packet::Message(bytes)) => {
                self.ready.push_back(Arrival::Message { from, bytes: bytes.to_vec() });
            }
            _ => return None,
        }
        Some(())
    }

    /// The member at the other end is known. What was before between the two is over.
    fn meet(&mut self, token: u64, place: Place, now: u64) {
        let is_older = |link: &Link| link.place == Some(place);
        let older: Vec<u64> = self
            .links
            .iter()
            .filter(|(other, link)| **other != token && is_older(link))
            .map(|(other, _)| *other)
            .collect();
        for other in older {
            self.end_link(other, now);
        }
        let peer = self.next_peer(place);
        if let Some(link) = self.links.get_mut(&token) {
            (link.stage, link.place) = (Stage::Live(peer), Some(place));
        }
        if let Some(known) = self.known.get_mut(&place) {
            known.retry_at = None;
        }
        self.set_timer(now);
    }

    /// A member tells all that it has bound.
    fn bound(&mut self, token: u64, peer: PeerId, ranges: Vec<ServiceRange>) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let old = std::mem::replace(&mut link.bound, ranges.clone());
        let gone = old.iter().filter(|range| !ranges.contains(range));
        let mut told: Vec<Option<Arrival>> =
            gone.map(|range| self.roster.down(peer, *range)).collect();
        let come = ranges.iter().filter(|range| !old.contains(range));
        told.extend(come.map(|range| self.roster.up(peer, *range)));
        self.ready.extend(told.into_iter().flatten());
    }

    /// Tells all members something that none may miss.
    pub(super) fn tell_all(&mut self, packet: &[u8]) {
        let is_greeted = |link: &Link| !matches!(link.stage, Stage::Connecting(_));
        let tokens: Vec<u64> =
            self.links.iter().filter(|(_, link)| is_greeted(link)).map(|(t, _)| *t).collect();
        for token in tokens {
            self.insist(token, packet);
        }
    }

    /// Sends a packet now or when there is room. A connection that is over says so to the loop in
    /// its turn, behind what has arrived on it.
    fn insist(&mut self, token: u64, packet: &[u8]) {
        let Some(link) = self.links.get_mut(&token) else { return };
        if link.insist(packet).is_ok() && link.has_waiting() {
            self.refuse(token);
        }
    }

    fn token_of(&self, peer: PeerId) -> Option<u64> {
        let mut links = self.links.iter();
        links.find(|(_, link)| link.peer() == Some(peer)).map(|(token, _)| *token)
    }

    /// Whether there is room for a message on each connection; those that have none are watched.
    pub(super) fn have_room(&mut self, takers: &[PeerId]) -> bool {
        let mut all = true;
        for taker in takers {
            let Some(token) = self.token_of(*taker) else { continue };
            if self.links.get(&token).is_some_and(|link| !link.has_room()) {
                self.refuse(token);
                all = false;
            }
        }
        all
    }

    /// Notes that a sender waits for room on a connection.
    fn refuse(&mut self, token: u64) {
        let now = crate::sys::clock::elapsed().0;
        let Some(link) = self.links.get_mut(&token) else { return };
        if link.refused_since.is_none() {
            link.refused_since = Some(now);
            // Without it there is no room told until the timer ends the connection.
            let _ = self.watch_for_room(token, true);
            self.set_timer(now);
        }
    }

    /// Sends a message to all of them, all of which have room.
    pub(super) fn send_to_all(&mut self, takers: &[PeerId], packet: &[u8]) {
        for taker in takers {
            if let Some(token) = self.token_of(*taker) {
                self.insist(token, packet);
            }
        }
    }

    /// Sends a message to one member.
    pub(super) fn send_to_one(&mut self, to: PeerId, packet: &[u8]) -> io::Result<()> {
        let token = self.token_of(to).ok_or(io::ErrorKind::NotFound)?;
        let Some(link) = self.links.get_mut(&token) else { return Ok(()) };
        match link.send(packet) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.refuse(token);
                Err(error)
            }
            // It is over, which is told in its turn; what is on its way then is lost.
            _ => Ok(()),
        }
    }
}
