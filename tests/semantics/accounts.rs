//! Bounds: at each and one beyond; and everything is given back.

use super::*;
use SaEvt::evt::node::{Credit, Totals};

#[test]
fn processes_and_library_handles_are_bounded() {
    let limits = Limits { processes_max: 2, libraries_per_process_max: 2, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let (one, two) = (desk.process(), desk.process());
    assert_eq!(desk.node.connect(identity(0)), Err(Error::NoResources));
    assert_eq!(desk.node.library_open(one, LibraryNo(0)), Err(Error::InvalidParam));
    assert_eq!(desk.node.library_open(one, LibraryNo(1)), Ok(()));
    assert_eq!(desk.node.library_open(one, LibraryNo(2)), Err(Error::NoResources));
    assert_eq!(desk.node.library_open(two, LibraryNo(2)), Ok(()));
    desk.node.library_close(one, LibraryNo(1));
    assert_eq!(desk.node.library_open(one, LibraryNo(2)), Ok(()));
    desk.disconnect(two);
    assert_eq!(desk.node.library_open(two, LibraryNo(5)), Err(Error::BadHandle));
    assert_eq!(desk.node.connect(identity(0)), Ok(two));
}

#[test]
fn one_user_cannot_keep_others_out() {
    let limits = Limits { processes_max: 4, processes_per_user_max: 2, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let one = desk.node.connect(identity(1)).unwrap();
    desk.node.connect(identity(1)).unwrap();
    assert_eq!(desk.node.connect(identity(1)), Err(Error::NoResources));
    assert!(desk.node.connect(identity(2)).is_ok());
    desk.node.disconnect(one);
    assert!(desk.node.connect(identity(1)).is_ok());
}

#[test]
fn library_handles_of_one_user_are_bounded_over_all_processes() {
    let limits = Limits { libraries_per_user_max: 3, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let connect = |desk: &mut Desk, uid| desk.node.connect(identity(uid)).unwrap();
    let (one, same, other) = (connect(&mut desk, 1), connect(&mut desk, 1), connect(&mut desk, 2));
    assert_eq!(desk.node.library_open(one, LibraryNo(0)), Ok(()));
    assert_eq!(desk.node.library_open(one, LibraryNo(1)), Ok(()));
    assert_eq!(desk.node.library_open(same, LibraryNo(0)), Ok(()));
    assert_eq!(desk.node.library_open(same, LibraryNo(1)), Err(Error::NoResources));
    assert_eq!(desk.node.library_open(other, LibraryNo(0)), Ok(()));
    desk.node.library_close(one, LibraryNo(1));
    assert_eq!(desk.node.library_open(same, LibraryNo(1)), Ok(()));
    assert_eq!(desk.node.library_open(one, LibraryNo(1)), Err(Error::NoResources));
    desk.disconnect(same);
    assert_eq!(desk.node.library_open(one, LibraryNo(1)), Ok(()));
    assert_eq!(desk.node.library_open(one, LibraryNo(2)), Ok(()));
    assert_eq!(desk.node.library_open(one, LibraryNo(3)), Err(Error::NoResources));
}

#[test]
fn one_user_cannot_fill_the_store_with_bytes() {
    let limits =
        Limits { retained_bytes_max: 1000, retained_bytes_per_user_max: 600, ..Limits::default() };
    let mut desk = Desk::with(limits, 100);
    let one = desk.node.connect(identity(1)).unwrap();
    let same = desk.node.connect(identity(1)).unwrap();
    let two = desk.node.connect(identity(2)).unwrap();
    let credit = |events, bytes| Credit { events, bytes };
    assert_eq!(desk.node.grant_credit(one, 1, 500), credit(1, 500));
    assert_eq!(desk.node.grant_credit(same, 1, 500), credit(1, 100));
    assert_eq!(desk.node.grant_credit(two, 1, 500), credit(1, 400));
    desk.node.return_credit(one, credit(1, 500));
    assert_eq!(desk.node.grant_credit(same, 1, 900), credit(1, 500));
}

#[test]
fn channels_are_bounded_with_unlinked_ones_counted() {
    let limits = Limits { channels_max: 2, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let process = desk.process();
    let first = desk.open(process, CHANNEL);
    desk.open(process, "safChnl=b");
    desk.unlink(CHANNEL).unwrap();
    let both = PUBLISH | CREATE;
    assert_eq!(desk.try_open(process, "safChnl=c", both), Err(Error::NoResources));
    assert!(desk.try_open(process, "safChnl=b", both).is_ok());
    desk.close(first);
    assert!(desk.try_open(process, "safChnl=c", both).is_ok());
}

#[test]
fn open_instances_are_bounded_by_their_slots() {
    let limits = Limits { instances_per_process_max: 3, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let process = desk.process();
    // The desk numbers its slots from 1 on.
    assert!(desk.try_open(process, CHANNEL, PUBLISH | CREATE).is_ok());
    assert!(desk.try_open(process, CHANNEL, PUBLISH).is_ok());
    let refused = desk.try_open(process, "safChnl=b", PUBLISH | CREATE);
    assert_eq!(refused, Err(Error::NoResources));
    assert_eq!(desk.channels(|channel| channel.openers), [2]);
}

#[test]
fn an_open_needs_its_process_and_library_handle() {
    let mut desk = Desk::new();
    let process = desk.process();
    let number = InstanceNo::new(0, 0);
    let channel = name(CHANNEL);
    for (process, library) in [(process, 1), (ProcessKey(77), 0)] {
        let library = LibraryNo(library);
        let answer = desk.node.channel_open(process, library, number, &channel, CREATE, false);
        assert_eq!(answer.map(|_| ()), Err(Error::BadHandle));
    }
}

#[test]
fn subscriptions_of_an_instance_are_bounded() {
    let limits = Limits { subscriptions_per_instance_max: 2, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let process = desk.process();
    let (open, other) = (desk.open(process, CHANNEL), desk.open(process, CHANNEL));
    assert_eq!(desk.subscribe(open, 1, everything()), Ok(()));
    assert_eq!(desk.subscribe(open, 2, everything()), Ok(()));
    assert_eq!(desk.subscribe(open, 3, everything()), Err(Error::NoResources));
    assert_eq!(desk.subscribe(other, 3, everything()), Ok(()));
    desk.unsubscribe(open, 1).unwrap();
    assert_eq!(desk.subscribe(open, 3, everything()), Ok(()));
}

#[test]
fn filter_bytes_of_a_process_are_bounded_and_given_back() {
    let one = exact("abc").cost_bytes();
    let limits = Limits { filter_bytes_per_process_max: 2 * one, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    let (process, neighbour) = (desk.process(), desk.process());
    let (open, other) = (desk.open(process, CHANNEL), desk.open(process, CHANNEL));
    assert_eq!(desk.subscribe(open, 1, exact("abc")), Ok(()));
    assert_eq!(desk.subscribe(other, 1, exact("abcd")), Err(Error::NoResources));
    assert_eq!(desk.subscribe(other, 1, exact("abc")), Ok(()));
    let foreign = desk.open(neighbour, CHANNEL);
    assert_eq!(desk.subscribe(foreign, 1, exact("abc")), Ok(()));
    desk.close(other);
    assert_eq!(desk.subscribe(open, 2, exact("abc")), Ok(()));
    desk.unsubscribe(open, 1).unwrap();
    assert_eq!(desk.subscribe(open, 3, exact("abc")), Ok(()));
}

fn bounded() -> Desk {
    let limits = Limits {
        retained_events_max: 10,
        retained_bytes_max: 1000,
        retained_events_per_user_max: 6,
        ..Limits::default()
    };
    Desk::with(limits, 100)
}

#[test]
fn credit_is_what_is_asked_or_what_the_bounds_leave() {
    let mut desk = bounded();
    let one = desk.node.connect(identity(1)).unwrap();
    let same = desk.node.connect(identity(1)).unwrap();
    let two = desk.node.connect(identity(2)).unwrap();
    let credit = |events, bytes| Credit { events, bytes };
    assert_eq!(desk.node.grant_credit(one, 4, 100), credit(4, 100));
    assert_eq!(desk.node.grant_credit(same, 4, 100), credit(2, 100));
    assert_eq!(desk.node.grant_credit(same, 1, 100), credit(0, 0));
    assert_eq!(desk.node.grant_credit(two, 100, u64::MAX), credit(4, 800));
    desk.node.return_credit(one, credit(1, 50));
    assert_eq!(desk.node.grant_credit(same, 9, 900), credit(1, 50));
    desk.disconnect(one);
    assert_eq!(desk.node.grant_credit(same, 9, 900), credit(3, 50));
    assert_eq!(desk.node.grant_credit(ProcessKey(77), 1, 1), Credit::default());
}

#[test]
fn no_more_credit_comes_back_than_was_held() {
    let mut desk = bounded();
    let one = desk.node.connect(identity(1)).unwrap();
    let two = desk.node.connect(identity(2)).unwrap();
    desk.node.grant_credit(one, 2, 100);
    desk.node.grant_credit(two, 6, 100);
    desk.node.return_credit(one, Credit { events: 5, bytes: 900 });
    let totals = desk.node.statistics(&mut |_| {});
    assert_eq!((totals.credit_events, totals.credit_bytes), (6, 100));
}

#[test]
fn retaining_spends_credit_and_without_it_is_a_fault() {
    let mut desk = bounded();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let draft = Draft { pattern: "x", retention: Span(9), data: "12", ..Draft::default() };
    let bytes = pack(&["x"]).packed().len() as u64 + 2;
    let fault = Err(Fault::Malformed);
    assert_eq!(desk.publish_without_credit(open, draft).map(|_| ()), fault);
    desk.node.grant_credit(process, 2, bytes - 1);
    assert_eq!(desk.publish_without_credit(open, draft).map(|_| ()), fault);
    desk.node.grant_credit(process, 0, 1);
    assert_eq!(desk.publish_without_credit(open, draft).map(|_| ()), fault);
    // Whole units are spent, as the program counts them; the event is charged as it is.
    desk.node.grant_credit(process, 1, Credit::UNIT);
    assert_eq!(desk.publish_without_credit(open, draft).map(|_| ()), Ok(()));
    let totals = desk.node.statistics(&mut |_| {});
    assert_eq!((totals.retained_events, totals.retained_bytes), (1, bytes));
    assert_eq!((totals.credit_events, totals.credit_bytes), (2, bytes - 1));
}

#[test]
fn what_is_retained_is_charged_until_it_ends() {
    let mut desk = bounded();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let draft = Draft { retention: Span(9), ..Draft::default() };
    let kept = |desk: &mut Desk| {
        desk.node.grant_credit(process, 1, 100);
        desk.publish_without_credit(open, draft).unwrap().0
    };
    let ids: Vec<_> = (0..6).map(|_| kept(&mut desk)).collect();
    assert_eq!(desk.node.grant_credit(process, 1, 1).events, 0);
    desk.node.retention_clear(process, open.number, ids[3]).unwrap();
    assert_eq!(desk.node.grant_credit(process, 9, 0).events, 1);
    desk.node.expire(Time(9));
    assert_eq!(desk.node.grant_credit(process, 9, 0).events, 5);
}

#[test]
fn an_id_is_retained_once() {
    let mut desk = bounded();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let draft = Draft { retention: Span(9), ..Draft::default() };
    let id = desk.publish(open, draft);
    desk.node.grant_credit(process, 1, 100);
    let attributes = pack(&[""]);
    let again = publication(open, id, draft, &attributes);
    let answer = desk.node.publish(process, &again, u32::MAX, desk.now, &mut desk.inboxes);
    assert_eq!(answer, Err(Fault::Malformed));
    assert_eq!(desk.node.statistics(&mut |_| {}).retained_events, 1);
}

#[test]
fn everything_is_given_back_when_everything_is_closed() {
    let mut desk = Desk::with(Limits { queue_events_max: 3, ..Limits::default() }, 1);
    for round in 0..3 {
        let (one, two) = (desk.process(), desk.process());
        let opens = [desk.open(one, CHANNEL), desk.open(two, CHANNEL)];
        for open in opens {
            desk.subscribe(open, 1, exact("x")).unwrap();
            desk.subscribe(open, 2, everything()).unwrap();
        }
        for priority in [3, 3, 3, 2, 1, 0, 0, 0] {
            let retention = Span(u64::from(priority) * 100);
            desk.publish(opens[0], Draft { pattern: "x", priority, retention, data: "data" });
        }
        desk.node.grant_credit(one, 10, 1000);
        let totals = desk.node.statistics(&mut |_| {});
        assert!(totals.queued_events > 0 && totals.queued_bytes > 0 && totals.filter_bytes > 0);
        if round == 1 {
            desk.close(opens[0]);
        }
        desk.disconnect(one);
        desk.unlink(CHANNEL).unwrap();
        desk.disconnect(two);
        desk.inboxes = Inboxes::new(1);
        let totals = desk.node.statistics(&mut |_| {});
        let publications = totals.publications;
        assert_eq!(totals, Totals { publications, ..Totals::default() });
    }
}

#[test]
fn processes_are_shown_with_what_they_hold() {
    let mut desk = Desk::with(Limits::default(), 0);
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    desk.publish(open, Draft { data: "12", retention: Span(5), ..Draft::default() });
    let mut shown = None;
    desk.node.statistics(&mut |statistic| {
        if let Statistic::Process(process) = statistic {
            shown = Some(process);
        }
    });
    let shown = shown.unwrap();
    assert_eq!((shown.process, shown.identity), (process, identity(0)));
    assert_eq!((shown.libraries, shown.instances, shown.subscriptions), (1, 1, 1));
    assert_eq!((shown.queued_events, shown.user_retained_events), (1, 1));
    assert_eq!((shown.queued_bytes, shown.user_retained_bytes), (8, 8));
    let counts = |desk: &Desk| {
        desk.channels(|channel| {
            (channel.openers, channel.publishers, channel.subscribers, channel.retained_events)
        })
    };
    assert_eq!(counts(&desk), [(1, 1, 1, 1)]);
    desk.try_open(process, CHANNEL, PUBLISH).unwrap();
    let subscriber = desk.try_open(process, CHANNEL, SUBSCRIBE).unwrap();
    assert_eq!(counts(&desk), [(3, 2, 2, 1)]);
    desk.close(open);
    assert_eq!(counts(&desk), [(2, 1, 1, 1)]);
    desk.close(subscriber);
    assert_eq!(counts(&desk), [(1, 1, 0, 1)]);
}
