//! What comes in: events, and news of losses.

use super::connection::Connection;
use crate::agent::{self, Callbacks, Handle};
use crate::evt::{AttributesRef, Error, EventId, Name, Priority, Span, SubscriptionId};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An event or a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// An event was published that matches a subscription.
    Event(Event),
    /// One or more events of a channel may have been lost.
    Lost(Lost),
}

impl Delivery {
    /// The event; `None` for a loss.
    #[must_use]
    pub fn event(self) -> Option<Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Lost(_) => None,
        }
    }
}

/// News that one or more events of a channel may have been lost, because this program was too slow
/// or the daemon was replaced.
///
/// Source: SAI-AIS-EVT-B.03.01, lost-event event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    channel: Name,
    subscription: SubscriptionId,
    noticed: i64,
}

impl Lost {
    /// The channel.
    #[must_use]
    pub const fn channel(&self) -> &Name {
        &self.channel
    }

    /// A subscription of the channel.
    #[must_use]
    pub const fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// When the loss was noticed: nanoseconds since the epoch.
    #[must_use]
    pub const fn noticed_ns(&self) -> i64 {
        self.noticed
    }
}

/// A received event, a copy of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    channel: Name,
    subscription: SubscriptionId,
    received: Received,
}

impl Event {
    /// The channel it was published on.
    #[must_use]
    pub const fn channel(&self) -> &Name {
        &self.channel
    }

    /// The subscription that it matches; the first one if several do.
    #[must_use]
    pub const fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.received.id
    }

    /// Its priority.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.received.priority
    }

    /// When it was published, by the publisher's clock: nanoseconds since the epoch.
    #[must_use]
    pub const fn published_ns(&self) -> i64 {
        self.received.publish_time
    }

    /// When it was published, by the publisher's clock.
    #[must_use]
    pub fn published(&self) -> SystemTime {
        let nanoseconds = Duration::from_nanos(self.received.publish_time.unsigned_abs());
        if self.received.publish_time < 0 {
            UNIX_EPOCH - nanoseconds
        } else {
            UNIX_EPOCH + nanoseconds
        }
    }

    /// How long it is retained after its publication; zero: not at all; [`Duration::MAX`]: without
    /// end.
    #[must_use]
    pub const fn retention(&self) -> Duration {
        if self.received.retention.0 >= Span::FOREVER.0 {
            Duration::MAX
        } else {
            Duration::from_nanos(self.received.retention.0)
        }
    }

    /// What the publisher called itself; often empty.
    #[must_use]
    pub fn publisher(&self) -> &[u8] {
        self.attributes().map_or(&[], |attributes| attributes.publisher())
    }

    /// Its patterns.
    pub fn patterns(&self) -> impl Iterator<Item = &[u8]> {
        self.attributes().into_iter().flat_map(|attributes| attributes.patterns())
    }

    /// Its data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.received.block[self.received.attributes_bytes..]
    }

    /// The packed attributes were judged when the event was copied.
    fn attributes(&self) -> Option<AttributesRef<'_>> {
        AttributesRef::parse(&self.received.block[..self.received.attributes_bytes]).ok()
    }
}

/// What was copied of an event: packed attributes, then data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    block: Vec<u8>,
    attributes_bytes: usize,
    id: EventId,
    priority: Priority,
    retention: Span,
    publish_time: i64,
}

impl Received {
    /// Copies an event of the agent.
    fn copy(event: Handle, data_bytes: u64) -> Result<Self, Error> {
        let data_bytes = usize::try_from(data_bytes).map_err(|_| Error::NoMemory)?;
        let mut received = agent::attributes(event, |view| {
            let packed = view.attributes.packed();
            let mut block = Vec::new();
            let bytes = packed.len().saturating_add(data_bytes);
            block.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
            block.extend_from_slice(packed);
            Ok(Self {
                block,
                attributes_bytes: packed.len(),
                id: view.id,
                priority: view.priority,
                retention: view.retention,
                publish_time: view.publish_time,
            })
        })?;
        agent::data(event, |data| {
            received.block.try_reserve_exact(data.bytes()).map_err(|_| Error::NoMemory)?;
            data.append_to(&mut received.block);
            Ok(())
        })?;
        Ok(received)
    }

    pub(super) fn into_delivery(self, subscription: SubscriptionId, channel: Name) -> Delivery {
        if self.id == EventId::LOST {
            Delivery::Lost(Lost { channel, subscription, noticed: self.publish_time })
        } else {
            Delivery::Event(Event { channel, subscription, received: self })
        }
    }
}

/// A subscription, and what came for it.
type Arrival = Result<(SubscriptionId, Received), Error>;

/// What was dispatched and not taken: one for each thread that receives at this moment.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<VecDeque<Arrival>>);

impl Arrivals {
    pub(super) fn are_there(&self) -> bool {
        !self.0.lock().is_empty()
    }

    pub(super) fn take(&self) -> Option<Arrival> {
        self.0.lock().pop_front()
    }
}

/// Copies each event and gives it back to the agent.
#[derive(Debug)]
pub(super) struct Receiver(pub(super) std::sync::Arc<Arrivals>);

impl Callbacks for Receiver {
    fn has_open(&self) -> bool {
        false
    }

    fn has_deliver(&self) -> bool {
        true
    }

    fn open(&self, _invocation: u64, _outcome: Result<Handle, Error>) {}

    fn deliver(&self, subscription: SubscriptionId, event: Handle, data_bytes: u64) {
        let received = Received::copy(event, data_bytes).map(|received| (subscription, received));
        // It fails only if the channel was closed at this moment, and the event with it.
        let _ = agent::event_free(event);
        self.0.0.lock().push_back(received);
    }
}

/// What a connection receives, one after the other, without end. See [`Connection::receive`].
#[derive(Debug)]
pub struct Deliveries<'a>(pub(super) &'a Connection);

impl Iterator for Deliveries<'_> {
    type Item = Result<Delivery, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.receive(None).transpose()
    }
}
