//! What comes from the private service of a user when it moves here.
//!
//! Its channels keep their names and get new numbers; what they were called there is remembered, so
//! that programs that were connected there are restored as after a restart. Its retained events
//! keep their identifiers, which no service but the private ones of the user grants.

use super::{Change, EventRecord, Node, ProcessKey, Windows};
use crate::evt::retention::Retained;
use crate::evt::{Error, EventId, Incarnation, Name, Span, Time};
use std::rc::Rc;

/// How many private numbers of one user a channel remembers, the newest: one is used, two where the
/// user had two private services, the others let a service that comes and goes be remembered.
const ALIASES_PER_USER_MAX: usize = 8;

impl Node {
    /// Takes over a channel of the private service of a process's user: the linked channel of that
    /// name, which is created if there is none, or an unlinked one of its own. It stays until
    /// [`Node::end_grace`] at least, so that its instances can come. Again for the same channel:
    /// nothing changes.
    ///
    /// - [`Error::BadHandle`]: unknown process.
    /// - [`Error::InvalidParam`]: empty name.
    /// - [`Error::NoResources`]: `channels_max` is reached.
    /// - [`Error::NoMemory`].
    pub fn move_channel(
        &mut self,
        process: ProcessKey,
        private: Incarnation,
        name: &Name,
        linked: bool,
    ) -> Result<(), Error> {
        let user = self.processes.get(process.0).ok_or(Error::BadHandle)?.identity.uid;
        if name.is_empty() {
            return Err(Error::InvalidParam);
        }
        let before = self.aliases.get(&(user, private)).copied();
        let again = before.filter(|key| self.channels[*key].linked == linked);
        let present = if linked { self.names.get(name).copied() } else { None };
        let channel = match again.or(present) {
            Some(channel) => channel,
            None => self.make_channel(name, linked)?,
        };
        self.channels[channel].adopted = true;
        self.recovery.grace = true;
        if again.is_none() {
            self.add_alias(channel, user, private);
            let incarnation = self.channels[channel].incarnation;
            self.changes.push(Change::ChannelMoved { incarnation, user, private });
        }
        Ok(())
    }

    /// Notes what the private service of a user called a channel; the newest word counts.
    pub(super) fn add_alias(&mut self, channel: u32, user: u32, private: Incarnation) {
        let alias = (user, private);
        if let Some(before) = self.aliases.insert(alias, channel) {
            self.channels[before].aliases.retain(|known| *known != alias);
        }
        let aliases = &mut self.channels[channel].aliases;
        aliases.push(alias);
        if aliases.iter().filter(|known| known.0 == user).count() > ALIASES_PER_USER_MAX
            && let Some(oldest) = aliases.iter().position(|known| known.0 == user)
        {
            let forgotten = aliases.remove(oldest);
            self.aliases.remove(&forgotten);
        }
    }

    /// Judges an event that is to move here, and charges it to the user, as [`Node::move_retained`]
    /// will, until [`Node::release_moved`].
    ///
    /// - The errors of [`Node::move_retained`] that the channel has no part in.
    pub fn reserve_moved(
        &mut self,
        process: ProcessKey,
        record: &EventRecord,
    ) -> Result<(), Error> {
        let user = self.judge_moved(process, record)?;
        if !self.ledger.fits(&self.limits, user, record.bytes()) {
            return Err(Error::NoResources);
        }
        self.ledger.charge(Some(user), record.bytes());
        Ok(())
    }

    /// Gives the charge of [`Node::reserve_moved`] back.
    pub fn release_moved(&mut self, user: u32, record: &EventRecord) {
        self.ledger.release(Some(user), record.bytes());
    }

    /// Judges an event that is to move here; gives the user.
    fn judge_moved(&self, process: ProcessKey, record: &EventRecord) -> Result<u32, Error> {
        let user = self.processes.get(process.0).ok_or(Error::BadHandle)?.identity.uid;
        let retained = record.retention > Span::ZERO;
        if !retained || record.id.member() != EventId::private_member(user) {
            return Err(Error::InvalidParam);
        }
        record.view().ok_or(Error::InvalidParam)?.within(&self.limits)?;
        if record.data.len() as u64 > self.limits.event_bytes_max {
            return Err(Error::TooBig);
        }
        Ok(user)
    }

    /// Takes over a retained event of the private service of a process's user, on a channel that
    /// has moved, and charges it to the user. It is on its way to the subscriptions that exist with
    /// [`Node::end_move`]. An event that is here already is left as it is.
    ///
    /// - [`Error::BadHandle`]: unknown process.
    /// - [`Error::NotExist`]: the channel has not moved here.
    /// - [`Error::InvalidParam`]: attributes that are no block, no retention time, or an id that no
    ///   private service of the user grants.
    /// - [`Error::TooBig`]: beyond a limit on sizes.
    /// - [`Error::Exist`]: another event of that id is retained on the channel.
    /// - [`Error::NoResources`]: a bound on retained events is reached.
    pub fn move_retained(
        &mut self,
        process: ProcessKey,
        private: Incarnation,
        record: EventRecord,
        deadline: Time,
    ) -> Result<(), Error> {
        let user = self.judge_moved(process, &record)?;
        let channel = *self.aliases.get(&(user, private)).ok_or(Error::NotExist)?;
        if let Some(known) = self.channels[channel].retention.get(record.id) {
            return if *known == record { Ok(()) } else { Err(Error::Exist) };
        }
        if !self.ledger.fits(&self.limits, user, record.bytes()) {
            return Err(Error::NoResources);
        }
        let attributes = record.view().ok_or(Error::InvalidParam)?;
        let serial = self.retained_serial + 1;
        let arrivals = &mut self.arrivals;
        let compared = self.channels[channel].index.matches(attributes, |key, subscription| {
            arrivals.entry((key, subscription)).or_insert(serial);
        });
        self.work += u64::from(compared);
        let record = Rc::new(record);
        let incarnation = self.channels[channel].incarnation;
        self.changes.push(Change::Retained { incarnation, record: Rc::clone(&record), deadline });
        self.store(channel, Retained { record, deadline, user: Some(user) });
        Ok(())
    }

    /// Sends the retained events that came by [`Node::move_retained`] since the last call to the
    /// subscriptions that exist. Which of them an instance has had already is the agent's
    /// knowledge. To be called before anything else may change subscriptions.
    pub fn end_move(&mut self, now: Time, windows: &mut dyn Windows) {
        for ((key, number), first) in std::mem::take(&mut self.arrivals) {
            let instance = &self.instances[key];
            let Ok(at) = instance.position(number) else { continue };
            let filters = Rc::clone(&instance.subscriptions[at].filters);
            let library = instance.library;
            self.replay(key, number, &filters, first, now);
            self.drain_library(library, now, windows);
        }
    }
}
