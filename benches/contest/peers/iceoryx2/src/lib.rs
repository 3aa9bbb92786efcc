//! The calls to iceoryx2 that `iceoryx2.c` makes: one publisher and one subscriber in a process.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_uint, c_void};

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};

const PROCESSES_MAX: usize = 20;

unsafe extern "C" {
    fn arrived(message: *const c_void, bytes: usize);
    fn must_leave() -> bool;
}

struct Sender {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Notifier<ipc::Service>,
    samples_per_event: u32,
    unnotified: Cell<u32>,
}

struct Receiver {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    listener: Listener<ipc::Service>,
}

thread_local! {
    static NODE: RefCell<Option<Node<ipc::Service>>> = const { RefCell::new(None) };
    static SENDER: RefCell<Option<Sender>> = const { RefCell::new(None) };
    static RECEIVER: RefCell<Option<Receiver>> = const { RefCell::new(None) };
}

type Services =
    (publish_subscribe::PortFactory<ipc::Service, [u8], ()>, event::PortFactory<ipc::Service>);

/// A node whose files are below `place` and whose shared memory is named after it.
fn create_node(place: &str) -> Node<ipc::Service> {
    let mut config = Config::default();
    let prefix = place.rsplit('/').next().expect("a path has a last part");
    config.global.set_root_path(&place.try_into().expect("place is a path"));
    config.global.prefix = format!("{prefix}_").as_str().try_into().expect("a file name");
    NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create()
        .expect("a node can be created")
}

fn open(place: *const c_char, pattern: *const c_char, queue: usize) -> Services {
    // SAFETY: the caller passes strings that end in a zero byte.
    let (place, pattern) = unsafe { (CStr::from_ptr(place), CStr::from_ptr(pattern)) };
    let place = place.to_str().expect("place is text");
    let name = pattern.to_str().expect("pattern is text").try_into().expect("a service name");
    set_log_level(LogLevel::Error);
    NODE.with_borrow_mut(|node| {
        let node = node.get_or_insert_with(|| create_node(place));
        let samples = node
            .service_builder(&name)
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(queue)
            .subscriber_max_borrowed_samples(1)
            .history_size(0)
            .max_subscribers(PROCESSES_MAX)
            .max_publishers(1)
            .max_nodes(PROCESSES_MAX)
            .open_or_create()
            .expect("a publish-subscribe service");
        let events = node
            .service_builder(&name)
            .event()
            .max_listeners(PROCESSES_MAX)
            .max_notifiers(1)
            .max_nodes(PROCESSES_MAX)
            .open_or_create()
            .expect("an event service");
        (samples, events)
    })
}

/// Makes this process a reader of `pattern`.
#[unsafe(no_mangle)]
pub extern "C" fn iceoryx2_subscribe(
    place: *const c_char,
    pattern: *const c_char,
    _bytes: usize,
    queue: usize,
) {
    let (samples, events) = open(place, pattern, queue);
    let listener = events.listener_builder().create().expect("a listener");
    let subscriber =
        samples.subscriber_builder().buffer_size(queue).create().expect("a subscriber");
    RECEIVER.set(Some(Receiver { subscriber, listener }));
}

/// Makes this process the publisher of `pattern`.
#[unsafe(no_mangle)]
pub extern "C" fn iceoryx2_advertise(
    place: *const c_char,
    pattern: *const c_char,
    bytes: usize,
    queue: usize,
    samples_per_event: c_uint,
) {
    let (samples, events) = open(place, pattern, queue);
    let publisher = samples
        .publisher_builder()
        .initial_max_slice_len(bytes)
        .max_loaned_samples(1)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()
        .expect("a publisher");
    let notifier = events.notifier_builder().create().expect("a notifier");
    let samples_per_event = samples_per_event.max(1);
    let sender = Sender { publisher, notifier, samples_per_event, unnotified: Cell::new(0) };
    SENDER.set(Some(sender));
}

impl Sender {
    fn notify(&self) {
        self.unnotified.set(0);
        self.notifier.notify().expect("listeners can be notified");
    }
}

/// Loans a sample, copies the message into it and sends it.
#[unsafe(no_mangle)]
pub extern "C" fn iceoryx2_send(message: *const c_void, bytes: usize) {
    // SAFETY: the caller passes `bytes` bytes.
    let message = unsafe { std::slice::from_raw_parts(message.cast::<u8>(), bytes) };
    SENDER.with_borrow(|sender| {
        let sender = sender.as_ref().expect("advertised before");
        let sample = sender.publisher.loan_slice_uninit(bytes).expect("a sample to fill");
        sample.write_from_slice(message).send().expect("a sample can be sent");
        sender.unnotified.set(sender.unnotified.get() + 1);
        if sender.unnotified.get() >= sender.samples_per_event {
            sender.notify();
        }
    });
}

/// Notifies of samples that nobody was notified of.
#[unsafe(no_mangle)]
pub extern "C" fn iceoryx2_flush() {
    SENDER.with_borrow(|sender| {
        let sender = sender.as_ref().expect("advertised before");
        if sender.unnotified.get() > 0 {
            sender.notify();
        }
    });
}

/// Waits for an event and takes all samples that are there.
#[unsafe(no_mangle)]
pub extern "C" fn iceoryx2_receive() {
    RECEIVER.with_borrow(|receiver| {
        let receiver = receiver.as_ref().expect("subscribed before");
        // An interrupted wait is an error of no interest: the caller comes again.
        let _ = receiver.listener.blocking_wait(|_| ());
        // SAFETY: the function has no conditions.
        while !unsafe { must_leave() } {
            let Some(sample) = receiver.subscriber.receive().expect("samples can be taken") else {
                break;
            };
            // SAFETY: the bytes stay where they are while `sample` lives.
            unsafe { arrived(sample.payload().as_ptr().cast(), sample.payload().len()) };
        }
    });
}

/// Gives back what this process holds.
#[unsafe(no_mangle)]
pub extern "C" fn iceoryx2_leave() {
    SENDER.take();
    RECEIVER.take();
    NODE.take();
}
