//! Failure and life cycle, with real daemons and real programs on this machine.
//!
//! The binary plays two parts: run by cargo it is the tests, and run by a test, with
//! `SAEVT_LOOPBACK_PROGRAM` set, it is a program that uses the library and does what the test tells
//! it on its standard input. Tests wait on what programs say, never for a time; one watchdog ends
//! a test that hangs. `cargo test --test loopback -- WORD...` runs the tests whose names contain a
//! word.
#![allow(clippy::disallowed_methods)] // Threads and clocks of the tests.
#![forbid(unsafe_code)]

#[path = "loopback/autostart.rs"]
mod autostart;
#[path = "loopback/bed.rs"]
mod bed;
#[path = "loopback/clients.rs"]
mod clients;
#[path = "loopback/configuration.rs"]
mod configuration;
#[path = "loopback/journal.rs"]
mod journal;
#[path = "loopback/killing.rs"]
mod killing;
#[path = "loopback/limits.rs"]
mod limits;
#[path = "loopback/metrics.rs"]
mod metrics;
#[path = "loopback/moving.rs"]
mod moving;
#[path = "loopback/output.rs"]
mod output;
#[path = "loopback/policy.rs"]
mod policy;
#[path = "loopback/program.rs"]
mod program;
#[path = "loopback/restart.rs"]
mod restart;
#[path = "loopback/seed.rs"]
mod seed;
#[path = "loopback/sharing.rs"]
mod sharing;
#[path = "loopback/silent.rs"]
mod silent;
#[path = "loopback/state.rs"]
mod state;
#[path = "loopback/stopped.rs"]
mod stopped;

use std::io::Write as _;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A test: its name and what it does. `Err` says why it cannot run here.
type Test = (&'static str, fn() -> Outcome);
/// How a test ends when it does not fail.
type Outcome = Result<(), String>;

/// A test that takes so long hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    if std::env::var_os(bed::ROLE).is_some() {
        return program::run();
    }
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let all: Vec<Test> = [
        configuration::TESTS,
        limits::TESTS,
        restart::TESTS,
        state::TESTS,
        killing::TESTS,
        clients::TESTS,
        stopped::TESTS,
        sharing::TESTS,
        silent::TESTS,
        output::TESTS,
        autostart::TESTS,
        moving::TESTS,
        policy::TESTS,
        metrics::TESTS,
        journal::TESTS,
    ]
    .concat();
    let chosen = |test: &&Test| words.is_empty() || words.iter().any(|word| test.0.contains(word));
    let tests: Vec<&Test> = all.iter().filter(chosen).collect();
    if std::env::args().any(|word| word == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", tests.len());
    let mut failed = Vec::new();
    for (name, body) in &tests {
        let began = Instant::now();
        print!("test {name} ... ");
        // Before the test says anything itself.
        let _ = std::io::stdout().flush();
        let result = match run_watched(name, *body) {
            Ok(Ok(())) => "ok".to_owned(),
            Ok(Err(why)) => format!("ok\nskip: {name}: {why}"),
            Err(()) => {
                failed.push(*name);
                "FAILED".to_owned()
            }
        };
        println!("{result} ({} ms)", began.elapsed().as_millis());
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    failed.iter().for_each(|name| println!("failed: {name}"));
    let passed = tests.len() - failed.len();
    println!("\ntest result: {result}. {passed} passed; {} failed", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a test under the watchdog. `Err`: it panicked, and said so.
fn run_watched(name: &'static str, body: fn() -> Outcome) -> Result<Outcome, ()> {
    let (done, over) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if over.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            println!("\ntest {name} hangs; ending everything");
            bed::kill_everybody();
            std::process::exit(101);
        }
    });
    let result = catch_unwind(body);
    drop(done);
    watchdog.join().map_err(|_| ())?;
    result.map_err(|_| ())
}
