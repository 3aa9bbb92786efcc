//! Between the loop and the engine's thread: two bounded queues and two bells.

use super::frame::Address;
use super::group::Told;
use crate::sys::descriptor;
use crate::transport::{PeerId, ServiceRange, Standing};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes that may wait for the engine: enough that it never runs dry while the loop has a turn.
const OUTGOING_BYTES_MAX: usize = 2 << 20;

/// And how many: more would wait longer than it takes the loop to come again.
const OUTGOING_MAX: usize = 1024;

/// What the loop wants sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// All that is bound from here on.
    Bindings(Vec<ServiceRange>),
    /// To all who are bound inside a range.
    Multicast(ServiceRange, Vec<u8>),
    /// To one member.
    Send(PeerId, Vec<u8>),
    /// To several members: a head for each, and the tail.
    Each(Vec<(PeerId, Vec<u8>)>, Vec<u8>),
}

impl Outgoing {
    /// What it counts in the queue.
    pub(super) fn cost(&self) -> usize {
        let bytes = match self {
            Self::Bindings(_) => 0,
            Self::Multicast(_, message) | Self::Send(_, message) => message.len(),
            Self::Each(heads, tail) => {
                tail.len() + heads.iter().map(|(_, head)| head.len()).sum::<usize>()
            }
        };
        bytes + crate::transport::MESSAGE_COST
    }
}

/// What the engine's thread tells the loop.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something of the group.
    Told(Told),
    /// There is room again.
    Room,
    /// What this node is, and under which name.
    Standing(Standing, Option<PeerId>),
}

/// What both sides hold.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What the loop has bound.
    pub(super) bindings: Vec<ServiceRange>,
    /// The engine has this member in its group.
    pub(super) is_attached: bool,
    /// To the engine.
    pub(super) outgoing: VecDeque<Outgoing>,
    /// What it costs.
    pub(super) outgoing_bytes: usize,
    /// To the loop. Bounded by what members may send before they are held up.
    pub(super) heard: VecDeque<Heard>,
    /// Members that leave unread too much of what this one has sent.
    pub(super) congested: BTreeSet<PeerId>,
    /// Since when each of them holds up the loop.
    pub(super) refused: BTreeMap<PeerId, u64>,
    /// The loop was refused for whatever reason, and not told of room since.
    pub(super) is_refused: bool,
    /// What the loop has read since the engine last looked.
    pub(super) taken: BTreeMap<PeerId, u64>,
    /// Whose parts the loop has come to since then.
    pub(super) parted: Vec<Address>,
    /// Why there will be no engine any more.
    pub(super) failure: Option<String>,
    /// The loop wants no more.
    pub(super) is_over: bool,
}

impl State {
    /// Whether there is room for one more that costs so much.
    pub(super) fn has_room(&self, cost: usize) -> bool {
        self.outgoing_bytes + cost <= OUTGOING_BYTES_MAX && self.outgoing.len() < OUTGOING_MAX
    }

    /// Whether it pays to tell of room.
    pub(super) fn is_half_empty(&self) -> bool {
        self.outgoing_bytes <= OUTGOING_BYTES_MAX / 2 && self.outgoing.len() <= OUTGOING_MAX / 2
    }
}

/// The state and its bells.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Readable while something is heard.
    pub(super) to_loop: OwnedFd,
    /// Readable when the engine should look.
    pub(super) to_engine: OwnedFd,
}

impl Shared {
    pub(super) fn new() -> io::Result<Self> {
        let (to_loop, to_engine) = (descriptor::eventfd()?, descriptor::eventfd()?);
        Ok(Self { state: Mutex::default(), to_loop, to_engine })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Makes the engine look.
    pub(super) fn ring_engine(&self) {
        descriptor::raise(self.to_engine.as_fd());
    }

    /// Tells the loop something.
    pub(super) fn tell(&self, heard: impl IntoIterator<Item = Heard>) {
        let mut state = self.state();
        let was_empty = state.heard.is_empty();
        state.heard.extend(heard);
        if was_empty && !state.heard.is_empty() {
            descriptor::raise(self.to_loop.as_fd());
        }
    }
}
