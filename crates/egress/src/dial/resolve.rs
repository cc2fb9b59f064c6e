//! Names to addresses, by the system's resolver.
//!
//! `getaddrinfo` blocks a thread and cannot be called off, so a name server that never
//! answers holds that thread for the resolver's own timeout, whatever we wait. Their
//! number is bounded here for the whole process, well below tokio's 512 blocking
//! threads, so that file I/O goes on beside names that never resolve, and for each party,
//! so that one whose names never resolve stops nobody else. Waiting for a permit counts as
//! resolving.
//!
//! The lookup itself is a function that is handed in, so that a test can have names of
//! its own.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::connection_quota::ConnectionQuota;

/// Names that are being resolved at one time: as many parties, since each has one permit.
const AT_ONCE: usize = 256;

/// Addresses of one name that are looked at; a name has a handful, a hostile one has
/// thousands.
const ADDRESSES: usize = 16;

/// Finds the addresses of a name, and may block for as long as that takes.
pub(crate) type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

pub(crate) struct Resolver {
    permits: Arc<Semaphore>,
    lookup: Arc<Lookup>,
}

impl Resolver {
    /// The system's.
    pub(crate) fn system() -> Self {
        Self::by(Arc::new(|name, port| {
            Ok((name, port).to_socket_addrs()?.collect())
        }))
    }

    pub(crate) fn by(lookup: Arc<Lookup>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            lookup,
        }
    }

    /// The name's addresses in the lookup's order of preference, without repeats.
    pub(crate) async fn resolve(
        &self,
        name: &str,
        port: u16,
        quota: &ConnectionQuota,
    ) -> io::Result<Vec<SocketAddr>> {
        let permit = |permits: &Arc<Semaphore>| Arc::clone(permits).acquire_owned();
        let own = permit(&quota.lookups).await.map_err(io::Error::other)?;
        let permit = permit(&self.permits).await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let lookup = Arc::clone(&self.lookup);
        let lookup = tokio::task::spawn_blocking(move || {
            let _permits = (own, permit);
            let mut found: Vec<SocketAddr> = Vec::new();
            for address in lookup(&name, port)? {
                if !found.contains(&address) && found.len() < ADDRESSES {
                    found.push(address);
                }
            }
            Ok(found)
        });
        lookup.await.map_err(io::Error::other)?
    }
}
