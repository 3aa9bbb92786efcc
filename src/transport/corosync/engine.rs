//! The engine's thread: attaches to corosync, again and again, for as long as the loop wants it.
#![allow(clippy::disallowed_methods)] // The engine has a thread of its own.

use super::session::Session;
use super::shared::Shared;
use crate::sys::cpg::Cpg;
use crate::sys::cpg_quorum::QuorumService;
use crate::sys::descriptor;
use crate::transport::Standing;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Between attempts to attach, in nanoseconds: doubled from the least to the most. Corosync needs
/// some tenths of a second to start.
const PAUSE_MIN_NS: u64 = 20_000_000;
const PAUSE_MAX_NS: u64 = 1_000_000_000;

/// What does not change from one session to the next.
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    pub(super) cpg: Cpg,
    pub(super) quorum: Option<QuorumService>,
    /// The name of the group.
    pub(super) group: String,
    /// Members seen in all sessions.
    pub(super) count: u32,
    /// What the loop was last told.
    pub(super) shown: Standing,
}

/// Starts the thread.
///
/// # Errors
///
/// None can be started.
pub(super) fn start(
    shared: Arc<Shared>,
    cpg: Cpg,
    quorum: Option<QuorumService>,
    group: String,
) -> io::Result<()> {
    let shown = Standing::Starting;
    let engine = Engine { shared: Arc::clone(&shared), cpg, quorum, group, count: 0, shown };
    std::thread::Builder::new().name("corosync".into()).spawn(move || {
        // What the engine leaves half-changed by a panic, nobody reads: the loop is told the end.
        if catch_unwind(AssertUnwindSafe(|| engine.run())).is_err() {
            end(&shared, "a defect in the thread of corosync".into());
        }
    })?;
    Ok(())
}

/// Tells the loop that there will be no engine any more.
fn end(shared: &Shared, why: String) {
    shared.state().failure = Some(why);
    descriptor::raise(shared.to_loop.as_fd());
}

impl Engine {
    fn run(mut self) {
        let mut pause = PAUSE_MIN_NS;
        while !self.shared.state().is_over {
            match self.attach() {
                Ok(had_a_group) if had_a_group => pause = PAUSE_MIN_NS,
                Err(error) if is_final(&error) => {
                    return end(&self.shared, self.explain(&error));
                }
                _ => {}
            }
            let bell = self.shared.to_engine.as_raw_fd();
            // A poll that fails is a pause that is cut short.
            let _ = descriptor::poll([(bell, libc::POLLIN)], Some(pause));
            descriptor::lower(self.shared.to_engine.as_fd());
            pause = (pause * 2).min(PAUSE_MAX_NS);
        }
    }

    /// Attaches once, and stays until that is over; gives whether it ever was in the group.
    fn attach(&mut self) -> io::Result<bool> {
        let shared = Arc::clone(&self.shared);
        let mut session = Session::open(self, &shared)?;
        // Whatever it says, it is over; the next attempt shows whether corosync is there.
        let _ = session.run();
        let had_a_group = session.had_a_group();
        let (count, shown) = session.end();
        (self.count, self.shown) = (count, shown);
        Ok(had_a_group)
    }

    fn explain(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "corosync does not let this user in; see uidgid in corosync.conf(5)".into()
            }
            io::ErrorKind::Unsupported => {
                "quorum is required, and corosync.conf names no quorum provider".into()
            }
            _ => format!("corosync: group {}: {error}", self.group),
        }
    }
}

/// Whether waiting does not help.
fn is_final(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, PermissionDenied, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported | InvalidData)
}
