//! A daemon of its own, and programs that talk to it by hand: through the real socket, memory and
//! bells, but without the library that would keep them from doing wrong.

#![allow(dead_code, reason = "each test program uses its own part")]

use SaEvt::evt::{
    Attributes, EventId, Filter, FilterKind, Filters, InstanceNo, LibraryNo, Name, OpenFlags,
    Priority, SubscriptionNo,
};
use SaEvt::link::inbox::Inbox;
use SaEvt::link::outbox::Outbox;
use SaEvt::link::record::{InKind, OutHeader, VERSION};
use SaEvt::link::segment::SegmentView;
use SaEvt::sys::{descriptor, socket};
use SaEvt::wire::{Body, Reply, Request, reply};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Nothing takes so long; whoever waits longer waits for ever.
const WATCHDOG: u64 = 60_000_000_000;

/// Waits until the descriptor has one of the events. Panics when the watchdog barks.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, events: libc::c_short) -> libc::c_short {
    let [seen] = descriptor::poll([(fd.as_raw_fd(), events)], Some(WATCHDOG)).unwrap();
    assert_ne!(seen, 0, "nothing happened");
    seen
}

/// A daemon in a directory of its own, and its log.
pub(crate) struct Daemon {
    directory: PathBuf,
    child: Child,
}

impl Daemon {
    pub(crate) fn start(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("saevt-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let child = Self::run(&directory);
        Self { directory, child }.started()
    }

    fn run(directory: &Path) -> Child {
        let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_saevtd"))
            .args([Path::new("--socket"), &directory.join("socket")])
            .args([Path::new("--state-dir"), directory])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Waits until it accepts programs.
    fn started(mut self) -> Self {
        while socket::connect(&self.socket()).is_err() {
            assert!(self.is_alive(), "the daemon did not start: {}", self.log());
            std::thread::yield_now();
        }
        self
    }

    /// Kills it and starts the next one in its place.
    pub(crate) fn replace(self) -> Self {
        self.replace_after(|| ())
    }

    /// As [`Daemon::replace`]; `between` happens while there is none.
    pub(crate) fn replace_after(mut self, between: impl FnOnce()) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        between();
        self.child = Self::run(&self.directory);
        self.started()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Stops it: from here on it sees nothing until [`Daemon::go_on`].
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        let pid = Pid::from_raw(self.child.id() as i32);
        let seen = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(seen, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// How many descriptors it holds.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Tells it to end; a stopped one ends when it goes on.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits until it has ended in good order.
    pub(crate) fn wait_for_end(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already: the test has said so then.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A library handle of a [`Client`].
pub(crate) struct Handle {
    pub(crate) inbox: Inbox,
    pub(crate) memory: File,
    pub(crate) bell: OwnedFd,
    at: [u64; 4],
}

impl Handle {
    /// Takes the next event out, waiting for it as the library does. Gives its id and data.
    pub(crate) fn receive(&mut self, client: &Client) -> (EventId, Vec<u8>) {
        loop {
            if let Some(found) = self.take() {
                if self.inbox.room_bell().must_ring() {
                    descriptor::raise(client.node_bell.as_fd());
                }
                return found;
            }
            self.inbox.agent_bell().fall_asleep();
            if let Some(found) = self.take() {
                let _ = self.inbox.agent_bell().stay_awake();
                return found;
            }
            wait_for(self.bell.as_fd(), libc::POLLIN);
            descriptor::hear(self.bell.as_fd());
        }
    }

    /// As [`Handle::take`] for an event whose data are in the segment.
    pub(crate) fn take_shared(&mut self, view: &SegmentView) -> Option<Vec<u8>> {
        let priority = Priority::HIGHEST;
        let at = &mut self.at[priority.index()];
        let (position, header) = self.inbox.next(priority, *at).unwrap()?;
        assert_eq!(header.kind, InKind::Shared);
        let to = self.inbox.reference(priority, position, &header).unwrap();
        assert_eq!(to.segment, view.number());
        let mut data = Vec::with_capacity(to.bytes as usize);
        view.part(to.offset, to.bytes).unwrap().append_to(&mut data);
        *at = position + u64::from(header.bytes);
        self.inbox.ring(priority).advance(*at);
        Some(data)
    }

    /// Takes the next event out, if one is there.
    pub(crate) fn take(&mut self) -> Option<(EventId, Vec<u8>)> {
        for priority in Priority::ALL {
            let at = &mut self.at[priority.index()];
            let Some((position, header)) = self.inbox.next(priority, *at).unwrap() else {
                continue;
            };
            let attributes = header.attributes_bytes as usize;
            let mut content = vec![0; attributes + header.data_bytes as usize];
            self.inbox.read_content(priority, position, &mut content);
            *at = position + u64::from(header.bytes);
            self.inbox.ring(priority).advance(*at);
            return Some((EventId(header.id), content.split_off(attributes)));
        }
        None
    }
}

/// A program that is driven by hand.
pub(crate) struct Client {
    pub(crate) control: OwnedFd,
    pub(crate) outbox: Outbox,
    pub(crate) memory: File,
    pub(crate) node_bell: OwnedFd,
    /// Number and memory of the daemon's segment.
    pub(crate) segment: Option<(u64, OwnedFd)>,
    next_id: u64,
    end_id: u64,
}

pub(crate) fn subscription_to_all(instance: InstanceNo) -> Body {
    let filters = Filters(vec![Filter { kind: FilterKind::PassAll, bytes: Vec::new() }]);
    Body::Subscribe { instance, number: SubscriptionNo(1), filters }
}

/// Waits for the next reply.
pub(crate) fn answer(control: BorrowedFd<'_>) -> (Reply, Vec<OwnedFd>) {
    let mut buffer = vec![0; SaEvt::wire::MESSAGE_BYTES_MAX];
    loop {
        wait_for(control, libc::POLLIN);
        let Some(received) = socket::receive(control, &mut buffer).unwrap() else { continue };
        assert_ne!(received.bytes, 0, "the daemon hung up");
        return (Reply::decode(&buffer[..received.bytes]).unwrap(), received.descriptors);
    }
}

/// Sends a request and waits for the reply.
pub(crate) fn ask(
    control: BorrowedFd<'_>,
    body: Body,
    descriptors: &[BorrowedFd<'_>],
) -> (Reply, Vec<OwnedFd>) {
    let request = Request { id: 7, barrier: [0; 4], body };
    socket::send(control, &request.encode(), descriptors).unwrap();
    answer(control)
}

pub(crate) fn hello(resumes: bool) -> Body {
    Body::Hello { version: VERSION, resumes, blocks: Vec::new() }
}

impl Client {
    pub(crate) fn connect(daemon: &Daemon) -> Self {
        let control = socket::connect(&daemon.socket()).unwrap();
        let (reply, mut descriptors) = ask(control.as_fd(), hello(false), &[]);
        let reply::Body::Welcome { outbox_bytes, segment, .. } = reply.body else {
            panic!("{reply:?}")
        };
        let segment = descriptors.get(2).is_some().then(|| (segment, descriptors.remove(2)));
        let [memory, node_bell] = <[OwnedFd; 2]>::try_from(descriptors).unwrap();
        let outbox = Outbox::open(memory.as_fd(), outbox_bytes as usize).unwrap();
        let memory = File::from(memory);
        Self { control, outbox, memory, node_bell, segment, next_id: 0, end_id: 0 }
    }

    pub(crate) fn ask(&self, body: Body) -> Reply {
        ask(self.control.as_fd(), body, &[]).0
    }

    /// Links to the next daemon with this outbox, and claims a block of identifiers. Of the rest of
    /// its state it brings nothing back.
    pub(crate) fn come_back(&mut self, daemon: &Daemon, block: u64) {
        self.control = socket::connect(&daemon.socket()).unwrap();
        let blocks = vec![(EventId(block), 65_536)];
        let hello = Body::Hello { version: VERSION, resumes: true, blocks };
        let (reply, mut handed) = ask(self.control.as_fd(), hello, &[self.memory.as_fd()]);
        assert_eq!(reply.code, Ok(()));
        handed.truncate(1);
        [self.node_bell] = <[OwnedFd; 1]>::try_from(handed).unwrap();
        assert_eq!(self.ask(Body::Restored).code, Ok(()));
    }

    pub(crate) fn library(&self, library: LibraryNo) -> Handle {
        let open = Body::LibraryOpen { library, resumes: false };
        let (reply, descriptors) = ask(self.control.as_fd(), open, &[]);
        assert_eq!(reply.code, Ok(()));
        let [memory, bell] = <[OwnedFd; 2]>::try_from(descriptors).unwrap();
        let bytes = memory_bytes(&memory);
        let ring_bytes = (0..31)
            .map(|shift| 1 << shift)
            .find(|ring| Inbox::memory_bytes(*ring) == bytes)
            .unwrap();
        let inbox = Inbox::open(memory.as_fd(), ring_bytes).unwrap();
        Handle { inbox, memory: File::from(memory), bell, at: [0; 4] }
    }

    /// Maps the daemon's segment and says so, before the first library handle.
    pub(crate) fn map_segment(&self) -> SegmentView {
        let (number, memory) = self.segment.as_ref().expect("it came with the welcome");
        self.outbox.note_segment(*number);
        SegmentView::open(memory.as_fd(), *number).unwrap()
    }

    pub(crate) fn open(
        &self,
        library: LibraryNo,
        instance: InstanceNo,
        name: &str,
        flags: OpenFlags,
    ) {
        let name = Name::new(name.as_bytes()).unwrap();
        let (names_are_dns, asynchronous) = (false, false);
        let open = Body::Open { library, instance, flags, names_are_dns, asynchronous, name };
        assert_eq!(self.ask(open).code, Ok(()));
    }

    pub(crate) fn subscribe_to_all(&self, instance: InstanceNo) {
        assert_eq!(self.ask(subscription_to_all(instance)).code, Ok(()));
    }

    /// Sends a request that is to come after all that this program has published; the reply is
    /// [`answer`]'s.
    pub(crate) fn send(&self, body: Body) {
        let request = Request { id: 7, barrier: [u64::MAX; 4], body };
        socket::send(self.control.as_fd(), &request.encode(), &[]).unwrap();
    }

    /// An identifier that the daemon has granted.
    pub(crate) fn next_id(&mut self) -> EventId {
        if self.next_id == self.end_id {
            let first = self.outbox.take_block();
            assert_ne!(first, 0, "a block is on offer");
            (self.next_id, self.end_id) = (first, first + 65_536);
        }
        self.next_id += 1;
        EventId(self.next_id - 1)
    }

    /// A header that is right for an event without patterns and with so much data.
    pub(crate) fn header(&mut self, instance: InstanceNo, data_bytes: usize) -> OutHeader {
        OutHeader {
            instance: instance.0,
            id: self.next_id().0,
            publish_time: 1,
            retention: 0,
            attributes_bytes: Attributes::empty().unwrap().packed().len() as u32,
            data_bytes: data_bytes as u32,
        }
    }

    /// As [`Client::header`] for 2000 bytes of data; none when the daemon has ended the link.
    pub(crate) fn header_unless_dropped(&mut self, instance: InstanceNo) -> Option<OutHeader> {
        (self.is_linked() && self.next_id < self.end_id || self.end_id == 0)
            .then(|| self.header(instance, 2000))
    }

    /// Publishes a record as it is, right or wrong, in a range that fits its content. False if
    /// there was no room.
    pub(crate) fn publish(&self, header: &OutHeader, attributes: &[u8], data: &[u8]) -> bool {
        let ring = self.outbox.ring(Priority::HIGHEST);
        let bytes = SaEvt::link::record::OUT_HEADER + attributes.len() + data.len();
        let Ok(slot) = ring.reserve(bytes as u64) else { return false };
        self.outbox.write(Priority::HIGHEST, slot, header, attributes, data);
        ring.commit(slot);
        self.ring_node();
        true
    }

    pub(crate) fn ring_node(&self) {
        descriptor::raise(self.node_bell.as_fd());
    }

    /// Writes into the outbox's memory, past all rules.
    pub(crate) fn scribble(&self, offset: u64, bytes: &[u8]) {
        self.memory.write_all_at(bytes, offset).unwrap();
    }

    /// Waits until the daemon has hung up.
    pub(crate) fn wait_for_drop(&self) {
        wait_for(self.control.as_fd(), libc::POLLRDHUP);
    }

    /// Whether the daemon still talks to this program.
    pub(crate) fn is_linked(&self) -> bool {
        let [seen] =
            descriptor::poll([(self.control.as_raw_fd(), libc::POLLRDHUP)], Some(0)).unwrap();
        seen == 0
    }
}

pub(crate) fn memory_bytes(memory: &OwnedFd) -> usize {
    File::from(memory.try_clone().unwrap()).metadata().unwrap().len() as usize
}

/// A well-behaved program that publishes to itself, to see that the service works.
pub(crate) struct Witness {
    pub(crate) client: Client,
    handle: Handle,
    rounds: u64,
}

pub(crate) const LIBRARY: LibraryNo = LibraryNo(0);

pub(crate) fn instance() -> InstanceNo {
    InstanceNo::new(1, 0)
}

/// All rights on a channel that is created if it is not there.
pub(crate) fn all() -> OpenFlags {
    OpenFlags::PUBLISHER | OpenFlags::SUBSCRIBER | OpenFlags::CREATE
}

impl Witness {
    pub(crate) fn new(daemon: &Daemon) -> Self {
        let client = Client::connect(daemon);
        let handle = client.library(LIBRARY);
        client.open(LIBRARY, instance(), "witness", all());
        client.subscribe_to_all(instance());
        Self { client, handle, rounds: 0 }
    }

    /// Publishes an event and receives it.
    pub(crate) fn sees_that_all_is_well(&mut self) {
        self.rounds += 1;
        let data = self.rounds.to_le_bytes();
        let header = self.client.header(instance(), data.len());
        let empty = Attributes::empty().unwrap();
        assert!(self.client.publish(&header, empty.packed(), &data));
        let received = self.handle.receive(&self.client);
        assert_eq!(received, (EventId(header.id), data.to_vec()));
    }
}

/// A small generator with a good enough spread (splitmix64).
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
