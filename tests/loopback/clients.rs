//! Programs that end in every way but the orderly one, and what they leave in the daemon.

use crate::bed::{Bed, Process, Program, until};
use crate::seed::Seed;
use crate::{Outcome, Test};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("whatever_way_a_program_ends_its_channels_end_with_it", ends_free_channels),
    ("a_forked_child_does_not_keep_its_dead_parent_alive", forked_child),
    ("programs_that_are_killed_disturb_nobody", killed_in_storms),
    ("a_thousand_killed_programs_leave_nothing", thousand),
];

/// A daemon that has room for one channel beside `lasting`, and a program that can tell.
fn room_for_one(bed: &Bed) -> (Process, Program) {
    let daemon = bed.daemon_with("[limits]\nchannels_max = 1\n");
    let checker = bed.ready();
    (daemon, checker)
}

fn ends_free_channels() -> Outcome {
    let bed = Bed::new();
    let (_daemon, mut checker) = room_for_one(&bed);
    for way in ["kill", "exit", "exec", "kill in poll", "kill in block", "kill in storm"] {
        let mut victim = bed.ready();
        victim.ok("open l held psc 60000");
        victim.ok("sub held 1");
        victim.ok("unlink l held");
        checker.expect("open l own psc 60000", "NoResources");
        if let Some(what) = way.strip_prefix("kill in ") {
            let rest = if what == "storm" { "held 0 1000000 0" } else { "l" };
            victim.ok(&format!("& {what} {rest}"));
            victim.publish("held", 3, 0, "x");
        }
        match way {
            "exit" => {
                victim.tell("exit");
                victim.process.wait();
            }
            "exec" => {
                victim.tell("exec");
                let name = || victim.process.field("Name");
                until(|| (name() == "cat").then_some(()));
            }
            _ => victim.process.kill(),
        }
        // A program that is gone is noticed before what others ask afterwards; one that has
        // published much first has its last publications taken.
        let answer = checker.ask_until_not("open l own psc 60000", "NoResources");
        assert_eq!(answer, "ok", "{way}");
        checker.ok("unlink l own");
        checker.ok("close own");
    }
    Ok(())
}

/// Builds a C program of this folder against the library as an archive.
fn compile(bed: &Bed, source: &str) -> Result<PathBuf, String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = here.parent().ok_or("this program has no folder")?;
    // Cargo puts the archive beside the test, with a hash in its name; the newest is ours.
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libSaEvt-") && name.ends_with(".a")
    };
    let built = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
    let files = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let archive = files
        .flatten()
        .map(|file| file.path())
        .filter(is_archive)
        .max_by_key(built)
        .ok_or("cargo has built no archive")?;
    let program = bed.path("program");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let status = Command::new(compiler)
        .arg("-I")
        .arg(top.join("include"))
        .arg("-o")
        .arg(&program)
        .arg(top.join("tests/loopback").join(source))
        .arg(archive)
        .args(["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"])
        .status()
        .map_err(|error| format!("no C compiler: {error}"))?;
    assert!(status.success(), "{source} does not compile");
    Ok(program)
}

fn forked_child() -> Outcome {
    let bed = Bed::new();
    let (_daemon, mut checker) = room_for_one(&bed);
    let mut command = Command::new(compile(&bed, "forked.c")?);
    let mut parent = Program::start(command.env("SAEVT_SOCKET", bed.socket()));
    let child = parent.notice();
    checker.expect("open l own psc 60000", "NoResources");
    parent.process.kill();
    assert_eq!(checker.ask_until_not("open l own psc 60000", "NoResources"), "ok");
    // Its standard input is still open here: the child waits for it, once it has come that far.
    let number = child.parse().map_err(|_| child.clone())?;
    let mut state = crate::bed::status_field(number, "State");
    while state.starts_with('R') {
        std::thread::yield_now();
        state = crate::bed::status_field(number, "State");
    }
    assert!(state.starts_with('S'), "{state}");
    Ok(())
}

fn killed_in_storms() -> Outcome {
    let mut seed = Seed::of_run();
    let bed = Bed::new();
    let daemon = bed.daemon();
    let mut listener = bed.ready();
    listener.ok("open l c psc 60000");
    listener.ok("sub c 1");
    listener.ok("& poll l");
    let descriptors = daemon.descriptors_at_rest();
    for round in 0..20_u64 {
        let first = round * 1_000_000;
        let mut publisher = bed.ready();
        let mut other = bed.ready();
        publisher.ok("open l c p 60000");
        other.ok("open l c sc 60000");
        other.ok("sub c 1");
        other.ok(&format!("& {} l", if round % 2 == 0 { "poll" } else { "block" }));
        publisher.ok(&format!("& storm c {first} 100000 0"));
        for _ in 0..seed.below(500) {
            other.event();
        }
        if seed.below(2) == 0 {
            other.tell("open l d psc 60000");
        }
        let (one, two) = (other.kill(), publisher.kill());
        drop((one, two));
        // What a publisher has left is taken before its link ends; nothing else says when.
        until(|| (daemon.descriptors() == descriptors).then_some(()));
        listener.publish("c", 2, 0, "end");
        // Whole, in order, nothing missing in between.
        let mut expected = first;
        loop {
            let text = listener.event();
            if text == "end" {
                break;
            }
            assert_eq!(text, format!("e{expected}"));
            expected += 1;
        }
    }
    until(|| (daemon.descriptors() == descriptors).then_some(()));
    assert!(!bed.log().contains("dropped"), "{}", bed.log());
    Ok(())
}

fn resident_kilobytes(process: &Process) -> u64 {
    let line = process.field("VmRSS");
    line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of kilobytes")
}

fn thousand() -> Outcome {
    const AT_ONCE: usize = 10;
    let mut seed = Seed::of_run();
    let bed = Bed::new();
    let daemon = bed.daemon();
    // It listens before it has all that it opens; once it answers it has.
    let _first = bed.ready();
    let baseline = daemon.descriptors_at_rest();
    let mut cycle = || {
        let mut programs: Vec<_> = (0..AT_ONCE).map(|_| bed.program()).collect();
        let depth = seed.below(7) as usize;
        let steps = ["init l", "open l c psc 60000", "sub c 1", "open l d psc 60000", "sub d 1"];
        for program in &mut programs {
            steps.iter().take(depth).for_each(|step| program.tell(step));
        }
        for program in &mut programs {
            // At some step or another, not always after the last.
            (0..seed.below(depth as u64 + 1).min(5)).for_each(|_| {
                program.answer();
            });
            program.process.kill();
        }
        until(|| (daemon.descriptors() == baseline).then_some(()));
    };
    (0..10).for_each(|_| cycle());
    let (mappings, resident) = (daemon.mappings(), resident_kilobytes(&daemon));
    (0..90).for_each(|_| cycle());
    let grown = resident_kilobytes(&daemon).saturating_sub(resident);
    assert!(grown < 2048, "{grown} kilobytes more after 900 programs");
    assert!(daemon.mappings() <= mappings + 2, "{mappings} mappings became {}", daemon.mappings());
    Ok(())
}
