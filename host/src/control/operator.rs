//! Does what is ordered.

use super::moved::Moved;
use super::{Order, Outcome, Reply};
use crate::polling::{
    Backfill, BackfillError, FeedRegistry, UnknownFeed, end_job, wait_for_delivery,
};
use chrono::DateTime;
use std::sync::Arc;
use std::time::Duration;
use watchbell_ledger::{self as ledger, Ledger, QuarantineId, Time};

/// Does what is ordered, with the feeds of this process.
#[derive(Clone)]
pub struct Operator {
    ledger: Arc<dyn Ledger>,
    feeds: FeedRegistry,
}

impl Operator {
    /// For these feeds.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, feeds: FeedRegistry) -> Self {
        Self { ledger, feeds }
    }

    /// Does one order; `tell` hears how far it is.
    pub async fn perform(&self, order: Order, tell: impl FnMut(Reply) + Send) -> Outcome {
        let done = match order {
            Order::SetCursor {
                source,
                tenant,
                to,
                replay,
            } => {
                self.set_cursor(&source, tenant.as_deref(), to, replay)
                    .await
            }
            Order::Retry { id } => self.retry(id).await,
            Order::Drop { id } => self.give_up(id).await,
            Order::Forget { source, tenant } => self.forget(&source, &tenant).await,
            Order::Backfill {
                source,
                tenant,
                from,
                to,
                again,
            } => {
                let of = (source.as_str(), tenant.as_deref());
                return self.backfill(of, (from, to), again, tell).await;
            }
        };
        done.unwrap_or_else(|error| Outcome::Refused(error.to_string()))
    }

    /// Ends an order once what it found is delivered, which sinks may take up to `patience`
    /// for: whoever is told that a backfill is done need not give the same order again, and
    /// until then the same order goes on where this one is.
    pub async fn settle(&self, order: &Order, outcome: Outcome, patience: Duration) -> Outcome {
        let Order::Backfill {
            source,
            tenant,
            from,
            to,
            again,
        } = order
        else {
            return outcome;
        };
        if !matches!(outcome, Outcome::Done(_)) {
            return outcome;
        }
        let settled = async {
            let feed = self.feeds.find(source, tenant.as_deref())?;
            let waits = wait_for_delivery(&feed, patience).await?;
            if waits == 0 && *again {
                end_job(&feed, *from, *to).await?;
            }
            Ok::<u64, Refused>(waits)
        };
        match settled.await {
            Ok(0) => outcome,
            Ok(waits) => Outcome::Later(format!(
                "{source}: all of it was read; {waits} detections wait for sinks and are kept; give the same order again, which reads nothing twice, until they are delivered"
            )),
            Err(error) => Outcome::Later(format!("{error}; what was read is kept, run it again")),
        }
    }

    async fn set_cursor(
        &self,
        source: &str,
        tenant: Option<&str>,
        to: Time,
        replay: bool,
    ) -> Result<Outcome, Refused> {
        let feed = self.feeds.find(source, tenant)?;
        let stood = self.ledger.feed_progress(feed.id).await?;
        let covered = self.ledger.covered_ranges(feed.id, "").await?;
        let keys = self.ledger.set_cursor(feed.id, to, replay).await?;
        let moved = Moved {
            source,
            tenant,
            was: stood.cursor,
            is: to,
            keys,
        };
        Ok(Outcome::Done(moved.words(&covered, replay)))
    }

    async fn retry(&self, id: Option<i64>) -> Result<Outcome, Refused> {
        let id = id.map(QuarantineId);
        let count = self.ledger.retry_quarantined(id).await?;
        // What a sink could not take waits for it again.
        self.feeds.notify_sinks();
        Ok(Outcome::Done(format!(
            "{count} will be tried again: what could not be read at the next poll, what a sink could not take at once"
        )))
    }

    async fn give_up(&self, id: i64) -> Result<Outcome, Refused> {
        self.ledger.drop_quarantined(QuarantineId(id)).await?;
        Ok(Outcome::Done(format!("{id} is given up")))
    }

    /// Gives up what is kept of a tenant that went.
    async fn forget(&self, source: &str, tenant: &str) -> Result<Outcome, Refused> {
        let feeds = self.ledger.list_feeds().await?;
        let is_meant = |feed: &&ledger::Feed| feed.name.source == source && feed.is_of(tenant);
        let found: Vec<ledger::Feed> = feeds.iter().filter(is_meant).cloned().collect();
        if found.is_empty() {
            return Err(Refused(format!(
                "nothing is kept of {source}'s tenant {tenant}"
            )));
        }
        // All of them first: half of an order that is refused would be done.
        if found.iter().any(|feed| self.feeds.get(feed.id).is_some()) {
            return Err(Refused(format!(
                "{source}'s tenant {tenant} is in the configuration; take it out first, or name the one that is meant by its id"
            )));
        }
        let mut waited = 0;
        for feed in found {
            waited += self.ledger.forget_feed(feed.id).await?;
        }
        Ok(Outcome::Done(format!(
            "{source}: {tenant} is forgotten; {waited} detections of it waited and are given up"
        )))
    }

    async fn backfill(
        &self,
        (source, tenant): (&str, Option<&str>),
        (from, to): (Time, Time),
        again: bool,
        mut tell: impl FnMut(Reply) + Send,
    ) -> Outcome {
        let feed = match self.feeds.find(source, tenant) {
            Ok(feed) => feed,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let backfill = Backfill {
            feed,
            from: DateTime::from_timestamp_nanos(from),
            to: DateTime::from_timestamp_nanos(to),
            again,
        };
        match backfill
            .run(|progress| tell(Reply::Progress(progress)))
            .await
        {
            Ok(done) if done.quarantined > 0 => Outcome::Done(format!(
                "{source}: {} detections read, {} go downstream, {} in quarantine",
                done.read, done.delivered, done.quarantined
            )),
            Ok(done) => Outcome::Done(format!(
                "{source}: {} detections read, {} go downstream",
                done.read, done.delivered
            )),
            Err(BackfillError::Poll {
                error,
                passes: true,
            }) => Outcome::Later(format!("{error}; what was read is kept, run it again")),
            Err(BackfillError::Ledger(error @ ledger::Error::Full)) => {
                Outcome::Later(error.to_string())
            }
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}

/// Why an order is not done, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl From<ledger::Error> for Refused {
    fn from(error: ledger::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<UnknownFeed> for Refused {
    fn from(error: UnknownFeed) -> Self {
        Self(error.to_string())
    }
}
