//! What becomes of the service when programs, daemons, engines and networks fail.

use crate::meeting::{check_order, publisher, subscriber};
use crate::program::{NOT_EXIST, OK, Program, TIMEOUT, TRY_AGAIN, Told, UNAVAILABLE};
use crate::site::Site;
use crate::{Need, Test};
use nix::sys::signal::Signal;

pub(crate) const TESTS: &[Test] = &[
    ("a_killed_program_leaves_nothing", Need::Nothing, a_killed_program_leaves_nothing),
    ("a_killed_daemon_comes_back", Need::Nothing, a_killed_daemon_comes_back),
    (
        "a_daemon_that_ends_in_order_is_no_loss",
        Need::Nothing,
        a_daemon_that_ends_in_order_is_no_loss,
    ),
    ("a_stopped_daemon_stops_nobody", Need::Nothing, a_stopped_daemon_stops_nobody),
    ("a_node_that_is_cut_off_comes_back", Need::Nothing, a_node_that_is_cut_off_comes_back),
    ("an_engine_that_is_killed_comes_back", Need::Corosync, an_engine_that_is_killed_comes_back),
    ("the_whole_cluster_is_restarted", Need::Nothing, the_whole_cluster_is_restarted),
    (
        "a_node_without_quorum_serves_nobody_of_b03",
        Need::Corosync,
        a_node_without_quorum_serves_nobody_of_b03,
    ),
];

const MINUTE: u64 = 60_000;

/// Publishes until a subscriber gets what was published last; `next` is the first number. What was
/// published before all know of each other again may be lost, and is announced then.
fn talk(source: &mut Program, taker: &mut Program, next: &mut u64) {
    loop {
        let wanted = *next;
        *next += 1;
        source.insist(&format!("pub c 2 0 100 {wanted}"));
        if taker.hears(wanted) {
            return;
        }
    }
}

fn a_killed_program_leaves_nothing(site: &mut Site) {
    site.start_all();
    let mut taker = subscriber(site, 2, "c");
    let mut source = publisher(site, 1, "c");
    let other = publisher(site, 3, "c");
    source.must("unlink c");
    other.kill();
    source.publish("c 2 0 100 1");
    taker.await_number(1);
    source.kill();
    drop(taker);
    // Nobody has it open any more: a new one of the name is another.
    let mut anew = site.program(3).ready();
    assert_eq!(anew.ask("open c s 5000"), NOT_EXIST);
    anew.must("open c sc 5000");
    anew.must("sub c 1");
    let mut source = publisher(site, 1, "c");
    source.publish("c 2 0 100 2");
    anew.await_number(2);
    assert_eq!(anew.numbers(), [2]);
}

fn a_killed_daemon_comes_back(site: &mut Site) {
    site.start_all();
    let mut takers: Vec<Program> = (1..=3).map(|node| subscriber(site, node, "c")).collect();
    let mut sources: Vec<Program> = (1..=3).map(|node| publisher(site, node, "c")).collect();
    let kept = sources[1].publish(&format!("c 1 {MINUTE} 50 9000000"));
    for taker in &mut takers {
        taker.await_number(9_000_000);
    }
    for (source, first) in sources.iter_mut().zip([1_000_000, 2_000_000, 3_000_000]) {
        source.begin(&format!("burst c {first} 3000 64"));
    }
    takers[0].await_number(2_000_100);
    site.end(2, Signal::SIGKILL);
    site.start(2);
    for source in &mut sources {
        assert_eq!(source.answer().0, OK);
    }
    site.await_members(&[1, 2, 3]);
    for (node, taker) in (1_usize..).zip(&mut takers) {
        let last = |number: u64| number * 1_000_000 + 2999;
        // The end of its own burst came after the restart, so it is heard by all who are back.
        talk_all(&mut sources, taker, node as u64);
        check_order(&taker.told);
        let numbers = taker.numbers();
        let whole = (1..=3).all(|source| numbers.contains(&last(source)));
        assert!(whole || taker.has_lost(), "node {node}");
        assert!(taker.has_lost(), "node {node} has not heard of the end of node 2");
        // What is retained came once.
        assert_eq!(numbers.iter().filter(|number| **number == 9_000_000).count(), 1);
    }
    sources[1].must(&format!("clear c {kept}"));
}

/// All sources are heard by a subscriber.
fn talk_all(sources: &mut [Program], taker: &mut Program, round: u64) {
    for (source, at) in sources.iter_mut().zip(1..) {
        // Numbers that none of the other rounds and bursts has.
        let mut next = (10 * round + at) * 100_000_000;
        talk(source, taker, &mut next);
    }
}

fn a_daemon_that_ends_in_order_is_no_loss(site: &mut Site) {
    site.start_all();
    let mut taker = subscriber(site, 3, "c");
    let mut source = publisher(site, 2, "c");
    source.begin("burst c 0 1000 64");
    assert_eq!(source.answer().0, OK);
    site.end(2, Signal::SIGTERM);
    taker.await_number(999);
    site.await_members(&[1, 3]);
    site.start(2);
    site.await_members(&[1, 2, 3]);
    source.insist("pub c 2 0 100 1000");
    taker.await_number(1000);
    assert_eq!(taker.numbers(), (0..=1000).collect::<Vec<_>>());
    assert!(!taker.has_lost());
}

fn a_stopped_daemon_stops_nobody(site: &mut Site) {
    site.start_all();
    let mut source = publisher(site, 1, "c");
    let mut taker = subscriber(site, 3, "c");
    let mut there = subscriber(site, 2, "c");
    site.freeze(2, true);
    source.must("open other psc 30000");
    source.publish("c 2 0 100 1");
    taker.await_number(1);
    let mut third = site.program(3).ready();
    third.must("unlink other");
    site.freeze(2, false);
    site.await_members(&[1, 2, 3]);
    let mut second = site.program(2).ready();
    assert_eq!(second.ask("open other s 10000"), NOT_EXIST);
    // It was gone on without, and has heard of it.
    let mut next = 2;
    talk(&mut source, &mut there, &mut next);
    check_order(&there.told);
}

fn a_node_that_is_cut_off_comes_back(site: &mut Site) {
    site.needs_quorum = false;
    site.start_all();
    let mut source = publisher(site, 1, "c");
    let mut far = subscriber(site, 3, "c");
    let mut near = subscriber(site, 2, "c");
    let removed = source.publish(&format!("c 2 {MINUTE} 100 1"));
    far.await_number(1);
    let mut second = site.program(2).ready();
    second.must("open gone psc 5000");
    site.cut(3);
    source.publish("c 2 0 100 2");
    near.await_number(2);
    // Answered as soon as the engine has missed the node, or this service has.
    source.must("open other psc 60000");
    source.insist(&format!("clear c {removed}"));
    unlink_by(&mut second, "gone");
    let kept = source.publish(&format!("c 2 {MINUTE} 100 3"));
    site.join(3);
    site.await_members(&[1, 2, 3]);
    // What was retained meanwhile comes, what was lost is announced, what is removed stays so.
    far.await_number(3);
    assert!(far.told.contains(&Told::Lost(3)) && !far.numbers().contains(&2), "{:?}", far.told);
    let mut third = site.program(3).ready();
    assert_eq!(third.ask("open gone s 10000"), NOT_EXIST);
    third.must("open other s 10000");
    let mut late = subscriber(site, 3, "c");
    late.await_number(3);
    assert_eq!(late.numbers(), [3]);
    let mut next = 4;
    talk(&mut source, &mut far, &mut next);
    source.must(&format!("clear c {kept}"));
}

/// Unlinks a channel, whether or not an attempt whose answer was late has done it.
fn unlink_by(program: &mut Program, channel: &str) {
    let mut was_late = false;
    loop {
        match program.ask(&format!("unlink {channel}")) {
            OK => return,
            NOT_EXIST if was_late => return,
            TIMEOUT => was_late = true,
            TRY_AGAIN => {}
            code => panic!("unlink {channel}: {code}"),
        }
    }
}

fn an_engine_that_is_killed_comes_back(site: &mut Site) {
    site.start_all();
    let mut source = publisher(site, 1, "c");
    let mut taker = subscriber(site, 2, "c");
    let mut there = publisher(site, 2, "c");
    site.end_engine(2);
    site.await_members(&[1, 3]);
    // The node's programs are told to wait.
    assert_eq!(there.ask("unlink c"), TRY_AGAIN);
    assert_eq!(there.ask("open new psc 1000"), TRY_AGAIN);
    source.publish("c 2 0 100 1");
    site.start_engine(2);
    site.await_members(&[1, 2, 3]);
    let mut next = 2;
    talk(&mut source, &mut taker, &mut next);
    assert!(taker.has_lost() && !taker.numbers().contains(&1), "{:?}", taker.told);
    there.insist("open new psc 5000");
    source.must("open new s 5000");
}

fn the_whole_cluster_is_restarted(site: &mut Site) {
    site.start_all();
    let mut source = publisher(site, 2, "c");
    let retained: Vec<u64> =
        (0..100).map(|number| source.publish(&format!("c 2 {MINUTE} 300 {number}"))).collect();
    let mut first = site.program(1).ready();
    first.must("open gone pc 5000");
    first.must("unlink gone");
    first.must("open c p 5000");
    first.must(&format!("clear c {}", retained[0]));
    (1..=3).for_each(|node| site.end(node, Signal::SIGTERM));
    (1..=3).rev().for_each(|node| site.start(node));
    site.await_members(&[1, 2, 3]);
    // In one boot of the hosts everything is there again.
    for node in 1..=3 {
        let mut late = subscriber(site, node, "c");
        late.await_told(|told| told.len() == retained.len() - 1);
        assert_eq!(late.numbers(), (1..100).collect::<Vec<_>>(), "node {node}");
        assert_eq!(late.ask("open gone s 5000"), NOT_EXIST);
    }
    source.insist(&format!("clear c {}", retained[1]));
}

fn a_node_without_quorum_serves_nobody_of_b03(site: &mut Site) {
    site.start_all();
    let mut near = publisher(site, 1, "c");
    let mut new = subscriber(site, 3, "c");
    let mut old = site.program(3).ready_as(1);
    old.must("open c ps 5000");
    old.must("sub c 1");
    site.cut(3);
    // Who waits in poll is woken, and told once.
    new.await_told(|told| told.contains(&Told::Failed(UNAVAILABLE)));
    assert_eq!(new.ask("pub c 2 0 10 1"), UNAVAILABLE);
    assert_eq!(new.ask("open c s 1000"), UNAVAILABLE);
    assert_eq!(new.ask("unlink c"), UNAVAILABLE);
    assert_eq!(new.ask("close c"), UNAVAILABLE);
    assert_eq!(site.program(3).ask("init 3"), UNAVAILABLE);
    // Of a release that knows no such code.
    assert_eq!(old.ask("pub c 2 0 10 2"), TRY_AGAIN);
    assert_eq!(old.ask("open d psc 1000"), TRY_AGAIN);
    assert_eq!(old.ask("unlink c"), TRY_AGAIN);
    site.join(3);
    site.await_members(&[1, 2, 3]);
    // It stays so for the handle, and a new one is as good as ever.
    assert_eq!(new.ask("unlink c"), UNAVAILABLE);
    new.must("finalize");
    new.insist("init 3");
    new.insist("open c s 5000");
    new.must("sub c 3");
    old.insist("pub c 2 0 10 3");
    new.await_number(3);
    let mut next = 4;
    talk(&mut near, &mut old, &mut next);
}
