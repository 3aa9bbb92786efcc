//! Open instances and their subscriptions.

use super::node::ProcessKey;
use super::{Error, Filters, InstanceNo, OpenFlags, SubscriptionNo};
use std::rc::Rc;

/// One subscription of an open instance.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: SubscriptionNo,
    pub(super) filters: Rc<Filters>,
}

/// Where the lost-event of an instance is. At most one is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// None is pending.
    Idle,
    /// Due as soon as the instance has a subscription.
    Owed,
    /// In the queue. If an earlier one ended at `previous` and is still unread when this one's
    /// turn comes, that one covers it.
    Queued { previous: Option<u64> },
    /// In the window, ending at this position; pending until the program has taken it.
    Sent(u64),
}

/// One open of a channel.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) process: ProcessKey,
    pub(super) library: u32,
    /// Position in the library handle's list of instances.
    pub(super) place: usize,
    pub(super) number: InstanceNo,
    pub(super) channel: u32,
    pub(super) flags: OpenFlags,
    /// In order of registration.
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) lost: Lost,
    /// Restored after a restart of the node; then the publications of its channel since the start
    /// that its lost-event covers.
    pub(super) restored: Option<u64>,
    /// The last publication that found the instance, and its place among the takers.
    pub(super) found: (u64, u32),
    /// The number of the last publication, in all, before it was opened.
    pub(super) born: u64,
}

impl Instance {
    /// Where a subscription is, or would be inserted.
    pub(super) fn position(&self, number: SubscriptionNo) -> Result<usize, usize> {
        self.subscriptions.binary_search_by_key(&number, |subscription| subscription.number)
    }

    /// Whether it has a subscription, and may have it.
    pub(super) fn takes_events(&self) -> bool {
        self.flags.contains(OpenFlags::SUBSCRIBER) && !self.subscriptions.is_empty()
    }

    /// Checks that a subscription may be added; gives its position.
    ///
    /// - [`Error::Access`]: not opened for subscribing.
    /// - [`Error::Exist`]: the number is in use.
    /// - [`Error::NoResources`]: `subscriptions_max` is reached.
    /// - [`Error::NoMemory`].
    pub(super) fn prepare(
        &mut self,
        number: SubscriptionNo,
        subscriptions_max: u64,
    ) -> Result<usize, Error> {
        let Err(at) = self.position(number) else { return Err(Error::Exist) };
        if self.subscriptions.len() as u64 >= subscriptions_max {
            return Err(Error::NoResources);
        }
        self.subscriptions.try_reserve(1).map_err(|_| Error::NoMemory)?;
        Ok(at)
    }
}
