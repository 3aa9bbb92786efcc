//! What tests stand on: a directory of their own, daemons, and programs that do what they are told.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Everybody who was started and not seen to end.
static STARTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Set for programs that are told by a test what to do.
pub(crate) const ROLE: &str = "SAEVT_LOOPBACK_PROGRAM";
/// The daemon under test.
pub(crate) const DAEMON: &str = env!("CARGO_BIN_EXE_saevtd");

fn started() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Kills all that tests have started.
pub(crate) fn kill_everybody() {
    for pid in started().iter() {
        // Gone already is as good.
        let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGKILL);
    }
}

/// Looks until `found` gives something, for what no descriptor tells. The watchdog ends it.
pub(crate) fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process that a test has started.
pub(crate) struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.spawn().expect("the program can be started");
        started().insert(child.id());
        Self { child, ended: None }
    }

    /// The child, for what is piped to it.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("the process is there");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        if self.ended.is_none() {
            self.ended = Some(self.child.wait().expect("it is our child"));
            started().remove(&self.child.id());
        }
        self.ended.expect("just set")
    }

    /// Ends it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::SIGKILL);
            self.wait();
        }
    }

    /// Stops it and waits until it is stopped.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        until(|| (self.field("State").starts_with('T')).then_some(()));
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// One line of its status, as the kernel tells it.
    pub(crate) fn field(&self, name: &str) -> String {
        status_field(self.pid(), name)
    }

    /// How many of its threads wait in this system call.
    pub(crate) fn waiting_in(&self, call: nix::libc::c_long) -> usize {
        let call = format!("{call} ");
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        let waits = |thread: &std::fs::DirEntry| {
            let text = std::fs::read_to_string(thread.path().join("syscall"));
            text.is_ok_and(|text| text.starts_with(&call))
        };
        threads.map_or(0, |threads| threads.flatten().filter(waits).count())
    }

    /// Whether one of its threads waits in poll.
    pub(crate) fn is_polling(&self) -> bool {
        self.waiting_in(nix::libc::SYS_poll) > 0
    }

    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    /// The same when it has done all there was to do, also what comes behind an answer.
    pub(crate) fn descriptors_at_rest(&self) -> usize {
        until(|| self.field("State").starts_with('S').then(|| self.descriptors()))
    }

    pub(crate) fn mappings(&self) -> usize {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid()));
        maps.map_or(0, |maps| maps.lines().count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One line of a process's status.
pub(crate) fn status_field(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// A directory for one test, removed at its end.
pub(crate) struct Bed {
    pub(crate) directory: PathBuf,
}

impl Bed {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("saevt-loopback-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("saevt.sock")
    }

    /// The state file of daemons of this bed.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state/state")
    }

    /// A command that would start the daemon with this configuration.
    pub(crate) fn daemon_command(&self, configuration: &str) -> Command {
        let file = self.path("saevtd.conf");
        std::fs::write(&file, configuration).expect("the configuration can be written");
        let mut command = Command::new(DAEMON);
        command.arg("--socket").arg(self.socket()).arg("--state-dir").arg(self.path("state"));
        command.arg("--config").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts a daemon and waits until it listens.
    pub(crate) fn daemon(&self) -> Process {
        self.daemon_with("")
    }

    /// The same with a configuration.
    pub(crate) fn daemon_with(&self, configuration: &str) -> Process {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log"));
        let mut command = self.daemon_command(configuration);
        let daemon = Process::start(command.stderr(log.expect("the log can be written")));
        until(|| is_listening(&self.socket()).then_some(()));
        daemon
    }

    /// What daemons of this bed have logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A command that would start a program that looks for its daemon here.
    pub(crate) fn program_command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        for name in ["SAEVT_RUNTIME_DIR", "SAEVT_AUTOSTART", "SAEVT_DAEMON"] {
            command.env_remove(name);
        }
        command.env("SAEVT_SOCKET", self.socket());
        command
    }

    pub(crate) fn program(&self) -> Program {
        Program::start(&mut self.program_command())
    }

    /// A program with a library handle `l`.
    pub(crate) fn ready(&self) -> Program {
        let mut program = self.program();
        program.ok("init l");
        program
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        // What is left over is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether somebody listens on a socket.
pub(crate) fn is_listening(socket: &Path) -> bool {
    const LISTENS: &str = " 00010000 ";
    let path = format!(" {}", socket.display());
    let sockets = std::fs::read_to_string("/proc/net/unix").expect("the kernel lists sockets");
    sockets.lines().any(|line| line.ends_with(&path) && line.contains(LISTENS))
}

/// A running program of ours.
pub(crate) struct Program {
    pub(crate) process: Process,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    notices: Receiver<String>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.env(ROLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command);
        let input = process.child().stdin.take();
        let output = process.child().stdout.take().expect("it was asked for");
        let (answer, answers) = channel();
        let (notice, notices) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A test that has enough does not listen any more.
                let _ = match line.split_at_checked(2) {
                    Some(("= ", text)) => answer.send(text.to_owned()),
                    Some((_, text)) => notice.send(text.to_owned()),
                    None => Ok(()),
                };
            }
        });
        Self { process, input, answers, notices }
    }

    /// Says something to the program without waiting for the answer.
    pub(crate) fn tell(&mut self, command: &str) {
        let input = self.input.as_mut().expect("it has not been told to end");
        writeln!(input, "{command}").expect("it reads what it is told");
    }

    /// The answer to the first command that has none yet.
    pub(crate) fn answer(&self) -> String {
        self.answers.recv().expect("the program has not ended")
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, command: &str, answer: &str) {
        assert_eq!(self.ask(command), answer, "{command}");
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, command: &str) {
        self.expect(command, "ok");
    }

    /// Asks until the answer is another one than `not`.
    pub(crate) fn ask_until_not(&mut self, command: &str, not: &str) -> String {
        until(|| Some(self.ask(command)).filter(|answer| answer != not))
    }

    /// Publishes and gives the id of the event.
    #[track_caller]
    pub(crate) fn publish(
        &mut self,
        channel: &str,
        priority: u8,
        milliseconds: u64,
        text: &str,
    ) -> u64 {
        let answer = self.ask(&format!("pub {channel} {priority} {milliseconds} {text}"));
        answer.parse().unwrap_or_else(|_| panic!("publish of {text}: {answer}"))
    }

    /// The next notice.
    pub(crate) fn notice(&self) -> String {
        self.notices.recv().expect("the program has not ended")
    }

    #[track_caller]
    pub(crate) fn expect_notice(&self, notice: &str) {
        assert_eq!(self.notice(), notice);
    }

    /// The text of the next event; its subscription, id and priority do not matter.
    #[track_caller]
    pub(crate) fn event(&self) -> String {
        let notice = self.notice();
        let text = notice.strip_prefix("event ").and_then(|rest| rest.splitn(4, ' ').nth(3));
        text.unwrap_or_else(|| panic!("not an event: {notice}")).to_owned()
    }

    /// Notices that have come and were not asked for.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.notices.try_iter().collect()
    }

    /// Ends the program in order, and waits until its output has ended too.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.input = None;
        assert_eq!(self.process.wait().signal(), None);
        self.notices.iter().collect()
    }

    /// Kills the program; gives what it said last.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill();
        self.notices.iter().collect()
    }
}

/// Runs a command to its end; gives its status and what it wrote to standard error.
pub(crate) fn outcome(command: &mut Command) -> (ExitStatus, String) {
    let mut process = Process::start(command.stderr(Stdio::piped()));
    let mut text = String::new();
    let mut errors = process.child().stderr.take().expect("it was asked for");
    errors.read_to_string(&mut text).expect("it writes text");
    (process.wait(), text)
}
