//! Processes, library handles, channels and open instances: coming and going.

use super::route::Route;
use super::{
    Account, Change, Channel, Identity, Library, NO_INSTANCE, Node, Process, ProcessKey, Queue,
    Target,
};
use crate::evt::subscription::{Instance, Lost};
use crate::evt::{Error, Incarnation, InstanceNo, LibraryNo, Name, OpenFlags};
use std::collections::BTreeMap;

impl Node {
    /// Takes a process in.
    ///
    /// - [`Error::NoResources`]: `processes_max` are connected.
    /// - [`Error::NoMemory`].
    pub fn connect(&mut self, identity: Identity) -> Result<ProcessKey, Error> {
        let of_user = |(_, process): &(u32, &Process)| process.identity.uid == identity.uid;
        let held = self.processes.iter().filter(of_user).count() as u64;
        let full = self.processes.len() as u64 >= self.limits.processes_max
            || held >= self.limits.processes_per_user_max;
        if full {
            return Err(Error::NoResources);
        }
        let process = Process {
            identity,
            libraries: BTreeMap::new(),
            slots: Vec::new(),
            instances: 0,
            account: Account::default(),
            lost_events: 0,
            route: Route::default(),
        };
        self.processes.insert(process).map(ProcessKey)
    }

    /// Lets a process go: closes everything below it and gives back all it was charged. What it
    /// retained stays.
    pub fn disconnect(&mut self, process: ProcessKey) {
        let Some(leaving) = self.processes.get(process.0) else { return };
        let libraries: Vec<_> = leaving.libraries.keys().copied().collect();
        for library in libraries {
            self.library_close(process, library);
        }
        self.leave_fan_out(process);
        let Some(mut gone) = self.processes.remove(process.0) else { return };
        let account = &mut gone.account;
        debug_assert_eq!((account.subscriptions, account.filter_bytes, gone.instances), (0, 0, 0));
        self.ledger.take_back(gone.identity.uid, account, u64::MAX, u64::MAX);
        for block in gone.account.blocks() {
            self.numbers.forget(gone.identity.uid, *block);
        }
    }

    /// Makes a library handle with its queue.
    ///
    /// - [`Error::BadHandle`]: unknown process.
    /// - [`Error::InvalidParam`]: the number is in use.
    /// - [`Error::NoResources`]: the process has `libraries_per_process_max`, or all processes of
    ///   its user together have `libraries_per_user_max`.
    /// - [`Error::NoMemory`].
    pub fn library_open(&mut self, process: ProcessKey, library: LibraryNo) -> Result<(), Error> {
        let owner = self.processes.get_mut(process.0).ok_or(Error::BadHandle)?;
        if owner.libraries.contains_key(&library) {
            return Err(Error::InvalidParam);
        }
        let user = owner.identity.uid;
        if owner.libraries.len() as u64 >= self.limits.libraries_per_process_max
            || self.ledger.libraries(user) >= self.limits.libraries_per_user_max
        {
            return Err(Error::NoResources);
        }
        let target = Target { process, library };
        let queue = Queue::default();
        let made = Library { target, queue, backlog: 0, instances: Vec::new() };
        owner.libraries.insert(library, self.libraries.insert(made)?);
        self.ledger.open_library(user);
        Ok(())
    }

    /// Ends a library handle: closes its instances, drops its queue. Unknown: ignored.
    pub fn library_close(&mut self, process: ProcessKey, library: LibraryNo) {
        let Some(owner) = self.processes.get_mut(process.0) else { return };
        let Some(key) = owner.libraries.remove(&library) else { return };
        self.ledger.close_library(owner.identity.uid);
        // With the queue gone, closing the instances has nothing to search.
        self.libraries[key].queue = Queue::default();
        while let Some(instance) = self.libraries[key].instances.last() {
            self.close(*instance);
        }
        self.libraries.remove(key);
    }

    /// Opens a channel, and creates it if that is wanted and no linked one has the name.
    ///
    /// `names_are_dns`: the handle is of release B.02 or later, which may create only names that
    /// begin with `safChnl=` (unless the limit of that name is off).
    ///
    /// - [`Error::InvalidParam`]: empty name, a name that may not be created, instance number in
    ///   use.
    /// - [`Error::BadFlags`]: no flag.
    /// - [`Error::BadHandle`]: unknown process or library handle.
    /// - [`Error::NotExist`]: no linked channel of the name, and not to be created.
    /// - [`Error::NoResources`]: `channels_max` or `instances_per_process_max` is reached.
    /// - [`Error::NoMemory`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtChannelOpen().
    pub fn channel_open(
        &mut self,
        process: ProcessKey,
        library: LibraryNo,
        instance: InstanceNo,
        name: &Name,
        flags: OpenFlags,
        names_are_dns: bool,
    ) -> Result<Incarnation, Error> {
        let library = self.judge_open((process, library, instance), name, flags, names_are_dns)?;
        let linked = self.names.get(name).copied();
        let channel = match linked {
            Some(channel) => channel,
            None if !flags.contains(OpenFlags::CREATE) => return Err(Error::NotExist),
            None => self.create(name)?,
        };
        let incarnation = self.channels[channel].incarnation;
        if let Err(error) = self.enter(process, library, instance, channel, flags, None) {
            if linked.is_none() {
                self.unlink(channel);
            }
            return Err(error);
        }
        Ok(incarnation)
    }

    /// Judges an open by all but the channel; gives the key of the library handle.
    pub(super) fn judge_open(
        &mut self,
        (process, library, instance): (ProcessKey, LibraryNo, InstanceNo),
        name: &Name,
        flags: OpenFlags,
        names_are_dns: bool,
    ) -> Result<u32, Error> {
        if name.is_empty() {
            return Err(Error::InvalidParam);
        }
        if flags.is_empty() {
            return Err(Error::BadFlags);
        }
        let library = self.prepare_instance(process, library, instance)?;
        let checked = names_are_dns && self.limits.channel_names_are_dns;
        if checked && flags.contains(OpenFlags::CREATE) && !name.is_channel_dn() {
            return Err(Error::InvalidParam);
        }
        Ok(library)
    }

    /// Checks that an instance may be made under this number, and makes room for its slot.
    pub(super) fn prepare_instance(
        &mut self,
        process: ProcessKey,
        library: LibraryNo,
        instance: InstanceNo,
    ) -> Result<u32, Error> {
        let library = self.library_key(process, library).ok_or(Error::BadHandle)?;
        let slot = instance.slot();
        if u64::from(slot) >= self.limits.instances_per_process_max {
            return Err(Error::NoResources);
        }
        let slots = &mut self.processes[process.0].slots;
        let length = slot as usize + 1;
        if slots.len() < length {
            slots.try_reserve(length - slots.len()).map_err(|_| Error::NoMemory)?;
            slots.resize(length, NO_INSTANCE);
        }
        if slots[slot as usize] != NO_INSTANCE {
            return Err(Error::InvalidParam);
        }
        let list = &mut self.libraries[library].instances;
        list.try_reserve(1).map_err(|_| Error::NoMemory)?;
        Ok(library)
    }

    fn create(&mut self, name: &Name) -> Result<u32, Error> {
        self.make_channel(name, true)
    }

    /// Makes a channel; an unlinked one needs something else that keeps it.
    pub(super) fn make_channel(&mut self, name: &Name, linked: bool) -> Result<u32, Error> {
        if self.channels.len() as u64 >= self.limits.channels_max {
            return Err(Error::NoResources);
        }
        self.names.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.incarnations.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let incarnation = self.numbers.incarnation(name).ok_or(Error::NoResources)?;
        let mut channel = Channel::new(incarnation, *name, &self.hasher);
        channel.linked = linked;
        let key = self.channels.insert(channel)?;
        self.incarnations.insert(incarnation, key);
        self.changes.push(Change::ChannelCreated { incarnation, name: *name });
        if linked {
            self.names.insert(*name, key);
        } else {
            self.changes.push(Change::ChannelUnlinked { incarnation });
        }
        Ok(key)
    }

    /// Makes the open instance, after [`Node::prepare_instance`].
    pub(super) fn enter(
        &mut self,
        process: ProcessKey,
        library: u32,
        number: InstanceNo,
        channel: u32,
        flags: OpenFlags,
        restored: Option<u64>,
    ) -> Result<u32, Error> {
        let place = self.libraries[library].instances.len();
        let key = self.instances.insert(Instance {
            process,
            library,
            place,
            number,
            channel,
            flags,
            subscriptions: Vec::new(),
            lost: Lost::Idle,
            restored,
            found: (0, 0),
            born: self.publications,
        })?;
        self.libraries[library].instances.push(key);
        let owner = &mut self.processes[process.0];
        owner.slots[number.slot() as usize] = key;
        owner.instances += 1;
        self.channels[channel].enter(flags);
        if self.clustered {
            self.gathered.touch(self.channels[channel].incarnation);
        }
        Ok(key)
    }

    /// Closes an open instance: its subscriptions and what is queued for it go; an unlinked channel
    /// goes with its last instance. Unknown: ignored.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtChannelClose().
    pub fn channel_close(&mut self, process: ProcessKey, instance: InstanceNo) {
        if let Some(key) = self.instance_key(process, instance) {
            self.close(key);
        }
    }

    fn close(&mut self, key: u32) {
        let Some(instance) = self.instances.remove(key) else { return };
        let library = &mut self.libraries[instance.library];
        self.work += 1 + library.queue.entries() + instance.subscriptions.len() as u64;
        library.queue.purge(key);
        library.instances.swap_remove(instance.place);
        if let Some(moved) = library.instances.get(instance.place) {
            self.instances[*moved].place = instance.place;
        }
        let owner = &mut self.processes[instance.process.0];
        owner.slots[instance.number.slot() as usize] = NO_INSTANCE;
        owner.instances -= 1;
        owner.route.forget();
        let channel = &mut self.channels[instance.channel];
        for subscription in &instance.subscriptions {
            if instance.flags.contains(OpenFlags::SUBSCRIBER) {
                channel.index.remove_instance(key, &subscription.filters);
            }
            owner.account.subscriptions -= 1;
            owner.account.filter_bytes -= subscription.filters.cost_bytes();
        }
        channel.leave(instance.flags);
        if self.clustered {
            self.gathered.touch(channel.incarnation);
        }
        self.delete_if_over(instance.channel);
    }

    /// Takes the name from a channel. With open instances it lives on, else it is deleted.
    ///
    /// - [`Error::NotExist`]: no linked channel of the name.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtChannelUnlink().
    pub fn channel_unlink(&mut self, name: &Name) -> Result<(), Error> {
        let channel = *self.names.get(name).ok_or(Error::NotExist)?;
        self.unlink(channel);
        Ok(())
    }

    pub(super) fn unlink(&mut self, key: u32) {
        let channel = &mut self.channels[key];
        channel.linked = false;
        let incarnation = channel.incarnation;
        self.names.remove(&channel.name);
        if !self.delete_if_over(key) {
            self.changes.push(Change::ChannelUnlinked { incarnation });
        }
    }

    /// Deletes a channel that nothing keeps; says whether it did.
    pub(super) fn delete_if_over(&mut self, key: u32) -> bool {
        if !self.channels[key].is_over(self.recovery.grace) {
            return false;
        }
        let Some(channel) = self.channels.remove(key) else { return false };
        self.incarnations.remove(&channel.incarnation);
        for alias in &channel.aliases {
            self.aliases.remove(alias);
        }
        for life in &channel.lives {
            self.incarnations.remove(life);
        }
        self.work += channel.retention.events();
        for (serial, retained) in channel.retention.iter() {
            self.deadlines.remove(retained.deadline, serial);
            self.ledger.release(retained.user, retained.record.bytes());
            if self.clustered {
                self.gathered.end(retained.record.id);
            }
        }
        self.changes.push(Change::ChannelDeleted { incarnation: channel.incarnation });
        let published = channel.publications - channel.publications_of_others;
        if self.clustered && published > 0 {
            self.gathered.delete(channel.incarnation, published);
        }
        true
    }
}
