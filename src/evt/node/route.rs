//! Where a process's last publication went.
//!
//! Most programs publish one event after the other of the same kind. Then the next one needs no
//! matching: it goes the same way as long as the subscriptions of the channel are the same.

use super::publish::{Source, permits};
use super::{Fault, InstanceNo, Node, Process, ProcessKey, Publication, SubscriptionNo, Takers};

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
    takers: Takers,
}

/// Compares attributes; usual ones by their first and last bytes, which together cover them.
#[inline]
fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        8..=16 => {
            one.first_chunk::<8>() == other.first_chunk()
                && one.last_chunk::<8>() == other.last_chunk()
        }
        17..=32 => {
            one.first_chunk::<16>() == other.first_chunk()
                && one.last_chunk::<16>() == other.last_chunk()
        }
        _ => one == other,
    }
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
        if !self.follows(owner, publication)? {
            return Ok(None);
        }
        let source = Source { channel: owner.route.channel, user: owner.identity.uid };
        self.publications += 1;
        self.channels[source.channel].publications += 1;
        self.scratch.takers.clear();
        self.scratch.takers.extend_from_slice(&owner.route.takers);
        Ok(Some(source))
    }

    /// The taker of a publication that goes the way of the one before, if that had one.
    #[inline]
    pub(super) fn only_taker(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
    ) -> Result<Option<(u32, SubscriptionNo)>, Fault> {
        let Some(owner) = self.processes.get(process.0) else { return Ok(None) };
        let (&[taker], channel) = (&owner.route.takers[..], owner.route.channel) else {
            return Ok(None);
        };
        if !self.follows(owner, publication)? {
            return Ok(None);
        }
        let channel = &mut self.channels[channel];
        if channel.remote {
            // Other nodes get it too.
            return Ok(None);
        }
        self.publications += 1;
        channel.publications += 1;
        Ok(Some(taker))
    }

    /// Whether a publication goes the way of the one before; then it has been judged. Counting it
    /// is left to the caller.
    #[inline]
    fn follows(&self, owner: &Process, publication: &Publication<'_>) -> Result<bool, Fault> {
        let route = &owner.route;
        let same = route.instance == Some(publication.instance)
            && are_same(&route.attributes, publication.attributes);
        if !same || self.channels[route.channel].index.version() != route.version {
            return Ok(false);
        }
        permits(&self.limits, owner, publication)?;
        Ok(true)
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
