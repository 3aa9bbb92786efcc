//! The figures in the text format of OpenMetrics, which Prometheus reads, and in the older one of
//! Prometheus, which all others do.

use crate::evt::node::{ChannelStatistics, Totals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::fmt;

/// One channel.
#[derive(Debug)]
pub(super) struct ChannelFigures {
    /// Its name, escaped as for people.
    name: String,
    instances: u64,
    publishers: u64,
    subscribers: u64,
    published: u64,
    lost_events: u64,
    retained_events: u64,
    retained_bytes: u64,
}

impl ChannelFigures {
    pub(super) fn of(channel: &ChannelStatistics<'_>) -> Self {
        Self {
            name: channel.name.to_string(),
            instances: channel.openers,
            publishers: channel.publishers,
            subscribers: channel.subscribers,
            published: channel.publications,
            lost_events: channel.lost_events,
            retained_events: channel.retained_events,
            retained_bytes: channel.retained_bytes,
        }
    }
}

/// All that is told.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) start_seconds: f64,
    pub(super) totals: Totals,
    pub(super) refusals: u64,
    pub(super) skipped: u64,
    pub(super) limits: Vec<(&'static str, u64)>,
    pub(super) channels: Vec<ChannelFigures>,
}

/// Whether a figure only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

type OfChannel = (&'static str, &'static str, Kind, fn(&ChannelFigures) -> u64);

/// What is told of each channel.
const OF_CHANNELS: [OfChannel; 7] = [
    ("saevt_channel_open_instances", "Open instances of a channel", Kind::Gauge, |it| it.instances),
    ("saevt_channel_publishers", "Open instances that may publish", Kind::Gauge, |it| {
        it.publishers
    }),
    ("saevt_channel_subscribers", "Open instances that may subscribe", Kind::Gauge, |it| {
        it.subscribers
    }),
    ("saevt_channel_events_published", "Events published on a channel", Kind::Counter, |it| {
        it.published
    }),
    ("saevt_channel_lost_events", "Lost-events handed out for a channel", Kind::Counter, |it| {
        it.lost_events
    }),
    ("saevt_channel_retained_events", "Events retained on a channel", Kind::Gauge, |it| {
        it.retained_events
    }),
    ("saevt_channel_retained_bytes", "Bytes of events retained on a channel", Kind::Gauge, |it| {
        it.retained_bytes
    }),
];

impl Figures {
    /// The text.
    pub(super) fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &registry);
        text
    }

    /// What is told of the node as a whole.
    fn of_node(&self) -> [(&'static str, &'static str, Kind, u64); 16] {
        let totals = &self.totals;
        let gauge = |name, help, value| (name, help, Kind::Gauge, value);
        let counter = |name, help, value| (name, help, Kind::Counter, value);
        [
            gauge("saevt_channels", "Channels, those without a name too", totals.channels),
            gauge("saevt_programs", "Connected programs", totals.processes),
            gauge("saevt_library_handles", "Library handles", totals.libraries),
            gauge("saevt_open_instances", "Open instances of channels", totals.instances),
            gauge("saevt_subscriptions", "Subscriptions", totals.subscriptions),
            gauge("saevt_filter_bytes", "Bytes of their filters", totals.filter_bytes),
            gauge("saevt_queued_events", "Events that wait in queues", totals.queued_events),
            gauge("saevt_queued_bytes", "Bytes of events that wait in queues", totals.queued_bytes),
            gauge("saevt_retained_events", "Retained events", totals.retained_events),
            gauge("saevt_retained_bytes", "Bytes of retained events", totals.retained_bytes),
            gauge("saevt_credit_events", "Room promised for retained events", totals.credit_events),
            gauge("saevt_credit_bytes", "Bytes promised for retained events", totals.credit_bytes),
            counter("saevt_events_published", "Events published", totals.publications),
            counter("saevt_lost_events", "Lost-events handed out", totals.lost_events),
            counter("saevt_refusals", "What the policy has refused", self.refusals),
            gauge(
                "saevt_events_above_limits",
                "Events above lowered limits that connected programs have lost",
                self.skipped,
            ),
        ]
    }
}

/// A text by OpenMetrics in the older format: there a counter has the name of its samples, and
/// nothing tells the end.
pub(super) fn plain(text: &str) -> String {
    let counters: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut plain = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                plain.extend(["# ", what, " ", name, "_total ", rest]);
            }
            _ => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

/// Writes one figure; those of a family have a label.
fn write(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, kind): (&str, &str, Kind),
    values: &mut dyn Iterator<Item = (Option<(&str, &str)>, u64)>,
) -> fmt::Result {
    let gauge = |value: u64| ConstGauge::new(value);
    let counter = |value: u64| ConstCounter::new(value);
    let metric_type = match kind {
        Kind::Gauge => gauge(0).metric_type(),
        Kind::Counter => counter(0).metric_type(),
    };
    let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
    for (label, value) in values {
        let labels = label.map(|label| [label]);
        match (&labels, kind) {
            (None, Kind::Gauge) => metric.encode_gauge(&value)?,
            (None, Kind::Counter) => {
                metric.encode_counter::<[(&str, &str); 1], _, u64>(&value, None)?;
            }
            (Some(labels), Kind::Gauge) => {
                gauge(value).encode(metric.encode_family(labels)?)?;
            }
            (Some(labels), Kind::Counter) => {
                counter(value).encode(metric.encode_family(labels)?)?;
            }
        }
    }
    Ok(())
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let gauge = ConstGauge::new(0_u64).metric_type();
        let help = "The version of the daemon";
        let mut info = encoder.encode_descriptor("saevt_build_info", help, None, gauge)?;
        ConstGauge::new(1_u64).encode(info.encode_family(&version)?)?;
        let help = "When the daemon started, since the epoch";
        let mut start = encoder.encode_descriptor("saevt_start_time_seconds", help, None, gauge)?;
        start.encode_gauge(&self.start_seconds)?;
        for (name, help, kind, value) in self.of_node() {
            write(&mut encoder, (name, help, kind), &mut [(None, value)].into_iter())?;
        }
        let limits = self.limits.iter().map(|(key, value)| (Some(("limit", *key)), *value));
        let head = ("saevt_limit", "The limits in force, by their keys", Kind::Gauge);
        write(&mut encoder, head, &mut limits.into_iter())?;
        for (name, help, kind, of) in OF_CHANNELS {
            let each = |channel| (Some(("channel", name_of(channel))), of(channel));
            write(&mut encoder, (name, help, kind), &mut self.channels.iter().map(each))?;
        }
        Ok(())
    }
}

fn name_of(channel: &ChannelFigures) -> &str {
    &channel.name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evt::{Incarnation, Name};

    fn figures(names: &[&[u8]]) -> Figures {
        let names: Vec<_> = names.iter().map(|name| Name::new(name).unwrap()).collect();
        let channel = |name| ChannelStatistics {
            incarnation: Incarnation(1),
            name,
            linked: true,
            openers: 1,
            publishers: 2,
            subscribers: 3,
            publications: 4,
            retained_events: 5,
            retained_bytes: 6,
            lost_events: 7,
        };
        Figures {
            start_seconds: 1.5,
            totals: Totals { publications: 1 << 60, ..Totals::default() },
            refusals: 9,
            skipped: 0,
            limits: vec![("channels_max", u64::MAX)],
            channels: names.iter().map(|name| ChannelFigures::of(&channel(name))).collect(),
        }
    }

    #[test]
    fn figures_are_told_whole_and_by_the_conventions() {
        let text = figures(&[b"safChnl=a"]).text();
        for line in [
            "saevt_events_published_total 1152921504606846976",
            "saevt_refusals_total 9",
            "saevt_limit{limit=\"channels_max\"} 18446744073709551615",
            "saevt_channel_events_published_total{channel=\"safChnl=a\"} 4",
            "saevt_channel_retained_bytes{channel=\"safChnl=a\"} 6",
            "saevt_start_time_seconds 1.5",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_older_format_names_counters_as_their_samples() {
        let text = figures(&[b"# TYPE x counter"]).text();
        let plain = plain(&text);
        for line in [
            "# HELP saevt_events_published_total Events published",
            "# TYPE saevt_events_published_total counter",
            "saevt_events_published_total 1152921504606846976",
            "# TYPE saevt_channel_lost_events_total counter",
            "saevt_channel_lost_events_total{channel=\"# TYPE x counter\"} 7",
            "# TYPE saevt_channels gauge",
        ] {
            assert!(plain.lines().any(|told| told == line), "{line} in {plain}");
        }
        assert!(!plain.contains("EOF") && plain.ends_with('\n'));
        assert_eq!(plain.lines().count() + 1, text.lines().count());
    }

    #[test]
    fn names_cannot_break_out_of_their_label() {
        let text = figures(&[b"a\"} 1\nsaevt_evil 1\n\\\x1b[2J\xff"]).text();
        assert!(!text.lines().any(|line| line.starts_with("saevt_evil")), "{text}");
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        let label = r#"{channel="a\\\"} 1\\nsaevt_evil 1\\n\\\\\\x1b[2J\\xff"} 4"#;
        assert!(text.contains(label), "{text}");
    }
}
