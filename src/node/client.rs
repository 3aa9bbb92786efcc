//! One connected program, from the node's side.

use super::arrival::Arrival;
use super::others::Awaited;
use super::permits::Refusals;
use super::throttle::Throttle;
use super::turn::Unfinished;
use crate::evt::node::ProcessKey;
use crate::evt::{Error, InstanceNo, Priority};
use crate::link::outbox::Outbox;
use crate::sys::descriptor;
use crate::sys::socket::{self, Peer};
use crate::wire::{Barrier, Body, Reply, Request, reply};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

/// Requests of one program that wait for their turn; beyond, its socket is not read.
pub(super) const REQUESTS_MAX: usize = 16;
/// Replies that wait for a program that does not read them; beyond, it is dropped. A well-behaved
/// library has at most one blocking request for each of its threads and one for each open.
const REPLIES_MAX: usize = 70_000;
/// Replies with descriptors that wait for a program that does not read them; beyond, its requests
/// wait too. Each holds up to two descriptors of the daemon. A library asks for one at a time.
const REPLIES_WITH_DESCRIPTORS_MAX: usize = 8;
/// Bytes of such replies.
const REPLIES_BYTES_MAX: usize = 8 << 20;

/// A request and the descriptors that came with it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// What exists from the hello on.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) outbox: Rc<Outbox>,
    /// Watched edge-triggered; kept open so that the program's ring is seen.
    pub(super) _bell: OwnedFd,
    /// Next position to take, by priority.
    pub(super) next: Barrier,
    /// What stands at its position in `next` has takers left.
    pub(super) unfinished: Option<Unfinished>,
    /// The first of what waits since other nodes are slow.
    pub(super) held: Option<(InstanceNo, Priority)>,
    /// Publications before these positions were begun by a node that died.
    pub(super) again_until: Barrier,
    /// Publications before these positions have spent credit of an earlier node.
    pub(super) prepaid_until: Barrier,
    /// It was made with an earlier node, which may have had other limits.
    pub(super) resumed: bool,
    /// Publications that were taken.
    pub(super) published: u64,
    /// Publications that were skipped.
    pub(super) skipped: u64,
    /// Until this link is granted credit, what is retained has spent credit of an earlier node.
    pub(super) forgiving: bool,
    /// Which memory the outbox is.
    pub(super) memory: (u64, u64),
    /// The program is bringing its state back: nothing is taken until it has.
    pub(super) restoring: bool,
    /// Handles whose queue in the dead node held more.
    pub(super) had_backlog: BTreeSet<u32>,
}

/// One connected program.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) process: ProcessKey,
    pub(super) generation: u32,
    pub(super) peer: Peer,
    pub(super) control: OwnedFd,
    pidfd: Option<OwnedFd>,
    pub(super) linked: Option<Linked>,
    pub(super) requests: VecDeque<Waiting>,
    /// For its first request: whose publications come before it, when that has been found out.
    pub(super) awaits: Option<Vec<Awaited>>,
    /// The socket may have something to read.
    pub(super) readable: bool,
    /// The socket has hung up or the process has ended.
    pub(super) gone: bool,
    /// In the queue of those that have work.
    pub(super) queued: bool,
    /// It is a private daemon that moves here, and this has come from it.
    pub(super) arrival: Option<Arrival>,
    /// Requests that wait for the cluster.
    pub(super) parked: usize,
    /// Has published since the last look whether it rests.
    pub(super) used: bool,
    /// Is looked at from time to time to see whether it rests.
    pub(super) watched: bool,
    /// What the policy has refused to it.
    pub(super) refusals: Refusals,
    /// Lines of log about it.
    pub(super) logged: Throttle,
    replies: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    replies_bytes: usize,
    replies_with_descriptors: usize,
}

impl Client {
    pub(super) fn new(
        process: ProcessKey,
        generation: u32,
        peer: Peer,
        control: OwnedFd,
        pidfd: Option<OwnedFd>,
    ) -> Self {
        Self {
            process,
            generation,
            peer,
            control,
            pidfd,
            linked: None,
            requests: VecDeque::new(),
            awaits: None,
            readable: true,
            gone: false,
            queued: false,
            arrival: None,
            parked: 0,
            used: false,
            watched: false,
            refusals: Refusals::default(),
            logged: Throttle::default(),
            replies: VecDeque::new(),
            replies_bytes: 0,
            replies_with_descriptors: 0,
        }
    }

    /// Whether the program is in the middle of bringing its state back.
    pub(super) fn is_restoring(&self) -> bool {
        self.linked.as_ref().is_some_and(|linked| linked.restoring)
    }

    /// Whether the process has ended, as far as can be seen.
    pub(super) fn is_dead(&self) -> bool {
        self.pidfd.is_none() || self.has_ended()
    }

    /// Whether the process is seen to have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.pidfd.as_ref().is_some_and(|pidfd| {
            descriptor::poll([(pidfd.as_raw_fd(), libc::POLLIN)], Some(0))
                .is_ok_and(|[events]| events != 0)
        })
    }

    /// The number of the segment that its windows may refer to; 0 for none. What they refer to the
    /// program may read until it is seen to end.
    pub(super) fn mapped_segment(&self) -> u64 {
        let outbox = self.linked.as_ref().map(|linked| &linked.outbox);
        outbox.filter(|_| self.pidfd.is_some()).map_or(0, |outbox| outbox.mapped_segment())
    }

    /// What will tell of its end; `None` if it has ended, or nothing tells.
    pub(super) fn into_end(self) -> Option<OwnedFd> {
        if self.has_ended() { None } else { self.pidfd }
    }

    /// Reads what the socket has, up to the bound of waiting requests.
    ///
    /// # Errors
    ///
    /// What the program did wrong; it is dropped.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<(), &'static str> {
        while self.readable && self.requests.len() < REQUESTS_MAX && !self.is_deaf() {
            let received = socket::receive(self.control.as_fd(), buffer)
                .map_err(|_| "its control socket failed")?;
            let Some(received) = received else {
                self.readable = false;
                break;
            };
            if received.bytes == 0 {
                self.readable = false;
                self.gone = true;
                break;
            }
            if received.truncated || received.descriptors_lost {
                return Err("it sent more than a message can hold");
            }
            let request = Request::decode(&buffer[..received.bytes])
                .map_err(|_| "it sent a malformed request")?;
            let hello = matches!(request.body, Body::Hello { .. });
            if hello != (self.linked.is_none() && self.requests.is_empty()) {
                return Err("it sent a hello out of place");
            }
            let wanted = match request.body {
                Body::Hello { resumes, .. } | Body::LibraryOpen { resumes, .. } => {
                    usize::from(resumes)
                }
                _ => 0,
            };
            if received.descriptors.len() != wanted {
                return Err("it sent descriptors that nobody asked for, or too few");
            }
            self.requests.push_back(Waiting { request, descriptors: received.descriptors });
        }
        Ok(())
    }

    /// Whether so many descriptors wait in replies that nothing may be done that makes more.
    pub(super) fn is_deaf(&self) -> bool {
        self.replies_with_descriptors >= REPLIES_WITH_DESCRIPTORS_MAX
    }

    /// Queues a reply; it is sent by [`Client::flush`], after what it rests on is in the log.
    pub(super) fn reply(
        &mut self,
        id: u32,
        code: Result<(), Error>,
        body: reply::Body,
        descriptors: Vec<OwnedFd>,
    ) {
        let message = Reply { id, code, body }.encode();
        self.replies_bytes += message.len();
        self.replies_with_descriptors += usize::from(!descriptors.is_empty());
        self.replies.push_back((message, descriptors));
    }

    /// Sends what waits, as far as the socket takes it.
    ///
    /// # Errors
    ///
    /// The program does not read its replies, or its socket is broken.
    pub(super) fn flush(&mut self) -> Result<(), &'static str> {
        while let Some((message, descriptors)) = self.replies.front() {
            let rights: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match socket::send(self.control.as_fd(), message, &rights) {
                Ok(()) => {
                    self.replies_bytes -= message.len();
                    self.replies_with_descriptors -= usize::from(!descriptors.is_empty());
                    self.replies.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                    ) =>
                {
                    self.gone = true;
                    self.replies.clear();
                    self.replies_bytes = 0;
                    self.replies_with_descriptors = 0;
                }
                Err(_) => return Err("its control socket failed"),
            }
        }
        if self.replies.len() > REPLIES_MAX || self.replies_bytes > REPLIES_BYTES_MAX {
            return Err("it does not read its replies");
        }
        Ok(())
    }

    /// Whether all replies have gone out.
    pub(super) fn has_answered(&self) -> bool {
        self.replies.is_empty()
    }

    /// Whether everything before a request's barrier has been taken. A barrier beyond what is
    /// reserved is cut to that: nobody waits for what was never there.
    pub(super) fn is_due(&self, barrier: &Barrier) -> bool {
        let Some(linked) = &self.linked else { return true };
        Priority::ALL.iter().all(|priority| {
            let index = priority.index();
            let (reserved, ..) = linked.outbox.ring(*priority).positions();
            linked.next[index] >= barrier[index].min(reserved)
        })
    }
}
