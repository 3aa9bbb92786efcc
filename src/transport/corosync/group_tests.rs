//! Two and three members that hear one order, without an engine.

use super::*;
use std::collections::VecDeque;

/// The members, and what is on its way in agreed order.
struct World {
    groups: BTreeMap<Address, Group>,
    order: VecDeque<(Address, Vec<u8>)>,
}

const RANGE: ServiceRange = ServiceRange::instance(1, 1);

fn at(node: u32) -> Address {
    Address { node, pid: 40 + node }
}

impl World {
    fn of(nodes: &[u32]) -> Self {
        let mut world = Self { groups: BTreeMap::new(), order: VecDeque::new() };
        for node in nodes {
            world.join(*node);
            world.settle();
        }
        world
    }

    /// A node joins: it hears of all, and all hear of it.
    fn join(&mut self, node: u32) {
        let mut new = Group::new(at(node), 0, vec![RANGE]);
        let all: Vec<Address> = self.groups.keys().copied().chain([at(node)]).collect();
        new.change(&all, &[]);
        for group in self.groups.values_mut() {
            group.change(&all, &[]);
        }
        self.groups.insert(at(node), new);
    }

    fn send(&mut self, from: u32, frame: &Frame, message: &[u8]) {
        self.order.push_back((at(from), frame.to_bytes(message)));
    }

    /// Delivers all there is to all, and what they answer.
    fn settle(&mut self) {
        loop {
            for (address, group) in &mut self.groups {
                for frame in std::mem::take(&mut group.frames) {
                    self.order.push_back((*address, frame.to_bytes(&[])));
                }
            }
            let Some((from, bytes)) = self.order.pop_front() else { return };
            self.groups.values_mut().for_each(|group| group.message(from, bytes.clone(), 0));
        }
    }

    fn told(&mut self, node: u32) -> Vec<Told> {
        std::mem::take(&mut self.group(node).told)
    }

    fn group(&mut self, node: u32) -> &mut Group {
        self.groups.get_mut(&at(node)).unwrap()
    }

    fn peer(&self, of: u32, by: u32) -> PeerId {
        self.groups[&at(by)].members[&at(of)].peer
    }
}

fn messages(told: &[Told]) -> Vec<&[u8]> {
    told.iter()
        .filter_map(|told| match told {
            Told::Message(_, bytes) => Some(&bytes[..]),
            _ => None,
        })
        .collect()
}

#[test]
fn who_joins_hears_nothing_of_a_member_before_its_bindings() {
    let mut world = World::of(&[1]);
    world.join(2);
    // On its way before node 1 knows of the other.
    world.send(1, &Frame::Multicast(RANGE), b"early");
    world.settle();
    world.send(1, &Frame::Multicast(RANGE), b"late");
    world.settle();
    let told = world.told(2);
    assert_eq!(messages(&told), [b"late"]);
    let up = Told::Up(world.peer(1, 2), RANGE);
    assert_eq!(told.iter().filter(|told| **told == up).count(), 1);
    assert_eq!(messages(&world.told(1)), [&b"early"[..], b"late"]);
    // What the newcomer did not take was not counted against it either.
    let counted = world.groups[&at(1)].members[&at(2)].sent;
    assert_eq!(counted, (b"late".len() + MESSAGE_COST) as u64);
}

#[test]
fn a_message_for_several_comes_to_each_with_its_own_head() {
    let mut world = World::of(&[1, 2, 3, 4]);
    (1..=4).for_each(|node| drop(world.told(node)));
    let heads = [2, 3, 3].map(|node| (at(node), format!("to {node}, ").into_bytes()));
    world.send(1, &Frame::Each(heads.to_vec()), b"the same");
    world.settle();
    assert_eq!(messages(&world.told(2)), [b"to 2, the same"]);
    assert_eq!(messages(&world.told(3)), [b"to 3, the same"]);
    assert_eq!((messages(&world.told(1)).len(), messages(&world.told(4)).len()), (0, 0));
    let cost = (b"to 2, the same".len() + MESSAGE_COST) as u64;
    let counted = |node| world.groups[&at(1)].members[&at(node)].sent;
    assert_eq!([counted(2), counted(3), counted(4)], [cost, 2 * cost, 0]);
}

#[test]
fn members_that_merge_take_nothing_before_both_have_told_their_bindings() {
    let mut world = World::of(&[1, 2]);
    world.group(1).change(&[at(1)], &[at(2)]);
    world.group(2).change(&[at(2)], &[at(1)]);
    world.group(1).change(&[at(1), at(2)], &[]);
    world.group(2).change(&[at(1), at(2)], &[]);
    world.told(2);
    for node in [1, 2] {
        world.group(node).frames.clear();
    }
    let bindings = Frame::Bindings(vec![RANGE]);
    world.send(1, &bindings, &[]);
    world.send(1, &Frame::Multicast(RANGE), b"between");
    world.send(2, &bindings, &[]);
    world.send(1, &Frame::Multicast(RANGE), b"afterwards");
    world.settle();
    assert_eq!(messages(&world.told(2)), [b"afterwards"]);
    let counted = world.groups[&at(1)].members[&at(2)].sent;
    assert_eq!(counted, (b"afterwards".len() + MESSAGE_COST) as u64);
}

#[test]
fn a_member_that_went_and_came_in_one_change_is_another() {
    let mut world = World::of(&[1, 2]);
    let before = world.peer(2, 1);
    world.told(1);
    world.group(1).change(&[at(1), at(2)], &[at(2)]);
    let announcement = Frame::Bindings(vec![RANGE]);
    world.send(2, &announcement, &[]);
    world.settle();
    let after = world.peer(2, 1);
    assert_ne!(before, after);
    assert_eq!(world.told(1), [Told::Down(before, RANGE), Told::Up(after, RANGE)]);
}

#[test]
fn what_is_left_unread_holds_up_its_sender_until_half_of_it_is_read() {
    let mut world = World::of(&[1, 2, 3]);
    let (to_2, cost) = (world.peer(2, 1), 100_000 + MESSAGE_COST as u64);
    let from_1 = world.peer(1, 2);
    let mut sent = 0;
    while world.group(1).congested().is_empty() {
        world.send(1, &Frame::Send(at(2)), &[0; 100_000]);
        world.settle();
        sent += cost;
    }
    assert!((UNREAD_BYTES_MAX..UNREAD_BYTES_MAX + cost + 1).contains(&sent), "{sent}");
    assert_eq!(world.group(1).congested(), BTreeSet::from([to_2]));
    let mut read = 0;
    while !world.group(1).congested().is_empty() {
        world.group(2).has_taken(from_1, cost, 0);
        world.settle();
        read += cost;
        assert!(read <= sent, "all is read, and the sender does not know");
    }
    assert!(read >= UNREAD_BYTES_MAX / 2, "{read}");
}

#[test]
fn who_does_not_read_for_long_is_parted_from_and_comes_back_as_another() {
    let mut world = World::of(&[1, 2, 3]);
    let (to_2, at_3, from_1) = (world.peer(2, 1), world.peer(2, 3), world.peer(1, 2));
    while world.group(1).congested().is_empty() {
        world.send(1, &Frame::Send(at(2)), &[0; 100_000]);
        world.settle();
    }
    for node in [1, 2, 3] {
        world.told(node);
    }
    let refused = BTreeMap::from([(to_2, 7)]);
    let until = world.group(1).lose_patience(&refused, 8);
    assert_eq!(until, Some(7 + UNREAD_TIME_MAX_NS));
    world.send(2, &Frame::Multicast(RANGE), b"before");
    assert_eq!(world.group(1).lose_patience(&refused, 7 + UNREAD_TIME_MAX_NS), None);
    world.settle();
    world.send(1, &Frame::Multicast(RANGE), b"apart");
    world.send(2, &Frame::Multicast(RANGE), b"apart too");
    world.settle();
    let told = world.told(1);
    assert_eq!(messages(&told), [&b"before"[..], b"apart"]);
    assert!(told.contains(&Told::Down(to_2, RANGE)));
    assert!(world.group(1).congested().is_empty());
    assert_eq!(world.group(1).address_of(to_2), None);
    let told = world.told(2);
    let parted = told.iter().position(|told| *told == Told::Parted(at(1))).unwrap();
    assert_eq!(told[parted - 1], Told::Down(from_1, RANGE));
    assert_eq!(messages(&told[parted..]), [b"apart too"], "nothing of node 1");
    // Nobody else notices.
    assert_eq!(messages(&world.told(3)).len(), 3);
    assert_eq!(world.peer(2, 3), at_3);

    world.group(2).asks_back(at(1));
    world.settle();
    world.send(1, &Frame::Multicast(RANGE), b"again");
    world.settle();
    assert_ne!(world.peer(2, 1), to_2);
    let again = world.peer(1, 2);
    let own = world.peer(2, 2);
    let told = world.told(2);
    assert_eq!(told, [Told::Up(again, RANGE), Told::Message(again, b"again".to_vec())]);
    assert_ne!(own, again);
}

#[test]
fn messages_of_strangers_and_of_other_forms_are_passed_over() {
    let mut world = World::of(&[1, 2]);
    world.told(1);
    world.send(9, &Frame::Multicast(RANGE), b"of a stranger");
    world.order.push_back((at(2), b"of another form, and long enough".to_vec()));
    world.settle();
    assert_eq!(world.told(1), []);
}

#[test]
fn bindings_that_change_are_told_by_their_difference() {
    let mut world = World::of(&[1, 2]);
    let peer = world.peer(2, 1);
    world.told(1);
    let other = ServiceRange::instance(1, 2);
    world.send(2, &Frame::Bindings(vec![RANGE, other]), &[]);
    world.send(2, &Frame::Bindings(vec![other]), &[]);
    world.settle();
    assert_eq!(world.told(1), [Told::Up(peer, other), Told::Down(peer, RANGE)]);
}
