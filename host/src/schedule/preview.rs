//! What the next poll of a source would ask, and what it would find: nothing moves.

use super::answer::{self, Keep, ask, instant, nanos};
use super::clock::Clock;
use super::error::PullError;
use super::feed::{blocking, gaps_of, is_full, range};
use super::puller::Puller;
use super::retry::Verdict;
use super::walk::{Pace, Span, Walk};
use crate::pipeline::record;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::sync::Arc;
use watchbell_ledger::{self as ledger, Feed, FeedName, Ledger, Quarantined, Stands};

/// What the next poll would come to.
#[derive(Debug)]
pub struct Preview {
    /// Everything up to here was read; none: the source was never polled.
    pub cursor: Option<DateTime<Utc>>,
    /// The service's now.
    pub now: DateTime<Utc>,
    /// What would be asked for, with how many detections each window has.
    pub windows: Vec<(Span, usize)>,
    /// Detections that are known and would be dropped.
    pub known: usize,
    /// The others, as the service sent them.
    pub new: Vec<Vec<u8>>,
}

/// Asks what the next poll would ask. Without a ledger nothing was read before.
///
/// # Errors
/// The service's, or the ledger's in words.
pub async fn preview(
    puller: &Puller,
    ledger: Option<Arc<dyn Ledger>>,
    name: &FeedName,
) -> Result<Preview, PreviewError> {
    let settings = puller.settings();
    let mut clock = Clock::start();
    if let Some(sighting) = puller.token().await?.sighting {
        // One that is not believed is said when it is polled.
        let _ = clock.see(sighting, Utc::now());
    }
    let (feed, stands, held) = match &ledger {
        Some(ledger) => stored(ledger, name).await?,
        None => (None, Stands::default(), Vec::new()),
    };
    let gaps = gaps_of(&held);
    let now = clock.now();
    let mut preview = Preview {
        cursor: stands.cursor.map(instant),
        now,
        windows: Vec::new(),
        known: 0,
        new: Vec::new(),
    };
    let Some((from, to)) = range(settings, stands, now) else {
        return Ok(preview);
    };
    let mut walk = Walk::new(from, to, gaps, Pace::new(settings.reading.max_window));
    let mut met = HashSet::new();
    while let Some(window) = walk.window() {
        let limit = settings.limit.filter(|_| !window.is_least());
        match ask(puller, window, limit, u64::MAX).await.outcome {
            Ok(rows)
                if is_full(&rows, limit)
                    && !answer::is_beyond(&rows.alerts, window)
                    && walk.narrow(window) => {}
            Ok(rows) => {
                preview.windows.push((window, rows.count()));
                let least = stands.keys_from.unwrap_or_else(|| nanos(window.from));
                let bytes = rows.bytes;
                let records = answer::sort(rows.alerts, window, Keep::From(least)).records;
                let known = match (&feed, &ledger) {
                    (Some(feed), Some(ledger)) => {
                        let (ledger, id, records) = (Arc::clone(ledger), feed.id, records.clone());
                        blocking(move || ledger.known(id, &records)).await?
                    }
                    _ => vec![false; records.len()],
                };
                for (record, is_known) in records.iter().zip(known) {
                    // Neighbours share a millisecond.
                    let is_known = is_known || !met.insert((record.identity.clone(), record.time));
                    if is_known {
                        preview.known += 1;
                    } else if let Ok(json) = record::json(&record.bytes) {
                        preview.new.push(json.to_vec());
                    }
                }
                walk.read(window, bytes);
            }
            Err(failed) if matches!(failed.verdict, Verdict::TooLarge) && walk.narrow(window) => {}
            Err(failed) => return Err(failed.error.into()),
        }
    }
    Ok(preview)
}

/// How far the source was read, and what of it is in quarantine.
async fn stored(
    ledger: &Arc<dyn Ledger>,
    name: &FeedName,
) -> Result<(Option<Feed>, Stands, Vec<Quarantined>), ledger::Error> {
    let (ledger, name) = (Arc::clone(ledger), name.clone());
    blocking(move || {
        let feed = ledger.feeds()?.into_iter().find(|feed| feed.name == name);
        let (stands, held) = match &feed {
            Some(feed) => (ledger.stands(feed.id)?, ledger.quarantined(Some(feed.id))?),
            None => (Stands::default(), Vec::new()),
        };
        Ok((feed, stands, held))
    })
    .await
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The service.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}
