//! The busy path allocates nothing: counted by an allocator that counts.

use SaEvt::evt::node::{
    Change, Data, Delivery, Genesis, Identity, Node, ProcessKey, Publication, Target, What, Windows,
};
use SaEvt::evt::{
    Attributes, EventId, Filter, FilterKind, Filters, InstanceNo, LibraryNo, Limits, Name,
    OpenFlags, Priority, Span, SubscriptionNo, Time,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every request goes to the system's allocator unchanged, which keeps the promises of the
// trait; counting touches a constant-initialized thread local without destructor only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System.alloc` with this layout, as `alloc` shows.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Windows with room for everything, or, while they are shut, for nothing.
#[derive(Default)]
struct Roomy {
    written: u64,
    shut: bool,
    /// Whether anything may be queued.
    may_wait: bool,
}

impl Windows for Roomy {
    fn put(&mut self, _to: Target, delivery: &Delivery<'_>) -> Option<u64> {
        if self.shut {
            return None;
        }
        if let What::Event { data: Data::Stored(data), .. } = delivery.what {
            assert_eq!(data.len(), 100);
        }
        self.written += 1;
        Some(self.written)
    }

    fn consumed(&self, _to: Target, _priority: Priority, _position: u64) -> bool {
        true
    }

    fn data_in_flight(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(&[7; 100]);
    }

    fn backlog(&mut self, to: Target, levels: u8) {
        assert!(self.may_wait, "{to:?} {levels}");
    }
}

fn subscriber(node: &mut Node, windows: &mut Roomy, slot: u32) -> (ProcessKey, InstanceNo) {
    let process = node.connect(Identity { uid: 0, gid: 0, pid: slot }).unwrap();
    node.library_open(process, LibraryNo(0)).unwrap();
    let number = InstanceNo::new(slot, 0);
    let flags = OpenFlags::all();
    let name = Name::new(b"safChnl=a").unwrap();
    node.channel_open(process, LibraryNo(0), number, &name, flags, true).unwrap();
    for (subscription, kind) in [FilterKind::Exact, FilterKind::Prefix].into_iter().enumerate() {
        let filters = Filters(vec![Filter { kind, bytes: b"pattern".to_vec() }]);
        let subscription = SubscriptionNo(subscription as u32);
        node.subscribe(process, number, subscription, filters, Time(0), windows).unwrap();
    }
    (process, number)
}

/// Allocations of a thousand publications that wait for `takers` open instances, a hundred at a
/// time, after as many have waited once.
fn allocations_of_queues(takers: u32) -> u64 {
    let genesis = Genesis { member: 0, start: 1, hash_seed: 1 };
    let mut node = Node::new(Limits::default(), genesis);
    let mut windows = Roomy { may_wait: true, ..Roomy::default() };
    let opens: Vec<_> = (0..takers).map(|slot| subscriber(&mut node, &mut windows, slot)).collect();
    let (process, instance) = opens[0];
    let first = node.grant_ids(process).unwrap().first;
    let pattern: &[u8] = b"pattern";
    let attributes = Attributes::pack(&Name::EMPTY, std::iter::once(pattern)).unwrap();
    let mut before = 0;
    for round in 0..11 {
        if round == 1 {
            before = ALLOCATIONS.get();
        }
        windows.shut = true;
        for number in 0..100 {
            let publication = Publication {
                instance,
                id: EventId(first.0 + 100 * round + number),
                publish_time: 0,
                retention: Span::ZERO,
                priority: Priority::LOWEST,
                attributes: attributes.packed(),
                data_bytes: 100,
            };
            node.publish(process, &publication, 100, Time(0), &mut windows).unwrap();
        }
        windows.shut = false;
        for (process, _) in &opens {
            let to = Target { process: *process, library: LibraryNo(0) };
            assert_eq!(node.queued(to), 100);
            node.drain(to, Time(0), &mut windows);
        }
    }
    assert_eq!(windows.written, 1100 * u64::from(takers));
    ALLOCATIONS.get() - before
}

/// Allocations of a thousand publications to `takers` open instances.
fn allocations(takers: u32) -> u64 {
    let genesis = Genesis { member: 0, start: 1, hash_seed: 1 };
    let mut node = Node::new(Limits::default(), genesis);
    let mut windows = Roomy::default();
    let opens: Vec<_> = (0..takers).map(|slot| subscriber(&mut node, &mut windows, slot)).collect();
    let (process, instance) = opens[0];
    let first = node.grant_ids(process).unwrap().first;
    let pattern: &[u8] = b"pattern";
    let attributes = Attributes::pack(&Name::EMPTY, std::iter::once(pattern)).unwrap();
    let mut changes: Vec<Change> = Vec::new();
    node.take_changes(&mut changes);
    let mut before = 0;
    for offset in 0..1001 {
        if offset == 1 {
            // The first publication sizes the lists that are used again.
            before = ALLOCATIONS.get();
        }
        let publication = Publication {
            instance,
            id: EventId(first.0 + offset),
            publish_time: 0,
            retention: Span::ZERO,
            priority: Priority::LOWEST,
            attributes: attributes.packed(),
            data_bytes: 100,
        };
        let cost = node.publish(process, &publication, 100, Time(0), &mut windows).unwrap();
        assert_eq!(cost.enqueues, takers);
        node.take_changes(&mut changes);
    }
    let after = ALLOCATIONS.get();
    assert_eq!(windows.written, 1001 * u64::from(takers));
    after - before
}

#[test]
fn publishing_into_windows_with_room_allocates_nothing() {
    assert!(ALLOCATIONS.get() > 0, "the allocator counts");
    assert_eq!(allocations(1), 0);
    assert_eq!(allocations(50), 0);
}

#[test]
fn events_that_wait_are_kept_where_others_have_waited() {
    assert_eq!(allocations_of_queues(1), 0);
    assert_eq!(allocations_of_queues(5), 0);
}
