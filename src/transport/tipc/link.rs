//! One connection to one member.

use super::packet;
use crate::sys::clock;
use crate::sys::tipc::{Place, Stream};
use crate::transport::{PeerId, ServiceRange};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Begun by this side.
    Connecting(Place),
    /// Each side says who it is; since when.
    Greeting(u64),
    /// The member at the other end is known.
    Live(PeerId),
}

/// A connection, and what waits for room on it.
#[derive(Debug)]
pub(super) struct Link {
    stream: Stream,
    pub(super) stage: Stage,
    /// Where the other listens, once it is known.
    pub(super) place: Option<Place>,
    /// What the other has bound.
    pub(super) bound: Vec<ServiceRange>,
    /// Packets for which there was no room: of control, bounded by how often bindings change until
    /// the connection ends for want of room, and one message that was to go to several.
    waiting: VecDeque<Vec<u8>>,
    /// Since when a sender waits for room, or has last found some.
    pub(super) refused_since: Option<u64>,
}

impl Link {
    pub(super) const fn new(stream: Stream, stage: Stage, place: Option<Place>) -> Self {
        Self {
            stream,
            stage,
            place,
            bound: Vec::new(),
            waiting: VecDeque::new(),
            refused_since: None,
        }
    }

    /// The member at the other end.
    pub(super) const fn peer(&self) -> Option<PeerId> {
        if let Stage::Live(peer) = self.stage { Some(peer) } else { None }
    }

    /// The node at the other end.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub(super) fn node(&self) -> io::Result<u32> {
        self.stream.node()
    }

    /// Whether a connection that was begun stands now.
    ///
    /// # Errors
    ///
    /// It never will.
    pub(super) fn stands(&self) -> io::Result<bool> {
        let Stage::Connecting(to) = self.stage else { return Ok(true) };
        self.stream.is_connected(to)
    }

    /// Whether it has to be watched for room.
    pub(super) fn waits_for_room(&self) -> bool {
        let is_connecting = matches!(self.stage, Stage::Connecting(_));
        is_connecting || self.refused_since.is_some() || !self.waiting.is_empty()
    }

    /// Sends a packet, at once or as soon as there is room.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub(super) fn insist(&mut self, packet: &[u8]) -> io::Result<()> {
        match self.send(packet) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.waiting.push_back(packet.to_vec());
                Ok(())
            }
            result => result,
        }
    }

    /// Sends what waits, as far as there is room.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(packet) = self.waiting.front() {
            match self.stream.send(packet) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            }
            self.waiting.pop_front();
            self.notes_room();
        }
        Ok(())
    }

    /// Sends a packet at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: no room. Else the connection is over.
    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        if !self.waiting.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.stream.send(packet)?;
        self.notes_room();
        Ok(())
    }

    /// The other has read something since, though the loop has not looked for room yet.
    fn notes_room(&mut self) {
        self.refused_since = self.refused_since.map(|_| clock::elapsed().0);
    }

    /// Whether something waits for room.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether there is room for a packet.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.stream.has_room()
    }

    /// The next packet, in `buffer`; `None`: none waits.
    ///
    /// # Errors
    ///
    /// The connection is over, or the other does not keep to the form.
    pub(super) fn receive<'a>(
        &self,
        buffer: &'a mut [u8],
    ) -> io::Result<Option<packet::Packet<'a>>> {
        let Some(length) = self.stream.receive(buffer)? else { return Ok(None) };
        let packet = packet::Packet::of_bytes(&buffer[..length]);
        packet.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Closes it, without a wait for an end that does not read.
    pub(super) fn end(self) {
        self.stream.end();
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
