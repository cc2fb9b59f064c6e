//! What one party may have open at one time, so that it cannot use up what all share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// Requests that one party may have under way at one time, unless it says otherwise. A
/// poll has one, or two while a backfill goes on.
pub const REQUESTS_AT_ONCE: usize = 8;

/// Threads that may wait for the resolver on a party's account. One, so that as many
/// parties as there are threads would need names that never resolve before others wait.
const LOOKUPS_AT_ONCE: usize = 1;

/// What one party may use of the process's sockets and resolver threads. Clones are the
/// same quota; every client that asks for one party has it.
#[derive(Debug, Clone)]
pub struct ConnectionQuota {
    limit: usize,
    requests: Arc<Semaphore>,
    pub(super) lookups: Arc<Semaphore>,
}

/// Permission for one request, kept until both its body and its answer's have ended, since
/// the connection is in use for as long. Clones are the same permit.
#[derive(Debug, Clone)]
pub(crate) struct QuotaPermit {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl ConnectionQuota {
    /// For that many requests at one time, each with at most one connection.
    pub fn new(requests: usize) -> Self {
        Self {
            limit: requests,
            requests: Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS))),
            lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
        }
    }

    /// A permit for one more request. It does not wait: who is at the limit is told.
    pub(crate) fn acquire(&self) -> Result<QuotaPermit, Error> {
        match Arc::clone(&self.requests).try_acquire_owned() {
            Ok(permit) => Ok(QuotaPermit {
                _permit: Arc::new(permit),
            }),
            Err(_) => Err(Error::TooManyAtOnce { limit: self.limit }),
        }
    }
}

impl Default for ConnectionQuota {
    fn default() -> Self {
        Self::new(REQUESTS_AT_ONCE)
    }
}
