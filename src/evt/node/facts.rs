//! What the node can say of itself: facts for the log, numbers for people.

use super::{EventRecord, Fact, Identity, Node, ProcessKey};
use crate::evt::channel::Channel;
use crate::evt::{Error, Incarnation, Name, Priority, Span, Time};

/// One channel in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelStatistics<'a> {
    /// The channel.
    pub incarnation: Incarnation,
    /// Its name, or the one it had.
    pub name: &'a Name,
    /// Whether the name leads to it.
    pub linked: bool,
    /// Open instances.
    pub openers: u64,
    /// Open instances that may publish.
    pub publishers: u64,
    /// Open instances that may subscribe.
    pub subscribers: u64,
    /// Publications since the start.
    pub publications: u64,
    /// Retained events.
    pub retained_events: u64,
    /// Their bytes.
    pub retained_bytes: u64,
    /// Lost-events handed out since the start.
    pub lost_events: u64,
}

/// One process in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStatistics {
    /// The process.
    pub process: ProcessKey,
    /// Who it is.
    pub identity: Identity,
    /// Library handles.
    pub libraries: u64,
    /// Open instances.
    pub instances: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Bytes charged for their filters.
    pub filter_bytes: u64,
    /// Live events waiting in its queues.
    pub queued_events: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Credit for retained events that it has not spent.
    pub credit_events: u64,
    /// Credit for their bytes.
    pub credit_bytes: u64,
    /// Lost-events handed out to it.
    pub lost_events: u64,
    /// Retained events of its user, also by other and former processes.
    pub user_retained_events: u64,
    /// Their bytes.
    pub user_retained_bytes: u64,
}

/// The node in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Channels, unlinked ones included.
    pub channels: u64,
    /// Connected processes.
    pub processes: u64,
    /// Library handles.
    pub libraries: u64,
    /// Open instances.
    pub instances: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Bytes charged for their filters.
    pub filter_bytes: u64,
    /// Live events waiting in queues; an event counts in each.
    pub queued_events: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Retained events.
    pub retained_events: u64,
    /// Their bytes.
    pub retained_bytes: u64,
    /// Credit for retained events that is granted and not spent.
    pub credit_events: u64,
    /// Credit for their bytes.
    pub credit_bytes: u64,
    /// Publications since the start.
    pub publications: u64,
    /// Lost-events handed out since the start.
    pub lost_events: u64,
}

/// One entry of [`Node::statistics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic<'a> {
    /// A channel.
    Channel(ChannelStatistics<'a>),
    /// A process.
    Process(ProcessStatistics),
}

impl Node {
    /// Shows all channels, each with its names in private services, then all retained events in
    /// publish order: what [`Node::adopt_channel`], [`Node::adopt_moved`] and
    /// [`Node::adopt_retained`] take in the next start.
    pub fn facts(&self, visit: &mut dyn FnMut(Fact<'_>)) {
        let mut retained = Vec::new();
        for (_, channel) in self.channels.iter() {
            let (incarnation, linked) = (channel.incarnation, channel.linked);
            visit(Fact::Channel { incarnation, name: &channel.name, linked });
            for (user, private) in channel.aliases.iter().copied() {
                visit(Fact::Moved { incarnation, user, private });
            }
            let stored = channel.retention.iter();
            retained.extend(stored.map(|(serial, each)| (serial, incarnation, each)));
        }
        retained.sort_unstable_by_key(|(serial, ..)| *serial);
        for (_, incarnation, each) in retained {
            let (record, deadline) = (&each.record, each.deadline);
            visit(Fact::Retained { incarnation, record, deadline });
        }
    }

    /// Shows every channel, then every process, and gives the totals. Cost: all channels and
    /// library handles.
    pub fn statistics(&self, visit: &mut dyn FnMut(Statistic<'_>)) -> Totals {
        for (_, channel) in self.channels.iter() {
            visit(Statistic::Channel(channel_statistics(channel)));
        }
        self.sum_up(&mut |process| visit(Statistic::Process(process)))
    }

    /// Gives the totals. Cost: all library handles.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.sum_up(&mut |_| {})
    }

    fn sum_up(&self, visit: &mut dyn FnMut(ProcessStatistics)) -> Totals {
        let mut totals = Totals {
            channels: self.channels.len() as u64,
            processes: self.processes.len() as u64,
            libraries: self.libraries.len() as u64,
            instances: self.instances.len() as u64,
            retained_events: self.ledger.retained_events,
            retained_bytes: self.ledger.retained_bytes,
            credit_events: self.ledger.credit_events,
            credit_bytes: self.ledger.credit_bytes,
            publications: self.publications,
            lost_events: self.lost_events,
            ..Totals::default()
        };
        for (key, _) in self.processes.iter() {
            let process = self.process_statistics(key);
            totals.subscriptions += process.subscriptions;
            totals.filter_bytes += process.filter_bytes;
            totals.queued_events += process.queued_events;
            totals.queued_bytes += process.queued_bytes;
            visit(process);
        }
        totals
    }

    /// Shows the channels in `slots` slots from `from` on, and says where the next page begins if
    /// there is one. Cost: `slots`.
    pub fn channels_page(
        &self,
        from: u32,
        slots: u32,
        visit: &mut dyn FnMut(ChannelStatistics<'_>),
    ) -> Option<u32> {
        let (page, next) = self.channels.page(from, slots);
        page.for_each(|(_, channel)| visit(channel_statistics(channel)));
        next
    }

    /// Shows the processes in at most `slots` slots from `from` on, of which the last ones are left
    /// to the next page when those before have as many library handles; says where that begins if
    /// there is one. Cost: `slots` and the library handles of one process.
    pub fn processes_page(
        &self,
        from: u32,
        slots: u32,
        visit: &mut dyn FnMut(ProcessStatistics),
    ) -> Option<u32> {
        let (page, next) = self.processes.page(from, slots);
        let mut libraries = 0;
        for (key, process) in page {
            if libraries >= slots as usize {
                return Some(key);
            }
            libraries += process.libraries.len();
            visit(self.process_statistics(key));
        }
        next
    }

    /// Shows what the channel of a name retains from a place on, with the time left at `now`, until
    /// `visit` has enough; it is asked again for that event then. Gives where that is, or `None` at
    /// the end.
    ///
    /// - [`Error::NotExist`]: no channel has the name.
    pub fn retained_page(
        &self,
        name: &Name,
        from: (Priority, u64),
        now: Time,
        visit: &mut dyn FnMut(&EventRecord, Span) -> bool,
    ) -> Result<Option<(Priority, u64)>, Error> {
        let channel = &self.channels[*self.names.get(name).ok_or(Error::NotExist)?];
        for (place, retained) in channel.retention.iter_from(from) {
            if !visit(&retained.record, retained.record.left(now, retained.deadline)) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn process_statistics(&self, key: u32) -> ProcessStatistics {
        let process = &self.processes[key];
        let queues = process.libraries.values().map(|library| &self.libraries[*library].queue);
        let queued =
            queues.fold((0, 0), |sum, queue| (sum.0 + queue.events(), sum.1 + queue.bytes()));
        let user = self.ledger.user(process.identity.uid);
        ProcessStatistics {
            process: ProcessKey(key),
            identity: process.identity,
            libraries: process.libraries.len() as u64,
            instances: process.instances,
            subscriptions: process.account.subscriptions,
            filter_bytes: process.account.filter_bytes,
            queued_events: queued.0,
            queued_bytes: queued.1,
            credit_events: process.account.credit_events,
            credit_bytes: process.account.credit_bytes,
            lost_events: process.lost_events,
            user_retained_events: user.map_or(0, |user| user.retained_events),
            user_retained_bytes: user.map_or(0, |user| user.retained_bytes),
        }
    }
}

fn channel_statistics(channel: &Channel) -> ChannelStatistics<'_> {
    ChannelStatistics {
        incarnation: channel.incarnation,
        name: &channel.name,
        linked: channel.linked,
        openers: channel.openers,
        publishers: channel.publishers,
        subscribers: channel.subscribers,
        publications: channel.publications,
        retained_events: channel.retention.events(),
        retained_bytes: channel.retention.bytes(),
        lost_events: channel.lost_events,
    }
}
