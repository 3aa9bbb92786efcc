//! Events, and what waits for them to be read.

use super::*;
use crate::desk::{Event, Record};

/// What a program publishes.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: EventId,
    pub(crate) priority: Priority,
    pub(crate) retention: Span,
    pub(crate) attributes: Attributes,
    pub(crate) data: Vec<u8>,
}

impl Draft {
    pub(super) fn bytes(&self) -> u64 {
        (self.attributes.packed().len() + self.data.len()) as u64
    }

    pub(super) fn matches(&self, filters: &Filters) -> bool {
        let patterns: Vec<&[u8]> = self.attributes.view().patterns().collect();
        filters.0.iter().enumerate().all(|(at, filter)| {
            let pattern = patterns.get(at).copied().unwrap_or(b"");
            let (size, bytes) = (pattern.len(), filter.bytes.len());
            match filter.kind {
                FilterKind::PassAll => true,
                FilterKind::Exact => pattern == filter.bytes,
                FilterKind::Prefix => bytes <= size && pattern[..bytes] == filter.bytes,
                FilterKind::Suffix => bytes <= size && pattern[size - bytes..] == filter.bytes,
            }
        })
    }
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Live(Rc<Draft>, SubscriptionNo, Time),
    /// A retained event, for a subscription or what remains after it, and of which replay.
    Replay(EventId, Option<SubscriptionNo>, u64),
    Lost,
}

/// Something that waits for room in a window.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) instance: InstanceNo,
    pub(super) priority: Priority,
    pub(super) kind: Kind,
}

impl Item {
    fn left_over(&self) -> Option<u64> {
        match self.kind {
            Kind::Replay(_, None, replay) => Some(replay),
            Kind::Replay(..) | Kind::Live(..) | Kind::Lost => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Library {
    pub(super) target: Target,
    pub(super) queue: Vec<Item>,
    /// Unread records by priority. The flag says that a lost-event counts as pending.
    pub(super) windows: [Vec<(Record, bool)>; Priority::LEVELS],
}

pub(super) fn record(
    instance: InstanceNo,
    draft: &Draft,
    of: SubscriptionNo,
    left: Span,
) -> Record {
    let event = Event {
        subscription: of,
        id: draft.id,
        publish_time: 7,
        retention: draft.retention,
        left,
        priority: draft.priority,
        attributes: draft.attributes.packed().to_vec(),
        data: draft.data.clone(),
    };
    Record { instance, event: Some(event) }
}

pub(super) fn left(draft: &Draft, deadline: Time, now: Time) -> Span {
    match draft.retention {
        Span::ZERO => Span::ZERO,
        Span::FOREVER => Span::FOREVER,
        _ => Span(deadline.0.saturating_sub(now.0)),
    }
}

impl Library {
    /// How many replays of removed subscriptions wait for an instance.
    pub(super) fn left_over(&self, number: InstanceNo, priority: Priority) -> usize {
        let here = |item: &&Item| item.instance == number && item.priority == priority;
        let mut replays: Vec<_> =
            self.queue.iter().filter(here).filter_map(Item::left_over).collect();
        replays.dedup();
        replays.len()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Draft> {
        self.queue.iter().filter_map(|item| match &item.kind {
            Kind::Live(draft, ..) => Some(&**draft),
            Kind::Replay(..) | Kind::Lost => None,
        })
    }

    pub(super) fn is_lost_unread(&self, number: InstanceNo) -> bool {
        self.windows[0].iter().any(|(record, pending)| *pending && record.instance == number)
    }

    pub(super) fn is_lost_queued(&self, number: InstanceNo) -> bool {
        let waits = |item: &Item| item.instance == number && matches!(item.kind, Kind::Lost);
        self.queue.iter().any(waits)
    }
}
