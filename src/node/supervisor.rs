//! What a supervisor gives the daemon and wants to hear of it: systemd's `Type=notify`, its
//! watchdog and its socket activation, by the environment that it sets. Without a supervisor
//! nothing happens.
#![allow(clippy::disallowed_methods)] // A driver.

use super::complain;
use crate::evt::{Span, Time};
use crate::sys::socket;
use sd_notify::NotifyState;
use std::io;
use std::os::fd::OwnedFd;

/// The listening socket that a supervisor hands over; `None` if it hands none.
///
/// # Errors
///
/// `InvalidData`: more than one, or not a listening `AF_UNIX` packet socket.
pub(super) fn listener() -> io::Result<Option<OwnedFd>> {
    let mut handed = sd_notify::listen_fds()?;
    let Some(first) = handed.next() else { return Ok(None) };
    if handed.next().is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "one socket is enough"));
    }
    socket::adopt_listener(first).map(Some)
}

/// A supervisor that waits for signs of life, or none.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// How often to say that all is well: twice as often as is asked for.
    pause: Option<Span>,
    due: Time,
}

impl Supervisor {
    /// The one that has started this daemon at `now`.
    pub(super) fn new(now: Time) -> Self {
        let asked = sd_notify::watchdog_enabled();
        let pause = asked.map(|span| Span(span.as_nanos() as u64 / 2).max(Span(1_000_000)));
        Self { pause, due: pause.map_or(Time::MAX, |pause| now.after(pause)) }
    }

    /// Tells that programs can connect, and that all else is there that was asked for.
    pub(super) fn ready(&self) {
        tell(NotifyState::Ready);
    }

    /// When the next sign of life is due; never without a watchdog.
    pub(super) fn due(&self) -> Option<Time> {
        self.pause.map(|_| self.due)
    }

    /// Gives the sign of life that is due.
    pub(super) fn pass_time(&mut self, now: Time) {
        if let Some(pause) = self.pause
            && self.due <= now
        {
            tell(NotifyState::Watchdog);
            self.due = now.after(pause);
        }
    }

    /// Tells that the daemon ends.
    pub(super) fn ends(&self) {
        tell(NotifyState::Stopping);
    }
}

fn tell(what: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[what]) {
        complain(format_args!("the supervisor cannot be told: {error}"));
    }
}
