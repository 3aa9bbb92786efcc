//! Who sleeps is woken: the bells of both directions, with the rings they are rung for.
//!
//! A sleeper sleeps on a condition that only a ring ends, so a lost wake-up is a deadlock, which
//! loom reports.

use super::explore;
use crate::link::bell::Bell;
use crate::link::inring::{self, InRing};
use crate::link::outring::{self, OutRing, Seen};
use crate::link::sync::{AtomicU32, AtomicU64, Condvar, Mutex, lock};
use loom::sync::Arc;
use loom::thread;

const UNIT: u64 = inring::UNIT;

/// What a sleeper waits on, as a descriptor that is watched: rings, and the agent's own flag.
#[derive(Default)]
struct Watched {
    rings: u32,
    raised: bool,
}

#[derive(Default)]
struct Descriptor {
    state: Mutex<Watched>,
    changed: Condvar,
}

impl Descriptor {
    fn ring(&self) {
        lock(&self.state).rings += 1;
        self.changed.notify_all();
    }

    fn raise(&self, raised: bool) {
        lock(&self.state).raised = raised;
        self.changed.notify_all();
    }

    fn take_rings(&self) {
        lock(&self.state).rings = 0;
    }

    /// As poll on the selection object: leaves what is there.
    fn wait_readable(&self) {
        let mut state = lock(&self.state);
        while state.rings == 0 && !state.raised {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// As an edge-triggered watch: takes what has happened.
    fn wait_edge(&self) {
        let mut state = lock(&self.state);
        while state.rings == 0 {
            state = self.changed.wait(state).unwrap();
        }
        state.rings = 0;
    }
}

/// An inbox of `units` records of one unit, with its bells and descriptors.
struct Inbox {
    units: u64,
    positions: inring::Positions,
    agent_bell: AtomicU32,
    room_bell: AtomicU32,
    /// The selection object.
    object: Descriptor,
    /// The node's eventfd.
    node: Descriptor,
    /// Where the reader stands; the lock of `Library::reader`.
    reader: Mutex<u64>,
}

impl Inbox {
    fn new(units: u64) -> Arc<Self> {
        let inbox = Self {
            units,
            positions: inring::Positions::default(),
            agent_bell: AtomicU32::new(0),
            room_bell: AtomicU32::new(0),
            object: Descriptor::default(),
            node: Descriptor::default(),
            reader: Mutex::new(0),
        };
        // As `Library::new`.
        Bell(&inbox.agent_bell).fall_asleep();
        Arc::new(inbox)
    }

    fn ring(&self) -> InRing<'_> {
        InRing::new(&self.positions, self.units * UNIT)
    }

    /// As `Library::settle`; `look` stands for `has_pending`.
    fn settle(&self, in_vain: bool) {
        let bell = Bell(&self.agent_bell);
        let at = lock(&self.reader);
        if bell.stay_awake() || in_vain {
            self.object.take_rings();
        }
        let look = || self.ring().written() != *at;
        let pending = look() || {
            bell.fall_asleep();
            look()
        };
        if pending {
            if bell.stay_awake() {
                self.object.take_rings();
            }
            self.object.raise(true);
        } else {
            self.object.raise(false);
        }
        drop(at);
        // As `Library::give_room`.
        if Bell(&self.room_bell).must_ring() {
            self.node.ring();
        }
    }

    /// As a dispatch of one callback. Gives how many ran.
    fn dispatch(&self) -> u64 {
        let mut at = lock(&self.reader);
        let there = (self.ring().written() - *at).min(UNIT);
        *at += there;
        if there > 0 {
            self.ring().advance(*at);
        }
        drop(at);
        self.settle(there == 0);
        there / UNIT
    }

    /// A program that waits on its selection object for so many events.
    fn read(&self, events: u64) {
        let mut seen = 0;
        while seen < events {
            self.object.wait_readable();
            seen += self.dispatch();
        }
    }

    /// As `Window::show`.
    fn show(&self, tail: u64) {
        self.ring().show(tail);
        if Bell(&self.agent_bell).must_ring() {
            self.object.ring();
        }
    }

    /// As the core's drain: fills the window from a queue of so many events.
    fn drain(&self, tail: &mut u64, queued: &mut u64) {
        while *queued > 0
            && let Some(room) = self.ring().room(*tail, UNIT, &mut inring::Reader::default())
        {
            *tail = room.position + UNIT;
            *queued -= 1;
        }
        if *queued == 0 {
            let _ = Bell(&self.room_bell).stay_awake();
        }
    }

    /// A node that has so many events for this handle: as `Server::refill` and `settle` in each
    /// turn, and asleep between them.
    fn serve(&self, tail: &mut u64, mut queued: u64) {
        loop {
            let shown = *tail;
            self.drain(tail, &mut queued);
            if queued > 0 {
                Bell(&self.room_bell).fall_asleep();
                self.drain(tail, &mut queued);
            }
            if *tail != shown {
                self.show(*tail);
            }
            if queued == 0 {
                return;
            }
            self.node.wait_edge();
        }
    }
}

#[test]
fn a_program_in_poll_is_woken_for_each_event() {
    explore(4, || {
        let inbox = Inbox::new(4);
        let program = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.read(2))
        };
        inbox.show(UNIT);
        inbox.show(2 * UNIT);
        program.join().unwrap();
    });
}

#[test]
fn an_unsubscribe_in_another_thread_takes_no_wake_up_away() {
    explore(2, || {
        let inbox = Inbox::new(4);
        let program = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.read(2))
        };
        let other = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.settle(false))
        };
        inbox.show(UNIT);
        inbox.show(2 * UNIT);
        program.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_node_that_wants_room_is_rung_when_there_is_some() {
    explore(3, || {
        let inbox = Inbox::new(1);
        let program = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.read(3))
        };
        // One is shown before the window is found to be too small.
        let mut tail = 0;
        inbox.serve(&mut tail, 1);
        inbox.serve(&mut tail, 2);
        program.join().unwrap();
    });
}

/// An outbox ring with the node's bell, and what the node waits on.
struct Outbox {
    positions: outring::Positions,
    commits: Vec<AtomicU64>,
    node_bell: AtomicU32,
    node: Arc<Descriptor>,
}

impl Outbox {
    fn ring(&self) -> OutRing<'_> {
        OutRing::new(&self.positions, &self.commits)
    }

    fn new() -> Arc<Self> {
        Self::at(&Arc::new(Descriptor::default()))
    }

    fn at(node: &Arc<Descriptor>) -> Arc<Self> {
        Arc::new(Self {
            positions: outring::Positions::default(),
            commits: (0..4).map(|_| AtomicU64::new(0)).collect(),
            node_bell: AtomicU32::new(0),
            node: Arc::clone(node),
        })
    }

    /// As `publish` and `Link::ring` of the agent. False if it finds that the node has gone.
    fn publish(&self) -> bool {
        let slot = self.ring().reserve(outring::UNIT).unwrap();
        self.ring().commit(slot);
        let bell = Bell(&self.node_bell);
        if bell.must_ring() {
            self.node.ring();
        }
        !bell.is_gone()
    }

    /// Takes what is there from `next` on, as `Server::take`. Gives where it stops.
    fn take(&self, mut next: u64) -> u64 {
        while let Seen::Record(bytes) = self.ring().look(next) {
            next += bytes;
        }
        self.ring().take(next);
        self.ring().finish(next);
        next
    }

    /// A node that takes so many records, of a program that it does not look at itself.
    fn serve(&self, records: u64) {
        let end = records * outring::UNIT;
        let mut next = 0;
        while next < end {
            next = self.take(next);
            Bell(&self.node_bell).fall_asleep();
            if self.ring().look(next) != Seen::Nothing {
                let _ = Bell(&self.node_bell).stay_awake();
            } else if next < end {
                self.node.wait_edge();
            }
        }
    }
}

/// A node that takes so many records from these outboxes: it looks at them itself while it is
/// awake, as `Server::passes_descriptors` and `Server::look_at_descriptors`.
fn look_at(outboxes: &[Arc<Outbox>], node: &Descriptor, records: u64) {
    let mut next = vec![0; outboxes.len()];
    let some = |outbox: &Outbox, next: u64| outbox.ring().look(next) != Seen::Nothing;
    loop {
        for (outbox, next) in outboxes.iter().zip(&mut next) {
            *next = outbox.take(*next);
        }
        if next.iter().sum::<u64>() == records * outring::UNIT {
            return;
        }
        let mut more = false;
        for (outbox, next) in outboxes.iter().zip(&next) {
            Bell(&outbox.node_bell).fall_asleep();
            if some(outbox, *next) {
                let _ = Bell(&outbox.node_bell).stay_awake();
                more = true;
            }
        }
        if !more {
            node.wait_edge();
        }
        for outbox in outboxes {
            let _ = Bell(&outbox.node_bell).stay_awake();
        }
    }
}

#[test]
fn a_node_that_looks_at_two_programs_itself_sleeps_on_neither() {
    explore(2, || {
        let node = Arc::new(Descriptor::default());
        let outboxes = [Outbox::at(&node), Outbox::at(&node)];
        let others = [0, 1].map(|at: usize| {
            let outbox = Arc::clone(&outboxes[at]);
            thread::spawn(move || outbox.publish())
        });
        look_at(&outboxes, &node, 2);
        others.into_iter().for_each(|other| assert!(other.join().unwrap()));
    });
}

#[test]
fn a_node_at_rest_is_rung_for_what_two_threads_publish() {
    explore(3, || {
        let outbox = Outbox::new();
        let others = [(); 2].map(|()| {
            let outbox = Arc::clone(&outbox);
            thread::spawn(move || outbox.publish())
        });
        outbox.serve(2);
        others.into_iter().for_each(|other| assert!(other.join().unwrap()));
    });
}

#[test]
fn what_the_last_look_of_a_node_misses_its_program_knows_of() {
    explore(3, || {
        let outbox = Outbox::new();
        // At rest, so that a publisher may be about to ring it.
        Bell(&outbox.node_bell).fall_asleep();
        let others = [(); 2].map(|()| {
            let outbox = Arc::clone(&outbox);
            thread::spawn(move || outbox.publish())
        });
        // As `Server::end`.
        Bell(&outbox.node_bell).leave();
        let taken = outbox.take(0) / outring::UNIT;
        // A record behind one that is not committed is missed as well; the other thread knows.
        let unknowing = others.map(|other| other.join().unwrap());
        assert!(taken == 2 || unknowing.contains(&false), "{taken} of 2 are taken");
    });
}
