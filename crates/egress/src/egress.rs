//! The process's way out: one pool for each distinct set of policy, roots and proxies.
//!
//! A connection was judged by the policy that it was dialled under and trusted by the
//! roots that it was dialled with. If another policy could pick it out of the pool, it
//! would reach what it may not, so pools are divided by exactly that. Equal ones share:
//! ten thousand tenants of one service are one pool. A connection in it carries one
//! request at a time and goes back only when both messages have ended, so nothing of
//! one tenant rides on another's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::process::{Resource, getrlimit};
use tokio::sync::Semaphore;

use crate::client::{Client, IDLE, Pool};
use crate::client_certificate::{CertificateId, Identity};
use crate::connect::{Connector, Ways};
use crate::error::Error;
use crate::policy::Policy;
use crate::proxy::Proxies;
use crate::resolve::Resolver;
use crate::tls::{RootsCache, RootsId, Tls};

/// Everything that is shared by all clients. Make one for the process; clones share it.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    pools: Mutex<HashMap<PoolKey, Entry>>,
    roots: RootsCache,
    ways: Arc<Ways>,
}

/// Who may be reached, and as whom.
type PoolKey = (Policy, RootsId, Option<CertificateId>, Proxies);

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
    /// Nothing is read or dialled yet. At most half of the files that the process may
    /// have open (`RLIMIT_NOFILE`) will be sockets; the rest is for all else.
    pub fn new() -> Self {
        let files = getrlimit(Resource::Nofile).current;
        let half = files.map_or(usize::MAX, |files| {
            usize::try_from(files / 2).unwrap_or(usize::MAX)
        });
        Self::with_sockets(half)
    }

    /// The same with at most that many connections at one time, idle ones included. Who
    /// needs one more waits, as long as connecting may take.
    pub fn with_sockets(sockets: usize) -> Self {
        Self::with(sockets, Resolver::system())
    }

    pub(crate) fn with(sockets: usize, resolver: Resolver) -> Self {
        let most_sockets = sockets.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Shared {
            pools: Mutex::default(),
            roots: RootsCache::default(),
            ways: Arc::new(Ways {
                resolver,
                sockets: Arc::new(Semaphore::new(most_sockets)),
                most_sockets,
            }),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The client for that policy and those roots, without a proxy: as
    /// [`Egress::client_through`].
    pub fn client(&self, policy: Policy, tls: &Tls) -> Result<Client, Error> {
        self.client_through(policy, tls, &Proxies::default())
    }

    /// The client for that policy, those roots and those proxies. Reads the CA file and the
    /// certificate, where they are named, which is the only error: [`Error::Roots`]; a file
    /// that has changed since makes another client with another pool.
    ///
    /// The pool outlives the client for as long as an idle connection is kept, so a
    /// caller may keep the client or ask again; both find the connections.
    pub fn client_through(
        &self,
        policy: Policy,
        tls: &Tls,
        proxies: &Proxies,
    ) -> Result<Client, Error> {
        let (id, roots) = self.shared.roots.get(tls)?;
        let identity = tls.certificate.as_ref().map(Identity::read).transpose()?;
        let certificate = identity.as_ref().map(|identity| identity.id);
        let key = (policy, id, certificate, proxies.clone());
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
        let connector = Connector::new(
            key.0.clone(),
            (roots, identity),
            proxies,
            Arc::clone(&self.shared.ways),
        );
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
