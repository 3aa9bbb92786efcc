//! The simulated cluster: machines, time and faults.

use crate::Dice;
use crate::desk::Ids;
use crate::ledger::{Ledger, Program};
use crate::machine::{Machine, Saved};
use SaEvt::evt::cluster::{Ask, Plant, Settings, Travels};
use SaEvt::evt::{Error, Limits, Name, OpenFlags, Span};
use SaEvt::transport::Order;
use SaEvt::transport::sim::{Behaviour, Net};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ALL: OpenFlags = OpenFlags::all();
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const HANG: u64 = 600 * MS;
pub(crate) const ALONE: u64 = 400 * MS;
pub(crate) const PATIENCE: u64 = 200 * MS;

/// A request under way.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) program: Program,
    pub(crate) ask: Ask,
    /// Nothing else about the name was under way when it was asked, and how often the name had been
    /// asked about then.
    pub(crate) alone: bool,
    pub(crate) age: u64,
    /// What the answer must be, if nothing else has been asked about the name since, and nothing
    /// broke: the count of that.
    pub(crate) expects: Option<(Result<(), Error>, u64)>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) asked: Asked,
    pub(crate) outcome: Result<(), Error>,
}

pub(crate) struct Bed {
    pub(crate) now: u64,
    pub(crate) net: Net,
    pub(crate) machines: Vec<Option<Machine>>,
    pub(crate) starts: Vec<u32>,
    pub(crate) saved: Vec<Saved>,
    pub(crate) programs: Vec<(Program, Ids)>,
    pub(crate) ledger: Ledger,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) window: usize,
    pub(crate) tickets: BTreeMap<(usize, u64, u64), Asked>,
    pub(crate) answered: Vec<Answered>,
    /// Names that programs have asked about that ended before they had the answer.
    pub(crate) abandoned: BTreeSet<Name>,
    pub(crate) instances: u32,
    pub(crate) serial: u64,
    /// How often each name was asked about: of answers that rest on it, it is the age.
    pub(crate) touched: BTreeMap<Name, u64>,
    pub(crate) faults: u64,
    pub(crate) delay_max: u64,
    /// Half of the longest round trip of a session's first words.
    pub(crate) half_trip_max: u64,
    /// The longest that a machine was stopped: a round trip takes so long then.
    pub(crate) stop_max: u64,
    clocks: Vec<u64>,
    pub(crate) old: Vec<usize>,
}

pub(crate) fn name(number: usize) -> Name {
    Name::new(format!("safChnl=c{number}").as_bytes()).unwrap()
}

/// What a bed is made of.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) members: usize,
    pub(crate) behaviour: Behaviour,
    pub(crate) window: usize,
    pub(crate) queue_events: u64,
    pub(crate) peer_queue: u64,
    pub(crate) plant: Option<Plant>,
    pub(crate) travels: Travels,
    /// Machines that speak the version before this one only.
    pub(crate) old: Vec<usize>,
}

impl Default for Shape {
    fn default() -> Self {
        let behaviour = Behaviour {
            delay_min: MS / 10,
            delay_max: 2 * MS,
            notice: 60 * MS,
            room: 10_000,
            message_bytes_max: 60_000,
            order: Order::Publisher,
        };
        Self {
            members: 3,
            behaviour,
            window: 100,
            queue_events: 1000,
            peer_queue: 1 << 20,
            plant: None,
            travels: Travels::default(),
            old: Vec::new(),
        }
    }
}

/// Pieces of a packet that find no room wait for others to be taken.
fn half_trip_max(behaviour: &Behaviour) -> u64 {
    let pieces = 400 / behaviour.message_bytes_max + 1;
    let waits = if behaviour.room < 100 { 40 * pieces as u64 } else { 0 };
    behaviour.delay_max * (1 + waits)
}

impl Bed {
    pub(crate) fn new(seed: u64, shape: Shape) -> Self {
        let limits = Limits { queue_events_max: shape.queue_events, ..Limits::default() };
        let settings = Settings {
            alone_after: Span(ALONE),
            hang_time: Span(HANG),
            request_timeout: Span(20 * HANG),
            beat_min: Span(20 * MS),
            beat_max: Span(60 * MS),
            peer_queue_bytes_max: shape.peer_queue,
            batch_bytes_max: shape.peer_queue / 8,
            plant: shape.plant,
            travels: shape.travels,
            patience: Span(PATIENCE),
            ..Settings::new(&limits)
        };
        let mut dice = Dice(seed ^ 0x5eed);
        let members = shape.members;
        let clocks = (0..members).map(|_| dice.roll(1 << 40)).collect();
        let mut bed = Self {
            now: 0,
            net: Net::new(seed, shape.behaviour),
            machines: Vec::new(),
            starts: vec![0; members],
            saved: (0..members).map(|_| Saved::default()).collect(),
            programs: Vec::new(),
            ledger: Ledger::default(),
            settings,
            limits,
            window: shape.window,
            tickets: BTreeMap::new(),
            answered: Vec::new(),
            abandoned: BTreeSet::new(),
            instances: 0,
            serial: 0,
            touched: BTreeMap::new(),
            faults: 0,
            delay_max: shape.behaviour.delay_max,
            half_trip_max: half_trip_max(&shape.behaviour),
            stop_max: 0,
            clocks,
            old: shape.old,
        };
        bed.machines.resize_with(members, || None);
        bed
    }

    /// Starts all machines and waits until they serve.
    pub(crate) fn start_all(&mut self) {
        for at in 0..self.machines.len() {
            self.start(at);
        }
        self.run(ALONE + HANG);
        let serve = |machine: &Machine| machine.cluster.is_serving();
        assert!(self.machines.iter().flatten().all(serve), "a cluster that starts serves");
    }

    pub(crate) fn start(&mut self, at: usize) {
        self.starts[at] += 1;
        let saved = std::mem::take(&mut self.saved[at]);
        let (member, start) = (at as u16 + 1, self.starts[at]);
        let version = Settings::VERSION - u16::from(self.old.contains(&at));
        let settings = Settings { version, ..self.settings.clone() };
        let means = (self.limits.clone(), settings, self.window);
        let clock = (self.now, self.clocks[at]);
        self.machines[at] = Some(Machine::start(&self.net, member, start, clock, means, saved));
    }

    /// A machine dies; `keeps`: its state is there at the next start.
    pub(crate) fn crash(&mut self, at: usize, keeps: bool) {
        let Some(machine) = self.machines[at].take() else { return };
        self.starts[at] = machine.cluster.own().start;
        if keeps {
            self.saved[at] = machine.save();
        }
        self.net.detach(at as u32 + 1);
        self.programs.retain(|(program, _)| program.machine != at);
        self.tickets.retain(|(machine, ..), _| *machine != at);
        for open in self.ledger.opens.iter_mut().filter(|open| open.program.machine == at) {
            open.alive = false;
        }
        self.faults += 1;
    }

    pub(crate) fn stop(&mut self, at: usize, time: u64) {
        if let Some(machine) = &mut self.machines[at] {
            machine.stopped_until = self.now + time;
            self.stop_max = self.stop_max.max(time);
        }
    }

    /// The network keeps a machine from all others.
    pub(crate) fn cut_off(&mut self, at: usize) {
        self.net.split(BTreeMap::from([(at as u32 + 1, 1)]));
        self.faults += 1;
    }

    /// The network is whole again.
    pub(crate) fn heal(&mut self) {
        self.net.heal();
        self.faults += 1;
    }

    /// Whether a machine is there and runs.
    pub(crate) fn is_up(&self, at: usize) -> bool {
        self.machines[at].as_ref().is_some_and(|machine| machine.stopped_until <= self.now)
    }

    pub(crate) fn machine(&mut self, at: usize) -> &mut Machine {
        self.machines[at].as_mut().expect("a machine that is up")
    }

    fn work_all(&mut self) {
        for at in 0..self.machines.len() {
            if self.is_up(at) {
                let now = self.now;
                self.machine(at).work(now);
                self.hear_answers(at);
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: u64) {
        let end = self.now + time;
        // What programs have just done goes on its way now.
        self.work_all();
        loop {
            let due = self.machines.iter().flatten().map(Machine::next).min();
            let heard = (0..self.machines.len())
                .any(|at| self.is_up(at) && self.net.is_heard(at as u32 + 1))
                .then_some(self.now);
            let next = due.into_iter().chain(self.net.next()).chain(heard).min().unwrap_or(end);
            self.now = next.max(self.now).min(end);
            self.net.advance(self.now);
            self.work_all();
            if self.now >= end {
                return;
            }
            // Something may be due at this very moment again; time goes on all the same.
            self.now += 1000;
        }
    }
}
