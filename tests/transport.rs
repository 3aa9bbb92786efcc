//! One suite for all transports: what `src/transport/mod.rs` promises, tried on each of them.
//!
//! Run by cargo it tries the transports that need no engine. With `SAEVT_TRANSPORT_RIG` it tries
//! the one whose rig that is, a program that takes these orders: `in NODE COMMAND...` runs a
//! command on a node, `kill NODE` and `start NODE` end and start the engine there, `cut NODE` and
//! `join NODE` take the node off the network and back; see tests/engines. Members of a rig are
//! processes: this same binary, with `SAEVT_TRANSPORT_MEMBER` set, told on its standard input what
//! to do. Tests wait for what members hear, never for a time; one watchdog ends a test that hangs.
//! Words as arguments choose the tests whose names contain one.
#![allow(clippy::disallowed_methods)] // Threads and clocks of the tests.
#![forbid(unsafe_code)]

/// The tests of a file: each with what it needs beside one node.
macro_rules! tests {
    ($($name:ident: [$($need:ident),*],)*) => {
        pub(crate) const TESTS: &[crate::Test] =
            &[$((stringify!($name), &[$(crate::bed::Need::$need),*], $name),)*];
    };
}

#[path = "transport/bed.rs"]
mod bed;
#[path = "transport/changes.rs"]
mod changes;
#[path = "transport/field.rs"]
mod field;
#[path = "transport/frames.rs"]
mod frames;
#[path = "transport/member.rs"]
mod member;
#[path = "transport/messages.rs"]
mod messages;
#[path = "transport/rig.rs"]
mod rig;

use SaEvt::transport::Order;
use bed::{Alone, Bed, Need, Simulated};
use field::Field;
use rig::Rig;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A test: its name, what it needs beside one node, and what it does.
type Test = (&'static str, &'static [Need], fn(&mut Field<'_>));

/// A test that takes so long hangs. Engines under emulation are slow.
const WATCHDOG: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    if std::env::var_os(rig::MEMBER).is_some() {
        return member::run();
    }
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let tests = [messages::TESTS, changes::TESTS].concat();
    let mut beds: Vec<Box<dyn Bed>> = match Rig::from_environment() {
        Some(rig) => vec![Box::new(rig)],
        None => vec![
            Box::new(Alone::default()),
            Box::new(Simulated::new("sim", Order::Publisher)),
            Box::new(Simulated::new("sim_ordered", Order::Total)),
        ],
    };
    let ended = run_all(&mut beds, &tests, &chosen);
    // Who has made a rig has not done so for nothing.
    let is_any = tests.iter().any(|test| chosen(&format!("{}_{}", beds[0].name(), test.0)));
    if beds[0].offers(Need::ThreeNodes) && !is_any { ExitCode::FAILURE } else { ended }
}

fn run_all(beds: &mut [Box<dyn Bed>], tests: &[Test], chosen: &dyn Fn(&str) -> bool) -> ExitCode {
    let is_listing = std::env::args().any(|word| word == "--list");
    let (mut passed, mut failed) = (0, Vec::new());
    for bed in beds {
        for (name, needs, body) in tests {
            let shown = format!("{}_{name}", bed.name());
            if !chosen(&shown) || !needs.iter().all(|need| bed.offers(*need)) {
                continue;
            }
            if is_listing {
                println!("{shown}: test");
                continue;
            }
            print!("test {shown} ... ");
            // Before the test says anything itself.
            let _ = std::io::stdout().flush();
            let began = Instant::now();
            let result = run_watched(&shown, bed.as_mut(), *body);
            println!(
                "{} ({} ms)",
                if result { "ok" } else { "FAILED" },
                began.elapsed().as_millis()
            );
            if result {
                passed += 1;
            } else {
                failed.push(shown);
            }
        }
    }
    if is_listing {
        return ExitCode::SUCCESS;
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    failed.iter().for_each(|name| println!("failed: {name}"));
    println!("\ntest result: {result}. {passed} passed; {} failed", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a test under the watchdog; whether it passed.
fn run_watched(name: &str, bed: &mut dyn Bed, body: fn(&mut Field<'_>)) -> bool {
    let (done, over) = channel::<()>();
    let shown = name.to_owned();
    let watchdog = std::thread::spawn(move || {
        if over.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            println!("\ntest {shown} hangs; ending everything");
            rig::kill_everybody();
            std::process::exit(101);
        }
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut field = Field::new(bed);
        let result = catch_unwind(AssertUnwindSafe(|| body(&mut field)));
        if result.is_err() {
            field.tell();
        }
        result.is_ok()
    }));
    bed.clear();
    drop(done);
    watchdog.join().is_ok() && result.unwrap_or(false)
}
