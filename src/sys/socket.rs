//! `AF_UNIX` sockets of type `SOCK_SEQPACKET`, with descriptors and peer credentials.

use super::descriptor::{checked, owned};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Descriptors that travel with one message at most.
pub const DESCRIPTORS_MAX: usize = 4;

/// Where a socket is: a path, or a name in the abstract space if it begins with `@`.
fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: a socket address is plain numbers, for which zero is a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if bytes.len() >= address.sun_path.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket path is too long"));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let head = std::mem::offset_of!(libc::sockaddr_un, sun_path);
    let mut length = head + bytes.len() + 1;
    if bytes.first() == Some(&b'@') {
        address.sun_path[0] = 0;
        length -= 1;
    }
    Ok((address, length as libc::socklen_t))
}

fn seqpacket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })
}

/// Binds and listens. Errors as bind(2).
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = seqpacket()?;
    let (address, length) = address(path)?;
    let at = (&raw const address).cast();
    // SAFETY: `address` lives through the call and `length` is its length.
    checked(unsafe { libc::bind(socket.as_raw_fd(), at, length) })?;
    // SAFETY: the call takes numbers only.
    checked(unsafe { libc::listen(socket.as_raw_fd(), 1024) })?;
    Ok(socket)
}

/// Takes over a listening socket that whoever started this process has made, and makes it
/// non-blocking and close-on-exec.
///
/// # Errors
///
/// `InvalidData`: it is not a listening `AF_UNIX` packet socket.
pub fn adopt_listener(listener: RawFd) -> io::Result<OwnedFd> {
    let mut listens: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `listens` has `length` bytes and both live through the call.
    checked(unsafe {
        libc::getsockopt(
            listener,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut listens).cast(),
            &raw mut length,
        )
    })?;
    // SAFETY: `getsockopt` has shown that it is open, and it is nobody else's: it was inherited.
    let socket = unsafe { OwnedFd::from_raw_fd(listener) };
    check_packet_socket(socket.as_fd())?;
    if listens == 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    // SAFETY: the call takes numbers only.
    checked(unsafe { libc::fcntl(listener, libc::F_SETFL, libc::O_NONBLOCK) })?;
    // SAFETY: the call takes numbers only.
    checked(unsafe { libc::fcntl(listener, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(socket)
}

/// Connects without waiting. Errors as connect(2); `WouldBlock` when the queue is full.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = seqpacket()?;
    let (address, length) = address(path)?;
    let at = (&raw const address).cast();
    // SAFETY: `address` lives through the call and `length` is its length.
    checked(unsafe { libc::connect(socket.as_raw_fd(), at, length) })?;
    Ok(socket)
}

/// Takes the next connection; `None` when none waits.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let null = std::ptr::null_mut();
    // SAFETY: the peer's address is not asked for.
    let result = unsafe { libc::accept4(listener.as_raw_fd(), null, std::ptr::null_mut(), flags) };
    match owned(result) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Who is at the other end, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process, in this process's namespace; 0 if it is not visible here.
    pub pid: u32,
    /// Effective user at the time of the connection.
    pub uid: u32,
    /// Effective group at the time of the connection.
    pub gid: u32,
}

/// The credentials of the peer.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `cred` has `length` bytes and both live through the call.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &raw mut length,
        )
    })?;
    Ok(Peer { pid: cred.pid as u32, uid: cred.uid, gid: cred.gid })
}

/// The supplementary groups of the peer at the time of the connection, by the kernel's word.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    /// Groups that a process can have (`NGROUPS_MAX` of the kernel).
    const GROUPS_MAX: usize = 65_536;
    let mut groups = vec![0_u32; 64];
    loop {
        let mut bytes = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: `groups` has `bytes` bytes and both live through the call.
        let result = checked(unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        });
        match result {
            Ok(_) => {
                groups.truncate(bytes as usize / size_of::<u32>());
                return Ok(groups);
            }
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) => {
                if groups.len() >= GROUPS_MAX {
                    return Err(error);
                }
                groups.resize(groups.len() * 4, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes room for messages of the largest size a limit allows.
pub fn set_send_bytes(socket: BorrowedFd<'_>, bytes: usize) {
    let bytes = bytes as libc::c_int;
    // SAFETY: `bytes` lives through the call. A refusal leaves the default, which is checked for
    // when the message is sent.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}

/// Checks that a received descriptor is a connected `AF_UNIX` packet socket.
fn check_packet_socket(socket: BorrowedFd<'_>) -> io::Result<()> {
    for (option, wanted) in
        [(libc::SO_DOMAIN, libc::AF_UNIX), (libc::SO_TYPE, libc::SOCK_SEQPACKET)]
    {
        let mut value: libc::c_int = 0;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: `value` has `length` bytes and both live through the call.
        checked(unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw mut value).cast(),
                &raw mut length,
            )
        })?;
        if value != wanted {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
    }
    Ok(())
}

#[repr(C, align(8))]
struct ControlBuffer([u8; 64]);

/// Sends one message with descriptors, without waiting and without `SIGPIPE`.
pub fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    assert!(descriptors.len() <= DESCRIPTORS_MAX, "a message of ours never carries more");
    let mut part =
        libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    // SAFETY: a message header is plain numbers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    let mut control = ControlBuffer([0; 64]);
    if !descriptors.is_empty() {
        let mut numbers = [0 as RawFd; DESCRIPTORS_MAX];
        for (to, from) in numbers.iter_mut().zip(descriptors) {
            *to = from.as_raw_fd();
        }
        fill_rights(&mut header, &mut control, &numbers[..descriptors.len()]);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `header` points to `part` and `control`, which live through the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn fill_rights(header: &mut libc::msghdr, control: &mut ControlBuffer, numbers: &[RawFd]) {
    let bytes = size_of_val(numbers) as u32;
    header.msg_control = (&raw mut control.0).cast();
    // SAFETY: the macro computes a size from a number.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(bytes) } as _;
    // SAFETY: `header` has a control buffer of more than one header's size.
    let rights = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: the macro computes a size from a number.
    let length = unsafe { libc::CMSG_LEN(bytes) } as _;
    let first = libc::cmsghdr {
        cmsg_len: length,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    // SAFETY: `rights` is the start of the control buffer, which is aligned for it and live.
    unsafe { rights.write(first) };
    // SAFETY: `rights` is inside the control buffer.
    let data = unsafe { libc::CMSG_DATA(rights) };
    // SAFETY: the control buffer has room for CMSG_SPACE of four descriptors, which is 32 bytes.
    unsafe { std::ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), data, bytes as usize) };
}

/// A received message.
#[derive(Debug)]
pub struct Received {
    /// Bytes of it in the buffer; 0 means that the peer has hung up.
    pub bytes: usize,
    /// Descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
    /// The message did not fit.
    pub truncated: bool,
    /// Descriptors did not fit, or this process can have no more.
    pub descriptors_lost: bool,
}

/// Receives one message without waiting; `None` when none is there.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a message header is plain numbers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    let mut control = ControlBuffer([0; 64]);
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control.0).cast();
    header.msg_controllen = control.0.len() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `header` points to `part` and `control`, which live through the call.
    let bytes = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    if bytes < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(Some(Received {
                bytes: 0,
                descriptors: Vec::new(),
                truncated: false,
                descriptors_lost: false,
            })),
            _ => Err(error),
        };
    }
    let truncated = header.msg_flags & libc::MSG_TRUNC != 0;
    let descriptors_lost = header.msg_flags & libc::MSG_CTRUNC != 0;
    let descriptors = take_rights(&header);
    Ok(Some(Received { bytes: bytes as usize, descriptors, truncated, descriptors_lost }))
}

fn take_rights(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // SAFETY: the kernel has filled `header` and its control buffer.
    let mut part = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !part.is_null() {
        // SAFETY: a non-null part lies in the control buffer, aligned by the kernel's layout.
        let head = unsafe { part.read() };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: the macro computes a size from a number.
            let empty = unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: the part lies in the control buffer.
            let data = unsafe { libc::CMSG_DATA(part) }.cast::<RawFd>();
            for index in 0..(head.cmsg_len as usize - empty) / size_of::<RawFd>() {
                // SAFETY: the kernel wrote as many descriptors as the length says.
                let place = unsafe { data.add(index) };
                // SAFETY: as above; the control buffer need not align them.
                let number = unsafe { place.read_unaligned() };
                // SAFETY: a descriptor received by SCM_RIGHTS is new and nobody else's.
                taken.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: `part` is a part of `header`'s control buffer.
        part = unsafe { libc::CMSG_NXTHDR(header, part) };
    }
    taken
}
