//! The busy path: from one publication to its takers.

use super::drain::stored;
use super::{Change, Credit, Windows};
use super::{
    Cost, Data, Delivery, EventRecord, Fault, Node, Process, ProcessKey, Publication, What,
};
use crate::evt::retention::Retained;
use crate::evt::{AttributesRef, OpenFlags, Span, SubscriptionNo, Time};
use std::rc::Rc;

/// The publication on its way to its takers.
struct Passage<'a> {
    publication: &'a Publication<'a>,
    deadline: Time,
    now: Time,
    /// The data, if they were fetched for several takers.
    fetched: Option<Vec<u8>>,
    /// The shared record, once something keeps the event.
    record: Option<Rc<EventRecord>>,
}

impl Passage<'_> {
    /// The event as the next taker gets it.
    fn what(&self, subscription: SubscriptionNo) -> What<'_> {
        if let Some(record) = &self.record {
            return stored(record, subscription, self.now, self.deadline);
        }
        let Publication { id, publish_time, retention, priority, attributes, .. } =
            *self.publication;
        let data = self.fetched.as_deref().map_or(Data::InFlight, Data::Stored);
        let left = if retention == Span::ZERO { Span::ZERO } else { self.now.until(self.deadline) };
        What::Event { subscription, id, publish_time, retention, left, priority, attributes, data }
    }

    /// The shared record, made the first time it is asked for; `None` if memory is short.
    fn record(&mut self, windows: &mut dyn Windows) -> Option<Rc<EventRecord>> {
        if self.record.is_none() {
            let Publication {
                id, publish_time, retention, priority, attributes, data_bytes, ..
            } = *self.publication;
            let mut data = Vec::new();
            match &self.fetched {
                Some(fetched) => {
                    data.try_reserve_exact(fetched.len()).ok()?;
                    data.extend_from_slice(fetched);
                }
                None => fetch(data_bytes, &mut data, windows)?,
            }
            let mut packed = Vec::new();
            packed.try_reserve_exact(attributes.len()).ok()?;
            packed.extend_from_slice(attributes);
            let attributes = packed;
            let record = EventRecord { id, publish_time, retention, priority, attributes, data };
            self.record = Some(Rc::new(record));
        }
        self.record.clone()
    }
}

/// Fetches the data into `into`; `None` if memory is short.
fn fetch(data_bytes: u64, into: &mut Vec<u8>, windows: &mut dyn Windows) -> Option<()> {
    into.clear();
    let bytes = usize::try_from(data_bytes).ok()?;
    into.try_reserve_exact(bytes).ok()?;
    if bytes > 0 {
        windows.data_in_flight(into);
    }
    debug_assert_eq!(into.len(), bytes, "the driver copies the whole data");
    (into.len() == bytes).then_some(())
}

/// Where a publication comes from, judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) channel: u32,
    pub(super) user: u32,
}

impl Node {
    /// Publishes an event: retains it if it has a retention time, then delivers it to every open
    /// instance of the channel with a subscription that matches. On an unknown instance nothing
    /// happens.
    ///
    /// With more than `batch` takers it goes to the first of them, and the cost says how many wait:
    /// [`Node::publish_on`] goes on, and until it has ended nothing else of the process may be
    /// published.
    ///
    /// Allocates nothing when the event is not retained, goes to all of its takers at once, and
    /// every taker's window has room.
    ///
    /// - [`Fault::Malformed`], [`Fault::TooBig`]: nothing happened.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventPublish().
    pub fn publish(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
        batch: u32,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Result<Cost, Fault> {
        let Some((source, matches)) = self.route(process, publication)? else {
            return Ok(Cost::default());
        };
        let retained = publication.retention > Span::ZERO;
        if retained {
            self.spend(process, source, publication)?;
        }
        let number = self.scratch.takers.len();
        let split = number > batch.max(1) as usize;
        let outward = self.goes_out(source, retained);
        let mut scratch = std::mem::take(&mut self.scratch.data);
        let deadline = now.after(publication.retention);
        let mut passage = Passage { publication, deadline, now, fetched: None, record: None };
        let ready = if retained {
            passage.record(windows).map(|record| self.retain(source, record, deadline))
        } else if split || outward {
            passage.record(windows).map(|_| ())
        } else if number > 1 {
            // One copy for all, so that the publisher cannot show different bytes to each.
            fetch(publication.data_bytes, &mut scratch, windows)
        } else {
            Some(())
        };
        if outward {
            self.go_out(source.channel, passage.record.clone(), deadline);
        }
        if split {
            self.scratch.data = scratch;
            self.begin_fan_out(process, passage.record, deadline);
            return Ok(Cost { matches, ..self.publish_on(Some(process), batch, now, windows) });
        }
        if number > 1 && passage.record.is_none() {
            passage.fetched = Some(scratch);
            scratch = Vec::new();
        }
        let takers = std::mem::take(&mut self.scratch.takers);
        for (instance, subscription) in &takers {
            if ready.is_some() {
                self.deliver(*instance, *subscription, &mut passage, windows);
            } else {
                self.lose(*instance, now, windows);
            }
        }
        self.scratch.data = passage.fetched.unwrap_or(scratch);
        self.scratch.takers = takers;
        Ok(Cost { matches, enqueues: number as u32, waits: 0 })
    }

    /// Takes a record that an earlier start took and perhaps did not finish. Its retention is
    /// repeated, once for an id, without credit and as far as the bounds leave room; it is not
    /// delivered, but the lost-event is due for every instance that matches and for those on the
    /// channel that come back later. Goes to `batch` takers at once, as [`Node::publish`] does.
    ///
    /// - [`Fault::Malformed`], [`Fault::TooBig`]: nothing happened.
    pub fn publish_again(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
        batch: u32,
        now: Time,
        windows: &mut dyn Windows,
    ) -> Result<Cost, Fault> {
        let Some((source, attributes)) = self.judge(process, publication)? else {
            return Ok(Cost::default());
        };
        let known = self.channels[source.channel].retention.contains(publication.id);
        let bytes = EventRecord::bytes_of(publication.attributes.len(), publication.data_bytes);
        let fits = self.ledger.fits(&self.limits, source.user, bytes);
        if publication.retention > Span::ZERO && !known && fits {
            let deadline = now.after(publication.retention);
            let mut passage = Passage { publication, deadline, now, fetched: None, record: None };
            if let Some(record) = passage.record(windows) {
                self.retain(source, Rc::clone(&record), deadline);
                if self.clustered {
                    self.go_out(source.channel, Some(record), deadline);
                }
            }
        }
        let matches = self.find_takers(source.channel, attributes);
        self.begin_fan_out(process, None, now);
        Ok(Cost { matches, ..self.publish_on(Some(process), batch, now, windows) })
    }

    /// Judges what a client wrote; `None` if the instance is unknown.
    pub(super) fn judge<'a>(
        &self,
        process: ProcessKey,
        publication: &Publication<'a>,
    ) -> Result<Option<(Source, AttributesRef<'a>)>, Fault> {
        let Some(key) = self.instance_key(process, publication.instance) else { return Ok(None) };
        let instance = &self.instances[key];
        let owner = &self.processes[process.0];
        if !instance.flags.contains(OpenFlags::PUBLISHER) {
            return Err(Fault::Malformed);
        }
        self.permits(owner, publication)?;
        let attributes =
            AttributesRef::parse(publication.attributes).map_err(|_| Fault::Malformed)?;
        attributes.within(&self.limits).map_err(|_| Fault::TooBig)?;
        let source = Source { channel: instance.channel, user: owner.identity.uid };
        Ok(Some((source, attributes)))
    }

    /// What is judged of every publication, whatever way it goes.
    pub(super) fn permits(
        &self,
        owner: &Process,
        publication: &Publication<'_>,
    ) -> Result<(), Fault> {
        if !owner.account.holds(publication.id) {
            return Err(Fault::Malformed);
        }
        let fits = publication.data_bytes <= self.limits.event_bytes_max;
        if fits { Ok(()) } else { Err(Fault::TooBig) }
    }

    /// Takes the credit for a retained event.
    fn spend(
        &mut self,
        process: ProcessKey,
        source: Source,
        publication: &Publication<'_>,
    ) -> Result<(), Fault> {
        let bytes = EventRecord::bytes_of(publication.attributes.len(), publication.data_bytes);
        let account = &mut self.processes[process.0].account;
        let known = self.channels[source.channel].retention.contains(publication.id);
        if known || !account.affords(bytes) {
            return Err(Fault::Malformed);
        }
        // The word in the outbox counts in units, so a program spends whole ones.
        let whole = bytes.next_multiple_of(Credit::UNIT);
        self.ledger.take_back(source.user, account, 1, whole);
        Ok(())
    }

    /// Whether other nodes must hear of a publication.
    fn goes_out(&self, source: Source, retained: bool) -> bool {
        self.channels[source.channel].remote || (retained && self.clustered)
    }

    fn retain(&mut self, source: Source, record: Rc<EventRecord>, deadline: Time) {
        let incarnation = self.channels[source.channel].incarnation;
        self.changes.push(Change::Retained { incarnation, record: Rc::clone(&record), deadline });
        self.store(source.channel, Retained { record, deadline, user: Some(source.user) });
    }

    /// Collects the takers in the scratch list, each with its first matching subscription; gives
    /// the number of comparisons.
    pub(super) fn find_takers(&mut self, channel: u32, attributes: AttributesRef<'_>) -> u32 {
        self.publications += 1;
        let serial = self.publications;
        let Self { channels, instances, scratch, .. } = self;
        let channel = &mut channels[channel];
        channel.publications += 1;
        scratch.takers.clear();
        channel.index.matches(attributes, |key, subscription| {
            let instance = &mut instances[key];
            if instance.found.0 == serial {
                let taker = &mut scratch.takers[instance.found.1 as usize];
                taker.1 = taker.1.min(subscription);
            } else {
                instance.found = (serial, scratch.takers.len() as u32);
                scratch.takers.push((key, subscription));
            }
        })
    }

    /// Writes a delivery into the window, unless something waits before it or there is no room.
    fn put(&self, key: u32, what: What<'_>, windows: &mut dyn Windows) -> bool {
        let instance = &self.instances[key];
        let library = &self.libraries[instance.library];
        let delivery = Delivery { instance: instance.number, what };
        library.queue.is_clear(what.priority()) && windows.put(library.target, &delivery).is_some()
    }

    /// Delivers to one instance: into the window, else to the queue.
    fn deliver(
        &mut self,
        key: u32,
        subscription: SubscriptionNo,
        passage: &mut Passage<'_>,
        windows: &mut dyn Windows,
    ) {
        if self.put(key, passage.what(subscription), windows) {
            return;
        }
        match passage.record(windows) {
            Some(record) => {
                let times = (passage.deadline, passage.now);
                self.enqueue(key, subscription, record, times, windows);
            }
            None => self.lose(key, passage.now, windows),
        }
    }

    /// As [`Node::deliver`], of an event that is a shared record already.
    pub(super) fn deliver_record(
        &mut self,
        (key, subscription): (u32, SubscriptionNo),
        record: &Rc<EventRecord>,
        (deadline, now): (Time, Time),
        windows: &mut dyn Windows,
    ) {
        if !self.put(key, stored(record, subscription, now, deadline), windows) {
            self.enqueue(key, subscription, Rc::clone(record), (deadline, now), windows);
        }
    }

    /// Queues an event, pushing out newer ones of lower priority if the queue is full.
    fn enqueue(
        &mut self,
        key: u32,
        subscription: SubscriptionNo,
        record: Rc<EventRecord>,
        (deadline, now): (Time, Time),
        windows: &mut dyn Windows,
    ) {
        let library = self.instances[key].library;
        let queue = &mut self.libraries[library].queue;
        if !queue.admits(&self.limits, &record) {
            self.lose(key, now, windows);
            return;
        }
        while !self.libraries[library].queue.has_room(&self.limits, &record) {
            let Some(loser) = self.libraries[library].queue.push_out() else { break };
            self.lose(loser, now, windows);
        }
        let queue = &mut self.libraries[library].queue;
        queue.push_live(key, subscription, deadline, record);
        self.tell_backlog(library, windows);
    }
}
