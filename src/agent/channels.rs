//! Opening, closing and unlinking channels; subscriptions.

use super::connection::PendingOpen;
use super::instance::{Instance, Seat, Subscription};
use super::library::Library;
use super::link::Failure;
use super::table::Taken;
use super::{Handle, Version, dispatch, process};
use crate::evt::{Error, EventId, Filters, Incarnation, Name, OpenFlags, Span, SubscriptionId};
use crate::sys::clock;
use crate::wire::{Body, Request, reply};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Takes a slot for a new open instance; its handle is not valid yet.
fn begin(library: &Arc<Library>, flags: OpenFlags) -> Result<(Taken, Arc<Instance>), Error> {
    let process = process::current()?;
    let most = library.link.limits.instances_per_process_max;
    let taken = process.channels.take(most)?;
    Ok((taken, Arc::new(Instance::new(taken, Arc::clone(library), flags))))
}

/// From release B.02 on only distinguished names may be created.
///
/// - [`Error::InvalidParam`].
pub(super) fn check_name(library: &Library, name: &Name, flags: OpenFlags) -> Result<(), Error> {
    let dns = library.version >= Version::B02 && library.link.limits.channel_names_are_dns;
    let refused = dns && flags.contains(OpenFlags::CREATE) && !name.is_channel_dn();
    if refused { Err(Error::InvalidParam) } else { Ok(()) }
}

fn request(library: &Library, instance: &Instance, name: &Name, asynchronous: bool) -> Body {
    let limits = &library.link.limits;
    Body::Open {
        library: library.number,
        instance: instance.number,
        flags: instance.flags,
        names_are_dns: library.version >= Version::B02 && limits.channel_names_are_dns,
        asynchronous,
        name: *name,
    }
}

/// Ends the opening of an instance: with an incarnation its handle becomes valid, with an error
/// its slot is given back. If the library handle was finalized meanwhile nothing remains; nor if
/// the connection `by` which it was opened has ended, since a restored node may not know of it.
pub(super) fn opened(
    instance: &Arc<Instance>,
    taken: Taken,
    outcome: Result<Incarnation, Error>,
    by: u64,
) -> Result<Arc<Instance>, Error> {
    let process = process::existing().ok_or(Error::BadHandle)?;
    let library = &instance.library;
    let outcome = outcome.and_then(|incarnation| {
        instance.set_incarnation(incarnation);
        instance.rights.doubt(&library.link);
        let mut instances = library.instances.lock();
        if library.is_finalized() {
            return Err(Error::BadHandle);
        }
        instances.insert(instance.slot, Arc::clone(instance));
        if !library.link.is_present_number(by) {
            instances.remove(&instance.slot);
            return Err(Error::TryAgain);
        }
        process.channels.fill(taken, Seat::new(instance));
        Ok(Arc::clone(instance))
    });
    if outcome.is_err() {
        if instance.incarnation().is_some() {
            // A node may know it after all.
            instance.close();
            library.link.tell(Body::Close { instance: instance.number });
        }
        process.channels.give_back(taken);
    }
    outcome
}

/// Opens a channel and waits.
pub(super) fn open(
    library: &Arc<Library>,
    name: &Name,
    flags: OpenFlags,
    timeout: Span,
) -> Result<Handle, Error> {
    let deadline = clock::elapsed().after(timeout);
    super::restore::ensure_until(&library.link, deadline)?;
    let (taken, instance) = begin(library, flags)?;
    let body = request(library, &instance, name, false);
    let mut by = 0;
    let outcome = match library.link.ask(body, deadline, Some(library)) {
        Ok(received) => {
            by = received.by;
            incarnation(received.reply)
        }
        Err(failure) => {
            if matches!(failure, Failure::Timeout | Failure::Cancelled) {
                // It may complete later: no open instance may remain.
                library.link.tell(Body::Close { instance: instance.number });
            }
            Err(failure.settled())
        }
    };
    let outcome = outcome.map_err(|error| library.known(error));
    opened(&instance, taken, outcome, by).map(|instance| instance.handle)
}

fn incarnation(reply: crate::wire::Reply) -> Result<Incarnation, Error> {
    reply.code?;
    match reply.body {
        reply::Body::Opened { incarnation } => Ok(incarnation),
        _ => Err(Error::Library),
    }
}

/// Starts to open a channel.
pub(super) fn open_async(
    library: &Arc<Library>,
    invocation: u64,
    name: &Name,
    flags: OpenFlags,
) -> Result<(), Error> {
    super::restore::ensure(&library.link)?;
    let connection = library.link.connection().ok_or(Error::TryAgain)?;
    let (taken, instance) = begin(library, flags)?;
    let body = request(library, &instance, name, true);
    let id = connection.next_id();
    let instance_again = Arc::clone(&instance);
    let open = PendingOpen { library: Arc::clone(library), instance, taken, invocation };
    library.opening.fetch_add(1, Ordering::AcqRel);
    let noted = connection.note_open(id, open);
    let sent = noted.is_ok() && {
        let request = Request { id, barrier: library.link.barrier(), body };
        let deadline = super::link::request_deadline();
        connection.send(&request.encode(), &[], Some(deadline)).is_ok()
    };
    if sent && !library.is_finalized() {
        return Ok(());
    }
    if noted.is_ok() && connection.take_open(id).is_none() {
        // The end of the connection has completed it already: its callback tells.
        return Ok(());
    }
    library.opening.fetch_sub(1, Ordering::AcqRel);
    let _ = opened(&instance_again, taken, Err(Error::TryAgain), 0);
    Err(Error::TryAgain)
}

/// Closes an open instance that has been taken out of the table.
pub(super) fn close(instance: &Arc<Instance>) {
    instance.close();
    let library = &instance.library;
    library.instances.lock().remove(&instance.slot);
    forget_patterns(instance);
    library.link.tell(Body::Close { instance: instance.number });
    if let Some(process) = process::existing() {
        process.channels.release(instance.slot);
    }
    library.settle(false);
}

/// Forgets the pattern arrays that were given out for the events of an instance.
pub(super) fn forget_patterns(instance: &Instance) {
    if let Some(process) = process::existing() {
        let slot = instance.slot;
        process.patterns.lock().forget_instance(|event| {
            super::handles::EventHandle::decode(event)
                .is_some_and(|parts| parts.instance_slot == slot)
        });
    }
}

/// Asks for something that has no timeout of its own and that nobody can settle afterwards.
pub(super) fn ask(library: &Arc<Library>, body: Body) -> Result<(), Error> {
    super::restore::ensure(&library.link)?;
    match library.link.ask_plain(body, Some(library)) {
        Ok(code) => code.map_err(|error| library.known(error)),
        Err(failure) => Err(failure.unsettled()),
    }
}

/// Adds a subscription.
pub(super) fn subscribe(
    instance: &Arc<Instance>,
    filters: Filters,
    id: SubscriptionId,
) -> Result<(), Error> {
    let library = &instance.library;
    if !library.callbacks.has_deliver() {
        return Err(Error::Init);
    }
    if !instance.flags.contains(OpenFlags::SUBSCRIBER) {
        return Err(Error::Access);
    }
    filters.within(&library.link.limits)?;
    super::restore::ensure(&library.link)?;
    let number = {
        let mut subscriptions = instance.subscriptions.lock();
        if subscriptions.has(id) {
            return Err(Error::Exist);
        }
        let number = subscriptions.next_number();
        // In the list before the node knows it: its events may arrive before its reply.
        let filters = filters.clone();
        subscriptions.add(Subscription { number, id, filters, leaving: true });
        number
    };
    let body = Body::Subscribe { instance: instance.number, number, filters };
    let deadline = super::link::request_deadline();
    let mut outcome = match library.link.ask(body, deadline, Some(library)) {
        Ok(received) => received.reply.code.map(|()| received.by),
        Err(failure) => {
            if failure == Failure::Timeout {
                library.link.tell(Body::Unsubscribe { instance: instance.number, number });
            }
            Err(failure.settled())
        }
    };
    let mut subscriptions = instance.subscriptions.lock();
    if let Ok(by) = outcome {
        subscriptions.stay(number);
        if !library.link.is_present_number(by) {
            library.link.tell(Body::Unsubscribe { instance: instance.number, number });
            outcome = Err(Error::TryAgain);
        }
    }
    if outcome.is_err() {
        instance.remove_subscription(&mut subscriptions, number);
    }
    drop(subscriptions);
    // Retained events that the instance has had already are no reason to be readable.
    library.settle(false);
    outcome.map(|_| ())
}

/// Removes a subscription.
pub(super) fn unsubscribe(instance: &Arc<Instance>, id: SubscriptionId) -> Result<(), Error> {
    let library = &instance.library;
    let number = instance.subscriptions.lock().leave(id)?;
    let outcome = super::restore::ensure(&library.link).and_then(|()| {
        let body = Body::Unsubscribe { instance: instance.number, number };
        match library.link.ask_plain(body, Some(library)) {
            // Lost with the node: its successor will not be told of the subscription.
            Ok(_) | Err(Failure::Lost) => Ok(()),
            Err(failure) => Err(failure.settled()),
        }
    });
    match outcome {
        Ok(()) => dispatch::reassign(instance, number),
        Err(_) => instance.subscriptions.lock().stay(number),
    }
    outcome
}

/// Ends the retention of an event.
pub(super) fn retention_clear(instance: &Arc<Instance>, id: EventId) -> Result<(), Error> {
    ask(&instance.library, Body::RetentionClear { instance: instance.number, id })
}
