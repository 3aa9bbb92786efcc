//! TIPC sockets of the kernel, as far as nodes need them: packets over connections, one published
//! name, and the topology service that tells who has published it.
//!
//! Layouts and numbers are those of linux/tipc.h, of which the libc crate has only the family.

use super::descriptor::{self, checked, owned};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `TIPC_TOP_SRV`: type and instance of the topology service.
const TOPOLOGY_SERVICE: u32 = 1;
/// `TIPC_CLUSTER_SCOPE`: names that all nodes see.
const CLUSTER_SCOPE: i8 = 2;
/// `TIPC_SERVICE_RANGE`, `TIPC_SERVICE_ADDR`, `TIPC_SOCKET_ADDR`.
const KIND_RANGE: u8 = 1;
const KIND_NAME: u8 = 2;
const KIND_SOCKET: u8 = 3;
/// `TIPC_SUB_PORTS`: each socket that publishes, not only the first and the last.
const SUBSCRIBE_PORTS: u32 = 1;
/// `TIPC_WAIT_FOREVER`.
const FOREVER: u32 = u32::MAX;
/// `TIPC_PUBLISHED`, `TIPC_WITHDRAWN`.
const PUBLISHED: u32 = 1;
const WITHDRAWN: u32 = 2;
/// `TIPC_MAX_USER_MSG_SIZE`: bytes of the longest packet.
pub const PACKET_BYTES_MAX: usize = 66_000;
/// Connections that wait to be accepted.
const BACKLOG: libc::c_int = 64;

/// `struct sockaddr_tipc`. The three words are a name and a domain, a range, or port and node.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Address {
    family: u16,
    kind: u8,
    scope: i8,
    words: [u32; 3],
}

const ADDRESS_BYTES: libc::socklen_t = size_of::<Address>() as libc::socklen_t;

impl Address {
    const fn new(kind: u8, words: [u32; 3]) -> Self {
        Self { family: libc::AF_TIPC as u16, kind, scope: CLUSTER_SCOPE, words }
    }

    const fn place(&self) -> Place {
        Place { node: self.words[1], port: self.words[0] }
    }
}

/// Where a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the node; 0 before it has one.
    pub node: u32,
    /// The socket on that node.
    pub port: u32,
}

fn socket(flags: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags;
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::socket(libc::AF_TIPC, kind, 0) })
}

fn connect(socket: &OwnedFd, address: &Address) -> io::Result<()> {
    let address = std::ptr::from_ref(address).cast::<libc::sockaddr>();
    // SAFETY: `address` is a whole address of the family that lives through the call.
    checked(unsafe { libc::connect(socket.as_raw_fd(), address, ADDRESS_BYTES) })?;
    Ok(())
}

/// A socket that others find under a name.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Publishes a name in the whole cluster and listens.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the kernel has no TIPC. Else what the kernel says.
    pub fn publish(service_type: u32, instance: u32) -> io::Result<Self> {
        let socket = socket(libc::SOCK_NONBLOCK).map_err(|error| match error.raw_os_error() {
            Some(libc::EAFNOSUPPORT) => io::ErrorKind::Unsupported.into(),
            _ => error,
        })?;
        let address = Address::new(KIND_RANGE, [service_type, instance, instance]);
        let pointer = (&raw const address).cast::<libc::sockaddr>();
        // SAFETY: `address` is a whole address of the family that lives through the call.
        checked(unsafe { libc::bind(socket.as_raw_fd(), pointer, ADDRESS_BYTES) })?;
        // SAFETY: the call takes numbers only.
        checked(unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) })?;
        Ok(Self(socket))
    }

    /// Where it is. The node is 0 until the kernel has given it a number.
    pub fn place(&self) -> io::Result<Place> {
        let (mut address, mut length) = (Address::default(), ADDRESS_BYTES);
        let pointer = (&raw mut address).cast::<libc::sockaddr>();
        // SAFETY: `address` has room for the `length` bytes of an address of the family.
        checked(unsafe { libc::getsockname(self.0.as_raw_fd(), pointer, &raw mut length) })?;
        Ok(address.place())
    }

    /// The next connection, if one waits.
    pub fn accept(&self) -> io::Result<Option<Stream>> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let null = std::ptr::null_mut();
        // SAFETY: the address of the other side is not asked for.
        match owned(unsafe { libc::accept4(self.0.as_raw_fd(), null, null.cast(), flags) }) {
            Ok(socket) => Ok(Some(Stream(socket))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A connection that carries packets whole, once and in order, and holds up a sender whose
/// packets are not read.
#[derive(Debug)]
pub struct Stream(OwnedFd);

impl Stream {
    /// Begins to connect; [`Stream::is_connected`] tells how it goes on.
    pub fn begin(to: Place) -> io::Result<Self> {
        let stream = Self(socket(libc::SOCK_NONBLOCK)?);
        let address = Address::new(KIND_SOCKET, [to.port, to.node, 0]);
        match connect(&stream.0, &address) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(stream),
        }
    }

    /// Whether the connection that was begun stands now.
    ///
    /// # Errors
    ///
    /// It never will.
    pub fn is_connected(&self, to: Place) -> io::Result<bool> {
        let address = Address::new(KIND_SOCKET, [to.port, to.node, 0]);
        let Err(error) = connect(&self.0, &address) else { return Ok(true) };
        match error.raw_os_error() {
            Some(libc::EISCONN) => Ok(true),
            Some(libc::EALREADY | libc::EINPROGRESS) => Ok(false),
            _ => Err(error),
        }
    }

    /// The node at the other end.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn node(&self) -> io::Result<u32> {
        let (mut address, mut length) = (Address::default(), ADDRESS_BYTES);
        let pointer = (&raw mut address).cast::<libc::sockaddr>();
        // SAFETY: `address` has room for the `length` bytes of an address of the family.
        checked(unsafe { libc::getpeername(self.0.as_raw_fd(), pointer, &raw mut length) })?;
        Ok(address.place().node)
    }

    /// Sends a packet of 1 to [`PACKET_BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: no room; nothing was sent. Else the connection is over.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let pointer = packet.as_ptr().cast();
        // SAFETY: `packet` lives through the call, which reads its bytes.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), pointer, packet.len(), flags) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes the next packet into `buffer`, which has [`PACKET_BYTES_MAX`] bytes, and gives its
    /// length; `None`: none waits.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let pointer = buffer.as_mut_ptr().cast();
        let socket = self.0.as_raw_fd();
        // SAFETY: `buffer` has room for as many bytes as its length says.
        let got = unsafe { libc::recv(socket, pointer, buffer.len(), libc::MSG_DONTWAIT) };
        match got {
            // No packet is empty: the other side has closed.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            1.. => Ok(Some(got as usize)),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
            }
        }
    }
}

impl Stream {
    /// Whether there is room for a packet. A connection that is over has room: sending shows it.
    pub fn has_room(&self) -> bool {
        let events = descriptor::poll([(self.0.as_raw_fd(), libc::POLLOUT)], Some(0));
        events.is_ok_and(|[events]| events != 0)
    }

    /// Closes the connection without a wait. The kernel holds up whoever closes one that has no
    /// room, until the other end reads or for eight seconds: a thread of its own then. Where there
    /// can be no thread, the caller is held up.
    pub fn end(self) {
        if !self.has_room() {
            let _ = std::thread::Builder::new().name("tipc-close".into()).spawn(|| drop(self));
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `struct tipc_subscr`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Subscription {
    range: [u32; 3],
    timeout_ms: u32,
    filter: u32,
    handle: [u8; 8],
}

/// `struct tipc_event`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    kind: u32,
    found_lower: u32,
    found_upper: u32,
    port: u32,
    node: u32,
    subscription: Subscription,
}

/// A subscription to who publishes a name.
#[derive(Debug)]
pub struct Topology(OwnedFd);

impl Topology {
    /// Asks who publishes a name, now and from now on. The kernel of this host answers at once.
    pub fn watch(service_type: u32, instance: u32) -> io::Result<Self> {
        let socket = socket(0)?;
        connect(&socket, &Address::new(KIND_NAME, [TOPOLOGY_SERVICE, TOPOLOGY_SERVICE, 0]))?;
        let subscription = Subscription {
            range: [service_type, instance, instance],
            timeout_ms: FOREVER,
            filter: SUBSCRIBE_PORTS,
            handle: [0; 8],
        };
        let length = size_of::<Subscription>();
        let pointer = (&raw const subscription).cast();
        let flags = libc::MSG_NOSIGNAL;
        // SAFETY: `subscription` is `length` bytes without padding that live through the call.
        let sent = unsafe { libc::send(socket.as_raw_fd(), pointer, length, flags) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(socket)) }
    }

    /// The next change: where, and whether the name is published there now. `None`: none waits.
    pub fn next(&self) -> io::Result<Option<(Place, bool)>> {
        loop {
            let mut event = Event::default();
            let pointer = (&raw mut event).cast();
            let (socket, length) = (self.0.as_raw_fd(), size_of::<Event>());
            // SAFETY: `event` is numbers only, and has room for `length` bytes.
            let got = unsafe { libc::recv(socket, pointer, length, libc::MSG_DONTWAIT) };
            if got < 0 {
                let error = io::Error::last_os_error();
                let is_empty = error.kind() == io::ErrorKind::WouldBlock;
                return if is_empty { Ok(None) } else { Err(error) };
            }
            if got as usize != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let place = Place { node: event.node, port: event.port };
            match event.kind {
                PUBLISHED => return Ok(Some((place, true))),
                WITHDRAWN => return Ok(Some((place, false))),
                _ => {}
            }
        }
    }
}

impl AsFd for Topology {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const _: () = {
    assert!(size_of::<Address>() == 16);
    assert!(size_of::<Subscription>() == 28);
    assert!(size_of::<Event>() == 48);
};
