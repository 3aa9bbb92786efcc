//! How events of a channel travel between nodes: the keys `ordering` and `remote` of the table
//! `[cluster]`, and its tables `[[cluster.channel]]`.

use crate::evt::cluster::{Ordering, Remote, Travel, Travels};
use crate::evt::{Name, NamePattern};
use serde::Deserialize;

/// Tables of channels that are read: each is looked at when a channel is made.
const CHANNEL_TABLES_MAX: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderingKey {
    Publisher,
    Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RemoteKey {
    Drop,
    Backpressure,
}

/// A table of one channel, or of those whose names begin alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelTable {
    name: String,
    ordering: Option<OrderingKey>,
    remote: Option<RemoteKey>,
}

fn travel(beside: Travel, ordering: Option<OrderingKey>, remote: Option<RemoteKey>) -> Travel {
    Travel {
        ordering: ordering.map_or(beside.ordering, |ordering| match ordering {
            OrderingKey::Publisher => Ordering::Publisher,
            OrderingKey::Total => Ordering::Total,
        }),
        remote: remote.map_or(beside.remote, |remote| match remote {
            RemoteKey::Drop => Remote::Drop,
            RemoteKey::Backpressure => Remote::Backpressure,
        }),
    }
}

/// What the keys come to.
///
/// # Errors
///
/// One line: which key, which value, what is allowed.
pub(super) fn read(
    ordering: Option<OrderingKey>,
    remote: Option<RemoteKey>,
    channels: Vec<ChannelTable>,
) -> Result<Travels, String> {
    const MOST: usize = Name::OCTETS_MAX;
    let all = travel(Travel::default(), ordering, remote);
    if channels.len() > CHANNEL_TABLES_MAX {
        return Err(format!("cluster.channel: use at most {CHANNEL_TABLES_MAX} of these tables"));
    }
    let some = channels.into_iter().map(|table| {
        if !(1..=MOST).contains(&table.name.len()) {
            let name = table.name;
            return Err(format!("cluster.channel.name = {name:?}: use 1 to {MOST} bytes"));
        }
        let travel = travel(all, table.ordering, table.remote);
        Ok((NamePattern::new(&table.name), travel))
    });
    Ok(Travels { all, some: some.collect::<Result<_, _>>()? })
}
