//! What the policy does to programs: refusals with final codes, rights that come and go while
//! channels are open, and who programs are by the word of the kernel.

use crate::autostart::{nobody, shared_programs};
use crate::bed::{Bed, Process, Program, until};
use crate::{Outcome, Test};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use std::path::Path;
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("what_is_not_permitted_is_refused_with_final_codes", refusals),
    ("without_a_right_the_others_are_given", in_part),
    ("rights_come_and_go_while_channels_are_open", reload),
    ("a_policy_that_is_not_good_changes_nothing", bad_reload),
    ("what_is_restored_is_judged_too", restored),
    ("programs_are_judged_by_the_users_and_groups_they_really_have", users),
];

/// A rule about this user.
fn rule(channels: &str, what: &str) -> String {
    let user = Uid::effective();
    format!("[[policy]]\nusers = [{user}]\nchannels = [{channels}]\n{what}\n")
}

fn write(bed: &Bed, configuration: &str) {
    std::fs::write(bed.path("saevtd.conf"), configuration).expect("it can be written");
}

/// Has a daemon read this configuration, and waits until it has said that it did.
fn reread(bed: &Bed, daemon: &Process, configuration: &str) -> String {
    let before = bed.log().lines().count();
    write(bed, configuration);
    daemon.signal(Signal::SIGHUP);
    let said = |line: &&str| line.contains("the policy ");
    until(|| bed.log().lines().skip(before).find(said).map(str::to_owned))
}

fn refusals() -> Outcome {
    let bed = Bed::new();
    let mut configuration = rule("\"safChnl=closed\"", "deny = [\"*\"]");
    configuration += &rule("\"safChnl=fixed*\"", "deny = [\"create\", \"unlink\", \"clear\"]");
    let daemon = bed.daemon();
    bed.ready().ok("open l fixed psc 60000");
    assert!(reread(&bed, &daemon, &configuration).contains(" 2 rules; 0 open"), "{}", bed.log());
    let mut program = bed.ready();
    for letters in ["psc", "p", "s", "c"] {
        program.expect(&format!("open l closed {letters} 60000"), "NotExist");
    }
    program.ok("openasync l closed psc");
    program.expect("unlink l closed", "NotExist");
    program.ok("dispatch l one");
    program.expect_notice("opened closed NotExist");
    // It is not made by who may not make it, and opened by who may only open it.
    program.expect("open l fixed2 psc 60000", "NotExist");
    program.expect("open l fixed c 60000", "NotExist");
    program.ok("open l fixed psc 60000");
    program.ok("sub fixed 1");
    let id = program.publish("fixed", 0, 60_000, "kept");
    program.expect(&format!("clear fixed {id}"), "NotExist");
    program.ok("dispatch l one");
    assert_eq!(program.event(), "kept");
    program.expect("unlink l fixed", "NotExist");
    program.ok("open l free psc 60000");
    let id = program.publish("free", 0, 60_000, "kept");
    program.ok(&format!("clear free {id}"));
    program.ok("unlink l free");
    let pid = program.process.pid();
    let about = |line: &&str| line.contains(&format!("pid {pid} ")) && line.contains("may not");
    let log = bed.log();
    let lines: Vec<_> = log.lines().filter(about).collect();
    assert_eq!(lines.len(), 1, "one line for each client and minute: {log}");
    let says = "may not publish, subscribe, create on channel \"safChnl=closed\"";
    assert!(lines[0].ends_with(says), "{log}");
    Ok(())
}

fn in_part() -> Outcome {
    let bed = Bed::new();
    let configuration = rule("\"safChnl=in\"", "deny = [\"publish\"]")
        + &rule("\"safChnl=out\"", "deny = [\"subscribe\"]");
    let _daemon = bed.daemon_with(&configuration);
    let mut program = bed.ready();
    program.ok("open l in psc 60000");
    program.ok("sub in 1");
    // At once, whatever was looked at last.
    program.expect("pub in 0 0 x", "Access");
    program.expect("pub in 0 60000 x", "Access");
    program.expect("open l in p 60000", "NotExist");
    program.ok("open l out psc 60000");
    program.expect("sub out 1", "Access");
    program.publish("out", 0, 0, "x");
    program.ok("openasync l in psc");
    program.expect("open l in p 60000", "NotExist");
    program.ok("dispatch l all");
    program.expect_notice("opened in ok");
    program.expect("pub in 0 0 x", "Access");
    assert!(!bed.log().contains("dropped"), "{}", bed.log());
    Ok(())
}

fn reload() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon();
    let (mut publisher, mut subscriber) = (bed.ready(), bed.ready());
    publisher.ok("open l c psc 60000");
    publisher.ok("open l free psc 60000");
    subscriber.ok("open l c s 60000");
    subscriber.ok("open l free s 60000");
    subscriber.ok("sub c 1");
    subscriber.ok("sub free 2");
    subscriber.ok("& poll l");
    publisher.publish("c", 2, 0, "before");
    assert_eq!(subscriber.event(), "before");
    let said = reread(&bed, &daemon, &rule("\"safChnl=c\"", "deny = [\"publish\"]"));
    assert!(said.ends_with("1 rules; 1 open channels have other rights"), "{said}");
    // Within a millisecond it is told; until then the daemon drops what comes.
    until(|| (publisher.ask("pub c 2 0 dropped") == "Access").then_some(()));
    publisher.expect("pub c 2 60000 dropped", "Access");
    publisher.publish("free", 2, 0, "free");
    assert_eq!(subscriber.event(), "free", "and nothing else");
    let said = reread(&bed, &daemon, &rule("\"safChnl=c\"", "deny = [\"subscribe\"]"));
    assert!(said.ends_with("1 rules; 2 open channels have other rights"), "{said}");
    assert_eq!(subscriber.notice(), "lost 1");
    subscriber.expect("sub c 3", "Access");
    publisher.publish("c", 2, 0, "unheard");
    publisher.publish("free", 2, 0, "free");
    assert_eq!(subscriber.event(), "free", "and nothing else");
    reread(&bed, &daemon, "");
    assert_eq!(subscriber.notice(), "lost 1");
    publisher.publish("c", 2, 0, "after");
    assert_eq!(subscriber.event(), "after");
    let log = bed.log();
    assert!(!log.contains("dropped") && !log.contains("lost"), "{log}");
    Ok(())
}

fn bad_reload() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon_with(&rule("\"*\"", "deny = [\"publish\"]"));
    let mut program = bed.ready();
    program.ok("open l c sc 60000");
    let line = reread(&bed, &daemon, "[[policy]]\nallow = [\"fly\"]\n");
    assert!(line.contains("the policy stays as it was: "), "{line}");
    assert!(line.contains("saevtd.conf: policy rule 1: there is no action \"fly\""), "{line}");
    let line = reread(&bed, &daemon, "[limits]\nchannels_max = 0\n");
    assert!(line.contains("the policy stays as it was: "), "{line}");
    program.expect("open l c p 60000", "NotExist");
    assert!(reread(&bed, &daemon, "").contains(" 0 rules"), "{}", bed.log());
    program.ok("open l c p 60000");
    Ok(())
}

fn restored() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon();
    let mut program = bed.ready();
    for channel in ["closed", "in", "free"] {
        program.ok(&format!("open l {channel} psc 60000"));
        program.ok(&format!("sub {channel} 1"));
    }
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let configuration = rule("\"safChnl=closed\"", "deny = [\"*\"]")
        + &rule("\"safChnl=in\"", "deny = [\"subscribe\"]");
    let daemon = bed.daemon_with(&configuration);
    program.ask_until_not("pub free 0 0 free", "TryAgain");
    program.expect("pub closed 0 0 x", "BadHandle");
    program.publish("in", 0, 0, "unheard");
    program.expect("sub in 2", "Access");
    program.ok("dispatch l all");
    let rest = program.rest();
    assert!(rest.iter().any(|line| line.ends_with(" free")), "{rest:?}");
    assert!(!rest.iter().any(|line| line.ends_with(" unheard")), "{rest:?}");
    reread(&bed, &daemon, "");
    program.publish("in", 0, 0, "heard");
    // The answer comes after what was published.
    program.expect("unlink l nothing", "NotExist");
    program.ok("dispatch l all");
    assert_eq!(program.notice(), "lost 1");
    assert_eq!(program.event(), "heard");
    Ok(())
}

fn users() -> Outcome {
    let bed = Bed::new();
    let (program, _) = shared_programs(&bed)?;
    let (user, _) = nobody(7);
    let (group, other) = (user + 1, user + 2);
    let _daemon = bed.daemon_with(&format!(
        "[node]\nsocket_mode = \"0666\"\n\
         [[policy]]\nusers = [{user}]\nchannels = [\"safChnl=mine\"]\nallow = [\"*\"]\n\
         [[policy]]\ngroups = [{group}]\nchannels = [\"safChnl=ours\"]\nallow = [\"*\"]\n\
         [[policy]]\ndeny = [\"*\"]\n"
    ));
    let start = |user: u32, gid: u32, groups: &str| start(&bed, &program, user, gid, groups);
    let mut member = start(user, other, &format!("{other},{group}"));
    member.ok("open l mine psc 60000");
    member.ok("open l ours psc 60000");
    member.expect("open l theirs psc 60000", "NotExist");
    let mut primary = start(user + 5, group, "");
    primary.ok("open l ours psc 60000");
    primary.expect("open l mine psc 60000", "NotExist");
    let mut stranger = start(user + 6, other, &other.to_string());
    stranger.expect("open l mine psc 60000", "NotExist");
    stranger.expect("open l ours psc 60000", "NotExist");
    // Also root, whose rule would have to come first.
    let mut root = bed.ready();
    root.expect("open l mine psc 60000", "NotExist");
    Ok(())
}

/// A program of this user, with these groups.
fn start(bed: &Bed, program: &Path, user: u32, gid: u32, groups: &str) -> Program {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={gid}"));
    match groups {
        "" => command.arg("--clear-groups"),
        groups => command.arg(format!("--groups={groups}")),
    };
    command.arg(program).env("SAEVT_SOCKET", bed.socket());
    let mut started = Program::start(&mut command);
    started.ok("init l");
    started
}
