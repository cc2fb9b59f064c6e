//! The dialer: where a destination becomes a connection.
//!
//! It trusts nothing that was decided before: it judges the destination that it was given,
//! resolves the name itself, judges every address, and dials exactly those it judged, so
//! that no second resolution can put another address in between. Of a name with good and
//! bad addresses only the good are dialled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::limits::{ConnectLimits, after, within};
use super::proxy::{Proxies, Proxy, ProxyMatcher};
use super::resolve::Resolver;
use super::stream::{Io, Stream};
use super::tls::{Trust, handshake};
use super::tunnel::open_tunnel;
use crate::error::{Error, Phase};
use crate::policy::{Denied, Host, Policy, Scheme, Target};

/// Makes connections under one policy, one set of roots and one set of proxies. Cheap to
/// clone. [`Egress::dialer`](crate::Egress::dialer) makes it.
#[derive(Clone)]
pub struct Dialer {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Policy,
    trust: Trust,
    resources: Arc<Resources>,
    proxies: ProxyMatcher,
    /// The protocols that are offered in the TLS handshake.
    alpn: &'static [&'static [u8]],
    tls: OnceCell<TlsConnector>,
}

/// What all connections of the process share.
pub(crate) struct Resources {
    resolver: Resolver,
    /// As many as the process may have open.
    sockets: Arc<Semaphore>,
    max_sockets: usize,
}

impl Resources {
    pub(crate) fn new(max_sockets: usize, resolver: Resolver) -> Self {
        let max_sockets = max_sockets.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            resolver,
            sockets: Arc::new(Semaphore::new(max_sockets)),
            max_sockets,
        }
    }
}

impl Dialer {
    pub(crate) fn new(
        policy: Policy,
        trust: Trust,
        proxies: &Proxies,
        resources: Arc<Resources>,
        alpn: &'static [&'static [u8]],
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                trust,
                resources,
                proxies: proxies.matcher(),
                alpn,
                tls: OnceCell::new(),
            }),
        }
    }

    /// What it may reach.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// Connects to a destination that the policy allows: judges it, resolves its name,
    /// judges every address, connects, asks the proxy for a tunnel where there is one, and
    /// shakes hands over TLS where the target's scheme wants it.
    ///
    /// # Errors
    /// [`Error::Denied`] if the policy does not allow it; otherwise which step failed or
    /// took too long.
    pub async fn connect(&self, target: &Target, limits: &ConnectLimits) -> Result<Stream, Error> {
        self.shared.connect(target, limits).await
    }

    /// Whether most sockets are taken, so that none should be kept for later: those that
    /// wait for their next request would be in the way of who needs one now.
    pub(crate) fn is_short_of_sockets(&self) -> bool {
        let resources = &self.shared.resources;
        resources.sockets.available_permits() < resources.max_sockets / 2
    }

    /// The proxy that gets a plain request to `target` whole; none for a tunnel.
    pub(crate) fn plain_proxy(&self, target: &Target) -> Result<Option<Proxy>, Denied> {
        match target.scheme {
            Scheme::Http => self.shared.proxy(target),
            _ => Ok(None),
        }
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn connect(&self, target: &Target, limits: &ConnectLimits) -> Result<Stream, Error> {
        self.policy.judge(target)?;
        let proxy = self.proxy(target)?;
        let addresses = match &proxy {
            None => self.judged_addresses(target, limits).await?,
            // The operator named it, so its address is as good as any.
            Some(proxy) => self
                .addresses(&proxy.host, proxy.port, limits)
                .await
                .map_err(|error| proxy_error(proxy, &error))?,
        };
        let socket = Arc::clone(&self.resources.sockets).acquire_owned();
        let socket = within(Phase::Socket, limits.connect, socket)
            .await?
            .map_err(|error| Error::Request {
                message: error.to_string(),
            })?;
        let host = proxy.as_ref().map_or(&target.host, |proxy| &proxy.host);
        let connected = connect_to_any(host, &addresses, limits.connect).await;
        let (mut tcp, remote) = match &proxy {
            None => connected?,
            Some(proxy) => connected.map_err(|error| proxy_error(proxy, &error))?,
        };
        let is_whole_request = target.scheme == Scheme::Http;
        if let Some(proxy) = proxy.as_ref().filter(|_| !is_whole_request) {
            let tunnel = open_tunnel(proxy, target, tcp);
            tcp = within(Phase::Connect, limits.connect, tunnel).await??;
        }
        // Messages are small and written at once; waiting for more to send only delays.
        let _ = tcp.set_nodelay(true);
        let io = if target.scheme.is_encrypted() {
            let connector = || self.trust.connector(self.alpn);
            let connector = self.tls.get_or_try_init(connector).await?;
            let shake = handshake(connector, &target.host, tcp);
            let tls = within(Phase::Tls, limits.tls, shake).await??;
            Io::Tls(Box::new(tls))
        } else {
            Io::Plain(tcp)
        };
        Ok(Stream {
            remote,
            io,
            is_proxied: proxy.is_some() && is_whole_request,
            _socket: socket,
        })
    }

    /// The proxy for a target. Without TLS only loopback is reached, and who does not
    /// resolve a name cannot tell that it is that.
    fn proxy(&self, target: &Target) -> Result<Option<Proxy>, Denied> {
        let proxy = self.proxies.proxy_for(target);
        let is_name = matches!(target.host, Host::Name(_));
        if proxy.is_some() && !target.scheme.is_encrypted() && is_name {
            return Err(Denied::PlainText {
                scheme: target.scheme,
                host: target.host.to_string(),
            });
        }
        Ok(proxy)
    }

    /// The addresses that may be dialled, at least one.
    async fn judged_addresses(
        &self,
        target: &Target,
        limits: &ConnectLimits,
    ) -> Result<Vec<SocketAddr>, Error> {
        let found = self.addresses(&target.host, target.port, limits).await?;
        match target.host {
            // `Policy::judge` has judged it.
            Host::Address(_) => Ok(found),
            Host::Name(_) => Ok(judged(&self.policy, target, found)?),
        }
    }

    /// A host's addresses, at least one.
    async fn addresses(
        &self,
        host: &Host,
        port: u16,
        limits: &ConnectLimits,
    ) -> Result<Vec<SocketAddr>, Error> {
        let name = match host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Host::Name(name) => name,
        };
        let dns = |message: String| Error::Dns {
            host: name.clone(),
            message,
        };
        let lookup = self.resources.resolver.resolve(name, port, &limits.quota);
        let found = within(Phase::Resolve, limits.resolve, lookup)
            .await?
            .map_err(|error| dns(error.to_string()))?;
        if found.is_empty() {
            return Err(dns("it has no addresses".to_owned()));
        }
        Ok(found)
    }
}

/// What kept us from a proxy, which is nobody's fault but the network's.
fn proxy_error(proxy: &Proxy, error: &Error) -> Error {
    Error::Proxy {
        proxy: proxy.to_string(),
        status: None,
        message: error.to_string(),
    }
}

/// Of a name's addresses those that may be dialled; if none of them may, the first
/// refusal.
fn judged(
    policy: &Policy,
    target: &Target,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Denied> {
    let mut refused = None;
    let mut good = Vec::with_capacity(found.len());
    for address in found {
        match policy.judge_target_address(target, address.ip()) {
            Ok(()) => good.push(address),
            Err(denied) => refused = refused.or(Some(denied)),
        }
    }
    match refused {
        Some(denied) if good.is_empty() => Err(denied),
        _ => Ok(good),
    }
}

/// Tries one address after the other; each gets an equal part of the time that is left.
async fn connect_to_any(
    host: &Host,
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<(TcpStream, SocketAddr), Error> {
    let end = after(Instant::now(), limit);
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failed = Error::TimedOut {
        phase: Phase::Connect,
        limit,
    };
    for &address in addresses {
        let share = end.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok((tcp, address)),
            Ok(Err(error)) => {
                failed = Error::Connect {
                    host: host.to_string(),
                    address,
                    kind: error.kind(),
                    message: error.to_string(),
                };
            }
            Err(_) => {
                failed = Error::TimedOut {
                    phase: Phase::Connect,
                    limit,
                }
            }
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests;
