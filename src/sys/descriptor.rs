//! Descriptors to wait on: poll, epoll, eventfd, timerfd, and what kind a descriptor is.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Turns the result of a system call into an error or a value.
pub(super) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call has just made.
pub(super) fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    let fd = checked(result)?;
    // SAFETY: `checked` has shown that the call succeeded, so `fd` is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a non-blocking, close-on-exec eventfd with count zero.
pub fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Checks that a received descriptor is nothing that a write could change or wait for, as it would
/// with a file or a pipe: an object of the kernel without a name, such as an eventfd, that does not
/// block. The others of that kind refuse the write.
pub fn check_eventfd(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a stat structure is plain numbers, for which zero is a value.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `status` lives through the call.
    checked(unsafe { libc::fstat(descriptor.as_raw_fd(), &raw mut status) })?;
    // SAFETY: the call takes numbers only.
    let flags = checked(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL) })?;
    let right = status.st_mode & libc::S_IFMT == 0 && flags & libc::O_NONBLOCK != 0;
    if right { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidData)) }
}

/// Makes a bell: an eventfd for who rings, by [`raise`], and an epoll set for who is rung, which is
/// readable from a ring until [`hear`]. The set watches the eventfd for edges and is no way to it,
/// so whoever has the set cannot make a ring wait.
pub fn bell() -> io::Result<(OwnedFd, OwnedFd)> {
    let (bell, heard) = (eventfd()?, epoll()?);
    let edges = (libc::EPOLLIN | libc::EPOLLET) as u32;
    epoll_add(heard.as_fd(), bell.as_raw_fd(), edges, 0)?;
    Ok((bell, heard))
}

/// Descriptors that one set with a bell watches, at most: the bell, what else wakes a program, and
/// some to spare.
const WATCHED_MOST: usize = 8;

/// Takes all rings off the epoll set of a bell, which may watch others too. Never waits.
pub fn hear(bell: BorrowedFd<'_>) {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; WATCHED_MOST];
    let most = WATCHED_MOST as libc::c_int;
    // SAFETY: `events` lives through the call and has room for `most` entries.
    unsafe { libc::epoll_wait(bell.as_raw_fd(), events.as_mut_ptr(), most, 0) };
}

/// Makes an eventfd readable. A full counter means that it is readable already.
pub fn raise(eventfd: BorrowedFd<'_>) {
    let one = 1_u64;
    // SAFETY: `one` lives through the call and is the eight bytes that an eventfd takes.
    unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), 8) };
}

/// Makes an eventfd or a timerfd unreadable.
pub fn lower(descriptor: BorrowedFd<'_>) {
    let mut count = 0_u64;
    // SAFETY: `count` lives through the call and has room for the eight bytes.
    unsafe { libc::read(descriptor.as_raw_fd(), (&raw mut count).cast(), 8) };
}

/// Makes a non-blocking, close-on-exec timer on the elapsed clock, disarmed.
pub fn timer() -> io::Result<OwnedFd> {
    let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, flags) })
}

/// Arms a timer to expire once, `nanoseconds` from now; zero disarms it.
pub fn arm(timer: BorrowedFd<'_>, nanoseconds: u64) {
    let at = libc::timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
    };
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let setting = libc::itimerspec { it_interval: zero, it_value: at };
    // SAFETY: `setting` lives through the call; the old setting is not asked for.
    unsafe {
        libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut())
    };
}

/// Makes a close-on-exec epoll set.
pub fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number only.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// Adds `member` to an epoll set. `events` are `libc::EPOLL*` bits, `token` comes back with them.
pub fn epoll_add(set: BorrowedFd<'_>, member: RawFd, events: u32, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: `event` lives through the call.
    checked(unsafe {
        libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, member, &raw mut event)
    })?;
    Ok(())
}

/// Removes `member` from an epoll set; a member that is not in it is none of the caller's worries.
pub fn epoll_remove(set: BorrowedFd<'_>, member: RawFd) {
    // SAFETY: the event pointer may be null for a removal since Linux 2.6.9.
    unsafe {
        libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_DEL, member, std::ptr::null_mut());
    }
}

/// What an epoll set reported: the bits and the token.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// `libc::EPOLL*` bits.
    pub events: u32,
    /// The token given to [`epoll_add`].
    pub token: u64,
}

/// Waits on an epoll set and puts what is ready into `into`, at most 64 at once. `None` waits for
/// ever; an interrupted wait reports nothing.
pub fn epoll_wait(
    set: BorrowedFd<'_>,
    into: &mut Vec<Ready>,
    nanoseconds: Option<u64>,
) -> io::Result<()> {
    into.clear();
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
    let milliseconds = to_poll_timeout(nanoseconds);
    // SAFETY: `events` has room for the number of entries that is passed.
    let result = unsafe {
        libc::epoll_wait(set.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, milliseconds)
    };
    match checked(result) {
        Ok(count) => {
            let ready = events[..count as usize].iter();
            into.extend(ready.map(|event| Ready { events: event.events, token: event.u64 }));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

/// Rounds up, so that a wait never ends before its time.
fn to_poll_timeout(nanoseconds: Option<u64>) -> libc::c_int {
    nanoseconds.map_or(-1, |ns| ns.div_ceil(1_000_000).min(i32::MAX as u64) as libc::c_int)
}

/// Waits until one of `descriptors` has one of its events, hangs up, or the time is over. Gives
/// the events of each. An interrupted wait gives no events.
pub fn poll<const N: usize>(
    descriptors: [(RawFd, libc::c_short); N],
    nanoseconds: Option<u64>,
) -> io::Result<[libc::c_short; N]> {
    let mut set = descriptors.map(|(fd, events)| libc::pollfd { fd, events, revents: 0 });
    let milliseconds = to_poll_timeout(nanoseconds);
    // SAFETY: `set` is an array of N entries.
    let result = unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, milliseconds) };
    match checked(result) {
        Ok(_) => Ok(set.map(|entry| entry.revents)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([0; N]),
        Err(error) => Err(error),
    }
}

/// Closes a descriptor by number; for the child of a fork, which owns copies of descriptors that
/// no object of its own stands for.
pub fn close_copy(descriptor: RawFd) {
    // SAFETY: the caller names a descriptor of a link whose objects are leaked, so nobody else
    // closes or uses this number again.
    unsafe { libc::close(descriptor) };
}

/// Makes a descriptor that is readable once something appears in `directory`, gets other
/// permissions, or the directory itself goes. It is not meant to be read.
pub fn changes_of(directory: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: the call takes a number only.
    let changes = owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
    let appears = libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_ATTRIB;
    let mask = appears | libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_ONLYDIR;
    // SAFETY: `path` is a C string that lives through the call.
    checked(unsafe { libc::inotify_add_watch(changes.as_raw_fd(), path.as_ptr(), mask) })?;
    Ok(changes)
}

/// Blocks SIGTERM, SIGINT and SIGHUP and gives a descriptor that becomes readable with them.
pub fn signals() -> io::Result<OwnedFd> {
    // SAFETY: a signal set is plain bits, for which zero is a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` lives through the call.
    checked(unsafe { libc::sigemptyset(&raw mut set) })?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: `set` has been made empty, and the signal exists.
        checked(unsafe { libc::sigaddset(&raw mut set, signal) })?;
    }
    // SAFETY: `set` is a whole set; the old mask is not asked for.
    checked(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) })?;
    // SAFETY: `set` is a whole set.
    owned(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
}

/// Takes the next signal from what [`signals`] gave; `None` if there is none.
pub fn next_signal(signals: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut found: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let bytes = size_of_val(&found);
    // SAFETY: `found` has `bytes` bytes and lives through the call.
    let read = unsafe { libc::read(signals.as_raw_fd(), (&raw mut found).cast(), bytes) };
    if read == bytes as isize {
        return Ok(Some(found.ssi_signo as i32));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        error => Err(error),
    }
}
