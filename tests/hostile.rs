//! Programs that break the rules of the link: each loses its link, is named in the log, and
//! disturbs neither the daemon nor a program beside it.

#![expect(clippy::disallowed_methods, reason = "a program needs threads to race with itself")]

mod wild;

use SaEvt::evt::node::EventRecord;
use SaEvt::evt::{
    Attributes, Error, EventId, Incarnation, InstanceNo, LibraryNo, Name, OpenFlags, Priority, Span,
};
use SaEvt::link::outbox::Outbox;
use SaEvt::link::record::{OUT_HEADER, OutHeader};
use SaEvt::sys::{descriptor, memory, socket};
use SaEvt::wire::{Body, Request};
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use wild::{Client, Daemon, LIBRARY, Witness, all, ask, hello, instance, memory_bytes};

/// A request that any program may make at any time.
const HARMLESS: Body = Body::Credit { events: 1, bytes: 64 };
/// Where the words of an outbox lie; frozen with link version 1.
const LINE: u64 = 128;
const TAKEN: u64 = LINE;
const DONE: u64 = 2 * LINE;
const CREDIT: u64 = 13 * LINE;
const COMMITS: u64 = 4096;
const READ_OF_FIRST_INBOX_RING: u64 = LINE;

/// A hostile program with a publisher's instance, after which the witness looks round.
fn trial(name: &str, act: impl FnOnce(&mut Client, &mut Witness)) -> String {
    let mut daemon = Daemon::start(name);
    let mut witness = Witness::new(&daemon);
    let mut client = Client::connect(&daemon);
    let _handle = client.library(LIBRARY);
    client.open(LIBRARY, instance(), "hostile", all());
    act(&mut client, &mut witness);
    witness.sees_that_all_is_well();
    assert!(daemon.is_alive());
    daemon.log()
}

/// As [`trial`] for what must cost the program its link, with this reason.
fn trial_that_ends(name: &str, why: &str, act: impl FnOnce(&mut Client)) {
    let log = trial(name, |client, _| {
        act(client);
        client.wait_for_drop();
    });
    let line = format!("pid {} uid {} dropped: ", std::process::id(), nix::unistd::getuid());
    let found = log.lines().any(|logged| logged.contains(&line) && logged.contains(why));
    assert!(found, "no line about \"{why}\" in: {log}");
}

fn empty() -> Attributes {
    Attributes::empty().unwrap()
}

#[test]
fn garbage_on_the_control_socket_ends_the_link() {
    trial_that_ends("garbage", "malformed request", |client| {
        socket::send(client.control.as_fd(), &[0xa5; 300], &[]).unwrap();
    });
}

#[test]
fn a_second_hello_ends_the_link() {
    trial_that_ends("hello", "hello out of place", |client| {
        let request = Request { id: 1, barrier: [0; 4], body: hello(false) };
        socket::send(client.control.as_fd(), &request.encode(), &[]).unwrap();
    });
}

#[test]
fn descriptors_that_nobody_asked_for_end_the_link() {
    for count in [1, 4] {
        trial_that_ends("descriptors", "descriptors that nobody asked for", |client| {
            let request = Request { id: 1, barrier: [0; 4], body: HARMLESS }.encode();
            let rights = vec![client.control.as_fd(); count];
            socket::send(client.control.as_fd(), &request, &rights).unwrap();
        });
    }
}

#[test]
fn more_descriptors_than_a_message_has_end_the_link() {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
    trial_that_ends("many-descriptors", "more than a message can hold", |client| {
        let request = Request { id: 1, barrier: [0; 4], body: HARMLESS }.encode();
        let control = client.control.as_raw_fd();
        let rights = [control; 40];
        let parts = [std::io::IoSlice::new(&request)];
        let message = [ControlMessage::ScmRights(&rights)];
        sendmsg::<UnixAddr>(control, &parts, &message, MsgFlags::empty(), None).unwrap();
    });
}

#[test]
fn memory_that_is_not_ours_is_refused() {
    let mut daemon = Daemon::start("memory");
    let mut witness = Witness::new(&daemon);
    let bytes = memory_bytes(&witness.client.memory.try_clone().unwrap().into());
    let file: OwnedFd = File::create(daemon.socket().with_extension("file")).unwrap().into();
    let unsealed = memfd_create(c"unsealed", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    File::from(unsealed.try_clone().unwrap()).set_len(bytes as u64).unwrap();
    let small = memory::sealed(c"small", bytes / 2).unwrap();
    let (packet, _other) = UnixDatagram::pair().unwrap();
    let mut offered = vec![file, unsealed, small, packet.into(), descriptor::eventfd().unwrap()];
    let huge = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_HUGETLB;
    if let Ok(huge) = memfd_create(c"huge", huge) {
        offered.push(huge);
    }
    for memory in offered {
        let control = socket::connect(&daemon.socket()).unwrap();
        let (reply, handed) = ask(control.as_fd(), hello(true), &[memory.as_fd()]);
        assert_eq!(reply.code, Err(Error::NoResources));
        assert!(handed.is_empty());
        let client = Client::connect(&daemon);
        let open = Body::LibraryOpen { library: LIBRARY, resumes: true };
        let (reply, handed) = ask(client.control.as_fd(), open, &[memory.as_fd()]);
        assert_eq!(reply.code, Err(Error::NoResources));
        assert!(handed.is_empty());
    }
    assert!(daemon.log().contains("a program was refused"));
    assert!(daemon.log().contains("a library handle was refused"));
    witness.sees_that_all_is_well();
    assert!(daemon.is_alive());
}

/// Memory as a daemon makes it, with these words in it.
fn forged(bytes: usize, words: impl Iterator<Item = (u64, u64)>) -> OwnedFd {
    let memory = memory::sealed(c"forged", bytes).unwrap();
    let file = File::from(memory.try_clone().unwrap());
    words.for_each(|(place, word)| file.write_all_at(&word.to_le_bytes(), place).unwrap());
    memory
}

#[test]
fn restored_rings_with_impossible_positions_are_refused() {
    let mut daemon = Daemon::start("positions");
    let mut witness = Witness::new(&daemon);
    let far = u64::MAX - 63;
    // Reserved, taken, done. Taken may be beyond reserved inside of a ring: a node died there.
    let bytes = memory_bytes(&witness.client.memory.try_clone().unwrap().into());
    for positions in [[64, 1 << 40, 0], [0, 0, 64], [1 << 40, 0, 0], [96, 96, 32], [far, far, far]]
    {
        let forged = forged(bytes, [0, TAKEN, DONE].into_iter().zip(positions));
        let control = socket::connect(&daemon.socket()).unwrap();
        let (reply, _) = ask(control.as_fd(), hello(true), &[forged.as_fd()]);
        assert_eq!(reply.code, Err(Error::NoResources), "{positions:?}");
    }
    // Written, read.
    let client = Client::connect(&daemon);
    let bytes = memory_bytes(&client.library(LIBRARY).memory.into());
    for positions in [[4, 0], [0, 8], [1 << 40, 0], [far, far]] {
        let places = [0, READ_OF_FIRST_INBOX_RING];
        let forged = forged(bytes, places.into_iter().zip(positions));
        let open = Body::LibraryOpen { library: LibraryNo(1), resumes: true };
        let (reply, _) = ask(client.control.as_fd(), open, &[forged.as_fd()]);
        assert_eq!(reply.code, Err(Error::NoResources), "{positions:?}");
    }
    witness.sees_that_all_is_well();
    assert!(daemon.is_alive());
}

#[test]
fn records_with_impossible_lengths_end_the_link() {
    let lies: [fn(&mut OutHeader); 4] = [
        |header| header.data_bytes = u32::MAX,
        |header| header.attributes_bytes = u32::MAX,
        |header| header.attributes_bytes = 70_000,
        |header| header.data_bytes += 4096,
    ];
    for lie in lies {
        trial_that_ends("lengths", "published what cannot be", |client| {
            let mut header = client.header(instance(), 8);
            lie(&mut header);
            assert!(client.publish(&header, empty().packed(), &[1; 8]));
        });
    }
}

#[test]
fn attributes_that_are_none_end_the_link() {
    trial_that_ends("attributes", "published what cannot be", |client| {
        let header = client.header(instance(), 0);
        let nonsense = vec![0xff; header.attributes_bytes as usize];
        assert!(client.publish(&header, &nonsense, &[]));
    });
}

#[test]
fn commit_words_that_cannot_be_end_the_link() {
    let lap = 1_u64 << 24;
    for word in [lap, lap | 0x00ff_fffe] {
        trial_that_ends("commits", "holds nonsense", |client| {
            client.scribble(COMMITS, &word.to_le_bytes());
            client.ring_node();
        });
    }
}

#[test]
fn identifiers_of_somebody_else_end_the_link() {
    for id in [0, 1, 1001, u64::MAX] {
        trial_that_ends("identifiers", "published what cannot be", |client| {
            let mut header = client.header(instance(), 0);
            header.id = id;
            assert!(client.publish(&header, empty().packed(), &[]));
        });
    }
}

#[test]
fn publishing_without_the_right_ends_the_link() {
    trial_that_ends("right", "published what cannot be", |client| {
        let reader = InstanceNo::new(2, 1);
        client.open(LIBRARY, reader, "hostile", OpenFlags::SUBSCRIBER);
        let header = client.header(reader, 0);
        assert!(client.publish(&header, empty().packed(), &[]));
    });
}

#[test]
fn retention_without_credit_ends_the_link() {
    trial_that_ends("credit", "published what cannot be", |client| {
        client.scribble(CREDIT, &u64::MAX.to_le_bytes());
        let mut header = client.header(instance(), 0);
        header.retention = u64::MAX;
        assert!(client.publish(&header, empty().packed(), &[]));
    });
}

#[test]
fn numbers_beyond_the_limits_are_refused() {
    trial("numbers", |client, _| {
        for library in [1 << 16, u32::MAX] {
            let open = Body::LibraryOpen { library: LibraryNo(library), resumes: false };
            assert_eq!(client.ask(open).code, Err(Error::NoResources));
        }
        let open = Body::Open {
            library: LIBRARY,
            instance: InstanceNo(u64::MAX),
            flags: all(),
            names_are_dns: false,
            asynchronous: false,
            name: Name::new(b"far").unwrap(),
        };
        assert_eq!(client.ask(open).code, Err(Error::NoResources));
        let credit = Body::Credit { events: u32::MAX, bytes: u64::MAX };
        assert_eq!(client.ask(credit).code, Err(Error::NoResources));
    });
}

#[test]
fn positions_that_run_about_on_a_live_link_harm_only_their_program() {
    trial("live-positions", |client, witness| {
        for position in [u64::MAX, 1 << 63, 64, 1, 0] {
            for place in [0, TAKEN, DONE] {
                client.scribble(place, &u64::to_le_bytes(position));
            }
            client.ring_node();
            witness.sees_that_all_is_well();
        }
    });
}

#[test]
fn commits_beyond_what_is_reserved_harm_only_their_program() {
    trial("beyond", |client, witness| {
        // Every unit of the ring is a record of zeros: of an instance that does not exist.
        let words = Outbox::memory_bytes(1 << 16);
        let word = 1_u64 << 24 | 1 << 1;
        client.scribble(COMMITS, &word.to_le_bytes().repeat(words / 64));
        client.ring_node();
        witness.sees_that_all_is_well();
        assert!(client.is_linked(), "records of an unknown instance are passed over");
    });
}

#[test]
fn a_reader_whose_position_runs_about_harms_only_itself() {
    let mut daemon = Daemon::start("reader");
    let mut witness = Witness::new(&daemon);
    let client = Client::connect(&daemon);
    let handle = client.library(LIBRARY);
    client.open(LIBRARY, instance(), "witness", all());
    client.subscribe_to_all(instance());
    for position in [u64::MAX, 1 << 63, 3, 1 << 40, 0] {
        handle.memory.write_all_at(&u64::to_le_bytes(position), READ_OF_FIRST_INBOX_RING).unwrap();
        for _ in 0..100 {
            witness.sees_that_all_is_well();
        }
    }
    assert!(daemon.is_alive());
}

#[test]
fn holes_punched_while_the_daemon_reads_end_in_no_fault() {
    trial("holes", |client, witness| {
        let memory = client.memory.try_clone().unwrap();
        let bytes = memory.metadata().unwrap().len() as i64;
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let puncher = std::thread::spawn(move || {
            let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let mut holes = 0;
            while ended.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                fallocate(&memory, punch, 4096, bytes - 4096).unwrap();
                holes += 1;
            }
            holes
        });
        for _ in 0..500 {
            let header = client.header_unless_dropped(instance());
            let Some(header) = header else { break };
            client.publish(&header, empty().packed(), &[7; 2000]);
            witness.sees_that_all_is_well();
        }
        drop(end);
        assert!(puncher.join().unwrap() > 0);
    });
}

#[test]
fn a_program_that_never_reads_its_replies_is_dropped() {
    trial_that_ends("replies", "does not read its replies", |client| {
        let ids = (0..1024).map(EventId).collect();
        let body = Body::Gone { instance: instance(), ids };
        let request = Request { id: 1, barrier: [0; 4], body }.encode();
        loop {
            match socket::send(client.control.as_fd(), &request, &[]) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    wild::wait_for(client.control.as_fd(), libc::POLLOUT);
                }
                Err(_) => break,
            }
        }
    });
}

#[test]
fn an_eventfd_that_blocks_its_writers_blocks_nobody_else() {
    trial("eventfd", |client, witness| {
        fcntl(&client.node_bell, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let mut bell = File::from(client.node_bell.try_clone().unwrap());
        bell.write_all(&(u64::MAX - 1).to_le_bytes()).unwrap();
        witness.sees_that_all_is_well();
        assert_eq!(client.ask(HARMLESS).code, Ok(()));
    });
}

#[test]
fn a_bell_whose_other_end_is_closed_harms_nobody() {
    trial("bell", |client, witness| {
        let handle = client.library(LibraryNo(1));
        let reader = InstanceNo::new(2, 1);
        client.open(LibraryNo(1), reader, "witness", all());
        client.subscribe_to_all(reader);
        handle.inbox.agent_bell().fall_asleep();
        drop(handle.bell);
        witness.sees_that_all_is_well();
        assert!(client.is_linked());
    });
}

#[test]
fn a_barrier_that_is_never_reached_holds_up_nobody_else() {
    trial("barrier", |client, witness| {
        client.scribble(0, &(1_u64 << 61).to_le_bytes());
        let request = Request { id: 1, barrier: [u64::MAX; 4], body: HARMLESS };
        for _ in 0..200 {
            // A full socket is as good: the daemon has stopped reading it.
            let _ = socket::send(client.control.as_fd(), &request.encode(), &[]);
        }
        witness.sees_that_all_is_well();
    });
}

#[test]
fn nobody_can_claim_the_identifiers_of_others_after_a_restart() {
    let daemon = Daemon::start("claim");
    let mut victim = Client::connect(&daemon);
    let mut thief = Client::connect(&daemon);
    let block = victim.next_id().0;
    let daemon = daemon.replace();
    thief.come_back(&daemon, block);
    victim.come_back(&daemon, block);
    let mut handle = victim.library(LIBRARY);
    victim.open(LIBRARY, instance(), "claimed", all());
    victim.subscribe_to_all(instance());
    let header = victim.header(instance(), 0);
    assert!((block..block + 65_536).contains(&header.id));
    assert!(victim.publish(&header, empty().packed(), &[]));
    assert_eq!(handle.receive(&victim).0, EventId(header.id));
    // Who uses what it could not claim loses its link.
    let _handle = thief.library(LIBRARY);
    thief.open(LIBRARY, instance(), "claimed", all());
    let stolen = OutHeader { id: header.id + 1, ..thief.header(instance(), 0) };
    assert!(thief.publish(&stolen, empty().packed(), &[]));
    thief.wait_for_drop();
    assert!(daemon.log().contains("it published what cannot be"));
}

#[test]
fn programs_bring_identifiers_of_the_private_service_of_their_user_alone() {
    let daemon = Daemon::start("private-identifiers");
    let user = nix::unistd::getuid().as_raw();
    for (of, taken) in [(user, true), (user + 1, false)] {
        let first = EventId::first_of(EventId::private_member(of), 9);
        let mut client = Client::connect(&daemon);
        client.come_back(&daemon, first.0);
        let mut handle = client.library(LIBRARY);
        client.open(LIBRARY, instance(), "brought", all());
        client.subscribe_to_all(instance());
        let header = OutHeader { id: first.0, ..client.header(instance(), 0) };
        assert!(client.publish(&header, empty().packed(), &[]));
        if taken {
            assert_eq!(handle.receive(&client).0, first);
        } else {
            client.wait_for_drop();
        }
    }
}

#[test]
fn the_record_header_is_what_this_test_believes() {
    assert_eq!(OUT_HEADER, 48);
    let client = {
        let daemon = Daemon::start("layout");
        Client::connect(&daemon)
    };
    let slot = client.outbox.ring(Priority::HIGHEST).reserve(64).unwrap();
    client.outbox.ring(Priority::HIGHEST).commit(slot);
    client.outbox.add_credit(3, 128);
    let read = |offset| {
        let mut word = [0; 8];
        client.memory.read_exact_at(&mut word, offset).unwrap();
        u64::from_le_bytes(word)
    };
    assert_eq!((read(0), read(COMMITS)), (64, 1 << 24 | 1 << 1));
    assert_eq!(read(CREDIT), 3 << 40 | 2);
}

/// Two private daemons of one user, or programs that say they are.
#[test]
fn a_move_that_is_broken_off_leaves_nothing_and_one_user_moves_once_at_a_time() {
    let mut daemon = Daemon::start("move");
    let mut witness = Witness::new(&daemon);
    let user = nix::unistd::getuid().as_raw();
    let private = Incarnation(5);
    let channel =
        || Body::MoveChannel { private, linked: true, name: Name::new(b"moved").unwrap() };
    let retained = |member: u16| {
        let record = Box::new(EventRecord {
            id: EventId::first_of(member, 1),
            publish_time: 1,
            retention: Span::FOREVER,
            priority: Priority::LOWEST,
            attributes: empty().packed().to_vec(),
            data: Vec::new(),
        });
        Body::MoveRetained { private, left: Span::FOREVER, record }
    };
    let one = Client::connect(&daemon);
    assert_eq!(one.ask(channel()).code, Ok(()));
    assert_eq!(one.ask(retained(EventId::private_member(user))).code, Ok(()));
    assert_eq!(one.ask(retained(0)).code, Err(Error::InvalidParam), "an id that is granted here");
    let two = Client::connect(&daemon);
    assert_eq!(two.ask(channel()).code, Err(Error::TryAgain));
    drop(one);
    let open = |client: &Client| {
        let (names_are_dns, asynchronous) = (false, false);
        let (library, flags) = (LIBRARY, OpenFlags::SUBSCRIBER);
        let (instance, name) = (instance(), Name::new(b"moved").unwrap());
        let open = Body::Open { library, instance, flags, names_are_dns, asynchronous, name };
        client.ask(open).code
    };
    let mut handle = two.library(LIBRARY);
    // The end of the first is seen before a word of the second, or soon after.
    while two.ask(channel()).code == Err(Error::TryAgain) {
        std::thread::yield_now();
    }
    assert_eq!(open(&two), Err(Error::NotExist), "nothing came of the first");
    assert_eq!(two.ask(retained(EventId::private_member(user))).code, Ok(()));
    assert_eq!(two.ask(Body::MoveEnd).code, Ok(()));
    assert_eq!(open(&two), Ok(()));
    two.subscribe_to_all(instance());
    let (id, _) = handle.receive(&two);
    assert_eq!(id, EventId::first_of(EventId::private_member(user), 1));
    witness.sees_that_all_is_well();
    assert!(daemon.is_alive());
}
