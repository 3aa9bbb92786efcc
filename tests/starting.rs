//! What keeps a node from taking part in a cluster is told in one line that says what, which value,
//! and what to do; no engine is needed for these tests.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of a test, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place =
            std::env::temp_dir().join(format!("saevt-starting-{name}-{}", std::process::id()));
        fs::create_dir_all(&place).expect("a directory can be made");
        Self(place)
    }

    /// Starts a daemon that is to fail, with `[cluster]` and these lines.
    fn start(&self, lines: &str, change: impl FnOnce(&mut Command)) -> Output {
        let config = self.0.join("saevtd.conf");
        fs::write(&config, format!("[cluster]\n{lines}\n")).expect("a file can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_saevtd"));
        command.arg("--config").arg(config).arg("--socket").arg(self.0.join("socket"));
        command.arg("--state-dir").arg(self.0.join("state"));
        change(&mut command);
        command.output().expect("the daemon can be run")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The only line that a daemon said, which has ended with status 1.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn has_all(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no \"{word}\" in: {said}");
    }
}

#[test]
fn what_the_configuration_says_of_a_cluster_is_judged_with_line_and_choice() {
    let place = Place::new("configuration");
    for (lines, words) in [
        ("engine = \"heartbeat\"", &["line 2", "heartbeat", "`corosync` or `tipc`"][..]),
        ("member = 6", &["cluster.engine is missing", "\"corosync\" or \"tipc\""]),
        ("engine = \"tipc\"", &["cluster.member is missing", "0 to 511"]),
        ("engine = \"tipc\"\nmember = 600", &["cluster.member = 600", "0 to 511"]),
        ("engine = \"corosync\"\nservice = \"\"", &["cluster.service = \"\"", "1 to 100"]),
        ("engine = \"corosync\"\nquorum = \"no\"", &["line 3", "no", "`required` or `ignored`"]),
    ] {
        has_all(&refusal(&place.start(lines, |_| ())), words);
    }
}

/// A library that cannot be loaded, on hosts that have it and on those that have not.
fn hide(directory: &Path, name: &str) {
    fs::write(directory.join(name), "no library").expect("a file can be written");
}

#[test]
fn a_library_of_corosync_that_cannot_be_loaded_is_named() {
    let place = Place::new("library");
    hide(&place.0, "libcpg.so.4");
    let output = place.start("engine = \"corosync\"\nmember = 1", |command| {
        command.env("LD_LIBRARY_PATH", &place.0);
    });
    let words = ["cannot attach to corosync", "libcpg.so.4", "install", "libcpg4"];
    has_all(&refusal(&output), &words);
}

#[test]
fn a_kernel_without_tipc_is_told_what_to_load() {
    let place = Place::new("tipc");
    let kind = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Tipc,
        nix::sys::socket::SockType::SeqPacket,
        nix::sys::socket::SockFlag::empty(),
        None,
    );
    if kind.is_ok() {
        println!("this kernel has TIPC");
        return;
    }
    let output = place.start("engine = \"tipc\"\nmember = 1", |_| ());
    has_all(&refusal(&output), &["cannot attach to tipc", "no TIPC", "modprobe tipc"]);
}
