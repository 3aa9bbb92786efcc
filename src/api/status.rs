//! What the node says of itself: for people and tools that look after it.
//!
//! The node looks at a bounded number of entries for each request, so a list is not taken at one
//! moment: what is there all the time is in it once, and what comes or goes meanwhile may be
//! missing.

use super::connection::{Connection, channel_name};
use crate::agent;
use crate::agent::members::ClusterStatus;
use crate::agent::questions::{
    ChannelStatus, NodeStatus, Page, ProgramStatus, RetainedStatus, Topic,
};
use crate::evt::{Error, Priority};
use std::path::PathBuf;

/// Where programs of this user look for their daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlace {
    /// Its socket.
    pub socket: PathBuf,
    /// A private daemon is started there if nobody answers.
    pub is_private: bool,
}

impl ServicePlace {
    /// Finds it, by the rules of the manual page `libSaEvt(3)`. `None`: the user has no directory
    /// for a private daemon.
    #[must_use]
    pub fn find() -> Option<Self> {
        agent::service_place().map(|(socket, is_private)| Self { socket, is_private })
    }
}

impl Connection {
    /// The node this program is connected to.
    ///
    /// - [`Error::TryAgain`], [`Error::Timeout`]: as all methods here.
    pub fn node(&self) -> Result<NodeStatus, Error> {
        match self.ask(Topic::Node)? {
            Page::Node(node) => Ok(node),
            _ => Err(Error::Library),
        }
    }

    /// The cluster of the node this program is connected to, as that sees it.
    pub fn cluster(&self) -> Result<ClusterStatus, Error> {
        match self.ask(Topic::Cluster)? {
            Page::Cluster(cluster) => Ok(*cluster),
            _ => Err(Error::Library),
        }
    }

    /// All limits that the node was configured with, by their keys in `saevtd.conf(5)`; the longest
    /// retention in nanoseconds as `retention_max_ns`, and a choice as 0 or 1.
    pub fn node_limits(&self) -> Result<Vec<(String, u64)>, Error> {
        match self.ask(Topic::Limits)? {
            Page::Limits(limits) => Ok(limits),
            _ => Err(Error::Library),
        }
    }

    /// The channels, in no particular order. Those without a name that are open still are there
    /// too, by the name they had.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, SaEvtChannel.
    pub fn channels(&self) -> Result<Vec<ChannelStatus>, Error> {
        let mut channels = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let Page::Channels(page, following) = self.ask(Topic::Channels { from })? else {
                return Err(Error::Library);
            };
            channels.extend(page);
            next = following.filter(|following| *following > from);
        }
        Ok(channels)
    }

    /// The programs that are connected, this one too, in no particular order.
    pub fn programs(&self) -> Result<Vec<ProgramStatus>, Error> {
        let mut programs = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let Page::Programs(page, following) = self.ask(Topic::Programs { from })? else {
                return Err(Error::Library);
            };
            programs.extend(page);
            next = following.filter(|following| *following > from);
        }
        Ok(programs)
    }

    /// What a channel retains, without the data: the most urgent first, and of one priority the
    /// oldest.
    ///
    /// - [`Error::NotExist`]: no channel has the name, or the policy of the service does not permit
    ///   it.
    /// - [`Error::InvalidParam`]: no channel can have it.
    pub fn retained(&self, channel: impl AsRef<[u8]>) -> Result<Vec<RetainedStatus>, Error> {
        let name = channel_name(channel.as_ref())?;
        let mut events = Vec::new();
        let mut next = Some((Priority::HIGHEST, 0));
        while let Some(from) = next {
            let Page::Retained(page, following) =
                self.ask(Topic::Retained { name: Box::new(name), from })?
            else {
                return Err(Error::Library);
            };
            events.extend(page);
            next = following.filter(|following| *following > from);
        }
        Ok(events)
    }

    fn ask(&self, topic: Topic) -> Result<Page, Error> {
        agent::status(self.shared.handle, topic)
    }
}
