//! Packets that are longer than an engine carries, in pieces.
//!
//! Each piece is a byte that says whether more follow, then part of the packet. Pieces come in
//! order and whole, as everything between two members does.

use super::bytes::Malformed;

/// What a packet in one piece begins with.
pub const LAST: u8 = 0;
const MORE: u8 = 1;

/// Cuts a packet into pieces of at most `piece_bytes_max`, which is 2 or more.
pub fn cut(packet: &[u8], piece_bytes_max: usize) -> impl Iterator<Item = Vec<u8>> {
    let content = piece_bytes_max.max(2) - 1;
    let number = packet.len().div_ceil(content).max(1);
    (0..number).map(move |at| {
        let part = &packet[at * content..packet.len().min((at + 1) * content)];
        let mut piece = Vec::with_capacity(part.len() + 1);
        piece.push(if at + 1 == number { LAST } else { MORE });
        piece.extend_from_slice(part);
        piece
    })
}

/// The pieces of one peer, put together.
#[derive(Debug, Default)]
pub struct Pieces {
    gathered: Vec<u8>,
}

impl Pieces {
    /// Bytes of the longest packet: a whole state of the largest cluster that the default limits
    /// allow, with room.
    pub const PACKET_BYTES_MAX: usize = 256 << 20;

    /// Takes the next piece; gives the packet that it ends.
    ///
    /// - [`Malformed`]: no piece, too long, or no memory for it. What was gathered is dropped.
    pub fn add(&mut self, piece: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let (kind, part) = piece.split_first().ok_or(Malformed)?;
        let length = self.gathered.len() + part.len();
        let fits = length <= Self::PACKET_BYTES_MAX && *kind <= MORE;
        if !fits || self.gathered.try_reserve(part.len()).is_err() {
            self.gathered = Vec::new();
            return Err(Malformed);
        }
        self.gathered.extend_from_slice(part);
        Ok((*kind == LAST).then(|| std::mem::take(&mut self.gathered)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_comes_together_whatever_the_size_of_its_pieces() {
        let packet: Vec<u8> = (0..=255).collect();
        for size in [2, 3, 17, 256, 257, 1000] {
            let mut pieces = Pieces::default();
            let cut: Vec<_> = cut(&packet, size).collect();
            assert!(cut.iter().all(|piece| piece.len() <= size));
            let (last, before) = cut.split_last().unwrap();
            for piece in before {
                assert_eq!(pieces.add(piece), Ok(None));
            }
            assert_eq!(pieces.add(last), Ok(Some(packet.clone())));
        }
    }

    #[test]
    fn nonsense_ends_what_was_gathered() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add(&[MORE, 7]), Ok(None));
        assert_eq!(pieces.add(&[9]), Err(Malformed));
        assert_eq!(pieces.add(&[]), Err(Malformed));
        assert_eq!(pieces.add(&[LAST, 8]), Ok(Some(vec![8])));
    }
}
