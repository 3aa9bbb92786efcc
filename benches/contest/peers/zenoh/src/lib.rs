//! The calls to zenoh that `zenoh.c` makes: one publisher and one subscriber in a process.
//!
//! The publisher of the first pattern listens, the others connect to it.

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::CongestionControl;
use zenoh::{Config, Session, Wait};

unsafe extern "C" {
    fn arrived(message: *const c_void, bytes: usize);
}

static SESSION: OnceLock<Session> = OnceLock::new();
static PUBLISHER: OnceLock<Publisher<'static>> = OnceLock::new();
static SUBSCRIBER: Mutex<Option<Subscriber<()>>> = Mutex::new(None);

fn text(pointer: *const c_char) -> &'static str {
    // SAFETY: the caller passes a string that ends in a zero byte and stays for ever.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("arguments are text")
}

fn session(place: &str, listens: bool) -> &'static Session {
    SESSION.get_or_init(|| {
        let socket = format!("{place}/zenoh");
        while !listens && !Path::new(&socket).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut config = Config::default();
        let mut set = |key: &str, value: &str| {
            config.insert_json5(key, value).expect("zenoh knows its settings");
        };
        set("mode", "\"peer\"");
        set("scouting/multicast/enabled", "false");
        set("scouting/gossip/enabled", "false");
        let way = if listens { "listen" } else { "connect" };
        let other = if listens { "connect" } else { "listen" };
        set(&format!("{way}/endpoints"), &format!("[\"unixsock-stream/{socket}\"]"));
        set(&format!("{other}/endpoints"), "[]");
        zenoh::open(config).wait().expect("a session")
    })
}

/// Makes this process a reader of `pattern`.
#[unsafe(no_mangle)]
pub extern "C" fn zenoh_subscribe(place: *const c_char, pattern: *const c_char) {
    let subscriber = session(text(place), false)
        .declare_subscriber(text(pattern))
        .callback(|sample| {
            let bytes = sample.payload().to_bytes();
            // SAFETY: the bytes stay where they are until the call returns.
            unsafe { arrived(bytes.as_ptr().cast(), bytes.len()) };
        })
        .wait()
        .expect("a subscriber");
    *SUBSCRIBER.lock().expect("nobody panics with it") = Some(subscriber);
}

/// Makes this process the publisher of `pattern`.
#[unsafe(no_mangle)]
pub extern "C" fn zenoh_advertise(place: *const c_char, pattern: *const c_char, express: bool) {
    let publisher = session(text(place), true)
        .declare_publisher(text(pattern))
        .congestion_control(CongestionControl::Block)
        .express(express)
        .wait()
        .expect("a publisher");
    assert!(PUBLISHER.set(publisher).is_ok(), "a process publishes one pattern");
}

/// Sends a copy of the message.
#[unsafe(no_mangle)]
pub extern "C" fn zenoh_send(message: *const c_void, bytes: usize) {
    // SAFETY: the caller passes `bytes` bytes.
    let message = unsafe { std::slice::from_raw_parts(message.cast::<u8>(), bytes) };
    PUBLISHER.get().expect("advertised before").put(message).wait().expect("a message can be sent");
}

/// Closes the session.
#[unsafe(no_mangle)]
pub extern "C" fn zenoh_leave() {
    if let Some(session) = SESSION.get() {
        session.close().wait().expect("a session can be closed");
    }
}
