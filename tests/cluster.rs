//! One event service on three nodes of a real engine: real daemons, and C programs that use them.
//!
//! Run by cargo it has no engine, and nothing to try. tests/engines/run.sh gives it one: by
//! `SAEVT_CLUSTER_RIG`, a program that takes these orders: `in NODE COMMAND...` runs a command on a
//! node, `kill NODE` and `start NODE` end and start the engine there, `cut NODE` and `join NODE`
//! take the node off the network and back; with TIPC `number NODE` gives node 4 its address. Tests
//! wait for what programs and daemons tell, never for a time; one watchdog ends a test that hangs.
//! Words as arguments choose the tests whose names contain one.
#![allow(clippy::disallowed_methods)] // Threads and clocks of the tests.
#![forbid(unsafe_code)]

#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/meeting.rs"]
mod meeting;
#[path = "cluster/program.rs"]
mod program;
#[path = "cluster/site.rs"]
mod site;
#[path = "cluster/starting.rs"]
mod starting;
#[path = "cluster/travels.rs"]
mod travels;

use site::Site;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A test: its name, what it needs of the engine, and what it does.
pub(crate) type Test = (&'static str, Need, fn(&mut Site));

/// What a test needs and not every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// An engine that can be ended and started, and knows of quorum.
    Corosync,
    /// A node that the engine has no number for at first.
    Tipc,
}

impl Need {
    fn is_met(self, site: &Site) -> bool {
        match self {
            Self::Nothing => true,
            Self::Corosync => site.has_corosync(),
            Self::Tipc => !site.has_corosync(),
        }
    }
}

/// A test that takes so long hangs. Engines under emulation are slow.
const WATCHDOG: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if std::env::var_os(site::RIG).is_none() {
        println!("no engine: tests/engines/run.sh has these tests");
        return ExitCode::SUCCESS;
    }
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    let tests = [meeting::TESTS, starting::TESTS, travels::TESTS, faults::TESTS].concat();
    let (mut passed, mut failed) = (0, 0);
    for (name, need, body) in tests.iter().filter(|(name, ..)| chosen(name)) {
        let mut site = Site::new(name);
        if !need.is_met(&site) {
            continue;
        }
        print!("test {name} ... ");
        // Before the test says anything itself.
        let _ = std::io::stdout().flush();
        let began = Instant::now();
        let held = run_watched(name, move || body(&mut site));
        let time = began.elapsed().as_millis();
        println!("{} ({time} ms)", if held { "ok" } else { "FAILED" });
        passed += usize::from(held);
        failed += usize::from(!held);
    }
    println!("\ntest result: {passed} passed; {failed} failed");
    // Who has made a rig has not done so for nothing.
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a test under the watchdog; whether it passed.
fn run_watched(name: &str, body: impl FnOnce()) -> bool {
    let (done, over) = channel::<()>();
    let shown = name.to_owned();
    let watchdog = std::thread::spawn(move || {
        if over.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            println!("\ntest {shown} hangs; ending everything");
            program::give_up();
        }
    });
    let outcome = catch_unwind(AssertUnwindSafe(body));
    drop(done);
    // It ends when it has heard that.
    let _ = watchdog.join();
    outcome.is_ok()
}
