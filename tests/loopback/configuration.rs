//! What the daemon says to configurations that it cannot serve.

use crate::bed::{Bed, outcome};
use crate::{Outcome, Test};
use nix::sys::signal::Signal;
use std::path::Path;

pub(crate) const TESTS: &[Test] = &[
    ("a_bad_configuration_is_one_clear_line_and_status_1", bad_configurations),
    ("a_place_that_cannot_be_taken_is_one_clear_line_and_status_1", bad_places),
    ("check_config_checks_and_leaves", check_config),
    ("the_socket_has_the_permissions_it_was_given", socket_mode),
    ("an_idle_daemon_leaves_when_it_is_told_to", idle_exit),
];

/// Runs the daemon with this configuration; its status and its one line.
#[track_caller]
fn refused(bed: &Bed, configuration: &str) -> String {
    let (status, errors) = outcome(&mut bed.daemon_command(configuration));
    assert_eq!(status.code(), Some(1), "{configuration}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{configuration}: {errors}");
    errors.strip_prefix("saevtd: ").expect("it says who speaks").trim_end().to_owned()
}

fn bad_configurations() -> Outcome {
    let bed = Bed::new();
    let number = |key: &str, value: &str| format!("[limits]\n{key} = {value}\n");
    let cases = [
        ("[limits]\nchanels_max = 3\n".to_owned(), "line 2: unknown field `chanels_max`"),
        ("[limit]\n".to_owned(), "line 1: unknown field `limit`"),
        ("[limits\n".to_owned(), "line 1: "),
        (number("channels_max", "\"many\""), "line 2: invalid type"),
        (number("channels_max", "-1"), "line 2: invalid value"),
        (number("channels_max", "0"), "limits.channels_max = 0: use a number from 1 to"),
        (number("patterns_max", "1025"), "limits.patterns_max = 1025: use a number from 1 to 1024"),
        (number("pattern_bytes_max", "65536"), "use a number from 1 to 65535"),
        (number("event_bytes_max", "0"), "limits.event_bytes_max = 0: use a number"),
        (number("event_bytes_max", "1048576"), "link.outbox_bytes = 2097152: use a power of two"),
        (number("processes_max", "0"), "limits.processes_max = 0: use a number"),
        (number("queue_events_max", "0"), "limits.queue_events_max = 0: use a number"),
        (number("retention_max_seconds", "-1"), "limits.retention_max_seconds = -1: use seconds"),
        ("[link]\ninbox_bytes = 1000000\n".to_owned(), "link.inbox_bytes = 1000000: use a power"),
        ("[node]\nsocket_mode = \"0999\"\n".to_owned(), "node.socket_mode = \"0999\": use octal"),
        (
            "[metrics]\nlisten = \"0.0.0.0:1\"\n".to_owned(),
            "metrics.listen = \"0.0.0.0:1\": use unix:",
        ),
        ("[metrics]\nchannel_labels_max = 10001\n".to_owned(), "channel_labels_max = 10001: use a"),
        ("[[policy]]\nallow = []\n".to_owned(), "policy rule 1: it names no action"),
        ("[node]\ngrace_seconds = 1e10\n".to_owned(), "node.grace_seconds = 10000000000: use"),
    ];
    for (configuration, says) in cases {
        let line = refused(&bed, &configuration);
        let named = line.starts_with(&format!("{}: ", bed.path("saevtd.conf").display()));
        assert!(named && line.contains(says), "{configuration}: {line}");
    }
    let mut missing = bed.daemon_command("");
    missing.arg("--config").arg("/nonexistent/saevtd.conf");
    std::fs::remove_file(bed.path("saevtd.conf")).map_err(|error| error.to_string())?;
    let mut command = std::process::Command::new(crate::bed::DAEMON);
    let (status, errors) = outcome(command.arg("--config").arg(bed.path("saevtd.conf")));
    assert_eq!(status.code(), Some(1));
    assert!(errors.starts_with("saevtd: cannot read configuration "), "{errors}");
    assert_eq!(errors.lines().count(), 1);
    Ok(())
}

fn bad_places() -> Outcome {
    let bed = Bed::new();
    let _daemon = bed.daemon();
    let line = refused(&bed, "");
    assert!(line.starts_with("a daemon already serves "), "{line}");
    let at = |socket: &Path, state: &Path| {
        let mut command = std::process::Command::new(crate::bed::DAEMON);
        let (status, errors) =
            outcome(command.arg("--socket").arg(socket).arg("--state-dir").arg(state));
        assert_eq!(status.code(), Some(1), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        errors
    };
    // The socket of another daemon, with a state of its own.
    let errors = at(&bed.socket(), &bed.path("other"));
    assert!(errors.contains("a daemon already serves "), "{errors}");
    let file = bed.path("file");
    std::fs::write(&file, "precious").map_err(|error| error.to_string())?;
    let errors = at(&file, &bed.path("other"));
    assert!(errors.contains("something that is no socket is there"), "{errors}");
    assert_eq!(std::fs::read(&file).map_err(|error| error.to_string())?, b"precious");
    let errors = at(&bed.path("new.sock"), &file);
    assert!(errors.contains("cannot make the state directory"), "{errors}");
    let errors = at(&bed.path("no/such/folder/new.sock"), &bed.path("other"));
    assert!(errors.contains("cannot listen on"), "{errors}");
    let errors = at(&bed.path(&"long".repeat(40)), &bed.path("other"));
    assert!(errors.contains("cannot listen on"), "{errors}");
    // It serves on after all this.
    bed.ready().ok("open l c psc 60000");
    Ok(())
}

fn check_config() -> Outcome {
    let bed = Bed::new();
    let mut command = bed.daemon_command("[limits]\nchannels_max = 5\n");
    let (status, errors) = outcome(command.arg("--check-config"));
    assert!(status.success() && errors.is_empty(), "{errors}");
    assert!(!bed.path("state").exists(), "nothing was started");
    let (status, errors) = outcome(bed.daemon_command("x = 1\n").arg("--check-config"));
    assert_eq!((status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    Ok(())
}

fn socket_mode() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    for (configuration, mode) in [("", 0o660), ("[node]\nsocket_mode = \"0606\"\n", 0o606)] {
        let bed = Bed::new();
        let mut daemon = bed.daemon_with(configuration);
        // It listens before it sets the permissions; once it answers it has.
        bed.ready();
        let found = std::fs::metadata(bed.socket()).map_err(|error| error.to_string())?;
        assert_eq!(found.permissions().mode() & 0o777, mode);
        let state = std::fs::metadata(bed.state()).map_err(|error| error.to_string())?;
        assert_eq!(state.permissions().mode() & 0o777, 0o600);
        daemon.signal(Signal::SIGTERM);
        assert!(daemon.wait().success());
        assert!(!bed.socket().exists(), "the name of the socket goes with the daemon");
    }
    Ok(())
}

fn idle_exit() -> Outcome {
    let bed = Bed::new();
    let mut daemon = bed.daemon_with("[node]\nidle_exit_seconds = 0.2\n");
    let mut program = bed.ready();
    program.ok("open l c psc 60000");
    program.publish("c", 3, 600_000, "kept");
    program.finish();
    assert!(daemon.wait().success());
    let _daemon = bed.daemon();
    let mut program = bed.ready();
    program.ok("open l c s 60000");
    program.ok("sub c 1");
    program.ok("dispatch l all");
    assert_eq!(program.event(), "kept");
    Ok(())
}
