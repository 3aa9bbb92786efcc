//! A C program on a node: tests/cluster/actor.c.

use crate::site::{kill_everybody, note_ended, note_started, pause, signal, variable};
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The built program.
pub(crate) const ACTOR: &str = "SAEVT_CLUSTER_ACTOR";

/// After such a pause something is tried again.
const ATTEMPT: Duration = Duration::from_millis(300);

pub(crate) const OK: i32 = 1;
pub(crate) const TIMEOUT: i32 = 5;
pub(crate) const TRY_AGAIN: i32 = 6;
pub(crate) const NOT_EXIST: i32 = 12;
pub(crate) const UNAVAILABLE: i32 = 31;

/// What a callback told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Event {
        subscription: u64,
        id: u64,
        priority: u8,
        number: u64,
        size: usize,
    },
    Lost(u64),
    /// Dispatch has failed, with this code.
    Failed(i32),
}

/// A program that runs.
pub(crate) struct Program {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
    /// All that was told so far.
    pub(crate) told: Vec<Told>,
}

fn number<T: std::str::FromStr>(word: Option<&str>, line: &str) -> T {
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("what is \"{line}\"?"))
}

impl Program {
    pub(crate) fn start(socket: &Path) -> Self {
        let mut command = Command::new(variable(ACTOR));
        command.env("SAEVT_SOCKET", socket).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        note_started(child.id());
        let (sender, lines) = channel();
        let output = child.stdout.take().expect("it is a pipe");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let commands = child.stdin.take().expect("it is a pipe");
        Self { child, commands, lines, told: Vec::new() }
    }

    /// A program that is initialized, of release B.03.
    pub(crate) fn ready(self) -> Self {
        self.ready_as(3)
    }

    /// A program that is initialized, of a release of B.
    pub(crate) fn ready_as(mut self, release: u8) -> Self {
        self.insist(&format!("init {release}"));
        self
    }

    fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let told = match (words.next(), words.next()) {
            (Some("!"), Some("lost")) => Told::Lost(number(words.next(), line)),
            (Some("!"), Some("dispatch")) => Told::Failed(number(words.next(), line)),
            (Some("!"), Some("event")) => {
                assert!(line.ends_with(" good"), "changed on its way: {line}");
                Told::Event {
                    subscription: number(words.next(), line),
                    id: number(words.next(), line),
                    priority: number(words.next(), line),
                    number: number(words.next(), line),
                    size: number(words.next(), line),
                }
            }
            _ => panic!("what is \"{line}\"?"),
        };
        self.told.push(told);
    }

    /// Sends a command whose answer is taken by [`Program::answer`].
    pub(crate) fn begin(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the program reads");
    }

    /// The answer to the last command: a code, and an event identifier where there is one.
    pub(crate) fn answer(&mut self) -> (i32, u64) {
        loop {
            let line = self.lines.recv().expect("the program runs");
            if let Some(answer) = line.strip_prefix("= ") {
                let mut words = answer.split(' ');
                return (number(words.next(), &line), number(words.next(), &line));
            }
            self.note(&line);
        }
    }

    /// Does a command and gives its code.
    pub(crate) fn ask(&mut self, command: &str) -> i32 {
        self.begin(command);
        self.answer().0
    }

    /// Does a command that must succeed.
    pub(crate) fn must(&mut self, command: &str) {
        assert_eq!(self.ask(command), OK, "{command}");
    }

    /// Does a command again and again until it does not say that this may help.
    pub(crate) fn insist(&mut self, command: &str) {
        loop {
            match self.ask(command) {
                OK => return,
                TRY_AGAIN | TIMEOUT => pause(),
                code => panic!("{command}: {code}"),
            }
        }
    }

    /// Publishes one event; gives its id.
    pub(crate) fn publish(&mut self, what: &str) -> u64 {
        self.begin(&format!("pub {what}"));
        let (code, id) = self.answer();
        assert_eq!(code, OK, "pub {what}");
        id
    }

    /// Waits until what was told satisfies a test.
    pub(crate) fn await_told(&mut self, wanted: impl Fn(&[Told]) -> bool) {
        while !wanted(&self.told) {
            let line = self.lines.recv().expect("the program runs");
            self.note(&line);
        }
    }

    /// Waits until an event of this number is told.
    pub(crate) fn await_number(&mut self, wanted: u64) {
        let is_it = |told: &Told| matches!(told, Told::Event { number, .. } if *number == wanted);
        if self.told.iter().any(is_it) {
            return;
        }
        // Only the newest is looked at: there are many.
        self.await_told(|told| told.last().is_some_and(is_it));
    }

    /// Whether an event of this number comes before it is time for another attempt.
    pub(crate) fn hears(&mut self, wanted: u64) -> bool {
        loop {
            let Ok(line) = self.lines.recv_timeout(ATTEMPT) else { return false };
            self.note(&line);
            if matches!(self.told.last(), Some(Told::Event { number, .. }) if *number == wanted) {
                return true;
            }
        }
    }

    /// The numbers of the events so far.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let numbers = self.told.iter().filter_map(|told| match told {
            Told::Event { number, .. } => Some(*number),
            _ => None,
        });
        numbers.collect()
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.told.iter().any(|told| matches!(told, Told::Lost(_)))
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) {
        signal(self.child.id(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::SIGKILL);
        note_ended(self.child.id());
        let _ = self.child.wait();
    }
}

/// Ends everything: a test hangs.
pub(crate) fn give_up() -> ! {
    kill_everybody();
    std::process::exit(1)
}
