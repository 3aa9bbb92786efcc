//! One control connection to the node, from its hello to its end.

use super::library::Library;
use super::link::{Failure, Link};
use super::process::{forget_descriptor, note_descriptor};
use crate::evt::{Error, Span, Time};
use crate::link::handover::{Handover, Turn};
use crate::sys::{clock, descriptor, socket};
use crate::wire::{MESSAGE_BYTES_MAX, Reply, reply};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Bytes of the longest reply but those about the node: 1024 identifiers and some.
const REPLY_BYTES_MAX: usize = 16 << 10;

/// A reply and what came with it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) reply: Reply,
    pub(super) descriptors: Vec<OwnedFd>,
    /// The number of the connection it came by.
    pub(super) by: u64,
}

/// An asynchronous open whose reply has not come.
pub(super) struct PendingOpen {
    pub(super) library: Arc<Library>,
    pub(super) instance: Arc<super::instance::Instance>,
    pub(super) taken: super::table::Taken,
    pub(super) invocation: u64,
}

/// One control connection.
pub(super) struct Connection {
    number: u64,
    socket: OwnedFd,
    node_bell: OwnedFd,
    kick: OwnedFd,
    pub(super) handover: Handover<Received>,
    unsent: Mutex<VecDeque<Vec<u8>>>,
    opens: Mutex<BTreeMap<u32, PendingOpen>>,
    buffer: Mutex<Vec<u8>>,
    last_id: AtomicU32,
    ended: AtomicBool,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, node_bell: OwnedFd) -> io::Result<Self> {
        let kick = descriptor::eventfd()?;
        for number in [socket.as_raw_fd(), node_bell.as_raw_fd(), kick.as_raw_fd()] {
            note_descriptor(number);
        }
        static LAST: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            number: LAST.fetch_add(1, Ordering::Relaxed),
            socket,
            node_bell,
            kick,
            handover: Handover::default(),
            unsent: Mutex::new(VecDeque::new()),
            opens: Mutex::new(BTreeMap::new()),
            buffer: Mutex::new(vec![0; REPLY_BYTES_MAX]),
            last_id: AtomicU32::new(1000),
            ended: AtomicBool::new(false),
        })
    }

    /// Tells the connections of this process apart.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// A request id that is not in use: never 0.
    pub(super) fn next_id(&self) -> u32 {
        self.last_id.fetch_add(1, Ordering::Relaxed) | 1 << 31
    }

    /// The control socket's number, to watch for hang-ups.
    pub(super) fn socket_number(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Makes the node look at this process.
    pub(super) fn ring_node(&self) {
        descriptor::raise(self.node_bell.as_fd());
    }

    /// Sends a message after all earlier ones. With a deadline it waits for room until then;
    /// without one the message is kept and goes out with the next.
    pub(super) fn send(
        &self,
        message: &[u8],
        descriptors: &[BorrowedFd<'_>],
        deadline: Option<Time>,
    ) -> io::Result<()> {
        loop {
            let mut unsent = self.unsent.lock();
            let outcome = self
                .send_earlier(&mut unsent)
                .and_then(|()| socket::send(self.socket.as_fd(), message, descriptors));
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(error) => {
                    let Some(deadline) = deadline else {
                        unsent.push_back(message.to_vec());
                        return Ok(());
                    };
                    drop(unsent);
                    let now = clock::elapsed();
                    if now >= deadline {
                        return Err(error);
                    }
                    let wait = Some(now.until(deadline).0);
                    descriptor::poll([(self.socket.as_raw_fd(), libc::POLLOUT)], wait)?;
                }
            }
        }
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn flush(&self) {
        // What is left goes out with the next message, or the connection has ended.
        let _ = self.send_earlier(&mut self.unsent.lock());
    }

    fn send_earlier(&self, unsent: &mut VecDeque<Vec<u8>>) -> io::Result<()> {
        while let Some(earlier) = unsent.front() {
            socket::send(self.socket.as_fd(), earlier, &[])?;
            unsent.pop_front();
        }
        Ok(())
    }

    /// Notes an asynchronous open; its reply completes it.
    pub(super) fn note_open(&self, id: u32, open: PendingOpen) -> Result<(), PendingOpen> {
        let mut opens = self.opens.lock();
        if self.ended.load(Ordering::Acquire) {
            return Err(open);
        }
        opens.insert(id, open);
        Ok(())
    }

    /// Takes a noted open back.
    pub(super) fn take_open(&self, id: u32) -> Option<PendingOpen> {
        self.opens.lock().remove(&id)
    }

    /// The connection has ended: the opens that will get no reply.
    pub(super) fn end_opens(&self) -> Vec<PendingOpen> {
        let mut opens = self.opens.lock();
        self.ended.store(true, Ordering::Release);
        std::mem::take(&mut *opens).into_values().collect()
    }

    /// Takes the noted opens of a library handle that is finalized: they hold it, and with it the
    /// link, until a reply comes that nobody reads any more.
    pub(super) fn take_opens_of(&self, library: &Library) -> Vec<PendingOpen> {
        let mut opens = self.opens.lock();
        let (theirs, others): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut *opens)
            .into_iter()
            .partition(|(_, open)| std::ptr::eq(&*open.library, library));
        *opens = others;
        theirs.into_values().collect()
    }

    /// Whether the node has closed its end.
    pub(super) fn has_hung_up(&self) -> bool {
        let events = descriptor::poll([(self.socket.as_raw_fd(), libc::POLLRDHUP)], Some(0));
        events.is_ok_and(|[events]| events & (libc::POLLRDHUP | libc::POLLHUP) != 0)
    }

    /// Whether a message, or the end, waits to be read.
    pub(super) fn has_message(&self) -> bool {
        let events = descriptor::poll([(self.socket.as_raw_fd(), libc::POLLIN)], Some(0));
        events.is_ok_and(|[events]| events != 0)
    }

    /// Makes room for replies as long as a message can be, which only those about the node are.
    ///
    /// - [`Error::NoMemory`].
    pub(super) fn expect_long_replies(&self) -> Result<(), Error> {
        let mut buffer = self.buffer.lock();
        let more = MESSAGE_BYTES_MAX.saturating_sub(buffer.len());
        buffer.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
        buffer.resize(MESSAGE_BYTES_MAX, 0);
        Ok(())
    }

    /// Leader: takes all messages that are there. False if the node has gone or talks nonsense.
    pub(super) fn pump(&self) -> bool {
        let mut buffer = self.buffer.lock();
        loop {
            let received = match socket::receive(self.socket.as_fd(), &mut buffer) {
                Ok(None) => return true,
                Ok(Some(received)) => received,
                Err(_) => return false,
            };
            if received.bytes == 0 || received.truncated {
                return false;
            }
            let Ok(reply) = Reply::decode(&buffer[..received.bytes]) else { return false };
            if reply.body == reply::Body::Moved {
                return false;
            }
            if let Some(open) = self.take_open(reply.id) {
                let library = Arc::clone(&open.library);
                library.complete(open, incarnation_of(reply), self.number);
                continue;
            }
            let id = reply.id;
            // A reply for which nobody waits any more is settled by whoever gave up.
            let _ = self.handover.deliver(
                id,
                Received { reply, descriptors: received.descriptors, by: self.number },
            );
        }
    }

    /// Waits for the reply to request `id`.
    pub(super) fn wait(
        self: &Arc<Self>,
        link: &Link,
        id: u32,
        deadline: Time,
        whose: Option<&Library>,
    ) -> Result<Received, Failure> {
        let cancelled = || whose.is_some_and(Library::is_finalized);
        loop {
            let left = clock::elapsed().until(deadline);
            let turn = self.handover.turn(
                id,
                || !cancelled(),
                |changed, guard| match left {
                    Span::FOREVER => guard.wait(changed),
                    Span(nanoseconds) => {
                        guard.wait_for(changed, std::time::Duration::from_nanos(nanoseconds));
                    }
                },
            );
            match turn {
                Turn::Reply(received) => return Ok(received),
                Turn::Ended => return Err(Failure::Lost),
                Turn::Lead => {
                    let alive = self.lead(deadline);
                    self.handover.leave();
                    if !alive {
                        link.down(self);
                    }
                }
                Turn::Look => {}
            }
            let failure = if cancelled() {
                Failure::Cancelled
            } else if clock::elapsed() >= deadline {
                Failure::Timeout
            } else {
                continue;
            };
            return self.handover.forget(id).ok_or(failure);
        }
    }

    /// Leader: waits for messages once, and takes them. False if the node has gone.
    fn lead(&self, deadline: Time) -> bool {
        let now = clock::elapsed();
        let wait = match now.until(deadline) {
            Span::FOREVER => None,
            Span(nanoseconds) => Some(nanoseconds),
        };
        let descriptors =
            [(self.socket.as_raw_fd(), libc::POLLIN), (self.kick.as_raw_fd(), libc::POLLIN)];
        let Ok([socket, kick]) = descriptor::poll(descriptors, wait) else { return false };
        if kick != 0 {
            descriptor::lower(self.kick.as_fd());
        }
        socket == 0 || self.pump()
    }

    /// Makes every waiting thread look whether it still wants to wait.
    pub(super) fn kick(&self) {
        descriptor::raise(self.kick.as_fd());
        self.handover.wake();
    }
}

fn incarnation_of(reply: Reply) -> Result<crate::evt::Incarnation, crate::evt::Error> {
    reply.code?;
    match reply.body {
        reply::Body::Opened { incarnation } => Ok(incarnation),
        _ => Err(crate::evt::Error::Library),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for number in [&self.socket, &self.node_bell, &self.kick] {
            forget_descriptor(number.as_raw_fd());
        }
    }
}
