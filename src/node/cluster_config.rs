//! The table `[cluster]` of the configuration: which engine, and the times of the replication.

use super::cluster_travel::{self, ChannelTable, OrderingKey, RemoteKey};
use super::config::{span, within};
use crate::evt::cluster::{Settings, Travels};
use crate::evt::{Limits, Span};
use crate::transport::EngineConfig;
use serde::Deserialize;

/// Highest member number: the others are those of private daemons.
const MEMBER_MAX: u64 = 511;
/// The longest name of a service: what corosync has room for in the name of a group.
const SERVICE_BYTES_MAX: usize = 100;

/// What carries messages between the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Corosync on this host.
    Corosync,
    /// TIPC of this host's kernel.
    Tipc,
}

impl Engine {
    /// Its name, as it stands in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Corosync => "corosync",
            Self::Tipc => "tipc",
        }
    }
}

/// What a node in a cluster is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The engine.
    pub engine: Engine,
    /// The number of this node; `None`: the one that the engine gives it.
    pub member: Option<u16>,
    /// Tells apart the services of one cluster.
    pub service: String,
    /// Whether a node without quorum is no member.
    pub needs_quorum: bool,
    /// How many members there are when all are there, if that is known.
    pub members_expected: Option<usize>,
    /// How long a starting node waits for others before it serves alone.
    pub alone_after: Span,
    /// A member that has not answered for so long is gone on without.
    pub hang_time: Span,
    /// Calls without a timeout of their own are answered after so long.
    pub request_timeout: Span,
    /// The first sign of life comes so long after the last packet.
    pub beat_min: Span,
    /// Signs of life come at least so often.
    pub beat_max: Span,
    /// Bytes of events that wait for one other node.
    pub peer_queue_bytes_max: u64,
    /// How events of the channels travel.
    pub travels: Travels,
    /// How long publishers wait for a node that takes nothing, where they wait.
    pub patience: Span,
}

impl ClusterConfig {
    /// The defaults with an engine.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        let settings = Settings::new(&Limits::default());
        Self {
            engine,
            member: None,
            service: "saevt".into(),
            needs_quorum: engine == Engine::Corosync,
            members_expected: None,
            alone_after: settings.alone_after,
            hang_time: settings.hang_time,
            request_timeout: settings.request_timeout,
            beat_min: settings.beat_min,
            beat_max: settings.beat_max,
            peer_queue_bytes_max: settings.peer_queue_bytes_max,
            travels: settings.travels,
            patience: settings.patience,
        }
    }

    /// For the engine.
    #[must_use]
    pub fn engine_config(&self) -> EngineConfig {
        let service = self.service.clone();
        match self.engine {
            Engine::Corosync => EngineConfig::Corosync { service, needs_quorum: self.needs_quorum },
            Engine::Tipc => EngineConfig::Tipc { service },
        }
    }

    /// For the replication.
    #[must_use]
    pub fn settings(&self, limits: &Limits) -> Settings {
        Settings {
            members_expected: self.members_expected,
            alone_after: self.alone_after,
            hang_time: self.hang_time,
            request_timeout: self.request_timeout,
            beat_min: self.beat_min,
            beat_max: self.beat_max,
            peer_queue_bytes_max: self.peer_queue_bytes_max,
            travels: self.travels.clone(),
            patience: self.patience,
            ..Settings::new(limits)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Quorum {
    Required,
    Ignored,
}

/// The keys of the table.
pub const CLUSTER_KEYS: &[&str] = &[
    "engine",
    "member",
    "service",
    "quorum",
    "members_expected",
    "alone_after_seconds",
    "hang_seconds",
    "request_timeout_seconds",
    "beat_min_seconds",
    "beat_max_seconds",
    "peer_queue_bytes_max",
    "ordering",
    "remote",
    "patience_seconds",
    "channel",
];

/// The table as it stands in the file.
#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClusterTable {
    engine: Option<Engine>,
    member: Option<u64>,
    service: Option<String>,
    quorum: Option<Quorum>,
    members_expected: Option<u64>,
    alone_after_seconds: Option<f64>,
    hang_seconds: Option<f64>,
    request_timeout_seconds: Option<f64>,
    beat_min_seconds: Option<f64>,
    beat_max_seconds: Option<f64>,
    peer_queue_bytes_max: Option<u64>,
    ordering: Option<OrderingKey>,
    remote: Option<RemoteKey>,
    patience_seconds: Option<f64>,
    channel: Option<Vec<ChannelTable>>,
}

impl ClusterTable {
    /// What it says; `None` without an engine.
    ///
    /// # Errors
    ///
    /// One line: which key, which value, what is allowed.
    pub(super) fn read(self) -> Result<Option<ClusterConfig>, String> {
        let Some(engine) = self.engine else {
            return if self.is_empty() {
                Ok(None)
            } else {
                Err("cluster.engine is missing: use \"corosync\" or \"tipc\"".into())
            };
        };
        let mut config = ClusterConfig::new(engine);
        if let Some(member) = self.member {
            within("cluster.member", member, 0, MEMBER_MAX)?;
            config.member = Some(member as u16);
        }
        if let Some(service) = self.service {
            if !(1..=SERVICE_BYTES_MAX).contains(&service.len()) {
                return Err(format!(
                    "cluster.service = \"{service}\": use 1 to {SERVICE_BYTES_MAX} bytes"
                ));
            }
            config.service = service;
        }
        if let Some(quorum) = self.quorum {
            config.needs_quorum = quorum == Quorum::Required;
            if config.needs_quorum && engine == Engine::Tipc {
                return Err("cluster.quorum = \"required\": TIPC knows of no quorum".into());
            }
        }
        if let Some(members) = self.members_expected {
            within("cluster.members_expected", members, 1, MEMBER_MAX + 1)?;
            config.members_expected = Some(members as usize);
        }
        let times = [
            ("cluster.alone_after_seconds", self.alone_after_seconds, &mut config.alone_after),
            ("cluster.hang_seconds", self.hang_seconds, &mut config.hang_time),
            (
                "cluster.request_timeout_seconds",
                self.request_timeout_seconds,
                &mut config.request_timeout,
            ),
            ("cluster.beat_min_seconds", self.beat_min_seconds, &mut config.beat_min),
            ("cluster.beat_max_seconds", self.beat_max_seconds, &mut config.beat_max),
            ("cluster.patience_seconds", self.patience_seconds, &mut config.patience),
        ];
        for (key, seconds, into) in times {
            if let Some(seconds) = seconds {
                *into = span(key, seconds)?;
            }
        }
        if let Some(bytes) = self.peer_queue_bytes_max {
            within("cluster.peer_queue_bytes_max", bytes, 1 << 16, 1 << 32)?;
            config.peer_queue_bytes_max = bytes;
        }
        config.travels =
            cluster_travel::read(self.ordering, self.remote, self.channel.unwrap_or_default())?;
        check_times(&config)?;
        if engine == Engine::Tipc && config.member.is_none() {
            return Err(format!(
                "cluster.member is missing: TIPC has no small numbers for nodes, so use one from 0 \
                 to {MEMBER_MAX} that no other node has"
            ));
        }
        Ok(Some(config))
    }

    fn is_empty(&self) -> bool {
        let texts = [
            self.service.is_some(),
            self.quorum.is_some(),
            self.ordering.is_some(),
            self.remote.is_some(),
            self.channel.is_some(),
        ];
        let numbers = [self.member, self.members_expected, self.peer_queue_bytes_max];
        let times = [
            self.alone_after_seconds,
            self.hang_seconds,
            self.request_timeout_seconds,
            self.beat_min_seconds,
            self.beat_max_seconds,
            self.patience_seconds,
        ];
        !texts.contains(&true)
            && numbers.iter().all(Option::is_none)
            && times.iter().all(Option::is_none)
    }
}

/// Times that only make sense beside each other.
fn check_times(config: &ClusterConfig) -> Result<(), String> {
    let seconds = |span: Span| span.0 as f64 / 1e9;
    if config.beat_min == Span::ZERO || config.beat_min > config.beat_max {
        return Err(format!(
            "cluster.beat_min_seconds = {}: use more than 0, and at most cluster.beat_max_seconds \
             = {}",
            seconds(config.beat_min),
            seconds(config.beat_max)
        ));
    }
    if config.hang_time.0 < config.beat_max.0.saturating_mul(3) {
        return Err(format!(
            "cluster.hang_seconds = {}: use at least three times cluster.beat_max_seconds = {}",
            seconds(config.hang_time),
            seconds(config.beat_max)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::NamePattern;
    use crate::evt::cluster::{Ordering, Remote, Travel};
    use crate::node::config::Config;

    fn read(table: &str) -> Result<Option<ClusterConfig>, String> {
        Config::parse(&format!("[cluster]\n{table}\n")).map(|config| config.cluster)
    }

    #[test]
    fn without_an_engine_the_node_is_alone_and_a_table_without_one_is_a_mistake() {
        assert_eq!(read(""), Ok(None));
        for key in CLUSTER_KEYS.iter().filter(|key| **key != "engine") {
            let value = match *key {
                "service" => "\"x\"",
                "quorum" => "\"ignored\"",
                "ordering" => "\"total\"",
                "remote" => "\"drop\"",
                "channel" => "[{ name = \"a\" }]",
                key if key.ends_with("_seconds") => "1.0",
                _ => "77777",
            };
            let error = read(&format!("{key} = {value}")).unwrap_err();
            assert!(error.starts_with("cluster.engine is missing"), "{key}: {error}");
        }
    }

    #[test]
    fn every_key_can_be_set() {
        let text = "engine = \"corosync\"\nmember = 511\nservice = \"other\"\n\
                    quorum = \"ignored\"\nmembers_expected = 4\nalone_after_seconds = 1.5\n\
                    hang_seconds = 20.0\nrequest_timeout_seconds = 3.0\nbeat_min_seconds = 0.2\n\
                    beat_max_seconds = 2.0\npeer_queue_bytes_max = 65536\n\
                    ordering = \"total\"\nremote = \"backpressure\"\npatience_seconds = 0.5\n\
                    channel = [{ name = \"a*\", remote = \"drop\" }]\n";
        assert_eq!(text.lines().count(), CLUSTER_KEYS.len());
        let set = ClusterConfig {
            engine: Engine::Corosync,
            member: Some(511),
            service: "other".into(),
            needs_quorum: false,
            members_expected: Some(4),
            alone_after: Span(1_500_000_000),
            hang_time: Span(20_000_000_000),
            request_timeout: Span(3_000_000_000),
            beat_min: Span(200_000_000),
            beat_max: Span(2_000_000_000),
            peer_queue_bytes_max: 65_536,
            travels: Travels {
                all: Travel { ordering: Ordering::Total, remote: Remote::Backpressure },
                some: vec![(
                    NamePattern::new("a*"),
                    Travel { ordering: Ordering::Total, remote: Remote::Drop },
                )],
            },
            patience: Span(500_000_000),
        };
        assert_eq!(read(text), Ok(Some(set.clone())));
        let settings = set.settings(&Limits::default());
        assert_eq!(
            (settings.members_expected, settings.alone_after, settings.hang_time),
            (Some(4), set.alone_after, set.hang_time)
        );
        assert_eq!(
            (settings.request_timeout, settings.beat_min, settings.beat_max),
            (set.request_timeout, set.beat_min, set.beat_max)
        );
        assert_eq!(settings.peer_queue_bytes_max, 65_536);
        assert_eq!((&settings.travels, settings.patience), (&set.travels, set.patience));
        let engine = EngineConfig::Corosync { service: "other".into(), needs_quorum: false };
        assert_eq!(set.engine_config(), engine);
    }

    #[test]
    fn quorum_is_required_where_there_is_one_unless_it_is_to_be_ignored() {
        assert!(read("engine = \"corosync\"").unwrap().unwrap().needs_quorum);
        assert!(!read("engine = \"tipc\"\nmember = 1").unwrap().unwrap().needs_quorum);
        let error = read("engine = \"tipc\"\nquorum = \"required\"").unwrap_err();
        assert_eq!(error, "cluster.quorum = \"required\": TIPC knows of no quorum");
    }

    #[test]
    fn what_makes_no_sense_is_told_in_one_line() {
        let cases = [
            ("member = 512", "cluster.member = 512: use a number from 0 to 511"),
            ("", "cluster.member is missing: TIPC has no small numbers"),
            ("service = \"\"", "cluster.service = \"\": use 1 to 100 bytes"),
            ("members_expected = 0", "cluster.members_expected = 0: use a number from 1 to 512"),
            ("hang_seconds = 2.5", "cluster.hang_seconds = 2.5: use at least three times"),
            ("beat_min_seconds = 0.0", "cluster.beat_min_seconds = 0: use more than 0"),
            ("beat_min_seconds = 2.0", "cluster.beat_min_seconds = 2: use more than 0"),
            ("peer_queue_bytes_max = 9", "cluster.peer_queue_bytes_max = 9: use a number from"),
            ("channel = [{ name = \"\" }]", "cluster.channel.name = \"\": use 1 to 256 bytes"),
        ];
        for (line, expected) in cases {
            let error = read(&format!("engine = \"tipc\"\n{line}")).unwrap_err();
            assert!(error.starts_with(expected), "{line}: {error}");
        }
        assert!(read("engine = \"carrier pigeon\"").unwrap_err().contains("carrier pigeon"));
        for engine in ["corosync", "tipc"] {
            for line in [
                "ordering = \"agreed\"",
                "channel = [{ name = \"a\", ordering = \"agreed\" }]",
                "remote = \"agreed\"",
                "channel = [{ name = \"a\", remote = \"agreed\" }]",
                "channel = [{ name = \"a\", total = true }]",
                "channel = [{ ordering = \"total\" }]",
            ] {
                let text = format!("engine = \"{engine}\"\n{line}");
                let error = read(&text).expect_err(&text);
                let told = ["agreed", "total", "name"].iter().any(|word| error.contains(word));
                assert!(told, "{text}: {error}");
            }
            let total = read(&format!("engine = \"{engine}\"\nmember = 1\nordering = \"total\""));
            let travels = total.unwrap().unwrap().travels;
            assert_eq!(travels.all.ordering, Ordering::Total, "on both engines");
        }
    }
}
