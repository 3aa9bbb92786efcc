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
    Receive,
    /// The length of the longest message, and whether the order is total.
    Facts,
}

/// What it answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Own(Option<PeerId>),
    Heard(Option<Arrival>),
    Facts(u64, bool),
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
            kind => panic!("an order of kind {kind}"),
        }
    }
}

const KINDS: [ErrorKind; 5] = [
    ErrorKind::Other,
    ErrorKind::InvalidInput,
    ErrorKind::NotFound,
    ErrorKind::WouldBlock,
    ErrorKind::NotConnected,
];
const STANDINGS: [Standing; 3] = [Standing::Starting, Standing::Member, Standing::Outside];

impl Answer {
    pub(crate) fn of_error(error: &io::Error) -> Self {
        Self::Refused(error.kind(), error.to_string())
    }

    pub(crate) fn to_frame(&self) -> Vec<u8> {
        let up = |at: PeerId, bound| [&peer(at)[..], &range(bound)].concat();
        match self {
            Self::Done => frame(0, &[], &[]),
            Self::Own(None) => frame(1, &[], &[]),
            Self::Own(Some(own)) => frame(2, &peer(*own), &[]),
            Self::Heard(None) => frame(3, &[], &[]),
            Self::Heard(Some(arrival)) => match arrival {
                Arrival::Up { peer, range } => frame(4, &up(*peer, *range), &[]),
                Arrival::Down { peer, range } => frame(5, &up(*peer, *range), &[]),
                Arrival::Message { from, bytes } => frame(6, &peer(*from), bytes),
                Arrival::Room => frame(7, &[], &[]),
                Arrival::Standing(standing) => {
                    let position = STANDINGS.iter().position(|known| known == standing);
                    frame(8, &[position.expect("all are listed") as u64], &[])
                }
            },
            Self::Facts(bytes, is_total) => frame(9, &[*bytes, u64::from(*is_total)], &[]),
            Self::Refused(kind, why) => {
                let position = KINDS.iter().position(|known| known == kind).unwrap_or(0);
                frame(10, &[position as u64], why.as_bytes())
            }
        }
    }

    pub(crate) fn of_frame(frame: &[u8]) -> Self {
        let mut reader = Reader(frame);
        match reader.number() {
            0 => Self::Done,
            1 => Self::Own(None),
            2 => Self::Own(Some(reader.peer())),
            3 => Self::Heard(None),
            4 => Self::Heard(Some(Arrival::Up { peer: reader.peer(), range: reader.range() })),
            5 => Self::Heard(Some(Arrival::Down { peer: reader.peer(), range: reader.range() })),
            6 => {
                let from = reader.peer();
                Self::Heard(Some(Arrival::Message { from, bytes: reader.0.to_vec() }))
            }
            7 => Self::Heard(Some(Arrival::Room)),
            8 => Self::Heard(Some(Arrival::Standing(STANDINGS[reader.number() as usize]))),
            9 => Self::Facts(reader.number(), reader.number() == 1),
            10 => {
                let kind = KINDS[reader.number() as usize];
                Self::Refused(kind, String::from_utf8_lossy(reader.0).into_owned())
            }
            kind => panic!("an answer of kind {kind}"),
        }
    }
}
