//! Standard output, line by line.

use super::failure::Failure;
use SaEvt::sys::descriptor;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::os::fd::{AsRawFd, RawFd};

/// Standard output. Each thing is shown whole, and at once.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Shows what `write` writes.
    pub(super) fn show(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        write(&mut self.0).and_then(|()| self.0.flush()).map_err(|error| Failure::of_output(&error))
    }

    /// Shows a line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.show(|to| writeln!(to, "{line}"))
    }

    /// The number of the descriptor, to notice that nobody reads any more.
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.get_ref().as_raw_fd()
    }

    /// Fails if nobody reads any more, so that a program that has nothing to say does not stay for
    /// ever.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match descriptor::poll([(self.descriptor(), 0)], Some(0)) {
            Ok([events]) if events & nix::libc::POLLERR != 0 => Err(Failure::Unread),
            _ => Ok(()),
        }
    }
}
