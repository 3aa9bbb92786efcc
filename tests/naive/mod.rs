//! The contract as plainly as it can be written down: flat lists, searched from end to end.

mod ask;
mod spread;
mod waiting;

use crate::desk::Record;
use SaEvt::evt::node::{ProcessKey, Target};
use SaEvt::evt::{
    Attributes, Error, EventId, FilterKind, Filters, InstanceNo, Limits, Name, OpenFlags, Priority,
    Span, SubscriptionNo, Time,
};
use spread::UnderWay;
use std::rc::Rc;
pub(crate) use waiting::Draft;
use waiting::{Item, Kind, Library, left, record};

#[derive(Debug)]
struct Instance {
    target: Target,
    number: InstanceNo,
    channel: u64,
    flags: OpenFlags,
    subscriptions: Vec<(SubscriptionNo, Filters)>,
    owed: bool,
}

#[derive(Debug)]
struct Channel {
    key: u64,
    name: Name,
    linked: bool,
}

#[derive(Debug)]
struct Retained {
    channel: u64,
    draft: Rc<Draft>,
    deadline: Time,
    user: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Model {
    limits: Limits,
    capacity: usize,
    processes: Vec<(ProcessKey, u32)>,
    libraries: Vec<Library>,
    instances: Vec<Instance>,
    channels: Vec<Channel>,
    retained: Vec<Retained>,
    /// Publications with takers that they have not reached, in publish order.
    under_way: Vec<UnderWay>,
    channel_keys: u64,
    replays: u64,
}

fn first_match(
    instances: &[Instance],
    number: InstanceNo,
    draft: &Draft,
) -> Option<SubscriptionNo> {
    let instance = instances.iter().find(|each| each.number == number)?;
    let mut all = instance.subscriptions.iter();
    all.find(|(_, filters)| draft.matches(filters)).map(|(number, _)| *number)
}

impl Model {
    pub(crate) fn new(limits: Limits, capacity: usize) -> Self {
        Self {
            limits,
            capacity,
            processes: Vec::new(),
            libraries: Vec::new(),
            instances: Vec::new(),
            channels: Vec::new(),
            retained: Vec::new(),
            under_way: Vec::new(),
            channel_keys: 0,
            replays: 0,
        }
    }

    pub(crate) fn connect(&mut self, process: ProcessKey, user: u32) -> Result<(), Error> {
        if self.processes.len() as u64 == self.limits.processes_max {
            return Err(Error::NoResources);
        }
        self.processes.push((process, user));
        Ok(())
    }

    /// Gives the inboxes that went.
    pub(crate) fn disconnect(&mut self, process: ProcessKey) -> Vec<Target> {
        let all = self.libraries.iter().map(|library| library.target);
        let gone: Vec<Target> = all.filter(|target| target.process == process).collect();
        for target in &gone {
            self.library_close(*target);
        }
        self.processes.retain(|(key, _)| *key != process);
        gone
    }

    pub(crate) fn library_open(&mut self, target: Target) -> Result<(), Error> {
        let mut of_process = 0;
        for library in &self.libraries {
            if library.target == target {
                return Err(Error::InvalidParam);
            }
            of_process += u64::from(library.target.process == target.process);
        }
        if of_process == self.limits.libraries_per_process_max {
            return Err(Error::NoResources);
        }
        let windows = [const { Vec::new() }; Priority::LEVELS];
        self.libraries.push(Library { target, queue: Vec::new(), windows });
        Ok(())
    }

    pub(crate) fn library_close(&mut self, target: Target) {
        let of_it = self.instances.iter().filter(|instance| instance.target == target);
        for number in of_it.map(|instance| instance.number).collect::<Vec<_>>() {
            self.close(target.process, number);
        }
        self.libraries.retain(|library| library.target != target);
    }

    fn find(&self, process: ProcessKey, number: InstanceNo) -> Option<usize> {
        let all = &mut self.instances.iter();
        all.position(|each| each.target.process == process && each.number == number)
    }

    fn library(&mut self, target: Target) -> Option<&mut Library> {
        self.libraries.iter_mut().find(|library| library.target == target)
    }

    /// Whether the library handle has the linked channel of this name open.
    pub(crate) fn has_open(&self, target: Target, name: &Name) -> bool {
        let linked = self.channels.iter().find(|channel| channel.linked && channel.name == *name);
        linked.is_some_and(|channel| {
            let mut all = self.instances.iter();
            all.any(|each| each.target == target && each.channel == channel.key)
        })
    }

    pub(crate) fn open(
        &mut self,
        target: Target,
        number: InstanceNo,
        name: &Name,
        flags: OpenFlags,
        dns: bool,
    ) -> Result<(), Error> {
        if !self.libraries.iter().any(|library| library.target == target) {
            return Err(Error::BadHandle);
        }
        if u64::from(number.slot()) >= self.limits.instances_per_process_max {
            return Err(Error::NoResources);
        }
        let taken = |each: &Instance| {
            each.target.process == target.process && each.number.slot() == number.slot()
        };
        if self.instances.iter().any(taken) {
            return Err(Error::InvalidParam);
        }
        let creates = flags.contains(OpenFlags::CREATE);
        if dns && creates && !name.octets().starts_with(b"safChnl=") {
            return Err(Error::InvalidParam);
        }
        let linked = self.channels.iter().find(|channel| channel.linked && channel.name == *name);
        let channel = match linked {
            Some(channel) => channel.key,
            None if !flags.contains(OpenFlags::CREATE) => return Err(Error::NotExist),
            None if self.channels.len() as u64 == self.limits.channels_max => {
                return Err(Error::NoResources);
            }
            None => {
                self.channel_keys += 1;
                let key = self.channel_keys;
                self.channels.push(Channel { key, name: *name, linked: true });
                key
            }
        };
        let subscriptions = Vec::new();
        let owed = false;
        self.instances.push(Instance { target, number, channel, flags, subscriptions, owed });
        Ok(())
    }

    /// Gives the inbox that the instance belonged to.
    pub(crate) fn close(&mut self, process: ProcessKey, number: InstanceNo) -> Option<Target> {
        let gone = self.instances.remove(self.find(process, number)?);
        self.library(gone.target)?.queue.retain(|item| item.instance != number);
        self.forget_taker(gone.target, number);
        self.collect();
        Some(gone.target)
    }

    pub(crate) fn unlink(&mut self, name: &Name) -> Result<(), Error> {
        let mut all = self.channels.iter_mut();
        let found = all.find(|channel| channel.linked && channel.name == *name);
        found.ok_or(Error::NotExist)?.linked = false;
        self.collect();
        Ok(())
    }

    /// Deletes unlinked channels without instances, and the retained events of deleted ones.
    fn collect(&mut self) {
        let Self { channels, instances, retained, .. } = self;
        channels.retain(|channel| {
            channel.linked || instances.iter().any(|each| each.channel == channel.key)
        });
        retained.retain(|each| channels.iter().any(|channel| channel.key == each.channel));
    }

    pub(crate) fn subscribe(
        &mut self,
        process: ProcessKey,
        number: InstanceNo,
        subscription: SubscriptionNo,
        filters: Filters,
        now: Time,
    ) -> Result<(), Error> {
        let at = self.find(process, number).ok_or(Error::BadHandle)?;
        let of_process = self.instances.iter().filter(|each| each.target.process == process);
        let held = of_process.flat_map(|each| &each.subscriptions);
        let bytes: u64 = held.map(|(_, filters)| filters.cost_bytes()).sum();
        let instance = &mut self.instances[at];
        if !instance.flags.contains(OpenFlags::SUBSCRIBER) {
            return Err(Error::Access);
        }
        if instance.subscriptions.iter().any(|(known, _)| *known == subscription) {
            return Err(Error::Exist);
        }
        let full = instance.subscriptions.len() as u64
            == self.limits.subscriptions_per_instance_max
            || bytes + filters.cost_bytes() > self.limits.filter_bytes_per_process_max;
        if full {
            return Err(Error::NoResources);
        }
        let (target, channel) = (instance.target, instance.channel);
        self.hasten(target, number, now);
        let instance = &mut self.instances[at];
        let owed = std::mem::take(&mut instance.owed);
        self.replays += 1;
        let replay = self.replays;
        let mut items = Vec::new();
        if owed {
            let priority = Priority::HIGHEST;
            items.push(Item { instance: number, priority, kind: Kind::Lost });
        }
        for priority in Priority::ALL {
            let of_level = self.retained.iter().filter(|each| each.draft.priority == priority);
            for each in of_level.filter(|each| each.channel == channel) {
                if each.deadline > now && each.draft.matches(&filters) {
                    let kind = Kind::Replay(each.draft.id, Some(subscription), replay);
                    items.push(Item { instance: number, priority, kind });
                }
            }
        }
        self.instances[at].subscriptions.push((subscription, filters));
        self.library(target).expect("open").queue.append(&mut items);
        self.drain(target, now);
        Ok(())
    }

    pub(crate) fn unsubscribe(
        &mut self,
        process: ProcessKey,
        number: InstanceNo,
        subscription: SubscriptionNo,
    ) -> (Result<(), Error>, Option<Target>) {
        let Some(at) = self.find(process, number) else { return (Err(Error::BadHandle), None) };
        let Self { instances, libraries, .. } = self;
        let instance = &mut instances[at];
        let before = instance.subscriptions.len();
        instance.subscriptions.retain(|(known, _)| *known != subscription);
        if instance.subscriptions.len() == before {
            return (Err(Error::NotExist), None);
        }
        let remaining = &instance.subscriptions;
        let target = instance.target;
        let mut all = libraries.iter_mut();
        let library = all.find(|library| library.target == target).expect("open");
        let full = Priority::ALL.map(|priority| library.left_over(number, priority) >= 8);
        library.queue.retain_mut(|item| match &mut item.kind {
            _ if item.instance != number => true,
            Kind::Lost => !remaining.is_empty(),
            Kind::Replay(_, of, _) if *of == Some(subscription) => {
                *of = None;
                !remaining.is_empty() && !full[item.priority.index()]
            }
            Kind::Replay(..) => true,
            Kind::Live(draft, of, _) => {
                let first = remaining.iter().find(|(_, filters)| draft.matches(filters));
                *of = first.map_or(*of, |(number, _)| *number);
                first.is_some()
            }
        });
        if remaining.is_empty() {
            instance.owed = false;
            for (record, pending) in &mut library.windows[0] {
                *pending &= record.instance != number;
            }
        }
        self.divert(target, number, subscription);
        (Ok(()), Some(target))
    }

    pub(crate) fn has_room(&self, process: ProcessKey, bytes: u64) -> bool {
        let user = self.user(process);
        let of_user = self.retained.iter().filter(|each| each.user == Some(user)).count() as u64;
        let bytes_of_user: u64 = self
            .retained
            .iter()
            .filter(|each| each.user == Some(user))
            .map(|each| each.draft.bytes())
            .sum();
        let held: u64 = self.retained.iter().map(|each| each.draft.bytes()).sum();
        (self.retained.len() as u64) < self.limits.retained_events_max
            && of_user < self.limits.retained_events_per_user_max
            && held + bytes <= self.limits.retained_bytes_max
            && bytes_of_user + bytes <= self.limits.retained_bytes_per_user_max
    }

    /// Puts an event on its way; gives the number of open instances that take it.
    pub(crate) fn publish(
        &mut self,
        process: ProcessKey,
        number: InstanceNo,
        draft: Draft,
        now: Time,
    ) -> u32 {
        let user = Some(self.user(process));
        let channel = self.instances[self.find(process, number).expect("open")].channel;
        let draft = Rc::new(draft);
        let deadline = match draft.retention {
            Span::FOREVER => Time::MAX,
            span => Time(now.0 + span.0),
        };
        if draft.retention > Span::ZERO {
            let draft = Rc::clone(&draft);
            self.retained.push(Retained { channel, draft, deadline, user });
        }
        let mut takers = Vec::new();
        for instance in self.instances.iter().filter(|each| each.channel == channel) {
            let mut all = instance.subscriptions.iter();
            if let Some((of, _)) = all.find(|(_, filters)| draft.matches(filters)) {
                takers.push((instance.target, instance.number, *of));
            }
        }
        let number = takers.len() as u32;
        self.under_way.push(UnderWay { draft, deadline, takers });
        number
    }

    fn deliver(
        &mut self,
        target: Target,
        number: InstanceNo,
        of: SubscriptionNo,
        draft: &Rc<Draft>,
        (deadline, now): (Time, Time),
    ) {
        let (limits, capacity) = (self.limits.clone(), self.capacity);
        let priority = draft.priority;
        let library = self.library(target).expect("open");
        let waits = library.queue.iter().any(|item| item.priority == priority);
        let window = &mut library.windows[priority.index()];
        if !waits && window.len() < capacity {
            window.push((record(number, draft, of, left(draft, deadline, now)), false));
            return;
        }
        // What would be left if everything of lower priority were pushed out.
        let kept = library.live().filter(|other| other.priority <= priority);
        let (events, bytes) = kept.fold((0, 0), |sum, other| (sum.0 + 1, sum.1 + other.bytes()));
        if events >= limits.queue_events_max || bytes + draft.bytes() > limits.queue_bytes_max {
            return self.lose(target, number, now);
        }
        loop {
            let library = self.library(target).expect("open");
            let bytes: u64 = library.live().map(|other| other.bytes()).sum();
            let events = library.live().count() as u64;
            if events < limits.queue_events_max && bytes + draft.bytes() <= limits.queue_bytes_max {
                let kind = Kind::Live(Rc::clone(draft), of, deadline);
                library.queue.push(Item { instance: number, priority, kind });
                return;
            }
            let live = |item: &&Item| matches!(item.kind, Kind::Live(..));
            let lowest = library.queue.iter().filter(live).map(|item| item.priority).max();
            let newest = library.queue.iter().rposition(|item| {
                matches!(item.kind, Kind::Live(..)) && Some(item.priority) == lowest
            });
            let gone = library.queue.remove(newest.expect("it was counted"));
            self.lose(target, gone.instance, now);
        }
    }

    fn lose(&mut self, target: Target, number: InstanceNo, now: Time) {
        let library = self.library(target).expect("open");
        let queued = library.is_lost_queued(number);
        if !queued && library.is_lost_unread(number) {
            return;
        }
        if !queued {
            let priority = Priority::HIGHEST;
            library.queue.push(Item { instance: number, priority, kind: Kind::Lost });
        }
        self.pump(target, Priority::HIGHEST, now);
    }

    /// Gives the inbox of the instance.
    pub(crate) fn mark_lost(&mut self, process: ProcessKey, number: InstanceNo) -> Option<Target> {
        let at = self.find(process, number)?;
        let instance = &mut self.instances[at];
        let target = instance.target;
        if instance.subscriptions.is_empty() {
            instance.owed = true;
        } else {
            let library = self.library(target)?;
            if !library.is_lost_queued(number) {
                let priority = Priority::HIGHEST;
                library.queue.push(Item { instance: number, priority, kind: Kind::Lost });
            }
        }
        Some(target)
    }

    pub(crate) fn drain(&mut self, target: Target, now: Time) {
        for priority in Priority::ALL {
            self.pump(target, priority, now);
        }
    }

    /// Moves what waits at a priority until the window is full.
    fn pump(&mut self, target: Target, priority: Priority, now: Time) {
        let Self { libraries, instances, retained, capacity, .. } = self;
        let mut all = libraries.iter_mut();
        let Some(library) = all.find(|library| library.target == target) else { return };
        while let Some(at) = library.queue.iter().position(|item| item.priority == priority) {
            let item = library.queue[at].clone();
            let number = item.instance;
            let record = match &item.kind {
                Kind::Lost if library.is_lost_unread(number) => None,
                Kind::Lost => Some((Record { instance: number, event: None }, true)),
                Kind::Live(draft, of, deadline) => {
                    Some((record(number, draft, *of, left(draft, *deadline, now)), false))
                }
                Kind::Replay(id, of, _) => {
                    let found = retained.iter().find(|each| each.draft.id == *id);
                    found.filter(|each| each.deadline > now).and_then(|each| {
                        let left = left(&each.draft, each.deadline, now);
                        let of = of.or_else(|| first_match(instances, number, &each.draft))?;
                        Some((record(number, &each.draft, of, left), false))
                    })
                }
            };
            let window = &mut library.windows[priority.index()];
            if record.is_some() && window.len() >= *capacity {
                return;
            }
            window.extend(record);
            library.queue.remove(at);
        }
    }

    pub(crate) fn take(&mut self, target: Target) -> Option<Record> {
        let library = self.library(target)?;
        let window = library.windows.iter_mut().find(|window| !window.is_empty())?;
        Some(window.remove(0).0)
    }

    pub(crate) fn clear(
        &mut self,
        process: ProcessKey,
        number: InstanceNo,
        id: EventId,
    ) -> Result<(), Error> {
        let at = self.find(process, number).ok_or(Error::BadHandle)?;
        let channel = self.instances[at].channel;
        let mut all = self.retained.iter();
        let found = all.position(|each| each.channel == channel && each.draft.id == id);
        self.retained.remove(found.ok_or(Error::NotExist)?);
        Ok(())
    }

    pub(crate) fn expire(&mut self, now: Time) {
        self.retained.retain(|each| each.deadline > now);
    }

    /// After a restart retained events are charged to nobody.
    pub(crate) fn forget_users(&mut self) {
        for each in &mut self.retained {
            each.user = None;
        }
    }
}
