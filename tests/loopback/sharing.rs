//! Large events that several programs get, whose data the daemon puts in one place for all.

use crate::bed::{Bed, Process, Program, until};
use crate::{Outcome, Test};
use nix::sys::signal::Signal;
use std::os::unix::fs::FileExt as _;

pub(crate) const TESTS: &[Test] = &[
    ("bursts_of_large_events_come_whole_to_all", bursts),
    ("a_stopped_subscriber_and_one_that_dies_cost_the_others_no_large_event", slow_and_dead),
    ("a_large_event_that_is_kept_stays_as_it_was", kept),
    ("unread_large_events_outlive_the_daemon", outlive),
    ("a_policy_ends_the_sharing_and_what_is_shared_is_erased", policy),
    ("without_slots_large_events_come_all_the_same", without_slots),
];

/// Sizes from the smallest that is shared to the largest event.
const SIZES: [usize; 6] = [4096, 16_384, 5000, 65_536, 20_001, 4097];
const SLOT_BYTES: u64 = 65_536;

/// Two subscribers of channel `c` that do not dispatch yet, and a publisher.
fn family(bed: &Bed) -> ([Program; 2], Program) {
    let readers = [(); 2].map(|()| subscriber(bed));
    let mut publisher = bed.ready();
    publisher.ok("open l c pc 60000");
    (readers, publisher)
}

fn subscriber(bed: &Bed) -> Program {
    let mut reader = bed.ready();
    reader.ok("open l c sc 60000");
    reader.ok("sub c 1");
    reader
}

/// Publishes an event, however often that takes.
fn publish(publisher: &mut Program, text: &str, bytes: usize) {
    let answer = publisher.ask_until_not(&format!("large c 2 {text} {bytes}"), "TryAgain");
    assert!(answer.parse::<u64>().is_ok(), "{answer}");
}

fn publish_all(publisher: &mut Program, letter: char, number: usize) {
    for at in 0..number {
        publish(publisher, &format!("{letter}{at}"), SIZES[at % SIZES.len()]);
    }
}

#[track_caller]
fn expect_all(reader: &Program, letter: char, number: usize) {
    for at in 0..number {
        assert_eq!(reader.event(), format!("{letter}{at}"));
    }
}

/// Where segments are mapped in a program: each by its first and last address.
fn segments(process: &Process) -> Vec<(u64, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.pid())).unwrap();
    let address = |text: &str| u64::from_str_radix(text, 16).expect("the kernel writes numbers");
    let of_segment = maps.lines().filter(|line| line.contains("memfd:saevt-segment"));
    let range = |line: &str| {
        assert!(line.contains(" r--s "), "mapped to be read: {line}");
        let (first, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        (address(first), address(end))
    };
    of_segment.map(range).collect()
}

/// Whether a slot of the segment begins with this text.
fn is_shared(process: &Process, text: &str) -> bool {
    let memory = std::fs::File::open(format!("/proc/{}/mem", process.pid())).unwrap();
    let [(first, end)] = segments(process)[..] else { panic!("one segment is mapped") };
    let begins = |address: u64| {
        let mut found = vec![0; text.len()];
        memory.read_exact_at(&mut found, address).unwrap();
        found == text.as_bytes()
    };
    (first..end).step_by(SLOT_BYTES as usize).any(begins)
}

fn bursts() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon();
    let (mut readers, mut publisher) = family(&bed);
    publish(&mut publisher, "first", 20_000);
    until(|| is_shared(&readers[0].process, "first.").then_some(()));
    for reader in &mut readers {
        reader.ok("& poll l");
        assert_eq!(reader.event(), "first");
    }
    publish_all(&mut publisher, 'b', 600);
    readers.iter().for_each(|reader| expect_all(reader, 'b', 600));
    for reader in readers {
        assert_eq!(reader.kill(), [""; 0]);
    }
    Ok(())
}

fn slow_and_dead() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon_with("[link]\nshared_slots = 8\n");
    let (mut readers, mut publisher) = family(&bed);
    let mut slow = subscriber(&bed);
    let dead = subscriber(&bed);
    readers.iter_mut().for_each(|reader| reader.ok("& poll l"));
    publish_all(&mut publisher, 'a', 100);
    dead.process.stop();
    readers.iter().for_each(|reader| expect_all(reader, 'a', 100));
    drop(dead);
    publish_all(&mut publisher, 'b', 100);
    readers.iter().for_each(|reader| expect_all(reader, 'b', 100));
    // It has all of them: in the segment, in its window, in the queue.
    slow.ok("& poll l");
    expect_all(&slow, 'a', 100);
    expect_all(&slow, 'b', 100);
    publish_all(&mut publisher, 'c', 50);
    readers.iter().chain([&slow]).for_each(|reader| expect_all(reader, 'c', 50));
    Ok(())
}

fn kept() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon_with("[link]\nshared_slots = 16\n");
    let (mut readers, mut publisher) = family(&bed);
    readers[0].ok("keep yes");
    readers.iter_mut().for_each(|reader| reader.ok("& poll l"));
    publish_all(&mut publisher, 'k', 50);
    expect_all(&readers[1], 'k', 50);
    until(|| (readers[0].ask("kept") == "50").then_some(()));
    readers[0].ok("keep no");
    publish_all(&mut publisher, 'o', 50);
    readers.iter().for_each(|reader| expect_all(reader, 'o', 50));
    readers[0].ok("release");
    expect_all(&readers[0], 'k', 50);
    Ok(())
}

fn outlive() -> Outcome {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let bed = Bed::new();
        let mut daemon = bed.daemon();
        let (mut readers, mut publisher) = family(&bed);
        readers[0].ok("& poll l");
        publish_all(&mut publisher, 'u', 20);
        expect_all(&readers[0], 'u', 20);
        // After two round trips the daemon has done with them, and nothing is half done.
        publisher.ok("open l quiet pc 60000");
        publisher.ok("unlink l quiet");
        daemon.signal(signal);
        daemon.wait();
        let _next = bed.daemon();
        for reader in &mut readers {
            let answer = reader.ask_until_not("open l other sc 60000", "TryAgain");
            assert_eq!(answer, "ok");
        }
        assert_eq!(segments(&readers[1].process).len(), 2, "one is for what is unread");
        publish_all(&mut publisher, 'v', 5);
        readers[1].ok("& poll l");
        if signal == Signal::SIGKILL {
            // They pass what is less urgent.
            readers.iter().for_each(|reader| reader.expect_notice("lost 1"));
        }
        expect_all(&readers[1], 'u', 20);
        readers.iter().for_each(|reader| expect_all(reader, 'v', 5));
        for reader in &readers {
            until(|| (segments(&reader.process).len() == 1).then_some(()));
        }
    }
    Ok(())
}

fn policy() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon();
    let (mut readers, mut publisher) = family(&bed);
    for at in 0..3 {
        publish(&mut publisher, &format!("secret{at}"), 20_000);
    }
    until(|| is_shared(&readers[0].process, "secret2.").then_some(()));
    let reread = |configuration: &str| {
        let before = bed.log().lines().count();
        std::fs::write(bed.path("saevtd.conf"), configuration).unwrap();
        daemon.signal(Signal::SIGHUP);
        until(|| bed.log().lines().skip(before).any(|line| line.contains("policy")).then_some(()));
    };
    reread("[[policy]]\nchannels = [\"safChnl=other\"]\ndeny = [\"subscribe\"]\n");
    assert!(is_shared(&readers[0].process, "secret0."), "it is unread");
    for reader in &mut readers {
        reader.ok("& poll l");
        (0..3).for_each(|at| assert_eq!(reader.event(), format!("secret{at}")));
    }
    for at in 0..3 {
        let text = format!("secret{at}.");
        until(|| (!is_shared(&readers[0].process, &text)).then_some(()));
    }
    let late = subscriber(&bed);
    assert_eq!(segments(&late.process), []);
    publish(&mut publisher, "copied", 20_000);
    for reader in &readers {
        assert_eq!(reader.event(), "copied");
        assert!(!is_shared(&reader.process, "copied."));
    }
    reread("");
    publish(&mut publisher, "again", 20_000);
    readers.iter().for_each(|reader| assert_eq!(reader.event(), "again"));
    assert!(is_shared(&readers[0].process, "again."));
    Ok(())
}

fn without_slots() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon_with("[link]\nshared_slots = 0\n");
    let (mut readers, mut publisher) = family(&bed);
    assert_eq!(segments(&readers[0].process), []);
    readers.iter_mut().for_each(|reader| reader.ok("& poll l"));
    publish_all(&mut publisher, 'w', 20);
    readers.iter().for_each(|reader| expect_all(reader, 'w', 20));
    Ok(())
}
