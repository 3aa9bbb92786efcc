//! What a node says of itself: the questions, and answers in pages.
//!
//! A page has as many entries as the node has looked at in one go, and says where the next one
//! begins. What exists all the time is in exactly one of the pages; what comes or goes meanwhile
//! may be missing.

use super::bytes::{Malformed, Reader, Writer};
use super::members::ClusterStatus;
use super::values::{
    read_flag, read_list, read_name, read_named, read_priority, read_text, write_list, write_named,
};
use crate::evt::{AttributesRef, EventId, Name, Priority, Span};

/// A place among the retained events of a channel: priority, and number in publish order.
pub type Place = (Priority, u64);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// The node as a whole.
    Node,
    /// Its limits.
    Limits,
    /// Its channels, from this entry on; 0 begins.
    Channels {
        /// Where to go on.
        from: u32,
    },
    /// The programs that are connected, from this entry on; 0 begins.
    Programs {
        /// Where to go on.
        from: u32,
    },
    /// What a channel retains, from this place on.
    Retained {
        /// The channel.
        name: Box<Name>,
        /// Where to go on.
        from: Place,
    },
    /// The cluster it belongs to.
    Cluster,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The node.
    Node(NodeStatus),
    /// Each limit with its key in the configuration.
    Limits(Vec<(String, u64)>),
    /// Channels, and where the next page begins if there is one.
    Channels(Vec<ChannelStatus>, Option<u32>),
    /// Programs, and where the next page begins if there is one.
    Programs(Vec<ProgramStatus>, Option<u32>),
    /// Retained events, and where the next page begins if there is one.
    Retained(Vec<RetainedStatus>, Option<Place>),
    /// The cluster.
    Cluster(Box<ClusterStatus>),
}

/// The node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// The version of the daemon.
    pub version: String,
    /// The version of its link.
    pub link_version: u32,
    /// Its process.
    pub pid: u32,
    /// How often the service has started.
    pub start: u32,
    /// When it started: nanoseconds since the epoch.
    pub since_ns: i64,
    /// Counters by name.
    pub counters: Vec<(String, u64)>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name, or the one that it had.
    pub name: Name,
    /// Whether the name leads to it.
    pub linked: bool,
    /// When it was made: nanoseconds since the epoch; [`ChannelStatus::UNKNOWN`] if nobody knows.
    pub created_ns: i64,
    /// Open instances.
    pub openers: u64,
    /// Those that may publish.
    pub publishers: u64,
    /// Those that may subscribe.
    pub subscribers: u64,
    /// Publications since the node started.
    pub publications: u64,
    /// Retained events.
    pub retained_events: u64,
    /// Their bytes.
    pub retained_bytes: u64,
    /// Lost-events since the node started.
    pub lost_events: u64,
}

impl ChannelStatus {
    /// A moment that nobody knows: `SA_TIME_UNKNOWN`.
    pub const UNKNOWN: i64 = i64::MIN;
}

/// A connected program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramStatus {
    /// Its process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Library handles.
    pub libraries: u64,
    /// Open instances of channels.
    pub instances: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Bytes of their filters.
    pub filter_bytes: u64,
    /// Events that wait for it in the node.
    pub queued_events: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Bytes that wait for it in memory it shares with the node.
    pub unread_bytes: u64,
    /// Events that it has published since it connected.
    pub publications: u64,
    /// Lost-events for it since it connected.
    pub lost_events: u64,
    /// What the policy has refused to it since it connected: requests, rights and publications.
    pub refusals: u64,
    /// Bytes of the memory it shares with the node. Of pages that were never used, none is taken.
    pub shared_bytes: u64,
    /// Events retained for its user.
    pub user_retained_events: u64,
    /// Their bytes.
    pub user_retained_bytes: u64,
}

/// A retained event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedStatus {
    /// Its identifier.
    pub id: EventId,
    /// Its priority.
    pub priority: Priority,
    /// When it was published: nanoseconds since the epoch.
    pub published_ns: i64,
    /// How long it is retained in all.
    pub retention: Span,
    /// How long it will be.
    pub left: Span,
    /// Bytes of its data.
    pub data_bytes: u64,
    /// Patterns and publisher name, packed; judged when they are read from a message.
    pub attributes: Vec<u8>,
}

impl RetainedStatus {
    /// What the publisher called itself.
    #[must_use]
    pub fn publisher(&self) -> &[u8] {
        self.attributes().map_or(&[], |attributes| attributes.publisher())
    }

    /// Its patterns.
    pub fn patterns(&self) -> impl Iterator<Item = &[u8]> {
        self.attributes().into_iter().flat_map(|attributes| attributes.patterns())
    }

    /// Patterns and publisher name.
    fn attributes(&self) -> Option<AttributesRef<'_>> {
        AttributesRef::parse(&self.attributes).ok()
    }
}

impl Topic {
    pub(super) fn write(&self, to: &mut Writer) {
        match self {
            Self::Node => to.u8(1),
            Self::Limits => to.u8(2),
            Self::Channels { from } => {
                to.u8(3);
                to.u32(*from);
            }
            Self::Programs { from } => {
                to.u8(4);
                to.u32(*from);
            }
            Self::Retained { name, from } => {
                to.u8(5);
                to.octets(name.octets());
                write_place(*from, to);
            }
            Self::Cluster => to.u8(6),
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.u8()? {
            1 => Self::Node,
            2 => Self::Limits,
            3 => Self::Channels { from: from.u32()? },
            4 => Self::Programs { from: from.u32()? },
            5 => Self::Retained { name: Box::new(read_name(from)?), from: read_place(from)? },
            6 => Self::Cluster,
            _ => return Err(Malformed),
        })
    }
}

impl Page {
    pub(super) fn write(&self, to: &mut Writer) {
        match self {
            Self::Node(node) => {
                to.u8(1);
                to.octets(node.version.as_bytes());
                [node.link_version, node.pid, node.start].into_iter().for_each(|word| to.u32(word));
                to.i64(node.since_ns);
                write_named(&node.counters, to);
            }
            Self::Limits(limits) => {
                to.u8(2);
                write_named(limits, to);
            }
            Self::Channels(channels, next) => {
                to.u8(3);
                write_list(channels, to, write_channel);
                write_next(*next, to, |next, to| to.u32(next));
            }
            Self::Programs(programs, next) => {
                to.u8(4);
                write_list(programs, to, write_program);
                write_next(*next, to, |next, to| to.u32(next));
            }
            Self::Retained(events, next) => {
                to.u8(5);
                write_list(events, to, write_retained);
                write_next(*next, to, write_place);
            }
            Self::Cluster(cluster) => {
                to.u8(6);
                cluster.write(to);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.u8()? {
            1 => Self::Node(NodeStatus {
                version: read_text(from)?,
                link_version: from.u32()?,
                pid: from.u32()?,
                start: from.u32()?,
                since_ns: from.i64()?,
                counters: read_named(from)?,
            }),
            2 => Self::Limits(read_named(from)?),
            3 => Self::Channels(read_list(from, read_channel)?, read_next(from, Reader::u32)?),
            4 => Self::Programs(read_list(from, read_program)?, read_next(from, Reader::u32)?),
            5 => Self::Retained(read_list(from, read_retained)?, read_next(from, read_place)?),
            6 => Self::Cluster(Box::new(ClusterStatus::read(from)?)),
            _ => return Err(Malformed),
        })
    }
}

fn write_next<T>(next: Option<T>, to: &mut Writer, write: impl Fn(T, &mut Writer)) {
    to.u8(u8::from(next.is_some()));
    if let Some(next) = next {
        write(next, to);
    }
}

fn read_next<'a, T>(
    from: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    match from.u8()? {
        0 => Ok(None),
        1 => read(from).map(Some),
        _ => Err(Malformed),
    }
}

fn write_place((priority, serial): Place, to: &mut Writer) {
    to.u8(priority.number());
    to.u64(serial);
}

fn read_place(from: &mut Reader<'_>) -> Result<Place, Malformed> {
    Ok((read_priority(from)?, from.u64()?))
}

fn write_channel(channel: &ChannelStatus, to: &mut Writer) {
    to.octets(channel.name.octets());
    to.u8(u8::from(channel.linked));
    to.i64(channel.created_ns);
    to.u64(channel.openers);
    to.u64(channel.publishers);
    to.u64(channel.subscribers);
    to.u64(channel.publications);
    to.u64(channel.retained_events);
    to.u64(channel.retained_bytes);
    to.u64(channel.lost_events);
}

fn read_channel(from: &mut Reader<'_>) -> Result<ChannelStatus, Malformed> {
    Ok(ChannelStatus {
        name: read_name(from)?,
        linked: read_flag(from)?,
        created_ns: from.i64()?,
        openers: from.u64()?,
        publishers: from.u64()?,
        subscribers: from.u64()?,
        publications: from.u64()?,
        retained_events: from.u64()?,
        retained_bytes: from.u64()?,
        lost_events: from.u64()?,
    })
}

fn write_program(program: &ProgramStatus, to: &mut Writer) {
    [program.pid, program.uid, program.gid].into_iter().for_each(|word| to.u32(word));
    to.u64(program.libraries);
    to.u64(program.instances);
    to.u64(program.subscriptions);
    to.u64(program.filter_bytes);
    to.u64(program.queued_events);
    to.u64(program.queued_bytes);
    to.u64(program.unread_bytes);
    to.u64(program.publications);
    to.u64(program.lost_events);
    to.u64(program.refusals);
    to.u64(program.shared_bytes);
    to.u64(program.user_retained_events);
    to.u64(program.user_retained_bytes);
}

fn read_program(from: &mut Reader<'_>) -> Result<ProgramStatus, Malformed> {
    Ok(ProgramStatus {
        pid: from.u32()?,
        uid: from.u32()?,
        gid: from.u32()?,
        libraries: from.u64()?,
        instances: from.u64()?,
        subscriptions: from.u64()?,
        filter_bytes: from.u64()?,
        queued_events: from.u64()?,
        queued_bytes: from.u64()?,
        unread_bytes: from.u64()?,
        publications: from.u64()?,
        lost_events: from.u64()?,
        refusals: from.u64()?,
        shared_bytes: from.u64()?,
        user_retained_events: from.u64()?,
        user_retained_bytes: from.u64()?,
    })
}

fn write_retained(event: &RetainedStatus, to: &mut Writer) {
    to.u64(event.id.0);
    to.u8(event.priority.number());
    to.i64(event.published_ns);
    to.u64(event.retention.0);
    to.u64(event.left.0);
    to.u64(event.data_bytes);
    to.octets_long(&event.attributes);
}

fn read_retained(from: &mut Reader<'_>) -> Result<RetainedStatus, Malformed> {
    let event = RetainedStatus {
        id: EventId(from.u64()?),
        priority: read_priority(from)?,
        published_ns: from.i64()?,
        retention: Span(from.u64()?),
        left: Span(from.u64()?),
        data_bytes: from.u64()?,
        attributes: from.octets_long()?.to_vec(),
    };
    event.attributes().ok_or(Malformed)?;
    Ok(event)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::evt::Attributes;

    pub(in crate::wire) fn topics() -> Vec<Topic> {
        let name = Box::new(Name::new(b"safChnl=a").unwrap());
        vec![
            Topic::Node,
            Topic::Limits,
            Topic::Channels { from: 7 },
            Topic::Programs { from: u32::MAX },
            Topic::Cluster,
            Topic::Retained { name, from: (Priority::LOWEST, 9) },
        ]
    }

    pub(in crate::wire) fn pages() -> Vec<Page> {
        let named = vec![("channels".to_owned(), 3), ("lost_events".to_owned(), u64::MAX)];
        let node = NodeStatus {
            version: "0.1.0".into(),
            link_version: 1,
            pid: 2,
            start: 3,
            since_ns: -4,
            counters: named.clone(),
        };
        let channel = ChannelStatus {
            name: Name::new(b"safChnl=a").unwrap(),
            linked: true,
            created_ns: ChannelStatus::UNKNOWN,
            openers: 1,
            publishers: 2,
            subscribers: 3,
            publications: 4,
            retained_events: 5,
            retained_bytes: 6,
            lost_events: 7,
        };
        let program = ProgramStatus {
            pid: 1,
            uid: 2,
            gid: 3,
            libraries: 4,
            instances: 5,
            subscriptions: 6,
            filter_bytes: 7,
            queued_events: 8,
            queued_bytes: 9,
            unread_bytes: 10,
            publications: 11,
            lost_events: 12,
            refusals: 16,
            shared_bytes: 13,
            user_retained_events: 14,
            user_retained_bytes: 15,
        };
        let patterns = [b"one".as_slice(), b""].into_iter();
        let event = RetainedStatus {
            id: EventId(2000),
            priority: Priority::HIGHEST,
            published_ns: 1,
            retention: Span::FOREVER,
            left: Span(3),
            data_bytes: 4,
            attributes: Attributes::pack(&channel.name, patterns).unwrap().packed().to_vec(),
        };
        vec![
            Page::Node(node),
            Page::Limits(named),
            Page::Channels(vec![channel], Some(8)),
            Page::Programs(vec![program, program], None),
            Page::Cluster(Box::new(crate::wire::members::sample())),
            Page::Retained(vec![event], Some((Priority::LOWEST, 77))),
        ]
    }

    #[test]
    fn attributes_that_are_no_block_are_no_page() {
        let Some(Page::Retained(mut events, next)) = pages().pop() else { panic!("the last one") };
        events[0].attributes.push(0);
        let mut to = Writer::default();
        Page::Retained(events, next).write(&mut to);
        assert_eq!(Page::read(&mut Reader(&to.0)), Err(Malformed));
    }
}
