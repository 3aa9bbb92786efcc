//! Three nodes that a rig has made, a daemon on each, and programs that use them.

use crate::program::{ACTOR, Program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// The program that makes faults; see tests/engines.
pub(crate) const RIG: &str = "SAEVT_CLUSTER_RIG";
/// `corosync` or `tipc`.
const ENGINE: &str = "SAEVT_CLUSTER_ENGINE";
/// The daemon that is tried.
const DAEMON: &str = "SAEVT_CLUSTER_DAEMON";
/// Where sockets and state of the tests are made.
const PLACE: &str = "SAEVT_CLUSTER_PLACE";

/// Processes of the tests, for the watchdog.
static STARTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

pub(crate) fn note_started(pid: u32) {
    STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(pid);
}

pub(crate) fn note_ended(pid: u32) {
    STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&pid);
}

/// Kills all that runs.
pub(crate) fn kill_everybody() {
    for pid in STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
        signal(*pid, Signal::SIGKILL);
    }
}

pub(crate) fn signal(pid: u32, what: Signal) {
    // Gone already is as good.
    let _ = kill(Pid::from_raw(pid as i32), what);
}

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// The nodes, numbered from 1.
pub(crate) struct Site {
    rig: String,
    engine: String,
    place: PathBuf,
    service: String,
    daemons: [Option<Child>; 5],
    stopped: BTreeSet<usize>,
    cut: BTreeSet<usize>,
    away: BTreeSet<usize>,
    /// Whether a node without quorum serves nobody, where the engine knows of quorum.
    pub(crate) needs_quorum: bool,
    /// Whether the configuration says which member a node is.
    pub(crate) is_numbered: bool,
    /// Which member it is then.
    pub(crate) members: [usize; 5],
    /// Lines of the configuration: when a member is missed, and signs of life.
    pub(crate) times: &'static str,
    /// More lines of the table of the cluster, and tables in it.
    pub(crate) more: &'static str,
}

impl Site {
    /// The site of a test; nothing runs on it yet.
    pub(crate) fn new(test: &str) -> Self {
        let place = PathBuf::from(variable(PLACE)).join(test);
        fs::create_dir_all(&place).expect("the place of the tests can be written");
        Self {
            rig: variable(RIG),
            engine: variable(ENGINE),
            place,
            service: format!("{test}-{}", std::process::id()),
            daemons: [None, None, None, None, None],
            stopped: BTreeSet::new(),
            cut: BTreeSet::new(),
            away: BTreeSet::new(),
            needs_quorum: true,
            is_numbered: true,
            members: [0, 1, 2, 3, 4],
            times: "hang_seconds = 4.0",
            more: "",
        }
    }

    pub(crate) fn has_corosync(&self) -> bool {
        self.engine == "corosync"
    }

    fn home(&self, node: usize) -> PathBuf {
        self.place.join(format!("n{node}"))
    }

    fn socket(&self, node: usize) -> PathBuf {
        self.home(node).join("socket")
    }

    fn run(&self, verb: &str, node: usize) {
        let status = Command::new(&self.rig).args([verb, &node.to_string()]).status();
        assert!(status.expect("the rig can be run").success(), "{verb} {node}");
    }

    /// Starts the daemon of a node, and waits until programs can connect.
    pub(crate) fn start(&mut self, node: usize) {
        let home = self.home(node);
        fs::create_dir_all(&home).expect("a directory can be made");
        let ignored = "quorum = \"ignored\"\nmembers_expected = 3\n";
        let quorum = if self.has_corosync() && self.needs_quorum { "" } else { ignored };
        let number = self.members[node];
        let member = if self.is_numbered { format!("member = {number}\n") } else { String::new() };
        let configuration = format!(
            "[cluster]\nengine = \"{}\"\nservice = \"{}\"\n{}\n\
             alone_after_seconds = 3.0\n{quorum}{member}{}",
            self.engine, self.service, self.times, self.more
        );
        let file = home.join("saevtd.conf");
        fs::write(&file, configuration).expect("a file can be written");
        let log = File::options().create(true).append(true).open(home.join("log"));
        let mut command = Command::new(&self.rig);
        command.args(["in", &node.to_string(), &variable(DAEMON), "--config"]).arg(file);
        command.arg("--socket").arg(self.socket(node)).arg("--state-dir").arg(home.join("state"));
        command.stdin(Stdio::null()).stderr(log.expect("a file can be made"));
        let child = command.spawn().expect("the rig can be run");
        note_started(child.id());
        self.daemons[node] = Some(child);
        while !listens(&self.socket(node)) {
            let daemon = self.daemons[node].as_mut().and_then(|child| child.try_wait().ok());
            assert!(daemon.flatten().is_none(), "the daemon ended: {}", self.log(node));
            pause();
        }
    }

    /// Runs a daemon on node 1 as another user, who has a directory, until it ends.
    pub(crate) fn start_as(&self, user: u32, home: &Path) -> Output {
        let (daemon, file) = (home.join("saevtd"), home.join("saevtd.conf"));
        fs::copy(variable(DAEMON), &daemon).expect("a program can be copied");
        let configuration = format!("[cluster]\nengine = \"{}\"\nmember = 1\n", self.engine);
        fs::write(&file, configuration).expect("a file can be written");
        let user = user.to_string();
        let mut command = Command::new(&self.rig);
        command.args(["in", "1", "setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
        command.arg(daemon).arg("--config").arg(file).arg("--socket").arg(home.join("socket"));
        command.arg("--state-dir").arg(home.join("state")).stdin(Stdio::null());
        command.output().expect("the rig can be run")
    }

    /// Waits until the log of a node has some words.
    pub(crate) fn await_line(&self, node: usize, words: &str) {
        while !self.log(node).contains(words) {
            pause();
        }
    }

    /// Starts all daemons and waits until they are one cluster.
    pub(crate) fn start_all(&mut self) {
        (1..=3).for_each(|node| self.start(node));
        self.await_members(&[1, 2, 3]);
    }

    /// What a daemon has logged, over all its starts.
    pub(crate) fn log(&self, node: usize) -> String {
        fs::read_to_string(self.home(node).join("log")).unwrap_or_default()
    }

    /// Waits until these daemons have a view of as many members, and serve.
    pub(crate) fn await_members(&self, nodes: &[usize]) {
        let wanted = format!("cluster: {} members, ", nodes.len());
        for node in nodes {
            loop {
                let log = self.log(*node);
                let start = log.rfind("saevtd: cluster: start ").unwrap_or(0);
                let last = log[start..].lines().rfind(|line| line.contains(" members, led by "));
                let serves = log[start..].contains("cluster: programs are served");
                if serves && last.is_some_and(|line| line.contains(&wanted)) {
                    break;
                }
                pause();
            }
        }
    }

    /// A program on a node.
    pub(crate) fn program(&self, node: usize) -> Program {
        Program::start(&self.socket(node))
    }

    /// Runs a program of capi-tests that is beside the actor, each process on another node.
    pub(crate) fn run_spread(&self, name: &str) -> Output {
        let program = Path::new(&variable(ACTOR)).with_file_name(name);
        let [first, second, third] = [1, 2, 3].map(|node| self.socket(node));
        let others = format!("{}:{}", second.display(), third.display());
        let mut command = Command::new(program);
        command.env("SAEVT_SOCKET", first).env("EVT_TEST_ROLE_SOCKETS", others);
        command.env("EVT_TEST_SHORT", "1").env("EVT_TEST_WATCHDOG", "200");
        command.output().expect("the program can be run")
    }

    /// Ends a daemon: with SIGTERM in order, with SIGKILL not.
    pub(crate) fn end(&mut self, node: usize, by: Signal) {
        let mut child = self.daemons[node].take().expect("the daemon runs");
        signal(child.id(), by);
        note_ended(child.id());
        let _ = child.wait();
    }

    /// Stops a daemon, which then does nothing, and has it go on.
    pub(crate) fn freeze(&mut self, node: usize, frozen: bool) {
        let pid = self.daemons[node].as_ref().expect("the daemon runs").id();
        signal(pid, if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
        let _ = if frozen { self.stopped.insert(node) } else { self.stopped.remove(&node) };
    }

    /// Takes a node off the network.
    pub(crate) fn cut(&mut self, node: usize) {
        self.run("cut", node);
        self.cut.insert(node);
    }

    /// Puts it back.
    pub(crate) fn join(&mut self, node: usize) {
        self.run("join", node);
        self.cut.remove(&node);
    }

    /// Gives a node that has no number one.
    pub(crate) fn number(&self, node: usize) {
        self.run("number", node);
    }

    /// Ends the engine of a node.
    pub(crate) fn end_engine(&mut self, node: usize) {
        self.away.insert(node);
        self.run("kill", node);
    }

    /// Starts it again.
    pub(crate) fn start_engine(&mut self, node: usize) {
        self.run("start", node);
        self.away.remove(&node);
    }
}

/// Whether a daemon listens: its socket is of another type than the one that asks.
fn listens(socket: &Path) -> bool {
    let refused = UnixStream::connect(socket).expect_err("no daemon has such a socket");
    refused.raw_os_error() == Some(libc::EPROTOTYPE)
}

/// Lets others have the processor.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

impl Drop for Site {
    fn drop(&mut self) {
        for node in std::mem::take(&mut self.stopped) {
            self.freeze(node, false);
        }
        for daemon in &mut self.daemons {
            if let Some(mut child) = daemon.take() {
                signal(child.id(), Signal::SIGKILL);
                note_ended(child.id());
                let _ = child.wait();
            }
        }
        for node in std::mem::take(&mut self.cut) {
            self.run("join", node);
        }
        for node in std::mem::take(&mut self.away) {
            self.run("start", node);
        }
        if std::thread::panicking() {
            for node in 1..=4 {
                println!("log of node {node}:\n{}", self.log(node));
            }
        }
        // What could not be removed goes with the place of all tests.
        let _ = fs::remove_dir_all(&self.place);
    }
}
