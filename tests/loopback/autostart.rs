//! The private daemon that the first program of a user starts, and the rules of where to look.

use crate::bed::{Bed, DAEMON, Program, is_listening, status_field, until};
use crate::{Outcome, Test};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("many_programs_at_once_start_one_daemon", one_daemon),
    ("a_started_daemon_has_no_trace_of_who_started_it", no_trace),
    ("a_started_daemon_runs_as_any_other_program", ordinary_scheduling),
    ("a_private_daemon_leaves_when_idle_and_comes_back_with_its_state", leaves_when_idle),
    ("a_killed_private_daemon_is_started_again", started_again),
    ("autostart_can_be_switched_off", switched_off),
    ("a_set_user_id_program_believes_no_environment", set_user_id),
    ("each_user_has_a_service_of_his_own_unless_one_is_shared", two_users),
    ("a_system_service_is_never_passed_by", system_service),
];

/// A bed whose programs start a private daemon in it.
struct Private {
    bed: Bed,
}

impl Private {
    /// Daemons leave when nobody has used them for so many seconds.
    fn new(idle_seconds: &str) -> Self {
        let bed = Bed::new();
        let configuration = format!("[node]\nidle_exit_seconds = {idle_seconds}\n");
        let file = bed.path("saevtd.conf");
        std::fs::write(&file, configuration).expect("the configuration can be written");
        // What the library starts; it ends up as the daemon itself.
        let script = format!("#!/bin/sh\nexec {DAEMON} --config {} \"$@\"\n", file.display());
        let path = bed.path("start");
        std::fs::write(&path, script).expect("the script can be written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        Self { bed }
    }

    fn directory(&self) -> PathBuf {
        self.bed.path("private")
    }

    fn set(&self, command: &mut Command) {
        command.env_remove("SAEVT_SOCKET").env("SAEVT_RUNTIME_DIR", self.directory());
        command.env("SAEVT_DAEMON", self.bed.path("start"));
    }

    fn program(&self) -> Program {
        let mut command = self.bed.program_command();
        self.set(&mut command);
        Program::start(&mut command)
    }

    /// The daemons that run here, dead ones left out.
    fn daemons(&self) -> Vec<u32> {
        daemons(&self.directory())
    }

    fn wait_for_end(&self) {
        until(|| self.daemons().is_empty().then_some(()));
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        end_all(&self.directory());
    }
}

/// The daemons with this state directory.
pub(crate) fn daemons(directory: &Path) -> Vec<u32> {
    let wanted = format!("--state-dir\0{}\0", directory.display());
    let serves = |pid: &u32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&wanted)
    };
    let processes = std::fs::read_dir("/proc").expect("the kernel lists processes");
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(serves).collect()
}

pub(crate) fn end_all(directory: &Path) {
    for pid in daemons(directory) {
        // Gone already is as good.
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
    }
    until(|| daemons(directory).is_empty().then_some(()));
}

fn one_daemon() -> Outcome {
    let private = Private::new("3600");
    let mut programs: Vec<_> = (0..50).map(|_| private.program()).collect();
    programs.iter_mut().for_each(|program| program.tell("init l"));
    for program in &programs {
        assert_eq!(program.answer(), "ok");
    }
    until(|| (private.daemons().len() == 1).then_some(()));
    for program in &mut programs {
        program.ok("open l c psc 60000");
        program.ok("sub c 1");
        program.ok("& poll l");
    }
    programs[0].publish("c", 3, 0, "all");
    for program in &programs {
        assert_eq!(program.event(), "all");
    }
    assert_eq!(private.daemons().len(), 1);
    Ok(())
}

fn no_trace() -> Outcome {
    let private = Private::new("3600");
    // Started under everything that a daemon must not keep.
    let script = "umask 0; ulimit -S -n 64; ulimit -S -f 100000; ulimit -S -v 8000000; \
                  exec 9< /dev/null; trap '' HUP USR1; cd /tmp; exec \"$0\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(private.bed.program_command().get_program());
    private.set(&mut command);
    let mut program = Program::start(command.env("SECRET", "x"));
    program.ok("init l");
    // No child to wait for, and no signal for one that ended.
    program.expect("childless", "Some(ECHILD)");
    let pending = |field: &str| u64::from_str_radix(&program.process.field(field), 16);
    const SIGCHLD: u64 = 1 << 16;
    for field in ["SigPnd", "ShdPnd"] {
        assert_eq!(pending(field).map(|signals| signals & SIGCHLD), Ok(0));
    }
    let pid = *private.daemons().first().ok_or("no daemon")?;
    let of = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let text = |name: &str| of(name).unwrap_or_default();
    let environment = text("environ");
    assert!(!environment.contains("SECRET") && !environment.contains("SAEVT"), "{environment}");
    assert_eq!(status_field(pid, "Umask"), "0077");
    for field in ["SigIgn", "SigPnd"] {
        let ignored = u64::from_str_radix(&status_field(pid, field), 16).unwrap_or(u64::MAX);
        // Rust's own, and two that belong to the C library and cannot be set.
        const NOT_OURS: u64 = 1 << 12 | 1 << 31 | 1 << 32;
        assert_eq!(ignored & !NOT_OURS, 0, "{field}");
    }
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).map_err(|error| error.to_string())?;
    assert_eq!(cwd, Path::new("/"));
    for line in text("limits").lines() {
        for name in ["Max open files", "Max file size", "Max address space"] {
            if let Some(values) = line.strip_prefix(name) {
                let mut values = values.split_whitespace();
                assert_eq!(values.next(), values.next(), "{line}");
            }
        }
    }
    let stat = text("stat");
    let session = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3));
    assert_eq!(session, Some(pid.to_string().as_str()), "it leads a session of its own");
    for file in std::fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| error.to_string())? {
        let path = file.map_err(|error| error.to_string())?.path();
        let target = std::fs::read_link(&path).unwrap_or_default();
        let name = target.to_string_lossy();
        let standard =
            matches!(path.file_name().and_then(|name| name.to_str()), Some("0" | "1" | "2"));
        assert!(!name.starts_with("pipe:"), "{} is {name}", path.display());
        assert!(!standard || name == "/dev/null", "{} is {name}", path.display());
    }
    // The end of the program is the end of its output, though the daemon lives on.
    program.finish();
    assert_eq!(private.daemons(), [pid]);
    Ok(())
}

/// Scheduling class and niceness of a process, and the number of processors it may run on.
fn scheduling(pid: u32) -> (i32, i32, usize) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Counted from the state, which is the third.
    let fields: Vec<&str> =
        stat.rsplit(") ").next().map(|rest| rest.split(' ').collect()).unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse().ok());
    let mask = status_field(pid, "Cpus_allowed");
    let processors = mask.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones);
    (field(41).unwrap_or(-1), field(19).unwrap_or(-1), processors.sum::<u32>() as usize)
}

fn ordinary_scheduling() -> Outcome {
    use nix::libc::{SCHED_BATCH, SCHED_OTHER};
    const NICE: i32 = 5;
    let private = Private::new("3600");
    let (_, own_niceness, processors) = scheduling(std::process::id());
    let list = status_field(std::process::id(), "Cpus_allowed_list");
    let first = list.split([',', '-']).next().unwrap_or_default().to_owned();
    let mut command = Command::new("nice");
    let niceness = (NICE - own_niceness).to_string();
    command.args(["-n", &niceness, "chrt", "--batch", "0", "taskset", "-c", &first]);
    command.arg(private.bed.program_command().get_program());
    private.set(&mut command);
    let mut probe = Command::new("chrt");
    probe.args(["--batch", "0", "taskset", "-c", &first, "true"]);
    if !probe.output().is_ok_and(|probe| probe.status.success()) {
        return Err("there is no chrt or taskset".into());
    }
    let mut program = Program::start(&mut command);
    program.ok("init l");
    assert_eq!(scheduling(program.process.pid()), (SCHED_BATCH, NICE, 1));
    let pid = *private.daemons().first().ok_or("no daemon")?;
    let (class, niceness, allowed) = scheduling(pid);
    assert_eq!(class, SCHED_OTHER);
    assert!(allowed >= processors, "{allowed} of {processors}");
    // Only root may be less nice than who started him.
    let wanted = if Uid::effective().is_root() { 0 } else { NICE };
    assert_eq!(niceness, wanted);
    Ok(())
}

fn leaves_when_idle() -> Outcome {
    let private = Private::new("0.2");
    for round in 0..3 {
        let mut program = private.program();
        program.ok("init l");
        program.ok(&format!("open l c ps{} 60000", if round == 0 { "c" } else { "" }));
        program.ok("sub c 1");
        program.ok("dispatch l all");
        let had: Vec<String> = (0..round).map(|_| program.event()).collect();
        let expected: Vec<String> = (0..round).map(|earlier| format!("kept{earlier}")).collect();
        assert_eq!(had, expected);
        program.publish("c", 3, 600_000, &format!("kept{round}"));
        program.finish();
        private.wait_for_end();
    }
    Ok(())
}

fn started_again() -> Outcome {
    let private = Private::new("3600");
    let mut program = private.program();
    program.ok("init l");
    program.ok("open l c psc 60000");
    program.ok("sub c 1");
    program.ok("& poll l");
    for pid in private.daemons() {
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).map_err(|error| error.to_string())?;
    }
    program.expect_notice("lost 1");
    program.publish("c", 3, 0, "on");
    assert_eq!(program.event(), "on");
    Ok(())
}

fn switched_off() -> Outcome {
    let private = Private::new("3600");
    let mut command = private.bed.program_command();
    private.set(&mut command);
    let mut program = Program::start(command.env("SAEVT_AUTOSTART", "0"));
    program.expect("init l", "TryAgain");
    assert_eq!(private.daemons(), [0; 0]);
    // One that another program starts is used.
    private.program().ok("init l");
    program.ok("init l");
    Ok(())
}

/// Programs in a place that every user may read. `Err` when the tests do not run as root.
pub(crate) fn shared_programs(bed: &Bed) -> Result<(PathBuf, PathBuf), String> {
    if !Uid::effective().is_root() {
        return Err("only root can be several users".into());
    }
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755));
    let copy = |from: &Path, name: &str| {
        let to = bed.path(name);
        std::fs::copy(from, &to).and_then(|_| open(&to)).map(|()| to)
    };
    open(&bed.directory).map_err(|error| error.to_string())?;
    let program = copy(&here, "program").map_err(|error| error.to_string())?;
    let daemon = copy(Path::new(DAEMON), "saevtd").map_err(|error| error.to_string())?;
    Ok((program, daemon))
}

/// A user that nobody is, and the place of his private service.
pub(crate) fn nobody(number: u32) -> (u32, PathBuf) {
    let user = 1_900_000_000 + std::process::id() % 100_000 * 10 + number;
    (user, PathBuf::from(format!("/tmp/saevt-{user}")))
}

pub(crate) fn system_is_bare() -> Result<(), String> {
    for path in ["/run/saevt", "/etc/saevt/saevtd.conf"] {
        if Path::new(path).exists() {
            return Err(format!("this host has a system service: {path} exists"));
        }
    }
    Ok(())
}

fn set_user_id() -> Outcome {
    let bed = Bed::new();
    let (program, daemon) = shared_programs(&bed)?;
    system_is_bare()?;
    let _daemon = bed.daemon_with("[node]\nsocket_mode = \"0666\"\n");
    let (user, directory) = nobody(0);
    std::os::unix::fs::chown(&program, Some(user), None).map_err(|error| error.to_string())?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o4755))
        .map_err(|error| error.to_string())?;
    let mut command = Command::new(&program);
    let mut program =
        Program::start(command.env("SAEVT_SOCKET", bed.socket()).env("SAEVT_DAEMON", daemon));
    program.expect("init l", "TryAgain");
    let effective = program.process.field("Uid").split('\t').nth(1).map(str::to_owned);
    if effective != Some(user.to_string()) {
        return Err("programs here are not given the rights of their owner".into());
    }
    assert_eq!(daemons(&directory), [0; 0]);
    assert!(!is_listening(&directory.join("saevt.sock")));
    // It may have been made to look into.
    let _ = std::fs::remove_dir_all(directory);
    Ok(())
}

fn two_users() -> Outcome {
    let bed = Bed::new();
    let (program, daemon) = shared_programs(&bed)?;
    system_is_bare()?;
    let users = [nobody(1), nobody(2)];
    let start = |user: u32, socket: Option<PathBuf>| {
        let mut command = Command::new(&program);
        command.uid(user).gid(user).env("SAEVT_DAEMON", &daemon);
        for name in ["SAEVT_SOCKET", "SAEVT_RUNTIME_DIR", "SAEVT_AUTOSTART"] {
            command.env_remove(name);
        }
        if let Some(socket) = socket {
            command.env("SAEVT_SOCKET", socket);
        }
        Program::start(&mut command)
    };
    let [mut one, mut two] = users.clone().map(|(user, _)| start(user, None));
    one.ok("init l");
    two.ok("init l");
    one.ok("open l c psc 60000");
    two.expect("open l c ps 60000", "NotExist");
    for (user, directory) in &users {
        let pids = daemons(directory);
        assert_eq!(pids.len(), 1);
        assert_eq!(status_field(pids[0], "Uid"), [user.to_string().as_str(); 4].join("\t"));
        let found = std::fs::metadata(directory).map_err(|error| error.to_string())?;
        assert_eq!((found.uid(), found.mode() & 0o777), (*user, 0o700));
    }
    // One that both may use brings them together.
    let _daemon = bed.daemon_with("[node]\nsocket_mode = \"0666\"\n");
    let [mut three, mut four] = users.clone().map(|(user, _)| start(user, Some(bed.socket())));
    for program in [&mut three, &mut four] {
        program.ok("init l");
        program.ok("open l c psc 60000");
        program.ok("sub c 1");
        program.ok("& poll l");
    }
    three.publish("c", 3, 0, "hello");
    assert_eq!([three.event(), four.event()], ["hello", "hello"]);
    for (_, directory) in &users {
        end_all(directory);
        std::fs::remove_dir_all(directory).map_err(|error| error.to_string())?;
    }
    // Without permission there is no service, and none is started beside it.
    std::fs::set_permissions(bed.socket(), PermissionsExt::from_mode(0o600))
        .map_err(|error| error.to_string())?;
    start(users[0].0, Some(bed.socket())).expect("init l", "TryAgain");
    assert_eq!(daemons(&users[0].1), [0; 0]);
    Ok(())
}

fn system_service() -> Outcome {
    let bed = Bed::new();
    let (program, daemon) = shared_programs(&bed)?;
    let mount = "mount -t tmpfs none /run && mkdir /run/saevt";
    let probe = Command::new("unshare").args(["-m", "sh", "-c", mount]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return Err("no file system can be mounted".into());
    }
    // The private place of root, who may have a daemon there that is not ours.
    let private = Path::new("/tmp/saevt-0");
    let before = daemons(private);
    for served in [false, true] {
        // The daemon serves in the background of the same view of /run.
        let serve = if served { "\"$1\" --config /dev/null & " } else { "" };
        let script = format!("{mount} && {{ {serve} exec \"$0\"; }}");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).arg(&program).arg(&daemon);
        for name in ["SAEVT_SOCKET", "SAEVT_RUNTIME_DIR", "SAEVT_AUTOSTART"] {
            command.env_remove(name);
        }
        let mut program = Program::start(command.env("SAEVT_DAEMON", &daemon));
        if served {
            assert_eq!(program.ask_until_not("init l", "TryAgain"), "ok");
            program.ok("open l c psc 60000");
        } else {
            program.expect("init l", "TryAgain");
        }
        assert_eq!(daemons(private), before, "no private daemon beside it");
        let children = format!("/proc/{0}/task/{0}/children", program.process.pid());
        for child in std::fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            let pid = child.parse().map_err(|_| child.to_owned())?;
            kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
