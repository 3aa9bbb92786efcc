//! What a test stands on: nodes of one engine, members on them, and faults.

use SaEvt::transport::local::Local;
use SaEvt::transport::sim::{Behaviour, Net, Sim};
use SaEvt::transport::{Order, Transport};

/// What a test needs and not every bed offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Three nodes.
    ThreeNodes,
    /// Members can be killed without a word.
    Kill,
    /// Members can be stopped and go on later.
    Stop,
    /// The engine of a node can be ended and started again, and stopped so that it answers nothing.
    EngineRestart,
    /// A node can be taken off the network in silence.
    Cut,
    /// The engine knows of quorum.
    Quorum,
    /// Messages to ranges are heard in one order.
    TotalOrder,
}

/// Members of one engine. Members are known by a number that is not used again in a test.
pub(crate) trait Bed {
    /// The name of the transport.
    fn name(&self) -> &'static str;

    /// Whether a test with this need can run.
    fn offers(&self, need: Need) -> bool;

    /// Attaches a member to a node, counted from 1.
    fn attach(&mut self, node: usize) -> usize;

    /// Attaches a member that asks for quorum. For beds that offer it.
    fn attach_with_quorum(&mut self, node: usize) -> usize {
        self.attach(node)
    }

    /// A member that is attached.
    fn member(&mut self, member: usize) -> &mut dyn Transport;

    /// Something that a test does to a node or a member, for beds that offer it.
    fn order(&mut self, order: Fault);

    /// Lets some time go by, so that what is on its way can arrive.
    fn pause(&mut self);

    /// Ends all members and mends all nodes.
    fn clear(&mut self);
}

/// What can be done to members and nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A member ends without a word.
    Kill(usize),
    /// A member is stopped.
    Stop(usize),
    /// A stopped member goes on.
    Continue(usize),
    /// The engine of a node is killed.
    EndEngine(usize),
    /// The engine of a node is started again.
    StartEngine(usize),
    /// The engine of a node is stopped.
    StopEngine(usize),
    /// A stopped engine goes on.
    ContinueEngine(usize),
    /// A node is cut off.
    Cut(usize),
    /// A node is back on the network.
    Join(usize),
}

/// The transport of a node that is alone.
#[derive(Default)]
pub(crate) struct Alone {
    members: Vec<Local>,
}

impl Bed for Alone {
    fn name(&self) -> &'static str {
        "local"
    }

    fn offers(&self, need: Need) -> bool {
        need == Need::TotalOrder
    }

    fn attach(&mut self, _: usize) -> usize {
        self.members.push(Local::new().expect("descriptors are left"));
        self.members.len() - 1
    }

    fn member(&mut self, member: usize) -> &mut dyn Transport {
        &mut self.members[member]
    }

    fn order(&mut self, order: Fault) {
        panic!("{order:?} is not offered");
    }

    /// Nothing is ever on its way.
    fn pause(&mut self) {
        panic!("what has not arrived at once never will");
    }

    fn clear(&mut self) {
        self.members.clear();
    }
}

/// A simulated cluster. Time goes on in pauses only.
///
/// It does not offer one order: each member hears at another place of it who has come or gone,
/// which is less than engines promise, so that nothing is built on that.
pub(crate) struct Simulated {
    name: &'static str,
    order: Order,
    net: Net,
    now: u64,
    members: Vec<(u32, Sim)>,
    gone: Vec<usize>,
}

impl Simulated {
    /// Nodes of a further member where one is attached already: the simulation has one at each.
    const MORE: u32 = 100;

    pub(crate) fn new(name: &'static str, order: Order) -> Self {
        let net = Self::net(order);
        Self { name, order, net, now: 0, members: Vec::new(), gone: Vec::new() }
    }

    fn net(order: Order) -> Net {
        let (delay_min, delay_max, notice) = (100_000, 2_000_000, 50_000_000);
        let message_bytes_max = 100_000;
        Net::new(7, Behaviour { delay_min, delay_max, notice, room: 64, message_bytes_max, order })
    }

    fn is_taken(&self, node: u32) -> bool {
        let there = self.members.iter().enumerate();
        there.filter(|(at, _)| !self.gone.contains(at)).any(|(_, (other, _))| *other == node)
    }
}

impl Bed for Simulated {
    fn name(&self) -> &'static str {
        self.name
    }

    fn offers(&self, need: Need) -> bool {
        matches!(need, Need::ThreeNodes | Need::Kill)
    }

    fn attach(&mut self, node: usize) -> usize {
        let member = self.members.len();
        let node = node as u32;
        let node = if self.is_taken(node) { Self::MORE + member as u32 } else { node };
        self.members.push((node, self.net.attach(node)));
        member
    }

    fn member(&mut self, member: usize) -> &mut dyn Transport {
        &mut self.members[member].1
    }

    fn order(&mut self, order: Fault) {
        let Fault::Kill(member) = order else { panic!("{order:?} is not offered") };
        self.net.detach(self.members[member].0);
        self.gone.push(member);
    }

    fn pause(&mut self) {
        self.now = self.net.next().expect("nothing is on its way").max(self.now);
        self.net.advance(self.now);
    }

    fn clear(&mut self) {
        *self = Self::new(self.name, self.order);
    }
}
