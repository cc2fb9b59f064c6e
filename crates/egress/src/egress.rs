//! The process's way out: one pool for each distinct pair of policy and roots.
//!
//! A connection was judged by the policy that it was dialled under and trusted by the
//! roots that it was dialled with. If another policy could pick it out of the pool, it
//! would reach what it may not, so pools are divided by exactly that pair. Equal pairs
//! share: ten thousand tenants of one service are one pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::client::{Client, IDLE, Pool};
use crate::connect::Connector;
use crate::error::Error;
use crate::policy::Policy;
use crate::resolve::Resolver;
use crate::tls::{RootsCache, RootsId, Tls};

/// Everything that is shared by all clients. Make one for the process; clones share it.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    pools: Mutex<HashMap<(Policy, RootsId), Entry>>,
    roots: RootsCache,
    resolver: Arc<Resolver>,
}

struct Entry {
    pool: Arc<Pool>,
    asked_for: Instant,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new()
    }
}

impl Egress {
    /// Nothing is read or dialled yet.
    pub fn new() -> Self {
        let shared = Shared {
            pools: Mutex::default(),
            roots: RootsCache::default(),
            resolver: Arc::new(Resolver::new()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The client for that policy and those roots. Reads the CA file, if one is named,
    /// which is the only error: [`Error::Roots`]; a file that has changed since makes
    /// another client with another pool.
    ///
    /// The pool outlives the client for as long as an idle connection is kept, so a
    /// caller may keep the client or ask again; both find the connections.
    pub fn client(&self, policy: Policy, tls: &Tls) -> Result<Client, Error> {
        let (id, roots) = self.shared.roots.get(tls)?;
        let key = (policy, id);
        let asked_for = Instant::now();
        let mut pools = self
            .shared
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = pools.get_mut(&key) {
            entry.asked_for = asked_for;
            return Ok(Client::new(Arc::clone(&entry.pool)));
        }
        pools.retain(|_, entry| {
            Arc::strong_count(&entry.pool) > 1 || entry.asked_for.elapsed() < IDLE
        });
        let connector = Connector::new(key.0.clone(), roots, Arc::clone(&self.shared.resolver));
        let pool = Arc::new(Pool::new(connector));
        pools.insert(
            key,
            Entry {
                pool: Arc::clone(&pool),
                asked_for,
            },
        );
        Ok(Client::new(pool))
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}
