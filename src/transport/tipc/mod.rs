//! A cluster by TIPC of the kernel: one published name for each service, and one connection for
//! each pair of nodes.
//!
//! The topology service tells who has published the name, on which node. Of two members the one
//! whose socket comes first connects to the other. Over the connection each tells what it has
//! bound, so that this keeps its place among its messages. A message to a range goes out on each
//! connection whose other end is bound inside; TIPC's own multicast drops messages silently when a
//! receiver is slow, and its groups hold up everybody. All calls are made by the loop; none waits.

mod link;
mod links;
mod packet;

use super::roster::{Bindings, Roster};
use super::{Arrival, MESSAGE_COST, Order, PeerId, ServiceRange, Standing, Transport};
use crate::sys::clock;
use crate::sys::descriptor::{self, Ready};
use crate::sys::tipc::{Listener, PACKET_BYTES_MAX, Place, Topology};
use link::Link;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Length of the longest message. The kernel's own bound for a packet is 66,000 bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
const _: () = assert!(MESSAGE_BYTES_MAX + packet::HEADER_BYTES <= PACKET_BYTES_MAX);
/// The type of all names that are published: "saev". The instance tells services apart.
const SERVICE_TYPE: u32 = u32::from_be_bytes(*b"saev");
/// Bytes of own messages that wait to be received: as many as a connection holds, and more.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Length of the longest name of a service: that of the other engines.
const SERVICE_BYTES_MAX: usize = 100;

/// Looks at the set for one arrival. More than these are needed only if others connect and part
/// all the time; then the loop comes back, as the set stays readable.
const LOOKS_MAX: usize = 16;

/// Arrivals that are taken before the set is looked at again: many own messages keep nobody else
/// waiting.
const POPS_MAX: usize = 32;

/// What the epoll set names its members; connections come after these.
const TOKEN_BELL: u64 = 0;
const TOKEN_TIMER: u64 = 1;
const TOKEN_LISTENER: u64 = 2;
const TOKEN_TOPOLOGY: u64 = 3;
const TOKEN_FIRST_LINK: u64 = 4;

/// Where another member listens, as the topology service tells.
#[derive(Debug, Default)]
struct Known {
    /// When to try to connect again, if this side is the one to connect.
    retry_at: Option<u64>,
}

/// The transport of a node whose kernel speaks TIPC.
#[derive(Debug)]
pub struct Tipc {
    service: String,
    listener: Listener,
    topology: Topology,
    place: Place,
    own: Option<PeerId>,
    /// Members seen so far: the upper half of attachments.
    count: u32,
    bindings: Bindings,
    roster: Roster,
    known: BTreeMap<Place, Known>,
    links: BTreeMap<u64, Link>,
    next_token: u64,
    /// What is to be received.
    ready: VecDeque<Arrival>,
    /// What the own messages among it cost.
    own_bytes: usize,
    /// An own message was refused.
    has_refused: bool,
    /// Everything that can wake the loop, `bell` included, which is readable while `ready` holds
    /// something.
    set: OwnedFd,
    bell: OwnedFd,
    bell_is_up: bool,
    /// What was taken from `ready` since the set was looked at.
    popped: usize,
    timer: OwnedFd,
    buffer: Vec<u8>,
}

impl Tipc {
    /// Attaches to the TIPC of this host's kernel, in the network namespace of this thread.
    /// `service` tells apart the services of one cluster.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the kernel has no TIPC, or its module is not loaded. `InvalidInput`: the
    /// name of the service is empty or longer than 100 bytes. Else what the kernel says.
    pub fn open(service: &str) -> io::Result<Self> {
        if service.is_empty() || service.len() > SERVICE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Two names with one sum are told apart when their members greet each other.
        let instance = crc32fast::hash(service.as_bytes());
        let listener = Listener::publish(SERVICE_TYPE, instance)?;
        let topology = Topology::watch(SERVICE_TYPE, instance)?;
        let (set, bell, timer) =
            (descriptor::epoll()?, descriptor::eventfd()?, descriptor::timer()?);
        let members = [
            (bell.as_fd(), TOKEN_BELL),
            (timer.as_fd(), TOKEN_TIMER),
            (listener.as_fd(), TOKEN_LISTENER),
            (topology.as_fd(), TOKEN_TOPOLOGY),
        ];
        for (member, token) in members {
            descriptor::epoll_add(set.as_fd(), member.as_raw_fd(), libc::EPOLLIN as u32, token)?;
        }
        let place = listener.place()?;
        let mut tipc = Self {
            service: service.into(),
            listener,
            topology,
            place,
            own: None,
            count: 0,
            bindings: Bindings::default(),
            roster: Roster::default(),
            known: BTreeMap::new(),
            links: BTreeMap::new(),
            next_token: TOKEN_FIRST_LINK,
            ready: VecDeque::new(),
            own_bytes: 0,
            has_refused: false,
            set,
            bell,
            bell_is_up: false,
            popped: 0,
            timer,
            buffer: vec![0; PACKET_BYTES_MAX],
        };
        tipc.look_at_own_node(clock::elapsed().0)?;
        tipc.set_bell();
        Ok(tipc)
    }

    /// Makes the bell say whether something is ready: before each return to the loop.
    fn set_bell(&mut self) {
        let is_up = !self.ready.is_empty();
        if is_up && !self.bell_is_up {
            descriptor::raise(self.bell.as_fd());
        } else if !is_up && self.bell_is_up {
            descriptor::lower(self.bell.as_fd());
        }
        self.bell_is_up = is_up;
    }

    fn next_peer(&mut self, place: Place) -> PeerId {
        self.count += 1;
        let attachment = u64::from(self.count) << 32 | u64::from(place.port);
        PeerId { node: place.node, attachment }
    }

    /// This node is a member as soon as the kernel has a number for it.
    fn look_at_own_node(&mut self, now: u64) -> io::Result<()> {
        if self.own.is_none() {
            self.place = self.listener.place()?;
            if self.place.node != 0 {
                let own = self.next_peer(self.place);
                self.own = Some(own);
                let ranges = self.bindings.ranges().to_vec();
                let told: Vec<Arrival> =
                    ranges.iter().filter_map(|range| self.roster.up(own, *range)).collect();
                self.ready.push_back(Arrival::Standing(Standing::Member));
                self.ready.extend(told);
            }
        }
        self.set_timer(now);
        Ok(())
    }

    /// The own bindings have changed: all others are told, in the order of what they hear.
    fn announce(&mut self, told: Option<Arrival>) {
        self.ready.extend(told);
        let packet = packet::bindings(self.bindings.ranges());
        self.tell_all(&packet);
        self.set_bell();
    }

    /// Takes an own message for this member itself.
    fn deliver(&mut self, own: PeerId, message: &[u8]) {
        self.own_bytes += message.len() + MESSAGE_COST;
        self.ready.push_back(Arrival::Message { from: own, bytes: message.to_vec() });
    }

    /// Whether an own message has room in the own queue.
    fn has_own_room(&mut self, length: usize) -> bool {
        let has_room = self.own_bytes + length + MESSAGE_COST <= QUEUE_BYTES_MAX;
        self.has_refused |= !has_room;
        has_room
    }

    fn checked_own(&self, message: &[u8]) -> io::Result<PeerId> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.own.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The next of what is ready, with the books kept.
    fn pop(&mut self) -> Option<Arrival> {
        let arrival = self.ready.pop_front()?;
        self.popped += 1;
        if let Arrival::Message { from, bytes } = &arrival
            && Some(*from) == self.own
        {
            self.own_bytes -= bytes.len() + MESSAGE_COST;
            if self.has_refused && self.own_bytes <= QUEUE_BYTES_MAX / 2 {
                self.has_refused = false;
                self.ready.push_back(Arrival::Room);
            }
        }
        Some(arrival)
    }

    /// Looks at all that is readable or writable, each once; gives whether there was anything.
    fn look(&mut self) -> io::Result<bool> {
        let mut found: Vec<Ready> = Vec::new();
        descriptor::epoll_wait(self.set.as_fd(), &mut found, Some(0))?;
        self.popped = 0;
        let now = clock::elapsed().0;
        for ready in &found {
            match ready.token {
                TOKEN_BELL => {}
                TOKEN_TIMER => {
                    descriptor::lower(self.timer.as_fd());
                    self.look_at_own_node(now)?;
                    self.look_at_clock(now);
                }
                TOKEN_LISTENER => self.accept(now)?,
                TOKEN_TOPOLOGY => self.look_at_topology(now)?,
                token => self.look_at_link(token, ready.events, now),
            }
        }
        Ok(!found.is_empty())
    }

    fn look_at_topology(&mut self, now: u64) -> io::Result<()> {
        while let Some((place, is_there)) = self.topology.next()? {
            // What this node publishes before it has a number is told under number 0.
            if place == self.place || (place.node == 0 && place.port == self.place.port) {
                self.look_at_own_node(now)?;
            } else if is_there {
                self.known.entry(place).or_default().retry_at = Some(now);
            } else {
                self.known.remove(&place);
                self.give_up(place, now);
            }
        }
        self.look_at_clock(now);
        Ok(())
    }
}

impl Drop for Tipc {
    fn drop(&mut self) {
        for link in std::mem::take(&mut self.links).into_values() {
            link.end();
        }
    }
}

impl Transport for Tipc {
    fn own(&self) -> Option<PeerId> {
        self.own
    }

    fn bind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.bindings.bind(range)?;
        let told = self.own.and_then(|own| self.roster.up(own, range));
        self.announce(told);
        Ok(())
    }

    fn unbind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.bindings.unbind(range)?;
        let told = self.own.and_then(|own| self.roster.down(own, range));
        self.announce(told);
        Ok(())
    }

    fn watch(&mut self, range: ServiceRange) -> io::Result<()> {
        let told = self.roster.watch(range)?;
        self.ready.extend(told);
        self.set_bell();
        Ok(())
    }

    fn multicast(&mut self, to: ServiceRange, message: &[u8]) -> io::Result<()> {
        let own = self.checked_own(message)?;
        let mut takers: Vec<PeerId> = self.roster.takers(to).collect();
        let is_ours = takers.contains(&own);
        takers.retain(|taker| *taker != own);
        let mut has_room = !is_ours || self.has_own_room(message.len());
        has_room &= self.have_room(&takers);
        if !has_room {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.send_to_all(&takers, &packet::message(message));
        if is_ours {
            self.deliver(own, message);
        }
        self.set_bell();
        Ok(())
    }

    fn send(&mut self, to: PeerId, message: &[u8]) -> io::Result<()> {
        let own = self.checked_own(message)?;
        if !self.roster.is_up(to) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if to != own {
            return self.send_to_one(to, &packet::message(message));
        }
        if !self.has_own_room(message.len()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.deliver(own, message);
        self.set_bell();
        Ok(())
    }

    fn try_receive(&mut self) -> io::Result<Option<Arrival>> {
        if self.popped >= POPS_MAX {
            self.look()?;
        }
        let mut arrival = self.pop();
        for _ in 0..LOOKS_MAX {
            if arrival.is_some() || !self.look()? {
                break;
            }
            arrival = self.pop();
        }
        self.set_bell();
        Ok(arrival)
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn order(&self) -> Order {
        Order::Publisher
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.set.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_a_name_or_with_a_long_one_is_refused() {
        for name in ["", &"x".repeat(SERVICE_BYTES_MAX + 1)] {
            let refused = Tipc::open(name).map(|_| ()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_kernel_without_tipc_is_told_as_such() {
        if let Err(error) = Tipc::open("test") {
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        }
    }
}
