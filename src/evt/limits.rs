//! Every bound of the semantics: its unit, its default and why it is that.

use super::time::Span;

/// The bounds an administrator may set. Each default has its reason beside it.
///
/// The first five are the limits of the contract that programs can ask for
/// (SAI-AIS-EVT-B.03.01, saEvtLimitGet()); they are constant for the life of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Channels, unlinked ones that are still open included. Beyond: `NoResources` at open.
    /// Far above the 1024 that programs may expect; a channel costs under a kilobyte.
    pub channels_max: u64,
    /// Bytes of event data. Beyond: `TooBig` at publish. What both older libraries take.
    pub event_bytes_max: u64,
    /// Bytes of one pattern or filter, at most 65535. Beyond: `TooBig`. One more than OpenSAF's.
    pub pattern_bytes_max: u64,
    /// Patterns of an event, filters of a subscription, at most 1024. Beyond: `TooBig`.
    pub patterns_max: u64,
    /// Longest retention for handles of release B.03. Beyond: `TooBig`. OpenSAF's value.
    pub retention_max: Span,
    /// Events waiting in the node for one library handle, besides its window and retained
    /// events. Beyond: overflow and a lost-event. Ten times openais' 1000.
    pub queue_events_max: u64,
    /// Bytes waiting in the node for one library handle: room for 256 events of the largest size.
    pub queue_bytes_max: u64,
    /// Retained events in all. Beyond: `NoResources` at publish.
    pub retained_events_max: u64,
    /// Bytes of retained events in all. Beyond: `NoResources` at publish.
    pub retained_bytes_max: u64,
    /// Retained events charged to one user, so that one user cannot fill the store.
    pub retained_events_per_user_max: u64,
    /// Bytes of retained events charged to one user: three quarters of all, for the same reason.
    pub retained_bytes_per_user_max: u64,
    /// Programs that are connected at once. Beyond: refused. Each costs three descriptors.
    pub processes_max: u64,
    /// Programs of one user that are connected at once, so that one user cannot keep others out.
    pub processes_per_user_max: u64,
    /// Library handles of one process. Beyond: `NoResources` at initialize.
    pub libraries_per_process_max: u64,
    /// Library handles of all processes of one user together. Beyond: `NoResources` at initialize.
    /// The daemon has a mapping and a descriptor for each; a kernel allows 65530 mappings by
    /// default, of which this is half, so that one user cannot use up what others need.
    pub libraries_per_user_max: u64,
    /// Open instances of one process. Beyond: `NoResources` at open. At most 65536, which is
    /// what a channel handle can number.
    pub instances_per_process_max: u64,
    /// Subscriptions of one open instance. Beyond: `NoResources` at subscribe.
    pub subscriptions_per_instance_max: u64,
    /// Bytes of filters of one process. Beyond: `NoResources` at subscribe.
    pub filter_bytes_per_process_max: u64,
    /// Whether handles of release B.02 and later may create only `safChnl=` names.
    pub channel_names_are_dns: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels_max: 65_536,
            event_bytes_max: 65_536,
            pattern_bytes_max: 256,
            patterns_max: 16,
            retention_max: Span(100_000_000_000_000),
            queue_events_max: 10_000,
            queue_bytes_max: 16 << 20,
            retained_events_max: 200_000,
            retained_bytes_max: 256 << 20,
            retained_events_per_user_max: 150_000,
            retained_bytes_per_user_max: 192 << 20,
            processes_max: 4096,
            processes_per_user_max: 3072,
            libraries_per_process_max: 4096,
            libraries_per_user_max: 32_768,
            instances_per_process_max: 65_536,
            subscriptions_per_instance_max: 65_536,
            filter_bytes_per_process_max: 16 << 20,
            channel_names_are_dns: true,
        }
    }
}

impl Limits {
    /// Bytes of the packed attributes of an event when everything is at its limit.
    #[must_use]
    pub fn attributes_bytes_max(&self) -> u64 {
        4 + 256 + self.patterns_max * (2 + self.pattern_bytes_max)
    }
}
