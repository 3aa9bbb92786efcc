//! The daemon goes away and comes back, seen by programs.

use crate::bed::{Bed, Program, until};
use crate::{Outcome, Test};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("programs_that_only_wait_get_one_lost_event_and_go_on", programs_that_only_wait),
    ("service_calls_try_again_while_the_daemon_is_away", calls_while_away),
    ("a_selection_object_does_not_spin_while_the_daemon_is_away", no_spinning),
    ("calls_in_flight_end_as_promised_when_the_daemon_dies", calls_in_flight),
    ("a_clean_restart_is_no_loss", clean_restart),
    ("library_handles_of_one_program_come_back_together", several_handles),
];

/// A subscriber of channel `c` that waits in poll or in blocking dispatch.
fn subscriber(bed: &Bed, waits: &str) -> Program {
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.ok("sub c 7");
    program.ok(&format!("& {waits} l"));
    program
}

/// Publishes until the service takes it.
fn publish(program: &mut Program, text: &str) {
    let answer = program.ask_until_not(&format!("pub c 1 0 {text}"), "TryAgain");
    assert!(answer.parse::<u64>().is_ok(), "{answer}");
}

fn programs_that_only_wait() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let waiting = [subscriber(&bed, "poll"), subscriber(&bed, "block")];
    let mut publisher = bed.ready();
    publisher.ok("open l c p 60000");
    for round in 0..3 {
        publish(&mut publisher, &format!("before{round}"));
        for program in &waiting {
            assert_eq!(program.event(), format!("before{round}"));
        }
        // After two round trips the daemon has done with the event, and nothing is half done.
        publisher.ok(&format!("open l quiet{round} pc 60000"));
        publisher.ok(&format!("unlink l quiet{round}"));
        daemon.kill();
        daemon = bed.daemon();
        for program in &waiting {
            program.expect_notice("lost 7");
        }
        publish(&mut publisher, &format!("after{round}"));
        for program in &waiting {
            assert_eq!(program.event(), format!("after{round}"));
        }
    }
    for program in waiting {
        assert_eq!(program.kill(), [""; 0]);
    }
    Ok(())
}

fn calls_while_away() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.ok("open l d psc 60000");
    program.ok("sub c 7");
    let kept = program.publish("c", 0, 600_000, "kept");
    program.ok("init other");
    daemon.kill();
    for call in [
        "open l e psc 60000",
        "openasync l f psc",
        "sub c 8",
        "unsub c 7",
        "unlink l c",
        &format!("clear c {kept}"),
        "pub c 0 0 live",
        "pub c 0 1000 retained",
        "init third",
    ] {
        program.expect(call, "TryAgain");
    }
    for call in ["local c", "object l", "limit l", "dispatch l all", "close d", "finalize other"] {
        program.ok(call);
    }
    let _daemon = bed.daemon();
    assert_eq!(program.ask_until_not(&format!("clear c {kept}"), "TryAgain"), "ok");
    program.ok("& poll l");
    // The event may have been unread in the window: it was sent before the daemon died.
    let mut notices = vec![program.notice(), program.notice()];
    notices.sort();
    assert!(notices[0].ends_with(" kept"), "{notices:?}");
    assert_eq!(notices[1], "lost 7");
    program.ok("sub c 8");
    program.ok("open l e psc 60000");
    program.ok("unlink l c");
    program.expect("sub d 1", "BadHandle");
    Ok(())
}

fn no_spinning() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = subscriber(&bed, "poll");
    let wakes = |program: &mut Program| -> u64 {
        let answer = program.ask("wakes");
        answer.split(' ').next().and_then(|number| number.parse().ok()).expect("two numbers")
    };
    let before = wakes(&mut program);
    let began = Instant::now();
    daemon.kill();
    // Pauses of 50, 100, 200, 400, 800 ms are between the retries. A few more wake-ups are
    // tolerated: the hang-up, and what the first look finds.
    const TOLERATED: u64 = 3;
    let woken = until(|| Some(wakes(&mut program) - before).filter(|woken| *woken >= 8));
    let schedule = [50, 100, 200, 400, 800];
    let retries = (woken - TOLERATED).min(schedule.len() as u64) as usize;
    let least = Duration::from_millis(schedule[..retries - 1].iter().sum());
    assert!(began.elapsed() >= least, "{woken} wake-ups in {:?}", began.elapsed());
    let _daemon = bed.daemon();
    program.expect_notice("lost 7");
    Ok(())
}

fn calls_in_flight() -> Outcome {
    for (call, answer) in [
        ("open l d psc 60000", "TryAgain"),
        ("sub c 8", "TryAgain"),
        ("unsub c 7", "ok"),
        ("unlink l c", "Timeout"),
        ("clear c 123456789", "Timeout"),
        ("init other", "TryAgain"),
    ] {
        let bed = Bed::new();
        let mut daemon = bed.daemon();
        let mut program = bed.ready();
        program.ok("open l c psc 60000");
        program.ok("sub c 7");
        daemon.stop();
        program.ok("openasync l f psc");
        program.ok(&format!("& {call}"));
        until(|| program.process.is_polling().then_some(()));
        daemon.kill();
        let (mut open, mut call_ended) = (false, false);
        program.ok("& poll l");
        while !(open && call_ended) {
            let notice = program.notice();
            open |= notice == "opened f TryAgain";
            call_ended |= notice.starts_with("done ");
            if notice.starts_with("done ") {
                let word = call.split(' ').next().unwrap_or_default();
                assert_eq!(notice, format!("done {word} {answer}"));
            }
        }
    }
    Ok(())
}

fn clean_restart() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut waiting = [subscriber(&bed, "poll"), subscriber(&bed, "block")];
    let mut publisher = bed.ready();
    publisher.ok("open l c p 60000");
    let connected = daemon.descriptors();
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    daemon = bed.daemon();
    // The publisher comes back with this call, the others by themselves.
    assert_eq!(publisher.ask_until_not("open l d pc 60000", "TryAgain"), "ok");
    until(|| (daemon.descriptors() == connected).then_some(()));
    // They are on their way back. A call of theirs is served when the last step has been taken:
    // what is published before that would rightly be a loss.
    for program in &mut waiting {
        assert_eq!(program.ask_until_not("open l e pc 60000", "TryAgain"), "ok");
    }
    publish(&mut publisher, "after");
    for program in &waiting {
        assert_eq!(program.event(), "after");
    }
    Ok(())
}

fn several_handles() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.program();
    for handle in 0..5 {
        program.ok(&format!("init l{handle}"));
        program.ok(&format!("open l{handle} c=c{handle} psc 60000"));
        program.ok(&format!("sub c{handle} {handle}"));
        program.ok(&format!("& {} l{handle}", if handle % 2 == 0 { "poll" } else { "block" }));
    }
    daemon.kill();
    daemon = bed.daemon();
    let mut notices: Vec<_> = (0..5).map(|_| program.notice()).collect();
    notices.sort();
    assert_eq!(notices, ["lost 0", "lost 1", "lost 2", "lost 3", "lost 4"]);
    program.ask_until_not("pub c0 0 0 on", "TryAgain");
    for _ in 0..5 {
        assert_eq!(program.event(), "on");
    }
    program.ok("finalize l1");
    program.expect_notice("done block ok");
    daemon.kill();
    Ok(())
}
