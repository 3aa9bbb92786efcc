//! Ending in order when a signal asks for it.

use super::failure::Failure;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::ExitCode;

/// The signals by which a user ends a program.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// From its making on, these signals end nothing by themselves but are told here. Commands that are
/// started get them as usual.
pub(super) struct Interrupts(SignalFd);

impl Interrupts {
    pub(super) fn begin() -> Result<Self, Failure> {
        let set: SigSet = SIGNALS.into_iter().collect();
        let made = set.thread_block().and_then(|()| {
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        });
        made.map(Self).map_err(|error| {
            Failure::of_system("signals cannot be watched", &io::Error::from(error))
        })
    }

    /// The number of a descriptor that is readable when a signal has come.
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// Fails if a signal has come.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.0.read_signal() {
            Ok(Some(signal)) => Err(Failure::Signal(signal.ssi_signo as i32)),
            _ => Ok(()),
        }
    }
}

/// Ends this program by a signal, so that the shell that started it knows.
pub(super) fn end_by(number: i32) -> ExitCode {
    if let Ok(signal) = Signal::try_from(number) {
        let _ = raise(signal);
        let set: SigSet = [signal].into_iter().collect();
        // The signal comes now.
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None);
    }
    // It was ignored from the start, by nohup for instance.
    ExitCode::from(128 + number as u8)
}
