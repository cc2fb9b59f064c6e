//! Standard output.

use super::{
    Acknowledged, Batch, Checkpoint, DeliveryError, Sink, SinkConfig, SinkContext, SinkFactory,
};
use crate::component::{BuildError, ComponentConfig, ComponentSettings};
use async_trait::async_trait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// From one look whether somebody still reads standard output to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum ConsoleError {
    #[error("stdout: {0}")]
    Write(#[from] io::Error),
    #[error("stdout is closed: nobody reads it any more")]
    Closed,
}

/// Prints each event on standard output, at least once: a batch may be printed again after a
/// failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {}

impl ComponentSettings for Settings {
    const TYPE: &'static str = "console";
}

impl ComponentConfig for Settings {}

impl SinkConfig for Settings {
    fn prints(&self) -> bool {
        true
    }

    fn build(&self, _: &SinkContext<'_>) -> Result<Arc<dyn SinkFactory>, BuildError> {
        Ok(Arc::new(Factory))
    }
}

/// Opens standard output.
#[derive(Debug)]
struct Factory;

impl SinkFactory for Factory {
    fn open(&self, _: Option<&str>, _: Option<&[u8]>) -> Box<dyn Sink> {
        Box::new(Console::default())
    }
}

/// Standard output; the header goes first, once.
#[derive(Debug, Default)]
struct Console {
    began: bool,
}

#[async_trait]
impl Sink for Console {
    async fn deliver(
        &mut self,
        batch: &Arc<Batch>,
        _: &Checkpoint,
    ) -> Result<Acknowledged, DeliveryError> {
        let (batch, began) = (Arc::clone(batch), self.began);
        // Whoever reads it may be slow.
        let written = tokio::task::spawn_blocking(move || write(&batch, began)).await;
        match written? {
            Ok(()) => {
                self.began = true;
                Ok(Acknowledged::default())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(closed()),
            Err(error) => Err(DeliveryError::retry(ConsoleError::Write(error))),
        }
    }

    /// Whoever writes there rarely would not learn it.
    async fn closed(&self) -> DeliveryError {
        while !is_closed() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        closed()
    }
}

fn write(batch: &Batch, began: bool) -> io::Result<()> {
    let bytes = batch.bytes();
    let mut out = io::stdout().lock();
    if !began {
        out.write_all(&batch.format.header)?;
    }
    out.write_all(&bytes)?;
    out.flush()
}

fn closed() -> DeliveryError {
    DeliveryError::Closed(Box::new(ConsoleError::Closed))
}

/// Whether it is a pipe or a socket that nobody reads any more.
fn is_closed() -> bool {
    let out = io::stdout();
    let mut fds = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let closed = PollFlags::ERR | PollFlags::NVAL;
    poll(&mut fds, Some(&now)).is_ok_and(|_| fds.iter().any(|fd| fd.revents().intersects(closed)))
}
