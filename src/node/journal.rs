//! The state of this boot: an append-only log in the runtime directory, so that a restart of the
//! daemon loses no channel and no retained event.
//!
//! The file begins with a line of magic, the boot it belongs to and the start count; then come
//! entries, each with its length and a checksum. A torn last entry (power loss, full disk) ends
//! the log. At each start the facts are written anew to a second file that then takes the place
//! of the first; so does a log that has grown to several times its facts. The start count is kept
//! whatever else is lost, also that of a log whose head is damaged (`starts`).

use super::entry::{self, Entry};
use super::grants::{Grants, Memory};
use super::starts;
use super::status::Births;
use crate::evt::node::{Change, Fact};
use crate::evt::{EventId, Time};
use crate::sys::clock;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"saevt-state-0001";
const HEAD_BYTES: usize = 16 + 16 + 4;
/// A log this small is not worth compacting.
const COMPACT_BYTES_MIN: u64 = 4 << 20;

/// What an earlier daemon of this boot left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// The start count of that daemon; 0 if none was found.
    pub(super) start: u32,
    /// Whether the facts are of this boot.
    pub(super) of_this_boot: bool,
    /// Whether it ended cleanly.
    pub(super) clean: bool,
    /// What it knew, in order.
    pub(super) entries: Vec<Entry>,
}

/// The log.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    boot: [u8; 16],
    start: u32,
    grants: Grants,
    births: Births,
    file: Option<File>,
    buffer: Vec<u8>,
    bytes: u64,
    bytes_compacted: u64,
}

/// The identity of this boot of the machine.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let mut id = [0; 16];
    for (to, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *to = pair[0] << 4 | pair[1];
    }
    id
}

/// Reads what an earlier daemon left in `directory`. Whatever is damaged ends the reading.
pub(super) fn read(directory: &Path) -> io::Result<Left> {
    let mut left = read_log(directory)?;
    left.start = starts::later(left.start, starts::read(directory));
    Ok(left)
}

fn read_log(directory: &Path) -> io::Result<Left> {
    let mut bytes = Vec::new();
    match File::open(directory.join("state")) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::default()),
        Err(error) => return Err(error),
    };
    let Some((head, mut rest)) = bytes.split_at_checked(HEAD_BYTES) else {
        return Ok(Left::default());
    };
    if &head[..16] != MAGIC {
        return Ok(Left::default());
    }
    let start = u32::from_le_bytes([head[32], head[33], head[34], head[35]]);
    let mut left = Left { start, of_this_boot: head[16..32] == boot_id(), ..Left::default() };
    while let Some((entry, after)) = entry::decode(rest) {
        rest = after;
        left.clean = matches!(entry, Entry::Clean);
        match entry {
            Entry::Start { start } => left.start = start,
            Entry::Clean => {}
            entry if left.of_this_boot => left.entries.push(entry),
            _ => {}
        }
    }
    left.clean &= rest.is_empty();
    Ok(left)
}

impl Journal {
    /// Begins a new log in `directory` with these facts, in place of the old one.
    pub(super) fn begin(
        directory: &Path,
        start: u32,
        grants: Grants,
        births: Births,
        facts: Facts<'_>,
    ) -> io::Result<Self> {
        let mut journal = Self {
            path: directory.join("state"),
            boot: boot_id(),
            start,
            grants,
            births,
            file: None,
            buffer: Vec::new(),
            bytes: 0,
            bytes_compacted: 0,
        };
        starts::write(directory, start)?;
        journal.compact(facts)?;
        Ok(journal)
    }

    /// Writes the facts to a new file that replaces the log.
    fn compact(&mut self, facts: Facts<'_>) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(MAGIC);
        self.buffer.extend_from_slice(&self.boot);
        self.buffer.extend_from_slice(&self.start.to_le_bytes());
        let mut bytes = 0;
        let mut outcome = Ok(());
        facts(&mut |fact| {
            if outcome.is_err() {
                return;
            }
            entry::encode_fact(&fact, &mut self.buffer);
            if self.buffer.len() > 1 << 20 {
                bytes += self.buffer.len() as u64;
                outcome = file.write_all(&self.buffer);
                self.buffer.clear();
            }
        });
        outcome?;
        for (memory, first) in self.grants.iter() {
            entry::encode(&Entry::Granted { first, memory }, &mut self.buffer);
        }
        for (incarnation, born) in &self.births {
            let (incarnation, born) = (*incarnation, *born);
            entry::encode(&Entry::Born { incarnation, born }, &mut self.buffer);
        }
        bytes += self.buffer.len() as u64;
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        std::fs::rename(&new, &self.path)?;
        self.file = Some(file);
        (self.bytes, self.bytes_compacted) = (bytes, bytes);
        Ok(())
    }

    /// Appends changes in one write. After a failure the log is not usable until
    /// [`Journal::mend`] has replaced it.
    pub(super) fn append(&mut self, changes: &mut Vec<Change>) -> io::Result<()> {
        for change in changes.drain(..) {
            entry::encode_change(&change, &mut self.buffer);
            match change {
                Change::ChannelCreated { incarnation, .. } => {
                    let born = clock::wall();
                    self.births.insert(incarnation, born);
                    entry::encode(&Entry::Born { incarnation, born }, &mut self.buffer);
                }
                Change::ChannelDeleted { incarnation } => {
                    self.births.remove(&incarnation);
                }
                _ => {}
            }
        }
        self.flush()
    }

    /// Notes that the next start number is in use.
    pub(super) fn note_start(&mut self, start: u32) -> io::Result<()> {
        self.start = start;
        let apart = self.path.parent().map_or(Ok(()), |directory| starts::write(directory, start));
        entry::encode(&Entry::Start { start }, &mut self.buffer);
        // One of the two is enough.
        self.flush().or(apart)
    }

    /// Notes that a block of event identifiers is on offer in an outbox.
    pub(super) fn grant(&mut self, first: EventId, memory: Memory) -> io::Result<()> {
        self.grants.add(memory, first);
        entry::encode(&Entry::Granted { first, memory }, &mut self.buffer);
        self.flush()
    }

    /// Begins a new log that holds nothing but the start count, and ends it; or, if that cannot be
    /// written, removes the log.
    pub(super) fn forget(&mut self, directory: &Path) -> io::Result<()> {
        match Self::begin(directory, self.start, Grants::default(), Births::new(), &|_| {}) {
            Ok(empty) => {
                *self = empty;
                self.end()
            }
            Err(_) => {
                self.file = None;
                std::fs::remove_file(&self.path)
            }
        }
    }

    /// Which blocks were offered where.
    pub(super) fn grants(&mut self) -> &mut Grants {
        &mut self.grants
    }

    /// When channels were made.
    pub(super) const fn births(&self) -> &Births {
        &self.births
    }

    /// Notes a clean end.
    pub(super) fn end(&mut self) -> io::Result<()> {
        entry::encode(&Entry::Clean, &mut self.buffer);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            self.buffer.clear();
            return Err(io::Error::other("the state file is damaged"));
        };
        let outcome = file.write_all(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        if outcome.is_err() {
            self.file = None;
        }
        outcome
    }

    /// Whether the log should be written anew: it is damaged, or much longer than its facts.
    pub(super) fn wants_mending(&self) -> bool {
        self.file.is_none() || self.bytes > COMPACT_BYTES_MIN.max(4 * self.bytes_compacted)
    }

    /// Writes the log anew.
    pub(super) fn mend(&mut self, facts: Facts<'_>) -> io::Result<()> {
        let outcome = self.compact(facts);
        if outcome.is_err() {
            self.buffer.clear();
            // Half a file is no use, and takes room that the next attempt needs.
            let _ = std::fs::remove_file(self.path.with_extension("new"));
        }
        outcome
    }
}

impl Left {
    /// When the channels that exist were made.
    pub(super) fn births(&self) -> Births {
        let mut births = Births::new();
        for entry in &self.entries {
            match entry {
                Entry::Born { incarnation, born } => {
                    births.insert(*incarnation, *born);
                }
                Entry::Deleted { incarnation } => {
                    births.remove(incarnation);
                }
                _ => {}
            }
        }
        births
    }

    /// Which blocks of event identifiers were offered where.
    pub(super) fn grants(&self) -> Grants {
        let mut grants = Grants::default();
        for entry in &self.entries {
            if let Entry::Granted { first, memory } = entry {
                grants.add(*memory, *first);
            }
        }
        grants.end_all();
        grants
    }
}

/// Something that shows every fact to the function it is given.
pub(super) type Facts<'a> = &'a dyn Fn(&mut dyn FnMut(Fact<'_>));

/// Puts what can still matter of what was left into the core.
pub(super) fn adopt(left: Left, core: &mut crate::evt::node::Node, now: Time) {
    let mut channels = BTreeMap::new();
    let mut moved = Vec::new();
    let mut retained = BTreeMap::new();
    for (order, entry) in left.entries.into_iter().enumerate() {
        match entry {
            Entry::Channel { incarnation, name, linked } => {
                channels.insert(incarnation, (name, linked));
            }
            Entry::Unlinked { incarnation } => {
                if let Some((_, linked)) = channels.get_mut(&incarnation) {
                    *linked = false;
                }
            }
            Entry::Deleted { incarnation } => {
                channels.remove(&incarnation);
            }
            Entry::Moved { incarnation, user, private } => {
                moved.push((incarnation, user, private));
            }
            Entry::Retained { incarnation, record, deadline } => {
                retained.insert((incarnation, record.id), (order, record, deadline));
            }
            Entry::RetentionEnded { incarnation, id } => {
                retained.remove(&(incarnation, id));
            }
            Entry::Start { .. } | Entry::Clean | Entry::Granted { .. } | Entry::Born { .. } => {}
        }
    }
    for (incarnation, (name, linked)) in &channels {
        core.adopt_channel(*incarnation, name, *linked);
    }
    for (incarnation, user, private) in moved {
        core.adopt_moved(incarnation, user, private);
    }
    let mut retained: Vec<_> = retained.into_iter().collect();
    retained.sort_by_key(|(_, (order, ..))| *order);
    for ((incarnation, _), (_, record, deadline)) in retained {
        if deadline > now && channels.contains_key(&incarnation) {
            core.adopt_retained(incarnation, record, deadline);
        }
    }
}
