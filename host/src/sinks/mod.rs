//! Where encoded alerts go. A sink gets events and says when it has them; it does not know
//! what led to it.
//!
//! Each type of sink is a file or a folder here, and a line in `config`.

mod config;
mod console;
mod event;
mod file;
mod http;

use async_trait::async_trait;
pub(crate) use config::TYPES;
pub use config::{SinkConfig, SinkContext};
pub(crate) use event::is_json;
pub use event::{Batch, Event, Format, Origin};
pub use file::Place;
pub(crate) use file::moved_from;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// Keeps what a sink wants to remember, in the ledger, while a batch is under way. It waits
/// for the disk.
pub type Checkpoint = Arc<dyn Fn(Vec<u8>) -> io::Result<()> + Send + Sync>;

/// A sink that is open, or one tenant's part of it.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Delivers a batch, and returns once it is where it belongs: for a file, on disk.
    /// Once the ledger has what is returned, [`Sink::committed`] is called.
    ///
    /// # Errors
    /// [`DeliveryError`], which says what is to be done with the batch.
    async fn deliver(
        &mut self,
        batch: &Arc<Batch>,
        checkpoint: &Checkpoint,
    ) -> Result<Acknowledged, DeliveryError>;

    /// What the last delivery returned is in the ledger. If that failed, the same batch is
    /// offered again.
    fn committed(&mut self) {}

    /// What is worth a line in the log about the last delivery.
    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Returns when nobody takes anything here any more, and nobody will.
    async fn closed(&self) -> DeliveryError {
        std::future::pending().await
    }
}

/// A batch is where it belongs.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// What the sink is to be opened with after a start.
    pub state: Option<Vec<u8>>,
    /// Those events that the other side refused, one by one, while it took the others.
    pub refused: Vec<Refused>,
}

/// An event that will never be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its index in the batch.
    pub event: usize,
    /// Why, fit for a log.
    pub reason: String,
}

/// Why a batch was not delivered. Nothing of it was taken, as far as the sink can know.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The same batch may be taken later.
    #[error("{source}")]
    Retry {
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
        /// How long the other side wants to be left alone.
        after: Option<Duration>,
    },
    /// The other side will never take this batch as it is: one of its events, or their
    /// number, may be why.
    #[error("{0}")]
    Refused(String),
    /// Nothing will be taken as long as this process lives.
    #[error("{0}")]
    Closed(Box<dyn Error + Send + Sync>),
    /// The program is ending, and this was not begun.
    #[error("the program is ending")]
    Cancelled,
    /// A defect of ours. The sink is to be opened anew.
    #[error("a defect: {0}")]
    Defect(String),
}

impl DeliveryError {
    /// To be tried again.
    pub fn retry(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Retry {
            source: Box::new(source),
            after: None,
        }
    }
}

impl From<JoinError> for DeliveryError {
    fn from(error: JoinError) -> Self {
        match error.is_cancelled() {
            true => Self::Cancelled,
            false => Self::Defect(error.to_string()),
        }
    }
}

/// What opens a sink, for each of its partitions.
#[async_trait]
pub trait SinkFactory: Send + Sync {
    /// Goes on with where `state` says that the last delivery ended. State that another
    /// version wrote is none. `partition` is the tenant, of a sink that has a place for each.
    fn open(&self, partition: Option<&str>, state: Option<&[u8]>) -> Box<dyn Sink>;

    /// How much is delivered at a time; none where all that waits is, up to a usual size.
    fn batch_limits(&self) -> Option<BatchLimits> {
        None
    }

    /// Whether the other side is there and lets us in.
    ///
    /// # Errors
    /// [`DeliveryError`].
    async fn healthcheck(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

/// How much is delivered at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Events.
    pub max_events: usize,
    /// Bytes of events. A larger event is delivered by itself.
    pub max_bytes: usize,
    /// How long the first event waits for others.
    pub max_age: Duration,
}
