//! What happens in a simulation: all of it from one seed.

use crate::Dice;
use crate::bed::{ALONE, Bed, HANG, MS, Shape, name};
use crate::ledger::Program;
use SaEvt::evt::cluster::{Ask, Ordering, Plant, Remote, Travel, Travels};
use SaEvt::evt::{Error, NamePattern, OpenFlags, Priority};
use SaEvt::transport::Order;
use SaEvt::transport::sim::Behaviour;
use std::collections::BTreeMap;

const NAMES: usize = 4;
const WORDS: u64 = 3;
const STEPS: u64 = 160;

pub(crate) struct Story {
    dice: Dice,
    bed: Bed,
    /// Faults come in some seeds only, so that the others show what must hold without.
    with_faults: bool,
    retention: u64,
}

fn shape(dice: &mut Dice, plant: Option<Plant>) -> Shape {
    let delay_max = *dice.pick(&[MS, 2 * MS, 8 * MS]);
    let behaviour = Behaviour {
        delay_min: MS / 20,
        delay_max,
        notice: *dice.pick(&[20 * MS, 60 * MS, 150 * MS]),
        room: *dice.pick(&[4, 30, 100_000]),
        message_bytes_max: *dice.pick(&[64, 500, 60_000]),
        order: *dice.pick(&[Order::Publisher, Order::Publisher, Order::Total]),
    };
    let members = *dice.pick(&[2, 2, 3, 3, 3, 4, 5]);
    let window = *dice.pick(&[3, 20, 1000]);
    let queue_events = *dice.pick(&[5, 1000, 1000]);
    let peer_queue = *dice.pick(&[2000, 20_000, 1 << 20]);
    // In a cluster that is being upgraded nothing new is used.
    let mixed = dice.roll(4) == 0;
    let old = (0..members).filter(|_| mixed && dice.roll(2) == 0).collect();
    let travels = travels(dice, mixed);
    Shape { members, behaviour, window, queue_events, peer_queue, plant, travels, old }
}

/// Publishers of some names wait for slow members, events of some are in total order.
fn travels(dice: &mut Dice, mixed: bool) -> Travels {
    let remotes = [Remote::Drop, Remote::Backpressure];
    let orderings = [Ordering::Publisher, Ordering::Total];
    let number = if mixed { 1 } else { 2 };
    let some = ["safChnl=c0", "safChnl=c1*", "safChnl=c2"].map(|name| {
        let (remote, ordering) = (*dice.pick(&remotes), *dice.pick(&orderings[..number]));
        (NamePattern::new(name), Travel { remote, ordering })
    });
    Travels { all: Travel::default(), some: some.to_vec() }
}

impl Story {
    /// Plays a seed; panics when something is not as promised.
    pub(crate) fn tell(seed: u64, plant: Option<Plant>) {
        let mut dice = Dice(seed);
        let shape = shape(&mut dice, plant);
        let with_faults = dice.roll(4) > 0;
        let retention = *dice.pick(&[100 * MS, 3000 * MS, 100_000 * MS]);
        let bed = Bed::new(seed, shape);
        let mut story = Self { dice, bed, with_faults, retention };
        story.begin();
        for _ in 0..STEPS {
            let pause = *story.dice.pick(&[0, 0, MS / 3, MS, 5 * MS, 20 * MS]);
            story.bed.run(pause);
            story.step();
        }
        if story.bed.machines.iter().all(Option::is_none) {
            story.bed.start(0);
        }
        story.bed.settle();
        story.bed.check();
        story.bed.check_late_subscribers(NAMES);
        story.bed.settle();
        story.bed.check();
        story.bed.check_leftovers();
    }

    fn begin(&mut self) {
        for at in 0..self.bed.machines.len() {
            self.bed.start(at);
            // Without faults nobody begins alone.
            if self.with_faults && self.dice.roll(3) == 0 {
                self.bed.run(self.dice.roll(2 * ALONE));
            }
        }
        if self.dice.roll(4) > 0 {
            self.bed.run(ALONE + HANG);
        }
        for at in 0..self.bed.machines.len() {
            self.bed.connect(at);
        }
    }

    fn program(&mut self) -> Option<Program> {
        let up: Vec<Program> = self.bed.programs.iter().map(|(program, _)| *program).collect();
        let up: Vec<Program> =
            up.into_iter().filter(|program| self.bed.is_up(program.machine)).collect();
        if up.is_empty() { None } else { Some(*self.dice.pick(&up)) }
    }

    /// An open instance that lives and has a flag.
    fn instance(&mut self, flag: OpenFlags) -> Option<usize> {
        let opens = self.bed.ledger.opens.iter().enumerate();
        let fit: Vec<usize> = opens
            .filter(|(_, open)| open.alive && open.flags.contains(flag))
            .filter(|(_, open)| self.bed.is_up(open.program.machine))
            .map(|(at, _)| at)
            .collect();
        if fit.is_empty() { None } else { Some(*self.dice.pick(&fit)) }
    }

    fn machine(&mut self) -> usize {
        self.dice.roll(self.bed.machines.len() as u64) as usize
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..3 => self.connect(),
            3..4 => self.disconnect(),
            4..22 => self.open(),
            22..25 => self.close(),
            25..28 => self.unlink(),
            28..40 => self.subscribe(),
            40..42 => self.unsubscribe(),
            42..70 => self.publish(),
            70..72 => self.clear(),
            72..86 => self.read(),
            86..91 => self.look_elsewhere(),
            _ if self.with_faults => self.break_something(),
            _ => self.publish(),
        }
    }

    fn connect(&mut self) {
        let at = self.machine();
        if self.bed.is_up(at) && self.bed.programs.len() < 12 {
            self.bed.connect(at);
        }
    }

    fn disconnect(&mut self) {
        if let Some(program) = self.program() {
            self.bed.disconnect(program);
        }
    }

    fn open(&mut self) {
        let Some(program) = self.program() else { return };
        let flags = match self.dice.roll(6) {
            0 => OpenFlags::PUBLISHER,
            1 => OpenFlags::SUBSCRIBER,
            2 => OpenFlags::PUBLISHER | OpenFlags::CREATE,
            3 => OpenFlags::SUBSCRIBER | OpenFlags::CREATE,
            _ => OpenFlags::PUBLISHER | OpenFlags::SUBSCRIBER | OpenFlags::CREATE,
        };
        let name = name(self.dice.roll(NAMES as u64) as usize);
        self.bed.open(program, name, flags, None);
    }

    fn close(&mut self) {
        if let Some(at) = self.instance(OpenFlags::empty()) {
            self.bed.close(at);
        }
    }

    fn unlink(&mut self) {
        let Some(program) = self.program() else { return };
        let name = name(self.dice.roll(NAMES as u64) as usize);
        self.bed.unlink(program, name);
    }

    fn subscribe(&mut self) {
        let Some(at) = self.instance(OpenFlags::SUBSCRIBER) else { return };
        if self.bed.ledger.opens[at].subscriptions.len() < 3 {
            let word = self.dice.roll(WORDS + 2);
            self.bed.subscribe(at, (word < WORDS).then_some(word as usize));
        }
    }

    fn unsubscribe(&mut self) {
        if let Some(at) = self.instance(OpenFlags::SUBSCRIBER) {
            self.bed.unsubscribe(at);
        }
    }

    fn publish(&mut self) {
        let Some(at) = self.instance(OpenFlags::PUBLISHER) else { return };
        for _ in 0..*self.dice.pick(&[1, 1, 1, 2, 20]) {
            let word = self.dice.roll(WORDS) as usize;
            let priority = self.dice.roll(Priority::LEVELS as u64) as u8;
            let retention = if self.dice.roll(4) == 0 { self.retention } else { 0 };
            if self.bed.is_held(at, priority) {
                return;
            }
            self.bed.publish(at, word, priority, retention);
        }
    }

    fn clear(&mut self) {
        let Some(at) = self.instance(OpenFlags::empty()) else { return };
        let channel = self.bed.ledger.opens[at].channel;
        let retained = self.bed.ledger.sent.iter().filter(|(_, sent)| {
            sent.event.retention.0 > 0 && sent.channel == channel && !sent.clear_asked
        });
        let ids: Vec<_> = retained.map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            let id = *self.dice.pick(&ids);
            self.bed.clear(at, id);
        }
    }

    fn read(&mut self) {
        if let Some(program) = self.program() {
            let most = *self.dice.pick(&[1, 5, 1000]);
            self.bed.read(program, most);
        }
    }

    /// A program hears by other ways of what another one has been answered, and looks for itself.
    fn look_elsewhere(&mut self) {
        let Some(program) = self.program() else { return };
        let last = self.bed.answered.iter().rev().find_map(|answered| match &answered.asked.ask {
            Ask::Open { name, flags, .. } if flags.contains(OpenFlags::CREATE) => {
                answered.outcome.ok().map(|()| (*name, Ok(()), answered.asked.clone()))
            }
            Ask::Unlink { name } => {
                let outcome = answered.outcome.ok();
                outcome.map(|()| (*name, Err(Error::NotExist), answered.asked.clone()))
            }
            _ => None,
        });
        let Some((name, expected, asked)) = last else { return };
        // With faults a name may be another thing on each side.
        let expects =
            (!self.with_faults && self.bed.is_last_word(&name, &asked)).then_some(expected);
        self.bed.open(program, name, OpenFlags::PUBLISHER, expects);
    }

    fn break_something(&mut self) {
        let at = self.machine();
        let number = self.bed.machines.len() as u64;
        match self.dice.roll(10) {
            0..2 => {
                let keeps = self.dice.roll(2) == 0;
                self.bed.crash(at, keeps);
            }
            2..5 => {
                for at in 0..self.bed.machines.len() {
                    if self.bed.machines[at].is_none() {
                        self.bed.start(at);
                        self.bed.connect(at);
                    }
                }
            }
            5..7 => {
                let parts: BTreeMap<u32, u32> =
                    (1..=number as u32).map(|node| (node, self.dice.roll(3) as u32)).collect();
                self.bed.net.split(parts);
                self.bed.faults += 1;
            }
            7..9 => {
                self.bed.net.heal();
                self.bed.faults += 1;
            }
            _ => {
                let time = *self.dice.pick(&[10 * MS, HANG / 2, 2 * HANG]);
                self.bed.stop(at, time);
            }
        }
        if self.dice.roll(2) == 0 {
            let time = *self.dice.pick(&[100 * MS, HANG, 2 * HANG]);
            self.bed.run(time);
        }
    }
}
