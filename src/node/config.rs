//! The daemon's configuration: a TOML file, every key optional, unknown keys refused.

use super::cluster_config::{ClusterConfig, ClusterTable};
use super::metrics::Address;
use crate::evt::{Limits, Span};
use crate::link::segment::SLOTS_MAX;
use crate::policy::{self, Policy, accounts};
use crate::wire::MESSAGE_BYTES_MAX;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Everything the daemon can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where agents connect.
    pub socket: PathBuf,
    /// The runtime directory: lock and state of this boot.
    pub state_dir: PathBuf,
    /// Bounds of the semantics.
    pub limits: Limits,
    /// Bytes of each of the four rings of a process's outbox, a power of two.
    pub outbox_bytes: usize,
    /// Bytes of each of the four rings of a library handle's window, a power of two.
    pub inbox_bytes: usize,
    /// Payloads of 64 KiB that windows can refer to instead of having them; 0: none.
    pub shared_slots: usize,
    /// How long channels that were unlinked wait for their openers after a restart.
    pub grace: Span,
    /// Leave after so long without a program; `None`: stay.
    pub idle_exit: Option<Span>,
    /// Permissions of the socket.
    pub socket_mode: u32,
    /// A private daemon: the socket of the system service, to which it moves when one is there.
    pub yields_to: Option<PathBuf>,
    /// Who may do what on which channel.
    pub policy: Policy,
    /// Where counters for Prometheus are to be had; `None`: nowhere.
    pub metrics: Option<Address>,
    /// Channels that have counters of their own there.
    pub channel_labels_max: u64,
    /// The file that this was read from, which is read again for a new policy.
    pub source: Option<PathBuf>,
    /// The cluster this node belongs to; `None`: it is alone.
    pub cluster: Option<ClusterConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/saevt/saevt.sock"),
            state_dir: PathBuf::from("/run/saevt"),
            limits: Limits::default(),
            outbox_bytes: 1 << 21,
            inbox_bytes: 1 << 21,
            shared_slots: 256,
            grace: Span(30_000_000_000),
            idle_exit: None,
            socket_mode: 0o660,
            yields_to: None,
            policy: Policy::default(),
            metrics: None,
            channel_labels_max: 100,
            source: None,
            cluster: None,
        }
    }
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    node: NodeTable,
    limits: LimitsTable,
    link: LinkTable,
    policy: Vec<policy::Table>,
    metrics: MetricsTable,
    cluster: ClusterTable,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct NodeTable {
    socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    socket_mode: Option<String>,
    grace_seconds: Option<f64>,
    idle_exit_seconds: Option<f64>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LinkTable {
    outbox_bytes: Option<u64>,
    inbox_bytes: Option<u64>,
    shared_slots: Option<u64>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MetricsTable {
    listen: Option<String>,
    channel_labels_max: Option<u64>,
}

macro_rules! limits_table {
    ($($key:ident),* $(,)?) => {
        #[derive(Debug, Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct LimitsTable {
            $($key: Option<u64>,)*
            retention_max_seconds: Option<f64>,
            channel_names_are_dns: Option<bool>,
        }

        impl LimitsTable {
            fn put_into(&self, limits: &mut Limits) {
                $(if let Some(value) = self.$key { limits.$key = value; })*
                if let Some(value) = self.channel_names_are_dns {
                    limits.channel_names_are_dns = value;
                }
            }
        }

        /// The names of the numeric limits as they stand in the file.
        pub const LIMIT_KEYS: &[&str] = &[$(stringify!($key)),*];

        /// Every limit with its key; a time in nanoseconds, and a choice as 0 or 1.
        pub(super) fn limit_values(limits: &Limits) -> Vec<(&'static str, u64)> {
            vec![
                $((stringify!($key), limits.$key),)*
                ("retention_max_ns", limits.retention_max.0),
                ("channel_names_are_dns", u64::from(limits.channel_names_are_dns)),
            ]
        }
    };
}

limits_table!(
    channels_max,
    event_bytes_max,
    pattern_bytes_max,
    patterns_max,
    queue_events_max,
    queue_bytes_max,
    retained_events_max,
    retained_bytes_max,
    retained_events_per_user_max,
    retained_bytes_per_user_max,
    processes_max,
    processes_per_user_max,
    libraries_per_process_max,
    libraries_per_user_max,
    instances_per_process_max,
    subscriptions_per_instance_max,
    filter_bytes_per_process_max,
);

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// One line: what, which value, what to do.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read configuration {shown}: {error}"))?;
        let config = Self::parse(&text).map_err(|what| format!("{shown}: {what}"))?;
        Ok(Self { source: Some(path.to_path_buf()), ..config })
    }

    /// Reads the text of a file; its errors are one line.
    ///
    /// # Errors
    ///
    /// What is wrong, which value, what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| one_line(&error, text))?;
        let mut config = Self::default();
        file.limits.put_into(&mut config.limits);
        if let Some(seconds) = file.limits.retention_max_seconds {
            config.limits.retention_max = span("limits.retention_max_seconds", seconds)?;
        }
        let node = file.node;
        config.socket = node.socket.unwrap_or(config.socket);
        config.state_dir = node.state_dir.unwrap_or(config.state_dir);
        if let Some(mode) = node.socket_mode {
            config.socket_mode =
                u32::from_str_radix(&mode, 8).ok().filter(|mode| *mode <= 0o777).ok_or(format!(
                    "node.socket_mode = \"{mode}\": use octal digits such as \"0660\""
                ))?;
        }
        if let Some(seconds) = node.grace_seconds {
            config.grace = span("node.grace_seconds", seconds)?;
        }
        if let Some(seconds) = node.idle_exit_seconds {
            config.idle_exit = Some(span("node.idle_exit_seconds", seconds)?);
        }
        if let Some(bytes) = file.link.outbox_bytes {
            config.outbox_bytes = bytes as usize;
        }
        if let Some(bytes) = file.link.inbox_bytes {
            config.inbox_bytes = bytes as usize;
        }
        if let Some(slots) = file.link.shared_slots {
            within("link.shared_slots", slots, 0, SLOTS_MAX as u64)?;
            config.shared_slots = slots as usize;
        }
        if let Some(listen) = file.metrics.listen {
            let address = Address::parse(&listen);
            config.metrics =
                Some(address.map_err(|fix| format!("metrics.listen = {listen:?}: {fix}"))?);
        }
        config.channel_labels_max =
            file.metrics.channel_labels_max.unwrap_or(config.channel_labels_max);
        config.policy = Policy::of_tables(&file.policy, &accounts::user, &accounts::group)?;
        config.cluster = file.cluster.read()?;
        config.check()?;
        Ok(config)
    }

    /// Checks what one value alone cannot show.
    fn check(&self) -> Result<(), String> {
        let limits = &self.limits;
        within("metrics.channel_labels_max", self.channel_labels_max, 0, 10_000)?;
        within("limits.pattern_bytes_max", limits.pattern_bytes_max, 1, 65_535)?;
        within("limits.patterns_max", limits.patterns_max, 1, 1024)?;
        within("limits.event_bytes_max", limits.event_bytes_max, 1, 64 << 20)?;
        within("limits.channels_max", limits.channels_max, 1, 1 << 24)?;
        within("limits.processes_max", limits.processes_max, 1, 1 << 20)?;
        within("limits.instances_per_process_max", limits.instances_per_process_max, 1, 65_536)?;
        within("limits.libraries_per_process_max", limits.libraries_per_process_max, 1, 65_536)?;
        within("limits.queue_events_max", limits.queue_events_max, 1, 1 << 32)?;
        within("limits.retained_events_max", limits.retained_events_max, 0, 1 << 32)?;
        let attributes = limits.attributes_bytes_max();
        if attributes + 1024 > MESSAGE_BYTES_MAX as u64 {
            return Err(format!(
                "limits.patterns_max = {} with limits.pattern_bytes_max = {}: their product must \
                 stay below {} bytes",
                limits.patterns_max,
                limits.pattern_bytes_max,
                MESSAGE_BYTES_MAX - 2048
            ));
        }
        let record = 128 + attributes + limits.event_bytes_max;
        for (key, bytes) in
            [("link.outbox_bytes", self.outbox_bytes), ("link.inbox_bytes", self.inbox_bytes)]
        {
            if !bytes.is_power_of_two() || bytes > 1 << 30 || (bytes as u64) < 4 * record {
                let least = (4 * record).next_power_of_two();
                return Err(format!(
                    "{key} = {bytes}: use a power of two from {least} (four events of the largest \
                     size) to 1073741824"
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn within(key: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("{key} = {value}: use a number from {least} to {most}"))
    }
}

pub(super) fn span(key: &str, seconds: f64) -> Result<Span, String> {
    if (0.0..=9.0e9).contains(&seconds) {
        Ok(Span((seconds * 1e9) as u64))
    } else {
        Err(format!("{key} = {seconds}: use seconds from 0 to 9000000000"))
    }
}

fn one_line(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
    format!("line {line}: {}", error.message().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::cluster_config::Engine;

    fn cluster_defaults() -> ClusterConfig {
        ClusterConfig { members_expected: Some(3), ..ClusterConfig::new(Engine::Corosync) }
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn the_shipped_example_shows_the_defaults() {
        let shown = include_str!("../../packaging/saevtd.conf");
        let uncommented: String = shown
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) => rest,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n");
        let config = Config::parse(&uncommented).unwrap();
        let cluster = config.cluster.clone().unwrap();
        assert_eq!(cluster, ClusterConfig { member: Some(1), ..cluster_defaults() });
        let config = Config { idle_exit: None, metrics: None, cluster: None, ..config };
        assert_eq!(config, Config::default());
    }

    #[test]
    fn every_limit_can_be_set() {
        for key in LIMIT_KEYS {
            let config = Config::parse(&format!("[limits]\n{key} = 77\n[link]\n")).unwrap();
            assert_ne!(config, Config::default(), "{key}");
        }
        let config = Config::parse("[limits]\nretention_max_seconds = 1.5\n").unwrap();
        assert_eq!(config.limits.retention_max, Span(1_500_000_000));
    }

    #[test]
    fn errors_name_the_key_the_value_and_what_is_allowed() {
        let error = Config::parse("[limits]\npattern_bytes_max = 70000\n").unwrap_err();
        assert_eq!(error, "limits.pattern_bytes_max = 70000: use a number from 1 to 65535");
        let error = Config::parse("[limits]\nchanels_max = 3\n").unwrap_err();
        assert!(error.starts_with("line 2: unknown field `chanels_max`"), "{error}");
        let error = Config::parse("[link]\ninbox_bytes = 4096\n").unwrap_err();
        assert!(error.contains("link.inbox_bytes = 4096: use a power of two from"), "{error}");
        let error = Config::parse("[link]\nshared_slots = 1025\n").unwrap_err();
        assert_eq!(error, "link.shared_slots = 1025: use a number from 0 to 1024");
        let error = Config::parse("[limits]\npatterns_max = 1000\n").unwrap_err();
        assert!(error.contains("their product"), "{error}");
    }

    #[test]
    fn events_of_a_mebibyte_need_larger_rings() {
        let text = "[limits]\nevent_bytes_max = 1048576\n";
        assert!(Config::parse(text).is_err());
        let text = format!("{text}[link]\noutbox_bytes = 8388608\ninbox_bytes = 8388608\n");
        assert!(Config::parse(&text).is_ok());
    }
}
