//! The tool, and what it does.

use crate::bed::{Bed, Process, kill_everybody};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The tool under test.
pub(crate) const TOOL: &str = env!("CARGO_BIN_EXE_saevt");
/// The channel that most tests use.
pub(crate) const CHANNEL: &str = "safChnl=test";
/// A test that takes so long hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Runs a test with a daemon of its own, under a watchdog.
pub(crate) fn with_daemon(test: impl FnOnce(&Bed)) {
    watched(|| {
        let bed = Bed::new();
        let _daemon = bed.daemon();
        test(&bed);
    });
}

/// Runs a test under a watchdog.
pub(crate) fn watched(test: impl FnOnce()) {
    let (done, over) = channel::<()>();
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let watchdog = std::thread::spawn(move || {
        if over.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            println!("\ntest {name} hangs; ending everything");
            kill_everybody();
            std::process::exit(101);
        }
    });
    test();
    drop(done);
    watchdog.join().expect("the watchdog does not panic");
}

/// What a run of the tool came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Run {
    /// What it said, if it succeeded and complained of nothing.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.status.code(), self.errors.as_str()), (Some(0), ""), "{}", self.output);
        self.output
    }

    /// What it complained of: one line, with this exit status.
    #[track_caller]
    pub(crate) fn complaint(self, status: i32) -> String {
        assert_eq!(self.status.code(), Some(status), "{}{}", self.output, self.errors);
        let line = self.errors.strip_prefix("saevt: ").and_then(|line| line.strip_suffix('\n'));
        let line = line.unwrap_or_else(|| panic!("{:?}", self.errors));
        assert!(!line.contains('\n'), "{line}");
        line.to_owned()
    }

    /// The lines, each as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        self.ok().lines().map(parse).collect()
    }
}

/// A command that would run the tool with the daemon of a bed.
pub(crate) fn tool<A: AsRef<std::ffi::OsStr>>(
    bed: &Bed,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(TOOL);
    for name in ["SAEVT_RUNTIME_DIR", "SAEVT_AUTOSTART", "SAEVT_DAEMON", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.env("SAEVT_SOCKET", bed.socket()).env("TZ", "UTC").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end, with this standard input.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Run {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut process = Process::start(command);
    let child = process.child();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut output, mut errors) = (String::new(), String::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(mut stdin) = stdin {
                // A program need not read all.
                let _ = stdin.write_all(input);
            }
        });
        scope.spawn(|| {
            let mut stderr = stderr.expect("it was asked for");
            stderr.read_to_string(&mut errors).expect("it writes text");
        });
        let mut stdout = stdout.expect("it was asked for");
        stdout.read_to_string(&mut output).expect("it writes text");
    });
    Run { status: process.wait(), output, errors }
}

/// Runs the tool to its end. The words are its arguments.
pub(crate) fn run(bed: &Bed, arguments: &[&str]) -> Run {
    run_with(&mut tool(bed, arguments), b"")
}

/// Publishes an event that stays, with the pattern `p`; gives its identifier.
#[track_caller]
pub(crate) fn retain(bed: &Bed, text: &str) -> String {
    let arguments = ["publish", CHANNEL, "--pattern", "p", "--retain", "1h", "--", text];
    run(bed, &arguments).ok().trim_end().to_owned()
}

/// The tool at work, whose output is read line by line.
pub(crate) struct Running {
    pub(crate) process: Process,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stderr(Stdio::inherit());
        let mut process = Process::start(command);
        let output = process.child().stdout.take().expect("it was asked for");
        Self { process, lines: BufReader::new(output) }
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it writes text");
        line.trim_end_matches('\n').to_owned()
    }

    /// Closes its output and waits for its end.
    pub(crate) fn stop_reading(self) -> ExitStatus {
        let Self { mut process, lines } = self;
        drop(lines);
        process.wait()
    }

    /// Waits for its end: exit code, or the signal as a negative number.
    pub(crate) fn end(mut self) -> i32 {
        let status = self.process.wait();
        status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
    }
}
