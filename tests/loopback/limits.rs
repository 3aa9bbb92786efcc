//! Each limit through a daemon that has it small: what is just allowed, and the code beyond.

use crate::bed::{Bed, Process, Program};
use crate::{Outcome, Test};
use SaEvt::evt::{Attributes, Name};

pub(crate) const TESTS: &[Test] = &[
    ("counts_of_channels_handles_and_subscriptions_are_bounded", counts),
    ("programs_are_bounded", programs),
    ("filter_bytes_are_bounded", filter_bytes),
    ("retained_events_are_bounded", retained_events),
    ("retained_bytes_are_bounded", retained_bytes),
    ("events_that_lapse_give_their_room_back", short_retention),
    ("sizes_of_events_and_patterns_are_bounded", sizes),
    ("events_of_a_mebibyte_pass_through_larger_rings", mebibyte),
    ("a_full_queue_drops_the_newest_of_the_lowest_priority", overflow),
    ("what_lower_limits_forbid_is_told_as_lost", lower_limits),
    ("the_bytes_of_a_queue_are_bounded_to_the_last", queue_bytes),
];

const MINUTES: u64 = 600_000;

/// A daemon with these limits, and a program with channel `c`.
fn limited(bed: &Bed, limits: &str) -> (Process, Program) {
    let daemon = bed.daemon_with(&format!("[limits]\n{limits}\n"));
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    (daemon, program)
}

fn counts() -> Outcome {
    let bed = Bed::new();
    let limits = "channels_max = 2\nlibraries_per_process_max = 2\n\
                  instances_per_process_max = 3\nsubscriptions_per_instance_max = 2";
    let (_daemon, mut program) = limited(&bed, limits);
    let mut other = bed.ready();
    other.ok("open l second psc 60000");
    other.expect("open l third psc 60000", "NoResources");
    // Unlinked and still open counts; unlinked and closed does not.
    other.ok("unlink l second");
    other.expect("open l third psc 60000", "NoResources");
    other.ok("close second");
    other.ok("open l third psc 60000");

    program.ok("init m");
    program.expect("init n", "NoResources");
    program.ok("finalize m");
    program.ok("init n");

    program.ok("open n c=two s 60000");
    program.ok("open l c=three s 60000");
    program.expect("open l c=four s 60000", "NoResources");
    other.ok("open l c=own s 60000");
    program.ok("close three");
    program.ok("open l c=four s 60000");

    program.ok("sub c 1");
    program.ok("sub c 2");
    program.expect("sub c 3", "NoResources");
    program.expect("sub c 2", "Exist");
    program.ok("sub two 1");
    program.ok("unsub c 1");
    program.ok("sub c 3");
    program.expect("unsub c 1", "NotExist");
    Ok(())
}

fn programs() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon_with("[limits]\nprocesses_max = 2\n");
    let one = bed.ready();
    let _two = bed.ready();
    let mut three = bed.program();
    three.expect("init l", "NoResources");
    one.kill();
    assert_eq!(three.ask_until_not("init l", "NoResources"), "ok");
    Ok(())
}

fn filter_bytes() -> Outcome {
    let bed = Bed::new();
    let (_daemon, mut program) = limited(&bed, "filter_bytes_per_process_max = 2000");
    let long = "x".repeat(200);
    let mut taken = 0;
    while program.ask(&format!("sub c {taken} {long}")) == "ok" {
        taken += 1;
        assert!(taken < 11, "more than the limit was taken");
    }
    program.expect(&format!("sub c 99 {long}"), "NoResources");
    assert!(taken >= 5, "{taken}");
    program.ok("unsub c 0");
    program.ok(&format!("sub c 99 {long}"));
    // Each program has its own account.
    let mut other = bed.ready();
    other.ok("open l c s 60000");
    other.ok(&format!("sub c 0 {long}"));
    Ok(())
}

fn retained_events() -> Outcome {
    for limit in ["retained_events_max = 3", "retained_events_per_user_max = 3"] {
        let bed = Bed::new();
        let (_daemon, mut program) = limited(&bed, limit);
        let ids = ["a", "b", "c"].map(|text| program.publish("c", 3, MINUTES, text));
        program.expect("pub c 3 600000 d", "NoResources");
        program.publish("c", 3, 0, "live");
        // Another program of the same user has no room either, until some is made.
        let mut other = bed.ready();
        other.ok("open l c p 60000");
        other.expect("pub c 3 600000 d", "NoResources");
        program.ok(&format!("clear c {}", ids[0]));
        other.publish("c", 3, MINUTES, "e");
        program.expect("pub c 3 600000 f", "NoResources");
        // An event that lapses makes room by itself.
        program.ok(&format!("clear c {}", ids[1]));
        program.publish("c", 3, 10, "short");
        assert!(program.ask_until_not("pub c 3 600000 g", "NoResources").parse::<u64>().is_ok());
    }
    Ok(())
}

fn retained_bytes() -> Outcome {
    let bed = Bed::new();
    let (_daemon, mut program) = limited(&bed, "retained_bytes_max = 100000");
    let mut ids = Vec::new();
    let last = loop {
        let answer = program.ask(&format!("padded c 3 {MINUTES} n 20000"));
        match answer.parse::<u64>() {
            Ok(id) => ids.push(id),
            Err(_) => break answer,
        }
    };
    assert_eq!(last, "NoResources");
    assert_eq!(ids.len(), 4, "of 20000 bytes and what belongs to them");
    program.ok(&format!("clear c {}", ids[0]));
    assert!(program.ask(&format!("padded c 3 {MINUTES} n 20000")).parse::<u64>().is_ok());
    Ok(())
}

/// Many times what the store holds, each event for a moment. Room that was not given back would be
/// missing in the end, when the store takes just as much as at first.
fn short_retention() -> Outcome {
    let bed = Bed::new();
    let (_daemon, mut program) = limited(&bed, "retained_bytes_max = 100000");
    for number in 0..200 {
        let command = format!("padded c 3 10 n{number} 20000");
        let answer = program.ask_until_not(&command, "NoResources");
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
    }
    let command = format!("padded c 3 {MINUTES} n 20000");
    for _ in 0..4 {
        let answer = program.ask_until_not(&command, "NoResources");
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
    }
    program.expect(&command, "NoResources");
    Ok(())
}

fn sizes() -> Outcome {
    let bed = Bed::new();
    let limits = "event_bytes_max = 1000\npattern_bytes_max = 10\npatterns_max = 2\n\
                  retention_max_seconds = 2";
    let (_daemon, mut program) = limited(&bed, limits);
    program.ok("sub c 1");
    program.ok("& block l");
    let id = program.ask("padded c 3 0 whole 1000");
    program.expect_notice(&format!("event 1 {id} 3 whole"));
    program.expect("padded c 3 0 more 1001", "TooBig");
    program.publish("c", 3, 0, &"p".repeat(10));
    program.expect(&format!("pub c 3 0 {}", "p".repeat(11)), "TooBig");
    program.publish("c", 3, 2000, "short");
    program.expect("pub c 3 2001 long", "TooBig");
    program.ok(&format!("sub c 2 {} b", "p".repeat(10)));
    program.expect("sub c 3 a b c", "TooBig");
    program.expect(&format!("sub c 3 {}", "p".repeat(11)), "TooBig");
    Ok(())
}

fn mebibyte() -> Outcome {
    let bed = Bed::new();
    let configuration = "[limits]\nevent_bytes_max = 1048576\n\
                         [link]\noutbox_bytes = 8388608\ninbox_bytes = 8388608\n";
    let _daemon = bed.daemon_with(configuration);
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.ok("sub c 1");
    program.ok("& block l");
    for number in 0..40 {
        let command = format!("padded c 3 0 n{number} 1048576");
        program.ask_until_not(&command, "TryAgain").parse::<u64>().map_err(|_| "refused")?;
        assert_eq!(program.event(), format!("n{number}"));
    }
    program.expect("padded c 3 0 more 1048577", "TooBig");
    Ok(())
}

/// The window holds some events of each priority and the queue behind it ten, of all priorities. So
/// what is known from outside: those that were published first at each priority, and of those that
/// came to the full queue only the urgent ones.
fn overflow() -> Outcome {
    const EACH: usize = 300;
    let bed = Bed::new();
    let configuration = "[limits]\nqueue_events_max = 10\nevent_bytes_max = 8192\n\
                         [link]\ninbox_bytes = 65536\noutbox_bytes = 65536\n";
    let _daemon = bed.daemon_with(configuration);
    let mut subscriber = bed.ready();
    subscriber.ok("open l c sc 60000");
    subscriber.ok("sub c 1");
    let mut program = bed.ready();
    program.ok("open l c pc 60000");
    for number in 0..EACH {
        let command = format!("padded c 3 0 low{number} 4000");
        program.ask_until_not(&command, "TryAgain").parse::<u64>().map_err(|_| "refused")?;
    }
    // More urgent ones than its window holds, and fewer than its window and the queue.
    for number in 0..20 {
        let command = format!("padded c 1 0 high{number} 4000");
        program.ask_until_not(&command, "TryAgain").parse::<u64>().map_err(|_| "refused")?;
    }
    // A round trip behind them: they have arrived.
    program.ok("open l d pc 60000");
    subscriber.ok("dispatch l all");
    // A ring that came late makes it readable once more for nothing.
    subscriber.ok("dispatch l all");
    let notices = subscriber.finish();
    assert_eq!(notices.first().map(String::as_str), Some("lost 1"), "it is the most urgent");
    assert_eq!(notices.iter().filter(|notice| *notice == "lost 1").count(), 1);
    let texts = |letter: &str| -> Vec<&str> {
        let texts = notices.iter().filter_map(|notice| Some(notice.rsplit_once(' ')?.1));
        texts.filter(|text| text.starts_with(letter)).collect()
    };
    let (high, low) = (texts("high"), texts("low"));
    let wanted = |letter: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{letter}{number}")).collect()
    };
    assert_eq!(high, wanted("high", 20), "urgent events push out others");
    // A window of 64 KiB holds 15 such events; the queue held ten, less those that were pushed out.
    assert_eq!(low, wanted("low", low.len()), "the oldest stay");
    assert!(low.len() >= 15 && low.len() < 25, "{}", low.len());
    Ok(())
}

/// What a subscriber that does not read in time gets of so many events, the last of them so many
/// bytes longer than the others; and whether it is told of a loss.
fn unread(configuration: &str, count: usize, longer: usize) -> (usize, bool) {
    let bed = Bed::new();
    let rings = "event_bytes_max = 8192\n[link]\ninbox_bytes = 65536\noutbox_bytes = 65536\n";
    let _daemon = bed.daemon_with(&format!("[limits]\n{configuration}\n{rings}"));
    let mut subscriber = bed.ready();
    subscriber.ok("open l c sc 60000");
    subscriber.ok("sub c 1");
    let mut program = bed.ready();
    program.ok("open l c p 60000");
    for number in 1..=count {
        let bytes = QUEUED_BYTES + if number == count { longer } else { 0 };
        let answer = program.ask_until_not(&format!("padded c 3 0 n {bytes}"), "TryAgain");
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
    }
    // A round trip behind them: they have arrived.
    program.ok("unlink l c");
    subscriber.ok("dispatch l all");
    let notices = subscriber.finish();
    let (lost, events): (Vec<_>, Vec<_>) = notices.iter().partition(|notice| *notice == "lost 1");
    (events.len(), !lost.is_empty())
}

/// Bytes of data of an event in [`queue_bytes`].
const QUEUED_BYTES: usize = 4000;

fn queue_bytes() -> Outcome {
    const QUEUED: usize = 10;
    let packed = Attributes::pack(&Name::EMPTY, std::iter::once(&b"n"[..]));
    let attributes = packed.map_err(|error| error.to_string())?.packed().len();
    // The window of a reader that does not read, and one event behind it.
    let (got, lost) = unread("queue_events_max = 1", 100, 0);
    assert!(lost && got > 1);
    let all = got - 1 + QUEUED;
    let limit = format!("queue_bytes_max = {}", QUEUED * (attributes + QUEUED_BYTES));
    assert_eq!(unread(&limit, all, 0), (all, false));
    assert_eq!(unread(&limit, all, 1), (all - 1, true), "one byte more");
    assert_eq!(unread(&limit, all + 1, 0), (all, true), "one event more");
    Ok(())
}

/// Programs that go on over a restart keep the limits that they began with.
fn lower_limits() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut subscriber = bed.ready();
    subscriber.ok("open l c sc 60000");
    subscriber.ok("sub c 1");
    let mut program = bed.ready();
    program.ok("open l c pc 60000");
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    daemon.wait();
    let limits = "event_bytes_max = 1000\npattern_bytes_max = 10\npatterns_max = 1\n";
    let _daemon = bed.daemon_with(&format!("[limits]\n{limits}"));
    let long = "p".repeat(100);
    for beyond in ["padded c 3 0 n 5000", "padded c 3 60000 n 5000", &format!("pub c 3 0 {long}")] {
        let answer = program.ask_until_not(beyond, "TryAgain");
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
        // A round trip behind it: it has arrived.
        assert_eq!(program.ask_until_not("open l c=again p 60000", "TryAgain"), "ok");
        program.ok("close again");
        assert_eq!(subscriber.ask_until_not("dispatch l one", "TryAgain"), "ok");
        subscriber.expect_notice("lost 1");
    }
    program.publish("c", 3, 0, "after");
    subscriber.ok("& block l");
    assert_eq!(subscriber.event(), "after");
    assert_eq!(bed.log().matches("are lost").count(), 1, "{}", bed.log());
    assert!(!bed.log().contains("dropped"), "{}", bed.log());
    // Who comes now has the limits of now.
    let mut fresh = bed.ready();
    fresh.ok("open l c p 60000");
    fresh.expect("padded c 3 0 n 5000", "TooBig");
    Ok(())
}
