//! Where the daemon sits: its directory, lock and socket, and what it sheds of who started it.

use super::config::Config;
use super::supervisor;
use crate::sys::{descriptor, process, socket};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Why the daemon does not take its place.
#[derive(Debug)]
pub enum Refusal {
    /// Another daemon has it.
    Taken,
    /// One line: what, where, why.
    Failed(String),
}

/// The place, held for as long as this lives.
#[derive(Debug)]
pub struct Place {
    /// The listening socket.
    pub listener: OwnedFd,
    /// Becomes readable with SIGTERM, SIGINT or SIGHUP.
    pub signals: OwnedFd,
    /// The socket is a supervisor's, and stays when the daemon goes.
    is_handed: bool,
    _lock: File,
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Refusal {
    Refusal::Failed(format!("cannot {what} {}: {error}", path.display()))
}

/// Takes the lock and binds the socket.
///
/// # Errors
///
/// [`Refusal::Taken`] if a daemon with this state directory runs; else what failed.
pub fn take(config: &Config) -> Result<Place, Refusal> {
    process::raise_descriptor_limit();
    let directory = &config.state_dir;
    DirBuilder::new()
        .recursive(true)
        // Others may pass through to the socket, whose own permissions say who may connect.
        .mode(0o755)
        .create(directory)
        .map_err(|error| failed("make the state directory", directory, &error))?;
    let lock_path = directory.join("lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|error| failed("open the lock file", &lock_path, &error))?;
    lock.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => Refusal::Taken,
        std::fs::TryLockError::Error(error) => failed("lock", &lock_path, &error),
    })?;
    let handed = supervisor::listener().map_err(|error| {
        Refusal::Failed(format!(
            "the supervisor hands over no listening socket of type SOCK_SEQPACKET: {error}"
        ))
    })?;
    let is_handed = handed.is_some();
    let listener = match handed {
        Some(listener) => listener,
        None => listen(config)?,
    };
    let signals = descriptor::signals()
        .map_err(|error| Refusal::Failed(format!("cannot wait for signals: {error}")))?;
    Ok(Place { listener, signals, is_handed, _lock: lock })
}

fn listen(config: &Config) -> Result<OwnedFd, Refusal> {
    let path = &config.socket;
    clear_stale(path)?;
    let listener = socket::listen(path).map_err(|error| failed("listen on", path, &error))?;
    if !is_abstract(path) {
        std::fs::set_permissions(path, Permissions::from_mode(config.socket_mode))
            .map_err(|error| failed("set the permissions of", path, &error))?;
    }
    Ok(listener)
}

impl Place {
    /// Puts a link to another daemon's socket in place of this one's.
    pub(super) fn point_to(&self, socket: &Path, other: &Path) -> io::Result<()> {
        let link = socket.with_extension("link");
        // One that an earlier daemon could not put in place.
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(other, &link)?;
        std::fs::rename(&link, socket)
    }

    /// Removes the socket's name, so that programs see at once that nobody is there; not that of a
    /// supervisor, who starts a daemon for the next one that connects.
    pub(super) fn leave(&self, config: &Config) {
        if !self.is_handed && !is_abstract(&config.socket) {
            // Gone already is as good as removed.
            let _ = std::fs::remove_file(&config.socket);
        }
    }
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().first() == Some(&b'@')
}

/// Removes a socket that a dead daemon left; anything else there is not ours to remove.
fn clear_stale(path: &Path) -> Result<(), Refusal> {
    if is_abstract(path) {
        return Ok(());
    }
    match std::fs::symlink_metadata(path) {
        // What a private daemon has left that has moved to a system service, which is gone now.
        Ok(found) if found.is_symlink() && socket::connect(path).is_err() => {
            std::fs::remove_file(path).map_err(|error| failed("remove", path, &error))
        }
        Ok(found) if found.is_symlink() => Err(Refusal::Taken),
        Ok(found) if !found.file_type().is_socket() => Err(Refusal::Failed(format!(
            "cannot listen on {}: something that is no socket is there; remove it or choose \
             another path",
            path.display()
        ))),
        Ok(_) if socket::connect(path).is_ok() => Err(Refusal::Taken),
        Ok(_) => std::fs::remove_file(path).map_err(|error| failed("remove", path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path, &error)),
    }
}
