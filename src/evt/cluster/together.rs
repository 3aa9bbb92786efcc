//! What several members are to get next, in one message.
//!
//! Engines with a multicast carry a message for several at the cost of one. The queues of members
//! that take the same channels have the same events in them, packed alike while the members are as
//! quick as each other; where one is behind, they are the same again from some packet on. What the
//! sequencer says is the same for all.

use super::message::{Body, Item, PeerKey, Stream};
use super::peer::Peer;
use super::{Addressed, Carried, Carry, Cluster};
use crate::evt::Time;
use std::rc::Rc;

/// The first version of the messages in which a packet may come as one of several.
const VERSION: u16 = 2;

/// Members that are to get the same next, and what.
type Mates = (Vec<PeerKey>, Body);

/// Whether two queues have the same event in a place.
fn is_same(one: &Item, other: &Item) -> bool {
    Rc::ptr_eq(&one.record, &other.record)
        && (one.incarnation, one.place) == (other.incarnation, other.place)
}

/// Whether a packet may be the same for several.
const fn may_be_shared(body: &Body) -> bool {
    match body {
        Body::Stream { stream, .. } => matches!(stream, Stream::Items(_)),
        Body::Ops { .. } | Body::Stable { .. } => true,
        _ => false,
    }
}

/// How many events two packets begin with that are the same, if that is at least half of both: many
/// small packets cost more than two. `None` for packets that have nothing in common.
fn in_common(one: &Body, other: &Body) -> Option<usize> {
    match (one, other) {
        (
            Body::Stream { view, applied, stream: Stream::Items(items) },
            Body::Stream { view: v, applied: a, stream: Stream::Items(others) },
        ) => {
            let same = items.iter().zip(others).take_while(|(one, other)| is_same(one, other));
            let (same, most) = (same.count(), items.len().max(others.len()));
            ((view, applied) == (v, a) && 2 * same >= most).then_some(same)
        }
        (one, other) => (one == other).then_some(0),
    }
}

impl Cluster {
    /// Sends what waits, as far as the next packets of several peers are the same.
    pub(super) fn send_together(&mut self, keys: &[PeerKey], now: Time, carry: &mut Carry<'_>) {
        for key in keys {
            self.send_own(*key, now, carry);
        }
        while let Some((mates, body)) = self.mates() {
            if !self.send_to_mates(&mates, &body, now, carry) {
                return;
            }
            for key in mates {
                self.send_own(key, now, carry);
            }
        }
    }

    /// Sends a peer what is for it alone, up to what may be for others too.
    fn send_own(&mut self, key: PeerKey, now: Time, carry: &mut Carry<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        while !peer.next().is_some_and(may_be_shared) && peer.send_next(key, now, carry) {}
    }

    /// Peers that are to get the same next.
    fn mates(&self) -> Option<Mates> {
        let ready = |peer: &Peer| peer.may_be_sent() && peer.version >= VERSION;
        let mut all = self.peers.iter().filter(|(_, peer)| ready(peer));
        while let Some((first, peer)) = all.next() {
            let Some(body) = peer.next().filter(|body| may_be_shared(body)) else { continue };
            let others = all.clone().filter_map(|(key, other)| Some((*key, other.next()?)));
            let others = others.filter_map(|(key, other)| Some((key, in_common(body, other)?)));
            let (mut mates, mut number) = (vec![*first], usize::MAX);
            for (key, common) in others {
                mates.push(key);
                number = number.min(common);
            }
            if mates.len() > 1 {
                return Some((mates, body.beginning(number)));
            }
        }
        None
    }

    /// Sends a packet to several peers; gives whether that was possible.
    fn send_to_mates(
        &mut self,
        mates: &[PeerKey],
        body: &Body,
        now: Time,
        carry: &mut Carry<'_>,
    ) -> bool {
        let addressed = |key: &PeerKey| {
            let peer = self.peers.get(key)?;
            Some(Addressed { key: *key, session: peer.theirs?, number: peer.sent + 1 })
        };
        let to: Vec<Addressed> = mates.iter().filter_map(addressed).collect();
        if carry(&to, body) != Carried::Sent {
            return false;
        }
        for peer in mates.iter() {
            if let Some(peer) = self.peers.get_mut(peer) {
                peer.drop_beginning(body);
                peer.note_sent(now);
            }
        }
        true
    }
}

impl Body {
    /// A packet that may be the same for several, with its first events alone if it has some.
    fn beginning(&self, number: usize) -> Self {
        match self {
            Self::Stream { view, applied, stream: Stream::Items(items) } => {
                let first = items[..number.min(items.len())].to_vec();
                Self::Stream { view: *view, applied: *applied, stream: Stream::Burst(first) }
            }
            other => other.clone(),
        }
    }
}
