//! When the daemon must wake although nobody rings.
//!
//! A wait with a timeout has the kernel set up and take down a timer each time, about half a
//! microsecond. The time of what is due changes seldom, so one timer stands beside the bells and
//! is armed anew only when something is due earlier than it rings.

use super::departure::Departure;
use super::metrics::Metrics;
use super::{ACCEPT_PAUSE, Server, complain};
use crate::evt::Time;
use crate::sys::{clock, descriptor};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A timer on the elapsed clock.
pub(super) struct Alarm {
    timer: OwnedFd,
    at: Option<Time>,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { timer: descriptor::timer()?, at: None })
    }

    /// What becomes readable when it rings.
    pub(super) fn readiness(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// Sees to it that it rings at this time or before.
    #[inline]
    pub(super) fn set(&mut self, due: Option<Time>) {
        let Some(due) = due else { return };
        if self.at.is_none_or(|at| due < at) {
            self.arm(due);
        }
    }

    #[cold]
    fn arm(&mut self, due: Time) {
        // Zero would disarm it.
        descriptor::arm(self.timer.as_fd(), clock::elapsed().until(due).0.max(1));
        self.at = Some(due);
    }

    /// It has rung.
    pub(super) fn end(&mut self) {
        descriptor::lower(self.timer.as_fd());
        self.at = None;
    }
}

impl Server {
    /// When something is due; `None` when nothing is.
    pub(super) fn next_due(&self) -> Option<Time> {
        let idle = self.config.idle_exit.zip(self.idle_since);
        let due = [
            self.core.next_deadline().filter(|deadline| *deadline < Time::MAX),
            self.grace_ends,
            self.mend_at,
            self.accept_at,
            self.departure.as_ref().map(Departure::due).filter(|due| *due < Time::MAX),
            self.replication.as_ref().map(|replication| replication.due()),
            self.supervisor.due(),
            idle.map(|(span, since)| since.after(span)),
            self.resting.front().map(|(at, _)| *at),
            self.log_users.due(),
            self.metrics.as_ref().and_then(Metrics::due),
        ];
        due.into_iter().flatten().min()
    }

    /// Does what is due at this time.
    pub(super) fn pass_time(&mut self) {
        if self.core.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.core.expire(self.now);
        }
        if self.grace_ends.is_some_and(|end| end <= self.now) {
            self.grace_ends = None;
            self.core.end_grace();
            self.record_changes();
        }
        if self.mend_at.is_some_and(|at| at <= self.now) {
            self.mend();
        }
        if self.accept_at.is_some_and(|at| at <= self.now) {
            self.accept_at = None;
            if let Err(error) = self.watch_listener() {
                complain(format_args!("cannot watch the socket: {error}"));
                self.accept_at = Some(self.now.after(ACCEPT_PAUSE));
            }
        }
        self.pass_departure();
        self.supervisor.pass_time(self.now);
        self.log_users.pass_time(self.now);
        if let Some(metrics) = &mut self.metrics {
            metrics.pass_time(self.now);
        }
        if let (Some(span), Some(since)) = (self.config.idle_exit, self.idle_since)
            && since.after(span) <= self.now
        {
            // A program that has just connected is no reason to leave.
            self.accept();
            self.ending |= self.connected == 0;
        }
        self.look_at_rest();
    }
}
