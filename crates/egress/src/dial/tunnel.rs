//! A tunnel through an HTTP proxy, by CONNECT.
//!
//! hyper-util's tunnel says that it was refused, and not with which status, which tells a
//! wrong password from a host that the proxy does not allow. So the first line of what the
//! proxy answers is kept beside it.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use http::uri::InvalidUri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use watchbell_settings::printable;

use super::proxy::Proxy;
use crate::error::{Error, words};
use crate::policy::Target;

/// Asks the proxy for a tunnel to the target.
pub(super) async fn open_tunnel(
    proxy: &Proxy,
    target: &Target,
    tcp: TcpStream,
) -> Result<TcpStream, Error> {
    let url = format!("https://{}:{}/", target.host, target.port);
    let wrong = |message: String| Error::Proxy {
        proxy: proxy.to_string(),
        status: None,
        message,
    };
    let url: Uri = url
        .parse()
        .map_err(|error: InvalidUri| wrong(error.to_string()))?;
    let first_line = FirstLine::default();
    let mut tunnel = Tunnel::new(
        proxy.url.clone(),
        Connected(Some(TokioIo::new(Recorded::new(tcp, &first_line)))),
    );
    if let Some(value) = proxy.authorization.clone() {
        tunnel = tunnel.with_auth(value);
    }
    let connection = tower_service::Service::call(&mut tunnel, url);
    let connection = connection
        .await
        .map_err(|error| match first_line.status() {
            Some((status, line)) if !(200..300).contains(&status) => Error::Proxy {
                proxy: proxy.to_string(),
                status: Some(status),
                message: format!("it answered {line}"),
            },
            _ => wrong(words(&error)),
        })?;
    Ok(connection.into_inner().into_inner())
}

/// A connection that is there already, in the shape that hyper's tunnel wants.
struct Connected(Option<TokioIo<Recorded<TcpStream>>>);

impl tower_service::Service<Uri> for Connected {
    type Response = TokioIo<Recorded<TcpStream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(
            self.0
                .take()
                .ok_or_else(|| io::ErrorKind::NotConnected.into()),
        )
    }
}

/// Bytes that are kept: a status line.
const MAX_BYTES: usize = 128;

/// What was read first.
#[derive(Default, Clone)]
struct FirstLine(Arc<Mutex<Vec<u8>>>);

impl FirstLine {
    /// The status of an HTTP answer, and with its reason, escaped.
    fn status(&self) -> Option<(u16, String)> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let (version, status) = text.lines().next()?.split_once(' ')?;
        let number = status.split(' ').next()?.parse().ok()?;
        version
            .starts_with("HTTP/1.")
            .then(|| (number, printable(status.trim())))
    }

    fn record(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_BYTES.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

/// A stream whose first bytes are kept.
struct Recorded<S> {
    stream: S,
    first_line: FirstLine,
}

impl<S> Recorded<S> {
    fn new(stream: S, first_line: &FirstLine) -> Self {
        Self {
            stream,
            first_line: first_line.clone(),
        }
    }

    fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.first_line
            .record(buffer.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
