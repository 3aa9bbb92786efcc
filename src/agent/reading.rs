//! Reading the window: the next record that is for somebody, and for whom.

use super::instance::Instance;
use super::library::{Library, Reader};
use crate::evt::{EventId, InstanceNo, Priority, SubscriptionId, SubscriptionNo};
use crate::link::record::{InHeader, InKind};
use std::sync::Arc;

/// A record that would be called back, of the open instance that `Reader::recent` has then.
pub(super) struct Found {
    pub(super) priority: Priority,
    pub(super) position: u64,
    pub(super) header: InHeader,
    pub(super) subscription: SubscriptionId,
}

impl Default for Found {
    /// What stands for none.
    fn default() -> Self {
        let (priority, subscription) = (Priority::LOWEST, SubscriptionId(0));
        Self { priority, position: 0, header: InHeader::default(), subscription }
    }
}

impl Found {
    /// Where the record ends.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.position + u64::from(self.header.bytes)
    }
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
    /// The open instance that was found last. It may have been closed since.
    #[inline]
    pub(super) const fn instance(&self) -> Option<&Arc<Instance>> {
        self.instance.as_ref()
    }

    /// The open instance of a number, if it is still one of this library handle.
    #[inline]
    fn find(&mut self, library: &Library, number: InstanceNo) -> Option<&Instance> {
        if self.instance.as_ref().is_none_or(|instance| instance.number != number) {
            self.look_up(library, number);
        }
        self.instance.as_deref().filter(|instance| !instance.is_closed())
    }

    fn look_up(&mut self, library: &Library, number: InstanceNo) {
        *self = Self::default();
        // Once a handle is finalized nothing may come here: the instance holds the handle.
        if !library.is_finalized()
            && let Some(seat) = library.process.channels.at(number.slot() as usize)
            && seat.instance.number == number
            && seat.instance.library.number == library.number
        {
            self.instance = Some(Arc::clone(&seat.instance));
        }
    }

    /// What the program calls a subscription of the instance that was found last; `None` if it has
    /// left.
    #[inline]
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
}

/// Finds the next record that would be called back (`Reader::found`); passes over those that nobody
/// wants any more. None is lent.
pub(super) fn peek(library: &Library, reader: &mut Reader) -> bool {
    let mut level = library.inbox.first_there(0, &reader.at);
    while let Some(priority) = Priority::ALL.get(level) {
        if peek_at(library, reader, *priority) {
            return true;
        }
        level = library.inbox.first_there(level + 1, &reader.at);
    }
    false
}

/// As [`peek`], at one priority.
#[inline]
fn peek_at(library: &Library, reader: &mut Reader, priority: Priority) -> bool {
    loop {
        let at = reader.at[priority.index()];
        if library.inbox.record_at(priority, at, &mut reader.found.header) {
            reader.found.position = at;
        } else if !pass_pads(library, reader, priority) {
            return false;
        }
        if reader.found.header.kind == InKind::Shared && !refer(library, reader, priority) {
            distrust(library, reader, priority);
            return false;
        }
        reader.found.priority = priority;
        if let Some(subscription) = judge(library, &reader.found.header, &mut reader.recent) {
            reader.found.subscription = subscription;
            return true;
        }
        let end = reader.found.end();
        advance(library, reader, priority, end);
    }
}

/// Finds the next record behind pads. False if there is none, or what is there cannot be.
#[inline(never)]
fn pass_pads(library: &Library, reader: &mut Reader, priority: Priority) -> bool {
    match library.inbox.next(priority, reader.at[priority.index()]) {
        Ok(Some((position, header))) => {
            reader.found.position = position;
            reader.found.header = header;
            return true;
        }
        Ok(None) => {}
        Err(_) => distrust(library, reader, priority),
    }
    false
}

/// Finds the data of the record that was found, which are in a segment; false if that cannot be.
#[inline(never)]
fn refer(library: &Library, reader: &mut Reader, priority: Priority) -> bool {
    let Reader { found: Found { position, header, .. }, segments, .. } = reader;
    let Some(to) = library.inbox.reference(priority, *position, header) else { return false };
    // From here on it is the header of the event.
    header.data_bytes = to.bytes;
    segments.find(to)
}

/// The window cannot be trusted: takes what is said to be there as read.
#[cold]
fn distrust(library: &Library, reader: &mut Reader, priority: Priority) {
    let written = library.inbox.ring(priority).written();
    advance(library, reader, priority, written);
    reader.nonsense = true;
}

/// For which subscription a record is; `None` when nobody wants it any more. Its open instance is
/// then the one that `recent` has found last.
#[inline]
fn judge(library: &Library, header: &InHeader, recent: &mut Recent) -> Option<SubscriptionId> {
    let instance = recent.find(library, InstanceNo(header.instance))?;
    if header.retention > 0 && instance.had.lock().contains(EventId(header.id)) {
        return None;
    }
    match header.kind {
        InKind::Lost => instance.subscriptions.lock().first(),
        InKind::Event | InKind::Shared => recent.subscription(SubscriptionNo(header.subscription)),
        InKind::Pad | InKind::Withdrawn => None,
    }
}

/// Passes over records, none of which is lent, and gives them back.
pub(super) fn advance(library: &Library, reader: &mut Reader, priority: Priority, end: u64) {
    debug_assert!(!reader.lending.is_there(), "its record would be given back too");
    reader.at[priority.index()] = end;
    library.inbox.ring(priority).advance(end);
}
