//! The busy path: from one publication to its takers.

use super::drain::stored;
use super::{Change, Credit, Windows};
use super::{
    Cost, Data, Delivery, EventRecord, Fault, Node, Process, ProcessKey, Publication, What,
};
use crate::evt::retention::Retained;
use crate::evt::spares::Spares;
use crate::evt::{AttributesRef, Limits, OpenFlags, Span, SubscriptionNo, Time};
use std::rc::Rc;

/// The smallest data that are put where several windows refer to them. For eight programs that was
/// 1.1 times as fast as a copy for each at 2 KiB, 1.25 times at 4 KiB, 1.6 at 8 KiB; and each takes
/// a whole slot.
const SHARED_BYTES_MIN: u64 = 4096;

/// The publication on its way to its takers.
struct Passage<'a> {
    publication: &'a Publication<'a>,
    deadline: Time,
    now: Time,
    /// The data, if they were fetched for several takers.
    fetched: Option<&'a [u8]>,
    /// The shared record, once something keeps the event.
    record: Option<Rc<EventRecord>>,
}

impl Passage<'_> {
    /// The shared record, made the first time it is asked for; `None` if memory is short.
    fn record(
        &mut self,
        spares: &mut Spares,
        windows: &mut dyn Windows,
    ) -> Option<Rc<EventRecord>> {
        if self.record.is_none() {
            let Publication {
                id, publish_time, retention, priority, attributes, data_bytes, ..
            } = *self.publication;
            let mut shared = spares.take(data_bytes);
            let record = Rc::get_mut(&mut shared)?;
            match self.fetched {
                Some(fetched) => copy(fetched, &mut record.data)?,
                None => fetch(data_bytes, &mut record.data, windows)?,
            }
            copy(attributes, &mut record.attributes)?;
            record.id = id;
            record.publish_time = publish_time;
            record.retention = retention;
            record.priority = priority;
            self.record = Some(shared);
        }
        self.record.clone()
    }
}

/// Copies bytes into `into`; `None` if memory is short.
fn copy(from: &[u8], into: &mut Vec<u8>) -> Option<()> {
    into.clear();
    into.try_reserve_exact(from.len()).ok()?;
    into.extend_from_slice(from);
    Some(())
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

/// An event that is not retained, as a taker gets it.
#[inline]
const fn passing<'a>(
    publication: &Publication<'a>,
    subscription: SubscriptionNo,
    data: Data<'a>,
) -> What<'a> {
    let Publication { id, publish_time, retention, priority, attributes, .. } = *publication;
    let left = Span::ZERO;
    What::Event { subscription, id, publish_time, retention, left, priority, attributes, data }
}

/// What is judged of every publication, whatever way it goes.
#[inline]
pub(super) fn permits(
    limits: &Limits,
    owner: &Process,
    publication: &Publication<'_>,
) -> Result<(), Fault> {
    if !owner.account.holds(publication.id) {
        return Err(Fault::Malformed);
    }
    if publication.data_bytes <= limits.event_bytes_max { Ok(()) } else { Err(Fault::TooBig) }
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
    /// - [`Fault::Malformed`], [`Fault::TooBig`], [`Fault::Withheld`]: nothing happened.
    ///
    /// Source: SAI-AIS-EVT-B.03.01, saEvtEventPublish().
    #[inline]
    pub fn publish<W: Windows>(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
        batch: u32,
        now: Time,
        windows: &mut W,
    ) -> Result<Cost, Fault> {
        if publication.retention == Span::ZERO
            && let Some(taker) = self.only_taker(process, publication)?
        {
            self.deliver_to_one(taker, publication, now, windows);
            return Ok(Cost { matches: 1, enqueues: 1, waits: 0 });
        }
        // Copies: the addresses of what is busy would cost its registers.
        let publication = *publication;
        self.publish_anew(process, &publication, batch.max(1), now, windows)
    }

    /// Publishes an event that is retained, or goes another way than the one before.
    #[inline(never)]
    fn publish_anew<W: Windows>(
        &mut self,
        process: ProcessKey,
        publication: &Publication<'_>,
        batch: u32,
        now: Time,
        windows: &mut W,
    ) -> Result<Cost, Fault> {
        let Some((source, matches)) = self.route(process, publication)? else {
            return Ok(Cost::default());
        };
        let retained = publication.retention > Span::ZERO;
        if retained {
            self.spend(process, source, publication)?;
        }
        let number = self.scratch.takers.len() as u32;
        if self.channels[source.channel].ordered {
            let deadline = now.after(publication.retention);
            let mut passage = Passage { publication, deadline, now, fetched: None, record: None };
            let record = passage.record(&mut self.spares, windows);
            self.go_round(source, record, deadline);
            return Ok(Cost { matches, enqueues: 0, waits: 0 });
        }
        let outward = self.goes_out(source, retained);
        if !retained && !outward && number <= batch {
            let takers = std::mem::take(&mut self.scratch.takers);
            match takers[..] {
                [] => {}
                [taker] => self.deliver_to_one(taker, publication, now, windows),
                _ if publication.data_bytes >= SHARED_BYTES_MIN => {
                    self.share_with_many(&takers, publication, now, windows);
                }
                _ => self.deliver_to_many(&takers, publication, now, windows),
            }
            self.scratch.takers = takers;
            return Ok(Cost { matches, enqueues: number, waits: 0 });
        }
        let deadline = now.after(publication.retention);
        let mut passage = Passage { publication, deadline, now, fetched: None, record: None };
        let record = passage.record(&mut self.spares, windows);
        if let (Some(record), true) = (&record, retained) {
            self.retain(source, Rc::clone(record), deadline);
        }
        if outward {
            self.go_out(source, record.clone(), deadline);
        }
        if number > batch {
            self.begin_fan_out(process, record, deadline);
            return Ok(Cost { matches, ..self.publish_on(Some(process), batch, now, windows) });
        }
        let takers = std::mem::take(&mut self.scratch.takers);
        for (instance, subscription) in takers.iter().copied() {
            match &record {
                Some(record) => {
                    let times = (deadline, now);
                    self.deliver_record((instance, subscription), record, times, windows);
                }
                None => self.lose(instance, now, windows),
            }
        }
        self.scratch.takers = takers;
        Ok(Cost { matches, enqueues: number, waits: 0 })
    }

    /// Delivers an event that is not retained to its only taker, straight from the outbox.
    #[inline]
    fn deliver_to_one<W: Windows>(
        &mut self,
        (key, subscription): (u32, SubscriptionNo),
        publication: &Publication<'_>,
        now: Time,
        windows: &mut W,
    ) {
        if !self.put(key, passing(publication, subscription, Data::InFlight), windows) {
            let publication = *publication;
            let deadline = now;
            let mut passage =
                Passage { publication: &publication, deadline, now, fetched: None, record: None };
            self.keep(key, subscription, &mut passage, windows);
        }
    }

    /// Delivers an event that is not retained to its takers at once: one copy for all, so that the
    /// publisher cannot show different bytes to each.
    #[inline(never)]
    fn deliver_to_many<W: Windows>(
        &mut self,
        takers: &[(u32, SubscriptionNo)],
        publication: &Publication<'_>,
        now: Time,
        windows: &mut W,
    ) {
        let mut data = std::mem::take(&mut self.scratch.data);
        if fetch(publication.data_bytes, &mut data, windows).is_none() {
            return takers.iter().for_each(|taker| self.lose(taker.0, now, windows));
        }
        let (fetched, deadline) = (Some(data.as_slice()), now);
        let mut passage = Passage { publication, deadline, now, fetched, record: None };
        for (key, subscription) in takers.iter().copied() {
            let what = passing(publication, subscription, Data::Stored(&data));
            if !self.put(key, what, windows) {
                self.keep(key, subscription, &mut passage, windows);
            }
        }
        self.scratch.data = data;
    }

    /// As [`Node::deliver_to_many`], with the data where all windows can refer to them if there is
    /// such a place.
    #[inline(never)]
    fn share_with_many<W: Windows>(
        &mut self,
        takers: &[(u32, SubscriptionNo)],
        publication: &Publication<'_>,
        now: Time,
        windows: &mut W,
    ) {
        if !windows.share_in_flight() {
            return self.deliver_to_many(takers, publication, now, windows);
        }
        let mut passage = Passage { publication, deadline: now, now, fetched: None, record: None };
        for (key, subscription) in takers.iter().copied() {
            let what = passing(publication, subscription, Data::InFlight);
            let instance = &self.instances[key];
            let library = &self.libraries[instance.library];
            let delivery = Delivery { instance: instance.number, what };
            let is_put = library.queue.is_clear(what.priority())
                && windows.put_shared(library.target, &delivery).is_some();
            if !is_put {
                self.keep(key, subscription, &mut passage, windows);
            }
        }
        windows.end_share();
    }

    /// Takes a record that an earlier start took and perhaps did not finish. Its retention is
    /// repeated, once for an id, without credit and as far as the bounds leave room. One that is
    /// retained only now was shown to nobody, so it is delivered in its place, which on a channel
    /// in total order the cluster finds ([`Node::deliver_own`]); of others the lost-event is due
    /// for every instance that matches. It is due for those on the channel that come back later,
    /// too. Goes to `batch` takers at once, as [`Node::publish`] does.
    ///
    /// - [`Fault::Malformed`], [`Fault::TooBig`], [`Fault::Withheld`]: nothing happened.
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
        let deadline = now.after(publication.retention);
        let mut new = None;
        if publication.retention > Span::ZERO && !known && fits {
            let mut passage = Passage { publication, deadline, now, fetched: None, record: None };
            new = passage.record(&mut self.spares, windows);
        }
        let ordered = self.channels[source.channel].ordered;
        let matches = self.find_takers(source.channel, attributes);
        if let Some(record) = &new {
            if ordered {
                self.go_round(source, new, deadline);
                return Ok(Cost { matches, ..Cost::default() });
            }
            if self.clustered {
                self.go_out(source, new.clone(), deadline);
            }
            self.retain(source, Rc::clone(record), deadline);
        }
        self.begin_fan_out(process, new, deadline);
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
            let withheld = instance.flags.contains(OpenFlags::PUBLISHER_WITHHELD);
            return Err(if withheld { Fault::Withheld } else { Fault::Malformed });
        }
        permits(&self.limits, owner, publication)?;
        let attributes =
            AttributesRef::parse(publication.attributes).map_err(|_| Fault::Malformed)?;
        attributes.within(&self.limits).map_err(|_| Fault::TooBig)?;
        let source = Source { channel: instance.channel, user: owner.identity.uid };
        Ok(Some((source, attributes)))
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
    #[inline(always)]
    fn put<W: Windows + ?Sized>(&self, key: u32, what: What<'_>, windows: &mut W) -> bool {
        let instance = &self.instances[key];
        let library = &self.libraries[instance.library];
        let delivery = Delivery { instance: instance.number, what };
        library.queue.is_clear(what.priority()) && windows.put(library.target, &delivery).is_some()
    }

    /// Queues an event that a window has no room for.
    #[inline(never)]
    fn keep(
        &mut self,
        key: u32,
        subscription: SubscriptionNo,
        passage: &mut Passage<'_>,
        windows: &mut dyn Windows,
    ) {
        let Publication { priority, attributes, data_bytes, .. } = *passage.publication;
        let bytes = EventRecord::bytes_of(attributes.len(), data_bytes);
        let queue = &self.libraries[self.instances[key].library].queue;
        if !queue.admits(&self.limits, priority, bytes) {
            // Seen before it is copied: that is the lasting state of who is too slow.
            return self.lose(key, passage.now, windows);
        }
        match passage.record(&mut self.spares, windows) {
            Some(record) => {
                let times = (passage.deadline, passage.now);
                self.enqueue(key, subscription, record, times, windows);
            }
            None => self.lose(key, passage.now, windows),
        }
    }

    /// Delivers an event that is a shared record to one instance: into the window, else to the
    /// queue.
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
        if !queue.admits(&self.limits, record.priority, record.bytes()) {
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
