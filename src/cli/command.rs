//! Commands that are run for events.
//!
//! What an event says reaches a command only through its environment, escaped, and its standard
//! input: it never becomes part of what the shell reads.

use super::failure::{Failure, Status, complain};
use super::text::escape;
use SaEvt::api::{Delivery, Event};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A signal is noticed so late at most while all commands are busy.
const TICK: Duration = Duration::from_millis(100);

/// Runs a command for each event, a bounded number at once. While all are busy, events wait in the
/// daemon, whose bound is told as lost.
pub(super) struct Commands {
    given: Option<Sender<Delivery>>,
    /// A word of each thread that has nothing to do.
    free: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
    failures: Arc<AtomicU64>,
}

impl Commands {
    pub(super) fn new(command: &OsStr, jobs: u16) -> Self {
        let (given, taken) = channel();
        let (idle, free) = channel();
        let taken = Arc::new(Mutex::new(taken));
        let failures = Arc::new(AtomicU64::new(0));
        let threads = (0..jobs)
            .map(|_| {
                let (taken, failures) = (Arc::clone(&taken), Arc::clone(&failures));
                let (command, idle) = (command.to_owned(), idle.clone());
                std::thread::spawn(move || {
                    while idle.send(()).is_ok()
                        && let Some(delivery) = next(&taken)
                    {
                        if let Err(why) = run(&command, &delivery) {
                            failures.fetch_add(1, Ordering::Relaxed);
                            complain(&why);
                        }
                    }
                })
            })
            .collect();
        Self { given: Some(given), free, threads, failures }
    }

    /// Hands a delivery to the next command; waits until one is free, or `check` fails.
    pub(super) fn hand_over(
        &self,
        delivery: Delivery,
        check: impl Fn() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            match self.free.recv_timeout(TICK) {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) => check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(none_left());
                }
            }
        }
        check()?;
        // Who is free takes it.
        let taken = self.given.as_ref().is_some_and(|given| given.send(delivery).is_ok());
        if taken { Ok(()) } else { Err(none_left()) }
    }

    /// Whether a command runs.
    pub(super) fn are_busy(&self) -> bool {
        self.free.try_iter().count() < self.threads.len()
    }

    /// Waits for the commands that run. Fails if one of all has failed.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.given = None;
        let panicked = self.threads.drain(..).any(|thread| thread.join().is_err());
        match self.failures.load(Ordering::Relaxed) {
            0 if !panicked => Ok(()),
            // Each was told when it failed.
            _ => Err(Failure::Quiet(Status::Failed)),
        }
    }
}

fn none_left() -> Failure {
    Failure::new(Status::Failed, "no command can be run any more")
}

fn next(taken: &Mutex<Receiver<Delivery>>) -> Option<Delivery> {
    taken.lock().ok()?.recv().ok()
}

/// Runs the command for one delivery. `Err`: why it failed, in one line.
fn run(command: &OsStr, delivery: &Delivery) -> Result<(), String> {
    let (what, data) = match delivery {
        Delivery::Event(event) => (format!("the event {}", event.id().0), event.data()),
        Delivery::Lost(lost) => (format!("a loss in {}", escape(lost.channel().octets())), &[][..]),
    };
    let mut child = shell(command, delivery)
        .spawn()
        .map_err(|error| format!("the command for {what} cannot be started: {error}"))?;
    let ended = feed(&mut child, data).and_then(|()| child.wait());
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the command for {what} {}", end_of(status))),
        Err(error) => Err(format!("the command for {what} cannot be followed: {error}")),
    }
}

fn end_of(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// Writes the data. A command need not read them.
fn feed(child: &mut Child, data: &[u8]) -> io::Result<()> {
    let Some(mut input) = child.stdin.take() else { return Ok(()) };
    match input.write_all(data) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// What is set for an event and not for a loss.
const OF_EVENTS: [&str; 7] = [
    "SAEVT_ID",
    "SAEVT_PRIORITY",
    "SAEVT_PUBLISHER",
    "SAEVT_PUBLISHED_NS",
    "SAEVT_RETENTION_NS",
    "SAEVT_BYTES",
    "SAEVT_PATTERNS",
];

fn shell(command: &OsStr, delivery: &Delivery) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::piped());
    // This program may itself have been started for another event.
    let inherited = std::env::vars_os().map(|(name, _)| name);
    let of_patterns = |name: &OsString| name.as_bytes().starts_with(b"SAEVT_PATTERN_");
    inherited.filter(of_patterns).for_each(|name| {
        shell.env_remove(name);
    });
    OF_EVENTS.iter().for_each(|name| {
        shell.env_remove(name);
    });
    match delivery {
        Delivery::Event(event) => describe(event, &mut shell),
        Delivery::Lost(lost) => {
            shell.env("SAEVT_TYPE", "lost");
            shell.env("SAEVT_CHANNEL", escape(lost.channel().octets()));
        }
    }
    shell
}

fn describe(event: &Event, shell: &mut Command) {
    shell
        .env("SAEVT_TYPE", "event")
        .env("SAEVT_CHANNEL", escape(event.channel().octets()))
        .env("SAEVT_ID", event.id().0.to_string())
        .env("SAEVT_PRIORITY", event.priority().number().to_string())
        .env("SAEVT_PUBLISHER", escape(event.publisher()))
        .env("SAEVT_PUBLISHED_NS", event.published_ns().to_string())
        .env("SAEVT_BYTES", event.data().len().to_string());
    let retention = u64::try_from(event.retention().as_nanos()).unwrap_or(u64::MAX);
    shell.env("SAEVT_RETENTION_NS", retention.to_string());
    let mut number = 0;
    for pattern in event.patterns() {
        number += 1;
        shell.env(format!("SAEVT_PATTERN_{number}"), escape(pattern));
    }
    shell.env("SAEVT_PATTERNS", number.to_string());
}
