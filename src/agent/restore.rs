//! Reaching the node: for the first time, and again after it has gone.
//!
//! A node that comes back is given the same rings and told what this process has: its library
//! handles, open instances and subscriptions. What it does not know any more becomes a bad handle
//! here.

use super::connection::Connection;
use super::instance::Instance;
use super::library::Library;
use super::link::Link;
use super::place::{self, Place};
use super::process;
use crate::evt::{Error, Limits, Span, Time};
use crate::link::outbox::Outbox;
use crate::link::record::VERSION;
use crate::sys::{clock, descriptor, program, socket};
use crate::wire::{Body, Reply, Request, reply};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// How long one step of making or restoring a connection may take: nanoseconds.
const STEP_TIME: u64 = 5_000_000_000;
const REPLY_BYTES_MAX: usize = 4096;

/// When a step that begins now is given up, in a dialogue that ends at `end`.
fn step_end(end: Time) -> Time {
    clock::elapsed().after(Span(STEP_TIME)).min(end)
}

/// A connection that nobody else uses yet.
struct Dialogue {
    socket: OwnedFd,
    last_id: u32,
    /// When it is given up, whatever a step may take.
    end: Time,
    /// The node has said that the service is elsewhere.
    moved: bool,
}

impl Dialogue {
    /// Connects; starts a private daemon if nobody answers and that is permitted.
    fn begin(place: &Place, end: Time) -> Result<Self, Error> {
        let mut connected = socket::connect(&place.socket);
        if let (Err(_), Some(directory)) = (&connected, &place.private) {
            start_daemon(place, directory, step_end(end));
            connected = socket::connect(&place.socket);
        }
        let socket = connected.map_err(|error| match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Error::NoResources,
            Some(libc::ENOMEM) => Error::NoMemory,
            _ => {
                tell_once(place, &error);
                Error::TryAgain
            }
        })?;
        if place.private.is_some() {
            let peer = socket::peer(socket.as_fd()).map_err(|_| Error::TryAgain)?;
            if peer.uid != crate::sys::process::user() {
                return Err(Error::TryAgain);
            }
        }
        Ok(Self { socket, last_id: 0, end, moved: false })
    }

    /// Asks and waits for the reply.
    fn ask(
        &mut self,
        body: Body,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>), Error> {
        self.last_id += 1;
        let request = Request { id: self.last_id, barrier: [0; 4], body }.encode();
        let deadline = step_end(self.end);
        loop {
            match socket::send(self.socket.as_fd(), &request, descriptors) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(libc::POLLOUT, deadline)?;
                }
                // A node that refuses a program says why before it hangs up.
                Err(_) => break,
            }
        }
        let mut buffer = [0; REPLY_BYTES_MAX];
        loop {
            self.wait(libc::POLLIN, deadline)?;
            let mut received = socket::receive(self.socket.as_fd(), &mut buffer);
            if received.as_ref().is_ok_and(|found| found.as_ref().is_some_and(|it| it.bytes == 0)) {
                // An end with the request unread is told before the messages that came earlier.
                received = socket::receive(self.socket.as_fd(), &mut buffer);
            }
            let Some(received) = received.map_err(|_| Error::TryAgain)? else { continue };
            if received.truncated || received.descriptors_lost {
                return Err(Error::NoResources);
            }
            if received.bytes == 0 {
                return Err(Error::TryAgain);
            }
            let reply = Reply::decode(&buffer[..received.bytes]).map_err(|_| Error::Library)?;
            if reply.body == reply::Body::Moved {
                self.moved = true;
                return Err(Error::TryAgain);
            }
            if reply.id == self.last_id {
                return Ok((reply, received.descriptors));
            }
        }
    }

    fn wait(&self, events: libc::c_short, deadline: Time) -> Result<(), Error> {
        let now = clock::elapsed();
        if now >= deadline {
            return Err(Error::TryAgain);
        }
        descriptor::poll([(self.socket.as_raw_fd(), events)], Some(now.until(deadline).0))
            .map_err(|_| Error::TryAgain)?;
        Ok(())
    }
}

/// Writes the one line that a process may write to the system log: its service is out of reach.
fn tell_once(place: &Place, error: &io::Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        let socket = place.socket.display();
        crate::sys::log::line(&format!("libSaEvt: no event service at {socket}: {error}"));
    }
}

/// Starts the private daemon and waits until it listens or gives up. Of several that are started
/// at once one takes the lock; the others leave at once.
fn start_daemon(place: &Place, directory: &std::path::Path, deadline: Time) {
    let Some(program) = place::daemon_program() else { return };
    let system = place::system().socket;
    let arguments = [
        OsStr::new("--autostart"),
        OsStr::new("--socket"),
        place.socket.as_os_str(),
        OsStr::new("--state-dir"),
        directory.as_os_str(),
        OsStr::new("--yield-to"),
        system.as_os_str(),
    ];
    let arguments = if place.yields { &arguments[..] } else { &arguments[..5] };
    let Ok(ready) = program::start_unseen(program.as_os_str(), arguments) else { return };
    // The daemon closes its end when it listens, or when it ends.
    loop {
        let left = clock::elapsed().until(deadline).0;
        let events = descriptor::poll([(ready.as_raw_fd(), libc::POLLIN)], Some(left));
        // An interrupted wait shows no events and goes on.
        if left == 0 || events.map_or(true, |[events]| events != 0) {
            return;
        }
    }
}

/// A link on a first connection.
///
/// - [`Error::TryAgain`]: no node can be reached.
/// - [`Error::NoResources`], [`Error::NoMemory`].
pub(super) fn connect() -> Result<Arc<Link>, Error> {
    let place = place::find().ok_or(Error::TryAgain)?;
    let mut dialogue = Dialogue::begin(&place, Time::MAX)?;
    let hello = Body::Hello { version: VERSION, resumes: false, blocks: Vec::new() };
    let (reply, mut descriptors) = dialogue.ask(hello, &[])?;
    reply.code?;
    let segment = segment(&reply.body, &mut descriptors);
    let reply::Body::Welcome { outbox_bytes, limits, .. } = reply.body else {
        return Err(Error::Library);
    };
    let [memory, bell] = <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| Error::Library)?;
    descriptor::check_eventfd(bell.as_fd()).map_err(|_| Error::Library)?;
    let outbox =
        Outbox::open(memory.as_fd(), outbox_bytes as usize).map_err(|_| Error::NoMemory)?;
    let limits: Limits = *limits;
    let connection = Connection::new(dialogue.socket, bell).map_err(|_| Error::NoResources)?;
    let connection = Arc::new(connection);
    let link = Link::new(outbox, memory, limits, place, connection);
    let link = link.map_err(|_| Error::NoResources)?;
    link.map_segment(segment);
    Ok(Arc::new(link))
}

/// The segment that a node hands out with its welcome: its number, and the last of the descriptors.
fn segment(welcome: &reply::Body, descriptors: &mut Vec<OwnedFd>) -> Option<(u64, OwnedFd)> {
    match welcome {
        reply::Body::Welcome { segment, .. } if *segment != 0 => {
            Some(*segment).zip(descriptors.pop())
        }
        _ => None,
    }
}

/// Makes sure that there is a connection.
///
/// - [`Error::TryAgain`]: there is none, and none can be made now.
pub(super) fn ensure(link: &Link) -> Result<(), Error> {
    if link.is_up() { Ok(()) } else { attempt(link) }
}

/// As [`ensure`], for a call that has to end at `deadline`.
///
/// - [`Error::Timeout`]: that was too soon.
/// - [`Error::TryAgain`].
pub(super) fn ensure_until(link: &Link, deadline: Time) -> Result<(), Error> {
    if link.is_up() {
        return Ok(());
    }
    let too_late = |error| if clock::elapsed() >= deadline { Error::Timeout } else { error };
    attempt_until(link, deadline).map_err(too_late)
}

/// Tries to reach the node again, unless another thread is trying or the last attempt was too
/// short ago.
///
/// - [`Error::TryAgain`].
pub(super) fn attempt(link: &Link) -> Result<(), Error> {
    attempt_until(link, Time::MAX)
}

fn attempt_until(link: &Link, deadline: Time) -> Result<(), Error> {
    let Some(_one_at_a_time) = link.restoring.try_lock() else {
        link.look_later();
        return Err(Error::TryAgain);
    };
    if link.is_up() {
        return Ok(());
    }
    if !link.may_retry() {
        return Err(Error::TryAgain);
    }
    restore(link, deadline).map_err(|_| Error::TryAgain)
}

/// What a node was told that exists here. What has ended since, while nobody could be told, it is
/// told before anything else.
#[derive(Default)]
pub(super) struct Restored {
    libraries: Vec<Arc<Library>>,
    instances: Vec<Arc<Instance>>,
}

impl Restored {
    /// The messages about what has ended since.
    pub(super) fn ended(&self) -> impl Iterator<Item = Body> {
        let instances = self.instances.iter().filter(|instance| instance.is_closed());
        let libraries = self.libraries.iter().filter(|library| library.is_finalized());
        instances
            .map(|instance| Body::Close { instance: instance.number })
            .chain(libraries.map(|library| Body::LibraryClose { library: library.number }))
    }
}

fn restore(link: &Link, deadline: Time) -> Result<(), Error> {
    if link.place.lock().has_moved() {
        link.move_to_system();
    }
    let place = link.place.lock().clone();
    let mut dialogue = Dialogue::begin(&place, deadline)?;
    let told = bring_back(&mut dialogue, link);
    if dialogue.moved {
        link.move_to_system();
    }
    let Told { bell, bells, restored } = told?;
    let connection =
        Arc::new(Connection::new(dialogue.socket, bell).map_err(|_| Error::NoResources)?);
    link.install(Arc::clone(&connection), &restored);
    let deaf =
        bells.into_iter().any(|(library, bell)| library.reconnected(bell, &connection).is_err());
    if deaf {
        // Rather no link than a handle that hears nothing.
        link.down(&connection);
        return Err(Error::NoResources);
    }
    connection.ring_node();
    Ok(())
}

/// What a node has been told, and its bells: its own, and that of each library handle.
struct Told {
    bell: OwnedFd,
    bells: Vec<(Arc<Library>, OwnedFd)>,
    restored: Restored,
}

/// Tells the node everything that exists here.
fn bring_back(dialogue: &mut Dialogue, link: &Link) -> Result<Told, Error> {
    let hello = Body::Hello { version: VERSION, resumes: true, blocks: link.blocks() };
    let (reply, mut descriptors) = dialogue.ask(hello, &[link.memory.as_fd()])?;
    reply.code?;
    let segment = segment(&reply.body, &mut descriptors);
    let bell = descriptors.pop().ok_or(Error::Library)?;
    descriptor::check_eventfd(bell.as_fd()).map_err(|_| Error::Library)?;
    link.map_segment(segment);
    let libraries: Vec<Arc<Library>> =
        link.libraries.lock().values().filter_map(Weak::upgrade).collect();
    let mut bells = Vec::new();
    let mut restored = Restored::default();
    for library in libraries {
        if let Some(bell) = restore_library(dialogue, &library, &mut restored)? {
            bells.push((library, bell));
        }
    }
    dialogue.ask(Body::Restored, &[])?.0.code?;
    Ok(Told { bell, bells, restored })
}

fn restore_library(
    dialogue: &mut Dialogue,
    library: &Arc<Library>,
    restored: &mut Restored,
) -> Result<Option<OwnedFd>, Error> {
    if library.is_finalized() {
        return Ok(None);
    }
    library.reader.lock().segments.renew(library.link.segment());
    let open = Body::LibraryOpen { library: library.number, resumes: true };
    let (reply, mut descriptors) = dialogue.ask(open, &[library.memory.as_fd()])?;
    let instances: Vec<Arc<Instance>> = library.instances.lock().values().cloned().collect();
    if reply.code.is_err() {
        // The node does not take this handle back; the others must not wait for it.
        instances.iter().for_each(|instance| lose(library, instance));
        return Ok(None);
    }
    let bell = descriptors.pop().ok_or(Error::Library)?;
    restored.libraries.push(Arc::clone(library));
    for instance in instances {
        restore_instance(dialogue, library, &instance)?;
        restored.instances.push(instance);
    }
    Ok(Some(bell))
}

fn restore_instance(
    dialogue: &mut Dialogue,
    library: &Library,
    instance: &Arc<Instance>,
) -> Result<(), Error> {
    let Some(incarnation) = instance.incarnation() else { return Ok(()) };
    let (number, flags) = (instance.number, instance.flags);
    let body =
        Body::RestoreInstance { library: library.number, instance: number, incarnation, flags };
    let reply = dialogue.ask(body, &[])?.0;
    if let reply::Body::Opened { incarnation } = reply.body {
        // Another service has another number for the channel.
        instance.set_incarnation(incarnation);
    }
    instance.rights.doubt(&library.link);
    let mut known = reply.code;
    let subscriptions = instance.subscriptions.lock().staying();
    for subscription in subscriptions {
        if known.is_err() {
            break;
        }
        let (number, filters) = (subscription.number, subscription.filters);
        known = dialogue
            .ask(Body::Subscribe { instance: instance.number, number, filters }, &[])?
            .0
            .code;
    }
    if known.is_err() {
        lose(library, instance);
    }
    Ok(())
}

/// The node does not know the instance any more: its handle is bad from now on, and so that nobody
/// waits for ever for its events, blocking dispatch of its library handle returns.
fn lose(library: &Library, instance: &Arc<Instance>) {
    if let Some(process) = process::existing() {
        // What another thread closes meanwhile is released there.
        if process.channels.remove(instance.handle).is_ok() {
            process.channels.release(instance.slot);
        }
    }
    instance.close();
    super::channels::forget_patterns(instance);
    library.instances.lock().remove(&instance.slot);
    library.instances_lost.fetch_add(1, Ordering::AcqRel);
}
