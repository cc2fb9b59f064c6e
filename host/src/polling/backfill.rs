//! A range of the past, read beside the polls and independently of their cursor.
//!
//! What was read of the past is written down as ranges, in the transaction of its
//! detections, so a backfill leaves out what was read before and one that was stopped
//! goes on where it was. One that reads again what was read keeps its own ranges as a job,
//! until its detections are delivered: [`end_job`] ends it.

use super::backpressure::{LOOK_EVERY, PauseReason};
use super::feed::Handle;
use super::reader::{Diagnosis, Keep, Remainder, Unanswered, WindowOutcome, WindowReader, nanos};
use super::retry::{Backoff, RetryClass};
use super::service_clock::ServiceClock;
use super::window_plan::{TimeRange, ceiling, floor};
use crate::sources::PollError;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument;
use watchbell_ledger::{self as ledger, Commit, Covered, Time};

/// Windows that are asked for at one time.
const MAX_WINDOWS_AT_ONCE: usize = 4;

/// Bytes of the first answers: 4,000 detections.
const FIRST_ANSWER_BYTES: u64 = 8 << 20;

/// Between two looks at what sinks have delivered.
const LOOK_AT_SINKS_EVERY: Duration = Duration::from_millis(100);

/// A range to read.
pub struct Backfill {
    /// Of which source.
    pub feed: Handle,
    /// From when, to the millisecond.
    pub from: DateTime<Utc>,
    /// Until when, without this instant.
    pub to: DateTime<Utc>,
    /// Delivers what was read before once more.
    pub again: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Detections that were found.
    pub read: u64,
    /// Those that go downstream.
    pub delivered: u64,
    /// What could not be read.
    pub quarantined: u64,
    /// Windows that are done.
    pub windows: u64,
    /// Milliseconds of the range that are done, those that were read before included.
    pub done_millis: u64,
    /// Milliseconds of the range.
    pub all_millis: u64,
}

/// Why it ended early. What was read is kept; the same backfill goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The service, tried often enough or of no use to try again.
    #[error("{error}")]
    Poll {
        /// What it said.
        error: PollError,
        /// Whether later may be better.
        passes: bool,
    },
    /// The service ignores the upper bound of what it is asked for.
    #[error(
        "the service ignores untilTimeUtc, and has more than {max_bytes} bytes (limits.max_response_bytes) after a window of it, which no narrower window makes less; raise it"
    )]
    Unbounded {
        /// What an answer may have.
        max_bytes: u64,
    },
    /// A defect of ours.
    #[error("a defect: {0}")]
    Defect(String),
}

/// A window that is still to be read.
struct Task {
    window: TimeRange,
    reader: WindowReader,
    backoff: Backoff,
}

/// What became of a window.
enum TaskOutcome {
    Read {
        window: TimeRange,
        read: u64,
        delivered: u64,
        quarantined: u64,
    },
    Halved([TimeRange; 2]),
    Again(Task),
}

/// What all windows of a backfill have in common.
#[derive(Clone)]
struct Job {
    feed: Handle,
    /// What its ranges are kept under.
    name: String,
    again: bool,
}

impl Backfill {
    /// Reads it; `tell` hears of each window that is done.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn run(self, mut tell: impl FnMut(Progress)) -> Result<Progress, BackfillError> {
        let now = self.service_now().await?;
        let range = TimeRange {
            from: floor(self.from),
            to: ceiling(self.to.min(now)),
        };
        let job = Job {
            name: if self.again {
                job_name(nanos(self.from), nanos(self.to))
            } else {
                String::new()
            },
            again: self.again,
            feed: self.feed,
        };
        let ledger = &job.feed.shared.ledger;
        let covered = ledger.covered_ranges(job.feed.id, &job.name).await?;
        let longest = job.feed.client.settings().polling.max_window.delta();
        let mut queue: VecDeque<Task> = range
            .missing(&covered)
            .into_iter()
            .flat_map(|range| range.pieces(longest))
            .map(|window| job.task(window))
            .collect();
        let left: u64 = queue.iter().map(|task| millis(task.window.length())).sum();
        let all_millis = millis(range.length());
        let mut progress = Progress {
            all_millis,
            done_millis: all_millis.saturating_sub(left),
            ..Progress::default()
        };
        tell(progress);
        // A poll may want one of the tenant's connections meanwhile.
        let connections = job.feed.client.settings().polling.limits.max_connections;
        let most = connections.map_or(MAX_WINDOWS_AT_ONCE, |most| {
            let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
            MAX_WINDOWS_AT_ONCE.min(most - 1).max(1)
        });
        let mut running = JoinSet::new();
        loop {
            while running.len() < most
                && let Some(task) = queue.pop_front()
            {
                let span = job.feed.span();
                running.spawn(job.clone().read(task).instrument(span));
            }
            let Some(ended) = running.join_next().await else {
                break;
            };
            match ended.map_err(|error| BackfillError::Defect(error.to_string()))?? {
                TaskOutcome::Read {
                    window,
                    read,
                    delivered,
                    quarantined,
                } => {
                    progress.read += read;
                    progress.delivered += delivered;
                    progress.quarantined += quarantined;
                    progress.windows += 1;
                    progress.done_millis += millis(window.length());
                    tell(progress);
                }
                TaskOutcome::Halved(halves) => {
                    for half in halves.into_iter().rev() {
                        queue.push_front(job.task(half));
                    }
                }
                TaskOutcome::Again(task) => queue.push_front(task),
            }
        }
        Ok(progress)
    }

    async fn service_now(&self) -> Result<DateTime<Utc>, BackfillError> {
        let clock = &*self.feed.shared.clock;
        let mut service_clock = ServiceClock::start(clock);
        let authenticated = self.feed.client.authenticate().await;
        let date = authenticated.map_err(|error| BackfillError::Poll {
            passes: !matches!(WindowReader::classify(&error), RetryClass::Mend),
            error,
        })?;
        if let Some(date) = date
            && let Err(implausible) = service_clock.observe(date, clock.wall())
        {
            self.feed
                .span()
                .in_scope(|| tracing::warn!("{implausible}"));
        }
        Ok(service_clock.at(clock.monotonic()))
    }
}

/// What a backfill of this range that reads again what was read keeps its ranges under.
fn job_name(from: Time, to: Time) -> String {
    format!("again {from} {to}")
}

/// Waits until the sinks have delivered what a feed has for them now, for at most
/// `patience`; how many detections they have not delivered then.
pub(crate) async fn wait_for_delivery(
    feed: &Handle,
    patience: Duration,
) -> Result<u64, ledger::Error> {
    let (ledger, clock, id) = (&feed.shared.ledger, &feed.shared.clock, feed.id);
    let began = clock.monotonic();
    let newest = ledger.newest_entry(id).await?;
    let Some(newest) = newest else { return Ok(0) };
    loop {
        let undelivered = ledger.count_undelivered(id, newest).await?;
        let left = patience.saturating_sub(clock.elapsed(began));
        if undelivered == 0 || left.is_zero() {
            return Ok(undelivered);
        }
        clock.sleep(left.min(LOOK_AT_SINKS_EVERY)).await;
    }
}

/// Forgets the job of a backfill that read again what was read, and whose detections are
/// delivered: the same one would begin anew.
pub(crate) async fn end_job(feed: &Handle, from: Time, to: Time) -> Result<(), ledger::Error> {
    let ledger = &feed.shared.ledger;
    ledger.finish_job(feed.id, &job_name(from, to)).await
}

impl Job {
    fn task(&self, window: TimeRange) -> Task {
        let (client, clock) = (&self.feed.client, &self.feed.shared.clock);
        Task {
            window,
            reader: WindowReader::new(Arc::clone(client), Arc::clone(clock), FIRST_ANSWER_BYTES),
            backoff: Backoff::default(),
        }
    }

    /// Reads one window, or says what to do about it.
    async fn read(self, mut task: Task) -> Result<TaskOutcome, BackfillError> {
        let (shared, client, window) = (&self.feed.shared, &self.feed.client, task.window);
        wait_for_backpressure(&self.feed).await?;
        while let Err(wait) = client.try_acquire_request() {
            shared.clock.sleep(wait).await;
        }
        let largest = shared.memory.largest();
        let reserved = shared
            .memory
            .reserve_slow(task.reader.max_bytes(largest))
            .await;
        let answer = task.reader.read(window, largest).await;
        let rows = match answer.outcome {
            WindowOutcome::Rows(rows, Remainder::Nothing) => rows,
            WindowOutcome::Rows(_, Remainder::Halves) => return Ok(task.halved()),
            WindowOutcome::Rows(_, Remainder::Everything) | WindowOutcome::NeedsMemory => {
                return Ok(TaskOutcome::Again(task));
            }
            WindowOutcome::Failed(failed) => {
                let diagnosis = task.reader.diagnose(window, failed, largest).await;
                drop(reserved);
                return self.handle_failure(task, diagnosis).await;
            }
        };
        let read = rows.count() as u64;
        let mut commit = self.new_commit(window);
        commit.again = self.again;
        // Polls may have read some of it meanwhile.
        commit.around_covered = !self.again;
        commit.quarantine = rows.quarantine(window);
        commit.records = rows.into_records(window, Keep::Within).records;
        let offered = commit.records.len();
        let done = shared.commit(commit).await?;
        Ok(TaskOutcome::Read {
            window,
            read,
            delivered: if self.again { offered } else { done.fresh } as u64,
            quarantined: done.quarantined as u64,
        })
    }

    async fn handle_failure(
        &self,
        task: Task,
        diagnosis: Diagnosis,
    ) -> Result<TaskOutcome, BackfillError> {
        let (shared, window) = (&self.feed.shared, task.window);
        let failed = match diagnosis {
            Diagnosis::Halve(_) => return Ok(task.halved()),
            Diagnosis::Retry(failed) => return self.retry(task, failed).await,
            Diagnosis::Unbounded => {
                return Err(BackfillError::Unbounded {
                    max_bytes: self.feed.client.settings().polling.max_response_bytes(),
                });
            }
            Diagnosis::GiveUp(failed) => failed,
        };
        let mut commit = self.new_commit(window);
        commit.quarantine = vec![failed.into_gap(window)];
        let done = shared.commit(commit).await?;
        Ok(TaskOutcome::Read {
            window,
            read: 0,
            delivered: 0,
            quarantined: done.quarantined as u64,
        })
    }

    /// Waits, unless waiting is of no use or was tried often enough.
    async fn retry(
        &self,
        mut task: Task,
        failed: Unanswered,
    ) -> Result<TaskOutcome, BackfillError> {
        let Unanswered { error, class, .. } = failed;
        let asked = match class {
            RetryClass::Mend => {
                return Err(BackfillError::Poll {
                    error,
                    passes: false,
                });
            }
            RetryClass::Throttled(asked) | RetryClass::Later(asked) => asked,
            _ => None,
        };
        if task.backoff.is_spent() {
            return Err(BackfillError::Poll {
                error,
                passes: true,
            });
        }
        let wait = task.backoff.wait(asked);
        tracing::warn!(%error, retry_in_secs = wait.as_secs(), "backfill");
        self.feed.shared.clock.sleep(wait).await;
        Ok(TaskOutcome::Again(task))
    }

    /// What says that a window was read.
    fn new_commit(&self, window: TimeRange) -> Commit {
        let mut commit = Commit::new(self.feed.id, self.feed.shared.clock.ledger_time());
        commit.covered = Some(Covered {
            job: self.name.clone(),
            from: nanos(window.from),
            to: nanos(window.to),
        });
        commit.read_to = Some(nanos(window.to));
        commit
    }
}

impl Task {
    /// As two, or as it is when it is as short as can be.
    fn halved(self) -> TaskOutcome {
        match self.window.halves() {
            Some(halves) => TaskOutcome::Halved(halves),
            None => TaskOutcome::Again(self),
        }
    }
}

/// Waits until there is room behind the sinks and on the disk.
async fn wait_for_backpressure(feed: &Handle) -> Result<(), BackfillError> {
    let mut is_reported = false;
    loop {
        let backpressure = &feed.shared.backpressure;
        match backpressure.check(feed.name.as_str(), feed.tenant()).await {
            Ok(()) => return Ok(()),
            Err(PauseReason::Ledger(error)) => return Err(error.into()),
            Err(paused) => {
                if !std::mem::replace(&mut is_reported, true) {
                    tracing::warn!("{paused}");
                }
                feed.shared.clock.sleep(LOOK_EVERY).await;
            }
        }
    }
}

fn millis(length: TimeDelta) -> u64 {
    u64::try_from(length.num_milliseconds()).unwrap_or(0)
}
