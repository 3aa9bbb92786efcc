//! What the tool refuses, and that its help is true.

use crate::bed::{Bed, Process};
use crate::tool::{CHANNEL, Running, TOOL, run, run_with, tool, watched, with_daemon};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

#[test]
fn what_makes_no_sense_is_told_in_one_line_and_nothing_is_done() {
    with_daemon(|bed| {
        let wrong: [(&[&str], &str); 32] = [
            (&[], "`saevt --help`"),
            (&["wach", CHANNEL], "`saevt --help`"),
            (&["watch"], "`saevt watch --help`"),
            (&["watch", ""], "a channel has a name"),
            (&["watch", &"x".repeat(257)], "it has 257 bytes, and 256 are allowed"),
            (&["watch", CHANNEL, "--filter", "oven"], "write prefix:BYTES"),
            (&["watch", CHANNEL, "--format", "{what}"], "there is no {what}"),
            (&["watch", CHANNEL, "--count", "0"], "--count"),
            (&["watch", CHANNEL, "--timeout", "soon"], "write a time such as 10s"),
            (&["watch", CHANNEL, "--json", "--hex"], "--hex"),
            (&["watch", CHANNEL, "--jobs", "2"], "--exec"),
            (&["publish", CHANNEL, "--priority", "4"], "write 0 for the highest"),
            (&["publish", CHANNEL, "--retain", "0s"], "above zero"),
            (&["publish", CHANNEL, "--rate=-1"], "--rate"),
            (&["publish", CHANNEL, "--lines", "x"], "standard input or --file FILE"),
            (&["publish", CHANNEL, "x", "--file", "y"], "--file"),
            (&["clear", CHANNEL, "1000"], "<ID>"),
            (&["clear", CHANNEL, "-5"], "<ID>...: invalid value '-5': write a number above 1000"),
            (&["clear", CHANNEL, "first"], "write a number above 1000"),
            (&["watch", CHANNEL, "--count", "-1"], "--count <NUMBER>: invalid value '-1': write"),
            (&["watch", CHANNEL, "--timeout", "-5s"], "--timeout <TIME>: invalid value '-5s'"),
            (&["--wait", "-1", "status"], "--wait <TIME>: invalid value '-1'"),
            (&["publish", CHANNEL, "--rate", "0"], "write a number of events in a second"),
            (&["publish", CHANNEL, "--rate", "1e-300"], "write a number of events in a second"),
            (&["publish", CHANNEL, "--repeat", "0"], "write a whole number, 1 or more"),
            (&["publish", CHANNEL, "--priority", "-1"], "write 0 for the highest"),
            (&["publish", CHANNEL, "--patern", "x"], "'--pattern'"),
            (&["publish", CHANNEL, "-x"], "'-- -x'"),
            (&["bench", "--time", "0"], "--time <TIME>: invalid value '0': use 10ms or more"),
            (&["bench", "--bytes", "67108865"], "--bytes"),
            (&["policy"], "`saevt policy --help`"),
            (&["policy", "test", "root"], "`saevt policy test --help`"),
        ];
        for (arguments, fix) in wrong {
            let run = run(bed, arguments);
            assert_eq!(run.output, "", "{arguments:?}");
            let complaint = run.complaint(2);
            assert!(complaint.contains(fix), "{arguments:?}: {complaint}");
        }
        let bytes = |option| [OsStr::new(option), OsStr::from_bytes(b"\xff")];
        for (option, told) in [("--format", "--format <FORMAT>: "), ("--priority", "no UTF-8")] {
            let task = if option == "--format" { "watch" } else { "publish" };
            let words = [OsStr::new(task), OsStr::new(CHANNEL)].into_iter().chain(bytes(option));
            let complaint = run_with(&mut tool(bed, words), b"").complaint(2);
            assert!(complaint.contains(told), "{complaint}");
        }
        run(bed, &["watch", CHANNEL, "--no-create", "-n1"]).complaint(4);
        let mut help = tool(bed, ["--help"]);
        help.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let mut help = Process::start(&mut help);
        assert_eq!(help.wait().code(), Some(1), "what cannot be written is a failure");
    });
}

#[test]
fn a_file_that_is_not_there_is_named() {
    with_daemon(|bed| {
        let complaint = run(bed, &["publish", CHANNEL, "--file", "/no/\x1bfile"]).complaint(1);
        assert!(complaint.starts_with("--file: cannot open /no/\\x1bfile: "), "{complaint}");
    });
}

#[test]
fn without_a_daemon_the_tool_waits_as_long_as_it_is_told_to() {
    watched(|| {
        let bed = Bed::new();
        for arguments in [["watch", CHANNEL], ["publish", CHANNEL], ["unlink", CHANNEL]] {
            let run = run(&bed, &[&arguments[..], &["--wait", "20ms"]].concat());
            let complaint = run.complaint(5);
            assert!(complaint.starts_with("cannot connect to the service: "), "{complaint}");
        }
    });
}

#[test]
fn the_tool_finds_the_daemon_beside_it_when_it_is_found_in_the_path() {
    watched(|| {
        let bed = Bed::new();
        for (from, to) in [(TOOL, "bin/saevt"), (env!("CARGO_BIN_EXE_saevtd"), "sbin/saevtd")] {
            let to = bed.path(to);
            std::fs::create_dir(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        }
        std::fs::create_dir(bed.path("run")).unwrap();
        let mut command = Command::new("saevt");
        command.env("PATH", bed.path("bin")).env("SAEVT_RUNTIME_DIR", bed.path("run"));
        command.args(["status", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["SAEVT_SOCKET", "SAEVT_AUTOSTART", "SAEVT_DAEMON"] {
            command.env_remove(name);
        }
        let status: Value = serde_json::from_str(&run_with(&mut command, b"").ok()).unwrap();
        let daemon = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
        nix::sys::signal::kill(Pid::from_raw(daemon), Signal::SIGTERM).unwrap();
    });
}

/// Every example of every command: the lines below `Examples:` in its help.
fn examples(bed: &Bed) -> Vec<String> {
    let help = run(bed, &["--help"]).ok();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    let mut examples = Vec::new();
    for command in commands.iter().filter(|command| **command != "help") {
        let help = run(bed, &[command, "--help"]).ok();
        let (_, rest) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{command}"));
        let lines = rest.lines().take_while(|line| line.starts_with("  "));
        let of_command: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
        assert!(!of_command.is_empty(), "{command}");
        // Lines of one example may build on each other.
        if of_command.iter().any(|line| line.starts_with("id=")) {
            examples.push(of_command.join("\n"));
        } else {
            examples.extend(of_command);
        }
    }
    examples
}

#[test]
fn every_example_of_the_help_works_when_it_is_pasted() {
    with_daemon(|bed| {
        // What the examples find: a kitchen where something goes on, and stays.
        for pattern in ["oven", "fridge"] {
            let arguments = ["publish", "safChnl=kitchen", "-p", pattern, "--retain", "1h", "x"];
            run(bed, &arguments).ok();
        }
        let directory = std::path::Path::new(TOOL).parent().unwrap().display();
        let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
        for example in examples(bed) {
            if example.starts_with("saevt top") {
                // The only one that needs a terminal; it has a test of its own.
                continue;
            }
            let mut shell = std::process::Command::new("bash");
            let of_tool = tool(bed, [] as [&str; 0]);
            for (name, value) in of_tool.get_envs().filter_map(|(n, v)| Some((n, v?))) {
                shell.env(name, value);
            }
            shell.env("PATH", &path).args(["-ec", &example]);
            shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            if example == "saevt watch safChnl=kitchen" {
                let mut running = Running::start(&mut shell);
                assert!(running.line().contains("[oven]"), "{example}");
                running.process.signal(Signal::SIGTERM);
                continue;
            }
            if example.starts_with("saevt unlink") {
                run(bed, &["publish", "safChnl=kitchen"]).ok();
            }
            run_with(&mut shell, b"").ok();
            let arguments = ["publish", "safChnl=kitchen", "-p", "oven", "--retain", "1h", "x"];
            run(bed, &arguments).ok();
        }
    });
}
