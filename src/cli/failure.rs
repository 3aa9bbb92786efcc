//! How the tool fails: one line on standard error and an exit status.

use super::arguments::Arguments;
use super::text::escape;
use SaEvt::api::Error;
use clap::CommandFactory;
use clap::error::{ContextKind, ErrorKind};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit statuses, as the manual page lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Something failed.
    Failed = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// The time is over.
    Timeout = 3,
    /// No such channel or event.
    NotThere = 4,
    /// The service cannot be reached.
    Unreachable = 5,
}

/// Why the tool ends early.
#[derive(Debug)]
pub(super) enum Failure {
    /// One line for people, and the exit status.
    Told(Status, String),
    /// The exit status says it all.
    Quiet(Status),
    /// Nobody reads the output any more: whoever did has what was wanted.
    Unread,
    /// A signal asked for the end: the tool ends by it.
    Signal(i32),
}

impl Failure {
    pub(super) fn new(status: Status, message: impl fmt::Display) -> Self {
        Self::Told(status, message.to_string())
    }

    /// What an error of the service means for `what` was tried.
    pub(super) fn of(what: impl fmt::Display, error: Error) -> Self {
        let (status, why) = match error {
            Error::TryAgain => (
                Status::Unreachable,
                "the service is busy or away; `saevt doctor` looks why, --wait waits longer",
            ),
            Error::Timeout => {
                (Status::Unreachable, "the daemon does not answer; `saevt doctor` looks why")
            }
            Error::NotExist => (
                Status::NotThere,
                "it does not exist, or the policy of the daemon does not permit it",
            ),
            Error::NoResources => {
                (Status::Failed, "a limit is reached; `saevt limits` lists them all")
            }
            Error::NoMemory => (Status::Failed, "out of memory"),
            Error::BadHandle => {
                (Status::Failed, "the daemon was replaced and does not know the channel any more")
            }
            Error::Access => (Status::Failed, "it is not permitted"),
            Error::Version => {
                (Status::Failed, "the daemon is of another version; install the same for both")
            }
            Error::TooBig => (Status::Failed, "it is too big; `saevt limits` says what is allowed"),
            Error::InvalidParam => (Status::Failed, "the service refuses it as not valid"),
            Error::Library => (Status::Failed, "the library has failed"),
            _ => (Status::Failed, "the service has failed"),
        };
        Self::Told(status, format!("{what}: {why}"))
    }

    /// What an error of the system means for `what` was tried.
    pub(super) fn of_system(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::Told(Status::Failed, format!("{what}: {error}"))
    }

    /// What an error while writing to standard output means.
    pub(super) fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Unread
        } else {
            Self::of_system("cannot write the output", error)
        }
    }

    /// Tells it and gives the exit status.
    pub(super) fn report(self) -> ExitCode {
        match self {
            Self::Told(status, message) => {
                complain(&message);
                ExitCode::from(status as u8)
            }
            Self::Quiet(status) => ExitCode::from(status as u8),
            Self::Unread => ExitCode::SUCCESS,
            Self::Signal(number) => super::interrupt::end_by(number),
        }
    }
}

/// One line on standard error. What comes from others is escaped in it already.
pub(super) fn complain(message: &str) {
    // Without a standard error nobody can be told.
    let _ = writeln!(io::stderr(), "saevt: {message}");
}

/// What the parser of the arguments refuses as one line; help and version as they are.
pub(super) fn of_arguments(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return match error.print() {
                Err(why) => Failure::of_output(&why).report(),
                Ok(()) => ExitCode::SUCCESS,
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let command = command_of(std::env::args_os());
            complain(&format!("what is to be done? `{command} --help` lists the commands"));
            return ExitCode::from(Status::Usage as u8);
        }
        _ => {}
    }
    complain(&format!("{}; see `{} --help`", refusal(error), command_of(std::env::args_os())));
    ExitCode::from(Status::Usage as u8)
}

/// What is wrong with the arguments, in one line.
fn refusal(error: &clap::Error) -> String {
    use std::error::Error as _;
    let context = |kind| error.get(kind).map(ToString::to_string);
    if let (Some(argument), Some(value), Some(why)) =
        (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue), error.source())
    {
        // What is told of it has been escaped where that was needed.
        return format!("{argument}: invalid value '{}': {why}", escape(value.as_bytes()));
    }
    if error.kind() == ErrorKind::InvalidUtf8 {
        return "an argument that has to be text has bytes that are no UTF-8".to_owned();
    }
    let text = error.render().to_string();
    let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let tips: String = tips.map(|tip| format!("; {tip}")).collect();
    let first = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let first = first.collect::<Vec<_>>().join(" ");
    let first = first.strip_prefix("error: ").unwrap_or(&first);
    escape(format!("{first}{tips}").as_bytes())
}

/// The command whose help has more: `saevt publish`, if that was wanted.
fn command_of(arguments: impl Iterator<Item = OsString>) -> String {
    let mut command = Arguments::command();
    let mut name = "saevt".to_owned();
    for argument in arguments.skip(1) {
        let found = command.get_subcommands().find(|one| *one.get_name() == *argument);
        if let Some(found) = found.cloned() {
            name = format!("{name} {}", found.get_name());
            command = found;
        }
    }
    name
}
