//! Channel life cycle: open, close, unlink, deletion. SAI-AIS-EVT-B.03.01, chapter on channels.

use super::*;

#[test]
fn opening_without_create_needs_a_linked_channel() {
    let mut desk = Desk::new();
    let process = desk.process();
    assert_eq!(desk.try_open(process, CHANNEL, SUBSCRIBE), Err(Error::NotExist));
    desk.open(process, CHANNEL);
    assert!(desk.try_open(process, CHANNEL, SUBSCRIBE).is_ok());
    desk.unlink(CHANNEL).unwrap();
    assert_eq!(desk.try_open(process, CHANNEL, SUBSCRIBE), Err(Error::NotExist));
}

#[test]
fn create_opens_what_exists_and_create_alone_gives_no_rights() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    let open = desk.try_open(process, CHANNEL, CREATE).unwrap();
    assert_eq!(desk.channels(|channel| channel.openers), [2]);
    assert_eq!(desk.subscribe(open, 1, everything()), Err(Error::Access));
    assert_eq!(desk.publish_without_credit(open, Draft::default()), Err(Fault::Malformed));
}

#[test]
fn an_open_without_flags_is_refused() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.open(process, CHANNEL);
    assert_eq!(desk.try_open(process, CHANNEL, OpenFlags::empty()), Err(Error::BadFlags));
}

#[test]
fn only_old_handles_create_names_that_are_not_dns() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = |desk: &mut Desk, channel: &str, flags, dns| {
        desk.opened += 1;
        let number = InstanceNo::new(desk.opened, 0);
        let channel = name(channel);
        desk.node.channel_open(process, LibraryNo(0), number, &channel, flags, dns).map(|_| ())
    };
    let both = SUBSCRIBE | CREATE;
    assert_eq!(open(&mut desk, "plain", both, true), Err(Error::InvalidParam));
    assert_eq!(open(&mut desk, "plain", SUBSCRIBE, true), Err(Error::NotExist));
    assert_eq!(open(&mut desk, "plain", both, false), Ok(()));
    assert_eq!(open(&mut desk, "plain", both, true), Err(Error::InvalidParam), "with the flag");
    assert_eq!(open(&mut desk, "plain", SUBSCRIBE, true), Ok(()));
    assert_eq!(open(&mut desk, "safChnl=x", both, true), Ok(()));
    assert_eq!(open(&mut desk, "", both, false), Err(Error::InvalidParam));

    let limits = Limits { channel_names_are_dns: false, ..Limits::default() };
    let mut desk = Desk::with(limits, 1);
    desk.process();
    assert_eq!(open(&mut desk, "plain", both, true), Ok(()));
}

#[test]
fn the_last_close_deletes_an_unlinked_channel_only() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    desk.close(open);
    assert_eq!(desk.channels(|channel| (channel.linked, channel.openers)), [(true, 0)]);
    let first = desk.open(process, CHANNEL);
    let second = desk.open(process, CHANNEL);
    desk.unlink(CHANNEL).unwrap();
    desk.close(first);
    assert_eq!(desk.channels(|channel| channel.linked), [false]);
    desk.close(second);
    assert_eq!(desk.channels(|channel| channel.linked), []);
}

#[test]
fn unlinking_is_for_linked_names_and_done_once() {
    let mut desk = Desk::new();
    let process = desk.process();
    assert_eq!(desk.unlink(CHANNEL), Err(Error::NotExist));
    desk.open(process, CHANNEL);
    assert_eq!(desk.unlink(CHANNEL), Ok(()));
    assert_eq!(desk.unlink(CHANNEL), Err(Error::NotExist));
}

#[test]
fn instances_of_an_unlinked_channel_go_on_among_themselves() {
    let mut desk = Desk::new();
    let (old, new) = (desk.process(), desk.process());
    let publisher = desk.open(old, CHANNEL);
    let subscriber = desk.open(old, CHANNEL);
    desk.unlink(CHANNEL).unwrap();
    let stranger = desk.open(new, CHANNEL);
    desk.subscribe(stranger, 1, everything()).unwrap();
    desk.subscribe(subscriber, 1, everything()).unwrap();
    desk.say(publisher, "old");
    desk.say(stranger, "new");
    assert_eq!(desk.heard(old), heard(&[(1, "old")]));
    assert_eq!(desk.heard(new), heard(&[(1, "new")]));
}

#[test]
fn a_new_channel_of_an_unlinked_name_has_nothing_of_the_old_one() {
    let mut desk = Desk::new();
    let process = desk.process();
    let old = desk.open(process, CHANNEL);
    let kept = Draft { pattern: "kept", retention: Span::FOREVER, ..Draft::default() };
    desk.publish(old, kept);
    desk.unlink(CHANNEL).unwrap();
    let new = desk.open(process, CHANNEL);
    desk.subscribe(new, 1, everything()).unwrap();
    assert_eq!(desk.heard(process), []);
    desk.subscribe(old, 1, everything()).unwrap();
    assert_eq!(desk.heard(process), heard(&[(1, "kept")]));
    let mut incarnations = desk.channels(|channel| channel.incarnation);
    incarnations.dedup();
    assert_eq!(incarnations.len(), 2);
}

#[test]
fn a_process_that_goes_closes_all_it_had() {
    let mut desk = Desk::new();
    let (leaving, staying) = (desk.process(), desk.process());
    let publisher = desk.open(leaving, CHANNEL);
    desk.open(leaving, "safChnl=b");
    desk.unlink("safChnl=b").unwrap();
    let kept = Draft { pattern: "kept", retention: Span::FOREVER, ..Draft::default() };
    desk.publish(publisher, kept);
    desk.disconnect(leaving);
    assert_eq!(desk.channels(|channel| (channel.linked, channel.openers)), [(true, 0)]);
    let subscriber = desk.open(staying, CHANNEL);
    desk.subscribe(subscriber, 1, everything()).unwrap();
    assert_eq!(desk.heard(staying), heard(&[(1, "kept")]));
}

#[test]
fn closing_a_library_handle_leaves_the_others_alone() {
    let mut desk = Desk::new();
    let process = desk.process();
    desk.node.library_open(process, LibraryNo(1)).unwrap();
    let number = InstanceNo::new(500, 0);
    let flags = PUBLISH | CREATE;
    let channel = name(CHANNEL);
    desk.node.channel_open(process, LibraryNo(1), number, &channel, flags, false).unwrap();
    let open = desk.open(process, CHANNEL);
    desk.subscribe(open, 1, everything()).unwrap();
    desk.node.library_close(process, LibraryNo(1));
    assert_eq!(desk.channels(|channel| channel.openers), [1]);
    desk.say(open, "still");
    assert_eq!(desk.heard(process), heard(&[(1, "still")]));
    desk.node.library_close(process, LibraryNo(9));
}

#[test]
fn a_slot_is_free_again_after_close_but_the_old_number_is_stale() {
    let mut desk = Desk::new();
    let process = desk.process();
    let channel = name(CHANNEL);
    let open = |desk: &mut Desk, slot, generation| {
        let number = InstanceNo::new(slot, generation);
        let flags = SUBSCRIBE | CREATE;
        let answer = desk.node.channel_open(process, LibraryNo(0), number, &channel, flags, false);
        answer.map(|_| Open { process, number })
    };
    let old = open(&mut desk, 3, 1).unwrap();
    assert_eq!(open(&mut desk, 3, 2), Err(Error::InvalidParam));
    desk.close(old);
    let new = open(&mut desk, 3, 2).unwrap();
    assert_eq!(desk.subscribe(old, 1, everything()), Err(Error::BadHandle));
    desk.close(old);
    assert_eq!(desk.subscribe(new, 1, everything()), Ok(()));
}

#[test]
fn what_must_be_kept_for_a_restart_is_told() {
    let mut desk = Desk::new();
    let process = desk.process();
    let open = desk.open(process, CHANNEL);
    let created = desk.changes();
    let [Change::ChannelCreated { incarnation, name: told }] = &created[..] else {
        panic!("{created:?}")
    };
    let incarnation = *incarnation;
    assert_eq!(*told, name(CHANNEL));
    let other = desk.open(process, CHANNEL);
    assert_eq!(desk.changes(), []);
    desk.unlink(CHANNEL).unwrap();
    assert_eq!(desk.changes(), [Change::ChannelUnlinked { incarnation }]);
    desk.close(open);
    assert_eq!(desk.changes(), []);
    desk.close(other);
    assert_eq!(desk.changes(), [Change::ChannelDeleted { incarnation }]);
}
