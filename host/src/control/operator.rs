//! Does what is ordered.

use super::{Order, Outcome, Reply};
use crate::schedule::{Backfill, BackfillError, NoSuchFeed, Roster, blocking};
use chrono::{DateTime, SecondsFormat};
use std::sync::Arc;
use watchbell_ledger::{self as ledger, Ledger, QuarantineId, Time};

/// Does what is ordered, with the feeds of this process.
#[derive(Clone)]
pub struct Operator {
    ledger: Arc<dyn Ledger>,
    feeds: Roster,
}

impl Operator {
    /// For these feeds.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, feeds: Roster) -> Self {
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

    async fn set_cursor(
        &self,
        source: &str,
        tenant: Option<&str>,
        to: Time,
        replay: bool,
    ) -> Result<Outcome, Refused> {
        let feed = self.feeds.find(source, tenant)?;
        // A window that is being read would move it on again.
        let mut epoch = feed.epoch.lock().await;
        let (ledger, id) = (Arc::clone(&self.ledger), feed.id);
        let keys = blocking(move || ledger.set_cursor(id, to, replay)).await?;
        *epoch += 1;
        let reach = match keys {
            Some(keys) => format!(
                "what was delivered is known back to {}, and nothing below is asked for",
                text(keys)
            ),
            None => "nothing was read before".to_owned(),
        };
        let replayed = if replay {
            "; what was read from there on comes again"
        } else {
            ""
        };
        Ok(Outcome::Done(format!(
            "{source}: the cursor is {}; {reach}{replayed}",
            text(to)
        )))
    }

    async fn retry(&self, id: Option<i64>) -> Result<Outcome, Refused> {
        let ledger = Arc::clone(&self.ledger);
        let count = blocking(move || ledger.retry(id.map(QuarantineId))).await?;
        // What a sink could not take waits for it again.
        self.feeds.tell_sinks();
        Ok(Outcome::Done(format!(
            "{count} will be tried again: what could not be read at the next poll, what a sink could not take at once"
        )))
    }

    async fn give_up(&self, id: i64) -> Result<Outcome, Refused> {
        let ledger = Arc::clone(&self.ledger);
        blocking(move || ledger.drop_quarantined(QuarantineId(id))).await?;
        Ok(Outcome::Done(format!("{id} is given up")))
    }

    /// Gives up what is kept of a tenant that went.
    async fn forget(&self, source: &str, tenant: &str) -> Result<Outcome, Refused> {
        let ledger = Arc::clone(&self.ledger);
        let feeds = blocking(move || ledger.feeds()).await?;
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
            let (ledger, id) = (Arc::clone(&self.ledger), feed.id);
            waited += blocking(move || ledger.forget_feed(id)).await?;
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
            Err(BackfillError::Pull {
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

impl From<NoSuchFeed> for Refused {
    fn from(error: NoSuchFeed) -> Self {
        Self(error.to_string())
    }
}

fn text(time: Time) -> String {
    DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
