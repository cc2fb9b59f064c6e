//! Reading what may be secret: a buffer that grows and leaves no copy behind, as `Vec` and
//! `read_to_end` would.

use std::io::{self, Read};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// Bytes that are read at one time, and the least that a buffer has room for.
const PIECE: usize = 8192;

/// Reads to the end, at most `most` bytes.
pub(crate) fn read_all(from: impl Read, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let (mut from, mut all) = (from.take(most), Zeroizing::default());
    let mut piece = Zeroizing::new([0; PIECE]);
    loop {
        match from.read(piece.as_mut_slice()) {
            Ok(0) => return Ok(all),
            Ok(count) => push(&mut all, piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same of what is waited for.
pub(crate) async fn read_all_async(
    from: impl AsyncRead + Unpin,
    most: u64,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let (mut from, mut all) = (from.take(most), Zeroizing::default());
    let mut piece = Zeroizing::new([0; PIECE]);
    loop {
        match from.read(piece.as_mut_slice()).await? {
            0 => return Ok(all),
            count => push(&mut all, piece.get(..count).unwrap_or_default()),
        }
    }
}

/// A larger buffer takes the place of one that is full, which is zeroed as it goes.
fn push(all: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    let needed = all.len() + piece.len();
    if needed > all.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * all.capacity())));
        larger.extend_from_slice(all);
        *all = larger;
    }
    all.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_is_read_up_to_the_bound() {
        let text: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for (most, want) in [(1 << 20, 100_000), (99_999, 99_999), (0, 0)] {
            let read = read_all(text.as_slice(), most).unwrap();
            assert_eq!(read.as_slice(), &text[..want]);
            let read = read_all_async(text.as_slice(), most).await.unwrap();
            assert_eq!(read.as_slice(), &text[..want]);
        }
    }
}
