//! Subscriptions: registering with replay of retained events, and removing with re-matching.

use super::{EventRecord, Node, ProcessKey, Windows};
use crate::evt::subscription::{Lost, Subscription};
use crate::evt::{Error, Filters, InstanceNo, OpenFlags, Priority, SubscriptionNo, Time};
use std::cell::Cell;
use std::rc::Rc;

impl Node {
    /// Adds a subscription; then the retained events of the channel that match it are on their way,
    /// before any event that is published later. Which of them the instance has had already is
    /// the agent's knowledge.
    ///
    /// - [`Error::BadHandle`]: unknown instance.
    /// - [`Error::Access`]: the instance was not opened for subscribing, or may not any more.
    /// - [`Error::TooBig`]: number or size of the filters.
    /// - [`Error::Exist`]: the number is in use on the instance.
    /// - [`Error::NoResources`]: `subscriptions_per_instance_max` or
    ///   `filter_bytes_per_process_max` is reached.
    /// - [`Error::NoMemory`].
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventSubscribe().
    pub fn subscribe(
        &mut self,
        process: ProcessKey,
        instance: InstanceNo,
        number: SubscriptionNo,
        filters: Filters,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Result<(), Error> {
        let key = self.instance_key(process, instance).ok_or(Error::BadHandle)?;
        let subscriber = &mut self.instances[key];
        let permitted = subscriber.flags.contains(OpenFlags::SUBSCRIBER);
        // What an instance brings back waits until it may subscribe again.
        let waits = subscriber.flags.contains(OpenFlags::SUBSCRIBER_WITHHELD)
            && subscriber.restored.is_some();
        if !permitted && !waits {
            return Err(Error::Access);
        }
        filters.within(&self.limits)?;
        let at = subscriber.prepare(number, self.limits.subscriptions_per_instance_max)?;
        let account = &mut self.processes[process.0].account;
        let bytes = filters.cost_bytes();
        if account.filter_bytes.saturating_add(bytes) > self.limits.filter_bytes_per_process_max {
            return Err(Error::NoResources);
        }
        let filters = Rc::new(filters);
        if permitted {
            self.channels[subscriber.channel].index.insert(key, number, &filters)?;
        }
        account.filter_bytes += bytes;
        account.subscriptions += 1;
        subscriber.subscriptions.insert(at, Subscription { number, filters: Rc::clone(&filters) });
        if !permitted {
            return Ok(());
        }
        self.hasten(key, now, windows);
        self.settle(key);
        self.replay(key, number, &filters, 0, now);
        let library = self.instances[key].library;
        self.drain_library(library, now, windows);
        Ok(())
    }

    /// Queues the lost-event that waited for a subscription. While instances come back, what was
    /// published between the return of an instance and that of a subscription counts as lost.
    fn settle(&mut self, key: u32) {
        let instance = &mut self.instances[key];
        if instance.lost == Lost::Owed {
            instance.lost = Lost::Queued { previous: None };
            self.libraries[instance.library].queue.push_lost(key);
        }
        let publications = self.channels[instance.channel].publications;
        let missed = instance.restored.is_some_and(|covered| covered < publications);
        if missed && self.recovery.grace {
            instance.restored = Some(publications);
            self.owe(key);
        }
    }

    /// Queues the retained events of the channel from the one numbered `from` on for a
    /// subscription, at each priority.
    pub(super) fn replay(
        &mut self,
        key: u32,
        number: SubscriptionNo,
        filters: &Rc<Filters>,
        from: u64,
        now: Time,
    ) {
        let instance = &self.instances[key];
        let retention = &self.channels[instance.channel].retention;
        let queue = &mut self.libraries[instance.library].queue;
        let last = self.retained_serial;
        for priority in Priority::ALL {
            let looked = Cell::new(0);
            let taker = |record: &EventRecord| {
                looked.set(looked.get() + 1);
                record.matches(filters).then_some(number)
            };
            let found = retention.next(priority, (from, last), now, taker);
            self.work += looked.get();
            if let Some((first, ..)) = found {
                let subscription = (number, filters);
                queue.push_replay(priority, key, instance.channel, subscription, (first, last));
            }
        }
    }

    /// Removes a subscription. What is queued for it goes to the first remaining subscription of
    /// the instance that matches, or is dropped. The driver drains the library handle afterwards.
    ///
    /// - [`Error::BadHandle`]: unknown instance.
    /// - [`Error::NotExist`]: no such subscription on it.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventUnsubscribe().
    pub fn unsubscribe(
        &mut self,
        process: ProcessKey,
        instance: InstanceNo,
        number: SubscriptionNo,
    ) -> Result<(), Error> {
        let key = self.instance_key(process, instance).ok_or(Error::BadHandle)?;
        let subscriber = &mut self.instances[key];
        let at = subscriber.position(number).map_err(|_| Error::NotExist)?;
        let subscription = subscriber.subscriptions.remove(at);
        let account = &mut self.processes[process.0].account;
        account.filter_bytes -= subscription.filters.cost_bytes();
        account.subscriptions -= 1;
        if !subscriber.flags.contains(OpenFlags::SUBSCRIBER) {
            // It took nothing, and nothing waits for it.
            return Ok(());
        }
        self.channels[subscriber.channel].index.remove(key, number, &subscription.filters);
        let queue = &mut self.libraries[subscriber.library].queue;
        let index = &self.channels[subscriber.channel].index;
        let remains = !subscriber.subscriptions.is_empty();
        self.work += queue.entries();
        queue.unsubscribe(key, number, remains, |record| index.first_match(key, record.view()?));
        if !remains {
            // The agent drops an unread lost-event too, so the next loss needs a new one.
            queue.purge_lost(key);
            subscriber.lost = Lost::Idle;
        }
        self.divert(key, number);
        Ok(())
    }
}
