//! Daemons that start where something is missing or wrong, and what they say of it.

use crate::program::OK;
use crate::site::Site;
use crate::{Need, Test};
use std::fs;
use std::os::unix::fs::chown;

pub(crate) const TESTS: &[Test] = &[
    ("an_answer_waits_for_no_sign_of_life", Need::Nothing, an_answer_waits_for_no_sign_of_life),
    ("two_daemons_of_one_member_are_told", Need::Nothing, two_daemons_of_one_member_are_told),
    (
        "a_daemon_says_that_it_waits_for_its_engine",
        Need::Corosync,
        a_daemon_says_that_it_waits_for_its_engine,
    ),
    (
        "a_user_whom_corosync_does_not_let_in_is_told",
        Need::Corosync,
        a_user_whom_corosync_does_not_let_in_is_told,
    ),
    (
        "a_host_without_an_address_is_told_and_joins_when_it_has_one",
        Need::Tipc,
        a_host_without_an_address_is_told_and_joins_when_it_has_one,
    ),
];

/// No user of this host.
const NOBODY: u32 = 65_534;

/// Signs of life wake a daemon too: with rare ones the answers come by themselves or too late.
fn an_answer_waits_for_no_sign_of_life(site: &mut Site) {
    site.times = "hang_seconds = 30.0\nbeat_min_seconds = 10.0\nbeat_max_seconds = 10.0";
    site.start_all();
    for node in 1..=3 {
        let mut program = site.program(node).ready();
        for number in 0..3 {
            let name = format!("c{node}-{number}");
            assert_eq!(program.ask(&format!("open {name} psc 9000")), OK, "open by node {node}");
            assert_eq!(program.ask(&format!("unlink {name}")), OK, "unlink by node {node}");
        }
    }
}

fn two_daemons_of_one_member_are_told(site: &mut Site) {
    site.start(1);
    site.start(2);
    site.await_members(&[1, 2]);
    site.members[3] = 2;
    site.start(3);
    let told = "has member number 2 too: it is left out until one of the two has another \
                cluster.member";
    site.await_line(1, told);
    site.await_members(&[1, 2]);
}

fn a_daemon_says_that_it_waits_for_its_engine(site: &mut Site) {
    site.end_engine(1);
    site.start(1);
    site.await_line(1, "corosync is not reached; see that it runs");
    site.is_numbered = false;
    site.end_engine(2);
    site.start(2);
    site.await_line(2, "waits for corosync to tell the number of this node: see that it runs");
    site.start_engine(1);
    site.start_engine(2);
    site.start(3);
    site.await_members(&[1, 2, 3]);
}

fn a_host_without_an_address_is_told_and_joins_when_it_has_one(site: &mut Site) {
    site.start_all();
    site.start(4);
    let told = "this host has no TIPC address: give it one (tipc node set address 1.1.1)";
    site.await_line(4, told);
    site.number(4);
    site.await_line(4, "tipc: this node is a member");
    site.await_members(&[1, 2, 3, 4]);
}

fn a_user_whom_corosync_does_not_let_in_is_told(site: &mut Site) {
    // The place of the tests is root's alone.
    let home = std::env::temp_dir().join(format!("saevt-nobody-{}", std::process::id()));
    fs::create_dir_all(&home).expect("a directory can be made");
    chown(&home, Some(NOBODY), Some(NOBODY)).expect("root may give it away");
    let output = site.start_as(NOBODY, &home);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Before it is judged, so that it does not stay.
    fs::remove_dir_all(&home).expect("it can be removed");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let told = "corosync does not let this user in; see uidgid in corosync.conf(5)";
    assert!(said.lines().last().is_some_and(|line| line.contains(told)), "{said}");
}
