//! Messages: whole, in order, to whom they are sent, and no more than there is room for.

use crate::field::{ALL, Field, SERVICE, instance, messages};
use SaEvt::transport::{Arrival, Order, PeerId, ServiceRange};
use std::collections::BTreeSet;
use std::io::ErrorKind;

tests! {
    hears_its_own_bindings_and_messages: [],
    tells_each_binding_once_and_to_those_who_watch: [],
    refuses_what_makes_no_sense: [],
    carries_messages_of_every_length_whole: [],
    carries_messages_of_every_length_to_others: [ThreeNodes],
    refuses_itself_what_it_does_not_read: [],
    reaches_those_bound_inside_the_range_once: [ThreeNodes],
    keeps_the_order_of_one_sender: [ThreeNodes],
    brings_nothing_before_the_up_of_its_sender: [ThreeNodes],
    keeps_senders_from_those_who_do_not_read_and_from_no_others: [ThreeNodes],
    carries_a_message_for_several_with_a_head_for_each: [ThreeNodes],
    has_one_order: [ThreeNodes, TotalOrder],
}

fn hears_its_own_bindings_and_messages(field: &mut Field<'_>) {
    let a = field.attach(1);
    field.bind(a, instance(5));
    let own = field.until_up(a, instance(5));
    assert_eq!(own, field.own(a));
    field.multicast(a, ServiceRange { service_type: SERVICE, lower: 1, upper: 5 }, b"to a range");
    field.multicast(a, instance(6), b"to nobody");
    field.send(a, own, b"to myself");
    field.until_message(a, b"to myself");
    let heard: Vec<_> = messages(field.heard(a)).collect();
    assert_eq!(heard, [(own, &b"to a range"[..]), (own, b"to myself")]);
    field.bed().member(a).unbind(instance(5)).unwrap();
    field.until_down(a, own);
    assert_eq!(field.bed().member(a).send(own, b"").unwrap_err().kind(), ErrorKind::NotFound);
}

fn tells_each_binding_once_and_to_those_who_watch(field: &mut Field<'_>) {
    let a = field.attach(1);
    let own = field.own(a);
    let other = ServiceRange::instance(SERVICE + 1, 1);
    field.bind(a, other);
    field.bind(a, instance(1));
    field.bind(a, instance(2));
    field.until_up(a, instance(2));
    let up = |range| Arrival::Up { peer: own, range };
    let told = |field: &Field<'_>, arrival: &Arrival| {
        field.heard(a).iter().filter(|heard| *heard == arrival).count()
    };
    assert_eq!(told(field, &up(other)), 0, "nobody watches it");
    field.bed().member(a).watch(ServiceRange::whole(SERVICE + 1)).unwrap();
    field.bed().member(a).watch(instance(1)).unwrap();
    field.until_up(a, other);
    field.bed().member(a).unbind(instance(1)).unwrap();
    field.until_down(a, own);
    let down = Arrival::Down { peer: own, range: instance(1) };
    for arrival in [up(other), up(instance(1)), up(instance(2)), down] {
        assert_eq!(told(field, &arrival), 1, "{arrival:?}");
    }
}

fn refuses_what_makes_no_sense(field: &mut Field<'_>) {
    let a = field.attach(1);
    let own = field.own(a);
    let member = field.bed().member(a);
    let empty = ServiceRange { service_type: SERVICE, lower: 2, upper: 1 };
    member.bind(instance(1)).unwrap();
    assert_eq!(member.bind(instance(1)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(member.bind(empty).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(member.watch(ALL).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(member.watch(empty).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(member.unbind(instance(2)).unwrap_err().kind(), ErrorKind::NotFound);
    let stranger = PeerId { attachment: own.attachment ^ 1 << 40, ..own };
    assert_eq!(member.send(stranger, b"").unwrap_err().kind(), ErrorKind::NotFound);
}

/// A message that shows by itself whether it is whole.
fn patterned(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position * 7 + position / 251 + length) as u8).collect()
}

fn carries_messages_of_every_length_whole(field: &mut Field<'_>) {
    let a = field.attach(1);
    field.bind(a, instance(1));
    let own = field.until_up(a, instance(1));
    let most = field.bed().member(a).message_bytes_max();
    let lengths = [0, 1, 63, 64, 1000, 1472, 4096, 60_000, most / 2, most - 1, most];
    for length in lengths.iter().copied().filter(|length| *length <= most) {
        let message = patterned(length);
        field.forget(a);
        field.multicast(a, instance(1), &message);
        field.send(a, own, &message);
        field.until(a, |heard| messages(heard).count() == 2);
        assert!(messages(field.heard(a)).all(|(_, bytes)| bytes == message), "{length} bytes");
    }
    let longer = patterned(most + 1);
    let member = field.bed().member(a);
    assert_eq!(member.send(own, &longer).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(member.multicast(ALL, &longer).unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn carries_messages_of_every_length_to_others(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    let to_b = field.until_up(a, instance(2));
    let most = field.bed().member(a).message_bytes_max();
    for length in [0, 1, 1400, 1500, 9000, most - 1, most] {
        let message = patterned(length);
        field.forget(b);
        field.forget(c);
        field.send(a, to_b, &message);
        field.multicast(a, ServiceRange { lower: 2, ..ALL }, &message);
        field.until(b, |heard| messages(heard).count() == 2);
        field.until(c, |heard| messages(heard).count() == 1);
        for member in [b, c] {
            assert!(messages(field.heard(member)).all(|(_, m)| m == message), "{length} bytes");
        }
    }
}

fn refuses_itself_what_it_does_not_read(field: &mut Field<'_>) {
    let a = field.attach(1);
    field.bind(a, instance(1));
    field.until_up(a, instance(1));
    field.set_reading(a, false);
    let mut sent: u32 = 0;
    let refused = loop {
        let mut message = vec![0; 5000];
        message[..4].copy_from_slice(&sent.to_le_bytes());
        match field.bed().member(a).multicast(ALL, &message) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1 << 20, "there is no bound");
    };
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    field.set_reading(a, true);
    field.until(a, |heard| heard.contains(&Arrival::Room));
    field.multicast(a, ALL, &sent.to_le_bytes());
    field.until_message(a, &sent.to_le_bytes());
    let numbers: Vec<u32> = messages(field.heard(a)).map(|(_, bytes)| number(bytes)).collect();
    assert_eq!(numbers, (0..=sent).collect::<Vec<_>>());
}

fn reaches_those_bound_inside_the_range_once(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    field.bind(b, ServiceRange { service_type: SERVICE, lower: 10, upper: 20 });
    field.bind(b, ServiceRange { service_type: SERVICE, lower: 15, upper: 30 });
    field.until_up(a, ServiceRange { service_type: SERVICE, lower: 15, upper: 30 });
    let to_b = field.until_up(a, instance(2));
    let ranges = [(15, 16), (2, 3), (30, 40), (41, 50), (3, 3)];
    for (lower, upper) in ranges {
        field.multicast(a, ServiceRange { service_type: SERVICE, lower, upper }, &[lower as u8]);
    }
    field.send(a, to_b, b"to b alone");
    field.multicast(a, ALL, b"end");
    for member in [a, b, c] {
        field.until_message(member, b"end");
    }
    let heard = |member| messages(field.heard(member)).map(|(_, m)| m.to_vec()).collect::<Vec<_>>();
    assert_eq!(heard(b), [&[15][..], &[2], &[30], b"to b alone", b"end"]);
    assert_eq!(heard(c), [&[2][..], &[3], b"end"]);
    assert_eq!(heard(a), [b"end"]);
}

fn number(message: &[u8]) -> u32 {
    u32::from_le_bytes(message[..4].try_into().expect("four bytes at least"))
}

fn keeps_the_order_of_one_sender(field: &mut Field<'_>) {
    const COUNT: u32 = 900;
    let [a, b, c] = field.three();
    let to_b = field.until_up(a, instance(2));
    for number in 0..COUNT {
        // Lengths that go different ways through an engine.
        let mut message = vec![1; [4, 300, 9000][number as usize % 3]];
        message[..4].copy_from_slice(&number.to_le_bytes());
        if number % 2 == 0 {
            field.multicast(a, ALL, &message);
        } else {
            field.send(a, to_b, &message);
        }
    }
    field.until(b, |heard| messages(heard).count() as u32 >= COUNT);
    field.until(c, |heard| messages(heard).count() as u32 >= COUNT / 2);
    let numbers =
        |member| messages(field.heard(member)).map(|(_, m)| number(m)).collect::<Vec<_>>();
    assert_eq!(numbers(b), (0..COUNT).collect::<Vec<_>>());
    assert_eq!(numbers(c), (0..COUNT).step_by(2).collect::<Vec<_>>());
}

fn brings_nothing_before_the_up_of_its_sender(field: &mut Field<'_>) {
    let [a, b, _] = field.three();
    let mut newcomers = Vec::new();
    for round in 0..3_u32 {
        let late = field.send_in(3);
        // The two go on sending while a member comes.
        for step in 0..200_u32 {
            field.multicast(a, ALL, &(round * 1000 + step).to_le_bytes());
            field.multicast(b, ALL, &(round * 1000 + step).to_le_bytes());
            field.read();
        }
        newcomers.push(late);
    }
    for late in newcomers {
        field.bind(late, instance(100 + late as u32));
        field.until_up(late, instance(1));
        field.until_up(a, instance(100 + late as u32));
        field.multicast(a, instance(100 + late as u32), b"in the end");
        field.until_message(late, b"in the end");
        let mut up = BTreeSet::new();
        for arrival in field.heard(late) {
            match arrival {
                Arrival::Up { peer, .. } => _ = up.insert(*peer),
                Arrival::Message { from, .. } => assert!(up.contains(from), "{from:?}"),
                _ => {}
            }
        }
    }
}

fn keeps_senders_from_those_who_do_not_read_and_from_no_others(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    let (to_b, to_c) = (field.until_up(a, instance(2)), field.until_up(a, instance(3)));
    field.set_reading(c, false);
    let mut sent: u32 = 0;
    // Until it is refused also after everybody else has had the time to take what was sent.
    loop {
        let mut message = vec![2; 2000];
        message[..4].copy_from_slice(&sent.to_le_bytes());
        match field.bed().member(a).send(to_c, &message) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
        assert!(sent < 1 << 20, "there is no bound");
        if sent.is_multiple_of(16) {
            // What is refused here was refused for `c`, not for want of room on the way.
            field.send(a, to_b, b"in between");
            let count = sent / 16;
            field.until(b, |heard| messages(heard).count() as u32 == count);
        }
    }
    field.multicast(b, instance(1), b"b to a");
    field.send(a, to_b, b"a to b");
    field.until_message(a, b"b to a");
    field.until_message(b, b"a to b");
    let refused = field.bed().member(a).multicast(ALL, b"to all").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    field.set_reading(c, true);
    field.until(a, |heard| heard.contains(&Arrival::Room));
    field.multicast(a, ALL, &sent.to_le_bytes());
    for member in [a, b, c] {
        field.until_message(member, &sent.to_le_bytes());
    }
    let numbers: Vec<u32> = messages(field.heard(c)).map(|(_, bytes)| number(bytes)).collect();
    assert_eq!(numbers, (0..=sent).collect::<Vec<_>>(), "nothing lost, nothing twice");
    assert_eq!(messages(field.heard(a)).count(), 2, "what was refused was sent to nobody");
}

fn carries_a_message_for_several_with_a_head_for_each(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    let (to_b, to_c) = (field.until_up(a, instance(2)), field.until_up(a, instance(3)));
    let heads = |tag: u8| [(to_b, vec![2, tag]), (to_c, vec![3, tag])];
    let member = field.bed().member(a);
    if !member.carries_each() {
        let refused = member.send_each(&heads(0), b"").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        return;
    }
    let most = member.message_bytes_max();
    let longer = patterned(most + 1);
    let refused = member.send_each(&heads(0), &longer).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let stranger = PeerId { attachment: to_c.attachment ^ 1 << 40, ..to_c };
    let to_nobody = [(to_b, vec![2, 0]), (stranger, vec![3, 0])];
    let refused = field.bed().member(a).send_each(&to_nobody, b"to b?").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let lengths = [0, 1, 1400, 9000, most / 2];
    let said = |of: u8| {
        let each = lengths
            .iter()
            .zip(1..)
            .map(move |(length, tag): (_, u8)| [&[of, tag][..], &patterned(*length)].concat());
        each.collect::<Vec<_>>()
    };
    for (length, tag) in lengths.iter().zip(1..) {
        field.send_each(a, &heads(tag), &patterned(*length));
        field.send(a, to_b, &[tag]);
    }
    field.multicast(a, ALL, b"end");
    for member in [a, b, c] {
        field.until_message(member, b"end");
    }
    let heard = |member| messages(field.heard(member)).map(|(_, m)| m.to_vec()).collect::<Vec<_>>();
    let end = std::iter::once(b"end".to_vec());
    let alone = (1..).map(|tag: u8| vec![tag]);
    let to_b = said(2).into_iter().zip(alone).flat_map(|(each, alone)| [each, alone]);
    assert_eq!(heard(a), [b"end"], "it is for the others alone");
    assert_eq!(heard(b), to_b.chain(end.clone()).collect::<Vec<_>>());
    assert_eq!(heard(c), said(3).into_iter().chain(end).collect::<Vec<_>>());
    refuses_all_when_there_is_no_room_for_one(field, [a, b, c], &heads(9));
}

/// Sends to two of whom one does not read, until there is no room; both get the same number.
fn refuses_all_when_there_is_no_room_for_one(
    field: &mut Field<'_>,
    [a, b, c]: [usize; 3],
    heads: &[(PeerId, Vec<u8>); 2],
) {
    for member in [b, c] {
        field.forget(member);
    }
    field.set_reading(c, false);
    let mut sent = 0;
    let refused = loop {
        match field.bed().member(a).send_each(heads, &[9; 5000]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1 << 20, "there is no bound");
        field.read();
    };
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    field.set_reading(c, true);
    field.multicast(a, ALL, b"all");
    for member in [b, c] {
        field.until_message(member, b"all");
        assert_eq!(messages(field.heard(member)).count(), sent + 1);
    }
}

fn has_one_order(field: &mut Field<'_>) {
    const COUNT: u32 = 300;
    let members = field.three();
    assert_eq!(field.bed().member(members[0]).order(), Order::Total);
    for number in 0..COUNT {
        for (which, member) in members.into_iter().enumerate() {
            field.multicast(member, ALL, &(number * 3 + which as u32).to_le_bytes());
            if number == COUNT / 2 {
                field.bind(member, instance(50 + which as u32));
            }
        }
    }
    let mut orders = Vec::new();
    for member in members {
        field.until(member, |heard| messages(heard).count() as u32 == COUNT * 3);
        let heard = field.heard(member);
        let start = heard.iter().position(|arrival| matches!(arrival, Arrival::Message { .. }));
        let order = heard[start.expect("messages")..].iter().filter_map(|arrival| match arrival {
            Arrival::Message { bytes, .. } => Some(number(bytes)),
            Arrival::Up { range, .. } => Some(1_000_000 + range.lower),
            _ => None,
        });
        orders.push(order.collect::<Vec<_>>());
    }
    assert_eq!(orders[0].len() as u32, COUNT * 3 + 3);
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[0], orders[2]);
}
