//! Bytes from outside, as wild as they come: each decoder and the real daemon are fed the kept
//! inputs of `tests/corpus`, and then mutations of them.
//!
//! `SAEVT_FUZZ_RUNS` says how many mutations each target gets, `SAEVT_FUZZ_SEED` where they begin;
//! `make fuzz` sets a large number. An input that makes a target fail is printed as it is.

#![expect(clippy::disallowed_methods, reason = "the environment names the number of runs")]

mod wild;

use SaEvt::evt::{Attributes, AttributesRef, Limits, Priority};
use SaEvt::link::inbox::Inbox;
use SaEvt::link::outbox::Outbox;
use SaEvt::link::outring::Seen;
use SaEvt::link::record::{IN_HEADER, InHeader, OUT_HEADER, OutHeader};
use SaEvt::node::config::Config;
use SaEvt::node::entry;
use SaEvt::sys::socket;
use SaEvt::wire::{Body, Reply, Request, peer};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use wild::{Client, Daemon, Dice, LIBRARY, Witness, all, instance};

const RING_BYTES: usize = 4096;

fn number(variable: &str, usual: u64) -> u64 {
    let said = std::env::var(variable).ok();
    said.map_or(usual, |said| said.parse().unwrap_or_else(|_| panic!("{variable}: no number")))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let files = std::fs::read_dir(&directory).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no input in {}", directory.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A few small changes, of which each is as likely to keep an input's form as to break it.
fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        match dice.below(7) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = dice.next() as u8,
            2 => input.truncate(at),
            3 => input.insert(at, dice.next() as u8),
            4 => {
                let other = &others[dice.below(others.len())];
                input.truncate(at);
                input.extend_from_slice(&other[other.len().min(at)..]);
            }
            5 => {
                let word = [0, 1, 0x7f, 0xff, 0xffff, u64::from(u32::MAX), u64::MAX];
                let word = word[dice.below(word.len())].to_le_bytes();
                let bytes = [2, 4, 8][dice.below(3)].min(input.len() - at);
                input[at..at + bytes].copy_from_slice(&word[..bytes]);
            }
            _ => {
                let end = at + dice.below(input.len() - at + 1);
                input.drain(at..end);
            }
        }
    }
}

/// Feeds a target its corpus and mutations of it.
fn feed(name: &str, runs: u64, mut target: impl FnMut(&[u8])) {
    let corpus = corpus(name);
    let mut dice = Dice(number("SAEVT_FUZZ_SEED", 1));
    let mut run = |input: &[u8]| {
        let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
        assert!(outcome.is_ok(), "{name} fails for {input:?}");
    };
    corpus.iter().for_each(|input| run(input));
    for _ in 0..number("SAEVT_FUZZ_RUNS", runs) {
        let mut input = corpus[dice.below(corpus.len())].clone();
        mutate(&mut input, &corpus, &mut dice);
        run(&input);
    }
}

#[test]
fn requests() {
    let limits = Limits::default();
    let packed = Attributes::empty().unwrap();
    let attributes = AttributesRef::parse(packed.packed()).unwrap();
    feed("request", 20_000, |bytes| {
        let Ok(request) = Request::decode(bytes) else { return };
        assert_eq!(Request::decode(&request.encode()).as_ref(), Ok(&request));
        if let Body::Subscribe { filters, .. } = &request.body
            && filters.within(&limits).is_ok()
        {
            let bytes: usize = filters.0.iter().map(|filter| filter.bytes.len()).sum();
            assert!(filters.cost_bytes() >= bytes as u64);
            // Nothing to compare with is no fault.
            let _ = filters.matches(attributes);
        }
    });
}

#[test]
fn the_kept_messages_are_messages() {
    assert!(corpus("request").iter().all(|bytes| Request::decode(bytes).is_ok()));
    assert!(corpus("reply").iter().all(|bytes| Reply::decode(bytes).is_ok()));
    assert!(corpus("peer").iter().all(|bytes| peer::decode(bytes).is_ok()));
}

#[test]
fn replies() {
    feed("reply", 20_000, |bytes| {
        if let Ok(reply) = Reply::decode(bytes) {
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
    });
}

#[test]
fn packets_of_other_nodes() {
    feed("peer", 20_000, |bytes| {
        if let Ok(packet) = peer::decode(bytes) {
            assert_eq!(peer::decode(&peer::encode(&packet)), Ok(packet));
        }
    });
}

#[test]
fn attributes_of_an_event() {
    feed("attributes", 20_000, |bytes| {
        let Ok(attributes) = AttributesRef::parse(bytes) else { return };
        let patterns: usize = attributes.patterns().map(<[u8]>::len).sum();
        assert!(patterns + attributes.publisher().len() <= bytes.len());
    });
}

#[test]
fn entries_of_the_state_log() {
    feed("entry", 20_000, |content| {
        let mut framed = (content.len() as u32).to_le_bytes().to_vec();
        framed.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        framed.extend_from_slice(content);
        if let Some((_, rest)) = entry::decode(&framed) {
            assert!(rest.is_empty());
        }
        assert!(entry::decode(content).is_none() || content.len() > 8);
    });
}

#[test]
fn configuration() {
    feed("config", 2000, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match Config::parse(&text) {
            Ok(config) => assert!(config.outbox_bytes.is_power_of_two()),
            Err(why) => assert!(!why.contains('\n') && !why.is_empty(), "{why:?}"),
        }
    });
}

/// The reader's side of a window that holds these bytes: position of the end, then the ring.
#[test]
fn windows_that_the_daemon_has_filled() {
    let (memory, inbox) = Inbox::create(RING_BYTES).unwrap();
    let file = File::from(memory);
    feed("window", 5000, |bytes| {
        let (written, ring) = bytes.split_at(bytes.len().min(8));
        let mut content = ring.to_vec();
        content.resize(RING_BYTES, 0);
        file.write_all_at(&content, 4096).unwrap();
        file.write_all_at(written, 0).unwrap();
        let end = inbox.ring(Priority::HIGHEST).written();
        let mut at = end.saturating_sub(RING_BYTES as u64) / 8 * 8;
        while let Ok(Some((position, header))) = inbox.next(Priority::HIGHEST, at) {
            assert!(position >= at && u64::from(header.bytes) >= IN_HEADER as u64);
            let mut content = vec![0; (header.content_bytes() as usize) - IN_HEADER];
            inbox.read_content(Priority::HIGHEST, position, &mut content);
            assert_eq!(InHeader::decode(&header.encode()), Some(header));
            at = position + u64::from(header.bytes);
        }
    });
}

/// The daemon's side of an outbox whose commit words and records are these bytes.
#[test]
fn outboxes_that_a_program_has_filled() {
    let (memory, outbox) = Outbox::create(RING_BYTES).unwrap();
    let file = File::from(memory);
    let ring = outbox.ring(Priority::HIGHEST);
    feed("outbox", 5000, |bytes| {
        let mut content = bytes.to_vec();
        content.resize(RING_BYTES / 8, 0);
        file.write_all_at(&content, 4096).unwrap();
        let mut at = 0;
        while at < RING_BYTES as u64 {
            let (Seen::Pad(bytes) | Seen::Record(bytes)) = ring.look(at) else { return };
            assert!(bytes > 0 && at + bytes <= RING_BYTES as u64);
            let header = outbox.read_header(Priority::HIGHEST, at);
            assert_eq!(OutHeader::decode(&header.encode()), header);
            let mut rest = vec![0; bytes as usize - OUT_HEADER];
            outbox.read(Priority::HIGHEST, at, OUT_HEADER, &mut rest);
            at += bytes;
        }
    });
}

/// What one wild program does: each byte is a deed, the bytes after it what it needs.
fn misbehave(daemon: &Daemon, mut script: &[u8]) {
    let client = Client::connect(daemon);
    let handle = client.library(LIBRARY);
    client.open(LIBRARY, instance(), "witness", all());
    client.subscribe_to_all(instance());
    let mut take = |bytes: usize| {
        let (head, rest) = script.split_at(bytes.min(script.len()));
        script = rest;
        head
    };
    loop {
        let &[deed] = take(1) else { return };
        let mut word = [0; 8];
        let bits = take(4);
        word[..bits.len()].copy_from_slice(bits);
        let place = u64::from_le_bytes(word) % (4096 + RING_BYTES as u64);
        match deed % 6 {
            0 => {
                let message = take(usize::from(deed));
                // Hung up, or full: both are the daemon's right.
                let _ = socket::send(client.control.as_fd(), message, &[]);
            }
            1 => client.scribble(place, take(8)),
            2 => handle.memory.write_all_at(take(8), place).unwrap(),
            3 => {
                let mut header = [0; OUT_HEADER];
                header[..8].copy_from_slice(&instance().0.to_le_bytes());
                let content = take(usize::from(deed));
                let bytes = content.len().min(OUT_HEADER);
                header[OUT_HEADER - bytes..].copy_from_slice(&content[..bytes]);
                client.publish(&OutHeader::decode(&header), content, &[]);
            }
            4 => client.ring_node(),
            _ => {
                handle.inbox.agent_bell().fall_asleep();
            }
        }
    }
}

#[test]
fn programs_of_the_daemon() {
    let mut daemon = Daemon::start("fuzz");
    let mut witness = Witness::new(&daemon);
    feed("program", 500, |script| {
        misbehave(&daemon, script);
        witness.sees_that_all_is_well();
    });
    assert!(daemon.is_alive());
}
