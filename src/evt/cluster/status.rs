//! What a node knows of the others, for those who look after it.

use super::{Cluster, Life, PeerKey};
use crate::evt::{Span, Time};

/// How far a node is with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It has come, and has not been talked to yet.
    Meeting,
    /// It cannot be talked to; the log says why.
    Refused,
    /// There is a session with it.
    Session,
    /// It is a member of the same view.
    Member,
    /// It is, and has not answered for so long that it is about to be gone on without.
    Silent,
}

/// Another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// As the engine names it.
    pub key: PeerKey,
    /// Who it is, if it has said so.
    pub life: Option<Life>,
    /// How far this node is with it.
    pub relation: Relation,
    /// The best round trip of late, if there was one.
    pub round_trip: Option<Span>,
    /// How long ago it answered last.
    pub silence: Span,
    /// Bytes that wait to be sent to it, made ready or not.
    pub queued_bytes: u64,
    /// Bytes that have come from it and wait until this node is far enough.
    pub held_bytes: u64,
    /// Whether all that was retained before its stream began has come.
    pub complete: bool,
}

/// Numbers that say how a node is doing in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Channels that all members know.
    pub channels: usize,
    /// Retained events that are numbered here.
    pub retained_events: usize,
    /// Requests of programs that wait to be begun.
    pub waiting: usize,
    /// Operations this node has asked for that are not everywhere.
    pub pending: usize,
    /// The last operation applied.
    pub applied: u64,
    /// The last one that every member has applied.
    pub stable: u64,
}

impl Cluster {
    /// The other nodes, in the order of the engine's names.
    pub fn peers_status(&self, now: Time) -> impl Iterator<Item = PeerStatus> + '_ {
        self.peers.iter().map(move |(key, peer)| {
            let in_view =
                |life: Life| self.view.as_ref().is_some_and(|view| view.members.contains(&life));
            let relation = if peer.refused {
                Relation::Refused
            } else if !peer.established {
                Relation::Meeting
            } else if !peer.life.is_some_and(in_view) {
                Relation::Session
            } else if now >= peer.replied.after(Span(self.settings.hang_time.0 / 2)) {
                Relation::Silent
            } else {
                Relation::Member
            };
            PeerStatus {
                key: *key,
                life: peer.life,
                relation,
                round_trip: peer.offset.round_trip(),
                silence: Span(now.0.saturating_sub(peer.replied.0)),
                queued_bytes: peer.out_bytes + peer.flow.behind_bytes,
                held_bytes: peer.held_bytes,
                complete: peer.complete,
            }
        })
    }

    /// How this node is doing.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            channels: self.directory.entries().len(),
            retained_events: self.retained.held().len(),
            waiting: self.waiting.len(),
            pending: self.pending.len(),
            applied: self.applied,
            stable: self.stable,
        }
    }
}
