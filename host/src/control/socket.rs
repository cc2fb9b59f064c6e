//! The socket in the ledger's folder, which is its owner's alone.

use super::{Operator, Order, Outcome, Reply};
use crate::telemetry::Accepting;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes of an order: each is some names and numbers.
const MOST: u64 = 64 << 10;

/// Connections at one time: orders under way, and those that are about to give one.
const AT_ONCE: usize = 16;

/// How long it may take to give an order, and to take a reply.
const ORDER_WITHIN: Duration = Duration::from_secs(5);
const REPLY_WITHIN: Duration = Duration::from_secs(30);
/// How long whoever ordered waits for the sinks.
const DELIVERY: Duration = Duration::from_secs(60);

fn path(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Takes orders for as long as it is not dropped.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Listens in `folder`, whose lock the caller holds: a socket that is there is a dead
    /// process's.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let path = path(folder);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Has orders done until it is dropped. One whose sender goes away is stopped.
    pub async fn serve(self, operator: Operator) {
        let mut accepting = Accepting::new("control.sock");
        let mut talks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = talks.join_next() => continue,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    accepting.failed(&error).await;
                    continue;
                }
            };
            accepting.accepted();
            if talks.len() >= AT_ONCE {
                let words =
                    format!("{AT_ONCE} orders are under way; give it again when some are done");
                // The buffer of a socket that is new has room for it.
                let _ = tell_now(&stream, &Reply::Ended(Outcome::Later(words)));
                continue;
            }
            let operator = operator.clone();
            talks.spawn(async move {
                if let Err(error) = talk(stream, &operator).await {
                    tracing::debug!(%error, "an order's sender went away");
                }
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn talk(stream: UnixStream, operator: &Operator) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let mut line = String::new();
    let mut order = (&mut reader).take(MOST);
    tokio::time::timeout(ORDER_WITHIN, order.read_line(&mut line)).await??;
    let order: Order = match serde_json::from_str(&line) {
        Ok(order) => order,
        Err(error) => {
            let outcome = Outcome::Refused(format!("not an order: {error}"));
            return tell(&mut write, &Reply::Ended(outcome)).await;
        }
    };
    tracing::info!("order received: {order}");
    let (replies, mut told) = mpsc::unbounded_channel();
    let performing = async {
        let tell = move |reply| {
            let _ = replies.send(reply);
        };
        let outcome = operator.perform(order.clone(), tell).await;
        operator.settle(&order, outcome, DELIVERY).await
    };
    tokio::pin!(performing);
    let mut rest = [0; 1];
    loop {
        tokio::select! {
            outcome = &mut performing => {
                while let Ok(reply) = told.try_recv() {
                    tell(&mut write, &reply).await?;
                }
                return tell(&mut write, &Reply::Ended(outcome)).await;
            }
            Some(reply) = told.recv() => tell(&mut write, &reply).await?,
            // Nothing more is said, so this is the end.
            _ = reader.read(&mut rest) => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

async fn tell(write: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    tokio::time::timeout(REPLY_WITHIN, write.write_all(&line)).await?
}

/// As [`tell`], as far as it can be written at once.
fn tell_now(stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.try_write(&line).map(|_| ())
}

/// Sends an order to whoever runs on `folder`; none when nobody does.
///
/// # Errors
/// When the other ends before the order does.
pub async fn send(
    folder: &Path,
    order: &Order,
    mut heard: impl FnMut(&Reply),
) -> io::Result<Option<Outcome>> {
    let mut stream = match UnixStream::connect(path(folder)).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        let reply: Reply = serde_json::from_str(&line)?;
        heard(&reply);
        if let Reply::Ended(outcome) = reply {
            return Ok(Some(outcome));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the running watchbell ended in the middle",
    ))
}
