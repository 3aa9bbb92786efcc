//! A private daemon moves to a system service that appears after it.
//!
//! The tests see a /run of their own, where they are the administrator.

use crate::autostart::{daemons, end_all, nobody, shared_programs, system_is_bare};
use crate::bed::{Bed, Process, Program, status_field, until};
use crate::{Outcome, Test};
use SaEvt::evt::Limits;
use SaEvt::sys::{descriptor, socket};
use SaEvt::wire::{Body, MESSAGE_BYTES_MAX, Reply, Request, reply};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(crate) const TESTS: &[Test] = &[
    ("a_private_daemon_moves_to_a_system_service_that_appears", moves),
    ("publishing_goes_on_while_the_service_moves", storm),
    ("a_system_service_that_does_not_take_over_disturbs_nobody", refusal),
    ("a_private_daemon_that_is_killed_while_it_moves_loses_nothing", killed),
    ("a_system_service_that_starts_again_knows_who_moved", restarted),
    ("a_move_that_fails_at_its_end_costs_no_event", fails_at_the_end),
    ("what_moves_is_judged_by_the_policy_of_the_system_service", judged),
];

const MINUTES: u64 = 600_000;
const SOCKET: &str = "/run/saevt/saevt.sock";

/// A host with an ordinary user, as far as /run and the private place of the user go.
struct Host {
    bed: Bed,
    program: PathBuf,
    daemon: PathBuf,
    user: u32,
    private: PathBuf,
    /// Keeps the view of /run.
    view: Process,
}

impl Host {
    fn new(number: u32) -> Result<Self, String> {
        let bed = Bed::new();
        let (program, daemon) = shared_programs(&bed)?;
        system_is_bare()?;
        let mount = "mount -t tmpfs none /run && chmod 755 /run";
        let script = format!("{mount} && exec setpriv --reuid 0 true");
        let probe = Command::new("unshare").args(["-m", "sh", "-c", &script]).output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            return Err("no file system can be mounted".into());
        }
        let script = format!("{mount} && exec sleep infinity");
        let mut command = Command::new("unshare");
        let view = Process::start(command.args(["-m", "sh", "-c", &script]).stdin(Stdio::null()));
        until(|| (status_field(view.pid(), "Name") == "sleep").then_some(()));
        let (user, private) = nobody(number);
        Ok(Self { bed, program, daemon, user, private, view })
    }

    /// A command that runs in the view.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-m", "-t", &self.view.pid().to_string(), "--"]);
        command
    }

    /// A program of the user with a library handle `l`.
    fn ready(&self) -> Program {
        let user = self.user.to_string();
        let mut command = self.command();
        command.args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
        command.arg(&self.program);
        for name in ["SAEVT_SOCKET", "SAEVT_RUNTIME_DIR", "SAEVT_AUTOSTART"] {
            command.env_remove(name);
        }
        let mut program = Program::start(command.env("SAEVT_DAEMON", &self.daemon));
        assert_eq!(program.ask_until_not("init l", "TryAgain"), "ok");
        program
    }

    /// A program of the user that waits for events of channel `c`.
    fn subscriber(&self, waits: &str) -> Program {
        let mut program = self.ready();
        program.ok("open l c psc 60000");
        program.ok("sub c 1");
        program.ok(&format!("& {waits} l"));
        program
    }

    /// Starts the system service.
    fn system(&self, mode: &str) -> Process {
        self.system_with(mode, "")
    }

    /// The same with more in its configuration.
    fn system_with(&self, mode: &str, more: &str) -> Process {
        let file = self.bed.path("system.conf");
        let text = format!("[node]\nsocket_mode = \"{mode}\"\n{more}");
        std::fs::write(&file, text).expect("the configuration can be written");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.bed.path("log"));
        let mut command = self.command();
        command.arg(&self.daemon).arg("--config").arg(file).stdin(Stdio::null());
        let daemon = Process::start(command.stderr(log.expect("the log can be written")));
        let socket = PathBuf::from(format!("/proc/{}/root{SOCKET}", self.view.pid()));
        until(|| socket::connect(&socket).ok());
        daemon
    }

    /// What the private daemon that runs now is.
    fn private(&self) -> u32 {
        until(|| daemons(&self.private).first().copied())
    }

    /// Waits until the private daemon has asked the system service, which says nothing.
    fn wait_for_question(&self) {
        let descriptors = format!("/proc/{}/fd", self.private());
        let asks = || {
            let list = std::fs::read_dir(&descriptors).ok()?.flatten();
            let sockets = list.filter(|entry| {
                let target = std::fs::read_link(entry.path()).unwrap_or_default();
                target.to_string_lossy().starts_with("socket:")
            });
            Some(sockets.count())
        };
        let before = until(asks);
        until(|| asks().filter(|now| *now > before));
    }

    /// What a program of the user that comes now finds on channel `c`, if it may be made.
    fn late(&self) -> (Program, Vec<String>) {
        let mut late = self.ready();
        late.ok("open l c psc 60000");
        late.ok("sub c 1");
        late.ok("dispatch l all");
        late.ok("local c");
        let found = late.rest();
        (late, found)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        end_all(&self.private);
        // A service that was never private has left nothing.
        let _ = std::fs::remove_dir_all(&self.private);
    }
}

/// Publishes until the service takes it.
fn publish(program: &mut Program, channel: &str, milliseconds: u64, text: &str) -> String {
    let answer =
        program.ask_until_not(&format!("pub {channel} 1 {milliseconds} {text}"), "TryAgain");
    assert!(answer.parse::<u64>().is_ok(), "{answer}");
    answer
}

/// Whether a daemon does nothing at all until something happens: it waits, without a timeout, and
/// no timer of its own will end that.
fn sleeps_for_ever(daemon: u32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{daemon}/syscall")).unwrap_or_default();
    // The number of epoll_wait(), then what it was given.
    let waits = call.split_whitespace().nth(4).is_some_and(|timeout| timeout.ends_with("ffffffff"));
    let timers = timers_left(daemon);
    assert!(!timers.is_empty(), "the daemon has no timer that can be seen");
    waits && timers.iter().all(|left| left == "(0, 0)")
}

/// The time left of each timer of a process, as the kernel writes it.
fn timers_left(process: u32) -> Vec<String> {
    let Ok(all) = std::fs::read_dir(format!("/proc/{process}/fdinfo")) else { return Vec::new() };
    all.flatten()
        .filter_map(|one| std::fs::read_to_string(one.path()).ok())
        .filter_map(|info| {
            info.lines().find_map(|line| line.strip_prefix("it_value: ").map(str::to_owned))
        })
        .collect()
}

fn moves() -> Outcome {
    let host = Host::new(3)?;
    let mut poll = host.ready();
    for (channel, number) in [("c", 1), ("gone", 2)] {
        poll.ok(&format!("open l {channel} psc 60000"));
        poll.ok(&format!("sub {channel} {number}"));
    }
    poll.ok("& poll l");
    let block = host.subscriber("block");
    let mut publisher = host.ready();
    publisher.ok("open l c p 60000");
    publisher.ok("open l gone p 60000");
    publisher.ok("unlink l gone");
    let private = host.private();
    until(|| sleeps_for_ever(private).then_some(()));
    let kept = publisher.publish("c", 1, MINUTES, "kept");
    let there = publisher.publish("gone", 1, MINUTES, "there");
    poll.expect_notice(&format!("event 1 {kept} 1 kept"));
    poll.expect_notice(&format!("event 2 {there} 1 there"));
    block.expect_notice(&format!("event 1 {kept} 1 kept"));
    let _system = host.system("0666");
    let mut lost = [poll.notice(), poll.notice()];
    lost.sort();
    assert_eq!(lost, ["lost 1", "lost 2"]);
    block.expect_notice("lost 1");
    // Everybody meets there again, also on the channel that has no name, and nothing comes twice.
    publish(&mut publisher, "c", 0, "after");
    publish(&mut publisher, "gone", 0, "behind");
    assert_eq!([poll.event(), poll.event(), block.event()], ["after", "behind", "after"]);
    until(|| daemons(&host.private).is_empty().then_some(()));
    assert_ne!(private, 0);
    let (mut late, found) = host.late();
    assert_eq!(found, [format!("event 1 {kept} 1 kept")]);
    late.expect("open l gone ps 60000", "NotExist");
    late.ok(&format!("clear c {kept}"));
    publisher.ok(&format!("clear gone {there}"));
    assert_eq!(daemons(&host.private), [0; 0], "nobody has started one beside it");
    for program in [poll, block] {
        assert_eq!(program.kill(), [""; 0]);
    }
    // Without the system service the user begins anew: nothing that has moved comes back.
    drop((late, publisher));
    let mut remove = host.command();
    assert!(remove.args(["rm", "-r", "/run/saevt"]).status().is_ok_and(|it| it.success()));
    host.ready().expect("open l c ps 60000", "NotExist");
    Ok(())
}

fn storm() -> Outcome {
    const COUNT: u64 = 50_000;
    const EVERY: u64 = 100;
    let host = Host::new(4)?;
    let listener = host.subscriber("poll");
    let mut publisher = host.ready();
    publisher.ok("open l c p 60000");
    publisher.ok(&format!("& storm c 0 {COUNT} {EVERY}"));
    // In the middle of it.
    let first = listener.event();
    let _system = host.system("0666");
    let end = publisher.notice();
    assert!(end.starts_with("done storm refused"), "{end}");
    until(|| daemons(&host.private).is_empty().then_some(()));
    let (mut heard, mut lost, mut last) = (BTreeSet::from([first.clone()]), 0, first);
    while last != "end" {
        let notice = listener.notice();
        if notice == "lost 1" {
            lost += 1;
            if lost == 1 {
                // The listener is there now; what was published before may be lost.
                publish(&mut publisher, "c", 0, "end");
            }
            continue;
        }
        last = notice.split(' ').nth(4).unwrap_or(&notice).to_owned();
        assert!(heard.insert(last.clone()), "{last} came twice");
    }
    let (late, found) = host.late();
    let texts = found.iter().filter_map(|notice| notice.split(' ').nth(4));
    let expected: Vec<String> =
        (0..COUNT).filter(|number| number % EVERY == 0).map(|it| format!("r{it}")).collect();
    assert_eq!(texts.collect::<Vec<_>>(), expected);
    drop(late);
    Ok(())
}

fn refusal() -> Outcome {
    let host = Host::new(5)?;
    let mut program = host.subscriber("poll");
    let kept = program.publish("c", 1, MINUTES, "kept");
    assert_eq!(program.event(), "kept");
    let private = host.private();
    // One that is not for this user.
    let mut system = host.system("0600");
    publish(&mut program, "c", 0, "one");
    assert_eq!(program.event(), "one");
    system.kill();
    // One that does not answer.
    let system = host.system("0666");
    system.stop();
    host.wait_for_question();
    publish(&mut program, "c", 0, "two");
    assert_eq!(program.event(), "two");
    assert_eq!(daemons(&host.private), [private]);
    assert_eq!(program.rest(), [""; 0]);
    // It is asked again.
    system.go_on();
    program.expect_notice("lost 1");
    until(|| daemons(&host.private).is_empty().then_some(()));
    let (_late, found) = host.late();
    assert_eq!(found, [format!("event 1 {kept} 1 kept")]);
    Ok(())
}

fn killed() -> Outcome {
    let host = Host::new(6)?;
    let mut program = host.subscriber("block");
    let kept = program.publish("c", 1, MINUTES, "kept");
    assert_eq!(program.event(), "kept");
    let system = host.system("0666");
    system.stop();
    host.wait_for_question();
    let private = host.private();
    kill(Pid::from_raw(private as i32), Signal::SIGKILL).map_err(|error| error.to_string())?;
    // The program has another one started, which finds what the first has left.
    program.expect_notice("lost 1");
    assert_ne!(host.private(), private);
    system.go_on();
    program.expect_notice("lost 1");
    until(|| daemons(&host.private).is_empty().then_some(()));
    publish(&mut program, "c", 0, "after");
    assert_eq!(program.event(), "after");
    let (_late, found) = host.late();
    assert_eq!(found, [format!("event 1 {kept} 1 kept")]);
    Ok(())
}

fn restarted() -> Outcome {
    let host = Host::new(7)?;
    let mut program = host.subscriber("poll");
    let mut absent = host.subscriber("poll");
    let kept = program.publish("c", 1, MINUTES, "kept");
    assert_eq!([program.event(), absent.event()], ["kept", "kept"]);
    absent.process.stop();
    let mut system = host.system("0666");
    program.expect_notice("lost 1");
    until(|| daemons(&host.private).is_empty().then_some(()));
    // The service that comes back knows also whom it has not seen yet.
    system.signal(Signal::SIGTERM);
    assert!(system.wait().success());
    let _system = host.system("0666");
    // A call is served when the last step of coming back has been taken.
    assert_eq!(program.ask_until_not("open l e pc 60000", "TryAgain"), "ok");
    absent.process.go_on();
    absent.expect_notice("lost 1");
    publish(&mut absent, "c", 0, "after");
    assert_eq!(absent.event(), "after");
    assert_eq!(program.event(), "after", "a restart in order was no second loss");
    let (_late, found) = host.late();
    assert_eq!(found, [format!("event 1 {kept} 1 kept")]);
    Ok(())
}

/// A system service that takes everything, and is gone before it has said so for the second time.
fn take_and_die(listener: &OwnedFd) {
    let control = until(|| socket::accept(listener.as_fd()).ok().flatten());
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let mut ends = 0;
    while ends < 2 {
        descriptor::poll([(control.as_raw_fd(), 1)], None).expect("poll works");
        let Ok(Some(received)) = socket::receive(control.as_fd(), &mut buffer) else { continue };
        let request = Request::decode(&buffer[..received.bytes]).expect("the daemon is ours");
        let body = match request.body {
            Body::Hello { .. } => reply::Body::Welcome {
                version: 1,
                outbox_bytes: 1 << 20,
                segment: 0,
                limits: Box::new(Limits::default()),
            },
            _ => reply::Body::None,
        };
        ends += u32::from(request.body == Body::MoveEnd);
        let answer = Reply { id: request.id, code: Ok(()), body };
        if ends < 2 {
            socket::send(control.as_fd(), &answer.encode(), &[]).expect("the daemon listens");
        }
    }
}

fn fails_at_the_end() -> Outcome {
    let bed = Bed::new();
    let system = bed.path("system");
    let mut command = bed.daemon_command("");
    command.arg("--yield-to").arg(&system).stderr(Stdio::null());
    let _daemon = Process::start(&mut command);
    let mut program = bed.program();
    assert_eq!(program.ask_until_not("init l", "TryAgain"), "ok");
    for (channel, number) in [("c", 1), ("gone", 2)] {
        program.ok(&format!("open l {channel} psc 60000"));
        program.ok(&format!("sub {channel} {number}"));
    }
    program.ok("unlink l gone");
    program.ok("& poll l");
    let kept = program.publish("c", 1, MINUTES, "kept");
    assert_eq!(program.event(), "kept");
    let listener = socket::listen(&system).map_err(|error| error.to_string())?;
    take_and_die(&listener);
    drop(listener);
    // The program comes back to where it was; nothing was lost, so nothing says so.
    assert_eq!(program.ask_until_not("open l e pc 60000", "TryAgain"), "ok");
    publish(&mut program, "c", 0, "after");
    publish(&mut program, "gone", 0, "behind");
    assert_eq!([program.event(), program.event()], ["after", "behind"]);
    let mut late = bed.ready();
    late.ok("open l c s 60000");
    late.ok("sub c 1");
    late.ok("dispatch l all");
    late.expect_notice(&format!("event 1 {kept} 1 kept"));
    Ok(())
}

fn judged() -> Outcome {
    let host = Host::new(8)?;
    let mut program = host.ready();
    for (channel, number) in [("free", 1), ("mute", 2), ("deaf", 3), ("new", 4), ("closed", 5)] {
        program.ok(&format!("open l {channel} psc 60000"));
        program.ok(&format!("sub {channel} {number}"));
        publish(&mut program, channel, MINUTES, channel);
    }
    // The answer comes after what was published.
    program.expect("unlink l nothing", "NotExist");
    program.ok("dispatch l all");
    assert_eq!(program.rest().len(), 5);
    let user = host.user;
    let deny = |channel: &str, actions: &str| {
        format!(
            "[[policy]]\nusers = [{user}]\nchannels = [\"safChnl={channel}\"]\ndeny = [{actions}]\n"
        )
    };
    let policy = [
        deny("mute", "\"publish\""),
        deny("deaf", "\"subscribe\""),
        deny("new", "\"create\""),
        deny("closed", "\"*\""),
    ];
    let _system = host.system_with("0666", &policy.concat());
    until(|| daemons(&host.private).is_empty().then_some(()));
    // Nothing of it is got round by having been there before.
    publish(&mut program, "free", 0, "after");
    program.expect("pub mute 1 0 x", "Access");
    publish(&mut program, "deaf", 0, "unheard");
    program.expect("pub new 1 0 x", "BadHandle");
    program.expect("pub closed 1 0 x", "BadHandle");
    program.expect("unlink l nothing", "NotExist");
    program.ok("dispatch l all");
    let mut heard = program.rest();
    heard.retain(|notice| !notice.starts_with("lost "));
    let texts: Vec<_> = heard.iter().filter_map(|notice| notice.split(' ').nth(4)).collect();
    assert_eq!(texts, ["after"]);
    // What came with a right is there for who comes later, and nothing else.
    let mut late = host.ready();
    for (channel, number) in [("free", 1), ("mute", 2)] {
        late.ok(&format!("open l {channel} ps 60000"));
        late.ok(&format!("sub {channel} {number}"));
    }
    for channel in ["deaf", "new", "closed"] {
        late.expect(&format!("open l {channel} s 60000"), "NotExist");
    }
    late.ok("open l deaf p 60000");
    late.ok("dispatch l all");
    late.ok("local free");
    let found = late.rest();
    let texts: Vec<_> = found.iter().filter_map(|notice| notice.split(' ').nth(4)).collect();
    assert_eq!(texts, ["free"]);
    let log = host.bed.log();
    let told = format!("the private service of uid {user} has moved here: 5 channels and events");
    assert!(log.contains(&told), "{log}");
    assert!(log.contains("3 refused"), "{log}");
    Ok(())
}
