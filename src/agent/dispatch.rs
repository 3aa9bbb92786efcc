//! Running callbacks. No lock is held while one runs, and after each the handle is looked at anew:
//! the callback may have finalized it.

use super::connection::Received;
use super::events::{Event, Received as ReceivedEvent};
use super::instance::Instance;
use super::library::{Completion, Library, Reader};
use super::reading::{Found, advance, peek};
use super::{DispatchFlags, Handle, current, lending};
use crate::evt::{
    Attributes, AttributesRef, Error, EventId, Name, Priority, Span, SubscriptionId,
    SubscriptionNo, Time,
};
use crate::link::record::InKind;
use crate::sys::clock;
use crate::wire::{Body, Reply, reply};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `SA_EVT_LOST_EVENT`.
const LOST_PATTERN: &[u8] = b"SA_EVT_LOST_EVENT_PATTERN";
/// Callbacks of one `SA_DISPATCH_ALL` beyond what was pending at its start: a steady inflow must
/// not keep it for ever.
const ARRIVALS_MOST: u64 = 1024;
/// Fillings of the window for one callback: all may hold retained events that the instance has had
/// already, but a node that says there is more and sends nothing is not believed for ever.
const REFILLS_MOST: u32 = 4096;
/// Callbacks between two looks at whether the node waits for room.
const CALLS_BETWEEN_LOOKS: usize = 64;
/// Identifiers in one question to the node.
const GONE_IDS_MAX: usize = 1024;

/// What is called back next.
enum Callback {
    Nothing,
    Opened(Completion),
    /// As [`Delivery`] says.
    Deliver,
}

/// An event to be delivered. It has a place of its own since the processor waits where what was
/// written just now is copied as part of something else.
struct Delivery {
    subscription: SubscriptionId,
    event: Handle,
    data_bytes: u64,
}

/// Runs pending callbacks. Blocking dispatch returns `BadHandle` when an open instance could not be
/// restored after the node had gone: its subscriptions must not be silently dead.
pub(super) fn run(library: &Arc<Library>, flags: DispatchFlags) -> Result<(), Error> {
    match flags {
        DispatchFlags::One => run_some(library, &mut Extent::one()).map(|_| ()),
        DispatchFlags::All => run_some(library, &mut Extent::pending(library)).map(|_| ()),
        DispatchFlags::Blocking => {
            let lost = || library.instances_lost.load(Ordering::Acquire);
            let lost_before = lost();
            while !library.is_finalized() && library.is_of_this_process() {
                let ran = run_some(library, &mut Extent::pending(library))?;
                if lost() != lost_before {
                    return Err(Error::BadHandle);
                }
                if ran == 0 && !library.is_finalized() && library.is_of_this_process() {
                    library.wait()?;
                }
            }
            Ok(())
        }
    }
}

/// How far a dispatch goes: all records before `until`, and `more` callbacks beyond.
struct Extent {
    until: [u64; Priority::LEVELS],
    more: u64,
}

impl Extent {
    const fn one() -> Self {
        Self { until: [0; Priority::LEVELS], more: 1 }
    }

    /// What is pending now: what the window holds, and what waits for it in the node.
    fn pending(library: &Library) -> Self {
        let mut more = ARRIVALS_MOST;
        if library.inbox.has_backlog() {
            more = more.saturating_add(refill(library).unwrap_or(0));
        }
        let written = |priority| library.inbox.ring(priority).written();
        Self { until: Priority::ALL.map(written), more }
    }

    /// Counts a callback for a record that ends here.
    fn count(&mut self, priority: Priority, end: u64) {
        let until = &mut self.until[priority.index()];
        let left = until.wrapping_sub(end) as i64;
        self.more -= u64::from(left < 0 && self.more > 0);
        if left <= 0 {
            // The ring may say that it is unread, as long as its event is lent.
            *until = 0;
        }
    }

    /// Whether there may be more to do: callbacks are left, or records that were pending at the
    /// start are unread.
    #[inline]
    fn goes_on(&self, library: &Library) -> bool {
        let unread = |priority: &Priority| {
            let read = library.inbox.ring(*priority).read();
            self.until[priority.index()].wrapping_sub(read) as i64 > 0
        };
        self.more > 0 || Priority::ALL.iter().any(unread)
    }
}

/// Has the node fill the window. Gives how many events still wait behind it; `None` if the node
/// cannot be asked.
fn refill(library: &Library) -> Option<u64> {
    let now = clock::elapsed();
    if now < Time(library.refill_from.load(Ordering::Relaxed)) {
        return None;
    }
    let deadline = now.after(Span(super::link::REQUEST_TIME));
    let body = Body::Refill { library: library.number };
    match library.link.ask(body, deadline, Some(library)) {
        Ok(Received { reply: Reply { body: reply::Body::Queued { events }, .. }, .. }) => {
            Some(events)
        }
        Ok(_) => None,
        Err(_) => {
            // A node that does not answer must not hold up what the window has.
            let pause = Span(super::link::REQUEST_TIME);
            library.refill_from.store(clock::elapsed().after(pause).0, Ordering::Relaxed);
            None
        }
    }
}

/// Runs callbacks as far as `extent` goes. Gives how many ran.
fn run_some(library: &Arc<Library>, extent: &mut Extent) -> Result<usize, Error> {
    let mut ran = 0;
    let mut outcome = Ok(());
    let mut delivery = Delivery { subscription: SubscriptionId(0), event: 0, data_bytes: 0 };
    let _dispatching = current::enter(library);
    while extent.goes_on(library) && !library.is_finalized() {
        if let Err(error) = library.check_local() {
            outcome = Err(error);
            break;
        }
        match next(library, ran == 0, extent, &mut delivery) {
            Ok(Callback::Nothing) => break,
            Ok(Callback::Opened(completion)) => open(library, completion),
            Ok(Callback::Deliver) => deliver(library, &delivery),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        if !library.is_of_this_process() {
            // The callback has forked and this is the child: all here is its parent's. If it has
            // finalized the handle before, this thread has the last hold of it, and must not close
            // descriptors whose numbers may be the child's own by now.
            std::mem::forget(Arc::clone(library));
            return Ok(ran);
        }
        ran += 1;
        if ran % CALLS_BETWEEN_LOOKS == 0 {
            library.give_room();
        }
    }
    if !library.is_finalized() {
        library.settle(ran == 0);
    }
    outcome.map(|()| ran)
}

fn open(library: &Library, Completion { invocation, outcome }: Completion) {
    let outcome = outcome.map(|instance| instance.handle);
    current::outside(|| library.callbacks.open(invocation, outcome));
}

#[inline(always)]
fn deliver(library: &Library, delivery: &Delivery) {
    let Delivery { subscription, event, data_bytes } = *delivery;
    current::outside(|| library.callbacks.deliver(subscription, event, data_bytes));
}

/// Takes the next callback out. `first`: nothing was called back yet in this dispatch, so that
/// finding nothing is a reason to look after the link.
fn next(
    library: &Arc<Library>,
    first: bool,
    extent: &mut Extent,
    delivery: &mut Delivery,
) -> Result<Callback, Error> {
    if library.opening.load(Ordering::Acquire) > 0
        && let Some(connection) = library.link.connection()
    {
        library.link.look(&connection);
    }
    if let Some(completion) = opened(library, extent) {
        return Ok(Callback::Opened(completion));
    }
    if take(library, extent, delivery)? {
        return Ok(Callback::Deliver);
    }
    if !first {
        return Ok(Callback::Nothing);
    }
    attend(library);
    if let Some(completion) = opened(library, extent) {
        return Ok(Callback::Opened(completion));
    }
    let found = take(library, extent, delivery)?;
    Ok(if found { Callback::Deliver } else { Callback::Nothing })
}

fn opened(library: &Library, extent: &mut Extent) -> Option<Completion> {
    let completion = library.completions.pop()?;
    extent.more = extent.more.saturating_sub(1);
    Some(completion)
}

/// Looks after the link: notices that the node has gone, and tries to reach it again.
fn attend(library: &Library) {
    let link = &library.link;
    if let Some(connection) = link.connection() {
        link.look(&connection);
    }
    if !link.is_up() {
        // Without success the timer wakes this program again.
        let _ = super::restore::attempt(link);
    }
}

/// Takes the next deliverable record out of the window and makes it a received event, which is to
/// be delivered then. False if there is none.
///
/// What waits in the node at a higher priority than the window's next record comes first, so the
/// window is filled before.
fn take(
    library: &Arc<Library>,
    extent: &mut Extent,
    delivery: &mut Delivery,
) -> Result<bool, Error> {
    let mut refills = REFILLS_MOST;
    loop {
        let mut reader = library.reader.lock();
        lending::end(library, &mut reader)?;
        let found = peek(library, &mut reader);
        let highest = if found { reader.found.priority.index() } else { Priority::LEVELS };
        if library.inbox.has_backlog_above(highest) && refills > 0 {
            drop(reader);
            refills = if refill(library).is_some() { refills - 1 } else { 0 };
            continue;
        }
        if !found {
            if std::mem::take(&mut reader.nonsense) {
                drop(reader);
                return Err(broken(library));
            }
            return Ok(false);
        }
        let lost = reader.found.header.kind == InKind::Lost;
        let added =
            if lost { lose(library, &mut reader) } else { lending::begin(library, &mut reader) };
        let (priority, end) = (reader.found.priority, reader.found.end());
        // No room in the program: the record stays where it is.
        let Some(event) = added.map_err(|_| Error::TryAgain)? else {
            // Closed just now.
            advance(library, &mut reader, priority, end);
            continue;
        };
        if lost {
            advance(library, &mut reader, priority, end);
        }
        let Found { ref header, subscription, .. } = reader.found;
        let data_bytes = if lost { 0 } else { u64::from(header.data_bytes) };
        let sweep = if header.retention > 0 { note_had(&reader) } else { None };
        drop(reader);
        extent.count(priority, end);
        if let Some(instance) = sweep {
            forget_gone(&instance);
        }
        *delivery = Delivery { subscription, event, data_bytes };
        return Ok(true);
    }
}

/// Makes a lost-event for the open instance that was found. `None` if it has been closed just now.
#[cold]
fn lose(library: &Library, reader: &mut Reader) -> Result<Option<Handle>, Error> {
    let Some(instance) = reader.recent.instance() else { return Ok(None) };
    let event = Event::Received(lost_event(reader.found.header.publish_time)?);
    match library.process.channels.get_mut(instance.handle) {
        Ok(mut seat) => seat.events.add(event).map(Some),
        Err(_) => Ok(None),
    }
}

/// Notes a retained event that the open instance that was found is given now. Gives the instance
/// when it is time to look which of the noted ones are gone.
fn note_had(reader: &Reader) -> Option<Arc<Instance>> {
    let instance = reader.recent.instance()?;
    let header = &reader.found.header;
    let until = clock::elapsed().after(Span(header.left));
    let sweep = instance.had.lock().note(EventId(header.id), until, &reader.at);
    sweep.then(|| Arc::clone(instance))
}

/// The node has written what cannot be: this link to it ends. No lock is held by the caller.
fn broken(library: &Library) -> Error {
    if let Some(connection) = library.link.connection() {
        library.link.down(&connection);
    }
    Error::Library
}

fn lost_event(noticed: i64) -> Result<ReceivedEvent, Error> {
    let attributes =
        Attributes::pack(&Name::EMPTY, [LOST_PATTERN].into_iter()).map_err(|_| Error::TryAgain)?;
    let block = attributes.packed().to_vec();
    Ok(ReceivedEvent {
        attributes_bytes: block.len() as u32,
        block,
        priority: Priority::HIGHEST,
        retention: Span::ZERO,
        publish_time: noticed,
        id: EventId::LOST,
        lent: None,
    })
}

/// Looks which of the retained events that an instance has had are gone, so that the notes do not
/// grow for ever.
fn forget_gone(instance: &Instance) {
    let library = &instance.library;
    let now = clock::elapsed();
    let (mut gone, others) = instance.had.lock().lapsed(now);
    let deadline = now.after(Span(super::link::REQUEST_TIME));
    for part in others.chunks(GONE_IDS_MAX) {
        let body = Body::Gone { instance: instance.number, ids: part.to_vec() };
        let Ok(received) = library.link.ask(body, deadline, Some(library)) else { break };
        if let reply::Body::Gone { ids } = received.reply.body {
            gone.extend(ids);
        }
    }
    let mut had = instance.had.lock();
    if library.inbox.has_backlog() {
        // Copies may wait in the node.
        had.postpone();
    } else {
        had.fade(gone, Priority::ALL.map(|priority| library.inbox.ring(priority).written()));
    }
}

/// Removes a subscription. The unread events of the instance that came for it go to the first
/// remaining one that matches, or are withdrawn, before anybody can read on.
pub(super) fn reassign(instance: &Instance, gone: SubscriptionNo) {
    let library = &instance.library;
    let reader = library.reader.lock();
    let mut subscriptions = instance.subscriptions.lock();
    instance.remove_subscription(&mut subscriptions, gone);
    let mut packed = Vec::new();
    for priority in Priority::ALL {
        let mut at = reader.at[priority.index()];
        while let Ok(Some((position, mut header))) = library.inbox.next(priority, at) {
            at = position + u64::from(header.bytes);
            let concerned = matches!(header.kind, InKind::Event | InKind::Shared)
                && header.instance == instance.number.0
                && header.subscription == gone.0;
            if !concerned {
                continue;
            }
            let bytes = header.attributes_bytes as usize;
            packed.clear();
            // Without memory to look at it the event is withdrawn.
            let remaining = packed.try_reserve(bytes).ok().and_then(|()| {
                packed.resize(bytes, 0);
                library.inbox.read_content(priority, position, &mut packed);
                subscriptions.matching(AttributesRef::parse(&packed).ok()?)
            });
            match remaining {
                Some(number) => header.subscription = number.0,
                None => header.kind = InKind::Withdrawn,
            }
            library.inbox.rewrite(priority, position, &header);
        }
    }
    drop(subscriptions);
    drop(reader);
    library.settle(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_not_pending_any_more() {
        let mut extent = Extent { until: [0, 0, 0, 200], more: 2 };
        for (end, until, more) in [(100, 200, 2), (200, 0, 2), (300, 0, 1), (400, 0, 0)] {
            extent.count(Priority::LOWEST, end);
            assert_eq!((extent.until[3], extent.more), (until, more));
        }
    }
}
