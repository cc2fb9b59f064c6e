//! What one step of reading came to, and what became of it.

use crate::{EntryId, FeedId, Generation, NewQuarantine, QuarantineId, Time};

/// One detection. What its bytes mean is nobody's business here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What makes it itself.
    pub identity: String,
    /// Its time. One identity at two times is two records.
    pub time: Time,
    /// What readers get.
    pub bytes: Vec<u8>,
}

impl Record {
    /// The time of a record that has none. It is known by its identity alone, for as long as
    /// it keeps coming.
    pub const UNDATED: Time = Time::MAX;
}

/// A range that was read: from `from` on, and before `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// By which job; empty for ordinary reading. Jobs do not see each other's ranges, and
    /// what a job has read counts as read by ordinary reading, too.
    pub job: String,
    /// Where it begins.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
}

/// What one step of reading came to. All of it happens, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// What was read.
    pub feed: FeedId,
    /// Under which it was read, for what goes on from the cursor. None of what does not.
    pub generation: Option<Generation>,
    /// What was found, in order. Known ones are dropped.
    pub records: Vec<Record>,
    /// Whether known ones go to the outbox too.
    pub again: bool,
    /// Everything up to here was read. The cursor never moves back.
    pub cursor: Option<Time>,
    /// The end of the window that was asked for, whether the cursor moves there or not.
    /// Records without a date that this found are needed until the cursor is well past it.
    pub read_to: Option<Time>,
    /// From when keys are complete, for a feed that has none.
    pub keys_from: Option<Time>,
    /// Keys below this time are not needed any more.
    pub forget_below: Option<Time>,
    /// Keys of records without a date are not needed any more that were last found by
    /// a step that read up to somewhere below this.
    pub forget_undated_below: Option<Time>,
    /// Whether records are dropped whose time is in a range that ordinary reading has
    /// covered: their keys may be forgotten by now.
    pub around_covered: bool,
    /// The range that was read by this, for
    /// [`Cursors::covered_ranges`](crate::Cursors::covered_ranges).
    pub covered: Option<Covered>,
    /// When this ends a reading that went further back than usual: its beginning, by the
    /// service's clock.
    pub rescanned: Option<Time>,
    /// What could not be read.
    pub quarantine: Vec<NewQuarantine>,
    /// What was in quarantine and is settled by this.
    pub lift: Vec<QuarantineId>,
    /// The local time, for `last_success`.
    pub at: Time,
}

impl Commit {
    /// A step that found nothing.
    #[must_use]
    pub fn new(feed: FeedId, at: Time) -> Self {
        Self {
            feed,
            generation: None,
            records: Vec::new(),
            again: false,
            around_covered: false,
            cursor: None,
            read_to: None,
            keys_from: None,
            forget_below: None,
            forget_undated_below: None,
            covered: None,
            rescanned: None,
            quarantine: Vec::new(),
            lift: Vec::new(),
            at,
        }
    }
}

/// What became of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Records that were new.
    pub fresh: usize,
    /// Records that were known.
    pub duplicates: usize,
    /// The earliest time of the new ones.
    pub oldest_fresh: Option<Time>,
    /// Where they are in the outbox; none when no reader takes this source.
    pub entries: Vec<EntryId>,
    /// Bytes that they take there, as [`Backlog`](crate::Backlog) counts them.
    pub bytes: u64,
    /// What is in quarantine that was not before.
    pub quarantined: usize,
}
