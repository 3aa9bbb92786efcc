//! Where a process's last publication went.
//!
//! Most programs publish one event after the other of the same kind. Then the next one needs no
//! matching: it goes the same way as long as the subscriptions of the channel are the same.

use super::publish::Source;
use super::{Fault, InstanceNo, Node, ProcessKey, Publication};
use crate::evt::SubscriptionNo;

/// Takers of a route that is remembered: more are matched anew each time, which is little beside
/// what it takes to deliver to them.
const TAKERS_MAX: usize = 256;
/// Bytes of attributes of a route that is remembered.
const ATTRIBUTES_BYTES_MAX: usize = 1024;

/// The last publication of a process, its open instance and where it went.
#[derive(Debug, Default)]
pub(super) struct Route {
    instance: Option<InstanceNo>,
    channel: u32,
    /// The state of the channel's subscriptions then.
    version: u64,
    attributes: Vec<u8>,
    takers: Vec<(u32, SubscriptionNo)>,
}

impl Route {
    /// The open instance is closed, so its number may come to mean another one.
    pub(super) const fn forget(&mut self) {
        self.instance = None;
    }
}

impl Node {
    /// Judges a publication and collects its takers in the scratch list. Gives where it comes from
    /// and the number of comparisons; `None` if the instance is unknown.
    pub(super) fn route(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
    ) -> Result<Option<(Source, u32)>, Fault> {
        if let Some(source) = self.known_route(process, publication)? {
            return Ok(Some((source, 1)));
        }
        let Some((source, attributes)) = self.judge(process, publication)? else { return Ok(None) };
        let matches = self.find_takers(source.channel, attributes);
        self.note_route(process, publication, source.channel);
        Ok(Some((source, matches)))
    }

    fn known_route(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
    ) -> Result<Option<Source>, Fault> {
        let Some(owner) = self.processes.get(process.0) else { return Ok(None) };
        let route = &owner.route;
        let same = route.instance == Some(publication.instance)
            && route.attributes == publication.attributes;
        if !same || self.channels[route.channel].index.version() != route.version {
            return Ok(None);
        }
        self.permits(owner, publication)?;
        self.publications += 1;
        self.channels[route.channel].publications += 1;
        self.scratch.takers.clear();
        self.scratch.takers.extend_from_slice(&route.takers);
        Ok(Some(Source { channel: route.channel, user: owner.identity.uid }))
    }

    /// Remembers the way of a publication, unless that takes memory that is not there.
    fn note_route(&mut self, process: ProcessKey, publication: &Publication<'_>, channel: u32) {
        let Self { processes, channels, scratch, .. } = self;
        let Some(owner) = processes.get_mut(process.0) else { return };
        let route = &mut owner.route;
        route.instance = None;
        let (attributes, takers) = (publication.attributes, &scratch.takers);
        if attributes.len() > ATTRIBUTES_BYTES_MAX || takers.len() > TAKERS_MAX {
            return;
        }
        route.attributes.clear();
        route.takers.clear();
        let room = route.attributes.try_reserve(attributes.len()).is_ok()
            && route.takers.try_reserve(takers.len()).is_ok();
        if room {
            route.attributes.extend_from_slice(attributes);
            route.takers.extend_from_slice(takers);
            route.channel = channel;
            route.version = channels[channel].index.version();
            route.instance = Some(publication.instance);
        }
    }
}
