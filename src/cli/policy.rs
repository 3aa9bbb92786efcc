//! What a policy comes to. Asks no daemon: it reads the rules that a daemon would read.

use super::arguments::PolicyTest;
use super::failure::{Failure, Status};
use super::output::Output;
use super::text::escape;
use SaEvt::policy::{Actions, Policy, Subject, accounts};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the system's daemon has its configuration.
const SYSTEM: &str = "/etc/saevt/saevtd.conf";

/// `saevt policy test`.
pub(super) fn test(task: &PolicyTest) -> Result<(), Failure> {
    let path = task.config.clone().unwrap_or_else(|| PathBuf::from(SYSTEM));
    let shown = escape(path.as_os_str().as_bytes());
    let usage = |what: String| Failure::new(Status::Usage, what);
    let policy = read(&path, task.config.is_some())
        .map_err(|why| usage(format!("--config: {shown}: {}", escape(why.as_bytes()))))?;
    let (user, groups) = accounts::user_with_groups(&task.user)
        .map_err(|why| usage(format!("<USER>: {}", escape(why.as_bytes()))))?;
    let named = Actions::NAMES.iter().find(|(name, _)| *name == task.action);
    let action = named.map_or(Actions::empty(), |(_, action)| *action);
    // What concerns no channel is judged for one without a name.
    let channel = match action {
        Actions::ADMINISTRATE => &[][..],
        _ => task.channel.octets(),
    };
    let decision = policy.decide(Subject { user, groups: &groups }, channel, action);
    let verdict = if decision.permitted { "allowed" } else { "denied" };
    let why = match decision.rule {
        Some(rule) => format!("by rule {rule} of {shown}"),
        None if policy.is_empty() => format!("there are no rules in {shown}"),
        None => format!("none of the {} rules of {shown} is about it", policy.len()),
    };
    Output::new().line(&format!("{verdict}: {why}"))?;
    if decision.permitted { Ok(()) } else { Err(Failure::Quiet(Status::Failed)) }
}

/// The rules of a configuration; none if the system has none.
fn read(path: &Path, must_exist: bool) -> Result<Policy, String> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => String::new(),
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(text) => text,
    };
    Policy::of_configuration(&text, &accounts::user, &accounts::group)
}
