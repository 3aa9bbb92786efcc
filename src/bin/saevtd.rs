//! saevtd, the node daemon: arguments and exit codes.

use SaEvt::evt::Span;
use SaEvt::node::config::Config;
use SaEvt::node::place::{self, Refusal};
use SaEvt::{node, sys};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// A private daemon leaves after so long without a program; its state waits for the next start.
const PRIVATE_IDLE: Span = Span(10_000_000_000);

/// The node daemon of the saevt event service.
///
/// Runs in the foreground until SIGTERM. With nothing configured it serves this host alone.
#[derive(Debug, Parser)]
#[command(name = "saevtd", version)]
struct Arguments {
    /// Where programs connect [default: /run/saevt/saevt.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file [default: /etc/saevt/saevtd.conf if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Runtime directory: lock, and the state that a restart finds again [default: /run/saevt]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Check the configuration and leave
    #[arg(long)]
    check_config: bool,
    /// Started by the library for one user: detach, and leave when idle
    #[arg(long, hide = true)]
    autostart: bool,
    /// Move to the system service that listens here, when there is one
    #[arg(long, hide = true)]
    yield_to: Option<PathBuf>,
}

fn configuration(arguments: &Arguments) -> Result<Config, String> {
    let system = PathBuf::from("/etc/saevt/saevtd.conf");
    let mut config = match &arguments.config {
        Some(path) => Config::read(path)?,
        None if arguments.autostart => Config::default(),
        None if system.exists() => Config::read(&system)?,
        // It may come to be there, and then a policy can be read from it.
        None => Config { source: Some(system), ..Config::default() },
    };
    if let Some(socket) = &arguments.socket {
        config.socket.clone_from(socket);
        if arguments.state_dir.is_none() && arguments.config.is_none() {
            let beside = socket.parent().map(std::path::Path::to_path_buf);
            config.state_dir = beside.unwrap_or(config.state_dir);
        }
    }
    if let Some(directory) = &arguments.state_dir {
        config.state_dir.clone_from(directory);
    }
    config.yields_to.clone_from(&arguments.yield_to);
    if arguments.autostart {
        config.idle_exit = config.idle_exit.or(Some(PRIVATE_IDLE));
        config.socket_mode = 0o600;
    }
    Ok(config)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.autostart {
        sys::process::become_daemon();
    }
    let outcome = configuration(&arguments).and_then(|config| {
        if arguments.check_config {
            println!("the configuration is good");
            return Ok(());
        }
        match place::take(&config) {
            Ok(place) => {
                if arguments.autostart {
                    sys::process::close_standard_error();
                }
                node::run(config, place)
            }
            Err(Refusal::Taken) if arguments.autostart => Ok(()),
            Err(Refusal::Taken) => Err(format!(
                "a daemon already serves {}; stop it, or choose another --socket and --state-dir",
                config.socket.display()
            )),
            Err(Refusal::Failed(why)) => Err(why),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            node::complain(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}
