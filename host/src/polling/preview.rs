//! What the next poll of a source would ask, and what it would find: nothing moves.

use super::clock::{Clock, SystemClock};
use super::feed::{gaps, poll_range};
use super::reader::{
    Diagnosis, Keep, Remainder, Rows, WindowOutcome, WindowReader, instant, nanos,
};
use super::service_clock::ServiceClock;
use super::window_plan::{TimeRange, WindowPlan, WindowSize};
use crate::record;
use crate::sources::{PollError, SourceClient};
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::sync::Arc;
use watchbell_ledger::{self as ledger, Feed, FeedId, FeedName, FeedProgress, Ledger, Time};

/// What the next poll would come to.
#[derive(Debug)]
pub struct Preview {
    /// Everything up to here was read; none: the source was never polled.
    pub cursor: Option<DateTime<Utc>>,
    /// The service's now.
    pub now: DateTime<Utc>,
    /// What would be asked for, with how many detections each window has.
    pub windows: Vec<(TimeRange, usize)>,
    /// Of those, elements that cannot be read and would go into quarantine.
    pub unreadable: usize,
    /// Detections that are known and would be dropped.
    pub known: usize,
    /// The others, as the service sent them.
    pub new: Vec<Vec<u8>>,
}

/// What the ledger keeps of the source.
#[derive(Default)]
struct Stored {
    feed: Option<(Arc<dyn Ledger>, FeedId)>,
    stands: FeedProgress,
    gaps: Vec<TimeRange>,
}

/// Asks what the next poll would ask. Without a ledger nothing was read before.
///
/// # Errors
/// The service's, or the ledger's in words.
pub async fn preview(
    client: Arc<dyn SourceClient>,
    ledger: Option<Arc<dyn Ledger>>,
    name: &FeedName,
) -> Result<Preview, PreviewError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut service_clock = ServiceClock::start(&*clock);
    if let Some(date) = client.authenticate().await? {
        // One that is not believed is said when it is polled.
        let _ = service_clock.observe(date, clock.wall());
    }
    let stored = match ledger {
        Some(ledger) => stored(ledger, name).await?,
        None => Stored::default(),
    };
    let stands = stored.stands;
    let time = service_clock.between(clock.monotonic(), clock.wall());
    let now = time.latest;
    let mut preview = Preview {
        cursor: stands.cursor.map(instant),
        now,
        windows: Vec::new(),
        unreadable: 0,
        known: 0,
        new: Vec::new(),
    };
    let polling = &client.settings().polling;
    let Some((from, to)) = poll_range(polling, stands, time) else {
        return Ok(preview);
    };
    let size = WindowSize::new(polling.max_window.delta());
    let mut plan = WindowPlan::new(from, to, stored.gaps.clone(), size);
    let mut reader = WindowReader::new(Arc::clone(&client), clock, u64::MAX);
    let mut met = HashSet::new();
    while let Some(window) = plan.next_window() {
        match reader.read(window, u64::MAX).await.outcome {
            WindowOutcome::Rows(_, Remainder::Halves) => _ = plan.halve(window),
            WindowOutcome::Rows(_, Remainder::Everything) | WindowOutcome::NeedsMemory => {}
            WindowOutcome::Rows(rows, Remainder::Nothing) => {
                plan.mark_read(window, rows.bytes);
                preview.add(window, rows, &stored, &mut met).await?;
            }
            WindowOutcome::Failed(failed) => {
                match reader.diagnose(window, failed, u64::MAX).await {
                    Diagnosis::Halve(_) => _ = plan.halve(window),
                    Diagnosis::Retry(failed) | Diagnosis::GiveUp(failed) => {
                        return Err(failed.error.into());
                    }
                    Diagnosis::Unbounded => return Err(PreviewError::Unbounded),
                }
            }
        }
    }
    Ok(preview)
}

impl Preview {
    /// Counts a window's rows: what is known, or was `met` in a neighbour.
    async fn add(
        &mut self,
        window: TimeRange,
        rows: Rows,
        stored: &Stored,
        met: &mut HashSet<(String, Time)>,
    ) -> Result<(), ledger::Error> {
        self.windows.push((window, rows.count()));
        self.unreadable += rows.unreadable.len() + rows.beyond;
        let least = stored.stands.keys_from;
        let least = least.unwrap_or_else(|| nanos(window.from));
        let records = rows.into_records(window, Keep::From(least)).records;
        let known = match &stored.feed {
            Some((ledger, id)) => ledger.find_known(*id, &records).await?,
            None => vec![false; records.len()],
        };
        for (record, is_known) in records.into_iter().zip(known) {
            // Neighbours share a millisecond.
            if is_known || !met.insert((record.identity, record.time)) {
                self.known += 1;
            } else if let Ok(json) = record::json(&record.bytes) {
                self.new.push(json.to_vec());
            }
        }
        Ok(())
    }
}

/// How far the source was read, and what of it is in quarantine.
async fn stored(ledger: Arc<dyn Ledger>, name: &FeedName) -> Result<Stored, ledger::Error> {
    let Some(Feed { id, .. }) = ledger.find_feed(name).await? else {
        return Ok(Stored::default());
    };
    Ok(Stored {
        stands: ledger.feed_progress(id).await?,
        gaps: gaps(&*ledger, id).await?,
        feed: Some((ledger, id)),
    })
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The service.
    #[error(transparent)]
    Poll(#[from] PollError),
    /// The service ignores the upper bound of what it is asked for.
    #[error(
        "the service ignores untilTimeUtc, and has more than an answer may be (limits.max_response_bytes)"
    )]
    Unbounded,
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}
