//! Members, engines and networks that go and come back.

use crate::bed::Fault;
use crate::field::{ALL, Field, instance, is_down, messages, who_is_up};
use SaEvt::transport::{Arrival, PeerId, Standing};
use std::io::ErrorKind;

tests! {
    tells_the_end_of_a_member_once_and_nothing_after: [ThreeNodes, Kill],
    gives_a_member_that_comes_back_another_name: [ThreeNodes, Kill],
    passes_over_a_member_that_never_reads: [ThreeNodes, Stop],
    comes_back_with_its_engine: [ThreeNodes, EngineRestart],
    never_waits_for_an_engine_that_does_not_answer: [ThreeNodes, EngineRestart],
    survives_a_cut: [ThreeNodes, Cut],
    is_outside_without_quorum: [ThreeNodes, Quorum],
}

fn count(heard: &[Arrival], wanted: impl Fn(&Arrival) -> bool) -> usize {
    heard.iter().filter(|arrival| wanted(arrival)).count()
}

/// What was heard after the last word of a member that is down: none of it is from that member.
fn assert_silent_after_down(heard: &[Arrival], peer: PeerId) {
    let down = heard.iter().rposition(|arrival| is_down(arrival, peer)).expect("it is down");
    let late = messages(&heard[down..]).filter(|(from, _)| *from == peer).count();
    assert_eq!(late, 0, "{peer:?} is heard after its end");
}

fn tells_the_end_of_a_member_once_and_nothing_after(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    field.bind(c, instance(30));
    let to_c = field.until_up(a, instance(30));
    field.until_up(b, instance(30));
    let c_at_b = field.until_up(b, instance(3));
    for number in 0..500_u32 {
        field.multicast(c, ALL, &number.to_le_bytes());
    }
    field.fault(Fault::Kill(c));
    field.until_down(a, to_c);
    field.until_down(b, c_at_b);
    // What would still come, comes before this.
    field.multicast(a, ALL, b"after");
    field.until_message(a, b"after");
    field.until_message(b, b"after");
    for (member, peer) in [(a, to_c), (b, c_at_b)] {
        let heard = field.heard(member);
        for range in [instance(3), instance(30)] {
            let down = Arrival::Down { peer, range };
            assert_eq!(count(heard, |arrival| *arrival == down), 1, "{range:?}");
        }
        assert_silent_after_down(heard, peer);
    }
    assert_eq!(field.bed().member(a).send(to_c, b"").unwrap_err().kind(), ErrorKind::NotFound);
}

fn gives_a_member_that_comes_back_another_name(field: &mut Field<'_>) {
    let [a, b, mut c] = field.three();
    let mut names = vec![field.until_up(a, instance(3))];
    for _ in 0..3 {
        field.fault(Fault::Kill(c));
        let last = *names.last().expect("one at least");
        field.until_down(a, last);
        c = field.attach(3);
        field.bind(c, instance(3));
        let name = field.until_up(a, instance(3));
        assert!(!names.contains(&name), "{name:?} again");
        assert_eq!(name.node, last.node);
        names.push(name);
        field.until_up(c, instance(1));
        field.send(a, name, b"hello");
        field.until_message(c, b"hello");
        let old = field.bed().member(a).send(last, b"").unwrap_err();
        assert_eq!(old.kind(), ErrorKind::NotFound);
        field.forget(a);
        field.until_up(b, instance(3));
    }
}

fn passes_over_a_member_that_never_reads(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    let to_c = field.until_up(a, instance(3));
    field.fault(Fault::Stop(c));
    // Until it is down for the senders, they are held up; then they go on without it.
    let mut sent = 0_u32;
    while !field.heard(a).iter().any(|arrival| is_down(arrival, to_c)) {
        match field.bed().member(a).multicast(ALL, &[7; 4000]) {
            Ok(()) => sent += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(sent < 1 << 20, "there is no bound");
        field.read_or_pause();
    }
    assert_eq!(field.bed().member(a).send(to_c, b"").unwrap_err().kind(), ErrorKind::NotFound);
    field.multicast(a, ALL, b"without it");
    field.until_message(b, b"without it");
    field.forget(a);
    field.fault(Fault::Continue(c));
    let name = field.until_up(a, instance(3));
    assert_ne!(name, to_c);
    field.send(a, name, b"there again");
    field.until_message(c, b"there again");
    let passed = messages(field.heard(c)).any(|(_, bytes)| bytes == b"without it");
    assert!(!passed, "what was sent to the others meanwhile does not come afterwards");
}

fn comes_back_with_its_engine(field: &mut Field<'_>) {
    let [a, _, c] = field.three();
    let (own, to_c) = (field.own(c), field.until_up(a, instance(3)));
    field.forget(c);
    field.fault(Fault::EndEngine(3));
    field.until(c, |heard| heard.contains(&Arrival::Standing(Standing::Starting)));
    assert_eq!(field.bed().member(c).own(), None);
    let refused = field.bed().member(c).multicast(ALL, b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
    let heard = field.heard(c);
    let away = heard.iter().position(|arrival| matches!(arrival, Arrival::Standing(_)));
    let downs = count(&heard[..away.expect("just heard")], |a| matches!(a, Arrival::Down { .. }));
    assert_eq!(downs, 3, "everybody is down before the engine is away");
    field.bed().member(c).bind(instance(33)).unwrap();
    field.until_down(a, to_c);
    field.forget(c);
    field.fault(Fault::StartEngine(3));
    field.until(c, |heard| heard.contains(&Arrival::Standing(Standing::Member)));
    assert_ne!(field.own(c), own);
    for number in [3, 33] {
        field.until_up(a, instance(number));
        field.until_up(c, instance(number));
    }
    let name = field.until_up(a, instance(3));
    assert_ne!(name, to_c);
    field.until_up(c, instance(1));
    field.send(a, name, b"hello");
    field.until_message(c, b"hello");
    field.multicast(c, ALL, b"to all");
    field.until_message(a, b"to all");
}

fn never_waits_for_an_engine_that_does_not_answer(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    let to_c = field.until_up(a, instance(3));
    field.fault(Fault::StopEngine(3));
    // A member that is there, and one that comes: every call of theirs returns.
    for number in 0..100_u32 {
        field.multicast(c, ALL, &number.to_le_bytes());
    }
    let late = field.send_in(3);
    field.bind(late, instance(4));
    let refused = field.bed().member(late).multicast(ALL, b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
    // The others go on without.
    field.until_down(a, to_c);
    field.multicast(a, ALL, b"without");
    field.until_message(b, b"without");
    assert_eq!(field.heard(late), []);
    field.fault(Fault::ContinueEngine(3));
    field.until_up(a, instance(4));
    field.until_up(a, instance(3));
    field.until_up(late, instance(1));
    field.multicast(a, instance(4), b"here you are");
    field.until_message(late, b"here you are");
}

fn survives_a_cut(field: &mut Field<'_>) {
    let [a, b, c] = field.three();
    let (to_c, c_to_a) = (field.until_up(a, instance(3)), field.until_up(c, instance(1)));
    field.fault(Fault::Cut(3));
    field.until_down(a, to_c);
    field.until_down(c, c_to_a);
    field.until(c, |heard| who_is_up(heard, instance(2)).is_none());
    field.multicast(c, ALL, b"alone");
    field.until_message(c, b"alone");
    field.multicast(a, ALL, b"two");
    field.until_message(b, b"two");
    field.forget(a);
    field.forget(c);
    field.fault(Fault::Join(3));
    let (name, a_at_c) = (field.until_up(a, instance(3)), field.until_up(c, instance(1)));
    assert_ne!(name, to_c);
    assert_ne!(a_at_c, c_to_a);
    field.send(a, name, b"together");
    field.until_message(c, b"together");
    field.send(c, a_at_c, b"again");
    field.until_message(a, b"again");
    for (member, missed) in [(c, &b"two"[..]), (a, b"alone")] {
        let came = messages(field.heard(member)).any(|(_, bytes)| bytes == missed);
        assert!(!came, "what was sent during the cut came afterwards");
    }
    let downs = count(field.heard(b), |arrival| is_down(arrival, c_to_a));
    assert_eq!(downs, 0, "those who stay together do not part");
}

fn is_outside_without_quorum(field: &mut Field<'_>) {
    let members = [1, 2, 3].map(|node| field.attach_with_quorum(node));
    for (member, number) in members.into_iter().zip(1..) {
        field.bind(member, instance(number));
    }
    for number in 1..=3 {
        field.until_up(members[2], instance(number));
    }
    field.forget(members[2]);
    field.fault(Fault::Cut(3));
    field.until(members[2], |heard| heard.contains(&Arrival::Standing(Standing::Outside)));
    field.fault(Fault::Join(3));
    field.until(members[2], |heard| heard.contains(&Arrival::Standing(Standing::Member)));
    let stood = |member| count(field.heard(member), |heard| matches!(heard, Arrival::Standing(_)));
    assert_eq!(stood(members[0]), 1, "who keeps quorum notices nothing");
}
