//! The log: lines on standard error, or entries of the journal with fields of their own when
//! standard error is connected to that.
//!
//! A line is given up rather than waited for, so nobody stops the daemon by not reading its log.
//! Crates that speak to the journal wait for it; what they would save is the few lines of `entry`.

use super::Server;
use super::throttle::Throttle;
use crate::evt::{Name, Time};
use crate::sys::descriptor;
use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;

/// Bytes of the longest line of log: what a pipe that is ready takes at once.
const LINE_BYTES_MAX: usize = 4096;
/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Lines about one program in a minute: enough to see what it is about.
const LINES_OF_CLIENT: u32 = 10;
/// Lines about all programs of one user in a minute, also those that come and go.
const LINES_OF_USER: u32 = 60;
/// Users of whom lines are counted; beyond, those whose minute is over are forgotten.
const USERS_MAX: usize = 1024;

/// How much a line matters, as syslog counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Something does not work.
    Error = 3,
    /// Something may need attention.
    Warning = 4,
    /// Something has happened.
    Notice = 5,
}

/// Whom and what a line is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    /// Process and user.
    pub(super) program: Option<(u32, u32)>,
    /// A channel.
    pub(super) channel: Option<&'a Name>,
}

/// One line of log: something has happened.
pub fn log(what: Arguments<'_>) {
    write(Level::Notice, About::default(), what);
}

/// One line of log: something does not work.
pub fn complain(what: Arguments<'_>) {
    write(Level::Error, About::default(), what);
}

/// One line of log with what it is about.
pub(super) fn write(level: Level, about: About<'_>, what: Arguments<'_>) {
    static SOCKET: OnceLock<Option<UnixDatagram>> = OnceLock::new();
    if let Some(journal) = SOCKET.get_or_init(journal) {
        match journal.send_to(&entry(level, about, what), JOURNAL) {
            Ok(_) => return,
            // Full, as nobody reads it: the line is given up.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => {}
        }
    }
    let mut line = format!("saevtd: {what}").into_bytes();
    line.truncate(LINE_BYTES_MAX - 1);
    line.push(b'\n');
    // A pipe that is ready takes a line whole. One that is full, since nobody reads it, must not
    // stop the loop, and one whose reader has gone must not end it: the line is given up.
    let ready = descriptor::poll([(io::stderr().as_raw_fd(), libc::POLLOUT)], Some(0));
    if ready.is_ok_and(|[events]| events & libc::POLLOUT != 0) {
        let _ = io::stderr().write_all(&line);
    }
}

/// A socket to the journal if standard error is connected to it, as the service manager says.
fn journal() -> Option<UnixDatagram> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let error = nix::sys::stat::fstat(io::stderr()).ok()?;
    if stream != format!("{}:{}", error.st_dev, error.st_ino) {
        return None;
    }
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// An entry as the journal takes it.
fn entry(level: Level, about: About<'_>, what: Arguments<'_>) -> Vec<u8> {
    let mut message = what.to_string().into_bytes();
    message.truncate(LINE_BYTES_MAX);
    let message = String::from_utf8_lossy(&message);
    let mut entry = Vec::new();
    let mut add = |name: &str, value: &str| {
        entry.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            entry.push(b'\n');
            entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            entry.push(b'=');
        }
        entry.extend_from_slice(value.as_bytes());
        entry.push(b'\n');
    };
    add("MESSAGE", &message);
    add("PRIORITY", &(level as u8).to_string());
    add("SYSLOG_IDENTIFIER", "saevtd");
    if let Some((pid, uid)) = about.program {
        add("SAEVT_PID", &pid.to_string());
        add("SAEVT_UID", &uid.to_string());
    }
    if let Some(channel) = about.channel {
        add("SAEVT_CHANNEL", &channel.to_string());
    }
    entry
}

/// Lines about the programs of each user.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<u32, Throttle>);

impl Users {
    /// Whether a line about a program of a user may be written.
    fn admits(&mut self, mut user: u32, client: &mut Throttle, now: Time) -> bool {
        if self.0.len() >= USERS_MAX && !self.0.contains_key(&user) {
            self.0.retain(|_, throttle| throttle.ends() > now || throttle.silent() > 0);
            if self.0.len() >= USERS_MAX {
                user = u32::MAX;
            }
        }
        let of_user = self.0.entry(user).or_default();
        let admitted = client.admits(now, LINES_OF_CLIENT);
        if !admitted {
            of_user.leave_out();
        }
        admitted && of_user.admits(now, LINES_OF_USER)
    }

    /// When lines that were left out are to be told.
    pub(super) fn due(&self) -> Option<Time> {
        let silent = self.0.values().filter(|throttle| throttle.silent() > 0);
        silent.map(Throttle::ends).min()
    }

    /// Tells of the lines that were left out in minutes that are over.
    pub(super) fn pass_time(&mut self, now: Time) {
        for (user, throttle) in &mut self.0 {
            if throttle.ends() <= now && throttle.silent() > 0 {
                let (number, about) = (throttle.take_silent(), About::default());
                let what = format_args!("{number} lines about programs of uid {user} left out");
                write(Level::Warning, about, what);
            }
        }
    }
}

impl Server {
    /// One line of log about a client, unless there were too many.
    pub(super) fn log_of(&mut self, slot: usize, level: Level, what: Arguments<'_>) {
        self.log_about(slot, level, None, what);
    }

    /// The same about a channel too.
    pub(super) fn log_about(
        &mut self,
        slot: usize,
        level: Level,
        channel: Option<&Name>,
        what: Arguments<'_>,
    ) {
        let Some(client) = self.clients[slot].as_mut() else { return };
        let (pid, uid) = (client.peer.pid, client.peer.uid);
        if self.log_users.admits(uid, &mut client.logged, self.now) {
            let about = About { program: Some((pid, uid)), channel };
            write(level, about, format_args!("pid {pid} uid {uid} {what}"));
        }
    }
}
