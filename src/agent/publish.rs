//! Publishing: one record in the outbox, and a ring if the node sleeps.

use super::events::Event;
use super::link::{Link, REQUEST_TIME};
use super::{Handle, process, restore};
use crate::evt::{Error, EventId, InstanceNo, OpenFlags, Priority, Span};
use crate::link::outring::Refused;
use crate::link::record::OutHeader;
use crate::sys::clock;
use crate::wire::Body;

/// How often credit is asked for: other threads may have spent what the node granted.
const CREDIT_ATTEMPTS: usize = 100;

/// What goes into a record beside its header.
struct Content<'a> {
    attributes: &'a [u8],
    data: &'a [u8],
    priority: Priority,
    retention: Span,
    publish_time: i64,
}

/// Publishes an event with `data`.
pub(super) fn publish(event: Handle, data: &[u8]) -> Result<EventId, Error> {
    let (instance, parts) = process::of_event(event)?;
    let events = instance.events.read();
    let publish_time = clock::wall();
    let content = match events.get(parts)? {
        Event::Allocated { attributes, priority, retention } => Content {
            attributes: attributes.packed(),
            data,
            priority: *priority,
            retention: *retention,
            publish_time,
        },
        Event::Received(received) => Content {
            attributes: received.packed_attributes(),
            data,
            priority: received.priority,
            retention: received.retention,
            publish_time,
        },
    };
    if !instance.flags.contains(OpenFlags::PUBLISHER) {
        return Err(Error::Access);
    }
    let link = &instance.library.link;
    if data.len() as u64 > link.limits.event_bytes_max {
        return Err(Error::TooBig);
    }
    link.check_node(publish_time);
    restore::ensure(link)?;
    hand_over(link, instance.number, &content)
}

fn hand_over(link: &Link, instance: InstanceNo, content: &Content<'_>) -> Result<EventId, Error> {
    let bytes = (content.attributes.len() + content.data.len()) as u64;
    let retained = content.retention > Span::ZERO;
    if retained {
        acquire_credit(link, bytes)?;
    }
    let outcome = reserve_and_write(link, instance, content);
    if outcome.is_err() && retained {
        link.outbox.add_credit(1, bytes.next_multiple_of(64));
    }
    outcome
}

fn reserve_and_write(
    link: &Link,
    instance: InstanceNo,
    content: &Content<'_>,
) -> Result<EventId, Error> {
    let id = link.next_id()?;
    let header = OutHeader {
        instance: instance.0,
        id: id.0,
        publish_time: content.publish_time,
        retention: content.retention.0,
        attributes_bytes: content.attributes.len() as u32,
        data_bytes: content.data.len() as u32,
    };
    let ring = link.outbox.ring(content.priority);
    let slot = match ring.reserve(header.record_bytes()) {
        Ok(slot) => slot,
        Err(Refused::Full) => {
            link.ring();
            return Err(Error::TryAgain);
        }
        Err(Refused::Nonsense) => return Err(Error::Library),
    };
    link.outbox.write(content.priority, slot, &header, content.attributes, content.data);
    ring.commit(slot);
    link.ring();
    Ok(id)
}

/// Takes credit for a retained event, asking the node for more if there is not enough.
///
/// - [`Error::NoResources`]: the bound of retained events is reached.
/// - [`Error::TryAgain`]: the node cannot be asked now.
fn acquire_credit(link: &Link, bytes: u64) -> Result<(), Error> {
    for _ in 0..CREDIT_ATTEMPTS {
        if link.outbox.spend_credit(bytes) {
            return Ok(());
        }
        let deadline = clock::elapsed().after(Span(REQUEST_TIME));
        let ask = Body::Credit { events: 1, bytes: bytes.next_multiple_of(64) };
        link.ask(ask, deadline, None).map_err(|_| Error::TryAgain)?.reply.code?;
    }
    Err(Error::TryAgain)
}
