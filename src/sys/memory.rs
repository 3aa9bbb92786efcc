//! Sealed shared memory.

use super::descriptor::{checked, owned};
use super::inherited::{self, Note};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
/// Of memory that only mappings of before can write to.
const READ_SEALS: libc::c_int = SEALS | libc::F_SEAL_FUTURE_WRITE;

/// Makes a memfd of `bytes` zero bytes whose size can never change.
pub fn sealed(name: &std::ffi::CStr, bytes: usize) -> io::Result<OwnedFd> {
    let memory = unsealed(name, bytes)?;
    add_seals(&memory, SEALS)?;
    Ok(memory)
}

/// Makes a memfd of `bytes` zero bytes that nobody else can ever write to, and the one mapping that
/// can. Its pages cannot be given back either.
///
/// # Errors
///
/// Also when the kernel does not know such a seal, before Linux 5.1.
pub fn published(name: &std::ffi::CStr, bytes: usize) -> io::Result<(OwnedFd, Mapping)> {
    let memory = unsealed(name, bytes)?;
    let mapping = Mapping::new(memory.as_fd(), bytes)?;
    add_seals(&memory, READ_SEALS)?;
    Ok((memory, mapping))
}

fn unsealed(name: &std::ffi::CStr, bytes: usize) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: `name` is a C string.
    let memory = owned(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the call takes numbers only.
    checked(unsafe { libc::ftruncate(memory.as_raw_fd(), bytes as libc::off_t) })?;
    Ok(memory)
}

fn add_seals(memory: &OwnedFd, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    checked(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(|_| ())
}

/// The length of what a descriptor stands for.
pub fn bytes_of(memory: BorrowedFd<'_>) -> io::Result<usize> {
    // SAFETY: a stat structure is plain numbers, for which zero is a value.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `status` lives through the call.
    checked(unsafe { libc::fstat(memory.as_raw_fd(), &raw mut status) })?;
    usize::try_from(status.st_size).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Tells one memory from another: its device and inode.
pub fn identity(memory: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    // SAFETY: a stat structure is plain numbers, for which zero is a value.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `status` lives through the call.
    checked(unsafe { libc::fstat(memory.as_raw_fd(), &raw mut status) })?;
    Ok((status.st_dev, status.st_ino))
}

/// Checks that a received descriptor is memory of exactly `bytes` bytes, sealed as [`sealed`] does
/// it, and of ordinary pages.
pub fn check_sealed(memory: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    check(memory, bytes, SEALS)
}

/// Checks that a received descriptor is memory of exactly `bytes` bytes, as [`published`] makes it,
/// and of ordinary pages.
pub fn check_published(memory: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    check(memory, bytes, READ_SEALS)
}

fn check(memory: BorrowedFd<'_>, bytes: usize, wanted: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    let seals = checked(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_GET_SEALS) })?;
    // SAFETY: a statfs structure is plain numbers, for which zero is a value.
    let mut system: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `system` lives through the call.
    checked(unsafe { libc::fstatfs(memory.as_raw_fd(), &raw mut system) })?;
    let right = seals & wanted == wanted
        && seals & libc::F_SEAL_WRITE == 0
        && bytes_of(memory)? == bytes
        && system.f_type == libc::TMPFS_MAGIC;
    if right { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidData)) }
}

/// A shared mapping of a whole memfd. In a program the child of a fork gives it up: see
/// [`super::inherited`].
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    note: Option<&'static Note>,
}

// SAFETY: the mapping is an address range of the process, usable from every thread; what is in it
// is only reached through atomics and raw copies, by the code in `link`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` bytes of `memory`, which must be exactly that long.
    pub fn new(memory: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::with(memory, bytes, libc::PROT_READ | libc::PROT_WRITE)
    }

    /// As [`Mapping::new`], for reading alone: to write there is a fault.
    pub fn to_read(memory: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::with(memory, bytes, libc::PROT_READ)
    }

    fn with(memory: BorrowedFd<'_>, bytes: usize, access: libc::c_int) -> io::Result<Self> {
        // SAFETY: the kernel chooses the address, so no existing mapping is touched.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, memory.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::Other)?;
        Ok(Self { start, bytes, note: inherited::note(start.as_ptr(), bytes) })
    }

    /// The first byte. Valid for [`Mapping::bytes`] bytes while the mapping lives.
    #[must_use]
    pub const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives the pages that lie wholly inside a range back to the system; they read as zero
    /// afterwards.
    pub fn give_back(&self, offset: usize, bytes: usize) {
        const PAGE: usize = 4096;
        let first = offset.next_multiple_of(PAGE);
        let end = (offset + bytes).min(self.bytes) / PAGE * PAGE;
        if first >= end {
            return;
        }
        // SAFETY: `first` is inside the mapping, as `first < end <= bytes`.
        let start = unsafe { self.start.as_ptr().add(first) };
        // SAFETY: the range is inside the mapping. A failure leaves the pages as they are.
        unsafe { libc::madvise(start.cast(), end - first, libc::MADV_REMOVE) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.note.is_none_or(Note::forget) {
            // SAFETY: the range is the mapping made in `new`, and no reference into it outlives
            // `self`, since `link` hands out references bound to the mapping's lifetime.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        }
    }
}

/// One page that reads as zero in the child of a fork, however the fork was made.
#[derive(Debug)]
pub struct ForkMark {
    page: NonNull<std::sync::atomic::AtomicU64>,
}

// SAFETY: the page is only reached as an atomic.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}

impl ForkMark {
    /// Makes the page and marks it. It is never given back, since it belongs to the process.
    pub fn new() -> io::Result<Self> {
        const PAGE: usize = 4096;
        // SAFETY: the kernel chooses the address, so no existing mapping is touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range is the page just mapped.
        checked(unsafe { libc::madvise(start, PAGE, libc::MADV_WIPEONFORK) })?;
        let page = NonNull::new(start.cast()).ok_or(io::ErrorKind::Other)?;
        let mark = Self { page };
        mark.word().store(1, std::sync::atomic::Ordering::Release);
        Ok(mark)
    }

    fn word(&self) -> &std::sync::atomic::AtomicU64 {
        // SAFETY: the page is mapped for the life of the process, aligned, and zero or one is a
        // value of an atomic integer.
        unsafe { self.page.as_ref() }
    }

    /// Whether this process is the one that made the mark.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.word().load(std::sync::atomic::Ordering::Acquire) == 1
    }
}

/// A place for a value that is never freed, so that it can be given up where locks may not be
/// touched any more: in the child of a fork.
#[derive(Debug)]
pub struct Leaked<T: 'static>(std::sync::atomic::AtomicPtr<T>);

impl<T> Leaked<T> {
    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self(std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()))
    }

    /// What is there.
    #[must_use]
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: the pointer is null or came from a box that `replace` leaked, and is never freed.
        unsafe { self.0.load(std::sync::atomic::Ordering::Acquire).as_ref() }
    }

    /// Puts `new` there if the place still holds `old`; leaks it in any case.
    pub fn replace(&self, old: Option<&'static T>, new: Box<T>) -> bool {
        use std::sync::atomic::Ordering;
        let old = old.map_or(std::ptr::null_mut(), |old| std::ptr::from_ref(old).cast_mut());
        let new = Box::into_raw(new);
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Moves what is here to another place; leaves that place as it is if nothing is here.
    pub fn move_to(&self, other: &Self) {
        use std::sync::atomic::Ordering;
        let here = self.0.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !here.is_null() {
            other.0.store(here, Ordering::Release);
        }
    }
}

impl<T> Default for Leaked<T> {
    fn default() -> Self {
        Self::new()
    }
}
