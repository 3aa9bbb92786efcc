//! `saevt doctor`: what may keep the service from working, and what to do.

use super::arguments::{General, Shown};
use super::failure::{Failure, Status};
use super::output::Output;
use super::programs;
use super::status::show_json;
use super::table::{Mood, colours, painted};
use super::text::{self, escape};
use SaEvt::api::{ClusterStatus, Connection, Error, NodeStatus, ServicePlace};
use SaEvt::sys::{memory, socket};
use nix::sys::resource::{Resource, getrlimit};
use serde_json::{Map, Value, json};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    /// It works, but not as well as it could.
    Warning,
    Bad,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "failed",
        }
    }

    const fn mood(self) -> Mood {
        match self {
            Self::Good => Mood::Good,
            Self::Warning => Mood::Notable,
            Self::Bad => Mood::Bad,
        }
    }
}

/// What was looked at, what was found, and what to do about it.
#[derive(Debug)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    /// Empty if there is nothing to do.
    remedy: String,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), remedy: String::new() }
    }

    fn warning(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (found, remedy) = (found.into(), remedy.into());
        Self { check, verdict: Verdict::Warning, found, remedy }
    }

    fn bad(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::warning(check, found, remedy) }
    }
}

/// Runs the command.
pub(super) fn run(task: &Shown, general: &General) -> Result<(), Failure> {
    let mut findings = Vec::new();
    look_at_place(&mut findings);
    let connected = connect(general, &mut findings);
    look_at_host(&mut findings);
    if let Some((connection, node)) = connected {
        look_at_daemon(&connection, &node, &mut findings);
    }
    show(&findings, task)?;
    let worst = findings.iter().map(|finding| finding.verdict).max();
    if worst == Some(Verdict::Bad) { Err(Failure::Quiet(Status::Failed)) } else { Ok(()) }
}

fn show(findings: &[Finding], task: &Shown) -> Result<(), Failure> {
    if task.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.check, "verdict": finding.verdict.word(),
                    "found": finding.found, "remedy": finding.remedy,
                })
            })
            .collect();
        let whole = Map::from_iter([("findings".to_owned(), Value::Array(list))]);
        return show_json("saevt.doctor/1", whole);
    }
    let (mut output, colours) = (Output::new(), colours());
    for Finding { check, verdict, found, remedy } in findings {
        let word = painted(&format!("{:<7}", verdict.word()), verdict.mood(), colours);
        output.line(&format!("{word}  {check}: {found}"))?;
        if !remedy.is_empty() {
            output.line(&format!("         {remedy}"))?;
        }
    }
    Ok(())
}

/// Where the daemon is expected, and what is there.
fn look_at_place(findings: &mut Vec<Finding>) {
    const CHECK: &str = "socket";
    let Some(ServicePlace { socket: path, is_private }) = ServicePlace::find() else {
        findings.push(Finding::bad(
            CHECK,
            "there is no directory for a private daemon",
            "make /run/user/UID or /tmp writable, or set SAEVT_RUNTIME_DIR or SAEVT_SOCKET",
        ));
        return;
    };
    let shown = escape(path.as_os_str().as_bytes());
    let kind = if is_private { "of this user's private daemon" } else { "of the daemon" };
    let found = match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_private => Finding::good(
            CHECK,
            format!("{shown} {kind} is not there yet; the first program starts the daemon"),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::bad(
            CHECK,
            format!("{shown} does not exist: no daemon runs there"),
            "start the system's daemon (`saevtd &` as root, or its service unit), or correct \
             SAEVT_SOCKET",
        ),
        Err(error) => Finding::bad(
            CHECK,
            format!("{shown} cannot be looked at: {error}"),
            "this user must be allowed to search each directory of that path",
        ),
        Ok(data) if !data.file_type().is_socket() => Finding::bad(
            CHECK,
            format!("{shown} is not a socket"),
            "remove that file, or set SAEVT_SOCKET to the socket of the daemon",
        ),
        Ok(data) => look_at_socket(&path, &data, kind),
    };
    findings.push(found);
}

/// What may keep this user from connecting to a socket that is there.
fn look_at_socket(path: &Path, data: &Metadata, kind: &str) -> Finding {
    const CHECK: &str = "socket";
    let shown = escape(path.as_os_str().as_bytes());
    let (mode, uid, gid) = (data.mode() & 0o777, data.uid(), data.gid());
    let (user, group) = (programs::Names::default().user(uid), programs::group(gid));
    let owner = format!("{shown} {kind} has mode {mode:04o}, user {user}, group {group}");
    match socket::connect(path) {
        Ok(_) => Finding::good(CHECK, owner),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::bad(
            CHECK,
            format!("{owner}, and this user may not connect"),
            format!(
                "become a member of group {group} and log in again, or set socket_mode \
                     in /etc/saevt/saevtd.conf and restart the daemon"
            ),
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Finding::bad(
            CHECK,
            format!("{owner}, but nobody listens: the daemon has ended"),
            "start it again; its log says why it ended",
        ),
        Err(error) if error.raw_os_error() == Some(nix::libc::EPROTOTYPE) => Finding::bad(
            CHECK,
            format!("{owner}, but another program than saevtd listens there"),
            "set SAEVT_SOCKET to the socket of the daemon, or unset it",
        ),
        Err(error) => Finding::bad(
            CHECK,
            format!("{owner}, and connecting fails: {error}"),
            "see the log of the daemon",
        ),
    }
}

fn connect(general: &General, findings: &mut Vec<Finding>) -> Option<(Connection, NodeStatus)> {
    const CHECK: &str = "connection";
    let opened = Connection::open_within(general.wait);
    let asked = opened.and_then(|connection| {
        let node = connection.node()?;
        Ok((connection, node))
    });
    match asked {
        Ok((connection, node)) => {
            let age = text::span(super::status::since(node.since_ns));
            let found = format!("process {} answers; it has run for {age}", node.pid);
            findings.push(Finding::good(CHECK, found));
            findings.push(versions(&node.version));
            return Some((connection, node));
        }
        Err(Error::Version) => findings.push(Finding::bad(
            "versions",
            "the daemon speaks another version of the link than this library",
            "install library and daemon of the same version, and restart the daemon",
        )),
        Err(Error::NoResources | Error::NoMemory) => findings.push(Finding::bad(
            CHECK,
            "the daemon refuses this program: a limit is reached",
            "raise processes_max, processes_per_user_max or the daemon's limit of open files; \
             its log says which it was",
        )),
        Err(error) => findings.push(Finding::bad(
            CHECK,
            format!("no answer from the daemon: {error}"),
            "see above, and the log of the daemon; a daemon that is stopped or very busy needs \
             --wait",
        )),
    }
    None
}

fn versions(daemon: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if daemon == own {
        return Finding::good("versions", format!("daemon and library are {own}"));
    }
    Finding::warning(
        "versions",
        format!("the daemon is {}, this library {own}", escape(daemon.as_bytes())),
        "restart the daemon after an upgrade; programs go on with their handles",
    )
}

/// Limits of this process and of the host.
fn look_at_host(findings: &mut Vec<Finding>) {
    const FILES: u64 = 64;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft < FILES => findings.push(Finding::warning(
            "open files",
            format!("a program of this user may have {soft}"),
            "raise it with `ulimit -n`: a program needs five, and four for each library handle",
        )),
        Ok((soft, _)) => {
            findings.push(Finding::good("open files", format!("{soft} for each program")));
        }
        Err(error) => findings.push(Finding::warning("open files", error.to_string(), "")),
    }
    findings.push(match memory::sealed(c"saevt-doctor", 4096) {
        Ok(_) => Finding::good("shared memory", "memory that is sealed can be made"),
        Err(error) => Finding::bad(
            "shared memory",
            format!("memory that is sealed cannot be made: {error}"),
            "allow memfd_create: see the limits and the system call filter of this container",
        ),
    });
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    if number("/proc/sys/vm/overcommit_memory") == Some(2) {
        findings.push(Finding::warning(
            "overcommit",
            "vm.overcommit_memory is 2: a program ends when memory is short at its first use",
            "set it to 0, or keep vm.overcommit_ratio far above what is used",
        ));
    }
    let locked = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
    let shown = if locked == u64::MAX { "any number".to_owned() } else { text::bytes(locked) };
    let found = format!("{shown} may be locked; the service locks none");
    findings.push(Finding::good("memory locks", found));
}

/// The daemon's own limits, and what it tells of programs.
fn look_at_daemon(connection: &Connection, node: &NodeStatus, findings: &mut Vec<Finding>) {
    let count = |name: &str| {
        let known = node.counters.iter().find(|(known, _)| known == name);
        known.map_or(0, |(_, value)| *value)
    };
    let needed = 64 + 3 * count("programs") + count("libraries");
    match open_files_of(node.pid) {
        Some(allowed) if allowed < 2 * needed => findings.push(Finding::warning(
            "daemon's files",
            format!("it may have {allowed} open and needs about {needed} now"),
            "raise its hard limit of open files (LimitNOFILE= in its unit)",
        )),
        Some(allowed) => {
            let found = format!("it may have {allowed} open and needs about {needed} now");
            findings.push(Finding::good("daemon's files", found));
        }
        None => {}
    }
    let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    let mappings = mappings.and_then(|text| text.trim().parse::<u64>().ok());
    let used = count("programs") + count("libraries");
    if let Some(allowed) = mappings.filter(|allowed| allowed / 2 < used) {
        findings.push(Finding::warning(
            "mappings",
            format!("the daemon needs about {used} of the {allowed} that the kernel allows"),
            "raise vm.max_map_count",
        ));
    }
    let slow: Vec<_> = connection.programs().unwrap_or_default();
    let worst = slow.iter().max_by_key(|program| program.lost_events);
    findings.push(match (count("lost_events"), worst) {
        (0, _) => Finding::good("losses", "no events were lost since the daemon started"),
        (lost, Some(worst)) if worst.lost_events > 0 => Finding::warning(
            "losses",
            format!(
                "lost-events: {lost}, of which {} went to process {} ({})",
                worst.lost_events,
                worst.pid,
                programs::name_of(worst.pid)
            ),
            "it must dispatch faster, or queue_events_max and queue_bytes_max must be raised",
        ),
        (lost, _) => Finding::warning(
            "losses",
            format!("lost-events: {lost}, all for programs that have ended"),
            "if that goes on, raise queue_events_max and queue_bytes_max",
        ),
    });
    if let Ok(cluster) = connection.cluster() {
        findings.push(look_at_cluster(&cluster));
    }
}

/// Whether the node's engine is there, and what it is to the other nodes.
fn look_at_cluster(cluster: &ClusterStatus) -> Finding {
    const CHECK: &str = "cluster";
    if cluster.engine.is_empty() {
        return Finding::good(CHECK, "none: it serves this host alone");
    }
    let found = super::members::summary(cluster);
    let refused = cluster.members.iter().filter(|member| member.relation == "refused").count();
    match cluster.standing.as_str() {
        "starting" => Finding::bad(
            CHECK,
            found,
            "start the engine on this host, and see that the daemon's user may use it \
             (saevtd.conf(5), engine)",
        ),
        "outside" => Finding::bad(
            CHECK,
            found,
            "see why this node is not with the majority: `corosync-quorumtool`",
        ),
        _ if !cluster.serving => Finding::warning(
            CHECK,
            found,
            "it waits for the others; it will serve alone after alone_after_seconds",
        ),
        _ if refused > 0 => Finding::bad(
            CHECK,
            format!("{found}; nodes that cannot be talked to: {refused}"),
            "see `saevt members`: versions, limits or member numbers differ",
        ),
        _ => Finding::good(CHECK, found),
    }
}

/// How many files a process may have open; `None` if that may not be looked at.
fn open_files_of(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
