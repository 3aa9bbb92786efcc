//! Channels: opening, publishing, subscribing.

use super::connection::{Connection, Shared, channel_name};
use super::retry::span;
use crate::agent::{self, Handle};
use crate::evt::{
    Attributes, Error, EventId, Filters, Name, OpenFlags, Priority, Span, SubscriptionId,
};
use std::sync::Arc;
use std::time::Duration;

/// How long an open waits for the daemon unless [`Opening::within`] says otherwise.
const OPEN_TIME: Duration = Duration::from_secs(10);

/// A channel that is about to be opened: for nothing yet.
#[derive(Debug)]
#[must_use = "it is opened by `open`"]
pub struct Opening<'a> {
    connection: &'a Connection,
    name: Result<Name, Error>,
    flags: OpenFlags,
    time: Duration,
}

impl<'a> Opening<'a> {
    pub(super) fn new(connection: &'a Connection, name: &[u8]) -> Self {
        let (name, flags) = (channel_name(name), OpenFlags::empty());
        Self { connection, name, flags, time: OPEN_TIME }
    }

    /// To publish.
    pub fn publisher(mut self) -> Self {
        self.flags |= OpenFlags::PUBLISHER;
        self
    }

    /// To subscribe.
    pub fn subscriber(mut self) -> Self {
        self.flags |= OpenFlags::SUBSCRIBER;
        self
    }

    /// The channel is made if there is none of this name, which must begin with `safChnl=` then.
    pub fn create(mut self) -> Self {
        self.flags |= OpenFlags::CREATE;
        self
    }

    /// Waits for at most `time`, not 10 seconds.
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Opens it.
    ///
    /// - [`Error::NotExist`]: there is no such channel, and it was not to be created, or the policy
    ///   of the service does not permit it.
    /// - [`Error::InvalidParam`]: the name is empty or too long, or not one that can be created.
    /// - [`Error::BadFlags`]: for nothing.
    /// - [`Error::NoResources`]: a limit is reached.
    /// - [`Error::TryAgain`], [`Error::Timeout`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtChannelOpen().
    pub fn open(&self) -> Result<Channel, Error> {
        let name = self.name?;
        if self.flags.is_empty() {
            return Err(Error::BadFlags);
        }
        let shared = &self.connection.shared;
        let time = span(self.time).to_sa_time();
        let handle = agent::channel_open(shared.handle, &name, self.flags, time)?;
        Ok(Channel { connection: Arc::clone(shared), handle, name })
    }
}

/// An open channel. It is closed when it is dropped, which ends its subscriptions; what was
/// received and published stays.
#[derive(Debug)]
pub struct Channel {
    connection: Arc<Shared>,
    handle: Handle,
    name: Name,
}

impl Channel {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Begins an event: without patterns, of the lowest priority, not retained, from nobody.
    pub const fn event(&self) -> EventBuilder<'_> {
        EventBuilder {
            channel: self,
            patterns: Vec::new(),
            priority: Priority::LOWEST,
            retention: Span::ZERO,
            publisher: Ok(Name::EMPTY),
        }
    }

    /// Asks for the events whose patterns match `filters`, one for one; no filters: for all. What
    /// is retained comes too. They are received by the connection.
    ///
    /// - [`Error::Access`]: the channel was not opened to subscribe, or the policy of the service
    ///   does not permit it.
    /// - [`Error::TooBig`]: too many filters, or too large a one.
    /// - [`Error::NoResources`]: a limit is reached.
    /// - [`Error::TryAgain`], [`Error::Timeout`], [`Error::BadHandle`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventSubscribe().
    pub fn subscribe(&self, filters: Filters) -> Result<SubscriptionId, Error> {
        let id = self.connection.begin_subscription(self.handle, &self.name);
        let outcome = agent::subscribe(self.handle, filters, id);
        if outcome.is_err() {
            self.connection.end_subscription(id);
        }
        outcome.map(|()| id)
    }

    /// Ends a subscription. What waits for it and for no other is not received any more.
    ///
    /// - [`Error::NotExist`]: this channel has no such subscription.
    /// - [`Error::TryAgain`], [`Error::Timeout`], [`Error::BadHandle`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventUnsubscribe().
    pub fn unsubscribe(&self, id: SubscriptionId) -> Result<(), Error> {
        agent::unsubscribe(self.handle, id)?;
        self.connection.end_subscription(id);
        Ok(())
    }

    /// Ends the retention of an event.
    ///
    /// - [`Error::NotExist`]: no such event is retained on this channel, or the policy of the
    ///   service does not permit it.
    /// - [`Error::InvalidParam`]: no event can have this identifier.
    /// - [`Error::TryAgain`], [`Error::Timeout`], [`Error::BadHandle`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventRetentionTimeClear().
    pub fn clear(&self, id: EventId) -> Result<(), Error> {
        if !id.is_publishable() {
            return Err(Error::InvalidParam);
        }
        agent::retention_clear(self.handle, id)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // It fails only if the daemon was replaced and does not know the channel any more.
        let _ = agent::channel_close(self.handle);
        self.connection.end_channel(self.handle);
    }
}

/// An event that is being made.
#[derive(Debug, Clone)]
#[must_use = "it is published by `publish`"]
pub struct EventBuilder<'a> {
    channel: &'a Channel,
    patterns: Vec<Vec<u8>>,
    priority: Priority,
    retention: Span,
    publisher: Result<Name, Error>,
}

impl<'a> EventBuilder<'a> {
    /// Adds a pattern.
    pub fn pattern(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.patterns.push(pattern.as_ref().to_vec());
        self
    }

    /// Sets the priority.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Keeps the event for later subscribers. [`Duration::MAX`]: without end, which is beyond the
    /// limit of most services for connections of release B.03; see [`Connection::open_as`].
    pub fn retain(mut self, time: Duration) -> Self {
        self.retention = span(time);
        self
    }

    /// Says who publishes.
    pub fn publisher(mut self, name: impl AsRef<[u8]>) -> Self {
        self.publisher = Name::new(name.as_ref());
        self
    }

    /// Makes an event that can be published any number of times.
    ///
    /// - [`Error::Access`]: the channel was not opened to publish, or the policy of the service
    ///   does not permit it.
    /// - [`Error::TooBig`]: too many patterns, too large a one, or too long a retention.
    /// - [`Error::InvalidParam`]: the publisher's name is too long.
    /// - [`Error::NoMemory`], [`Error::NoResources`], [`Error::BadHandle`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventAllocate() and saEvtEventAttributesSet().
    pub fn build(&self) -> Result<OutgoingEvent<'a>, Error> {
        let publisher = self.publisher?;
        let handle = agent::event_allocate(self.channel.handle)?;
        let event = OutgoingEvent { handle, _channel: self.channel };
        agent::attributes_set(handle, self.priority, self.retention, |_| {
            Attributes::pack(&publisher, self.patterns.iter().map(Vec::as_slice))
        })?;
        Ok(event)
    }

    /// Publishes it once, with data. Errors: those of [`EventBuilder::build`] and
    /// [`OutgoingEvent::publish`].
    pub fn publish(&self, data: impl AsRef<[u8]>) -> Result<EventId, Error> {
        self.build()?.publish(data)
    }
}

/// An event to be published any number of times.
#[derive(Debug)]
pub struct OutgoingEvent<'a> {
    handle: Handle,
    _channel: &'a Channel,
}

impl OutgoingEvent<'_> {
    /// Publishes it with data, and gives the identifier of this publication. It never waits for
    /// subscribers.
    ///
    /// - [`Error::TryAgain`]: the service cannot take it now; nothing was published.
    /// - [`Error::TooBig`]: too much data.
    /// - [`Error::NoResources`]: no more can be retained.
    /// - [`Error::Timeout`], [`Error::BadHandle`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventPublish().
    pub fn publish(&self, data: impl AsRef<[u8]>) -> Result<EventId, Error> {
        agent::publish(self.handle, data.as_ref())
    }
}

impl Drop for OutgoingEvent<'_> {
    fn drop(&mut self) {
        // It fails only if the channel has gone, and the event with it.
        let _ = agent::event_free(self.handle);
    }
}
