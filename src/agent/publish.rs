//! Publishing: one record in the outbox, and a ring if the node sleeps.

use super::events::Event;
use super::handles::EventHandle;
use super::instance::{Instance, Seat};
use super::link::{Link, request_deadline};
use super::table::Reading;
use super::{Handle, process, rights};
use crate::evt::{Error, EventId, Priority, Span};
use crate::link::outring::Refused;
use crate::link::record::OutHeader;
use crate::sys::clock;
use crate::wire::Body;
use std::sync::Arc;

/// How often credit is asked for: other threads may have spent what the node granted.
const CREDIT_ATTEMPTS: usize = 100;

/// What a publication takes of its event before the event is looked at again to be copied.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Plan {
    attributes_bytes: usize,
    priority: Priority,
    retention: Span,
}

/// Publishes an event with `data`.
pub(super) fn publish(event: Handle, data: &[u8]) -> Result<EventId, Error> {
    let (seat, parts) = process::of_event(event)?;
    match publish_of(seat, parts, data) {
        // Nothing has happened.
        Err(Error::BadHandle) => publish_lent(event, data),
        outcome => outcome,
    }
}

/// Publishes an event that may be lent, so that only its record knows it.
#[cold]
fn publish_lent(event: Handle, data: &[u8]) -> Result<EventId, Error> {
    let (seat, parts) = process::of_lent_event(event)?;
    publish_of(seat, parts, data)
}

#[inline(always)]
fn publish_of(
    seat: Reading<'static, Seat>,
    parts: EventHandle,
    data: &[u8],
) -> Result<EventId, Error> {
    let (plan, attributes) = plan_of(seat.events.get(parts)?);
    let instance = &seat.instance;
    instance.library.check_service()?;
    if !instance.rights.may_publish() {
        let instance = Arc::clone(instance);
        drop(seat);
        return publish_in_doubt(&instance, parts, plan, data);
    }
    let link = &instance.library.link;
    if data.len() as u64 > link.limits.event_bytes_max {
        return Err(Error::TooBig);
    }
    let publish_time = link.wall.now();
    if plan.retention > Span::ZERO || link.wants_a_look(publish_time) {
        let instance = Arc::clone(instance);
        drop(seat);
        return publish_with_care(&instance, parts, plan, data);
    }
    let id = write(instance, plan, attributes, data, publish_time);
    let ring = link.must_ring().then(|| Arc::clone(link));
    drop(seat);
    if let Some(link) = ring {
        link.ring_now();
    }
    id
}

/// Publishes on an instance that may not, as far as is known: the node is asked.
#[cold]
fn publish_in_doubt(
    instance: &Instance,
    parts: EventHandle,
    plan: Plan,
    data: &[u8],
) -> Result<EventId, Error> {
    rights::check(instance)?;
    if data.len() as u64 > instance.library.link.limits.event_bytes_max {
        return Err(Error::TooBig);
    }
    publish_with_care(instance, parts, plan, data)
}

/// Publishes where something may have to wait: a link to restore, credit to ask for. No lock that
/// callbacks or other threads need is held then, so the event is looked at again to be copied.
#[cold]
fn publish_with_care(
    instance: &Instance,
    parts: EventHandle,
    mut plan: Plan,
    data: &[u8],
) -> Result<EventId, Error> {
    let link = &instance.library.link;
    loop {
        let publish_time = clock::wall();
        link.check_node(publish_time);
        rights::check(instance)?;
        let bytes = (plan.attributes_bytes + data.len()) as u64;
        let retained = plan.retention > Span::ZERO;
        if retained {
            acquire_credit(link, bytes)?;
        }
        let written = write_as_planned(instance, parts, plan, data, publish_time);
        if retained && !matches!(written, Ok(Written::Record(_))) {
            link.outbox.add_credit(1, bytes.next_multiple_of(64));
        }
        link.ring();
        match written? {
            Written::Record(id) => return Ok(id),
            // Another thread has set other attributes meanwhile.
            Written::Changed(newer) => plan = newer,
        }
    }
}

/// What the event takes, and its packed attributes.
#[inline]
fn plan_of(event: &Event) -> (Plan, &[u8]) {
    let (attributes, priority, retention) = match event {
        Event::Allocated { attributes, priority, retention } => {
            (attributes.packed(), *priority, *retention)
        }
        Event::Received(received) => {
            (received.packed_attributes(), received.priority, received.retention)
        }
    };
    (Plan { attributes_bytes: attributes.len(), priority, retention }, attributes)
}

enum Written {
    Record(EventId),
    Changed(Plan),
}

/// Writes the record, if the event still is as planned. Never waits.
fn write_as_planned(
    instance: &Instance,
    parts: EventHandle,
    planned: Plan,
    data: &[u8],
    publish_time: i64,
) -> Result<Written, Error> {
    let seat = instance.library.process.channels.get(instance.handle)?;
    let (plan, attributes) = plan_of(seat.events.get(parts)?);
    if plan != planned {
        return Ok(Written::Changed(plan));
    }
    write(instance, plan, attributes, data, publish_time).map(Written::Record)
}

/// Writes the record. Never waits.
#[inline(always)]
fn write(
    instance: &Instance,
    plan: Plan,
    attributes: &[u8],
    data: &[u8],
    publish_time: i64,
) -> Result<EventId, Error> {
    let mut header = OutHeader {
        instance: instance.number.0,
        id: 0,
        publish_time,
        retention: plan.retention.0,
        attributes_bytes: attributes.len() as u32,
        data_bytes: data.len() as u32,
    };
    let link = &instance.library.link;
    let ring = link.outbox.ring(plan.priority);
    let reserved = link.reserve(ring, header.record_bytes());
    let (id, slot) = reserved.map_err(|refused| match refused {
        Refused::Full => Error::TryAgain,
        Refused::Nonsense => Error::Library,
    })?;
    header.id = id.0;
    link.outbox.write(plan.priority, slot, &header, attributes, data);
    ring.commit(slot);
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
        let deadline = request_deadline();
        let ask = Body::Credit { events: 1, bytes: bytes.next_multiple_of(64) };
        link.ask(ask, deadline, None).map_err(|_| Error::TryAgain)?.reply.code?;
    }
    Err(Error::TryAgain)
}
