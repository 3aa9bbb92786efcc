//! A daemon that dies between two stores, and the one that takes over from it.

mod wild;

use SaEvt::evt::{Attributes, EventId, Priority};
use SaEvt::link::outbox::Outbox;
use wild::{Client, Daemon, LIBRARY, all, instance};

/// Where the words of the first ring of an outbox lie; frozen with link version 1.
const RESERVED: u64 = 0;
const TAKEN: u64 = 128;

/// A program that has a subscription on a channel of its own, and the handle to read.
fn subscribe(client: &Client) -> wild::Handle {
    let handle = client.library(LIBRARY);
    client.open(LIBRARY, instance(), "takeover", all());
    client.subscribe_to_all(instance());
    handle
}

fn ring_bytes(client: &Client) -> u64 {
    let bytes = client.memory.metadata().unwrap().len();
    (0..31)
        .map(|shift| 1 << shift)
        .find(|ring| Outbox::memory_bytes(*ring) as u64 == bytes)
        .unwrap() as u64
}

/// Publishes an event and receives it.
fn exchange(client: &mut Client, handle: &mut wild::Handle) {
    let header = client.header(instance(), 8);
    assert!(client.publish(&header, Attributes::empty().unwrap().packed(), &[7; 8]));
    assert_eq!(handle.receive(client), (EventId(header.id), vec![7; 8]));
}

/// A daemon takes the rest of an empty outbox ring out of use to go back to its first bytes. It
/// stores *taken*, then *reserved*, then a commit word.
#[test]
fn what_a_daemon_began_as_it_went_back_its_successor_completes() {
    for has_reserved in [false, true] {
        let daemon = Daemon::start(&format!("going-back-{has_reserved}"));
        let mut client = Client::connect(&daemon);
        let mut handle = subscribe(&client);
        let block = client.next_id().0;
        exchange(&mut client, &mut handle);
        let positions = || client.outbox.ring(Priority::HIGHEST).positions();
        while positions().0 != positions().2 {
            std::thread::yield_now();
        }
        let lap = ring_bytes(&client);
        assert!((1..lap).contains(&positions().0));
        let daemon = daemon.replace_after(|| {
            client.scribble(TAKEN, &lap.to_le_bytes());
            if has_reserved {
                client.scribble(RESERVED, &lap.to_le_bytes());
            }
        });
        client.come_back(&daemon, block);
        let mut handle = subscribe(&client);
        exchange(&mut client, &mut handle);
        let (reserved, ..) = client.outbox.ring(Priority::HIGHEST).positions();
        assert_eq!(reserved > lap, has_reserved, "{reserved}: where the next record went");
        exchange(&mut client, &mut handle);
        assert!(!daemon.log().contains("dropped"), "{}", daemon.log());
    }
}
