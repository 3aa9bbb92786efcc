//! The byte form of what nodes say to each other.
//!
//! Little-endian, fixed-width numbers, lengths checked; a packet begins with its kind (u16), the
//! receiver's number of the session (u32) and its own number (u64). What comes from a peer is input
//! from outside like any other. A packet that is longer than the engine carries goes in pieces.

use super::bytes::{Malformed, Reader, Writer};
use super::peer_state as state;
use super::values::{self, read_flag};
use crate::evt::cluster::{
    Beat, Body, Forward, Hello, Install, Life, Op, Ordered, Packet, Place, Report, Roles, Settings,
    ViewId,
};
use crate::evt::{EventId, Incarnation, Name, Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of a later version are higher by this, for each version.
const LATER: u16 = 100;

/// A packet as bytes: in the first version that has what it says.
#[must_use]
pub fn encode(packet: &Packet) -> Vec<u8> {
    let mut bytes = head(packet.session, packet.number, &packet.body);
    bytes.extend_from_slice(&content(&packet.body));
    bytes
}

/// What a packet begins with: of one length for all, and the only part that differs between peers.
#[must_use]
pub fn head(session: u32, number: u64, body: &Body) -> Vec<u8> {
    let mut to = Writer::default();
    to.u16(kind(body) + LATER * (body.version() - 1));
    to.u32(session);
    to.u64(number);
    to.0
}

/// What follows the head of a packet.
#[must_use]
pub fn content(body: &Body) -> Vec<u8> {
    let mut to = Writer::default();
    let version = body.version();
    match body {
        Body::Hello(hello) => write_hello(hello, &mut to),
        Body::Beat(beat) => write_beat(beat, &mut to),
        Body::Propose(view) | Body::Fetch(view) => write_view(*view, &mut to),
        Body::Refuse { epoch } => to.u64(*epoch),
        Body::Report(report) => write_report(report, version, &mut to),
        Body::State(view, content) => {
            write_view(*view, &mut to);
            state::write_state(content, version, &mut to);
        }
        Body::Install(install) => write_install(install, version, &mut to),
        Body::Request { view, request, op } => {
            write_view(*view, &mut to);
            to.u64(*request);
            write_op(op, version, &mut to);
        }
        Body::Ops { view, ops } => {
            write_view(*view, &mut to);
            write_ops(ops, version, &mut to);
        }
        Body::Ack { view, number } | Body::Stable { view, number } => {
            write_view(*view, &mut to);
            to.u64(*number);
        }
        Body::Stream { view, applied, stream } => {
            write_view(*view, &mut to);
            to.u64(*applied);
            state::write_stream(stream, &mut to);
        }
    }
    to.0
}

fn kind(body: &Body) -> u16 {
    match body {
        Body::Hello(_) => 1,
        Body::Beat(_) => 2,
        Body::Propose(_) => 3,
        Body::Refuse { .. } => 4,
        Body::Report(_) => 5,
        Body::Fetch(_) => 6,
        Body::State(..) => 7,
        Body::Install(_) => 8,
        Body::Request { .. } => 9,
        Body::Ops { .. } => 10,
        Body::Ack { .. } => 11,
        Body::Stable { .. } => 12,
        Body::Stream { .. } => 13,
    }
}

/// Reads a packet.
///
/// - [`Malformed`]: anything but exactly one packet.
pub fn decode(bytes: &[u8]) -> Result<Packet, Malformed> {
    let mut from = Reader(bytes);
    let kind = from.u16()?;
    let session = from.u32()?;
    let number = from.u64()?;
    let version = kind / LATER + 1;
    if version > Settings::VERSION {
        return Err(Malformed);
    }
    let body = match kind % LATER {
        1 => Body::Hello(Box::new(read_hello(&mut from)?)),
        2 => Body::Beat(read_beat(&mut from)?),
        3 => Body::Propose(read_view(&mut from)?),
        4 => Body::Refuse { epoch: from.u64()? },
        5 => Body::Report(Box::new(read_report(&mut from, version)?)),
        6 => Body::Fetch(read_view(&mut from)?),
        7 => Body::State(read_view(&mut from)?, Box::new(state::read_state(&mut from, version)?)),
        8 => Body::Install(Box::new(read_install(&mut from, version)?)),
        9 => Body::Request {
            view: read_view(&mut from)?,
            request: from.u64()?,
            op: read_op(&mut from, version)?,
        },
        10 => Body::Ops { view: read_view(&mut from)?, ops: read_ops(&mut from, version)? },
        11 => Body::Ack { view: read_view(&mut from)?, number: from.u64()? },
        12 => Body::Stable { view: read_view(&mut from)?, number: from.u64()? },
        13 => Body::Stream {
            view: read_view(&mut from)?,
            applied: from.u64()?,
            stream: state::read_stream(&mut from)?,
        },
        _ => return Err(Malformed),
    };
    from.end()?;
    // Each packet has one form.
    if body.version() != version {
        return Err(Malformed);
    }
    Ok(Packet { session, number, body })
}

pub(super) fn write_life(life: Life, to: &mut Writer) {
    to.u16(life.member);
    to.u32(life.start);
}

pub(super) fn read_life(from: &mut Reader<'_>) -> Result<Life, Malformed> {
    judged(Life { member: from.u16()?, start: from.u32()? })
}

fn judged(life: Life) -> Result<Life, Malformed> {
    let known = life.member < EventId::PRIVATE_MEMBERS && life.start >> EventId::START_BITS == 0;
    if known && life.start > 0 { Ok(life) } else { Err(Malformed) }
}

/// Whose events are numbered: a life, or its events in total order.
pub(super) fn read_owner(from: &mut Reader<'_>) -> Result<Life, Malformed> {
    let owner = Life { member: from.u16()?, start: from.u32()? };
    judged(owner.of()).map(|_| owner)
}

pub(super) fn write_place(place: Place, to: &mut Writer) {
    write_life(place.owner, to);
    to.u64(place.number);
}

pub(super) fn read_place(from: &mut Reader<'_>) -> Result<Place, Malformed> {
    Ok(Place { owner: read_owner(from)?, number: from.u64()? })
}

fn write_view(view: ViewId, to: &mut Writer) {
    to.u64(view.epoch);
    write_life(view.leader, to);
}

fn read_view(from: &mut Reader<'_>) -> Result<ViewId, Malformed> {
    // A leader counts on from what it hears; nobody comes near this honestly.
    let epoch = from.u64()?;
    let leader = read_life(from)?;
    if epoch < u64::MAX / 2 { Ok(ViewId { epoch, leader }) } else { Err(Malformed) }
}

pub(super) fn write_have(have: &BTreeMap<Life, u64>, to: &mut Writer) {
    to.u32(have.len() as u32);
    for (life, number) in have {
        write_life(*life, to);
        to.u64(*number);
    }
}

pub(super) fn read_have(
    from: &mut Reader<'_>,
    read: fn(&mut Reader<'_>) -> Result<Life, Malformed>,
) -> Result<BTreeMap<Life, u64>, Malformed> {
    let mut have = BTreeMap::new();
    for _ in 0..from.u32()? {
        let life = read(from)?;
        if have.insert(life, from.u64()?).is_some() {
            return Err(Malformed);
        }
    }
    Ok(have)
}

fn write_beat(beat: &Beat, to: &mut Writer) {
    to.u64(beat.time.0);
    to.u8(u8::from(beat.echo.is_some()));
    let (time, held) = beat.echo.unwrap_or_default();
    to.u64(time.0);
    to.u64(held.0);
    to.u64(beat.sent);
    write_life(beat.choice, to);
    to.u64(beat.epoch);
}

fn read_beat(from: &mut Reader<'_>) -> Result<Beat, Malformed> {
    let time = Time(from.u64()?);
    let echoes = read_flag(from)?;
    let echo = (Time(from.u64()?), Span(from.u64()?));
    let (sent, choice, epoch) = (from.u64()?, read_life(from)?, from.u64()?);
    if epoch >= u64::MAX / 2 || (!echoes && echo != Default::default()) {
        return Err(Malformed);
    }
    Ok(Beat { time, echo: echoes.then_some(echo), sent, choice, epoch })
}

fn write_hello(hello: &Hello, to: &mut Writer) {
    to.u16(hello.version_min);
    to.u16(hello.version_max);
    write_life(hello.life, to);
    to.u32(hello.number);
    to.u32(hello.echo.unwrap_or(0));
    to.u64(hello.have);
    to.u32(hello.seen_start);
    hello.limits.iter().for_each(|limit| to.u64(*limit));
    write_beat(&hello.beat, to);
}

fn read_hello(from: &mut Reader<'_>) -> Result<Hello, Malformed> {
    let (version_min, version_max) = (from.u16()?, from.u16()?);
    let (life, number) = (read_life(from)?, from.u32()?);
    let echo = Some(from.u32()?).filter(|echo| *echo != 0);
    let (have, seen_start) = (from.u64()?, from.u32()?);
    let mut limits = [0; 8];
    for limit in &mut limits {
        *limit = from.u64()?;
    }
    let beat = read_beat(from)?;
    // The last start has no later one; 0 is no number of a session.
    if number == 0 || seen_start >= (1 << EventId::START_BITS) - 1 {
        return Err(Malformed);
    }
    Ok(Hello { version_min, version_max, life, number, echo, have, seen_start, limits, beat })
}

pub(super) fn write_name(name: &Name, to: &mut Writer) {
    to.octets(name.octets());
}

/// The name of a channel, which is never empty.
pub(super) fn read_name(from: &mut Reader<'_>) -> Result<Name, Malformed> {
    let name = values::read_name(from)?;
    if name.is_empty() { Err(Malformed) } else { Ok(name) }
}

pub(super) fn read_roles(from: &mut Reader<'_>) -> Result<Roles, Malformed> {
    let roles = Roles::from_bits(from.u8()?).ok_or(Malformed)?;
    if roles.contains(Roles::CREATE) { Err(Malformed) } else { Ok(roles) }
}

fn write_op(op: &Op, version: u16, to: &mut Writer) {
    match op {
        Op::Open { name, create, roles, ordered } => {
            to.u8(1);
            write_name(name, to);
            to.u8(u8::from(create.is_some()));
            to.u128(create.map_or(0, |create| create.0));
            to.u8(roles.bits());
            if version >= 2 {
                to.u8(u8::from(*ordered));
            }
        }
        Op::Unlink { name } => {
            to.u8(2);
            write_name(name, to);
        }
        Op::Clear { incarnation, id, place } => {
            to.u8(3);
            to.u128(incarnation.0);
            to.u64(id.0);
            write_place(*place, to);
        }
        Op::Roles { incarnation, roles } => {
            to.u8(4);
            to.u128(incarnation.0);
            to.u8(roles.bits());
        }
        Op::Publish { items } => {
            to.u8(5);
            state::write_items(items, to);
        }
    }
}

fn read_op(from: &mut Reader<'_>, version: u16) -> Result<Op, Malformed> {
    match from.u8()? {
        1 => {
            let (name, creates) = (read_name(from)?, read_flag(from)?);
            let (create, roles) = (Incarnation(from.u128()?), read_roles(from)?);
            let ordered = version >= 2 && read_flag(from)?;
            if !creates && (create.0 != 0 || ordered) {
                return Err(Malformed);
            }
            Ok(Op::Open { name, create: creates.then_some(create), roles, ordered })
        }
        2 => Ok(Op::Unlink { name: read_name(from)? }),
        3 => {
            let (incarnation, id) = (Incarnation(from.u128()?), EventId(from.u64()?));
            Ok(Op::Clear { incarnation, id, place: read_place(from)? })
        }
        4 => Ok(Op::Roles { incarnation: Incarnation(from.u128()?), roles: read_roles(from)? }),
        5 if version >= 2 => Ok(Op::Publish { items: state::read_items(from)? }),
        _ => Err(Malformed),
    }
}

fn write_ops(ops: &[Ordered], version: u16, to: &mut Writer) {
    to.u32(ops.len() as u32);
    for ordered in ops {
        to.u64(ordered.number);
        write_life(ordered.origin, to);
        to.u64(ordered.request);
        write_op(&ordered.op, version, to);
    }
}

fn read_ops(from: &mut Reader<'_>, version: u16) -> Result<Vec<Ordered>, Malformed> {
    let mut ops = Vec::new();
    for _ in 0..from.u32()? {
        let (number, origin, request) = (from.u64()?, read_life(from)?, from.u64()?);
        ops.push(Ordered { number, origin, request, op: read_op(from, version)? });
    }
    Ok(ops)
}

fn write_report(report: &Report, version: u16, to: &mut Writer) {
    write_view(report.view, to);
    to.u8(u8::from(report.prior.is_some()));
    write_view(report.prior.unwrap_or(report.view), to);
    for flag in [report.cold, report.empty, report.serving] {
        to.u8(u8::from(flag));
    }
    to.u64(report.applied);
    write_ops(&report.suffix, version, to);
    write_have(&report.have, to);
}

fn read_report(from: &mut Reader<'_>, version: u16) -> Result<Report, Malformed> {
    let (view, has_prior, prior) = (read_view(from)?, read_flag(from)?, read_view(from)?);
    if !has_prior && prior != view {
        return Err(Malformed);
    }
    Ok(Report {
        view,
        prior: has_prior.then_some(prior),
        cold: read_flag(from)?,
        empty: read_flag(from)?,
        serving: read_flag(from)?,
        applied: from.u64()?,
        suffix: read_ops(from, version)?,
        have: read_have(from, read_owner)?,
    })
}

fn write_install(install: &Install, version: u16, to: &mut Writer) {
    write_view(install.view, to);
    if version >= 2 {
        to.u16(install.version);
    }
    to.u8(u8::from(install.serve));
    to.u8(u8::from(install.void));
    to.u32(install.members.len() as u32);
    install.members.iter().for_each(|life| write_life(*life, to));
    to.u32(install.priors.len() as u32);
    for (life, prior) in &install.priors {
        write_life(*life, to);
        write_view(*prior, to);
    }
    to.u64(install.base);
    write_ops(&install.missing, version, to);
    to.u8(u8::from(install.directory.is_some()));
    if let Some(directory) = &install.directory {
        state::write_directory(directory, version, to);
    }
    to.u32(install.removed.len() as u32);
    install.removed.iter().for_each(|place| write_place(*place, to));
    to.u32(install.plan.len() as u32);
    for forward in &install.plan {
        write_life(forward.owner, to);
        write_life(forward.holder, to);
        write_life(forward.to, to);
        to.u64(forward.after);
    }
}

fn read_install(from: &mut Reader<'_>, form: u16) -> Result<Install, Malformed> {
    let view = read_view(from)?;
    let version = if form >= 2 { from.u16()? } else { 1 };
    let (serve, void) = (read_flag(from)?, read_flag(from)?);
    if version == 0 || version > Settings::VERSION {
        return Err(Malformed);
    }
    let mut members = BTreeSet::new();
    for _ in 0..from.u32()? {
        if !members.insert(read_life(from)?) {
            return Err(Malformed);
        }
    }
    let mut priors = BTreeMap::new();
    for _ in 0..from.u32()? {
        if priors.insert(read_life(from)?, read_view(from)?).is_some() {
            return Err(Malformed);
        }
    }
    let base = from.u64()?;
    if base == 0 {
        return Err(Malformed);
    }
    let missing = read_ops(from, form)?;
    let has_directory = read_flag(from)?;
    let directory =
        if has_directory { Some(Box::new(state::read_directory(from, form)?)) } else { None };
    let mut removed = Vec::new();
    for _ in 0..from.u32()? {
        removed.push(read_place(from)?);
    }
    let mut plan = Vec::new();
    for _ in 0..from.u32()? {
        let (owner, holder, to) = (read_owner(from)?, read_life(from)?, read_life(from)?);
        let after = from.u64()?;
        // One above it is counted.
        if after == u64::MAX {
            return Err(Malformed);
        }
        plan.push(Forward { owner, holder, to, after });
    }
    Ok(Install {
        view,
        version,
        serve,
        members,
        priors,
        base,
        missing,
        directory,
        void,
        removed,
        plan,
    })
}
