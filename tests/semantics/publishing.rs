//! What a publication may be, and what it costs. SAI-AIS-EVT-B.03.01, saEvtEventPublish().

use super::*;

/// Publishes with everything given by hand.
fn raw(
    desk: &mut Desk,
    open: Open,
    id: EventId,
    attributes: &[u8],
    data_bytes: u64,
) -> Result<Cost, Fault> {
    let publication = Publication {
        instance: open.number,
        id,
        publish_time: 0,
        retention: Span::ZERO,
        priority: Priority::LOWEST,
        attributes,
        data_bytes,
    };
    desk.inboxes.in_flight = vec![1; data_bytes as usize];
    desk.node.publish(open.process, &publication, u32::MAX, desk.now, &mut desk.inboxes)
}

fn fresh(desk: &mut Desk, process: ProcessKey) -> EventId {
    desk.ids.iter_mut().find(|(of, _)| *of == process).unwrap().1.next()
}

#[test]
fn a_publication_on_an_unknown_instance_is_nothing() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.close(open);
    let id = fresh(&mut desk, process);
    assert_eq!(raw(&mut desk, open, id, b"garbage", 1 << 40 >> 30), Ok(Cost::default()));
}

#[test]
fn publishing_needs_the_flag_of_this_instance() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let open = desk.try_open(process, CHANNEL, SUBSCRIBE).unwrap();
    assert_eq!(desk.publish_without_credit(open, Draft::default()), Err(Fault::Malformed));
}

#[test]
fn data_up_to_the_limit_are_taken_and_one_byte_more_is_a_fault() {
    let limits = Limits { event_bytes_max: 100, ..Limits::default() };
    let mut desk = Desk::with(limits, 9);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    let attributes = pack(&[]);
    for (bytes, fault) in [(100, None), (101, Some(Fault::TooBig))] {
        let id = fresh(&mut desk, process);
        assert_eq!(raw(&mut desk, open, id, attributes.packed(), bytes).err(), fault);
    }
    assert_eq!(desk.read(process).len(), 1);
}

#[test]
fn everything_at_its_limit_goes_together() {
    let limits = Limits::default();
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    let pattern = vec![7; limits.pattern_bytes_max as usize];
    let patterns = vec![&pattern[..]; limits.patterns_max as usize];
    let publisher = Name::new(&[b'n'; 256]).unwrap();
    let attributes = Attributes::pack(&publisher, patterns.iter().copied()).unwrap();
    let id = fresh(&mut desk, process);
    raw(&mut desk, open, id, attributes.packed(), limits.event_bytes_max).unwrap();
    let event = desk.read(process).remove(0).1.unwrap();
    assert_eq!(event.attributes, attributes.packed());
    assert_eq!(event.data.len() as u64, limits.event_bytes_max);
}

#[test]
fn attributes_that_are_no_block_or_above_the_limits_are_a_fault() {
    let limits = Limits { patterns_max: 2, pattern_bytes_max: 3, ..Limits::default() };
    let mut desk = Desk::with(limits, 9);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let good = pack(&["abc", "abc"]);
    let cut = &good.packed()[..good.packed().len() - 1];
    let (many, large) = (pack(&["", "", ""]), pack(&["abcd"]));
    let rows = [(good.packed(), true), (cut, false), (b"", false)];
    let rows = rows.into_iter().chain([(many.packed(), false), (large.packed(), false)]);
    for (attributes, answer) in rows {
        let id = fresh(&mut desk, process);
        assert_eq!(raw(&mut desk, open, id, attributes, 0).is_ok(), answer, "{attributes:?}");
    }
}

#[test]
fn ids_are_from_blocks_of_the_process() {
    let mut desk = Desk::new();
    let (one, two) = (desk.process(), desk.process());
    let open = desk.open(one, CHANNEL);
    let attributes = pack(&[]);
    let foreign = fresh(&mut desk, two);
    let block = desk.node.grant_ids(one).unwrap();
    let ids = [
        (foreign, false),
        (EventId::NONE, false),
        (EventId(1001), false),
        (block.first, true),
        (EventId(block.first.0 + 65_535), true),
        (EventId(block.first.0 + 65_536), false),
    ];
    for (id, answer) in ids {
        assert!(!answer || id.is_publishable());
        assert_eq!(raw(&mut desk, open, id, attributes.packed(), 0).is_ok(), answer, "{id:?}");
    }
}

#[test]
fn only_the_newest_blocks_of_a_process_count() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let attributes = pack(&[]);
    let oldest = fresh(&mut desk, process);
    for _ in 0..63 {
        desk.node.grant_ids(process).unwrap();
    }
    assert!(raw(&mut desk, open, oldest, attributes.packed(), 0).is_ok());
    desk.node.grant_ids(process).unwrap();
    assert_eq!(raw(&mut desk, open, oldest, attributes.packed(), 0), Err(Fault::Malformed));
}

#[test]
fn no_two_blocks_share_an_id_also_after_the_next_start() {
    let mut desk = Desk::new();
    let process = desk.process();
    let first = desk.node.grant_ids(process).unwrap();
    desk.node.next_start(3);
    let second = desk.node.grant_ids(process).unwrap();
    assert_eq!(second.first, EventId::first_of(1, 3));
    assert!(second.first.0 >= first.first.0 + u64::from(first.count));
}

#[test]
fn a_publisher_cannot_show_different_bytes_to_different_takers() {
    let mut desk = Desk::new();
    desk.inboxes.treacherous = true;
    let process = desk.process();
    let opens = [desk.open(process, CHANNEL), desk.open(process, CHANNEL)];
    for open in opens {
        desk.subscribe(open, 1, everything()).unwrap();
    }
    let data = |desk: &mut Desk| -> Vec<Vec<u8>> {
        let read = desk.read(process).into_iter();
        read.filter_map(|(_, event)| event.map(|event| event.data)).collect()
    };
    desk.publish(opens[0], Draft { data: "xx", ..Draft::default() });
    assert_eq!(data(&mut desk), [[1, 1], [1, 1]]);

    // Window full, queue, retention: still one reading.
    desk.inboxes.capacity = 1;
    let retention = Span::FOREVER;
    desk.publish(opens[0], Draft { data: "xx", retention, ..Draft::default() });
    assert_eq!(data(&mut desk), [[2, 2], [2, 2]]);
    desk.publish(opens[0], Draft { data: "xx", ..Draft::default() });
    assert_eq!(data(&mut desk), [[3, 3], [3, 3]]);
    let late = desk.open(process, CHANNEL);
    desk.subscribe(late, 1, everything()).unwrap();
    assert_eq!(data(&mut desk), [[2, 2]]);
}

#[test]
fn a_single_taker_with_room_gets_the_data_from_where_they_are() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.publish(open, Draft { data: "x", ..Draft::default() });
    assert_eq!(desk.inboxes.readings, 0);
    desk.subscribe(open, 1, everything()).unwrap();
    desk.publish(open, Draft { data: "x", ..Draft::default() });
    assert_eq!(desk.inboxes.readings, 1);
    assert_eq!(desk.read(process).len(), 1);
}

/// Data of a size that is shared.
fn large(first: char) -> String {
    format!("{first}{}", "-".repeat(10_000))
}

#[test]
fn large_data_for_several_takers_are_put_in_one_place_for_all() {
    let mut desk = Desk::new();
    desk.inboxes.treacherous = true;
    let process = desk.process();
    let opens = [desk.open(process, CHANNEL), desk.open(process, CHANNEL)];
    let data = |desk: &mut Desk| -> Vec<u8> {
        let read = desk.read(process).into_iter();
        read.filter_map(|(_, event)| event.map(|event| event.data[0])).collect()
    };
    let (large, text) = (large('x'), "small");
    desk.publish(opens[0], Draft { data: &large, ..Draft::default() });
    desk.subscribe(opens[0], 1, everything()).unwrap();
    desk.publish(opens[0], Draft { data: &large, ..Draft::default() });
    assert_eq!((data(&mut desk), desk.inboxes.shares), (vec![1], 0), "one taker at most");
    desk.subscribe(opens[1], 1, everything()).unwrap();
    desk.publish(opens[0], Draft { data: text, ..Draft::default() });
    assert_eq!((data(&mut desk), desk.inboxes.shares), (vec![2, 2], 0), "too small");
    desk.publish(opens[0], Draft { data: &large, ..Draft::default() });
    assert_eq!((data(&mut desk), desk.inboxes.shares), (vec![3, 3], 1));

    // No place: one copy in the node, as for small data.
    desk.inboxes.slots = 0;
    desk.publish(opens[0], Draft { data: &large, ..Draft::default() });
    assert_eq!((data(&mut desk), desk.inboxes.shares), (vec![4, 4], 1));
}

#[test]
fn who_has_no_room_gets_the_shared_bytes_later() {
    let mut desk = Desk::new();
    desk.inboxes.treacherous = true;
    desk.inboxes.capacity = 1;
    let processes = [desk.process(), desk.process()];
    let opens = processes.map(|process| desk.open(process, CHANNEL));
    opens.iter().for_each(|open| desk.subscribe(*open, 1, everything()).unwrap());
    let large = large('x');
    for _ in 0..3 {
        desk.publish(opens[0], Draft { data: &large, ..Draft::default() });
    }
    assert_eq!((desk.inboxes.shares, desk.inboxes.readings), (3, 3), "each was read once");
    for process in processes {
        let data = desk.read(process).into_iter().map(|(_, event)| event.unwrap().data);
        let all: Vec<Vec<u8>> = data.collect();
        assert_eq!(all, [1, 2, 3].map(|reading| vec![reading; large.len()]));
    }
}

#[test]
fn what_a_queue_does_not_admit_leaves_the_shared_bytes_alone() {
    let limits = Limits { queue_bytes_max: 15_000, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let processes = [desk.process(), desk.process()];
    let opens = processes.map(|process| desk.open(process, CHANNEL));
    opens.iter().for_each(|open| desk.subscribe(*open, 1, everything()).unwrap());
    for letter in ['a', 'b', 'c', 'd'] {
        desk.publish(opens[0], Draft { data: &large(letter), ..Draft::default() });
    }
    assert_eq!(desk.inboxes.shares, 4);
    let heard = desk.read(processes[1]).into_iter().map(|(_, event)| event.map(|it| it.data[0]));
    let firsts: Vec<_> = heard.collect();
    assert_eq!(firsts, [None, Some(b'a'), Some(b'b')], "one in the window, one in the queue");
}
