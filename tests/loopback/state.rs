//! The state of this boot: what a restart of the daemon finds again, and what becomes of a state
//! that is not what it should be.

use crate::bed::{Bed, Process, Program, outcome, until};
use crate::{Outcome, Test};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("a_restart_keeps_channels_and_retained_events", restart_keeps),
    ("event_ids_never_repeat_across_starts", ids_are_unique),
    ("time_goes_on_while_the_daemon_is_away", time_goes_on),
    ("the_state_of_another_boot_is_discarded", another_boot),
    ("a_torn_entry_costs_nothing_that_came_before", torn_entry),
    ("a_damaged_state_costs_no_start", damaged_state),
    ("a_full_disk_costs_no_event", full_disk),
];

const MINUTES: u64 = 600_000;
/// Long enough for programs to come back, short enough to wait for.
const GRACE: &str = "[node]\ngrace_seconds = 2\n";
/// Bytes before the first entry: magic, boot, start count.
const HEAD: usize = 36;

fn end(daemon: &mut Process, signal: Signal) {
    daemon.signal(signal);
    daemon.wait();
}

/// The entries of a state file, each with its kind first. The layout is that of src/node/entry.rs.
fn entries(state: &[u8]) -> Vec<&[u8]> {
    let mut rest = state.get(HEAD..).unwrap_or_default();
    let mut found = Vec::new();
    while rest.len() > 8 {
        let length = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        // A torn last entry is as good as none.
        let Some(entry) = rest.get(8..8 + length) else { break };
        found.push(entry);
        rest = &rest[8 + length..];
    }
    found
}

/// Whether a state file tells of the end of a channel.
fn has_deletion(state: &[u8]) -> bool {
    const DELETED: u8 = 4;
    entries(state).iter().any(|entry| entry[0] == DELETED)
}

/// The retained events in a state file: id and deadline.
fn retained(state: &[u8]) -> Vec<(u64, u64)> {
    const RETAINED: u8 = 5;
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    let kept = entries(state).into_iter().filter(|entry| entry[0] == RETAINED);
    kept.map(|entry| (number(&entry[25..]), number(&entry[17..]))).collect()
}

fn read(bed: &Bed) -> Vec<u8> {
    std::fs::read(bed.state()).expect("the daemon has written its state")
}

/// What a new subscription on channel `name` gets, opened without creating it: the texts in order.
fn late_events(bed: &Bed, name: &str) -> Result<Vec<String>, String> {
    let mut late = bed.ready();
    let opened = late.ask(&format!("open l {name} ps 60000"));
    if opened != "ok" {
        return Err(opened);
    }
    late.ok(&format!("sub {name} 1"));
    // Retained events are in the window when the subscription is there.
    late.ok("dispatch l all");
    Ok(late.finish().iter().filter_map(|notice| Some(notice.rsplit_once(' ')?.1.into())).collect())
}

fn restart_keeps() -> Outcome {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let bed = Bed::new();
        let mut daemon = bed.daemon_with(GRACE);
        let mut program = bed.ready();
        program.ok("open l linked psc 60000");
        program.ok("open l unlinked psc 60000");
        program.ok("open l unlinked=again s 60000");
        program.ok("open l empty pc 60000");
        program.ok("unlink l unlinked");
        program.ok("sub linked 1");
        program.ok("& poll l");
        program.publish("linked", 1, MINUTES, "kept");
        program.publish("unlinked", 1, MINUTES, "hidden");
        let cleared = program.publish("linked", 0, MINUTES, "cleared");
        let mut had = [program.event(), program.event()];
        had.sort();
        assert_eq!(had, ["cleared", "kept"]);
        program.ok(&format!("clear linked {cleared}"));
        let before: Vec<_> = retained(&read(&bed));

        end(&mut daemon, signal);
        let mut daemon = bed.daemon_with(GRACE);
        // It listens before it has written its state; once it answers it has.
        bed.ready();
        let after = retained(&read(&bed));
        assert_eq!(after.len(), 2, "the cleared one is gone");
        assert!(after.iter().all(|entry| before.contains(entry)), "the time left is kept");
        assert_eq!(program.ask_until_not("open l empty p 60000", "TryAgain"), "ok");
        if signal == Signal::SIGKILL {
            program.expect_notice("lost 1");
        }
        // Through a second subscription and through the first: what it had does not come again.
        program.ok("sub linked 2");
        program.ok("sub again 3");
        assert_eq!(program.event(), "hidden");
        program.publish("unlinked", 1, 0, "talk");
        assert_eq!(program.event(), "talk");
        assert_eq!(late_events(&bed, "linked"), Ok(vec!["kept".into()]));
        assert_eq!(late_events(&bed, "unlinked"), Err("NotExist".into()));
        assert_eq!(program.rest(), [""; 0]);

        // After the grace time the unlinked channel ends with its last opener, and stays ended.
        program.ok("close unlinked");
        program.ok("close again");
        until(|| has_deletion(&read(&bed)).then_some(()));
        end(&mut daemon, signal);
        let _daemon = bed.daemon();
        bed.ready();
        assert_eq!(retained(&read(&bed)).len(), 1);
    }
    Ok(())
}

fn ids_are_unique() -> Outcome {
    let bed = Bed::new();
    let mut ids = BTreeSet::new();
    let mut starts = BTreeSet::new();
    let mut program: Option<Program> = None;
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGKILL, Signal::SIGTERM] {
        let mut daemon = bed.daemon();
        let mut fresh = bed.ready();
        fresh.ok("open l c pc 60000");
        for number in 0..100 {
            let id = fresh.publish("c", 3, MINUTES, &format!("n{number}"));
            starts.insert(id >> 36);
            assert!(id > 1000 && ids.insert(id), "{id} came twice");
        }
        if let Some(mut old) = program.replace(fresh) {
            let answer = old.ask_until_not("pub c 3 0 old", "TryAgain");
            assert!(ids.insert(answer.parse().map_err(|_| answer)?));
        }
        end(&mut daemon, signal);
    }
    assert_eq!(starts.len(), 4, "each start has its own number");
    Ok(())
}

fn time_goes_on() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c pc 60000");
    program.publish("c", 3, 20, "short");
    program.publish("c", 3, MINUTES, "long");
    until(|| (retained(&read(&bed)).len() == 2).then_some(()));
    daemon.kill();
    let deadline = retained(&read(&bed)).iter().map(|(_, deadline)| *deadline).min();
    until(|| (SaEvt::sys::clock::elapsed().0 > deadline.expect("two of them")).then_some(()));
    let _daemon = bed.daemon();
    assert_eq!(late_events(&bed, "c"), Ok(vec!["long".into()]));
    Ok(())
}

fn another_boot() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.ok("sub c 1");
    program.ok("& block l");
    let id = program.publish("c", 3, MINUTES, "old");
    program.expect_notice(&format!("event 1 {id} 3 old"));
    daemon.kill();
    let mut state = read(&bed);
    state[16] ^= 1;
    std::fs::write(bed.state(), state).map_err(|error| error.to_string())?;
    let _daemon = bed.daemon();
    assert_eq!(late_events(&bed, "c"), Err("NotExist".into()));
    // What cannot be restored is a bad handle, and blocking dispatch does not wait for ever.
    program.expect_notice("done block BadHandle");
    program.expect("sub c 2", "BadHandle");
    program.expect("close c", "BadHandle");
    program.ok("open l c psc 60000");
    program.ok("& block l");
    program.ok("sub c 3");
    let mut fresh = bed.ready();
    fresh.ok("open l c p 60000");
    let new = fresh.publish("c", 3, 0, "new");
    assert_eq!(program.event(), "new");
    assert_eq!(new >> 36, (id >> 36) + 1, "the start count goes on");
    Ok(())
}

fn torn_entry() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c pc 60000");
    for number in 0..3 {
        program.publish("c", 3, MINUTES, &format!("n{number}"));
        until(|| (retained(&read(&bed)).len() == number + 1).then_some(()));
    }
    program.finish();
    daemon.kill();
    let state = read(&bed);
    let whole = std::fs::read(bed.state()).map_err(|error| error.to_string())?;
    // The last entry is at least 60 bytes long.
    for torn in [1, 2, 7, 8, 9, 20, 33, 59] {
        std::fs::write(bed.state(), &whole[..state.len() - torn])
            .map_err(|error| error.to_string())?;
        let mut daemon = bed.daemon();
        let expected = vec!["n0".to_owned(), "n1".to_owned()];
        assert_eq!(late_events(&bed, "c"), Ok(expected), "{torn} bytes are missing");
        daemon.kill();
    }
    // A new file that never took its place is no harm either.
    std::fs::write(bed.state(), &whole).map_err(|error| error.to_string())?;
    std::fs::write(bed.state().with_extension("new"), &whole[..50])
        .map_err(|error| error.to_string())?;
    let _daemon = bed.daemon();
    assert_eq!(late_events(&bed, "c").map(|events| events.len()), Ok(3));
    Ok(())
}

fn damaged_state() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c pc 60000");
    let id = program.publish("c", 3, MINUTES, "n0");
    program.publish("c", 3, MINUTES, "n1");
    program.finish();
    end(&mut daemon, Signal::SIGTERM);
    let whole = read(&bed);
    let last = *retained(&whole).last().ok_or("nothing is retained")?;
    let at = whole.windows(8).position(|bytes| bytes == last.0.to_le_bytes()).ok_or("no id")?;
    let mut flipped = whole.clone();
    flipped[at] ^= 0x40;
    let mut long = whole[..HEAD].to_vec();
    long.extend_from_slice(&[0xff; 4096]);
    let mut earlier = whole.clone();
    earlier[HEAD - 4..HEAD].fill(0);
    let samples: [(&str, Vec<u8>); 7] = [
        ("a changed entry", flipped),
        ("nothing but the head", whole[..HEAD].to_vec()),
        ("lengths beyond the end", long),
        ("an empty file", Vec::new()),
        ("half a head", whole[..HEAD / 2].to_vec()),
        ("something else", b"#!/bin/sh\n".repeat(1000)),
        ("a lost start count", earlier),
    ];
    let mut last_start = id >> 36;
    for (what, bytes) in samples {
        std::fs::write(bed.state(), bytes).map_err(|error| error.to_string())?;
        let mut daemon = bed.daemon();
        let mut program = bed.ready();
        program.ok("open l c pc 60000");
        let new = program.publish("c", 3, 0, "new");
        assert_eq!(new >> 36, last_start + 1, "{what}: the start count goes on");
        last_start += 1;
        let events = late_events(&bed, "c")?;
        let kept = ["a changed entry", "a lost start count"].contains(&what);
        assert_eq!(events.contains(&"n0".to_owned()), kept, "{what}");
        daemon.kill();
    }
    // The other way round: the head alone says it.
    for bytes in [&b""[..], &[0xff; 24], b"saevt-start-0001"] {
        std::fs::write(bed.path("state/start"), bytes).map_err(|error| error.to_string())?;
        let mut daemon = bed.daemon();
        let mut program = bed.ready();
        program.ok("open l c pc 60000");
        last_start += 1;
        assert_eq!(program.publish("c", 3, 0, "new") >> 36, last_start, "{bytes:?}");
        daemon.kill();
    }
    Ok(())
}

fn full_disk() -> Outcome {
    let bed = Bed::new();
    let directory = bed.path("state");
    std::fs::create_dir(&directory).map_err(|error| error.to_string())?;
    let mount = format!(
        "mount -t tmpfs -o size=1m none {0} && head -c 960k /dev/zero > {0}/other",
        directory.display()
    );
    let (status, _) = outcome(Command::new("unshare").args(["-m", "sh", "-c", &mount]));
    if !status.success() {
        return Err("no file system can be mounted".into());
    }
    let daemon = bed.daemon_command("");
    let mut words = vec![daemon.get_program().to_owned()];
    words.extend(daemon.get_args().map(std::ffi::OsStr::to_owned));
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]).args(words);
    let log = std::fs::File::create(bed.path("log")).map_err(|error| error.to_string())?;
    let daemon = Process::start(command.stderr(log));
    until(|| crate::bed::is_listening(&bed.socket()).then_some(()));

    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.ok("sub c 1");
    program.ok("& poll l");
    let mut ids = Vec::new();
    for number in 0..100 {
        let answer = program.ask(&format!("padded c 3 {MINUTES} n{number} 4000"));
        ids.push(answer.parse::<u64>().map_err(|_| answer)?);
        assert_eq!(program.event(), format!("n{number}"));
    }
    assert!(bed.log().contains("cannot write the state file"), "{}", bed.log());
    // It serves on from memory; with room again the file is whole again.
    let inside = format!("/proc/{}/root{}", daemon.pid(), directory.display());
    assert_eq!(late_events(&bed, "c").map(|events| events.len()), Ok(100));
    for id in &ids[..90] {
        program.ok(&format!("clear c {id}"));
    }
    let state = format!("{inside}/state");
    assert!(retained(&std::fs::read(&state).unwrap_or_default()).len() < 20, "it did not fit");
    std::fs::remove_file(format!("{inside}/other")).map_err(|error| error.to_string())?;
    // A torn old file has fewer entries than what is left, or more.
    let whole = || bed.log().contains("the state file is whole again");
    until(|| whole().then_some(()));
    until(|| std::fs::read(&state).ok().filter(|state| retained(state).len() == 10));
    assert_eq!(bed.log().matches("cannot write the state file").count(), 1, "{}", bed.log());
    Ok(())
}
