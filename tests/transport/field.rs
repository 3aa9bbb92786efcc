//! Members of one bed, and all that each of them has heard.

use crate::bed::{Bed, Fault};
use SaEvt::transport::{Arrival, PeerId, ServiceRange, Standing};
use std::io;
use std::time::{Duration, Instant};

/// The service of the tests.
pub(crate) const SERVICE: u32 = 7_000;

/// One instance of it.
pub(crate) const fn instance(number: u32) -> ServiceRange {
    ServiceRange::instance(SERVICE, number)
}

/// All instances of it.
pub(crate) const ALL: ServiceRange = ServiceRange::whole(SERVICE);

struct Party {
    heard: Vec<Arrival>,
    reads: bool,
    is_there: bool,
}

/// The members of a test, by the numbers of their bed.
pub(crate) struct Field<'a> {
    bed: &'a mut dyn Bed,
    parties: Vec<Party>,
    began: Instant,
}

/// A test that waits so long has failed, and can tell what it has heard.
const PATIENCE: Duration = Duration::from_secs(100);

impl<'a> Field<'a> {
    pub(crate) fn new(bed: &'a mut dyn Bed) -> Self {
        Self { bed, parties: Vec::new(), began: Instant::now() }
    }

    pub(crate) fn bed(&mut self) -> &mut dyn Bed {
        self.bed
    }

    fn add(&mut self, member: usize) -> usize {
        assert_eq!(member, self.parties.len(), "members are numbered in order");
        self.parties.push(Party { heard: Vec::new(), reads: true, is_there: true });
        member
    }

    /// Attaches a member that watches all instances; waits until its engine takes it.
    pub(crate) fn attach(&mut self, node: usize) -> usize {
        let member = self.bed.attach(node);
        self.begin(member)
    }

    /// The same, with quorum asked for.
    pub(crate) fn attach_with_quorum(&mut self, node: usize) -> usize {
        let member = self.bed.attach_with_quorum(node);
        self.begin(member)
    }

    /// Attaches a member that watches all instances, and does not wait.
    pub(crate) fn send_in(&mut self, node: usize) -> usize {
        let member = self.bed.attach(node);
        let member = self.add(member);
        self.bed.member(member).watch(ALL).unwrap();
        member
    }

    fn begin(&mut self, member: usize) -> usize {
        let member = self.add(member);
        self.bed.member(member).watch(ALL).unwrap();
        self.until(member, |heard| heard.contains(&Arrival::Standing(Standing::Member)));
        member
    }

    /// Attaches a member to each node of three, each bound to the instance of its node, and waits
    /// until all have heard of all.
    pub(crate) fn three(&mut self) -> [usize; 3] {
        let members = [1, 2, 3].map(|node| self.attach(node));
        for (member, number) in members.iter().zip(1..) {
            self.bind(*member, instance(number));
        }
        for member in members {
            for number in 1..=3 {
                self.until_up(member, instance(number));
            }
        }
        members
    }

    pub(crate) fn own(&mut self, member: usize) -> PeerId {
        self.bed.member(member).own().expect("the member is attached")
    }

    pub(crate) fn bind(&mut self, member: usize, range: ServiceRange) {
        self.bed.member(member).bind(range).unwrap();
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        if let Fault::Kill(member) = fault {
            // Nobody hears what it has not heard by now.
            self.parties[member].is_there = false;
        }
        if let Fault::Stop(member) | Fault::Continue(member) = fault {
            self.parties[member].reads = matches!(fault, Fault::Continue(_));
        }
        self.bed.order(fault);
    }

    /// From now on a member leaves unread what arrives, or reads again.
    pub(crate) fn set_reading(&mut self, member: usize, reads: bool) {
        self.parties[member].reads = reads;
    }

    /// Reads what has arrived at all who read.
    pub(crate) fn read(&mut self) -> bool {
        let mut is_any = false;
        for (member, party) in self.parties.iter_mut().enumerate() {
            // A bounded number, so that a sender that answers does not keep the others waiting.
            for _ in 0..256 {
                if !party.is_there || !party.reads {
                    break;
                }
                let Some(arrival) = self.bed.member(member).try_receive().unwrap() else { break };
                party.heard.push(arrival);
                is_any = true;
            }
        }
        is_any
    }

    /// Reads until what a member has heard is as asked.
    pub(crate) fn until(&mut self, member: usize, is_so: impl Fn(&[Arrival]) -> bool) {
        loop {
            if is_so(&self.parties[member].heard) {
                return;
            }
            self.read_or_pause();
        }
    }

    /// Reads what there is, or lets time go by.
    pub(crate) fn read_or_pause(&mut self) {
        assert!(self.began.elapsed() < PATIENCE, "nothing comes of waiting");
        if !self.read() {
            self.bed.pause();
        }
    }

    /// Waits for the first binding of a range that is up, and gives whose it is.
    pub(crate) fn until_up(&mut self, member: usize, range: ServiceRange) -> PeerId {
        self.until(member, |heard| who_is_up(heard, range).is_some());
        who_is_up(&self.parties[member].heard, range).expect("just seen")
    }

    /// Waits until a member has heard that another is down.
    pub(crate) fn until_down(&mut self, member: usize, peer: PeerId) {
        self.until(member, |heard| heard.iter().any(|arrival| is_down(arrival, peer)));
    }

    /// Waits until a message has come.
    pub(crate) fn until_message(&mut self, member: usize, message: &[u8]) {
        self.until(member, |heard| messages(heard).any(|(_, bytes)| bytes == message));
    }

    /// All that a member has heard so far.
    pub(crate) fn heard(&self, member: usize) -> &[Arrival] {
        &self.parties[member].heard
    }

    /// Forgets what a member has heard so far.
    pub(crate) fn forget(&mut self, member: usize) {
        self.parties[member].heard.clear();
    }

    /// Sends to a range, and reads while there is no room.
    pub(crate) fn multicast(&mut self, member: usize, to: ServiceRange, message: &[u8]) {
        self.insist(|bed| bed.member(member).multicast(to, message));
    }

    /// Sends to one member, and reads while there is no room.
    pub(crate) fn send(&mut self, member: usize, to: PeerId, message: &[u8]) {
        self.insist(|bed| bed.member(member).send(to, message));
    }

    /// Sends to several, and reads while there is no room.
    pub(crate) fn send_each(&mut self, member: usize, to: &[(PeerId, Vec<u8>)], tail: &[u8]) {
        self.insist(|bed| bed.member(member).send_each(to, tail));
    }

    fn insist(&mut self, mut attempt: impl FnMut(&mut dyn Bed) -> io::Result<()>) {
        loop {
            match attempt(self.bed) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.read_or_pause(),
                result => return result.unwrap(),
            }
        }
    }

    /// What a failed test had heard, shortened.
    pub(crate) fn tell(&self) {
        for (member, party) in self.parties.iter().enumerate() {
            println!("member {member} has heard:");
            let skipped = party.heard.len().saturating_sub(20);
            for arrival in party.heard.iter().skip(skipped) {
                match arrival {
                    Arrival::Message { from, bytes } => {
                        let start = &bytes[..bytes.len().min(16)];
                        println!("  {} bytes from {from:?}: {start:?}", bytes.len());
                    }
                    other => println!("  {other:?}"),
                }
            }
        }
    }
}

/// Whose binding of a range is up, if there is one.
pub(crate) fn who_is_up(heard: &[Arrival], wanted: ServiceRange) -> Option<PeerId> {
    let mut up = None;
    for arrival in heard {
        match arrival {
            Arrival::Up { peer, range } if *range == wanted => up = Some(*peer),
            Arrival::Down { peer, range } if *range == wanted && up == Some(*peer) => up = None,
            _ => {}
        }
    }
    up
}

/// Whether a member is told to be down.
pub(crate) fn is_down(arrival: &Arrival, wanted: PeerId) -> bool {
    matches!(arrival, Arrival::Down { peer, .. } if *peer == wanted)
}

/// The messages among what was heard.
pub(crate) fn messages(heard: &[Arrival]) -> impl Iterator<Item = (PeerId, &[u8])> {
    heard.iter().filter_map(|arrival| match arrival {
        Arrival::Message { from, bytes } => Some((*from, bytes.as_slice())),
        _ => None,
    })
}
