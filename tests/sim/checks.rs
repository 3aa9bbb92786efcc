//! What must hold when the cluster is whole and quiet.

use crate::bed::{Bed, HANG, MS, name};
use SaEvt::evt::OpenFlags;
use SaEvt::evt::node::Totals;
use std::collections::BTreeSet;

impl Bed {
    /// Heals everything and waits until nothing moves.
    pub(crate) fn settle(&mut self) {
        self.net.heal();
        for machine in self.machines.iter_mut().flatten() {
            machine.stopped_until = 0;
        }
        // An engine that carries little takes its time.
        for _ in 0..200 {
            self.run(HANG / 2);
            self.read_all();
            let busy =
                self.machines.iter().flatten().any(|machine| {
                    machine.cluster.unfinished() > 0 || !machine.cluster.is_serving()
                });
            if !busy && self.is_one() {
                break;
            }
        }
        self.run(HANG);
        self.read_all();
    }

    fn is_one(&self) -> bool {
        let live: Vec<_> = self.machines.iter().flatten().collect();
        let views: BTreeSet<_> =
            live.iter().filter_map(|machine| Some(machine.cluster.view()?.0)).collect();
        views.len() == 1
            && live.iter().all(|machine| {
                machine.cluster.view().is_some_and(|(_, members)| members.len() == live.len())
            })
    }

    /// All machines know the same, and what was published is where it must be.
    pub(crate) fn check(&mut self) {
        assert!(self.is_one(), "one view of all: {:?}", self.views());
        let live: Vec<_> = self.machines.iter().flatten().collect();
        for machine in &live {
            let cluster = &machine.cluster;
            assert_eq!(cluster.unfinished(), 0, "something is left to do: {cluster:?}");
            assert!(cluster.directory().is_same(live[0].cluster.directory()), "one directory");
            let held = (self.retained_at(machine), self.retained_at(live[0]));
            // Those that are about to end end here a moment sooner than there.
            let mut differ = held.0.symmetric_difference(&held.1);
            let ends = |id| {
                let sent = &self.ledger.sent[id];
                sent.at + sent.event.retention.0
            };
            let one = differ.all(|id| ends(id).abs_diff(self.now) <= self.slack());
            assert!(one, "one set of events: {held:?}");
        }
        self.check_deadlines();
        self.check_kept();
        self.ledger.check_sequences();
        let machines = &self.machines;
        self.ledger.check_losses(|program| {
            let machine = machines[program.machine].as_ref();
            machine.is_some_and(|machine| machine.incarnation == program.incarnation)
        });
    }

    fn views(&self) -> Vec<String> {
        let live = self.machines.iter().flatten();
        live.map(|m| format!("{:?}: {:?}", m.cluster.own(), m.cluster.view())).collect()
    }

    /// The events retained on linked channels.
    fn retained_at(&self, machine: &crate::machine::Machine) -> BTreeSet<SaEvt::evt::EventId> {
        let ids = machine.cluster.retained_ids().into_iter();
        ids.filter(|id| {
            let channel = self.ledger.sent[id].channel;
            let entry = machine.cluster.directory().find(channel);
            entry.is_some_and(|(_, entry)| entry.linked)
        })
        .collect()
    }

    /// How exact clocks are converted: to half a round trip, for each time an event was handed on;
    /// that is once, and once more for each fault after which somebody had to be brought to it.
    fn slack(&self) -> u64 {
        // In total order it goes by way of the sequencer, to which others may have brought it.
        let ways = if self.ledger.orders() { 4 } else { 1 };
        ways * (1 + self.faults) * (self.half_trip_max + self.stop_max / 2)
    }

    /// Retention ends everywhere at the moment it should, up to the clocks' difference.
    fn check_deadlines(&self) {
        for machine in self.machines.iter().flatten() {
            for id in machine.cluster.retained_ids() {
                let sent = &self.ledger.sent[&id];
                let (_, deadline) =
                    machine.node.retained(sent.channel, id).expect("what is known is there");
                let ends = deadline.0 - machine.ahead;
                let right = sent.at + sent.event.retention.0;
                assert!(ends.abs_diff(right) <= self.slack(), "{id:?}: {ends} for {right}");
                assert!(ends + self.slack() > self.now, "{id:?} ended at {ends}");
            }
        }
    }

    /// What a machine that has lived through everything has retained is still retained.
    fn check_kept(&self) {
        for (id, sent) in &self.ledger.sent {
            let ends = sent.at + sent.event.retention.0;
            let Some(machine) = &self.machines[sent.by.machine] else { continue };
            let entry = machine.cluster.directory().find(sent.channel);
            let linked = entry.is_some_and(|(_, entry)| entry.linked);
            let survived = machine.incarnation == sent.by.incarnation;
            if linked && survived && !sent.clear_asked && ends > self.now + self.slack() {
                assert!(machine.cluster.retained_ids().contains(id), "{id:?} has ended too soon");
            }
        }
    }

    /// A program that comes now gets what is retained, once, on every machine.
    pub(crate) fn check_late_subscribers(&mut self, names: usize) {
        for at in 0..self.machines.len() {
            if self.machines[at].is_none() {
                continue;
            }
            let program = self.connect(at);
            for number in 0..names {
                self.open(program, name(number), OpenFlags::SUBSCRIBER, None);
            }
            self.run(20 * MS + 10 * self.delay_max);
            let own: Vec<usize> = (0..self.ledger.opens.len())
                .filter(|open| {
                    let open = &self.ledger.opens[*open];
                    open.alive && open.program == program
                })
                .collect();
            for open in &own {
                self.subscribe(*open, None);
            }
            self.read(program, usize::MAX);
            for open in own {
                let open = &self.ledger.opens[open];
                let machine = self.machines[at].as_ref().unwrap();
                for id in self.retained_at(machine) {
                    let of = machine.node.primary(self.ledger.sent[&id].channel);
                    assert_eq!(open.has_had(id), of == Some(open.channel), "{id:?} {open:?}");
                }
            }
        }
    }

    /// When all programs have gone nothing of them is left.
    pub(crate) fn check_leftovers(&mut self) {
        for (program, _) in self.programs.clone() {
            self.disconnect(program);
        }
        self.settle();
        for machine in self.machines.iter().flatten() {
            let totals = machine.node.statistics(&mut |_| ());
            let empty = Totals {
                channels: totals.channels,
                retained_events: totals.retained_events,
                retained_bytes: totals.retained_bytes,
                publications: totals.publications,
                lost_events: totals.lost_events,
                ..Totals::default()
            };
            assert_eq!(totals, empty, "programs leave nothing");
            let entries = machine.cluster.directory().entries();
            assert_eq!(totals.channels, entries.len() as u64, "channels are those of the cluster");
            assert!(entries.values().all(|entry| entry.linked && entry.roles.is_empty()));
            assert_eq!(totals.retained_events, machine.cluster.retained_ids().len() as u64);
        }
    }
}
