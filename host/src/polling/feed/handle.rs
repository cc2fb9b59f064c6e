//! What the feeds of a process share, and what others hold of one.

use super::super::backpressure::Backpressure;
use super::super::clock::Clock;
use super::super::memory_budget::MemoryBudget;
use crate::names::Name;
use crate::sources::{Source, SourceClient};
use std::sync::Arc;
use tokio::sync::watch;
use watchbell_ledger::{self as ledger, Commit, Committed, FeedId, FeedName, Ledger};

/// What the feeds of a process share with those who deliver and those who command.
#[derive(Clone)]
pub struct Shared {
    /// Where everything is written down.
    pub ledger: Arc<dyn Ledger>,
    /// Whether polling may go on.
    pub backpressure: Backpressure,
    /// Counts commits that left something to deliver.
    pub news: watch::Sender<u64>,
    /// Bytes of answers that may be in memory.
    pub memory: MemoryBudget,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Shared {
    /// Writes a step of reading down, and tells those who deliver.
    pub(in super::super) async fn commit(
        &self,
        commit: Commit,
    ) -> Result<Committed, ledger::Error> {
        let shared = self.clone();
        // A task of its own: it is written down whoever still waits for it, and so it is told.
        let committed = tokio::spawn(async move {
            let done = shared.ledger.commit(commit).await?;
            shared.backpressure.add_growth(done.bytes).await;
            if !done.entries.is_empty() {
                shared.news.send_modify(|count| *count += 1);
            }
            Ok(done)
        });
        match committed.await {
            Ok(done) => done,
            Err(error) if error.is_cancelled() => Err(ledger::Error::Cancelled),
            Err(_) => Err(ledger::Error::Other(
                "a defect: a commit panicked".to_owned(),
            )),
        }
    }
}

/// What others need to work on the same feed.
#[derive(Clone)]
pub struct Handle {
    /// The source's name.
    pub name: Name,
    /// Its number in the ledger.
    pub id: FeedId,
    /// How it is asked.
    pub client: Arc<dyn SourceClient>,
    /// What the feeds share.
    pub shared: Shared,
}

impl Handle {
    /// What the ledger calls a source.
    #[must_use]
    pub fn feed_name(name: &Name, source: &Source) -> FeedName {
        FeedName {
            source: name.to_string(),
            tenant: source.settings.tenant_id().to_owned(),
            api: source.settings.api().to_owned(),
        }
    }

    /// What its tenant is called.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.client.settings().tenant
    }

    /// Source and tenant, as every line of the log that is about it has them.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        span(&self.name, &*self.client)
    }
}

/// An error's span, so that no filter for lines takes it from the lines that pass.
pub(super) fn span(name: &Name, client: &dyn SourceClient) -> tracing::Span {
    tracing::error_span!("feed", source = %name, tenant = %client.settings().tenant)
}

pub(super) fn title(name: &Name, client: &dyn SourceClient) -> String {
    format!("{name} ({})", client.settings().tenant)
}
