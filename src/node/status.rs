//! What the node says of itself when it is asked: one page at a time, of bounded size.

use super::Server;
use super::client::{Client, Linked};
use super::config::limit_values;
use crate::evt::node::{ChannelStatistics, ProcessStatistics};
use crate::evt::{Error, Incarnation, Name, Priority};
use crate::link::record::VERSION;
use crate::policy::Actions;
use crate::wire::status::{
    ChannelStatus, NodeStatus, Page, Place, ProgramStatus, RetainedStatus, Topic,
};
use std::collections::BTreeMap;

/// Work units of a question about the node: a page of entries is looked at and copied.
pub(super) const STATUS_COST: u64 = 512;
/// Work units of the question about the node as a whole, which looks at every library handle: a
/// whole turn.
pub(super) const TOTALS_COST: u64 = super::turn::TURN_COST;
/// Entries that are looked at for one page. With names of the longest kind, and the attributes of
/// one event beyond them, they stay below the longest message.
pub(super) const PAGE_ENTRIES: u32 = 128;
/// Bytes of attributes after which a page of retained events ends. Those of one event may be as
/// many as a message can have.
const PAGE_BYTES: usize = 32 << 10;

/// When channels were made. The core knows no clock.
pub(super) type Births = BTreeMap<Incarnation, i64>;

impl Server {
    /// Answers a question of a client about the node. Who may not administrate is told of channels
    /// on which it may publish or subscribe, and of the programs of its user.
    ///
    /// - [`Error::NotExist`]: there is no such channel.
    pub(super) fn status(&self, slot: usize, topic: &Topic) -> Result<Page, Error> {
        let all = self.administrates(slot);
        let used = Actions::PUBLISH | Actions::SUBSCRIBE;
        let user = self.clients[slot].as_ref().map(|client| client.peer.uid);
        Ok(match topic {
            Topic::Node => Page::Node(self.node_status()),
            Topic::Limits => {
                let values = limit_values(self.core.limits()).into_iter();
                Page::Limits(values.map(|(key, value)| (key.to_owned(), value)).collect())
            }
            Topic::Channels { from } => {
                let mut channels = Vec::new();
                let births = self.journal.births();
                let mut add = |channel: ChannelStatistics<'_>| {
                    if !all && !self.permitted(slot, channel.name).intersects(used) {
                        return;
                    }
                    let born = births.get(&channel.incarnation).copied();
                    channels.push(channel_status(&channel, born.unwrap_or(ChannelStatus::UNKNOWN)));
                };
                let next = self.core.channels_page(*from, PAGE_ENTRIES, &mut add);
                Page::Channels(channels, next)
            }
            Topic::Programs { from } => {
                let mut programs = Vec::new();
                let mut add = |process: ProcessStatistics| {
                    if all || Some(process.identity.uid) == user {
                        programs.push(self.program(&process));
                    }
                };
                let next = self.core.processes_page(*from, PAGE_ENTRIES, &mut add);
                Page::Programs(programs, next)
            }
            Topic::Retained { name, from } => self.retained(name, *from)?,
            Topic::Cluster => Page::Cluster(Box::new(self.cluster_status())),
        })
    }

    fn node_status(&self) -> NodeStatus {
        let totals = self.core.totals();
        let counters = [
            ("channels", totals.channels),
            ("programs", totals.processes),
            ("libraries", totals.libraries),
            ("instances", totals.instances),
            ("subscriptions", totals.subscriptions),
            ("filter_bytes", totals.filter_bytes),
            ("queued_events", totals.queued_events),
            ("queued_bytes", totals.queued_bytes),
            ("retained_events", totals.retained_events),
            ("retained_bytes", totals.retained_bytes),
            ("publications", totals.publications),
            ("lost_events", totals.lost_events),
            ("refusals", self.refusals),
        ];
        NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link_version: VERSION,
            pid: std::process::id(),
            start: self.start,
            since_ns: self.since,
            counters: counters.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        }
    }

    fn program(&self, process: &ProcessStatistics) -> ProgramStatus {
        let client = self.clients.get(process.process.0 as usize).and_then(Option::as_ref);
        let linked = client.and_then(|client: &Client| client.linked.as_ref());
        let (unread_bytes, window_bytes) = self.inboxes.bytes_of(process.process);
        let outbox_bytes = |linked: &Linked| Priority::LEVELS as u64 * linked.outbox.ring_bytes();
        ProgramStatus {
            pid: process.identity.pid,
            uid: process.identity.uid,
            gid: process.identity.gid,
            libraries: process.libraries,
            instances: process.instances,
            subscriptions: process.subscriptions,
            filter_bytes: process.filter_bytes,
            queued_events: process.queued_events,
            queued_bytes: process.queued_bytes,
            unread_bytes,
            publications: linked.map_or(0, |linked| linked.published),
            lost_events: process.lost_events,
            refusals: client.map_or(0, |client| client.refusals.number),
            shared_bytes: window_bytes + linked.map_or(0, outbox_bytes),
            user_retained_events: process.user_retained_events,
            user_retained_bytes: process.user_retained_bytes,
        }
    }

    fn retained(&self, name: &Name, from: Place) -> Result<Page, Error> {
        let mut events = Vec::new();
        let mut bytes = 0;
        let next = self.core.retained_page(name, from, self.now, &mut |record, left| {
            if events.len() == PAGE_ENTRIES as usize || bytes >= PAGE_BYTES {
                return false;
            }
            bytes += record.attributes.len();
            events.push(RetainedStatus {
                id: record.id,
                priority: record.priority,
                published_ns: record.publish_time,
                retention: record.retention,
                left,
                data_bytes: record.data.len() as u64,
                attributes: record.attributes.clone(),
            });
            true
        })?;
        Ok(Page::Retained(events, next))
    }
}

const fn channel_status(channel: &ChannelStatistics<'_>, created_ns: i64) -> ChannelStatus {
    ChannelStatus {
        name: *channel.name,
        linked: channel.linked,
        created_ns,
        openers: channel.openers,
        publishers: channel.publishers,
        subscribers: channel.subscribers,
        publications: channel.publications,
        retained_events: channel.retained_events,
        retained_bytes: channel.retained_bytes,
        lost_events: channel.lost_events,
    }
}
