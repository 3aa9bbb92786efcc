//! What a test and a member in another process say to each other, as frames of bytes.

use SaEvt::transport::{Arrival, PeerId, ServiceRange, Standing};
use std::io::{self, ErrorKind, Read, Write};

/// Writes one frame and flushes it.
pub(crate) fn write(to: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    to.write_all(&(frame.len() as u32).to_le_bytes())?;
    to.write_all(frame)?;
    to.flush()
}

/// Reads one frame.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

/// What a member is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Own,
    Bind(ServiceRange),
    Unbind(ServiceRange),
    Watch(ServiceRange),
    Multicast(ServiceRange, Vec<u8>),
    Send(PeerId, Vec<u8>),
    SendEach(Vec<(PeerId, Vec<u8>)>, Vec<u8>),
    Receive,
    /// The length of the longest message, whether the order is total, and whether a message for
    /// several is carried as one.
    Facts,
}

/// What it answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Own(Option<PeerId>),
    /// All that had arrived, or the first of it.
    Heard(Vec<Arrival>),
    Facts(u64, bool, bool),
    Refused(ErrorKind, String),
}

/// Reads numbers off a frame.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> u64 {
        let (number, rest) = self.0.split_at(8);
        self.0 = rest;
        u64::from_le_bytes(number.try_into().expect("eight bytes"))
    }

    fn range(&mut self) -> ServiceRange {
        let mut number = || self.number() as u32;
        ServiceRange { service_type: number(), lower: number(), upper: number() }
    }

    fn peer(&mut self) -> PeerId {
        PeerId { node: self.number() as u32, attachment: self.number() }
    }
}

fn frame(kind: u64, numbers: &[u64], bytes: &[u8]) -> Vec<u8> {
    let words = std::iter::once(kind).chain(numbers.iter().copied());
    let mut frame: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    frame.extend_from_slice(bytes);
    frame
}

fn range(range: ServiceRange) -> [u64; 3] {
    [range.service_type.into(), range.lower.into(), range.upper.into()]
}

fn peer(peer: PeerId) -> [u64; 2] {
    [peer.node.into(), peer.attachment]
}

impl Order {
    pub(crate) fn to_frame(&self) -> Vec<u8> {
        match self {
            Self::Own => frame(0, &[], &[]),
            Self::Bind(bound) => frame(1, &range(*bound), &[]),
            Self::Unbind(bound) => frame(2, &range(*bound), &[]),
            Self::Watch(watched) => frame(3, &range(*watched), &[]),
            Self::Multicast(to, message) => frame(4, &range(*to), message),
            Self::Send(to, message) => frame(5, &peer(*to), message),
            Self::Receive => frame(6, &[], &[]),
            Self::Facts => frame(7, &[], &[]),
            Self::SendEach(to, tail) => {
                let length = to.first().map_or(0, |(_, head)| head.len() as u64);
                let peers = to.iter().flat_map(|(to, _)| peer(*to));
                let numbers: Vec<u64> =
                    [to.len() as u64, length].into_iter().chain(peers).collect();
                let heads: Vec<u8> = to.iter().flat_map(|(_, head)| head.clone()).collect();
                frame(8, &numbers, &[&heads[..], tail].concat())
            }
        }
    }

    pub(crate) fn of_frame(frame: &[u8]) -> Self {
        let mut reader = Reader(frame);
        match reader.number() {
            0 => Self::Own,
            1 => Self::Bind(reader.range()),
            2 => Self::Unbind(reader.range()),
            3 => Self::Watch(reader.range()),
            4 => Self::Multicast(reader.range(), reader.0.to_vec()),
            5 => Self::Send(reader.peer(), reader.0.to_vec()),
            6 => Self::Receive,
            7 => Self::Facts,
            8 => {
                let (count, length) = (reader.number(), reader.number() as usize);
                let peers: Vec<PeerId> = (0..count).map(|_| reader.peer()).collect();
                let (heads, tail) = reader.0.split_at(peers.len() * length);
                let heads = (0..peers.len()).map(|at| heads[at * length..][..length].to_vec());
                Self::SendEach(peers.iter().copied().zip(heads).collect(), tail.to_vec())
            }
            kind => panic!("an order of kind {kind}"),
        }
    }
}

const KINDS: [ErrorKind; 6] = [
    ErrorKind::Other,
    ErrorKind::InvalidInput,
    ErrorKind::NotFound,
    ErrorKind::WouldBlock,
    ErrorKind::NotConnected,
    ErrorKind::Unsupported,
];
const STANDINGS: [Standing; 3] = [Standing::Starting, Standing::Member, Standing::Outside];

fn arrival_to_frame(arrival: &Arrival) -> Vec<u8> {
    let bound = |at: PeerId, bound| [&peer(at)[..], &range(bound)].concat();
    match arrival {
        Arrival::Up { peer, range } => frame(0, &bound(*peer, *range), &[]),
        Arrival::Down { peer, range } => frame(1, &bound(*peer, *range), &[]),
        Arrival::Message { from, bytes } => frame(2, &peer(*from), bytes),
        Arrival::Room => frame(3, &[], &[]),
        Arrival::Standing(standing) => {
            let position = STANDINGS.iter().position(|known| known == standing);
            frame(4, &[position.expect("all are listed") as u64], &[])
        }
    }
}

fn arrival_of_frame(frame: &[u8]) -> Arrival {
    let mut reader = Reader(frame);
    match reader.number() {
        0 => Arrival::Up { peer: reader.peer(), range: reader.range() },
        1 => Arrival::Down { peer: reader.peer(), range: reader.range() },
        2 => Arrival::Message { from: reader.peer(), bytes: reader.0.to_vec() },
        3 => Arrival::Room,
        4 => Arrival::Standing(STANDINGS[reader.number() as usize]),
        kind => panic!("an arrival of kind {kind}"),
    }
}

impl Answer {
    pub(crate) fn of_error(error: &io::Error) -> Self {
        Self::Refused(error.kind(), error.to_string())
    }

    pub(crate) fn to_frame(&self) -> Vec<u8> {
        match self {
            Self::Done => frame(0, &[], &[]),
            Self::Own(None) => frame(1, &[], &[]),
            Self::Own(Some(own)) => frame(2, &peer(*own), &[]),
            Self::Heard(arrivals) => {
                let parts = arrivals.iter().flat_map(|arrival| {
                    let part = arrival_to_frame(arrival);
                    [(part.len() as u64).to_le_bytes().to_vec(), part].concat()
                });
                frame(3, &[], &parts.collect::<Vec<u8>>())
            }
            Self::Facts(bytes, is_total, carries_each) => {
                frame(4, &[*bytes, u64::from(*is_total), u64::from(*carries_each)], &[])
            }
            Self::Refused(kind, why) => {
                let position = KINDS.iter().position(|known| known == kind).unwrap_or(0);
                frame(5, &[position as u64], why.as_bytes())
            }
        }
    }

    pub(crate) fn of_frame(frame: &[u8]) -> Self {
        let mut reader = Reader(frame);
        match reader.number() {
            0 => Self::Done,
            1 => Self::Own(None),
            2 => Self::Own(Some(reader.peer())),
            3 => {
                let mut arrivals = Vec::new();
                while !reader.0.is_empty() {
                    let length = reader.number() as usize;
                    let (part, rest) = reader.0.split_at(length);
                    reader.0 = rest;
                    arrivals.push(arrival_of_frame(part));
                }
                Self::Heard(arrivals)
            }
            4 => Self::Facts(reader.number(), reader.number() == 1, reader.number() == 1),
            5 => {
                let kind = KINDS[reader.number() as usize];
                Self::Refused(kind, String::from_utf8_lossy(reader.0).into_owned())
            }
            kind => panic!("an answer of kind {kind}"),
        }
    }
}
