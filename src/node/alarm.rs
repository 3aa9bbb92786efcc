//! When the daemon must wake although nobody rings.
//!
//! A wait with a timeout has the kernel set up and take down a timer each time, about half a
//! microsecond. The time of what is due changes seldom, so one timer stands beside the bells and
//! is armed anew only when something is due earlier than it rings.

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
