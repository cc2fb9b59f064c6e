//! What the feeds of a process share, and what others hold of one.

use super::super::flight::Flight;
use super::super::gate::Gate;
use super::super::puller::Puller;
use crate::config::{Name, Source};
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use watchbell_ledger::{self as ledger, Commit, Committed, FeedId, FeedName, Ledger};

/// What the feeds of a process share with those who deliver and those who command.
#[derive(Clone)]
pub struct Shared {
    /// Where everything is written down.
    pub ledger: Arc<dyn Ledger>,
    /// Whether polling may go on.
    pub gate: Gate,
    /// Counts commits that left something to deliver.
    pub news: watch::Sender<u64>,
    /// Bytes of answers that may be in memory.
    pub flight: Flight,
}

impl Shared {
    /// Writes a step of reading down, and tells those who deliver.
    pub(in super::super) async fn commit(
        &self,
        commit: Commit,
    ) -> Result<Committed, ledger::Error> {
        let shared = self.clone();
        // It is written down whoever still waits for it, and so it is told.
        blocking(move || {
            let done = shared.ledger.commit(commit)?;
            shared.gate.grew(done.bytes);
            if !done.entries.is_empty() {
                shared.news.send_modify(|count| *count += 1);
            }
            Ok(done)
        })
        .await
    }
}

/// Held while a window is read; whoever moves the cursor by hand takes it and counts up.
pub type Epoch = Arc<Mutex<u64>>;

/// What others need to work on the same feed.
#[derive(Clone)]
pub struct Handle {
    /// The source's name.
    pub name: Name,
    /// Its number in the ledger.
    pub id: FeedId,
    /// How it is asked.
    pub puller: Arc<Puller>,
    /// What the feeds share.
    pub shared: Shared,
    /// What whoever moves the cursor must hold.
    pub epoch: Epoch,
}

impl Handle {
    /// What the ledger calls a source.
    #[must_use]
    pub fn feed_name(name: &Name, settings: &Source) -> FeedName {
        FeedName {
            source: name.to_string(),
            tenant: settings.tenant_id.to_string(),
            api: settings.api.to_string(),
        }
    }

    /// What its tenant is called.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.puller.settings().tenant
    }

    /// Source and tenant, as every line of the log that is about it has them.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        span(&self.name, &self.puller)
    }
}

/// An error's span, so that no filter for lines takes it from the lines that pass.
pub(super) fn span(name: &Name, puller: &Puller) -> tracing::Span {
    tracing::error_span!("feed", source = %name, tenant = %puller.settings().tenant)
}

pub(super) fn title(name: &Name, puller: &Puller) -> String {
    format!("{name} ({})", puller.settings().tenant)
}

/// Calls the ledger where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ledger::Error> + Send + 'static,
) -> Result<T, ledger::Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ledger::Error::Other(error.to_string())),
    }
}
