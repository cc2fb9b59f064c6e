//! Names to addresses, by the system's resolver.
//!
//! `getaddrinfo` blocks a thread and cannot be called off, so a name server that never
//! answers holds that thread for the resolver's own timeout, whatever we wait. Their
//! number is bounded here for the whole process, well below tokio's 512 blocking
//! threads, so that file I/O goes on beside names that never resolve, and for each party,
//! so that one whose names never resolve stops nobody else. Waiting for a turn counts as
//! resolving.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::share::Share;

/// Names that are being resolved at one time.
const AT_ONCE: usize = 64;

/// Addresses of one name that are looked at; a name has a handful, a hostile one has
/// thousands.
const ADDRESSES: usize = 16;

pub(crate) struct Resolver {
    turns: Arc<Semaphore>,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The name's addresses in the system's order of preference, without repeats.
    pub(crate) async fn resolve(
        &self,
        name: &str,
        port: u16,
        share: &Share,
    ) -> io::Result<Vec<SocketAddr>> {
        let turn = |turns: &Arc<Semaphore>| Arc::clone(turns).acquire_owned();
        let own = turn(&share.lookups).await.map_err(io::Error::other)?;
        let turn = turn(&self.turns).await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            let _turns = (own, turn);
            let mut found: Vec<SocketAddr> = Vec::new();
            for address in (name.as_str(), port).to_socket_addrs()? {
                if !found.contains(&address) && found.len() < ADDRESSES {
                    found.push(address);
                }
            }
            Ok(found)
        });
        lookup.await.map_err(io::Error::other)?
    }
}
