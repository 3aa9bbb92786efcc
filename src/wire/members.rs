//! What a node says of its cluster.

use super::bytes::{Malformed, Reader, Writer};
use super::values::{read_flag, read_list, read_named, read_text, write_list, write_named};

/// The cluster, as one of its nodes sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// What carries messages between the nodes; empty for a node that is alone.
    pub engine: String,
    /// What the engine says of the node: `alone`, `starting`, `member` or `outside`.
    pub standing: String,
    /// Whether programs are served.
    pub serving: bool,
    /// The number of this node.
    pub member: u16,
    /// The member that gives operations their order; `None` before there is one.
    pub leader: Option<u16>,
    /// Counters by name.
    pub counters: Vec<(String, u64)>,
    /// The other nodes.
    pub members: Vec<MemberStatus>,
    /// What has changed last, the newest last: nanoseconds since the epoch, and a line.
    pub changes: Vec<(i64, String)>,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its number, and how often it has started, if it has said so.
    pub life: Option<(u16, u32)>,
    /// The engine's number of it.
    pub node: u32,
    /// How far this node is with it: `meeting`, `refused`, `session`, `member` or `silent`.
    pub relation: String,
    /// The best round trip of late in nanoseconds; `None` if there was none.
    pub round_trip_ns: Option<u64>,
    /// How long ago it answered last, in nanoseconds.
    pub silence_ns: u64,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: u64,
    /// Bytes that have come from it and wait here.
    pub held_bytes: u64,
    /// Whether all has come that it retained when it was met.
    pub complete: bool,
}

fn write_option<T>(value: Option<T>, to: &mut Writer, write: impl FnOnce(T, &mut Writer)) {
    to.u8(u8::from(value.is_some()));
    if let Some(value) = value {
        write(value, to);
    }
}

fn read_option<'a, T>(
    from: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    Ok(if read_flag(from)? { Some(read(from)?) } else { None })
}

impl ClusterStatus {
    pub(super) fn write(&self, to: &mut Writer) {
        to.octets(self.engine.as_bytes());
        to.octets(self.standing.as_bytes());
        to.u8(u8::from(self.serving));
        to.u16(self.member);
        write_option(self.leader, to, |leader, to| to.u16(leader));
        write_named(&self.counters, to);
        write_list(&self.members, to, |member, to| member.write(to));
        write_list(&self.changes, to, |(at, what), to| {
            to.i64(*at);
            to.octets(what.as_bytes());
        });
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            engine: read_text(from)?,
            standing: read_text(from)?,
            serving: read_flag(from)?,
            member: from.u16()?,
            leader: read_option(from, Reader::u16)?,
            counters: read_named(from)?,
            members: read_list(from, MemberStatus::read)?,
            changes: read_list(from, |from| Ok((from.i64()?, read_text(from)?)))?,
        })
    }
}

impl MemberStatus {
    fn write(&self, to: &mut Writer) {
        write_option(self.life, to, |(member, start), to| {
            to.u16(member);
            to.u32(start);
        });
        to.u32(self.node);
        to.octets(self.relation.as_bytes());
        write_option(self.round_trip_ns, to, |round_trip, to| to.u64(round_trip));
        to.u64(self.silence_ns);
        to.u64(self.queued_bytes);
        to.u64(self.held_bytes);
        to.u8(u8::from(self.complete));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            life: read_option(from, |from| Ok((from.u16()?, from.u32()?)))?,
            node: from.u32()?,
            relation: read_text(from)?,
            round_trip_ns: read_option(from, Reader::u64)?,
            silence_ns: from.u64()?,
            queued_bytes: from.u64()?,
            held_bytes: from.u64()?,
            complete: read_flag(from)?,
        })
    }
}

#[cfg(test)]
pub(super) fn sample() -> ClusterStatus {
    let member = MemberStatus {
        life: Some((3, 4)),
        node: 5,
        relation: "member".into(),
        round_trip_ns: Some(6),
        silence_ns: 7,
        queued_bytes: 8,
        held_bytes: 9,
        complete: true,
    };
    ClusterStatus {
        engine: "tipc".into(),
        standing: "member".into(),
        serving: true,
        member: 1,
        leader: Some(2),
        counters: vec![("channels".into(), 3)],
        members: vec![
            member.clone(),
            MemberStatus { life: None, round_trip_ns: None, complete: false, ..member },
        ],
        changes: vec![(-1, "something has changed".into())],
    }
}
