//! Events that several members are to get next, in one message.
//!
//! Engines with a multicast carry a message for several at the cost of one. The queues of members
//! that take the same channels have the same events in them, packed alike while the members are as
//! quick as each other; where one is behind, they are the same again from some packet on.

use super::message::{Body, Item, PeerKey, Stream, ViewId};
use super::{Addressed, Carried, Carry, Cluster};
use crate::evt::Time;
use std::rc::Rc;

/// The first version of the messages in which a packet may come as one of several.
const VERSION: u16 = 2;

/// Members that are to get the same next, and how many events.
type Mates = (Vec<PeerKey>, usize);

/// Whether two queues have the same event in a place.
fn is_same(one: &Item, other: &Item) -> bool {
    Rc::ptr_eq(&one.record, &other.record)
        && (one.incarnation, one.place) == (other.incarnation, other.place)
}

impl Cluster {
    /// Sends what waits, as far as the next packets of several peers are the same events.
    pub(super) fn send_together(&mut self, keys: &[PeerKey], now: Time, carry: &mut Carry<'_>) {
        for key in keys {
            self.greet(*key, now, carry);
            self.send_before_items(*key, now, carry);
        }
        while let Some((mates, number)) = self.mates() {
            if !self.send_items(&mates, number, now, carry) {
                return;
            }
            for key in mates {
                self.send_before_items(key, now, carry);
            }
        }
    }

    /// Sends what a peer is to get before the next events.
    fn send_before_items(&mut self, key: PeerKey, now: Time, carry: &mut Carry<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        while peer.next_items().is_none() && peer.send_next(key, now, carry) {}
    }

    /// Events that a peer could be sent at once.
    fn ready(&self, key: PeerKey) -> Option<(ViewId, u64, &[Item])> {
        let peer = self.peers.get(&key)?;
        let may = peer.established && !peer.blocked && peer.version >= VERSION;
        peer.next_items().filter(|_| may && peer.theirs.is_some())
    }

    /// Peers that are to get the same events next. Where less than half of a packet is the same,
    /// it is not cut: many small packets cost more than two.
    fn mates(&self) -> Option<Mates> {
        let mut all = self.peers.keys();
        while let Some(first) = all.next() {
            let Some((view, applied, items)) = self.ready(*first) else { continue };
            let (mut mates, mut number) = (vec![*first], items.len());
            for key in all.clone() {
                let Some((v, a, others)) = self.ready(*key) else { continue };
                let same = items.iter().zip(others).take_while(|(one, other)| is_same(one, other));
                let same = same.count().min(number);
                let most = items.len().max(others.len());
                if (v, a) == (view, applied) && same > 0 && 2 * same >= most {
                    (number, _) = (same, mates.push(*key));
                }
            }
            if mates.len() > 1 {
                return Some((mates, number));
            }
        }
        None
    }

    /// Sends so many events to several peers; gives whether that was possible.
    fn send_items(
        &mut self,
        mates: &[PeerKey],
        number: usize,
        now: Time,
        carry: &mut Carry<'_>,
    ) -> bool {
        let Some((view, applied, items)) = mates.first().and_then(|key| self.ready(*key)) else {
            return false;
        };
        let stream = Stream::Burst(items[..number].to_vec());
        let body = Body::Stream { view, applied, stream };
        let addressed = |key: &PeerKey| {
            let peer = self.peers.get(key)?;
            Some(Addressed { key: *key, session: peer.theirs?, number: peer.sent + 1 })
        };
        let to: Vec<Addressed> = mates.iter().filter_map(addressed).collect();
        if carry(&to, &body) != Carried::Sent {
            return false;
        }
        for key in mates {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.drop_items(number);
                peer.note_sent(now);
            }
        }
        true
    }
}
