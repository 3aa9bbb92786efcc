//! What programs do in the simulated cluster.

use crate::bed::{ALL, Answered, Asked, Bed, MS, name};
use crate::desk::{Event, Ids, identity};
use crate::ledger::{LIBRARY, Ledger, Open, Program, Sent};
use SaEvt::evt::cluster::{Answer, Ask, Roles};
use SaEvt::evt::node::{Publication, Target};
use SaEvt::evt::{
    Attributes, Error, EventId, Filter, FilterKind, Filters, InstanceNo, Name, OpenFlags, Priority,
    Span, SubscriptionNo,
};
use std::collections::BTreeSet;

impl Bed {
    pub(crate) fn connect(&mut self, at: usize) -> Program {
        let machine = self.machine(at);
        let process = machine.node.connect(identity(0)).unwrap();
        machine.node.library_open(process, LIBRARY).unwrap();
        let ids = Ids::new(&mut machine.node, process);
        let program = Program { machine: at, incarnation: machine.incarnation, process };
        self.programs.push((program, ids));
        program
    }

    /// A program on each machine.
    pub(crate) fn connect_all(&mut self) -> Vec<Program> {
        (0..self.machines.len()).map(|at| self.connect(at)).collect()
    }

    /// A program that has the channel of a name open and subscribes.
    pub(crate) fn join(&mut self, at: usize, number: usize) {
        let program = self.connect(at);
        self.open(program, name(number), ALL, None);
        self.run(50 * MS);
        self.subscribe(self.ledger.opens.len() - 1, None);
    }

    /// Such a one on each machine.
    pub(crate) fn join_all(&mut self, number: usize) {
        (0..self.machines.len()).for_each(|at| self.join(at, number));
    }

    /// What was answered last.
    pub(crate) fn last(&self) -> Result<(), Error> {
        self.answered.last().expect("an answer").outcome
    }

    /// A program ends.
    pub(crate) fn disconnect(&mut self, program: Program) {
        let now = self.now;
        let machine = self.machine(program.machine);
        machine.node.disconnect(program.process);
        machine.cluster.forget(program.process);
        machine.inboxes.close(Target { process: program.process, library: LIBRARY });
        machine.with(now, |cluster, world| cluster.pump(world));
        self.programs.retain(|(known, _)| *known != program);
        // What it has begun goes on.
        let begun = self.tickets.values().filter(|asked| asked.program == program);
        let names = begun.filter_map(|asked| match &asked.ask {
            Ask::Open { name, .. } | Ask::Unlink { name } => Some(*name),
            Ask::Clear { .. } => None,
        });
        self.abandoned.extend(names);
        self.tickets.retain(|_, asked| asked.program != program);
        for open in self.ledger.opens.iter_mut().filter(|open| open.program == program) {
            open.alive = false;
        }
    }

    fn ask(&mut self, program: Program, ask: Ask, expects: Option<Result<(), Error>>) -> u64 {
        let about = match &ask {
            Ask::Open { name, .. } | Ask::Unlink { name } => *name,
            Ask::Clear { .. } => Name::EMPTY,
        };
        let alone = !self.is_under_way(&about);
        let asked_name = match &ask {
            Ask::Open { name, flags, .. } if flags.contains(OpenFlags::CREATE) => Some(*name),
            Ask::Unlink { name } => Some(*name),
            _ => None,
        };
        if let Some(name) = asked_name {
            *self.touched.entry(name).or_default() += 1;
        }
        let age = self.age(&about);
        let expects = expects.map(|expected| (expected, age));
        let now = self.now;
        let machine = self.machine(program.machine);
        let incarnation = machine.incarnation;
        let ticket = machine.ask(ask.clone(), now);
        let asked = Asked { program, ask, alone, age, expects };
        self.tickets.insert((program.machine, incarnation, ticket), asked);
        self.hear_answers(program.machine);
        ticket
    }

    fn is_under_way(&self, name: &Name) -> bool {
        let asked = self.tickets.values().any(|asked| match &asked.ask {
            Ask::Open { name: of, .. } | Ask::Unlink { name: of } => of == name,
            Ask::Clear { .. } => false,
        });
        asked || self.abandoned.contains(name)
    }

    /// Whether an answer is the last word about a name: nothing else was, is or has been under way.
    pub(crate) fn is_last_word(&self, name: &Name, asked: &Asked) -> bool {
        asked.alone && asked.age == self.age(name)
    }

    fn age(&self, name: &Name) -> u64 {
        self.touched.get(name).copied().unwrap_or(0) << 32 | self.faults
    }

    pub(crate) fn open(
        &mut self,
        program: Program,
        name: Name,
        flags: OpenFlags,
        expects: Option<Result<(), Error>>,
    ) {
        self.instances += 1;
        let instance = InstanceNo::new(self.instances % 60_000, self.instances);
        let process = program.process;
        let names_are_dns = true;
        let ask = Ask::Open { process, library: LIBRARY, instance, name, flags, names_are_dns };
        self.ask(program, ask, expects);
    }

    pub(crate) fn unlink(&mut self, program: Program, name: Name) {
        self.ask(program, Ask::Unlink { name }, None);
    }

    pub(crate) fn clear(&mut self, at: usize, id: EventId) {
        let (program, instance) = (self.ledger.opens[at].program, self.ledger.opens[at].number);
        if let Some(sent) = self.ledger.sent.get_mut(&id) {
            sent.clear_asked = true;
        }
        let ask = Ask::Clear { process: program.process, instance, id };
        self.ask(program, ask, None);
    }

    pub(crate) fn hear_answers(&mut self, at: usize) {
        let machine = self.machine(at);
        let incarnation = machine.incarnation;
        for Answer { ticket, outcome } in machine.answers() {
            let Some(asked) = self.tickets.remove(&(at, incarnation, ticket.0)) else { continue };
            if let (Ask::Open { instance, flags, .. }, Ok(Some(channel))) = (&asked.ask, outcome) {
                let cluster = &self.machines[at].as_ref().unwrap().cluster;
                let entry = cluster.directory().find(channel);
                let ordered = entry.is_some_and(|(_, entry)| entry.ordered);
                let open = Open::new(asked.program, *instance, channel, *flags, ordered);
                self.ledger.opens.push(open);
            }
            let outcome = outcome.map(|_| ());
            if let (Some((expected, age)), Ask::Open { name, .. }) = (asked.expects, &asked.ask)
                && age == self.age(name)
            {
                assert_eq!(outcome, expected, "what was answered is visible everywhere: {asked:?}");
            }
            self.answered.push(Answered { asked, outcome });
        }
    }

    pub(crate) fn close(&mut self, at: usize) {
        let (program, number) = (self.ledger.opens[at].program, self.ledger.opens[at].number);
        self.ledger.opens[at].alive = false;
        let now = self.now;
        let machine = self.machine(program.machine);
        machine.node.channel_close(program.process, number);
        machine.with(now, |cluster, world| cluster.pump(world));
    }

    pub(crate) fn subscribe(&mut self, at: usize, word: Option<usize>) {
        let open = &self.ledger.opens[at];
        let (program, number, channel) = (open.program, open.number, open.channel);
        let next = open.subscriptions.keys().map(|number| number.0 + 1).max().unwrap_or(0);
        let filter =
            word.map(|word| Filter { kind: FilterKind::Exact, bytes: vec![b'a' + word as u8] });
        let filters = Filters(filter.into_iter().collect());
        let sent: Vec<EventId> = self.ledger.sent.keys().copied().collect();
        let now = self.now;
        let machine = self.machine(program.machine);
        let stored = sent.into_iter().filter(|id| machine.node.retained(channel, *id).is_some());
        let stored: BTreeSet<EventId> = stored.collect();
        let (local, inboxes) = (machine.time(now), &mut machine.inboxes);
        let subscription = SubscriptionNo(next);
        machine
            .node
            .subscribe(program.process, number, subscription, filters, local, inboxes)
            .unwrap();
        let open = &mut self.ledger.opens[at];
        open.note_stored(stored);
        open.subscriptions.insert(subscription, word);
    }

    pub(crate) fn unsubscribe(&mut self, at: usize) {
        // What is in the window already is the agent's to look through; here it is read first.
        self.read(self.ledger.opens[at].program, usize::MAX);
        let open = &mut self.ledger.opens[at];
        let Some((number, _)) = open.subscriptions.pop_first() else { return };
        open.note_unsubscribed();
        let (program, instance) = (open.program, open.number);
        let machine = self.machine(program.machine);
        machine.node.unsubscribe(program.process, instance, number).unwrap();
    }

    /// Whether what is published now has to wait: the program is told to try again.
    pub(crate) fn is_held(&self, at: usize, priority: u8) -> bool {
        let open = &self.ledger.opens[at];
        let node = &self.machines[open.program.machine].as_ref().unwrap().node;
        let priority = Priority::new(priority).unwrap();
        node.is_patient() && node.holds_back(open.program.process, open.number, priority)
    }

    pub(crate) fn publish(
        &mut self,
        at: usize,
        word: usize,
        priority: u8,
        retention: u64,
    ) -> EventId {
        let open = &self.ledger.opens[at];
        let (program, instance, channel) = (open.program, open.number, open.channel);
        let ids = &mut self.programs.iter_mut().find(|(known, _)| *known == program).unwrap().1;
        let id = ids.next();
        self.serial += 1;
        let pattern = [b'a' + word as u8];
        let attributes = Attributes::pack(&Name::EMPTY, [&pattern[..]].into_iter()).unwrap();
        let data = self.serial.to_le_bytes().repeat(1 + self.serial as usize % 40);
        let priority = Priority::new(priority).unwrap();
        let event = Event {
            subscription: SubscriptionNo(0),
            id,
            publish_time: self.serial as i64,
            retention: Span(retention),
            left: Span::ZERO,
            priority,
            attributes: attributes.packed().to_vec(),
            data: data.clone(),
        };
        let (serial, at) = (self.serial, self.now);
        let sent = Sent { serial, at, by: program, channel, event, clear_asked: false };
        self.ledger.sent.insert(id, sent);
        self.note_owed(id, word);
        let publication = Publication {
            instance,
            id,
            publish_time: serial as i64,
            retention: Span(retention),
            priority,
            attributes: attributes.packed(),
            data_bytes: data.len() as u64,
        };
        let now = self.now;
        let machine = self.machine(program.machine);
        if retention > 0 {
            machine.node.grant_credit(program.process, 1, 1 << 10);
        }
        machine.inboxes.in_flight = data;
        let (local, inboxes) = (machine.time(now), &mut machine.inboxes);
        machine.node.publish(program.process, &publication, u32::MAX, local, inboxes).unwrap();
        machine.with(now, |cluster, world| cluster.pump(world));
        id
    }

    /// Who must hear of an event: whoever has a subscription on what its machine knows as the
    /// channel. Where the publisher dies, only if its channel and machine are known there.
    fn note_owed(&mut self, id: EventId, word: usize) {
        let Self { ledger, machines, .. } = self;
        let Ledger { opens, sent, .. } = ledger;
        let sent = &sent[&id];
        let publisher = machines[sent.by.machine].as_ref().unwrap().cluster.own();
        for open in opens.iter_mut().filter(|open| open.alive && open.wants(word)) {
            let Some(machine) = &machines[open.program.machine] else { continue };
            if machine.node.primary(sent.channel) != Some(open.channel) {
                continue;
            }
            let own = open.program.machine == sent.by.machine;
            let entry = machine.cluster.directory().find(sent.channel);
            let known =
                entry.is_some_and(|(_, entry)| entry.has(publisher.member, Roles::PUBLISHER));
            let near = own || (known && machine.cluster.has_session(publisher));
            open.owe(id, near);
        }
    }

    /// A program reads at most so many events.
    pub(crate) fn read(&mut self, program: Program, most: usize) {
        let to = Target { process: program.process, library: LIBRARY };
        let now = self.now;
        for _ in 0..most {
            let machine = self.machine(program.machine);
            let local = machine.time(now);
            machine.node.drain(to, local, &mut machine.inboxes);
            let Some(record) = machine.inboxes.take(to) else { return };
            let Some(at) = self.ledger.position(program, record.instance) else { continue };
            match record.event {
                Some(event) => self.ledger.deliver(at, &event),
                None => self.ledger.lose(at, now),
            }
        }
    }

    pub(crate) fn read_all(&mut self) {
        let programs: Vec<Program> = self.programs.iter().map(|(program, _)| *program).collect();
        for program in programs {
            if self.is_up(program.machine) {
                self.read(program, usize::MAX);
            }
        }
    }
}
