//! A daemon or a program that is stopped, and those that are not.

use crate::bed::Bed;
use crate::{Outcome, Test};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("calls_time_out_while_the_daemon_is_stopped", calls_time_out),
    ("an_open_that_timed_out_leaves_no_instance", no_instance_left),
    ("a_full_outbox_is_try_again_and_nothing_taken_is_lost", full_outbox),
    ("what_is_refused_uses_up_no_event_id", ids_without_gaps),
    ("a_stopped_program_slows_nobody", stopped_program),
];

fn calls_time_out() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    daemon.stop();
    for milliseconds in [1, 50, 200] {
        let began = Instant::now();
        program.expect(&format!("open l d psc {milliseconds}"), "Timeout");
        assert!(began.elapsed() >= Duration::from_millis(milliseconds));
    }
    program.expect("open l d psc 0", "Timeout");
    // Calls without a timeout of their own have a long one; all at once.
    for call in ["sub c 1", "unlink l c", "clear c 5000"] {
        program.ok(&format!("& {call}"));
    }
    let mut ends: Vec<_> = (0..3).map(|_| program.notice()).collect();
    ends.sort();
    assert_eq!(ends, ["done clear Timeout", "done sub Timeout", "done unlink Timeout"]);
    program.ok("local c");
    daemon.go_on();
    program.ok("sub c 1");
    // The unlink took place late: nobody knew.
    program.expect("open l c ps 60000", "NotExist");
    Ok(())
}

fn no_instance_left() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon_with("[limits]\nchannels_max = 1\n");
    let mut program = bed.ready();
    daemon.stop();
    program.expect("open l first psc 20", "Timeout");
    daemon.go_on();
    // It came to be and was closed; unlinked it is gone, as no instance holds it.
    program.ok("unlink l first");
    program.ok("open l second psc 60000");
    // The same for one that is finalized while it waits.
    program.ok("close second");
    program.ok("unlink l second");
    daemon.stop();
    program.ok("& open l third psc 600000");
    crate::bed::until(|| program.process.is_polling().then_some(()));
    program.ok("finalize l");
    program.expect_notice("done open BadHandle");
    daemon.go_on();
    // The limit is free again once the node has closed what the open had made.
    let mut other = bed.ready();
    assert_eq!(other.ask_until_not("unlink l third", "NotExist"), "ok");
    other.ok("open l fourth psc 60000");
    Ok(())
}

fn full_outbox() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon();
    let mut program = bed.ready();
    let mut subscriber = bed.ready();
    subscriber.ok("open l c sc 60000");
    subscriber.ok("sub c 1");
    subscriber.ok("& block l");
    program.ok("open l c p 60000");
    // With the first event come the identifiers for the next ones.
    program.publish("c", 3, 0, "first");
    assert_eq!(subscriber.event(), "first");
    daemon.stop();
    let mut taken = 0;
    loop {
        let answer = program.ask(&format!("padded c 2 0 n{taken} 60000"));
        if answer == "TryAgain" {
            break;
        }
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
        taken += 1;
    }
    assert!(taken > 10, "{taken}");
    // Another priority has a ring of its own.
    program.publish("c", 0, 0, "urgent");
    daemon.go_on();
    assert_eq!(subscriber.event(), "urgent");
    for number in 0..taken {
        assert_eq!(subscriber.event(), format!("n{number}"));
    }
    program.ask_until_not("pub c 2 0 last", "TryAgain");
    assert_eq!(subscriber.event(), "last");
    Ok(())
}

fn ids_without_gaps() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c pc 60000");
    // With the first event comes the block of identifiers that lasts for all.
    program.publish("c", 2, 0, "first");
    daemon.stop();
    program.ok("& insist c 1000");
    program.expect_notice("refused");
    daemon.go_on();
    program.expect_notice("done insist one after the other");
    Ok(())
}

fn stopped_program() -> Outcome {
    const EVENTS: u64 = 60_000;
    let bed = Bed::new();
    let daemon = bed.daemon();
    let mut stopped = bed.ready();
    let mut running = bed.ready();
    let mut publisher = bed.ready();
    for program in [&mut stopped, &mut running] {
        program.ok("open l c sc 60000");
        program.ok("sub c 1");
        program.ok("& block l");
    }
    publisher.ok("open l c p 60000");
    stopped.process.stop();
    // Far more than a window and a queue hold, a piece at a time, so that the one that runs misses
    // nothing.
    for first in (0..EVENTS).step_by(5000) {
        assert!(publisher.ask(&format!("storm c {first} 5000 0")).starts_with("refused"));
        for number in first..first + 5000 {
            assert_eq!(running.event(), format!("e{number}"));
        }
    }
    // A publisher that is stopped disturbs nobody either.
    publisher.process.stop();
    running.ok("open l d psc 60000");
    running.ok("sub d 2");
    let id = running.publish("d", 0, 0, "own");
    running.expect_notice(&format!("event 2 {id} 0 own"));
    publisher.process.go_on();
    stopped.process.go_on();
    publisher.publish("c", 3, 0, "end");
    let (mut last, mut lost, mut got) = (None, 0, 0);
    loop {
        let notice = stopped.notice();
        if notice == "lost 1" {
            lost += 1;
            continue;
        }
        let text = notice.rsplit_once(' ').map_or("", |(_, text)| text);
        let Ok(number) = text[1..].parse::<u64>() else { break };
        assert!(last.is_none_or(|last| last < number), "{number} after {last:?}");
        last = Some(number);
        got += 1;
    }
    assert!(lost >= 1 && (10_000..EVENTS).contains(&got), "lost {lost}, got {got}");
    assert!(daemon.descriptors() > 0);
    Ok(())
}
