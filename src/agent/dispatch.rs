//! Running callbacks. No lock is held while one runs, and after each the handle is looked at anew:
//! the callback may have finalized it.

use super::connection::Received;
use super::events::{Event, Received as ReceivedEvent};
use super::instance::{Instance, Seat};
use super::lending;
use super::library::{Completion, Library, Reader};
use super::table::Writing;
use super::{DispatchFlags, Handle};
use crate::evt::{
    Attributes, AttributesRef, Error, EventId, InstanceNo, Name, Priority, Span, SubscriptionId,
    SubscriptionNo, Time,
};
use crate::link::record::{InHeader, InKind};
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
    Opened(Completion),
    Delivered { subscription: SubscriptionId, event: Handle, data_bytes: u64 },
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
    let mut recent = Recent::default();
    while extent.goes_on(library) && !library.is_finalized() {
        match next(library, ran == 0, extent, &mut recent) {
            Ok(Some(callback)) => {
                call(library, callback);
                if !library.is_of_this_process() {
                    // The callback has forked and this is the child: all here is its parent's.
                    return Ok(ran);
                }
            }
            Ok(None) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
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

fn call(library: &Library, callback: Callback) {
    match callback {
        Callback::Opened(Completion { invocation, outcome }) => {
            let outcome = outcome.map(|instance| instance.handle);
            library.callbacks.open(invocation, outcome);
        }
        Callback::Delivered { subscription, event, data_bytes } => {
            library.callbacks.deliver(subscription, event, data_bytes);
        }
    }
}

/// Takes the next callback out. `first`: nothing was called back yet in this dispatch, so that
/// finding nothing is a reason to look after the link.
fn next(
    library: &Arc<Library>,
    first: bool,
    extent: &mut Extent,
    recent: &mut Recent,
) -> Result<Option<Callback>, Error> {
    if library.opening.load(Ordering::Acquire) > 0
        && let Some(connection) = library.link.connection()
    {
        library.link.look(&connection);
    }
    if let Some(completion) = opened(library, extent) {
        return Ok(Some(completion));
    }
    if let Some(callback) = take(library, extent, recent)? {
        return Ok(Some(callback));
    }
    if !first {
        return Ok(None);
    }
    attend(library);
    match opened(library, extent) {
        Some(completion) => Ok(Some(completion)),
        None => take(library, extent, recent),
    }
}

fn opened(library: &Library, extent: &mut Extent) -> Option<Callback> {
    let completion = library.completions.pop()?;
    extent.more = extent.more.saturating_sub(1);
    Some(Callback::Opened(completion))
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

/// Takes the next deliverable record out of the window and makes it a received event.
///
/// What waits in the node at a higher priority than the window's next record comes first, so the
/// window is filled before.
fn take(
    library: &Arc<Library>,
    extent: &mut Extent,
    recent: &mut Recent,
) -> Result<Option<Callback>, Error> {
    let mut refills = REFILLS_MOST;
    loop {
        let mut reader = library.reader.lock();
        lending::end(library, &mut reader)?;
        let found = peek(library, &mut reader, recent);
        let highest = found.as_ref().map_or(Priority::LEVELS, |found| found.priority.index());
        if refills > 0 && library.inbox.has_backlog_above(highest) {
            drop(reader);
            refills = if refill(library).is_some() { refills - 1 } else { 0 };
            continue;
        }
        let Some(found) = found else {
            if std::mem::take(&mut reader.nonsense) {
                drop(reader);
                return Err(broken(library));
            }
            return Ok(None);
        };
        let Found { priority, position, header, subscription } = found;
        let end = position + u64::from(header.bytes);
        let Some((instance, mut seat)) = recent.seat(library) else {
            // Closed just now.
            advance(library, &mut reader, priority, end);
            continue;
        };
        let lost = header.kind == InKind::Lost;
        let added = if lost {
            lost_event(header.publish_time)
                .and_then(|event| seat.events.add(Event::Received(event)))
        } else {
            seat.events.lend(&library.inbox, priority, position, &header)
        };
        drop(seat);
        let event = match added {
            Ok(event) => event,
            Err(Error::Library) => {
                advance(library, &mut reader, priority, end);
                drop(reader);
                return Err(broken(library));
            }
            // No room in the program: the record stays where it is.
            Err(_) => return Err(Error::TryAgain),
        };
        if lost {
            advance(library, &mut reader, priority, end);
        } else {
            lending::begin(&mut reader, instance, priority, end, event);
        }
        let until = retained_until(&header);
        let sweep = until
            .is_some_and(|until| instance.had.lock().note(EventId(header.id), until, &reader.at));
        drop(reader);
        extent.count(priority, end);
        if sweep {
            forget_gone(instance);
        }
        let data_bytes = if lost { 0 } else { u64::from(header.data_bytes) };
        return Ok(Some(Callback::Delivered { subscription, event, data_bytes }));
    }
}

/// The node has written what cannot be: this link to it ends. No lock is held by the caller.
fn broken(library: &Library) -> Error {
    if let Some(connection) = library.link.connection() {
        library.link.down(&connection);
    }
    Error::Library
}

/// A record that would be called back.
pub(super) struct Found {
    priority: Priority,
    position: u64,
    header: InHeader,
    subscription: SubscriptionId,
}

/// The open instance and subscription of the record before, which most often are those of the next
/// one as well.
#[derive(Default)]
pub(super) struct Recent {
    instance: Option<Arc<Instance>>,
    /// The subscription, its number in the program, and how often the instance had lost one then.
    subscription: Option<(SubscriptionNo, SubscriptionId, u32)>,
}

impl Recent {
    /// The open instance of a number, if it is still one of this library handle.
    fn find(&mut self, library: &Library, number: InstanceNo) -> Option<&Instance> {
        if self.instance.as_ref().is_none_or(|instance| instance.number != number) {
            let seat = library.process.channels.at(number.slot() as usize)?;
            let own =
                seat.instance.number == number && seat.instance.library.number == library.number;
            self.instance = own.then(|| Arc::clone(&seat.instance));
            self.subscription = None;
        }
        self.instance.as_deref().filter(|instance| !instance.is_closed())
    }

    /// What the program calls a subscription of the instance that was found last; `None` if it has
    /// left.
    fn subscription(&mut self, number: SubscriptionNo) -> Option<SubscriptionId> {
        let instance = self.instance.as_ref()?;
        let removals = instance.removals();
        if let Some((known, id, then)) = self.subscription
            && known == number
            && then == removals
        {
            return Some(id);
        }
        let id = instance.subscriptions.lock().id_of(number)?;
        self.subscription = Some((number, id, removals));
        Some(id)
    }

    /// The instance that was found last, with its events to be changed; `None` if it was closed.
    fn seat<'a>(&'a self, library: &'a Library) -> Option<(&'a Instance, Writing<'a, Seat>)> {
        let instance = self.instance.as_ref()?;
        let seat = library.process.channels.at_mut(instance.slot)?;
        Arc::ptr_eq(&seat.instance, instance).then_some((instance, seat))
    }
}

/// The next record that would be called back; passes over those that nobody wants any more.
pub(super) fn peek(library: &Library, reader: &mut Reader, recent: &mut Recent) -> Option<Found> {
    for priority in Priority::ALL {
        loop {
            let at = reader.at[priority.index()];
            let (position, header) = match library.inbox.next(priority, at) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(_) => {
                    // The window cannot be trusted: take what is said to be there as read.
                    let written = library.inbox.ring(priority).written();
                    reader.at[priority.index()] = written;
                    reader.nonsense = true;
                    library.inbox.ring(priority).advance(written);
                    break;
                }
            };
            if let Some(subscription) = judge(library, &header, recent) {
                return Some(Found { priority, position, header, subscription });
            }
            advance(library, reader, priority, position + u64::from(header.bytes));
        }
    }
    None
}

/// For which subscription a record is; `None` when nobody wants it any more. Its open instance is
/// then the one that `recent` has found last.
fn judge(library: &Library, header: &InHeader, recent: &mut Recent) -> Option<SubscriptionId> {
    let instance = recent.find(library, InstanceNo(header.instance))?;
    if header.retention > 0 && instance.had.lock().contains(EventId(header.id)) {
        return None;
    }
    match header.kind {
        InKind::Lost => instance.subscriptions.lock().first(),
        InKind::Event => recent.subscription(SubscriptionNo(header.subscription)),
        InKind::Pad | InKind::Withdrawn => None,
    }
}

/// When the retention of a record's event ends; `None` if it has none.
fn retained_until(header: &InHeader) -> Option<Time> {
    (header.retention > 0).then(|| clock::elapsed().after(Span(header.left)))
}

/// Passes over records, none of which is lent, and gives them back.
fn advance(library: &Library, reader: &mut Reader, priority: Priority, end: u64) {
    debug_assert!(reader.lending.is_none(), "its record would be given back too");
    reader.at[priority.index()] = end;
    library.inbox.ring(priority).advance(end);
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
            let concerned = header.kind == InKind::Event
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
