//! A daemon that breaks the rules of the link: the library answers with an error, or with what
//! the daemon made it believe, and the program lives.
//!
//! The test is the daemon; it starts itself once more as the program, which finds it through
//! `SAEVT_SOCKET`. `SAEVT_FUZZ_SEEDS` says how many links of random misdeeds are
//! tried, `SAEVT_FUZZ_SEED` where they begin.

#![expect(clippy::disallowed_methods, reason = "the environment names the role and the seeds")]

mod wild;

use SaEvt::agent::{self, Callbacks, DispatchFlags, Handle, Version};
use SaEvt::evt::{
    Attributes, Error, EventId, Filter, FilterKind, Filters, Incarnation, Limits, Name, OpenFlags,
    Priority, Span, SubscriptionId,
};
use SaEvt::link::inbox::{Inbox, Source};
use SaEvt::link::inring::Reader;
use SaEvt::link::outbox::Outbox;
use SaEvt::link::record::{IN_HEADER, InHeader, InKind, Reference};
use SaEvt::link::segment::{SLOT_BYTES, Segment};
use SaEvt::sys::{descriptor, memory, process, socket};
use SaEvt::wire::{Body, MESSAGE_BYTES_MAX, Reply, Request, reply};
use std::fs::File;
use std::io::Seek;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use wild::Dice;

const RING_BYTES: usize = 1 << 16;
const ROLE: &str = "SAEVT_HOSTILE_NODE_ROUNDS";

/// The event before.
static KEPT: AtomicU64 = AtomicU64::new(0);

struct Listener;

impl Callbacks for Listener {
    fn has_open(&self) -> bool {
        true
    }
    fn has_deliver(&self) -> bool {
        true
    }
    fn open(&self, _: u64, _: Result<Handle, Error>) {}
    fn deliver(&self, _: SubscriptionId, event: Handle, data_bytes: u64) {
        let mut copy = Vec::new();
        let read = agent::data(event, |data| {
            copy.reserve(data.bytes());
            data.append_to(&mut copy);
            Ok(data.bytes() as u64)
        });
        assert_eq!((read, copy.len() as u64), (Ok(data_bytes), data_bytes));
        let patterns = agent::attributes(event, |view| Ok(view.attributes.patterns().count()));
        if patterns == Err(Error::Library) {
            // Its attributes are no block, which is judged only now. It has gone.
            assert_eq!(agent::event_free(event), Err(Error::BadHandle));
            return;
        }
        assert!(patterns.is_ok());
        // Every event outlives its callback, and ends with its channel if not by the next one.
        let kept = KEPT.swap(event, Ordering::Relaxed);
        let bytes = agent::data(kept, |data| Ok(data.bytes()));
        assert_eq!(agent::event_free(kept), bytes.map(|_| ()));
        if data_bytes.is_multiple_of(2) {
            KEPT.store(0, Ordering::Relaxed);
            agent::event_free(event).unwrap();
        }
    }
}

/// A program that uses what there is to use, whatever comes back.
fn use_the_service() -> Result<(), Error> {
    let library = agent::initialize(Version::B03, Box::new(Listener))?;
    let used = use_a_handle(library);
    agent::finalize(library)?;
    used
}

fn use_a_handle(library: Handle) -> Result<(), Error> {
    let name = Name::new(b"safChnl=a").unwrap();
    agent::selection_object(library)?;
    let channel = agent::channel_open(library, &name, OpenFlags::all(), i64::MAX)?;
    let filter = Filter { kind: FilterKind::PassAll, bytes: Vec::new() };
    agent::subscribe(channel, Filters(vec![filter]), SubscriptionId(1))?;
    for round in 0..4 {
        // Each may fail in its own way; what counts is that it comes back.
        let _ = agent::dispatch(library, DispatchFlags::All);
        let event = agent::event_allocate(channel)?;
        let _ = agent::publish(event, b"data");
        let _ = agent::retention_clear(channel, EventId(2000));
        let _ = agent::channel_open_async(library, round, &name, OpenFlags::all());
        let _ = agent::dispatch(library, DispatchFlags::One);
        let _ = agent::event_free(event);
    }
    agent::unsubscribe(channel, SubscriptionId(1))?;
    agent::channel_unlink(library, &name)?;
    agent::channel_close(channel)
}

/// One link of the daemon.
struct Node {
    control: OwnedFd,
    dice: Dice,
    inbox: Option<(File, Inbox, OwnedFd)>,
    kept: Vec<OwnedFd>,
    /// Files that were handed out as bells, in which nobody shall write.
    files: Vec<File>,
    /// The number of the segment that was handed out.
    segment: u64,
    instance: u64,
    subscription: u32,
}

impl Node {
    /// What a good daemon would answer.
    fn answer(&mut self, request: &Request) -> (reply::Body, Vec<OwnedFd>) {
        let sizes = RING_BYTES as u32;
        match &request.body {
            Body::Hello { .. } => {
                let (memory, outbox) = Outbox::create(RING_BYTES).unwrap();
                let offers = [1 << 36, 0, 1, u64::MAX];
                let offered = offers[self.dice.below(12).saturating_sub(8)];
                outbox.offer_block(offered);
                let limits = Box::new(Limits::default());
                self.segment = self.dice.next() % 4;
                let segment = self.segment;
                let welcome =
                    reply::Body::Welcome { version: 1, outbox_bytes: sizes, segment, limits };
                let mut rights = vec![memory, descriptor::eventfd().unwrap()];
                rights.extend((segment > 0).then(|| Segment::create(2).unwrap().0));
                (welcome, rights)
            }
            Body::LibraryOpen { .. } => {
                let (memory, inbox) = Inbox::create(RING_BYTES).unwrap();
                let (bell, other) = descriptor::bell().unwrap();
                let file = File::from(memory.try_clone().unwrap());
                self.inbox = Some((file, inbox, bell));
                (reply::Body::None, vec![memory, other])
            }
            Body::Open { instance, .. } => {
                self.instance = instance.0;
                (reply::Body::Opened { incarnation: Incarnation(5) }, Vec::new())
            }
            Body::Subscribe { number, .. } => {
                self.subscription = number.0;
                (reply::Body::None, Vec::new())
            }
            Body::Gone { ids, .. } => (reply::Body::Gone { ids: ids.clone() }, Vec::new()),
            _ => (reply::Body::None, Vec::new()),
        }
    }

    /// Sends the answer, or something else with the same id. False to hang up.
    fn reply(&mut self, request: &Request) -> bool {
        let (body, mut rights) = self.answer(request);
        let mut message = Reply { id: request.id, code: Ok(()), body }.encode();
        match self.dice.below(24) {
            0 => return false,
            1 => {
                let at = self.dice.below(message.len());
                // The id stays: the caller shall get this answer and not wait for another.
                if !(4..8).contains(&at) {
                    message[at] ^= 1 << self.dice.below(8);
                }
            }
            2 => message.truncate(8 + self.dice.below(message.len() - 7)),
            3 => message.extend_from_slice(&[0; 40]),
            4 => rights.clear(),
            5 => rights.reverse(),
            6 => rights.insert(0, descriptor::eventfd().unwrap()),
            7 => rights.insert(0, memory::sealed(c"other", 4096).unwrap()),
            9 if rights.pop().is_some() => {
                let file = File::from(memory::sealed(c"no bell", 64).unwrap());
                rights.push(file.try_clone().unwrap().into());
                self.files.push(file);
            }
            8 if message.len() > 16 => {
                let at = 8 + self.dice.below(message.len() - 15);
                message[at..at + 8].fill(0xff);
            }
            _ => {}
        }
        let shown: Vec<_> = rights.iter().map(AsFd::as_fd).collect();
        let sent = request.id == 0 || socket::send(self.control.as_fd(), &message, &shown).is_ok();
        self.kept.append(&mut rights);
        sent
    }

    /// Delivers an event, or writes nonsense into the window, and rings.
    fn scribble(&mut self) {
        let Some((file, inbox, bell)) = &self.inbox else { return };
        let dice = &mut self.dice;
        let priority = Priority::ALL[dice.below(4)];
        let ring = inbox.ring(priority);
        let attributes = Attributes::empty().unwrap();
        let packed = attributes.packed();
        let mut data = [3; 40];
        let content = IN_HEADER + packed.len() + data.len();
        let mut header = InHeader {
            bytes: content.next_multiple_of(8) as u32,
            kind: if dice.below(8) == 0 { InKind::Lost } else { InKind::Event },
            instance: self.instance,
            subscription: self.subscription,
            attributes_bytes: packed.len() as u32,
            data_bytes: data.len() as u32,
            priority: u32::from(priority.number()),
            id: 70_000 + dice.next() % 4,
            publish_time: dice.next() as i64,
            retention: dice.next() % 2 * Span::FOREVER.0,
            left: dice.next(),
        };
        match dice.below(12) {
            0 => header.attributes_bytes = dice.next() as u32,
            1 => header.data_bytes += dice.next() as u32 % 100,
            2 => header.bytes = dice.next() as u32,
            3 => header.instance = dice.next(),
            4 => header.attributes_bytes -= 1,
            _ => {}
        }
        if dice.below(4) == 0 {
            header.kind = InKind::Shared;
            header.data_bytes = [16, 16, 16, 40][dice.below(4)];
            let end = 2 * SLOT_BYTES as u32;
            let offsets = [0, SLOT_BYTES as u32, end - 40, end, u32::MAX, dice.next() as u32];
            let offset = offsets[dice.below(6)];
            let bytes = [40, 0, SLOT_BYTES as u32, dice.next() as u32][dice.below(4)];
            let segment = [self.segment, self.segment, dice.next() % 4][dice.below(3)];
            data[..16].copy_from_slice(&Reference { segment, offset, bytes }.encode());
        }
        let length = content.next_multiple_of(8) as u64;
        if let Some(room) = ring.room(ring.written(), length, &mut Reader::at(ring.read())) {
            inbox.write(priority, room, &header, packed, Source::Bytes(&data));
            ring.show(room.position + length);
        }
        if dice.below(8) == 0 {
            // Somewhere in the header or in the rings.
            let bound = [1024, Inbox::memory_bytes(RING_BYTES)][dice.below(2)];
            let place = dice.below(bound - 8) as u64;
            let word = [u64::MAX, 0, 8, 1 << 63, dice.next()][dice.below(5)];
            file.write_all_at(&word.to_le_bytes(), place).unwrap();
        }
        if inbox.agent_bell().must_ring() {
            descriptor::raise(bell.as_fd());
        }
    }

    /// Serves until the program hangs up or the dice say so.
    fn serve(&mut self) {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        loop {
            wild::wait_for(self.control.as_fd(), libc::POLLIN);
            let received = match socket::receive(self.control.as_fd(), &mut buffer) {
                Ok(None) => continue,
                Ok(Some(received)) if received.bytes > 0 => received,
                _ => return,
            };
            let request = Request::decode(&buffer[..received.bytes]).unwrap();
            (0..self.dice.below(4)).for_each(|_| self.scribble());
            if !self.reply(&request) {
                return;
            }
        }
    }
}

fn number(variable: &str, usual: u64) -> u64 {
    let said = std::env::var(variable).ok();
    said.map_or(usual, |said| said.parse().unwrap_or_else(|_| panic!("{variable}: no number")))
}

#[test]
fn a_program_outlives_whatever_its_daemon_says() {
    if let Ok(rounds) = std::env::var(ROLE) {
        let rounds: u64 = rounds.parse().unwrap();
        let well = (0..rounds).filter(|_| use_the_service().is_ok()).count();
        assert!(well > 0, "the daemon does not even answer rightly now and then");
        return;
    }
    let path = std::env::temp_dir().join(format!("saevt-hostile-{}", std::process::id()));
    let listener = socket::listen(&path).unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_program_outlives_whatever_its_daemon_says", "--nocapture"])
        .env("SAEVT_SOCKET", &path)
        .env(ROLE, number("SAEVT_FUZZ_SEEDS", 1000).to_string())
        .spawn()
        .unwrap();
    let end = process::pidfd(program.id()).unwrap();
    let mut seed = number("SAEVT_FUZZ_SEED", 1);
    loop {
        let watched = [(listener.as_raw_fd(), libc::POLLIN), (end.as_raw_fd(), libc::POLLIN)];
        let [_, ended] = descriptor::poll(watched, None).unwrap();
        if ended != 0 {
            break;
        }
        while let Some(control) = socket::accept(listener.as_fd()).unwrap() {
            seed += 1;
            let dice = Dice(seed);
            let kept = Vec::new();
            let (inbox, instance, subscription, files) = (None, 0, 0, Vec::new());
            let segment = 0;
            let mut node =
                Node { control, dice, inbox, kept, files, segment, instance, subscription };
            node.serve();
            for mut file in &node.files {
                assert_eq!(file.stream_position().unwrap(), 0, "written to at link {seed}");
            }
        }
    }
    let status = program.wait().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(status.success(), "the program died with {status} at link {seed}");
}
