//! Programs that say they have read what they have not, or the other way round: the memory of
//! events that are shared is used again by what they say, and only they see the wrong bytes.

mod wild;

use SaEvt::evt::{Attributes, InstanceNo, LibraryNo, Priority};
use SaEvt::wire::Body;
use std::os::fd::AsFd;
use wild::{Client, Daemon, Witness, all};

#[test]
fn who_lies_about_what_it_has_read_changes_no_data_for_others() {
    let mut daemon = Daemon::start("liars");
    let mut witness = Witness::new(&daemon);
    let client = Client::connect(&daemon);
    let view = witness.client.map_segment();
    client.map_segment();
    let liars = [1, 2].map(|number| {
        let (library, instance) = (LibraryNo(number), InstanceNo::new(number + 1, 0));
        let handle = client.library(library);
        client.open(library, instance, "lies", all());
        client.subscribe_to_all(instance);
        handle
    });
    let (library, instance) = (LibraryNo(1), InstanceNo::new(2, 0));
    let mut honest = witness.client.library(library);
    witness.client.open(library, instance, "lies", all());
    witness.client.subscribe_to_all(instance);
    let lies = [u64::MAX, 0, 1 << 40, 8, 1 << 63, 80];
    let empty = Attributes::empty().unwrap();
    for round in 0..60 {
        let publisher = &mut witness.client;
        let all: Vec<_> = (0..5).map(|number| vec![(5 * round + number) as u8; 20_000]).collect();
        for data in &all {
            let header = publisher.header(instance, data.len());
            assert!(publisher.publish(&header, empty.packed(), data));
        }
        for handle in &liars {
            handle.inbox.ring(Priority::HIGHEST).advance(lies[round % lies.len()]);
        }
        // A request is answered after what was published before it.
        publisher.send(Body::Credit { events: 1, bytes: 64 });
        assert_eq!(wild::answer(publisher.control.as_fd()).0.code, Ok(()));
        for data in all {
            assert!(honest.take_shared(&view) == Some(data), "round {round}");
        }
    }
    witness.sees_that_all_is_well();
    assert!(daemon.is_alive() && client.is_linked());
}
