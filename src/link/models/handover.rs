//! The hand-over of replies: whoever waits gets its reply, or learns that there is none.

use super::explore;
use crate::link::handover::{Handover, Turn};
use crate::link::sync::{AtomicU32, Condvar, Mutex, Ordering, lock};
use loom::sync::Arc;
use loom::thread;
use std::collections::VecDeque;

/// The socket and the kick of a connection: a leader sleeps until one of them has something.
#[derive(Default)]
struct Wire {
    arrived: VecDeque<u32>,
    hung_up: bool,
    kicked: bool,
}

struct Connection {
    wire: Mutex<Wire>,
    readable: Condvar,
    handover: Handover<u32>,
    finalized: AtomicU32,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Reply(u32),
    Lost,
    Cancelled,
}

impl Connection {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            wire: Mutex::new(Wire::default()),
            readable: Condvar::new(),
            handover: Handover::default(),
            finalized: AtomicU32::new(0),
        })
    }

    fn node_replies(&self, id: u32) {
        lock(&self.wire).arrived.push_back(id);
        self.readable.notify_all();
    }

    fn node_dies(&self) {
        lock(&self.wire).hung_up = true;
        self.readable.notify_all();
    }

    /// As `Connection::pump` of the agent. False when the node has gone.
    fn pump(&self) -> bool {
        loop {
            let mut wire = lock(&self.wire);
            let Some(id) = wire.arrived.pop_front() else { return !wire.hung_up };
            drop(wire);
            let _ = self.handover.deliver(id, id);
        }
    }

    /// As `Connection::lead`: sleeps until a message, the end or a kick.
    fn lead(&self) -> bool {
        let mut wire = lock(&self.wire);
        while wire.arrived.is_empty() && !wire.hung_up && !wire.kicked {
            wire = self.readable.wait(wire).unwrap();
        }
        wire.kicked = false;
        drop(wire);
        self.pump()
    }

    /// As `Connection::wait`, without a deadline.
    fn wait(&self, id: u32, mine: bool) -> Outcome {
        let cancelled = || mine && self.finalized.load(Ordering::Acquire) == 1;
        loop {
            let rest = |changed: &Condvar, guard: crate::link::handover::Guard<'_, u32>| {
                guard.wait(changed);
            };
            match self.handover.turn(id, || !cancelled(), rest) {
                Turn::Reply(reply) => return Outcome::Reply(reply),
                Turn::Ended => return Outcome::Lost,
                Turn::Lead => {
                    let alive = self.lead();
                    self.handover.leave();
                    if !alive {
                        self.handover.end();
                    }
                }
                Turn::Look => {}
            }
            if cancelled() {
                return self.handover.forget(id).map_or(Outcome::Cancelled, Outcome::Reply);
            }
        }
    }

    /// As finalize: `Library::end` and `Connection::kick`.
    fn finalize(&self) {
        self.finalized.store(1, Ordering::Release);
        lock(&self.wire).kicked = true;
        self.readable.notify_all();
        self.handover.wake();
    }

    /// As `Link::look`.
    fn look(&self) {
        if self.handover.try_lead() {
            let alive = self.pump();
            self.handover.leave();
            if !alive {
                self.handover.end();
            }
        }
    }
}

fn waiter(connection: &Arc<Connection>, id: u32, mine: bool) -> thread::JoinHandle<Outcome> {
    let connection = Arc::clone(connection);
    thread::spawn(move || connection.wait(id, mine))
}

#[test]
fn two_threads_get_their_replies_in_any_order() {
    for order in [[1, 2], [2, 1]] {
        explore(2, move || {
            let connection = Connection::new();
            assert!(connection.handover.register(1) && connection.handover.register(2));
            let first = waiter(&connection, 1, false);
            let second = waiter(&connection, 2, false);
            order.into_iter().for_each(|id| connection.node_replies(id));
            assert_eq!(first.join().unwrap(), Outcome::Reply(1));
            assert_eq!(second.join().unwrap(), Outcome::Reply(2));
        });
    }
}

#[test]
fn a_reply_that_somebody_else_reads_is_handed_over() {
    explore(3, || {
        let connection = Connection::new();
        assert!(connection.handover.register(1));
        let first = waiter(&connection, 1, false);
        connection.node_replies(1);
        connection.look();
        assert_eq!(first.join().unwrap(), Outcome::Reply(1));
    });
}

#[test]
fn finalize_wakes_the_one_that_waits_and_leaves_the_other_waiting() {
    explore(2, || {
        let connection = Connection::new();
        assert!(connection.handover.register(1) && connection.handover.register(2));
        let cancelled = waiter(&connection, 1, true);
        let other = waiter(&connection, 2, false);
        connection.finalize();
        assert_eq!(cancelled.join().unwrap(), Outcome::Cancelled);
        connection.node_replies(2);
        assert_eq!(other.join().unwrap(), Outcome::Reply(2));
    });
}

#[test]
fn a_late_reply_is_given_to_nobody_and_holds_nobody_up() {
    explore(2, || {
        let connection = Connection::new();
        assert!(connection.handover.register(1) && connection.handover.register(2));
        let cancelled = waiter(&connection, 1, true);
        let other = waiter(&connection, 2, false);
        connection.finalize();
        connection.node_replies(1);
        connection.node_replies(2);
        assert!(matches!(cancelled.join().unwrap(), Outcome::Cancelled | Outcome::Reply(1)));
        assert_eq!(other.join().unwrap(), Outcome::Reply(2));
        assert_eq!(connection.handover.deliver(1, 1), Some(1), "nobody waits any more");
    });
}

#[test]
fn the_end_of_the_node_reaches_all_who_wait() {
    explore(2, || {
        let connection = Connection::new();
        assert!(connection.handover.register(1) && connection.handover.register(2));
        let waiters = [1, 2].map(|id| (id, waiter(&connection, id, false)));
        connection.node_replies(1);
        connection.node_dies();
        for (id, waiter) in waiters {
            let outcome = waiter.join().unwrap();
            assert!(outcome == Outcome::Lost || (id == 1 && outcome == Outcome::Reply(1)));
        }
        assert!(!connection.handover.register(3), "nobody begins to wait on a dead link");
    });
}

/// What somebody else does while this thread leads, and what the follower must then be told.
fn told(act: impl Fn(&Connection) + Send + Sync + 'static, outcome: Outcome) {
    let outcome = Arc::new(outcome);
    explore(3, move || {
        let connection = Connection::new();
        assert!(connection.handover.register(1) && connection.handover.try_lead());
        let follower = waiter(&connection, 1, true);
        act(&connection);
        assert_eq!(follower.join().unwrap(), *outcome);
        connection.handover.leave();
    });
}

#[test]
fn a_follower_is_told_while_the_leader_goes_on() {
    told(|connection| assert_eq!(connection.handover.deliver(1, 5), None), Outcome::Reply(5));
    told(|connection| connection.handover.end(), Outcome::Lost);
    told(Connection::finalize, Outcome::Cancelled);
}

#[test]
fn giving_up_does_not_throw_a_reply_away() {
    explore(1, || {
        let connection = Connection::new();
        assert!(connection.handover.register(1));
        assert_eq!(connection.handover.deliver(1, 5), None);
        assert_eq!(connection.handover.forget(1), Some(5));
    });
}
