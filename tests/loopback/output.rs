//! A daemon whose log nobody takes.

use crate::bed::{Bed, Process, is_listening, until};
use crate::{Outcome, Test};
use SaEvt::sys::descriptor;
use nix::libc;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("a_daemon_without_standard_error_answers", without_standard_error),
    ("a_daemon_answers_though_nobody_reads_its_log", full_pipe),
];

/// What makes the daemon write lines, and waits for answers.
fn is_answered(bed: &Bed) {
    until(|| is_listening(&bed.socket()).then_some(()));
    let mut program = bed.ready();
    for _ in 0..3 {
        program.ok("open l c psc 60000");
        program.ok("unlink l c");
        program.ok("close c");
    }
}

fn without_standard_error() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon_command("");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&-"]).arg(daemon.get_program());
    let _daemon = Process::start(command.args(daemon.get_args()));
    is_answered(&bed);
    Ok(())
}

fn full_pipe() -> Outcome {
    // What a pipe that is ready takes at once, and never more than it has room for.
    const PAGE: [u8; 4096] = [b'.'; 4096];
    let bed = Bed::new();
    let (mut reader, mut writer) = std::io::pipe().map_err(|error| error.to_string())?;
    let has_room = |number| {
        let events = descriptor::poll([(number, libc::POLLOUT)], Some(0)).expect("poll works");
        events[0] & libc::POLLOUT != 0
    };
    let mut filled = 0;
    while has_room(writer.as_raw_fd()) {
        writer.write_all(&PAGE).map_err(|error| error.to_string())?;
        filled += PAGE.len();
    }
    let mut command = bed.daemon_command("");
    let mut daemon = Process::start(command.stderr(writer));
    drop(command);
    is_answered(&bed);
    // Nothing came in between; with room again lines are written.
    let mut bytes = vec![0; filled];
    reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
    assert!(bytes.iter().all(|byte| *byte == b'.'));
    is_answered(&bed);
    daemon.kill();
    let mut lines = String::new();
    reader.read_to_string(&mut lines).map_err(|error| error.to_string())?;
    assert!(lines.contains("unlink"), "{lines}");
    Ok(())
}
