//! What the live view knows: looks at the service, and what has changed between them.

use SaEvt::api::{ChannelStatus, Name, NodeStatus, ProgramStatus};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Looks that are remembered for the curves.
const HISTORY: usize = 240;

/// One look at the service.
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) node: NodeStatus,
    pub(super) channels: Vec<ChannelStatus>,
    pub(super) programs: Vec<ProgramStatus>,
}

/// A channel and how fast it changes.
#[derive(Debug, Clone)]
pub(super) struct ChannelRow {
    pub(super) status: ChannelStatus,
    /// Events in a second.
    pub(super) rate: f64,
    /// Lost-events since the look before.
    pub(super) losses: u64,
}

/// A program and how fast it changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProgramRow {
    pub(super) status: ProgramStatus,
    /// Events that it publishes in a second.
    pub(super) rate: f64,
    /// Lost-events since the look before.
    pub(super) losses: u64,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Page {
    #[default]
    Channels,
    Programs,
    /// The channel that was chosen.
    Channel,
}

/// What the channels are sorted by, with the words of the heads.
pub(super) const CHANNEL_ORDERS: [&str; 6] =
    ["EVENTS/S", "CHANNEL", "EVENTS", "SUB", "RETAINED", "LOST"];
/// What the programs are sorted by: what waits is what a slow one shows first.
pub(super) const PROGRAM_ORDERS: [&str; 6] =
    ["WAITING", "LOST", "EVENTS/S", "PUBLISHED", "PID", "SHARED"];

/// Rates of the latest looks, the oldest first.
pub(super) type Curve = VecDeque<u64>;

/// Everything.
#[derive(Default)]
pub(super) struct Board {
    pub(super) node: Option<NodeStatus>,
    pub(super) channels: Vec<ChannelRow>,
    pub(super) programs: Vec<ProgramRow>,
    pub(super) page: Page,
    pub(super) chosen: Option<Name>,
    pub(super) is_reversed: bool,
    pub(super) is_paused: bool,
    pub(super) trouble: Option<String>,
    /// Events in a second over all channels.
    pub(super) curve: Curve,
    pub(super) curves: BTreeMap<Name, Curve>,
    row: usize,
    channel_order: usize,
    program_order: usize,
    before: Option<Look>,
}

fn remember(curve: &mut Curve, rate: f64) {
    curve.push_back(rate.round() as u64);
    if curve.len() > HISTORY {
        curve.pop_front();
    }
}

impl Board {
    /// Takes a new look in.
    pub(super) fn take(&mut self, look: Look) {
        let seconds = self.before.as_ref().map(|before| (look.at - before.at).as_secs_f64());
        // A counter that began anew has grown by what it says.
        let rate = |now: u64, before: Option<u64>| match (before, seconds) {
            (Some(before), Some(seconds)) if seconds > 0.0 => {
                now.checked_sub(before).unwrap_or(now) as f64 / seconds
            }
            _ => 0.0,
        };
        let grown = |now: u64, before: Option<u64>| {
            before.map_or(0, |before| now.checked_sub(before).unwrap_or(now))
        };
        let before = self.before.as_ref();
        let known: BTreeMap<_, _> = before
            .map(|before| before.channels.iter().map(|one| ((one.name, one.linked), one)))
            .into_iter()
            .flatten()
            .collect();
        let channels = look.channels.iter().map(|status| {
            let old = known.get(&(status.name, status.linked));
            ChannelRow {
                rate: rate(status.publications, old.map(|old| old.publications)),
                losses: grown(status.lost_events, old.map(|old| old.lost_events)),
                status: status.clone(),
            }
        });
        let channels: Vec<_> = channels.collect();
        let known: BTreeMap<_, _> = before
            .map(|before| before.programs.iter().map(|one| (one.pid, one)))
            .into_iter()
            .flatten()
            .collect();
        let programs = look.programs.iter().filter(|one| one.pid != std::process::id());
        let programs = programs.map(|status| {
            let old = known.get(&status.pid);
            ProgramRow {
                rate: rate(status.publications, old.map(|old| old.publications)),
                losses: grown(status.lost_events, old.map(|old| old.lost_events)),
                status: *status,
            }
        });
        let programs: Vec<_> = programs.collect();
        remember(&mut self.curve, channels.iter().map(|channel| channel.rate).sum());
        self.curves.retain(|name, _| channels.iter().any(|row| row.status.name == *name));
        for row in channels.iter().filter(|row| row.status.linked) {
            remember(self.curves.entry(row.status.name).or_default(), row.rate);
        }
        self.channels = channels;
        self.programs = programs;
        self.node = Some(look.node.clone());
        self.before = Some(look);
        self.trouble = None;
        self.sort();
    }

    fn sort(&mut self) {
        type Key = (std::cmp::Reverse<u64>, Name);
        let most = |number: u64| std::cmp::Reverse(number);
        let order = self.channel_order;
        self.channels.sort_by_key(|row| -> Key {
            let status = &row.status;
            let number = match CHANNEL_ORDERS[order] {
                "EVENTS/S" => (row.rate * 1000.0) as u64,
                "EVENTS" => status.publications,
                "SUB" => status.subscribers,
                "RETAINED" => status.retained_events,
                "LOST" => status.lost_events,
                _ => 0,
            };
            (most(number), status.name)
        });
        let order = self.program_order;
        self.programs.sort_by_key(|row| {
            let status = &row.status;
            let number = match PROGRAM_ORDERS[order] {
                "WAITING" => waiting(status),
                "LOST" => status.lost_events,
                "EVENTS/S" => (row.rate * 1000.0) as u64,
                "PUBLISHED" => status.publications,
                "SHARED" => status.shared_bytes,
                _ => 0,
            };
            (most(number), status.pid)
        });
        if self.is_reversed {
            self.channels.reverse();
            self.programs.reverse();
        }
    }

    /// What the rows of the page are sorted by.
    pub(super) fn order(&self) -> &'static str {
        match self.page {
            Page::Programs => PROGRAM_ORDERS[self.program_order],
            _ => CHANNEL_ORDERS[self.channel_order],
        }
    }

    /// The row that is marked.
    pub(super) fn row(&self) -> usize {
        self.row.min(self.rows().saturating_sub(1))
    }

    fn rows(&self) -> usize {
        match self.page {
            Page::Channels => self.channels.len(),
            Page::Programs => self.programs.len(),
            Page::Channel => 0,
        }
    }

    /// The channel that is shown alone.
    pub(super) fn channel(&self) -> Option<&ChannelRow> {
        let chosen = self.chosen.as_ref()?;
        self.channels.iter().find(|row| row.status.name == *chosen)
    }

    /// Marks a row further on or back.
    pub(super) fn step(&mut self, rows: isize) {
        self.row = self.row().saturating_add_signed(rows).min(self.rows().saturating_sub(1));
    }

    /// Goes from channels to programs and back.
    pub(super) fn go_aside(&mut self) {
        self.page = if self.page == Page::Channels { Page::Programs } else { Page::Channels };
        self.row = 0;
    }

    /// Shows the marked channel alone.
    pub(super) fn go_in(&mut self) {
        if self.page == Page::Channels
            && let Some(row) = self.channels.get(self.row())
        {
            self.chosen = Some(row.status.name);
            self.page = Page::Channel;
        }
    }

    /// Goes back to the channels.
    pub(super) fn go_back(&mut self) {
        if self.page == Page::Channel {
            let row = self.channels.iter().position(|row| Some(row.status.name) == self.chosen);
            self.row = row.unwrap_or_default();
        }
        self.page = Page::Channels;
    }

    /// Sorts by the next column.
    pub(super) fn sort_by_next(&mut self) {
        match self.page {
            Page::Programs => self.program_order = (self.program_order + 1) % PROGRAM_ORDERS.len(),
            _ => self.channel_order = (self.channel_order + 1) % CHANNEL_ORDERS.len(),
        }
        self.sort();
    }

    /// Turns the order round.
    pub(super) fn turn_round(&mut self) {
        self.is_reversed = !self.is_reversed;
        self.sort();
    }
}

/// Bytes that wait for a program, in the daemon and in shared memory.
pub(super) const fn waiting(program: &ProgramStatus) -> u64 {
    program.queued_bytes.saturating_add(program.unread_bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    pub(in crate::cli::top) fn look(at: Instant, channels: &[(&str, u64)]) -> Look {
        let status = |(name, publications): &(&str, u64)| ChannelStatus {
            name: Name::new(name.as_bytes()).unwrap(),
            linked: true,
            created_ns: 0,
            openers: 3,
            publishers: 2,
            subscribers: 1,
            publications: *publications,
            retained_events: 4,
            retained_bytes: 5000,
            lost_events: 0,
        };
        let program = |pid, queued_bytes| ProgramStatus {
            pid,
            uid: 0,
            gid: 0,
            libraries: 1,
            instances: 1,
            subscriptions: 1,
            filter_bytes: 0,
            queued_events: 0,
            queued_bytes,
            unread_bytes: 0,
            publications: 0,
            lost_events: 0,
            refusals: 0,
            shared_bytes: 1 << 20,
            user_retained_events: 0,
            user_retained_bytes: 0,
        };
        Look {
            at,
            node: NodeStatus {
                version: "9.9".into(),
                link_version: 1,
                pid: 77,
                start: 1,
                since_ns: 0,
                counters: vec![("lost_events".into(), 12)],
            },
            channels: channels.iter().map(status).collect(),
            // No process has these numbers.
            programs: vec![program(u32::MAX, 10), program(u32::MAX - 1, 20)],
        }
    }

    pub(in crate::cli::top) fn board() -> Board {
        let begin = Instant::now();
        let mut board = Board::default();
        board.take(look(begin, &[("a", 100), ("b", 100), ("c", 100)]));
        let later = begin + Duration::from_secs(2);
        board.take(look(later, &[("a", 100), ("b", 120), ("c", 110), ("d", 7)]));
        board
    }

    fn names(board: &Board) -> String {
        board.channels.iter().map(|row| row.status.name.to_string()).collect()
    }

    #[test]
    fn rates_come_from_two_looks_and_the_fastest_stands_first() {
        let mut board = board();
        assert_eq!(names(&board), "bcad");
        assert_eq!(board.channels[0].rate, 10.0);
        assert_eq!(board.curve, [0, 15]);
        assert_eq!(board.programs[0].status.queued_bytes, 20, "the slowest");
        board.sort_by_next();
        assert_eq!((board.order(), names(&board).as_str()), ("CHANNEL", "abcd"));
        board.turn_round();
        assert_eq!(names(&board), "dcba");
    }

    #[test]
    fn a_counter_that_began_anew_gives_no_nonsense() {
        let mut board = board();
        let later = board.before.as_ref().unwrap().at + Duration::from_secs(1);
        board.take(look(later, &[("b", 5)]));
        assert_eq!(board.channels[0].rate, 5.0);
        assert_eq!(board.curves.len(), 1, "what has gone is forgotten");
    }

    #[test]
    fn marks_stay_among_the_rows() {
        let mut board = board();
        board.step(isize::MIN);
        assert_eq!(board.row(), 0);
        board.step(isize::MAX);
        assert_eq!(board.row(), 3);
        board.step(-1);
        board.go_in();
        assert_eq!(board.channel().unwrap().status.name.to_string(), "a");
        board.go_back();
        assert_eq!((board.page, board.row()), (Page::Channels, 2));
        board.go_aside();
        board.step(5);
        assert_eq!((board.page, board.row()), (Page::Programs, 1));
    }
}
