//! A daemon that listens and says nothing: who waits for it, and who does not.

use crate::bed::{Bed, Program, until};
use crate::{Outcome, Test};
use SaEvt::sys::{descriptor, socket};
use nix::libc;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

pub(crate) const TESTS: &[Test] = &[
    ("a_library_handle_ends_while_another_waits_for_the_daemon", ends_meanwhile),
    ("library_handles_that_are_made_at_once_share_one_link", one_link),
    ("an_attempt_that_fails_has_failed_for_all_who_wait", one_failure),
    ("the_timeout_of_an_open_counts_from_the_call", open_times_out),
];

/// Library handles that are made at once.
const AT_ONCE: usize = 8;

/// Listens where a daemon would.
fn listen(bed: &Bed) -> OwnedFd {
    // The name that a killed daemon has left; there need not be one.
    let _ = std::fs::remove_file(bed.socket());
    socket::listen(&bed.socket()).expect("the place is free")
}

/// The next connection that somebody makes.
fn accept(listener: &OwnedFd) -> OwnedFd {
    until(|| socket::accept(listener.as_fd()).expect("it listens"))
}

fn has_hung_up(connection: &OwnedFd) -> bool {
    let number = connection.as_raw_fd();
    let events = descriptor::poll([(number, libc::POLLRDHUP)], Some(0)).expect("poll works");
    events != [0]
}

/// Lets a thread of the program make a library handle until that connects: it has to notice first
/// that the last daemon is gone, and is not to try too often.
fn initialize(program: &mut Program, silent: &OwnedFd) -> OwnedFd {
    loop {
        program.ok("& init m");
        let connection = until(|| match socket::accept(silent.as_fd()).expect("it listens") {
            Some(connection) => Some(Some(connection)),
            None => program.rest().first().map(|notice| {
                assert_eq!(notice, "done init TryAgain");
                None
            }),
        });
        if let Some(connection) = connection {
            return connection;
        }
    }
}

fn ends_meanwhile() -> Outcome {
    // Whoever makes a handle gives up after some seconds, and on a busy host that may be before the
    // other one has ended: then nothing is known, and it is tried again.
    until(|| {
        let bed = Bed::new();
        let mut daemon = bed.daemon();
        let mut program = bed.ready();
        daemon.kill();
        let silent = listen(&bed);
        let connection = initialize(&mut program, &silent);
        program.ok("finalize l");
        let shown = (!has_hung_up(&connection)).then_some(());
        drop(connection);
        program.expect_notice("done init TryAgain");
        shown
    });
    Ok(())
}

/// Starts to make library handles, and waits until one thread is at it and all others wait for it.
fn all_at_once(program: &mut Program) {
    for number in 0..AT_ONCE {
        program.ok(&format!("& init l{number}"));
    }
    let waits = || {
        let in_call = |call| program.process.waiting_in(call);
        in_call(libc::SYS_poll) == 1 && in_call(libc::SYS_futex) == AT_ONCE - 1
    };
    // Twice, as a thread that begins may wait for another thing for a moment.
    until(|| (waits() && waits()).then_some(()));
}

fn one_link() -> Outcome {
    const PROCESS: usize = 5;
    const HANDLE: usize = 2;
    let bed = Bed::new();
    let daemon = bed.daemon();
    let mut program = bed.program();
    program.expect("finalize l", "BadHandle");
    let before = program.process.descriptors();
    daemon.stop();
    all_at_once(&mut program);
    daemon.go_on();
    let mut made = 0;
    for _ in 0..AT_ONCE {
        match program.notice().as_str() {
            "done init ok" => made += 1,
            // On a busy host the daemon may be too late for it.
            notice => assert_eq!(notice, "done init TryAgain"),
        }
    }
    program.ok("init last");
    let wanted = before + PROCESS + HANDLE * (made + 1);
    assert_eq!(program.process.descriptors(), wanted, "of one link and {made} handles");
    Ok(())
}

fn one_failure() -> Outcome {
    let bed = Bed::new();
    let silent = listen(&bed);
    let mut program = bed.program();
    all_at_once(&mut program);
    drop(accept(&silent));
    for _ in 0..AT_ONCE {
        program.expect_notice("done init TryAgain");
    }
    let second = socket::accept(silent.as_fd()).map_err(|error| error.to_string())?;
    assert!(second.is_none(), "nobody has tried for himself");
    drop(silent);
    std::fs::remove_file(bed.socket()).map_err(|error| error.to_string())?;
    let _daemon = bed.daemon();
    program.ok("init l");
    Ok(())
}

fn open_times_out() -> Outcome {
    // As above: whoever waits without a timeout of its own gives up later, and began earlier.
    until(|| {
        let bed = Bed::new();
        let mut daemon = bed.daemon();
        let mut waiting = bed.ready();
        let mut program = bed.ready();
        daemon.kill();
        let silent = listen(&bed);
        let connection = initialize(&mut waiting, &silent);
        // Twice in the time that the other one takes once. Some attempts come too early after the
        // last one.
        for _ in 0..2 {
            assert_eq!(program.ask_until_not("open l c psc 300", "TryAgain"), "Timeout");
        }
        let shown = (!has_hung_up(&connection)).then_some(());
        drop((connection, silent));
        std::fs::remove_file(bed.socket()).expect("it is there");
        let _daemon = bed.daemon();
        assert_eq!(program.ask_until_not("open l c psc 60000", "TryAgain"), "ok");
        shown
    });
    Ok(())
}
