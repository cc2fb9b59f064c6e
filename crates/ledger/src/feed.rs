//! What is read: a feed and how far.

use crate::Time;
use std::fmt;

/// What a cursor belongs to: another tenant or another API is another feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedName {
    /// The source, as the configuration names it.
    pub source: String,
    /// The tenant that is asked for.
    pub tenant: String,
    /// The API that is asked.
    pub api: String,
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.source, self.tenant, self.api)
    }
}

/// A feed's number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(pub(crate) i64);

/// A feed as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Its number.
    pub id: FeedId,
    /// Its name.
    pub name: FeedName,
    /// What its tenant is called downstream.
    pub label: String,
    /// Everything up to here was read. None: nothing yet.
    pub cursor: Option<Time>,
    /// Keys are complete from here on: asking below would deliver again.
    pub keys_from: Option<Time>,
    /// Keys held.
    pub keys: u64,
    /// What passed through.
    pub totals: Totals,
    /// When a window was last read, by the local clock.
    pub last_success: Option<Time>,
    /// What went wrong last, if nothing went well since.
    pub last_error: Option<Failure>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When, by the local clock.
    pub at: Time,
    /// What kind it is, in words that are the same for every feed.
    pub kind: String,
    /// What happened, for people.
    pub words: String,
}

impl Feed {
    /// Whether it is of that tenant, by its name or its id.
    #[must_use]
    pub fn is_of(&self, tenant: &str) -> bool {
        self.label == tenant || self.name.tenant == tenant
    }
}

/// How often a feed's cursor was moved by somebody else than who reads it. A step of reading
/// names the one that it began under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Generation(pub(crate) i64);

/// What reading needs to know of a feed at each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedProgress {
    /// Everything up to here was read. None: nothing yet.
    pub cursor: Option<Time>,
    /// Keys are complete from here on.
    pub keys_from: Option<Time>,
    /// Under which it is read from now on.
    pub generation: Generation,
    /// When it was last read further back than usual, by its service's clock.
    pub rescanned: Option<Time>,
    /// What is in quarantine now.
    pub quarantined: u64,
    /// Bytes that the quarantine holds of it.
    pub quarantined_bytes: u64,
}

/// Counts since the feed began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records that went to the outbox.
    pub fresh: u64,
    /// Records that were known.
    pub duplicates: u64,
    /// What is in quarantine now.
    pub quarantined: u64,
    /// Bytes that the quarantine holds of it.
    pub quarantined_bytes: u64,
}
