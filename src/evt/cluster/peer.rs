//! One other member, as this node sees it.

use super::message::{Beat, Body, Forward, Item, Life, Op, PeerKey, Stream, ViewId};
use super::pressure::Pressure;
use super::{Addressed, Carried, Carry};
use crate::evt::{Incarnation, Span, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a packet without events counts for in queues.
const BODY_BYTES: u64 = 256;

/// The clock of a peer beside the own one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offset {
    /// How far the peer's clock is ahead.
    ahead: i128,
    /// The round trip of the sample it rests on, made older with each one that was worse.
    round_trip: Option<u64>,
}

impl Offset {
    /// Takes a sample: the peer's clock was `theirs`, half of `round_trip` before `now`.
    pub(super) fn sample(&mut self, theirs: Time, now: Time, round_trip: Span) {
        let best = self.round_trip.unwrap_or(u64::MAX);
        if round_trip.0 <= best {
            self.round_trip = Some(round_trip.0);
            self.ahead = i128::from(theirs.0) + i128::from(round_trip.0 / 2) - i128::from(now.0);
        } else {
            // Clocks drift: in the end a worse sample is better than an old one.
            self.round_trip = Some(best.saturating_add(best / 16 + 1));
        }
    }

    /// The round trip of the sample it rests on.
    pub(super) fn round_trip(&self) -> Option<Span> {
        self.round_trip.map(Span)
    }

    /// A moment of the peer's clock by the own one. What never comes, never comes.
    pub(super) fn convert(&self, theirs: Time) -> Time {
        if theirs == Time::MAX {
            return Time::MAX;
        }
        let own = i128::from(theirs.0) - self.ahead;
        Time(own.clamp(0, i128::from(u64::MAX - 1)) as u64)
    }
}

/// What is to be sent of the events of one life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) owner: Life,
    pub(super) next: u64,
    pub(super) upto: u64,
}

/// What a life may have missed that no stream goes to.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// What had been published on each channel when its stream ended.
    pub(super) published: BTreeMap<Incarnation, u64>,
    /// Channels of which it was sent something that it perhaps never had.
    pub(super) unsure: BTreeSet<Incarnation>,
}

/// The event stream towards a peer.
#[derive(Debug, Default)]
pub(super) struct Outflow {
    /// It has begun, in this session and view.
    pub(super) streaming: bool,
    /// The peer has been told that the past is complete.
    pub(super) caught_up: bool,
    /// The last own retained event that was queued for it.
    pub(super) cursor: u64,
    /// Own retained events up to this one come from the store.
    pub(super) until: u64,
    /// What was published while that is under way.
    pub(super) behind: VecDeque<Item>,
    pub(super) behind_bytes: u64,
    /// Channels on which events were dropped.
    pub(super) lost: BTreeSet<Incarnation>,
    /// Channels of which it was sent an event, or that it has missed some.
    pub(super) sent_on: BTreeSet<Incarnation>,
    /// Events of lives that are gone.
    pub(super) tasks: VecDeque<Task>,
}

impl Outflow {
    /// Whether what is published now has to wait behind something older.
    pub(super) fn is_catching_up(&self) -> bool {
        self.cursor < self.until
            || !self.behind.is_empty()
            || !self.lost.is_empty()
            || !self.tasks.is_empty()
            || !self.caught_up
    }
}

/// A stream's part that is heard when this node is as far as the sender was.
pub(super) type Held = (ViewId, u64, Stream);

/// Another member.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// The own number of the session.
    pub(super) number: u32,
    /// The peer's number of the session.
    pub(super) theirs: Option<u32>,
    /// The number of the peer that it was last told to be known.
    pub(super) told: Option<u32>,
    pub(super) established: bool,
    /// There has been a session with it before.
    pub(super) met: bool,
    /// It cannot be talked to, and that was said.
    pub(super) refused: bool,
    /// It has left in order.
    pub(super) left: bool,
    pub(super) life: Option<Life>,
    /// The version of the messages that is spoken with it.
    pub(super) version: u16,
    /// How far it had the own retained events when the session began.
    pub(super) has: u64,

    /// When the newest own sign of life that it has answered was sent.
    pub(super) echoed: Time,
    /// When that answer came.
    pub(super) replied: Time,
    /// Its newest clock value, and when that came.
    pub(super) clock: Option<(Time, Time)>,
    pub(super) offset: Offset,
    pub(super) choice: Option<Life>,
    /// The last view it has promised to take part in.
    pub(super) epoch: u64,

    /// Packets sent and received in the session.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) hello_due: bool,
    pub(super) beat_due: bool,
    pub(super) beat_at: Time,
    /// When the last sign of life was sent.
    pub(super) beaten: Time,
    pub(super) beat_every: Span,
    pub(super) out: VecDeque<Body>,
    pub(super) out_bytes: u64,
    /// Bytes of the events in the last packet that waits, if one more may join them.
    joinable: Option<u64>,
    /// A packet was sent since it was last looked whether a sign of life is due.
    pub(super) spoke: bool,
    pub(super) blocked: bool,
    pub(super) held: VecDeque<Held>,
    pub(super) held_bytes: u64,
    pub(super) flow: Outflow,
    /// When it last took something of what waits for it.
    pub(super) taken: Time,
    pub(super) pressure: Pressure,
    /// Channels on which it was known to publish when a view began without it.
    pub(super) published: BTreeSet<Incarnation>,
    /// It has sent all that was retained before its stream began.
    pub(super) complete: bool,
    /// For the sequencer: it has been sent the view in this session.
    pub(super) synced: bool,
}

impl Peer {
    /// Everything that belongs to a session begins anew, under another number.
    pub(super) fn restart(&mut self, number: u32, now: Time) {
        let (met, left) = (self.met || self.established, self.left);
        let (life, refused) = (self.life, self.refused);
        let blocked = self.blocked;
        *self = Self { number, met, left, life, refused, blocked, ..Self::default() };
        self.hello_due = !left;
        (self.beat_at, self.beaten) = (now, now);
        self.replied = now;
    }

    /// Queues a packet.
    pub(super) fn push(&mut self, body: Body) {
        self.joinable = None;
        self.out_bytes += weight(&body);
        self.out.push_back(body);
    }

    /// Takes back what was to be reported for a view that is proposed no more.
    pub(super) fn drop_reports(&mut self) {
        let Self { out, out_bytes, .. } = self;
        out.retain(|body| {
            let stays = !matches!(body, Body::Report(_));
            *out_bytes -= if stays { 0 } else { weight(body) };
            stays
        });
    }

    /// Queues an event, together with others that wait if they are small. An urgent one is the last
    /// of its packet, so that nothing is added that would delay it.
    pub(super) fn push_item(&mut self, view: ViewId, applied: u64, item: Item, batch_max: u64) {
        let bytes = item.bytes();
        let urgent = item.record.priority.number() == 0;
        self.flow.sent_on.insert(item.incarnation);
        let held = self.joinable.filter(|held| held + bytes <= batch_max);
        if let Some(held) = held
            && let Some(Body::Stream { view: v, applied: a, stream: Stream::Items(items) }) =
                self.out.back_mut()
            && (*v, *a) == (view, applied)
        {
            items.push(item);
            self.out_bytes += bytes;
            self.joinable = (!urgent).then_some(held + bytes);
            return;
        }
        self.push(Body::Stream { view, applied, stream: Stream::Items(vec![item]) });
        self.joinable = (!urgent).then_some(bytes);
    }

    /// The packet that is to be sent next.
    pub(super) fn next(&self) -> Option<&Body> {
        self.out.front()
    }

    /// The next packet has been sent, or the events it begins with.
    pub(super) fn drop_beginning(&mut self, sent: &Body) {
        let next = self.pop();
        if let Some(Body::Stream { view, applied, stream: Stream::Items(mut items) }) = next
            && let Body::Stream { stream: Stream::Burst(first), .. } = sent
            && first.len() < items.len()
        {
            let rest = items.split_off(first.len());
            self.put_back(Body::Stream { view, applied, stream: Stream::Items(rest) });
        }
    }

    /// Takes the next packet of the queue.
    pub(super) fn pop(&mut self) -> Option<Body> {
        let body = self.out.pop_front()?;
        self.out_bytes -= weight(&body);
        Some(body)
    }

    /// Whether it is known by which number of the session, and not known to have no room.
    pub(super) const fn may_be_sent(&self) -> bool {
        self.established && self.theirs.is_some() && !self.blocked
    }

    /// Sends the next packet, if there is one and room for it; gives whether it has.
    pub(super) fn send_next(&mut self, key: PeerKey, now: Time, carry: &mut Carry<'_>) -> bool {
        let Some(session) = self.theirs.filter(|_| self.may_be_sent()) else { return false };
        let Some(body) = self.pop() else { return false };
        let body = body.shortened(self.version);
        if carry(&[Addressed { key, session, number: self.sent + 1 }], &body) != Carried::Sent {
            self.put_back(body.lengthened());
            self.blocked = true;
            return false;
        }
        self.note_sent(now);
        true
    }

    /// A packet is on its way.
    pub(super) fn note_sent(&mut self, now: Time) {
        self.sent += 1;
        self.taken = now;
        self.spoke = true;
    }

    /// Whether something could be sent at once.
    pub(super) fn has_unsent(&self) -> bool {
        let has_packets = self.established && (self.beat_due || !self.out.is_empty());
        !self.blocked && (self.hello_due || has_packets)
    }

    /// Puts a packet back that could not be sent.
    pub(super) fn put_back(&mut self, body: Body) {
        if self.out.is_empty() {
            self.joinable = None;
        }
        self.out_bytes += weight(&body);
        self.out.push_front(body);
    }

    /// Holds part of a stream until this node is far enough.
    pub(super) fn hold(&mut self, held: Held) {
        self.held_bytes += stream_weight(&held.2);
        self.held.push_back(held);
    }

    /// Takes what was held first.
    pub(super) fn unhold(&mut self) -> Option<Held> {
        let held = self.held.pop_front()?;
        self.held_bytes -= stream_weight(&held.2);
        Some(held)
    }

    /// Notes what a sign of life says.
    pub(super) fn hear(&mut self, beat: &Beat, now: Time) {
        if let Some((sent, held)) = beat.echo
            && sent <= now
        {
            let round_trip = Span((now.0 - sent.0).saturating_sub(held.0));
            self.offset.sample(beat.time, now, round_trip);
            self.echoed = self.echoed.max(sent);
            self.replied = now;
        }
        self.clock = Some((beat.time, now));
        self.choice = Some(beat.choice);
        self.epoch = beat.epoch;
    }

    /// Forwards that this node owes the peer by the plan of a view.
    pub(super) fn owe(&mut self, forward: &Forward, upto: u64) {
        let task = Task { owner: forward.owner, next: forward.after + 1, upto };
        self.flow.tasks.push_back(task);
    }

    pub(super) fn queued(&self) -> usize {
        let flow = &self.flow;
        let owed = usize::from(self.flow.streaming && flow.is_catching_up());
        if self.established { self.out.len() + self.held.len() + owed } else { 0 }
    }
}

fn stream_weight(stream: &Stream) -> u64 {
    match stream {
        Stream::Items(items) | Stream::Burst(items) => {
            items.iter().map(Item::bytes).sum::<u64>() + BODY_BYTES
        }
        Stream::Lost(channels) => 16 * channels.len() as u64 + BODY_BYTES,
        _ => BODY_BYTES,
    }
}

fn op_weight(op: &Op) -> u64 {
    match op {
        Op::Publish { items } => items.iter().map(Item::bytes).sum(),
        _ => 0,
    }
}

fn weight(body: &Body) -> u64 {
    match body {
        Body::Stream { stream, .. } => stream_weight(stream),
        Body::Request { op, .. } => BODY_BYTES + op_weight(op),
        Body::Ops { ops, .. } => {
            BODY_BYTES + ops.iter().map(|ordered| op_weight(&ordered.op)).sum::<u64>()
        }
        _ => BODY_BYTES,
    }
}
