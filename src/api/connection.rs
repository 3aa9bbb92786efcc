//! The connection of a program to its node.

use super::channel::Opening;
use super::receive::{Arrivals, Deliveries, Delivery, Receiver};
use super::retry::{patiently, span};
use crate::agent::{self, Handle, Version as Release};
use crate::evt::{Error, Limits, Name, SubscriptionId};
use crate::sys::{clock, descriptor};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a connection and its channels share. The library handle ends with the last of them.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) handle: Handle,
    arrivals: Arc<Arrivals>,
    next_subscription: AtomicU32,
    /// The open channel of each subscription.
    channels: Mutex<BTreeMap<SubscriptionId, (Handle, Name)>>,
    lost: Mutex<usize>,
}

impl Shared {
    /// A subscription of an open channel under a number that no other of this connection has.
    pub(super) fn begin_subscription(&self, channel: Handle, name: &Name) -> SubscriptionId {
        let mut channels = self.channels.lock();
        loop {
            let id = SubscriptionId(self.next_subscription.fetch_add(1, Ordering::Relaxed));
            if let Entry::Vacant(place) = channels.entry(id) {
                place.insert((channel, *name));
                return id;
            }
        }
    }

    /// Forgets a subscription.
    pub(super) fn end_subscription(&self, id: SubscriptionId) {
        self.channels.lock().remove(&id);
    }

    /// Forgets the subscriptions of a closed channel.
    pub(super) fn end_channel(&self, channel: Handle) {
        self.channels.lock().retain(|_, (of, _)| *of != channel);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is there to be told of a failure, and the only one is that it has ended already.
        let _ = agent::finalize(self.handle);
    }
}

/// A connection to the event service, of release B.03 of the interface unless another is asked for.
///
/// It may be used by several threads; clones are the same connection. Two connections of a program
/// receive independently of each other, at the price of memory of their own.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(super) shared: Arc<Shared>,
}

impl Connection {
    /// Connects to the daemon, or starts a private one where that is the rule. While the node is
    /// outside its cluster it can be asked about itself, and all else is
    /// [`Error::Unavailable`].
    ///
    /// - [`Error::TryAgain`]: the daemon cannot be reached now.
    /// - [`Error::NoResources`], [`Error::NoMemory`]: a limit is reached.
    /// - [`Error::Timeout`]: the daemon does not answer.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtInitialize().
    pub fn open() -> Result<Self, Error> {
        Self::open_as(Release::B03)
    }

    /// As [`Connection::open`], of another release of the interface. What differs: the older ones
    /// know no limit on the time of retention, nor [`Error::Unavailable`], for which they give
    /// [`Error::TryAgain`]; their [`Connection::limits`] is [`Error::Version`]; and B.01 makes
    /// channels of any name.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtInitialize(), version.
    pub fn open_as(release: Release) -> Result<Self, Error> {
        let arrivals = Arc::new(Arrivals::default());
        let receiver = Receiver(Arc::clone(&arrivals));
        let handle = agent::attach(release, Box::new(receiver))?;
        let shared = Shared {
            handle,
            arrivals,
            next_subscription: AtomicU32::new(1),
            channels: Mutex::default(),
            lost: Mutex::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// As [`Connection::open`], but tries again for `time` while the daemon cannot be reached.
    pub fn open_within(time: Duration) -> Result<Self, Error> {
        patiently(time, Self::open)
    }

    /// Begins to open a channel; [`Opening::open`] does it.
    pub fn channel(&self, name: impl AsRef<[u8]>) -> Opening<'_> {
        Opening::new(self, name.as_ref())
    }

    /// Removes the name of a channel. Who has it open goes on with it; the next one to create the
    /// name makes another channel.
    ///
    /// - [`Error::NotExist`]: no channel has the name, or the policy of the service does not permit
    ///   it.
    /// - [`Error::InvalidParam`]: the name is empty or too long.
    /// - [`Error::TryAgain`], [`Error::Timeout`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtChannelUnlink().
    pub fn unlink(&self, name: impl AsRef<[u8]>) -> Result<(), Error> {
        agent::channel_unlink(self.shared.handle, &channel_name(name.as_ref())?)
    }

    /// The limits that programs can ask for, and those of this program; the others have their
    /// defaults here.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtLimitGet().
    pub fn limits(&self) -> Result<Limits, Error> {
        agent::limits(self.shared.handle)
    }

    /// The next event or loss for any channel of this connection, waiting for at most `time`, or
    /// without end. `None`: the time is over.
    ///
    /// - [`Error::BadHandle`]: the daemon was replaced and does not know a channel of this
    ///   connection any more. The others go on.
    /// - [`Error::NoMemory`]: an event was received and dropped for want of memory.
    /// - [`Error::TryAgain`]: there are no descriptors to wait with.
    pub fn receive(&self, time: Option<Duration>) -> Result<Option<Delivery>, Error> {
        let end = time.map(|time| clock::elapsed().after(span(time)));
        loop {
            if let Some(delivery) = self.try_receive()? {
                return Ok(Some(delivery));
            }
            let left = end.map(|end| clock::elapsed().until(end).0);
            if left == Some(0) {
                return Ok(None);
            }
            let number = self.descriptor()?;
            descriptor::poll([(number, libc::POLLIN)], left).map_err(|_| Error::TryAgain)?;
        }
    }

    /// As [`Connection::receive`], without waiting.
    pub fn try_receive(&self) -> Result<Option<Delivery>, Error> {
        let arrivals = &self.shared.arrivals;
        let mut next = arrivals.take();
        if next.is_none() {
            agent::dispatch(self.shared.handle, agent::DispatchFlags::One)?;
            next = arrivals.take();
        }
        let Some(next) = next else { return self.note_lost_channels().map(|()| None) };
        let (subscription, received) = next?;
        let channel = self.shared.channels.lock().get(&subscription).map(|(_, name)| *name);
        // A channel that was closed meanwhile is received from no more.
        let deliver = |name| received.into_delivery(subscription, name);
        Ok(channel.map(deliver))
    }

    /// All that is pending now: what waits in the daemon too, and little of what comes meanwhile.
    /// After a subscribe that is everything the channel retains.
    ///
    /// - [`Error::NoMemory`]: an event was received and dropped for want of memory.
    pub fn receive_pending(&self) -> Result<Vec<Delivery>, Error> {
        agent::dispatch(self.shared.handle, agent::DispatchFlags::All)?;
        let mut pending = Vec::new();
        while self.shared.arrivals.are_there()
            && let Some(delivery) = self.try_receive()?
        {
            pending.push(delivery);
        }
        Ok(pending)
    }

    /// What is received, one after the other, without end.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }

    /// The number of a descriptor that is readable while [`Connection::try_receive`] may have
    /// something to give, for programs with a loop of their own. It lives as long as the
    /// connection; it must not be read or closed.
    ///
    /// - [`Error::NoResources`]: no descriptors left.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtSelectionObjectGet().
    pub fn descriptor(&self) -> Result<RawFd, Error> {
        agent::selection_object(self.shared.handle)
    }

    /// Says once that open channels were lost with their node.
    fn note_lost_channels(&self) -> Result<(), Error> {
        let now = agent::instances_lost(self.shared.handle)?;
        let before = std::mem::replace(&mut *self.shared.lost.lock(), now);
        if now == before { Ok(()) } else { Err(Error::BadHandle) }
    }
}

/// A name that a channel can have.
///
/// - [`Error::InvalidParam`]: it is empty or too long.
pub(super) fn channel_name(octets: &[u8]) -> Result<Name, Error> {
    let name = Name::new(octets)?;
    if name.is_empty() { Err(Error::InvalidParam) } else { Ok(name) }
}
