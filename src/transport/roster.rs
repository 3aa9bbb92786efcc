//! Who is bound to what, and what is told of it: the part that all transports have in common.

use super::{Arrival, BINDINGS_MAX, PeerId, ServiceRange};
use std::collections::BTreeMap;
use std::io;

/// The own bindings, as they are asked for.
#[derive(Debug, Default, Clone)]
pub(super) struct Bindings(Vec<ServiceRange>);

impl Bindings {
    /// Adds a range, by the rules of [`super::Transport::bind`].
    pub(super) fn bind(&mut self, range: ServiceRange) -> io::Result<()> {
        if range.is_empty() || self.0.contains(&range) || self.0.len() == BINDINGS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.push(range);
        Ok(())
    }

    /// Takes a range away, by the rules of [`super::Transport::unbind`].
    pub(super) fn unbind(&mut self, range: ServiceRange) -> io::Result<()> {
        let position = self.0.iter().position(|bound| *bound == range);
        self.0.remove(position.ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }

    /// All of them, in the order they were bound.
    pub(super) fn ranges(&self) -> &[ServiceRange] {
        &self.0
    }
}

/// All members and their bindings as the user of the transport has heard them, and what it watches.
#[derive(Debug, Default)]
pub(super) struct Roster {
    watched: Vec<ServiceRange>,
    bound: BTreeMap<PeerId, Vec<ServiceRange>>,
}

impl Roster {
    /// Watches a range, by the rules of [`super::Transport::watch`]; gives what is to be told of
    /// those bound already.
    pub(super) fn watch(&mut self, range: ServiceRange) -> io::Result<Vec<Arrival>> {
        if range.is_empty() || self.watched.contains(&range) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let is_new = |bound: &ServiceRange| bound.overlaps(range) && !self.is_watched(*bound);
        let mut told = Vec::new();
        for (peer, ranges) in &self.bound {
            let ranges = ranges.iter().copied().filter(is_new);
            told.extend(ranges.map(|range| Arrival::Up { peer: *peer, range }));
        }
        self.watched.push(range);
        Ok(told)
    }

    fn is_watched(&self, range: ServiceRange) -> bool {
        self.watched.iter().any(|watched| watched.overlaps(range))
    }

    /// A member has bound a range.
    pub(super) fn up(&mut self, peer: PeerId, range: ServiceRange) -> Option<Arrival> {
        self.bound.entry(peer).or_default().push(range);
        self.is_watched(range).then_some(Arrival::Up { peer, range })
    }

    /// A binding has gone.
    pub(super) fn down(&mut self, peer: PeerId, range: ServiceRange) -> Option<Arrival> {
        if let Some(ranges) = self.bound.get_mut(&peer) {
            ranges.retain(|bound| *bound != range);
            if ranges.is_empty() {
                self.bound.remove(&peer);
            }
        }
        self.is_watched(range).then_some(Arrival::Down { peer, range })
    }

    /// Whether a member has a binding.
    pub(super) fn is_up(&self, peer: PeerId) -> bool {
        self.bound.contains_key(&peer)
    }

    /// The members that are bound inside a range.
    pub(super) fn takers(&self, to: ServiceRange) -> impl Iterator<Item = PeerId> {
        let is_inside = move |ranges: &Vec<ServiceRange>| ranges.iter().any(|r| r.overlaps(to));
        self.bound.iter().filter(move |(_, ranges)| is_inside(ranges)).map(|(peer, _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId { node: 1, attachment: 1 };

    #[test]
    fn one_more_range_than_the_bound_is_refused() {
        let mut bindings = Bindings::default();
        for instance in 0..BINDINGS_MAX as u32 {
            bindings.bind(ServiceRange::instance(7, instance)).unwrap();
        }
        let one_more = bindings.bind(ServiceRange::instance(7, u32::MAX)).unwrap_err();
        assert_eq!(one_more.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_binding_under_two_watches_is_told_once() {
        let mut roster = Roster::default();
        let range = ServiceRange { service_type: 7, lower: 10, upper: 20 };
        assert_eq!(roster.up(PEER, range), None);
        let told = roster.watch(ServiceRange::instance(7, 20)).unwrap();
        assert_eq!(told, [Arrival::Up { peer: PEER, range }]);
        assert_eq!(roster.watch(ServiceRange::whole(7)).unwrap(), []);
        assert_eq!(roster.down(PEER, range), Some(Arrival::Down { peer: PEER, range }));
        assert!(!roster.is_up(PEER));
    }
}
