//! What the daemon says to a journal, and how much it says about one program.

use crate::bed::{Bed, Process, until};
use crate::{Outcome, Test};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

pub(crate) const TESTS: &[Test] = &[
    ("the_journal_gets_entries_with_fields", fields),
    ("a_journal_that_nobody_reads_stops_nothing", unread),
    ("lines_about_a_user_are_bounded_and_the_others_counted", bounded),
];

/// A daemon whose standard error is connected to a journal, as far as it can see.
struct Journalled {
    bed: Bed,
    journal: UnixDatagram,
    daemon: Process,
}

fn journalled() -> Result<Journalled, String> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err("only root can have a view of its own of /run".into());
    }
    let bed = Bed::new();
    let directory = bed.path("journal");
    std::fs::create_dir(&directory).map_err(|error| error.to_string())?;
    let journal =
        UnixDatagram::bind(directory.join("socket")).map_err(|error| error.to_string())?;
    let daemon = bed.daemon_command("");
    let log = std::fs::File::create(bed.path("log")).map_err(|error| error.to_string())?;
    let data = log.metadata().map_err(|error| error.to_string())?;
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
         mount --bind {} /run/systemd/journal && exec \"$@\"",
        directory.display()
    );
    let probe = script.replace("exec \"$@\"", "true");
    let probe = Command::new("unshare").args(["-m", "sh", "-c", &probe]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return Err("no file system can be mounted".into());
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh"]).arg(daemon.get_program());
    command.args(daemon.get_args()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.env("JOURNAL_STREAM", format!("{}:{}", data.dev(), data.ino()));
    let daemon = Process::start(&mut command);
    until(|| crate::bed::is_listening(&bed.socket()).then_some(()));
    Ok(Journalled { bed, journal, daemon })
}

/// Reads an entry; its fields.
fn entry(journal: &UnixDatagram) -> BTreeMap<String, String> {
    let mut bytes = [0; 8192];
    let length = journal.recv(&mut bytes).expect("the daemon says something");
    let text = String::from_utf8(bytes[..length].to_vec()).expect("it is text");
    let field = |line: &str| {
        let (name, value) = line.split_once('=').expect("a field has a value");
        (name.to_owned(), value.to_owned())
    };
    text.lines().map(field).collect()
}

fn fields() -> Outcome {
    let Journalled { bed, journal, daemon: _daemon } = journalled()?;
    let mut program = bed.ready();
    let name = "a\u{1b}[2J\"";
    program.ok(&format!("open l {name} psc 60000"));
    program.ok(&format!("unlink l {name}"));
    let entry = entry(&journal);
    let pid = program.process.pid();
    let shown = "safChnl=a\\x1b[2J\\\"";
    let message = format!("pid {pid} uid 0 has unlinked channel \"{shown}\"");
    assert_eq!(entry.get("MESSAGE"), Some(&message), "{entry:?}");
    assert_eq!(entry.get("SAEVT_CHANNEL").map(String::as_str), Some(shown));
    assert_eq!(entry.get("SAEVT_PID"), Some(&pid.to_string()));
    assert_eq!(entry.get("SAEVT_UID").map(String::as_str), Some("0"));
    assert_eq!(entry.get("PRIORITY").map(String::as_str), Some("5"));
    assert_eq!(entry.get("SYSLOG_IDENTIFIER").map(String::as_str), Some("saevtd"));
    assert_eq!(bed.log(), "", "nothing is said twice");
    Ok(())
}

fn unread() -> Outcome {
    let Journalled { bed, journal, daemon } = journalled()?;
    let filler = UnixDatagram::unbound().map_err(|error| error.to_string())?;
    filler.set_nonblocking(true).map_err(|error| error.to_string())?;
    while filler.send_to(b"MESSAGE=x\n", bed.path("journal/socket")).is_ok() {}
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.ok("unlink l c");
    program.ok("open l c psc 60000");
    drop((journal, daemon));
    Ok(())
}

fn bounded() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon();
    let mut program = bed.ready();
    for _ in 0..15 {
        program.ok("open l c psc 60000");
        program.ok("unlink l c");
    }
    assert_eq!(bed.log().matches("has unlinked").count(), 10, "{}", bed.log());
    // Also by programs that come and go.
    for _ in 0..8 {
        let mut program = bed.ready();
        for _ in 0..10 {
            program.ok("open l c psc 60000");
            program.ok("unlink l c");
        }
    }
    assert_eq!(bed.log().matches("has unlinked").count(), 60, "{}", bed.log());
    Ok(())
}
