//! The rights of open instances, which a node may withhold and give back while they are open.
//!
//! An instance whose right to subscribe is withheld keeps its subscriptions; they match nothing.

use super::{Node, ProcessKey, Windows};
use crate::evt::subscription::Lost;
use crate::evt::{Error, Incarnation, InstanceNo, Name, OpenFlags, Time};
use std::rc::Rc;

impl Node {
    /// The flags of an open instance, with what is withheld of them.
    ///
    /// - [`Error::BadHandle`]: unknown instance.
    pub fn rights(&self, process: ProcessKey, instance: InstanceNo) -> Result<OpenFlags, Error> {
        let key = self.instance_key(process, instance).ok_or(Error::BadHandle)?;
        Ok(self.instances[key].flags)
    }

    /// Whether a linked channel has this name.
    #[must_use]
    pub fn has_name(&self, name: &Name) -> bool {
        self.names.contains_key(name)
    }

    /// The name of the channel of an open instance, or the one it had.
    ///
    /// - [`Error::BadHandle`]: unknown instance.
    pub fn name_of(&self, process: ProcessKey, instance: InstanceNo) -> Result<Name, Error> {
        let key = self.instance_key(process, instance).ok_or(Error::BadHandle)?;
        Ok(self.channels[self.instances[key].channel].name)
    }

    /// The name of the channel that [`Node::restore_instance`] would find for a process.
    ///
    /// - [`Error::NotExist`]: it would find none.
    pub fn name_to_restore(
        &self,
        process: ProcessKey,
        incarnation: Incarnation,
    ) -> Result<Name, Error> {
        let owner = self.processes.get(process.0).ok_or(Error::BadHandle)?;
        let moved = self.aliases.get(&(owner.identity.uid, incarnation));
        let channel = moved.or_else(|| self.incarnations.get(&incarnation));
        Ok(self.channels[*channel.ok_or(Error::NotExist)?].name)
    }

    /// The open instances of a process with the names of their channels. Cost: the open instances
    /// that the process has had at once.
    #[must_use]
    pub fn instances_of(&self, process: ProcessKey) -> Vec<(InstanceNo, Name, OpenFlags)> {
        let Some(owner) = self.processes.get(process.0) else { return Vec::new() };
        let open = owner.slots.iter().filter_map(|key| self.instances.get(*key));
        let shown = |instance: &super::Instance| {
            (instance.number, self.channels[instance.channel].name, instance.flags)
        };
        open.map(shown).collect()
    }

    /// Sets what an open instance may do of what it was opened for; says whether that is a change.
    /// Unknown instance: none.
    ///
    /// Who may not subscribe any more gets a lost-event and then nothing. Who may again gets a
    /// lost-event, what is retained, and all that is published from then on. If there is no memory
    /// for that, the right stays withheld. Cost: what closing the instance, or its subscriptions
    /// if they were new, would cost.
    pub fn set_rights(
        &mut self,
        process: ProcessKey,
        number: InstanceNo,
        permitted: OpenFlags,
        now: Time,
        windows: &mut dyn Windows,
    ) -> bool {
        let Some(key) = self.instance_key(process, number) else { return false };
        let before = self.instances[key].flags;
        let mut after = before.limited_to(permitted);
        if before == after {
            return false;
        }
        let gains =
            after.contains(OpenFlags::SUBSCRIBER) && !before.contains(OpenFlags::SUBSCRIBER);
        if gains && self.file_again(key).is_err() {
            after = before.limited_to(permitted - OpenFlags::SUBSCRIBER);
        }
        if before.contains(OpenFlags::SUBSCRIBER) && !after.contains(OpenFlags::SUBSCRIBER) {
            self.take_out(key, now, windows);
        }
        let instance = &mut self.instances[key];
        instance.flags = after;
        let channel = &mut self.channels[instance.channel];
        channel.leave(before);
        channel.enter(after);
        if self.clustered {
            self.gathered.touch(channel.incarnation);
        }
        // What it published last went without being judged anew.
        self.processes[process.0].route.forget();
        if after.contains(OpenFlags::SUBSCRIBER) && !before.contains(OpenFlags::SUBSCRIBER) {
            self.take_up(key, now, windows);
        }
        before != after
    }

    /// Takes the subscriptions of an instance out of the index, with what waits for them.
    fn take_out(&mut self, key: u32, now: Time, windows: &mut dyn Windows) {
        if !self.instances[key].takes_events() {
            return;
        }
        self.leave_fan_outs(key);
        let instance = &self.instances[key];
        let (channel, library) = (instance.channel, instance.library);
        let queue = &mut self.libraries[library].queue;
        self.work += 1 + queue.entries() + instance.subscriptions.len() as u64;
        queue.purge(key);
        for subscription in &instance.subscriptions {
            self.channels[channel].index.remove_instance(key, &subscription.filters);
        }
        let instance = &mut self.instances[key];
        if let Lost::Queued { previous } = instance.lost {
            // The one that waited has been dropped with the queue.
            instance.lost = previous.map_or(Lost::Idle, Lost::Sent);
        }
        self.lose(key, now, windows);
    }

    /// Puts the subscriptions of an instance into the index, all or none.
    fn file_again(&mut self, key: u32) -> Result<(), Error> {
        let instance = &self.instances[key];
        let index = &mut self.channels[instance.channel].index;
        for subscription in &instance.subscriptions {
            if let Err(error) = index.insert(key, subscription.number, &subscription.filters) {
                for filed in &instance.subscriptions {
                    index.remove_instance(key, &filed.filters);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Begins to give an instance what its subscriptions take.
    fn take_up(&mut self, key: u32, now: Time, windows: &mut dyn Windows) {
        if !self.instances[key].takes_events() {
            return;
        }
        if self.instances[key].lost == Lost::Owed {
            self.instances[key].lost = Lost::Idle;
        }
        self.lose(key, now, windows);
        let instance = &self.instances[key];
        let library = instance.library;
        let all = instance.subscriptions.iter().map(|it| (it.number, Rc::clone(&it.filters)));
        for (number, filters) in all.collect::<Vec<_>>() {
            self.work += 1;
            self.replay(key, number, &filters, 0, now);
        }
        self.drain_library(library, now, windows);
    }
}
