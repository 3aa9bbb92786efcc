//! Where the daemon is. The only place that reads the environment.
//!
//! - `SAEVT_SOCKET`, if set: there and nowhere else.
//! - Else, if this host has a system service (`/run/saevt` or `/etc/saevt/saevtd.conf` exists): its
//!   socket and no other. Not reachable or not permitted is an error, never a reason to use a
//!   private service beside it.
//! - Else a private daemon of this user, at a place that depends on the user alone: the first of
//!   `/run/user/UID` (if it is the user's) and `/tmp/saevt-UID`. `SAEVT_RUNTIME_DIR` names another
//!   directory. If nobody answers there, the daemon is started. When a system service appears, the
//!   daemon moves there and tells its programs, unless `SAEVT_RUNTIME_DIR` chose its directory.
//!
//! A program that was given rights its caller lacks does not believe the environment, and starts
//! nothing.
#![allow(clippy::disallowed_methods)] // The environment is read here.

use crate::sys::process;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const SYSTEM_DIRECTORY: &str = "/run/saevt";
const SYSTEM_CONFIGURATION: &str = "/etc/saevt/saevtd.conf";

/// Where a daemon is, and what may be done if nobody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The socket.
    pub(super) socket: PathBuf,
    /// The runtime directory of a private daemon, which may be started there.
    pub(super) private: Option<PathBuf>,
    /// A private daemon there moves to the system service when one appears.
    pub(super) yields: bool,
}

impl Place {
    /// Whether the private daemon that was here has moved to the system service: it leaves a link
    /// in place of its socket.
    pub(super) fn has_moved(&self) -> bool {
        self.yields && std::fs::read_link(&self.socket).is_ok_and(|to| to == system().socket)
    }

    const fn fixed(socket: PathBuf) -> Self {
        Self { socket, private: None, yields: false }
    }
}

/// The environment as far as it counts here.
#[derive(Debug, Default)]
struct Environment {
    socket: Option<PathBuf>,
    directory: Option<PathBuf>,
    no_autostart: bool,
}

impl Environment {
    fn read() -> Self {
        if process::is_privileged_exec() {
            return Self { no_autostart: true, ..Self::default() };
        }
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            socket: path("SAEVT_SOCKET").map(PathBuf::from),
            directory: path("SAEVT_RUNTIME_DIR").map(PathBuf::from),
            no_autostart: path("SAEVT_AUTOSTART").is_some_and(|value| value == "0"),
        }
    }
}

/// Finds the place. `None` if there is none: no directory of the user's can be had.
pub(super) fn find() -> Option<Place> {
    let system = Path::new(SYSTEM_DIRECTORY).exists() || Path::new(SYSTEM_CONFIGURATION).exists();
    choose(Environment::read(), system, process::user())
}

/// The place of the system service.
pub(super) fn system() -> Place {
    Place::fixed(Path::new(SYSTEM_DIRECTORY).join("saevt.sock"))
}

fn choose(environment: Environment, system: bool, user: u32) -> Option<Place> {
    if let Some(socket) = environment.socket {
        return Some(Place::fixed(socket));
    }
    let yields = environment.directory.is_none();
    if system && yields {
        return Some(self::system());
    }
    let directory = match environment.directory {
        Some(directory) => directory,
        None => user_directory(user)?,
    };
    let socket = directory.join("saevt.sock");
    Some(Place { socket, private: (!environment.no_autostart).then_some(directory), yields })
}

/// The directory of a user's private daemon. Another user's, or a link, is not used.
fn user_directory(user: u32) -> Option<PathBuf> {
    let runtime = PathBuf::from(format!("/run/user/{user}"));
    if is_own_directory(&runtime, user) {
        return Some(runtime.join("saevt"));
    }
    let directory = PathBuf::from(format!("/tmp/saevt-{user}"));
    // It exists already in most cases; the look that follows decides.
    let _ = DirBuilder::new().mode(0o700).create(&directory);
    is_own_directory(&directory, user).then_some(directory)
}

fn is_own_directory(path: &Path, user: u32) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0)
}

/// Where the daemon's program is: beside the library's own file, then under the prefix it was built
/// for, then where `SAEVT_DAEMON` says. Never through `PATH`.
pub(super) fn daemon_program() -> Option<PathBuf> {
    let library = crate::sys::program::own_file();
    let beside = library.as_deref().and_then(Path::parent);
    let from_library = |relative: &str| beside.map(|directory| directory.join(relative));
    let prefix = option_env!("SAEVT_PREFIX").map(Path::new);
    let said = (!process::is_privileged_exec())
        .then(|| std::env::var_os("SAEVT_DAEMON"))
        .flatten()
        .map(PathBuf::from);
    let candidates = [
        from_library("../sbin/saevtd"),
        from_library("../libexec/saevt/saevtd"),
        from_library("../../sbin/saevtd"),
        prefix.map(|prefix| prefix.join("sbin/saevtd")),
        said,
    ];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(socket: Option<&str>) -> Environment {
        Environment { socket: socket.map(PathBuf::from), ..Environment::default() }
    }

    #[test]
    fn a_named_socket_is_the_only_place() {
        let place = choose(environment(Some("/x")), true, 7).unwrap();
        assert_eq!(place, Place::fixed("/x".into()));
    }

    #[test]
    fn a_system_service_is_never_passed_by() {
        let place = choose(environment(None), true, 7).unwrap();
        assert_eq!(place, Place::fixed("/run/saevt/saevt.sock".into()));
    }

    #[test]
    fn autostart_can_be_switched_off() {
        let directory = Some(PathBuf::from("/d"));
        let environment = Environment { directory, no_autostart: true, ..Environment::default() };
        let place = choose(environment, false, 7).unwrap();
        assert_eq!(place, Place::fixed("/d/saevt.sock".into()), "and one that never moves");
    }

    #[test]
    fn a_directory_of_somebody_else_is_not_used() {
        assert!(!is_own_directory(Path::new("/proc/1"), u32::MAX));
        assert!(!is_own_directory(Path::new("/tmp"), process::user()), "all may write there");
        assert!(!is_own_directory(Path::new("/nonexistent"), process::user()));
    }
}
