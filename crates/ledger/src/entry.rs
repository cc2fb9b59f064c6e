//! An entry of the outbox: some records, in order, compressed.

use crate::Error;

/// Bytes of records in one entry, before compression: what a reader handles at a time.
/// A record is never split, so a larger one makes a larger entry.
pub(crate) const ENTRY_BYTES: usize = 4 << 20;

/// zstd's fastest ordinary level: 1.9 KB detections shrink some tenfold at 500 MB/s.
const LEVEL: i32 = 1;

/// An entry's number. Later entries have greater ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub(crate) i64);

impl EntryId {
    /// As a person reads it; 0 before the first.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

/// Records of one source that wait for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// The source that they came from.
    pub source: String,
    /// What its tenant was called when they came.
    pub tenant: String,
    /// How many there are.
    pub len: usize,
    /// Length and bytes of each.
    raw: Vec<u8>,
}

impl Entry {
    /// The records' bytes, in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.raw.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (record, after) = after.split_at_checked(length)?;
            rest = after;
            Some(record)
        })
    }

    pub(crate) fn unpack(
        id: i64,
        (source, tenant): (String, String),
        len: i64,
        raw_bytes: i64,
        payload: &[u8],
    ) -> Result<Self, Error> {
        let size = usize::try_from(raw_bytes).unwrap_or_default();
        let raw = decompress(payload, size)?;
        Ok(Self {
            id: EntryId(id),
            source,
            tenant,
            len: usize::try_from(len).unwrap_or_default(),
            raw,
        })
    }
}

/// Collects records until they are an entry's worth.
#[derive(Default)]
pub(crate) struct Packer {
    pub(crate) raw: Vec<u8>,
    pub(crate) len: usize,
}

impl Packer {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(bytes.len()).map_err(|_| Error::TooLarge)?;
        self.raw.extend_from_slice(&length.to_le_bytes());
        self.raw.extend_from_slice(bytes);
        self.len += 1;
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.raw.len() >= ENTRY_BYTES
    }
}

pub(crate) fn compress(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(bytes, LEVEL).map_err(|e| Error::Other(e.to_string()))
}

pub(crate) fn decompress(bytes: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    zstd::bulk::decompress(bytes, size).map_err(|e| Error::Damaged(e.to_string()))
}
