//! What hyper's pool asks for a connection when it has none to a URL's scheme, host and
//! port.
//!
//! It parses the URL again and leaves the rest to the [`Dialer`], which judges what it is
//! about to dial. Pooled connections need no second judgement because a pool belongs to
//! one policy.
//!
//! The limits come from the session whose request needs the connection, through a task
//! local, since hyper's connector interface passes only the URL. When an idle connection
//! turns up while one is being made, hyper finishes the latter in the background for the
//! pool; the limits end it in any case.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;

use crate::dial::{ConnectLimits, Dialer, Stream};
use crate::error::Error;
use crate::policy::Target;

/// Only HTTP/1.1 is offered: tenants share a pool, and over HTTP/2 one that does not read
/// its answer would hold up the others' on the same connection, and header compression
/// would mix what they send.
pub(crate) const ALPN: &[&[u8]] = &[b"http/1.1"];

tokio::task_local! {
    /// Limits of the connection that the current request may need.
    pub(super) static CONNECT_LIMITS: ConnectLimits;
}

#[derive(Clone)]
pub(super) struct Connector(pub(super) Dialer);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let limits = CONNECT_LIMITS.try_with(Clone::clone).unwrap_or_default();
        let dialer = self.0.clone();
        Box::pin(async move {
            let target = Target::parse(&url)?;
            dialer.connect(&target, &limits).await.map(TokioIo::new)
        })
    }
}

/// The address that a connection was made to; hyper hands it out with each answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote(pub(super) SocketAddr);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
            .extra(Remote(self.remote_address()))
            .proxy(self.is_proxied())
    }
}

#[cfg(test)]
mod tests;
