//! A range of the past, read beside the polls and independently of their cursor.
//!
//! What was read of the past is written down as ranges, in the transaction of its
//! detections, so a backfill leaves out what was read before and one that was stopped
//! goes on where it was.

use super::answer::{self, Answer, Failed, Keep, Rows, ask, instant, nanos};
use super::clock::Clock;
use super::error::PullError;
use super::feed::{Handle, blocking, is_full, local_now};
use super::gate::Closed;
use super::retry::{Backoff, Verdict};
use super::walk::{MILLI, Span, ceiling, floor};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument;
use watchbell_ledger::{self as ledger, Commit, Covered, NewQuarantine, Time, Unread};

/// Windows that are asked for at one time.
const IN_FLIGHT: usize = 4;

/// Garbled answers running after which a window is narrowed.
const GARBLED: u32 = 3;

/// Bytes of the first answers: 4,000 detections.
const FIRST_ROOM: u64 = 8 << 20;

/// Between two looks whether reading may go on.
const GATE_WAIT: Duration = Duration::from_secs(1);

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
    Pull {
        /// What it said.
        error: PullError,
        /// Whether later may be better.
        passes: bool,
    },
    /// A defect of ours.
    #[error("a defect: {0}")]
    Defect(String),
}

/// A window and how often it failed.
struct Task {
    window: Span,
    garbled: u32,
    failed: u32,
    backoff: Backoff,
    /// Asked without limit.
    whole: bool,
    /// Bytes that the answer may have.
    room: u64,
}

/// What became of a window.
enum Done {
    Read {
        window: Span,
        read: u64,
        delivered: u64,
        quarantined: u64,
    },
    Halved(Span, Span),
    Again(Task),
}

impl Backfill {
    /// Reads it; `tell` hears of each window that is done.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn run(self, mut tell: impl FnMut(Progress)) -> Result<Progress, BackfillError> {
        let now = self.service_now().await?;
        let range = Span {
            from: floor(self.from),
            to: ceiling(self.to.min(now)),
        };
        let job = if self.again {
            format!("again {} {}", nanos(self.from), nanos(self.to))
        } else {
            String::new()
        };
        let (ledger, id, of) = (
            Arc::clone(&self.feed.shared.ledger),
            self.feed.id,
            job.clone(),
        );
        let covered = blocking(move || ledger.covered(id, &of)).await?;
        let longest = self.feed.puller.settings().reading.max_window;
        let mut queue: VecDeque<Task> = missing(&covered, range)
            .into_iter()
            .flat_map(|span| pieces(span, longest))
            .map(Task::new)
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
        let connections = self.feed.puller.settings().max_connections;
        let most = connections.map_or(IN_FLIGHT, |most| {
            let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
            IN_FLIGHT.min(most - 1).max(1)
        });
        let mut flying = JoinSet::new();
        loop {
            while flying.len() < most
                && let Some(task) = queue.pop_front()
            {
                let span = self.feed.span();
                let one = one(self.feed.clone(), job.clone(), self.again, task);
                flying.spawn(one.instrument(span));
            }
            let Some(landed) = flying.join_next().await else {
                break;
            };
            match landed.map_err(|error| BackfillError::Defect(error.to_string()))?? {
                Done::Read {
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
                Done::Halved(first, second) => {
                    queue.push_front(Task::new(second));
                    queue.push_front(Task::new(first));
                }
                Done::Again(task) => queue.push_front(task),
            }
        }
        if self.again {
            let (ledger, id) = (Arc::clone(&self.feed.shared.ledger), self.feed.id);
            blocking(move || ledger.uncover(id, &job)).await?;
        }
        Ok(progress)
    }

    async fn service_now(&self) -> Result<DateTime<Utc>, BackfillError> {
        let mut clock = Clock::start();
        let access = self.feed.puller.token().await;
        let access = access.map_err(|error| BackfillError::Pull {
            passes: !matches!(Verdict::of(&error, b""), Verdict::Mend),
            error,
        })?;
        if let Some(sighting) = access.sighting
            && let Err(odd) = clock.see(sighting, Utc::now())
        {
            self.feed.span().in_scope(|| tracing::warn!("{odd}"));
        }
        Ok(clock.now())
    }
}

impl Task {
    fn new(window: Span) -> Self {
        Self {
            window,
            garbled: 0,
            failed: 0,
            backoff: Backoff::default(),
            whole: false,
            room: FIRST_ROOM,
        }
    }
}

/// Reads one window, or says what to do about it.
async fn one(
    feed: Handle,
    job: String,
    again: bool,
    mut task: Task,
) -> Result<Done, BackfillError> {
    wait_for_room(&feed).await?;
    let window = task.window;
    let limit = feed
        .puller
        .settings()
        .limit
        .filter(|_| !task.whole && !window.is_least());
    while let Err(wait) = feed.puller.take_turn() {
        tokio::time::sleep(wait).await;
    }
    let most = feed
        .puller
        .settings()
        .max_response_bytes
        .min(feed.shared.flight.largest());
    let room = task.room.min(most);
    let _reserved = feed.shared.flight.slow(room).await;
    let answer = ask(&feed.puller, window, limit, room).await;
    let rows = match answer.outcome {
        // No narrower window has fewer rows where the upper bound is ignored.
        Ok(rows) if is_full(&rows, limit) && answer::is_beyond(&rows.alerts, window) => {
            task.whole = true;
            return Ok(Done::Again(task));
        }
        Ok(rows) if is_full(&rows, limit) || (rows.beyond > 0 && !window.is_least()) => {
            return Ok(halved(window).unwrap_or_else(|| {
                task.whole = true;
                Done::Again(task)
            }));
        }
        Ok(rows) => rows,
        Err(failed) if failed.is_too_large() && room < most => {
            task.room = room.saturating_mul(8);
            return Ok(Done::Again(task));
        }
        Err(failed) => return failed_window(&feed, job, task, failed).await,
    };
    let read = rows.count() as u64;
    let mut commit = Commit::new(feed.id, local_now());
    commit.again = again;
    // Polls may have read some of it meanwhile.
    commit.around_covered = !again;
    commit.covered = Some(Covered {
        job,
        from: nanos(window.from),
        to: nanos(window.to),
    });
    commit.quarantine = elements(&rows, window);
    commit.records = answer::sort(rows.alerts, window, Keep::Within).records;
    let offered = commit.records.len();
    let done = feed.shared.commit(commit).await?;
    Ok(Done::Read {
        window,
        read,
        delivered: if again { offered } else { done.fresh } as u64,
        quarantined: done.quarantined as u64,
    })
}

async fn failed_window(
    feed: &Handle,
    job: String,
    mut task: Task,
    failed: Failed,
) -> Result<Done, BackfillError> {
    let Failed {
        error,
        verdict,
        head,
    } = failed;
    let window = task.window;
    let retry = match verdict {
        Verdict::TooLarge if !window.is_least() => None,
        Verdict::TooLarge | Verdict::Garbled => {
            task.garbled += 1;
            let is_its_own =
                task.garbled >= GARBLED && any(feed, window.elsewhere(), Answer::is_read).await;
            (!is_its_own).then_some(None)
        }
        Verdict::Mend => {
            return Err(BackfillError::Pull {
                error,
                passes: false,
            });
        }
        Verdict::TooSlow | Verdict::Later(_) => {
            task.failed += 1;
            let asked = match verdict {
                Verdict::Later(asked) => asked,
                _ => None,
            };
            // Whether it is this window or the service shows when others are asked for.
            let is_its_own =
                task.failed >= GARBLED && any(feed, window.neighbours(), Answer::is_one).await;
            (!is_its_own).then_some(asked)
        }
        Verdict::Throttled(asked) => Some(asked),
        Verdict::Partly(_) => Some(None),
    };
    if let Some(asked) = retry {
        if task.backoff.is_spent() {
            return Err(BackfillError::Pull {
                error,
                passes: true,
            });
        }
        let wait = task.backoff.wait(asked);
        tracing::warn!(%error, retry_in_secs = wait.as_secs(), "backfill");
        tokio::time::sleep(wait).await;
        return Ok(Done::Again(task));
    }
    if let Some(halves) = halved(window) {
        return Ok(halves);
    }
    let mut commit = Commit::new(feed.id, local_now());
    commit.covered = Some(Covered {
        job,
        from: nanos(window.from),
        to: nanos(window.to),
    });
    commit.quarantine = vec![NewQuarantine {
        kind: Unread::Gap,
        from: nanos(window.from),
        to: nanos(window.to),
        reason: error.to_string(),
        body: head,
    }];
    let done = feed.shared.commit(commit).await?;
    Ok(Done::Read {
        window,
        read: 0,
        delivered: 0,
        quarantined: done.quarantined as u64,
    })
}

/// Whether any of these windows has such an answer.
async fn any(
    feed: &Handle,
    windows: impl IntoIterator<Item = Span>,
    is_such: fn(&Answer) -> bool,
) -> bool {
    for window in windows {
        if feed.puller.take_turn().is_ok()
            && is_such(&ask(&feed.puller, window, None, FIRST_ROOM).await)
        {
            return true;
        }
    }
    false
}

/// Waits until there is room behind the sinks and on the disk.
async fn wait_for_room(feed: &Handle) -> Result<(), BackfillError> {
    let mut is_told = false;
    loop {
        let gate = &feed.shared.gate;
        match gate.pass(feed.name.as_str(), feed.tenant()).await {
            Ok(()) => return Ok(()),
            Err(Closed::Ledger(error)) => return Err(error.into()),
            Err(closed) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!("{closed}");
                }
                tokio::time::sleep(GATE_WAIT).await;
            }
        }
    }
}

/// What could not be read in a window, for the quarantine.
pub(super) fn elements(rows: &Rows, window: Span) -> Vec<NewQuarantine> {
    // What is tried again later is asked for with these bounds, so that neither way of
    // taking them leaves it out.
    let (from, to) = (nanos(window.from - MILLI), nanos(window.to + MILLI));
    let new = |reason: String, body: Vec<u8>| NewQuarantine {
        kind: Unread::Element,
        from,
        to,
        reason,
        body,
    };
    let mut all: Vec<_> = rows
        .unreadable
        .iter()
        .map(|body| new(rows.reason.clone(), body.clone()))
        .collect();
    if rows.beyond > 0 && window.is_least() {
        let reason = format!("{}; too far into the answer to be kept", rows.reason);
        let body = format!("{} elements at {}", rows.beyond, window.from);
        all.push(new(reason, body.into_bytes()));
    }
    all
}

fn halved(window: Span) -> Option<Done> {
    if window.is_least() {
        return None;
    }
    let half = TimeDelta::milliseconds(window.length().num_milliseconds() / 2);
    let middle = window.from + half;
    Some(Done::Halved(
        Span {
            to: middle,
            ..window
        },
        Span {
            from: middle,
            ..window
        },
    ))
}

/// The parts of `range` that were not read.
fn missing(covered: &[(Time, Time)], range: Span) -> Vec<Span> {
    let mut all = Vec::new();
    let mut at = range.from;
    for (from, to) in covered {
        // Inwards to whole milliseconds: what lies in a part of one is asked for again.
        let (from, to) = (ceiling(instant(*from)), floor(instant(*to)));
        if from > at && at < range.to {
            all.push(Span {
                from: at,
                to: from.min(range.to),
            });
        }
        at = at.max(to);
    }
    if at < range.to {
        all.push(Span {
            from: at,
            to: range.to,
        });
    }
    all
}

fn pieces(span: Span, longest: TimeDelta) -> Vec<Span> {
    let mut all = Vec::new();
    let mut from = span.from;
    while from < span.to {
        let to = (from + longest).min(span.to);
        all.push(Span { from, to });
        from = to;
    }
    all
}

fn millis(length: TimeDelta) -> u64 {
    u64::try_from(length.num_milliseconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn what_was_read_is_left_out() {
        let range = Span {
            from: at(10),
            to: at(50),
        };
        let ms = |from: i64, to: i64| (from * 1_000_000, to * 1_000_000);
        let spans = |covered: &[(Time, Time)]| -> Vec<(i64, i64)> {
            let spans = missing(covered, range);
            spans
                .iter()
                .map(|span| (span.from.timestamp_millis(), span.to.timestamp_millis()))
                .collect()
        };
        assert_eq!(spans(&[]), [(10, 50)]);
        assert_eq!(spans(&[ms(0, 10), ms(50, 60)]), [(10, 50)]);
        assert_eq!(spans(&[ms(0, 20), ms(30, 40)]), [(20, 30), (40, 50)]);
        assert_eq!(spans(&[ms(0, 100)]), []);
        assert_eq!(spans(&[ms(0, 5), ms(60, 70), ms(80, 90)]), [(10, 50)]);
        assert_eq!(spans(&[(0, 20_500_000)]), [(20, 50)]);
    }

    #[test]
    fn a_long_range_is_cut_into_windows_that_touch() {
        let all = pieces(
            Span {
                from: at(0),
                to: at(25),
            },
            TimeDelta::milliseconds(10),
        );
        let ends: Vec<_> = all.iter().map(|span| span.to.timestamp_millis()).collect();
        assert_eq!(ends, [10, 20, 25]);
    }
}
