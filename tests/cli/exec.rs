//! `watch --exec`.

use crate::bed::Process;
use crate::tool::{CHANNEL, TOOL, retain, run, run_with, tool, with_daemon};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;

#[test]
fn a_command_gets_the_event_in_its_environment_and_the_data_on_its_input() {
    with_daemon(|bed| {
        let arguments = ["publish", CHANNEL, "-p", "one", "-p", "t\\0wo", "--publisher", "me"];
        let more = ["--retain", "1h", "--priority", "2", "-"];
        let publish = [&arguments[..], &more].concat();
        let id = run_with(&mut tool(bed, publish), b"\xff data").ok();
        let shell = "printf '%s|' $SAEVT_TYPE $SAEVT_CHANNEL $SAEVT_ID $SAEVT_PRIORITY \
                     $SAEVT_PUBLISHER $SAEVT_RETENTION_NS $SAEVT_BYTES $SAEVT_PATTERNS \
                     \"$SAEVT_PATTERN_1\" \"$SAEVT_PATTERN_2\"; od -An -tx1";
        let said = run(bed, &["watch", CHANNEL, "-n1", "--exec", shell]).ok();
        let id = id.trim_end();
        let expected = format!("event|{CHANNEL}|{id}|2|me|3600000000000|6|2|one|t\\x00wo|");
        assert_eq!(said, format!("{expected} ff 20 64 61 74 61\n"));
    });
}

#[test]
fn a_command_that_watches_itself_tells_nothing_of_the_event_before() {
    with_daemon(|bed| {
        run(bed, &["publish", CHANNEL, "-p", "a", "-p", "b", "--retain", "1h"]).ok();
        run(bed, &["publish", "safChnl=inner", "-p", "c", "--retain", "1h"]).ok();
        let inner = format!("{TOOL} watch safChnl=inner -n1 --exec 'env | grep SAEVT_PATTERN'");
        let said = run(bed, &["watch", CHANNEL, "-n1", "--exec", &inner]).ok();
        let lines: std::collections::BTreeSet<_> = said.lines().collect();
        assert_eq!(
            lines.into_iter().collect::<Vec<_>>(),
            ["SAEVT_PATTERNS=1", "SAEVT_PATTERN_1=c"]
        );
    });
}

#[test]
fn what_an_event_says_is_never_run() {
    with_daemon(|bed| {
        let mark = bed.path("mark");
        let hostile = format!("$(touch {0}); `touch {0}`; touch {0}\n", mark.display());
        let arguments = ["publish", CHANNEL, "--retain", "1h", "-p", &hostile.replace('\n', "")];
        run_with(&mut tool(bed, [&arguments[..], &["-"]].concat()), hostile.as_bytes()).ok();
        let said = run(bed, &["watch", CHANNEL, "-n1", "--exec", "echo $SAEVT_PATTERN_1"]).ok();
        assert!(said.contains("$(touch "), "{said}");
        assert!(!mark.exists());
    });
}

#[test]
fn a_command_that_fails_is_told_and_the_others_run() {
    with_daemon(|bed| {
        let ids = [retain(bed, "bad"), retain(bed, "good"), retain(bed, "killed")];
        let shell = "read -r word; case $word in bad) exit 7;; killed) kill -9 $$;; esac; \
                     echo $word";
        let run = run(bed, &["watch", CHANNEL, "-n3", "--exec", shell]);
        assert_eq!((run.status.code(), run.output.as_str()), (Some(1), "good\n"));
        let expected = format!(
            "saevt: the command for the event {} ended with status 7\n\
             saevt: the command for the event {} was ended by signal 9\n",
            ids[0], ids[2]
        );
        assert_eq!(run.errors, expected);
    });
}

#[test]
fn a_command_need_not_read_the_data() {
    with_daemon(|bed| {
        let data = vec![b'x'; 65_536];
        let publish = ["publish", CHANNEL, "--retain", "1h", "--repeat", "3", "-q", "-"];
        run_with(&mut tool(bed, publish), &data).ok();
        let said = run(bed, &["watch", CHANNEL, "-n3", "--exec", "echo $SAEVT_BYTES"]).ok();
        assert_eq!(said, "65536\n65536\n65536\n");
    });
}

#[test]
fn commands_are_ended_by_the_signals_that_end_others() {
    with_daemon(|bed| {
        retain(bed, "x");
        let shell = "kill -TERM $$; echo alive";
        let run = run(bed, &["watch", CHANNEL, "-n1", "--exec", shell]);
        assert_eq!((run.status.code(), run.output.as_str()), (Some(1), ""));
        assert!(run.errors.contains("was ended by signal 15"), "{}", run.errors);
    });
}

#[test]
fn as_many_commands_run_at_once_as_wanted_and_no_more() {
    with_daemon(|bed| {
        for number in 0..6 {
            retain(bed, &number.to_string());
        }
        let busy = bed.path("busy");
        std::fs::create_dir(&busy).unwrap();
        // Each waits until it is not alone, and tells how many there are.
        let shell = format!(
            "cd {}; touch $$; until [ $(ls | wc -l) -ge 2 ] || [ -e ../over ]; do :; done; \
             ls | wc -l; touch ../over; rm $$",
            busy.display()
        );
        let said = run(bed, &["watch", CHANNEL, "-n6", "--jobs", "2", "--exec", &shell]).ok();
        let most = said.lines().map(|line| line.trim().parse::<u32>().unwrap()).max();
        assert_eq!(most, Some(2));
        std::fs::remove_file(bed.path("over")).unwrap();
        let said = run(
            bed,
            &[
                "watch",
                CHANNEL,
                "-n6",
                "--exec",
                &format!("touch {0}; {shell}", bed.path("over").display()),
            ],
        )
        .ok();
        assert!(said.lines().all(|line| line.trim() == "1"), "{said}");
    });
}

#[test]
fn a_signal_waits_for_the_commands_that_run_and_the_next_one_does_not() {
    with_daemon(|bed| {
        retain(bed, "first");
        retain(bed, "second");
        // The second event finds no free command, and is left when the signal comes.
        let shell = "trap '' TERM; read -r word; echo begins $word; cat go; echo ends $word";
        let fifo = bed.path("go");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let shell = shell.replace("cat go", &format!("cat {}", fifo.display()));
        let begin = || {
            let mut watcher = Process::start(&mut tool(bed, ["watch", CHANNEL, "--exec", &shell]));
            let output = BufReader::new(watcher.child().stdout.take().unwrap());
            let errors = BufReader::new(watcher.child().stderr.take().unwrap());
            let mut said = output.lines().map(Result::unwrap);
            assert_eq!(said.next().unwrap(), "begins first");
            watcher.signal(Signal::SIGTERM);
            let complaint = errors.lines().next().unwrap().unwrap();
            assert!(complaint.contains("another signal ends this at once"), "{complaint}");
            (watcher, said)
        };
        let (mut patient, said) = begin();
        std::fs::write(&fifo, "").unwrap();
        assert_eq!(patient.wait().signal(), Some(15));
        assert_eq!(said.collect::<Vec<_>>(), ["ends first"]);

        let (mut hurried, said) = begin();
        hurried.signal(Signal::SIGTERM);
        assert_eq!(hurried.wait().signal(), Some(15));
        // The command goes on.
        std::fs::write(&fifo, "").unwrap();
        assert_eq!(said.collect::<Vec<_>>(), ["ends first"]);
    });
}
