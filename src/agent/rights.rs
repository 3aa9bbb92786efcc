//! What open instances may do: all that they were opened for, unless the node withholds some of it.
//!
//! The node counts in the outbox how often it has changed that for this process. Who publishes
//! looks at the count when it looks after the link anyway, so a right that is taken away is noticed
//! within a millisecond; until then the node drops what comes.

use super::instance::Instance;
use super::link::{Link, request_deadline};
use super::restore;
use crate::evt::{Error, OpenFlags};
use crate::wire::{Body, reply};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the node has told of one open instance.
#[derive(Debug)]
pub(super) struct Rights {
    publishes: AtomicBool,
    /// The count in the outbox that this is of.
    as_of: AtomicU64,
}

impl Rights {
    /// All that an instance is opened for.
    pub(super) const fn of(flags: OpenFlags) -> Self {
        let publishes = flags.contains(OpenFlags::PUBLISHER);
        Self { publishes: AtomicBool::new(publishes), as_of: AtomicU64::new(0) }
    }

    /// Whether the instance may publish, as far as is known.
    #[inline(always)]
    pub(super) fn may_publish(&self) -> bool {
        self.publishes.load(Ordering::Relaxed)
    }

    /// The instance was opened, or restored at a node that may judge otherwise: if a node has ever
    /// withheld something from this process, it is asked before the next publication.
    pub(super) fn doubt(&self, link: &Link) {
        if link.outbox.rights() != 0 {
            self.publishes.store(false, Ordering::Relaxed);
            self.as_of.store(0, Ordering::Release);
        }
    }
}

/// Makes sure that there is a node and that the instance may publish there.
///
/// - [`Error::Access`]: it was not opened for that, or the node does not permit it.
/// - [`Error::TryAgain`]: the node cannot be asked now.
pub(super) fn check(instance: &Instance) -> Result<(), Error> {
    if !instance.flags.contains(OpenFlags::PUBLISHER) {
        return Err(Error::Access);
    }
    let link = &instance.library.link;
    restore::ensure(link)?;
    let count = link.outbox.rights();
    let known = &instance.rights;
    if known.as_of.load(Ordering::Acquire) != count {
        let ask = Body::Rights { instance: instance.number };
        let asked = link.ask(ask, request_deadline(), Some(&instance.library));
        let reply = asked.map_err(|_| Error::TryAgain)?.reply;
        reply.code?;
        let reply::Body::Rights { rights } = reply.body else { return Err(Error::Library) };
        known.publishes.store(rights.contains(OpenFlags::PUBLISHER), Ordering::Relaxed);
        known.as_of.store(count, Ordering::Release);
    }
    if known.may_publish() { Ok(()) } else { Err(Error::Access) }
}
