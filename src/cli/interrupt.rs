//! Ending in order when a signal asks for it.

use super::failure::Failure;
use nix::libc::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signals by which a user ends a program.
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// From its making on, the first of these signals ends nothing by itself but is told here; the next
/// one ends this program at once, whatever it waits for. Those that are ignored, as under `nohup`,
/// stay so. Commands that are started get them as usual.
pub(super) struct Interrupts {
    wake: UnixStream,
    came: Arc<AtomicUsize>,
}

impl Interrupts {
    pub(super) fn begin() -> Result<Self, Failure> {
        Self::register().map_err(|error| Failure::of_system("signals cannot be watched", &error))
    }

    fn register() -> io::Result<Self> {
        let (wake, ring) = UnixStream::pair()?;
        let came = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        let ignored = ignored_signals();
        for signal in SIGNALS.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
            // In this order: the first signal finds that none has come.
            flag::register_conditional_default(signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            flag::register_usize(signal, Arc::clone(&came), signal as usize)?;
            low_level::pipe::register(signal, ring.try_clone()?)?;
        }
        Ok(Self { wake, came })
    }

    /// The number of a descriptor that is readable when a signal has come.
    pub(super) fn descriptor(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// Fails if a signal has come.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.came.load(Ordering::Acquire) {
            0 => Ok(()),
            signal => Err(Failure::Signal(signal as i32)),
        }
    }
}

/// A bit for each signal that this program was started to ignore, from 1 on.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}

/// Ends this program by a signal, so that the shell that started it knows.
pub(super) fn end_by(signal: i32) -> ExitCode {
    // It ends here; if not, the status says the same.
    let _ = low_level::emulate_default_handler(signal);
    ExitCode::from(128 + signal as u8)
}
