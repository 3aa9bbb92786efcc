//! Real engines: nodes that a program outside has made, and members that are processes on them.

use crate::bed::{Bed, Fault, Need};
use crate::frames::{self, Answer};
use SaEvt::transport::{self as transport, Arrival, PeerId, ServiceRange, Transport};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// Set for a member: what it attaches to.
pub(crate) const MEMBER: &str = "SAEVT_TRANSPORT_MEMBER";
/// The program that makes faults; `SAEVT_TRANSPORT_ENGINE` names its engine.
const RIG: &str = "SAEVT_TRANSPORT_RIG";
const ENGINE: &str = "SAEVT_TRANSPORT_ENGINE";

/// Members that run.
static STARTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn started() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Kills all members.
pub(crate) fn kill_everybody() {
    for pid in started().iter() {
        // Gone already is as good.
        let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGKILL);
    }
}

/// Three nodes of one engine.
pub(crate) struct Rig {
    engine: &'static str,
    program: String,
    members: Vec<Member>,
    /// Tests that have begun: each has a service of its own.
    round: u32,
    away: BTreeSet<usize>,
    stopped: BTreeSet<usize>,
    cut: BTreeSet<usize>,
}

impl Rig {
    /// The rig that the environment names.
    pub(crate) fn from_environment() -> Option<Self> {
        let program = std::env::var(RIG).ok()?;
        let engine = match std::env::var(ENGINE).as_deref() {
            Ok("corosync") => "corosync",
            Ok("tipc") => "tipc",
            other => panic!("{ENGINE} is {other:?}"),
        };
        let none = BTreeSet::new;
        let (away, stopped, cut) = (none(), none(), none());
        Some(Self { engine, program, members: Vec::new(), round: 0, away, stopped, cut })
    }

    fn run(&self, verb: &str, node: usize) {
        let status = Command::new(&self.program).args([verb, &node.to_string()]).status();
        assert!(status.expect("the rig can be run").success(), "{verb} {node}");
    }

    fn start(&mut self, node: usize, asked: &str) -> usize {
        let mut command = Command::new(&self.program);
        command.args(["in", &node.to_string()]).arg(std::env::current_exe().expect("it runs"));
        command.env(MEMBER, asked).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().expect("the rig can be run");
        started().insert(child.id());
        self.members.push(Member {
            child: child.into(),
            is_stopped: false,
            arrived: VecDeque::new(),
        });
        self.members.len() - 1
    }

    fn service(&self) -> String {
        format!("test-{}-{}", std::process::id(), self.round)
    }
}

impl Bed for Rig {
    fn name(&self) -> &'static str {
        self.engine
    }

    fn offers(&self, need: Need) -> bool {
        let has_corosync = self.engine == "corosync";
        match need {
            Need::EngineRestart | Need::Quorum | Need::TotalOrder => has_corosync,
            Need::ThreeNodes | Need::Kill | Need::Stop | Need::Cut => true,
        }
    }

    fn attach(&mut self, node: usize) -> usize {
        let asked = format!("{} {}", self.engine, self.service());
        self.start(node, &asked)
    }

    fn attach_with_quorum(&mut self, node: usize) -> usize {
        let asked = format!("{} {} quorum", self.engine, self.service());
        self.start(node, &asked)
    }

    fn member(&mut self, member: usize) -> &mut dyn Transport {
        &mut self.members[member]
    }

    fn order(&mut self, order: Fault) {
        match order {
            Fault::Kill(member) => self.members[member].end(),
            Fault::Stop(member) => self.members[member].signal(Signal::SIGSTOP),
            Fault::Continue(member) => self.members[member].signal(Signal::SIGCONT),
            Fault::EndEngine(node) => {
                self.away.insert(node);
                self.run("kill", node);
            }
            Fault::StartEngine(node) => {
                self.run("start", node);
                self.away.remove(&node);
            }
            Fault::StopEngine(node) => {
                self.stopped.insert(node);
                self.run("stop", node);
            }
            Fault::ContinueEngine(node) => {
                self.run("continue", node);
                self.stopped.remove(&node);
            }
            Fault::Cut(node) => {
                self.cut.insert(node);
                self.run("cut", node);
            }
            Fault::Join(node) => {
                self.run("join", node);
                self.cut.remove(&node);
            }
        }
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(1));
    }

    fn clear(&mut self) {
        for node in std::mem::take(&mut self.away) {
            self.run("start", node);
        }
        for node in std::mem::take(&mut self.stopped) {
            self.run("continue", node);
        }
        for node in std::mem::take(&mut self.cut) {
            self.run("join", node);
        }
        self.members.clear();
        self.round += 1;
    }
}

/// A member in another process.
struct Member {
    /// Asking it is no change of ours.
    child: std::cell::RefCell<Child>,
    is_stopped: bool,
    /// What it has received and not handed out.
    arrived: VecDeque<Arrival>,
}

impl Member {
    fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_raw(self.child.get_mut().id() as i32);
        kill(pid, signal).expect("the member runs");
        self.is_stopped = signal == Signal::SIGSTOP;
    }

    fn end(&mut self) {
        let child = self.child.get_mut();
        // Gone already is as good.
        let _ = child.kill();
        let _ = child.wait();
        started().remove(&child.id());
    }

    fn ask(&self, order: &frames::Order) -> Answer {
        assert!(!self.is_stopped, "a stopped member answers nothing");
        let mut child = self.child.borrow_mut();
        let orders = child.stdin.as_mut().expect("a pipe");
        frames::write(orders, &order.to_frame()).expect("the member runs");
        let answers = child.stdout.as_mut().expect("a pipe");
        Answer::of_frame(&frames::read(answers).expect("the member runs"))
    }

    fn tell(&self, order: &frames::Order) -> io::Result<()> {
        match self.ask(order) {
            Answer::Done => Ok(()),
            Answer::Refused(kind, why) => Err(io::Error::new(kind, why)),
            answer => panic!("{answer:?}"),
        }
    }

    fn facts(&self) -> (usize, bool, bool) {
        let Answer::Facts(bytes, is_total, carries_each) = self.ask(&frames::Order::Facts) else {
            panic!("these are no facts")
        };
        (bytes as usize, is_total, carries_each)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}

impl Transport for Member {
    fn own(&self) -> Option<PeerId> {
        let Answer::Own(own) = self.ask(&frames::Order::Own) else { panic!("this is no name") };
        own
    }

    fn bind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.tell(&frames::Order::Bind(range))
    }

    fn unbind(&mut self, range: ServiceRange) -> io::Result<()> {
        self.tell(&frames::Order::Unbind(range))
    }

    fn watch(&mut self, range: ServiceRange) -> io::Result<()> {
        self.tell(&frames::Order::Watch(range))
    }

    fn multicast(&mut self, to: ServiceRange, message: &[u8]) -> io::Result<()> {
        self.tell(&frames::Order::Multicast(to, message.to_vec()))
    }

    fn send(&mut self, to: PeerId, message: &[u8]) -> io::Result<()> {
        self.tell(&frames::Order::Send(to, message.to_vec()))
    }

    fn carries_each(&self) -> bool {
        self.facts().2
    }

    fn send_each(&mut self, to: &[(PeerId, Vec<u8>)], tail: &[u8]) -> io::Result<()> {
        self.tell(&frames::Order::SendEach(to.to_vec(), tail.to_vec()))
    }

    fn try_receive(&mut self) -> io::Result<Option<Arrival>> {
        if self.arrived.is_empty() {
            match self.ask(&frames::Order::Receive) {
                Answer::Heard(arrivals) => self.arrived.extend(arrivals),
                Answer::Refused(kind, why) => return Err(io::Error::new(kind, why)),
                answer => panic!("{answer:?}"),
            }
        }
        Ok(self.arrived.pop_front())
    }

    fn message_bytes_max(&self) -> usize {
        self.facts().0
    }

    fn order(&self) -> transport::Order {
        if self.facts().1 { transport::Order::Total } else { transport::Order::Publisher }
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
