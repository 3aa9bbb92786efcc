//! The policy in the daemon: every request that it is about is judged here, before anything else
//! is done for it, by what the kernel says of the program.
//!
//! What a program may not touch is as if it were not there: such a request ends with `NotExist`,
//! which is final, and which the specification has for opening, unlinking and clearing. An open
//! that is permitted in part gives the rights that are permitted, and publishing and subscribing
//! without them is `Access`.

use super::Server;
use super::client::Client;
use super::log::Level;
use super::requests::{Answer, only};
use super::status::PAGE_ENTRIES;
use super::throttle::Throttle;
use crate::evt::node::{Credit, ProcessKey};
use crate::evt::{Error, Incarnation, InstanceNo, Name, OpenFlags};
use crate::link::record::OutHeader;
use crate::policy::{Actions, Subject};
use crate::sys::socket;
use crate::wire::status::Topic;
use crate::wire::{Body, reply};
use std::os::fd::AsFd;

/// Comparisons of rules that are a unit of work.
const COMPARISONS: u64 = 16;

/// The rights of an open instance that go with actions.
const fn rights_of(actions: Actions) -> OpenFlags {
    let mut rights = OpenFlags::empty();
    if actions.contains(Actions::PUBLISH) {
        rights = rights.union(OpenFlags::PUBLISHER);
    }
    if actions.contains(Actions::SUBSCRIBE) {
        rights = rights.union(OpenFlags::SUBSCRIBER);
    }
    rights
}

/// The actions that go with rights of an open instance.
fn actions_of(rights: OpenFlags) -> Actions {
    let mut actions = Actions::empty();
    actions.set(Actions::PUBLISH, rights.contains(OpenFlags::PUBLISHER));
    actions.set(Actions::SUBSCRIBE, rights.contains(OpenFlags::SUBSCRIBER));
    actions
}

/// What has been refused to a client.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Requests, rights of an open instance, and publications.
    pub(super) number: u64,
    told: Throttle,
}

impl Server {
    /// What judging a request costs beside the request itself, in units of work.
    pub(super) fn policy_cost(&self, body: &Body) -> u64 {
        let channels = match body {
            Body::Status(Topic::Channels { .. }) => u64::from(PAGE_ENTRIES),
            _ => 1,
        };
        self.config.policy.comparisons() * channels / COMPARISONS
    }

    /// All that a client may do on a channel; with the empty name, what concerns no channel.
    pub(super) fn permitted(&self, slot: usize, channel: &Name) -> Actions {
        let policy = &self.config.policy;
        let Some(client) = self.clients[slot].as_ref() else { return Actions::empty() };
        if policy.is_empty() {
            return Actions::all();
        }
        let mut groups = vec![client.peer.gid];
        if policy.asks_for_groups() {
            // Without knowing the groups no rule can be trusted.
            match socket::peer_groups(client.control.as_fd()) {
                Ok(more) => groups.extend(more),
                Err(_) => return Actions::empty(),
            }
        }
        let who = Subject { user: client.peer.uid, groups: &groups };
        policy.permitted(who, channel.octets())
    }

    /// Judges a request, and limits the rights that it asks for to those that are permitted.
    ///
    /// - [`Error::NotExist`]: it is refused.
    /// - [`Error::BadHandle`]: it is about an open instance that does not exist.
    pub(super) fn permit(
        &mut self,
        slot: usize,
        process: ProcessKey,
        body: &mut Body,
    ) -> Result<(), Error> {
        if self.config.policy.is_empty() {
            return Ok(());
        }
        match body {
            Body::Open { flags, name, .. } => *flags = self.permit_open(slot, name, *flags)?,
            Body::RestoreInstance { incarnation, flags, .. } => {
                // By the name that the node knows; the program says none.
                let name = self.core.name_to_restore(process, *incarnation)?;
                *flags = self.permit_open(slot, &name, *flags - OpenFlags::CREATE)?;
            }
            Body::Unlink { name } => self.demand(slot, name, Actions::UNLINK)?,
            Body::RetentionClear { instance, .. } => {
                let name = self.core.name_of(process, *instance)?;
                self.demand(slot, &name, Actions::CLEAR)?;
            }
            Body::MoveChannel { name, .. } if !self.core.has_name(name) => {
                self.demand(slot, name, Actions::CREATE)?;
            }
            Body::Status(Topic::Retained { name, .. }) => {
                let seen = self.permitted(slot, name).contains(Actions::SUBSCRIBE);
                if !seen && !self.administrates(slot) {
                    return self.refuse(slot, name, Actions::SUBSCRIBE);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Judges a retained event that moves here, by the name of the channel it comes to.
    ///
    /// - [`Error::NotExist`]: it is refused.
    pub(super) fn permit_moved(
        &mut self,
        slot: usize,
        process: ProcessKey,
        private: Incarnation,
    ) -> Result<(), Error> {
        if self.config.policy.is_empty() {
            return Ok(());
        }
        let name = self.core.name_to_restore(process, private)?;
        self.demand(slot, &name, Actions::PUBLISH)
    }

    /// Whether a client may ask about what is not its own.
    pub(super) fn administrates(&self, slot: usize) -> bool {
        self.permitted(slot, &Name::EMPTY).contains(Actions::ADMINISTRATE)
    }

    fn demand(&mut self, slot: usize, channel: &Name, action: Actions) -> Result<(), Error> {
        if self.permitted(slot, channel).contains(action) {
            return Ok(());
        }
        self.refuse(slot, channel, action)
    }

    /// Counts a request that is refused, and says so in the log.
    fn refuse(&mut self, slot: usize, channel: &Name, actions: Actions) -> Result<(), Error> {
        self.note_refusal(slot, channel, actions);
        Err(Error::NotExist)
    }

    /// The flags of an open with the rights that are permitted; the others are withheld, which is
    /// told. An open that may not make a channel finds one that is there.
    fn permit_open(
        &mut self,
        slot: usize,
        name: &Name,
        flags: OpenFlags,
    ) -> Result<OpenFlags, Error> {
        let permitted = self.permitted(slot, name);
        let creates = flags.contains(OpenFlags::CREATE)
            && (flags == OpenFlags::CREATE || !self.core.has_name(name));
        let rights = actions_of(flags);
        let withheld = match creates {
            true => (rights | Actions::CREATE) - permitted,
            false => rights - permitted,
        };
        let flags = match permitted.contains(Actions::CREATE) {
            true => flags,
            false => flags - OpenFlags::CREATE,
        };
        if withheld.is_empty() {
            return Ok(flags);
        }
        if withheld.contains(Actions::CREATE) || withheld == rights {
            self.refuse(slot, name, withheld)?;
        }
        self.note_refusal(slot, name, withheld);
        self.change_rights(slot);
        Ok(flags.limited_to(rights_of(permitted)))
    }

    /// Tells a program that its rights are not what it may think.
    fn change_rights(&self, slot: usize) {
        if let Some(Client { linked: Some(linked), .. }) = &self.clients[slot] {
            linked.outbox.change_rights();
        }
    }

    /// Counts something that was refused; one line of log for each client and minute.
    fn note_refusal(&mut self, slot: usize, channel: &Name, actions: Actions) {
        self.refusals += 1;
        let Some(client) = self.clients[slot].as_mut() else { return };
        client.refusals.number += 1;
        if !client.refusals.told.admits(self.now, 1) {
            return;
        }
        let more = match client.refusals.told.take_silent() {
            0 => String::new(),
            number => format!("; refused {number} times since the last such line"),
        };
        let what = format!("may not {} on channel \"{channel}\"{more}", actions.shown());
        self.log_about(slot, Level::Warning, Some(channel), format_args!("{what}"));
    }

    /// Drops a publication on an instance that may not publish any more.
    #[inline(never)]
    pub(super) fn refuse_publication(&mut self, slot: usize, header: OutHeader) {
        let Some(client) = self.clients[slot].as_ref() else { return };
        let (process, instance) = (client.process, InstanceNo(header.instance));
        if header.retention > 0 {
            let bytes = u64::from(header.attributes_bytes) + u64::from(header.data_bytes);
            let bytes = bytes.next_multiple_of(Credit::UNIT);
            self.core.return_credit(process, Credit { events: 1, bytes });
        }
        if let Ok(name) = self.core.name_of(process, instance) {
            self.note_refusal(slot, &name, Actions::PUBLISH);
        }
    }

    /// Tells what an open instance may do of what it was opened for.
    pub(super) fn rights(&self, process: ProcessKey, instance: InstanceNo) -> Answer {
        match self.core.rights(process, instance) {
            Ok(flags) => {
                let rights = flags & OpenFlags::RIGHTS;
                (Ok(()), reply::Body::Rights { rights }, Vec::new())
            }
            Err(error) => only(Err(error)),
        }
    }

    /// Judges all open instances anew; gives how many have other rights now. Cost: all of them.
    pub(super) fn judge_again(&mut self) -> u64 {
        let mut changed = 0;
        for slot in 0..self.clients.len() {
            changed += self.judge_client(slot);
        }
        self.show_effects();
        changed
    }

    fn judge_client(&mut self, slot: usize) -> u64 {
        let Some(process) = self.clients[slot].as_ref().map(|client| client.process) else {
            return 0;
        };
        let mut changed = 0;
        for (instance, name, _) in self.core.instances_of(process) {
            let permitted = rights_of(self.permitted(slot, &name));
            let (now, inboxes) = (self.now, &mut self.inboxes);
            changed += u64::from(self.core.set_rights(process, instance, permitted, now, inboxes));
        }
        if changed > 0 {
            self.change_rights(slot);
        }
        changed
    }
}
