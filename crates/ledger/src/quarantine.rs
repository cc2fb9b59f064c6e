//! What could not be read: kept with its reason, asked around, tried again. And what was
//! read and a reader could not take: kept for that reader, until somebody says more.

use crate::Time;

/// A quarantine's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuarantineId(pub i64);

/// What kind of thing could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unread {
    /// One element of an answer; the rest of its window was read.
    Element,
    /// All of a window, which later reading goes around.
    Gap,
    /// A record that a reader could not take. Reading has nothing to do with it.
    Rejected,
}

/// A record that a reader could not take. The same is not put into quarantine twice for
/// one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRejected {
    /// The source that it came from.
    pub source: String,
    /// What its tenant was called when it came.
    pub tenant: String,
    /// Why.
    pub reason: String,
    /// Its bytes, as the outbox had them.
    pub record: Vec<u8>,
}

/// Something to put into quarantine. The same is not put there twice: a gap by its bounds,
/// an element by its bytes and its window. Where the windows of equal elements are mostly the
/// same, one entry stands for both, with a window around both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuarantine {
    /// Which kind.
    pub kind: Unread,
    /// Where the window begins that it was found in.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
    /// Why.
    pub reason: String,
    /// The element, or what there is of the answer.
    pub body: Vec<u8>,
}

/// Something in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number.
    pub id: QuarantineId,
    /// The feed's source.
    pub source: String,
    /// What the feed's tenant is called.
    pub tenant: String,
    /// Which kind.
    pub kind: Unread,
    /// Who could not take it, of what was rejected.
    pub reader: Option<String>,
    /// Where the window begins that it was found in; of what was rejected, when that was.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
    /// Why.
    pub reason: String,
    /// Bytes that are kept of it.
    pub bytes: u64,
    /// When it was found, by the local clock.
    pub found_at: Time,
    /// When it was last tried again, by the local clock.
    pub tried_at: Option<Time>,
    /// How often it was tried again.
    pub tries: u32,
}
