//! A server on loopback that says exactly what a test wants, which no well-behaved HTTP
//! library would.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What is sent after a request was read.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes.
    Say(Vec<u8>),
    /// These bytes again and again, until the peer hangs up.
    SayForEver(Vec<u8>),
    /// Nothing, for so long.
    Wait(Duration),
}

/// A server that answers every request with the same steps, then closes.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicU64>,
}

impl Server {
    /// Listens on 127.0.0.1.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(steps: Vec<Step>) -> Self {
        Self::start_with(steps, |stream| async { Some(stream) }).await
    }

    /// Listens, and makes of each connection what `wrap` says, e.g. a TLS stream; none
    /// drops it.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start_with<S, F>(
        steps: Vec<Step>,
        wrap: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (requests, sent) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicU64>::default(),
        );
        let (seen, counted) = (Arc::clone(&requests), Arc::clone(&sent));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (steps, seen, counted) =
                    (steps.clone(), Arc::clone(&seen), Arc::clone(&counted));
                let wrapped = wrap(stream);
                tokio::spawn(async move {
                    if let Some(mut stream) = wrapped.await {
                        let request = read_request(&mut stream).await;
                        seen.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(request);
                        answer(&mut stream, steps, &counted).await;
                    }
                });
            }
        });
        Self {
            port,
            requests,
            sent,
        }
    }

    /// A server that answers with a status, headers (each ended by CR LF) and a body.
    pub async fn answering(status: &str, headers: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        Self::start(vec![Step::Say(head.into_bytes())]).await
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request so far, heads and bodies.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Bytes that were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), steps: Vec<Step>, sent: &AtomicU64) {
    for step in steps {
        match step {
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Say(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Step::SayForEver(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {
                    sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// The head, and as much body as its Content-Length says.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    let mut byte = [0; 1];
    while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        request.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = stream.read_exact(&mut body).await;
    request.extend_from_slice(&body);
    String::from_utf8_lossy(&request).into_owned()
}
