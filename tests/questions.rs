//! Questions about the node from programs that mean harm: answers stay bounded, and the others are
//! served.
#![allow(clippy::disallowed_methods)] // Threads and clocks of the tests.

mod wild;

use SaEvt::evt::{Error, Name, Priority};
use SaEvt::link::inbox::Inbox;
use SaEvt::wire::status::{Page, Topic};
use SaEvt::wire::{Body, MESSAGE_BYTES_MAX, Request, reply};
use std::os::fd::AsFd;
use wild::{Client, Daemon, LIBRARY, Witness};

fn page(client: &Client, topic: Topic) -> Result<Page, Error> {
    let reply = client.ask(Body::Status(topic));
    reply.code?;
    match reply.body {
        reply::Body::Status(page) => Ok(*page),
        body => panic!("{body:?}"),
    }
}

#[test]
fn a_question_from_beyond_the_end_has_an_empty_answer() {
    let daemon = Daemon::start("beyond");
    let mut witness = Witness::new(&daemon);
    let client = Client::connect(&daemon);
    for from in [7, 128, u32::MAX - 1, u32::MAX] {
        assert_eq!(page(&client, Topic::Channels { from }), Ok(Page::Channels(vec![], None)));
        assert_eq!(page(&client, Topic::Programs { from }), Ok(Page::Programs(vec![], None)));
    }
    let name = Box::new(Name::new(b"witness").unwrap());
    for from in [(Priority::HIGHEST, 0), (Priority::LOWEST, u64::MAX)] {
        let topic = Topic::Retained { name: name.clone(), from };
        assert_eq!(page(&client, topic), Ok(Page::Retained(vec![], None)));
    }
    for name in [b"".as_slice(), b"other"] {
        let name = Box::new(Name::new(name).unwrap());
        let topic = Topic::Retained { name, from: (Priority::HIGHEST, 0) };
        assert_eq!(page(&client, topic), Err(Error::NotExist));
    }
    witness.sees_that_all_is_well();
}

#[test]
fn what_a_program_says_to_have_read_is_not_believed() {
    let daemon = Daemon::start("read");
    let client = Client::connect(&daemon);
    let handle = client.library(LIBRARY);
    let ring_bytes = handle.inbox.ring_bytes();
    for position in [8, 1 << 40, u64::MAX - 7] {
        for priority in Priority::ALL {
            handle.inbox.ring(priority).advance(position);
        }
        let Ok(Page::Programs(programs, None)) = page(&client, Topic::Programs { from: 0 }) else {
            panic!("one page")
        };
        assert_eq!(programs.len(), 1);
        assert!(programs[0].unread_bytes <= 4 * ring_bytes);
        assert!(programs[0].shared_bytes >= Inbox::memory_bytes(ring_bytes as usize) as u64 - 4096);
    }
}

#[test]
fn who_asks_much_and_reads_nothing_is_dropped_and_disturbs_nobody() {
    let mut daemon = Daemon::start("deaf");
    let mut witness = Witness::new(&daemon);
    let crowd = Client::connect(&daemon);
    let _handle = crowd.library(LIBRARY);
    for number in 0..200_u32 {
        let name = format!("{number:0256}");
        let instance = SaEvt::evt::InstanceNo::new(number + 2, 0);
        crowd.open(LIBRARY, instance, &name, wild::all());
    }
    let client = Client::connect(&daemon);
    let question = Body::Status(Topic::Channels { from: 0 });
    let request = Request { id: 7, barrier: [0; 4], body: question }.encode();
    // It ends when the daemon has had enough.
    while client.is_linked() {
        let _ = SaEvt::sys::socket::send(client.control.as_fd(), &request, &[]);
        witness.sees_that_all_is_well();
    }
    assert!(daemon.is_alive());
    assert!(daemon.log().contains("dropped"), "{}", daemon.log());
    // Who reads is answered, within the bound of a message.
    let Ok(Page::Channels(channels, Some(next))) = page(&crowd, Topic::Channels { from: 0 }) else {
        panic!("more than one page")
    };
    assert!(channels.len() * 256 < MESSAGE_BYTES_MAX && next as usize >= channels.len());
}
