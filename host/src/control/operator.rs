//! Does what is ordered.

use super::{Order, Outcome, Reply};
use crate::schedule::{Backfill, BackfillError, Handle, blocking};
use chrono::{DateTime, SecondsFormat};
use std::sync::Arc;
use watchbell_ledger::{self as ledger, Ledger, QuarantineId, Time};

/// Does what is ordered, with the feeds of this process.
#[derive(Clone)]
pub struct Operator {
    ledger: Arc<dyn Ledger>,
    feeds: Arc<[Handle]>,
}

impl Operator {
    /// For these feeds.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, feeds: Vec<Handle>) -> Self {
        Self {
            ledger,
            feeds: feeds.into(),
        }
    }

    /// Does one order; `tell` hears how far it is.
    pub async fn perform(&self, order: Order, tell: impl FnMut(Reply) + Send) -> Outcome {
        let done = match order {
            Order::SetCursor { source, to, replay } => self.set_cursor(&source, to, replay).await,
            Order::Retry { id } => self.retry(id).await,
            Order::Drop { id } => self.give_up(id).await,
            Order::Backfill {
                source,
                from,
                to,
                again,
            } => return self.backfill(&source, (from, to), again, tell).await,
        };
        done.unwrap_or_else(|error| Outcome::Refused(error.to_string()))
    }

    fn feed(&self, source: &str) -> Result<&Handle, ledger::Error> {
        let known = || {
            let names: Vec<&str> = self.feeds.iter().map(|feed| feed.name.as_str()).collect();
            names.join(", ")
        };
        self.feeds
            .iter()
            .find(|feed| feed.name.as_str() == source)
            .ok_or_else(|| {
                ledger::Error::Other(format!("there is no source {source}; there is {}", known()))
            })
    }

    async fn set_cursor(
        &self,
        source: &str,
        to: Time,
        replay: bool,
    ) -> Result<Outcome, ledger::Error> {
        let feed = self.feed(source)?;
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

    async fn retry(&self, id: Option<i64>) -> Result<Outcome, ledger::Error> {
        let ledger = Arc::clone(&self.ledger);
        let count = blocking(move || ledger.retry(id.map(QuarantineId))).await?;
        Ok(Outcome::Done(format!(
            "{count} will be tried again at the next poll"
        )))
    }

    async fn give_up(&self, id: i64) -> Result<Outcome, ledger::Error> {
        let ledger = Arc::clone(&self.ledger);
        blocking(move || ledger.drop_quarantined(QuarantineId(id))).await?;
        Ok(Outcome::Done(format!("{id} is given up")))
    }

    async fn backfill(
        &self,
        source: &str,
        (from, to): (Time, Time),
        again: bool,
        mut tell: impl FnMut(Reply) + Send,
    ) -> Outcome {
        let feed = match self.feed(source) {
            Ok(feed) => feed.clone(),
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

fn text(time: Time) -> String {
    DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
