//! Publications like the one before them, which are not matched anew: they must go where matching
//! would have sent them.

use super::*;

#[test]
fn what_is_published_again_goes_to_whoever_subscribes_at_that_moment() {
    let mut desk = Desk::new();
    let (publisher, one, two) = (desk.process(), desk.process(), desk.process());
    let from = desk.open(publisher, CHANNEL);
    let (first, second) = (desk.open(one, CHANNEL), desk.open(two, CHANNEL));
    let say = |desk: &mut Desk| {
        desk.say(from, "a");
        (desk.heard(one), desk.heard(two))
    };
    let nothing = || heard(&[]);
    assert_eq!(say(&mut desk), (nothing(), nothing()));
    desk.subscribe(first, 5, exact("a")).unwrap();
    assert_eq!(say(&mut desk), (heard(&[(5, "a")]), nothing()));
    desk.subscribe(second, 6, exact("b")).unwrap();
    assert_eq!(say(&mut desk), (heard(&[(5, "a")]), nothing()));
    desk.subscribe(second, 7, everything()).unwrap();
    assert_eq!(say(&mut desk), (heard(&[(5, "a")]), heard(&[(7, "a")])));
    desk.subscribe(first, 4, everything()).unwrap();
    assert_eq!(say(&mut desk), (heard(&[(4, "a")]), heard(&[(7, "a")])));
    desk.unsubscribe(first, 4).unwrap();
    assert_eq!(say(&mut desk), (heard(&[(5, "a")]), heard(&[(7, "a")])));
    desk.close(first);
    assert_eq!(say(&mut desk), (nothing(), heard(&[(7, "a")])));
    desk.disconnect(two);
    assert_eq!(say(&mut desk), (nothing(), nothing()));
}

#[test]
fn another_pattern_goes_another_way_and_back() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, exact("a")).unwrap();
    desk.subscribe(open, 2, exact("b")).unwrap();
    for _ in 0..2 {
        for pattern in ["a", "a", "b", "b", "c", "c"] {
            desk.say(open, pattern);
        }
        let expected = [(1, "a"), (1, "a"), (2, "b"), (2, "b")];
        assert_eq!(desk.heard(process), heard(&expected));
    }
}

/// The number of an open instance is the program's choice: it may come to mean another channel.
#[test]
fn the_number_of_a_closed_instance_leads_to_its_new_channel() {
    let mut desk = Desk::new();
    let (publisher, listener) = (desk.process(), desk.process());
    let (one, two) = (desk.open(listener, "one"), desk.open(listener, "two"));
    desk.subscribe(one, 1, everything()).unwrap();
    desk.subscribe(two, 2, everything()).unwrap();
    let open = desk.open(publisher, "one");
    desk.say(open, "a");
    desk.close(open);
    let (library, flags) = (LibraryNo(0), PUBLISH);
    desk.node.channel_open(publisher, library, open.number, &name("two"), flags, false).unwrap();
    desk.say(open, "a");
    assert_eq!(desk.heard(listener), heard(&[(1, "a"), (2, "a")]));
}

#[test]
fn each_publication_is_judged_by_its_own_id_and_length() {
    let limits = Limits { event_bytes_max: 3, ..Limits::default() };
    let mut desk = Desk::with(limits, 100);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    let attributes = pack(&["a"]);
    let id = desk.say(open, "a");
    for (id, data_bytes, fault) in [
        (EventId(id.0 + 1), 3, None),
        (EventId(id.0 + 1), 4, Some(Fault::TooBig)),
        (EventId(1001), 3, Some(Fault::Malformed)),
    ] {
        let draft = Draft { pattern: "a", data: "abc", ..Draft::default() };
        let publication = Publication { data_bytes, ..publication(open, id, draft, &attributes) };
        desk.inboxes.in_flight = vec![1; data_bytes as usize];
        let outcome =
            desk.node.publish(process, &publication, u32::MAX, desk.now, &mut desk.inboxes);
        assert_eq!(outcome.err(), fault);
    }
    assert_eq!(desk.heard(process).len(), 2);
}
