//! What the log and those who ask are told of the cluster.

use super::Replication;
use crate::evt::cluster::{Notice, PeerStatus, Relation};
use crate::node::{Server, log};
use crate::sys::clock;
use crate::transport::Standing;
use crate::wire::members::{ClusterStatus, MemberStatus};

/// Changes that are remembered.
const CHANGES_MAX: usize = 32;
/// Members that are told of: all there can be, and those that are refused.
const MEMBERS_MAX: usize = 1024;

impl Server {
    /// Logs a change, and remembers it for those who ask.
    pub(super) fn note_change_of_cluster(&mut self, what: String) {
        log(format_args!("cluster: {what}"));
        if let Some(replication) = &mut self.replication {
            if replication.changes.len() == CHANGES_MAX {
                replication.changes.pop_front();
            }
            replication.changes.push_back((clock::wall(), what));
        }
    }

    /// What this node knows of its cluster.
    pub(in crate::node) fn cluster_status(&self) -> ClusterStatus {
        let Some(replication) = &self.replication else {
            return ClusterStatus {
                engine: String::new(),
                standing: "alone".into(),
                serving: true,
                member: 0,
                leader: None,
                counters: Vec::new(),
                members: Vec::new(),
                changes: Vec::new(),
            };
        };
        let Replication { cluster, standing, config, parked, changes, .. } = &**replication;
        let progress = cluster.progress();
        let counters = [
            ("channels", progress.channels as u64),
            ("retained_events", progress.retained_events as u64),
            ("requests", parked.len() as u64),
            ("operations", progress.pending as u64),
            ("applied", progress.applied),
            ("stable", progress.stable),
        ];
        ClusterStatus {
            engine: config.engine.name().into(),
            standing: match standing {
                Standing::Starting => "starting",
                Standing::Member => "member",
                Standing::Outside => "outside",
            }
            .into(),
            serving: replication.is_serving(),
            member: cluster.own().member,
            leader: cluster.view().map(|(view, _)| view.leader.member),
            counters: counters.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            members: cluster.peers_status(self.now).take(MEMBERS_MAX).map(member_status).collect(),
            changes: changes.iter().cloned().collect(),
        }
    }
}

fn member_status(peer: PeerStatus) -> MemberStatus {
    MemberStatus {
        life: peer.life.map(|life| (life.member, life.start)),
        node: peer.key.node,
        relation: match peer.relation {
            Relation::Meeting => "meeting",
            Relation::Refused => "refused",
            Relation::Session => "session",
            Relation::Member => "member",
            Relation::Silent => "silent",
        }
        .into(),
        round_trip_ns: peer.round_trip.map(|round_trip| round_trip.0),
        silence_ns: peer.silence.0,
        queued_bytes: peer.queued_bytes,
        held_bytes: peer.held_bytes,
        complete: peer.complete,
    }
}

/// A notice in words.
pub(super) fn told(notice: &Notice) -> String {
    const LIMITS: [&str; 8] = [
        "channels_max",
        "event_bytes_max",
        "pattern_bytes_max",
        "patterns_max",
        "retention_max_seconds",
        "patterns_max times pattern_bytes_max",
        "retained_events_max",
        "retained_bytes_max",
    ];
    match notice {
        Notice::Version(peer, least, most) => format!(
            "node {} speaks versions {least} to {most} only, and none of them is spoken here: it \
             is left out until it is upgraded",
            peer.node
        ),
        Notice::SameMember(peer, member) => format!(
            "node {} has member number {member} too: it is left out until one of the two has \
             another cluster.member",
            peer.node
        ),
        Notice::Limits(peer, which) => format!(
            "node {} has another limits.{}: it is left out until both have the same",
            peer.node,
            LIMITS.get(*which).copied().unwrap_or_default()
        ),
        Notice::Start(start) => {
            format!("others know a later start of this member; this is start {start} from now on")
        }
        Notice::View(view, members) => {
            format!("{members} members, led by member {}", view.leader.member)
        }
        Notice::Serving => "programs are served".into(),
        Notice::Lost(life) => {
            format!("lost sight of member {}, start {}", life.member, life.start)
        }
    }
}
