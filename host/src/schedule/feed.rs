//! A source, read window by window, each made durable before the next.
//!
//! A poll reads from the cursor less the overlap up to the service's now. What is known
//! is dropped by its key, so reading the same twice costs nothing but the request. The
//! cursor moves with what it stands for, in one transaction: detections, keys, cursor
//! and quarantine, or none of them.

use super::answer::{self, Answer, Failed, Keep, Rows, ask, instant, nanos};
use super::backfill::elements;
use super::clock::{Clock, Sighting};
use super::error::PullError;
use super::gate::{Closed, Gate};
use super::puller::Puller;
use super::retry::{Backoff, Verdict};
use super::strikes::Strikes;
use super::walk::{Pace, Span, Walk};
use crate::config::{Name, Source};
use crate::observe::{Trouble, printable};
use chrono::{DateTime, TimeDelta, Utc};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use watchbell_ledger::{
    self as ledger, Commit, Committed, Covered, FeedId, FeedName, Ledger, NewQuarantine,
    QuarantineId, Quarantined, Stands, Time, Unread,
};

/// Between two looks whether polling may go on.
const GATE_WAIT: Duration = Duration::from_secs(1);

/// From one try of something in quarantine to the next.
const QUARANTINE_RETRY: TimeDelta = TimeDelta::hours(1);

/// A local clock that is further from the service's is said.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// Keys are kept that much longer than they are needed.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// What an entry of the quarantine counts for at least, so that small ones end too.
const QUARANTINE_ENTRY: u64 = 1024;

/// What the feeds of a process share with those who deliver and those who command.
#[derive(Clone)]
pub struct Shared {
    /// Where everything is written down.
    pub ledger: Arc<dyn Ledger>,
    /// Whether polling may go on.
    pub gate: Gate,
    /// Counts commits that left something to deliver.
    pub news: watch::Sender<u64>,
}

impl Shared {
    /// Writes a step of reading down, and tells those who deliver.
    pub(super) async fn commit(&self, commit: Commit) -> Result<Committed, ledger::Error> {
        let ledger = Arc::clone(&self.ledger);
        let done = blocking(move || ledger.commit(commit)).await?;
        if !done.entries.is_empty() {
            self.news.send_modify(|count| *count += 1);
        }
        Ok(done)
    }
}

/// Held while a window is read; whoever moves the cursor by hand takes it and counts up.
pub type Epoch = Arc<Mutex<u64>>;

/// A source and how far it was read.
pub struct Feed {
    name: Name,
    puller: Puller,
    shared: Shared,
    id: FeedId,
    clock: Clock,
    token_seen: Option<Sighting>,
    pace: Pace,
    /// A walk that was interrupted.
    walk: Option<Walk>,
    epoch: Epoch,
    epoch_seen: u64,
    strikes: Strikes,
    backoff: Backoff,
    trouble: Trouble,
    bounds_trouble: Trouble,
    skew_trouble: Trouble,
    rescanned: Instant,
    stop: watch::Receiver<bool>,
}

/// What others need to work on the same feed.
#[derive(Clone)]
pub struct Handle {
    /// The source's name.
    pub name: Name,
    /// Its number in the ledger.
    pub id: FeedId,
    /// How it is asked.
    pub puller: Puller,
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
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Everything up to now was read.
    Done,
    /// It goes on after that long.
    Later(Duration),
    /// A person must mend something, or it was tried often enough.
    Stuck(Duration),
    /// It was asked to stop in the middle.
    Stopped,
}

/// Why a poll ended before its end.
enum Halt {
    Closed(Closed),
    Ledger(ledger::Error),
    Pull(PullError, Verdict),
    /// The quarantine is full.
    Full(Stands),
    /// The cursor was moved by hand.
    Moved,
    Stopped,
}

impl From<ledger::Error> for Halt {
    fn from(error: ledger::Error) -> Self {
        Self::Ledger(error)
    }
}

/// What one poll came to.
#[derive(Debug, Default)]
struct Tally {
    windows: usize,
    read: usize,
    fresh: usize,
    duplicates: usize,
    quarantined: usize,
    below: usize,
    above: usize,
}

impl Feed {
    /// Finds out how far the source was read.
    ///
    /// # Errors
    /// [`ledger::Error`].
    pub async fn open(
        name: Name,
        puller: Puller,
        shared: Shared,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, ledger::Error> {
        let settings = puller.settings();
        let feed_name = Handle::feed_name(&name, settings);
        let pace = Pace::new(settings.reading.max_window);
        let ledger = Arc::clone(&shared.ledger);
        let id = blocking(move || ledger.feed(&feed_name)).await?.id;
        Ok(Self {
            name,
            puller,
            shared,
            id,
            clock: Clock::start(),
            token_seen: None,
            pace,
            walk: None,
            epoch: Epoch::default(),
            epoch_seen: 0,
            strikes: Strikes::default(),
            backoff: Backoff::default(),
            trouble: Trouble::default(),
            bounds_trouble: Trouble::default(),
            skew_trouble: Trouble::default(),
            rescanned: Instant::now(),
            stop,
        })
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What others need to work on the same feed.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            name: self.name.clone(),
            id: self.id,
            puller: self.puller.clone(),
            shared: self.shared.clone(),
            epoch: Arc::clone(&self.epoch),
        }
    }

    /// Whether it was tried so often that one that must end should.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.backoff.is_spent()
    }

    /// Reads up to the service's now, or as far as it goes. What goes wrong is logged.
    pub async fn poll(&mut self) -> Step {
        let mut tally = Tally::default();
        let ended = self.read(&mut tally).await;
        self.say(&tally);
        match ended {
            Ok(()) => {
                self.well();
                Step::Done
            }
            Err(halt) => self.halted(halt).await,
        }
    }

    async fn read(&mut self, tally: &mut Tally) -> Result<(), Halt> {
        self.check_gate().await?;
        // The token's answer shows the service's clock, which says what to ask for.
        let token = self.puller.token().await;
        let access = token.map_err(|error| {
            let verdict = Verdict::of(&error, b"");
            Halt::Pull(error, verdict)
        })?;
        if access.sighting != self.token_seen {
            self.token_seen = access.sighting;
            self.see(access.sighting);
        }
        // First, since it may make room.
        self.retry_quarantined(tally).await?;
        let stands = self.stands().await?;
        let held = stands.quarantined_bytes + stands.quarantined * QUARANTINE_ENTRY;
        if held >= self.puller.settings().max_quarantine_bytes {
            return Err(Halt::Full(stands));
        }
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => match self.begin(stands).await? {
                Some(walk) => walk,
                None => return Ok(()),
            },
        };
        let ended = self.go(&mut walk, stands, tally).await;
        self.pace = walk.pace();
        if ended.is_err() && !matches!(ended, Err(Halt::Moved)) {
            self.walk = Some(walk);
        }
        ended
    }

    /// The walk from what was read to the service's now.
    async fn begin(&mut self, stands: Stands) -> Result<Option<Walk>, Halt> {
        let reading = self.puller.settings().reading;
        let mut back = reading.overlap;
        if let Some(rescan) = reading.rescan {
            let every = rescan.every.to_std().unwrap_or(Duration::MAX);
            if self.rescanned.elapsed() >= every {
                self.rescanned = Instant::now();
                back = back.max(rescan.back);
                tracing::info!(source = %self.name, back = %rescan.back, "reading further back for stragglers");
            }
        }
        let Some((from, to)) = range(self.puller.settings(), stands, self.clock.now(), back) else {
            return Ok(None);
        };
        let gaps = self.gaps().await?;
        Ok(Some(Walk::new(from, to, gaps, self.pace)))
    }

    async fn go(&mut self, walk: &mut Walk, began: Stands, tally: &mut Tally) -> Result<(), Halt> {
        let limit = self.puller.settings().limit;
        // Set when the service was seen to ignore the upper bound: narrowing is no use then.
        let mut unbounded = false;
        while let Some(window) = walk.window() {
            if *self.stop.borrow() {
                return Err(Halt::Stopped);
            }
            self.check_gate().await?;
            let epoch = Arc::clone(&self.epoch);
            let held = epoch.lock().await;
            if *held != self.epoch_seen {
                self.epoch_seen = *held;
                return Err(Halt::Moved);
            }
            let limit = limit.filter(|_| !unbounded && !window.is_least());
            let answer = ask(&self.puller, window, limit).await;
            self.see(answer.sighting);
            let sent = self.clock.at(answer.sent_at);
            match answer.outcome {
                Ok(rows) => {
                    let is_cut = is_full(&rows, limit);
                    let bytes = rows.bytes;
                    let beyond = rows.beyond > 0;
                    let before = tally.above;
                    let done = self.commit_rows(window, rows, sent, is_cut, tally).await?;
                    self.warn_of_late(&done, began.cursor, sent);
                    if is_cut && tally.above > before {
                        unbounded = true;
                    } else if is_cut || (beyond && !window.is_least()) {
                        walk.narrow(window);
                    } else {
                        walk.read(window, bytes);
                        unbounded = false;
                        self.well();
                    }
                }
                Err(failed) => {
                    drop(held);
                    self.judge(walk, window, failed, tally).await?;
                }
            }
        }
        Ok(())
    }

    /// Writes a window's rows down. One that was cut short is not read yet: its rows go on,
    /// and the cursor stays.
    async fn commit_rows(
        &mut self,
        window: Span,
        rows: Rows,
        sent: DateTime<Utc>,
        is_cut: bool,
        tally: &mut Tally,
    ) -> Result<Committed, Halt> {
        let keys_from = match self.stands().await?.keys_from {
            Some(keys) => keys,
            None => nanos(window.from),
        };
        tally.windows += 1;
        tally.read += rows.count();
        let is_read = !is_cut && (rows.beyond == 0 || window.is_least());
        let quarantine = elements(&rows, window);
        let reason = printable(&rows.reason);
        let sorted = answer::sort(rows.alerts, window, Keep::From(keys_from));
        tally.below += sorted.below;
        tally.above += sorted.above;
        let mut commit = self.step();
        commit.records = sorted.records;
        commit.quarantine = quarantine;
        commit.keys_from = Some(keys_from);
        if is_read {
            self.advance(&mut commit, window, sent);
        }
        let done = self.commit(commit).await?;
        tally.fresh += done.fresh;
        tally.duplicates += done.duplicates;
        tally.quarantined += done.quarantined;
        if done.quarantined > 0 {
            tracing::error!(source = %self.name, count = done.quarantined, reason,
                "elements cannot be read; they are in quarantine and the rest goes on (watchbell state quarantine list)");
        }
        Ok(done)
    }

    /// The window was read: the cursor moves to its end, though never past the service's
    /// time when it was asked.
    fn advance(&self, commit: &mut Commit, window: Span, sent: DateTime<Utc>) {
        let reading = self.puller.settings().reading;
        let end = window.to.min(sent);
        let kept = reading
            .rescan
            .map_or(reading.overlap, |rescan| rescan.back.max(reading.overlap));
        commit.cursor = Some(nanos(end));
        commit.covered = Some(Covered {
            job: String::new(),
            from: nanos(window.from),
            to: nanos(end),
        });
        // The ledger's cursor may be further already; it keeps the greater one, and
        // forgetting by the smaller one is only later.
        commit.forget_below = end.checked_sub_signed(kept + SLACK).map(nanos);
    }

    /// What to do about a window that gave no rows: narrow it, give it up, or wait.
    async fn judge(
        &mut self,
        walk: &mut Walk,
        window: Span,
        failed: Failed,
        tally: &mut Tally,
    ) -> Result<(), Halt> {
        let Failed {
            error,
            verdict,
            head,
        } = failed;
        let is_enough = match verdict {
            Verdict::TooLarge => !window.is_least() || self.strikes.garbled(window),
            Verdict::Garbled => self.strikes.garbled(window),
            // Whether it is this window or the service shows when another is asked for.
            Verdict::TooSlow | Verdict::Later(_) => {
                self.strikes.failed(window) && self.others_succeed(window).await
            }
            _ => false,
        };
        if !is_enough {
            return Err(Halt::Pull(error, verdict));
        }
        if walk.narrow(window) {
            let length = window.length().num_milliseconds();
            tracing::info!(source = %self.name, %error, from = %window.from, length_ms = length, "asking for less at a time");
            // Each narrower window is a new attempt and not one more of the same.
            self.backoff.reset();
            return Ok(());
        }
        tracing::error!(source = %self.name, %error, from = %window.from, to = %window.to,
            "cannot be read; the millisecond is in quarantine and the source goes on (watchbell state quarantine list)");
        let mut commit = self.step();
        commit.quarantine = vec![NewQuarantine {
            kind: Unread::Gap,
            from: nanos(window.from),
            to: nanos(window.to),
            reason: error.to_string(),
            body: head,
        }];
        commit.keys_from = Some(nanos(window.from));
        self.advance(&mut commit, window, window.to);
        tally.quarantined += self.commit(commit).await?.quarantined;
        walk.skip(window);
        self.well();
        Ok(())
    }

    /// Whether a window of a millisecond beside this one is answered.
    async fn others_succeed(&mut self, window: Span) -> bool {
        let milli = TimeDelta::milliseconds(1);
        let other = if window.is_least() {
            Span {
                from: window.to,
                to: window.to + milli,
            }
        } else {
            Span {
                from: window.from,
                to: window.from + milli,
            }
        };
        let Answer {
            outcome, sighting, ..
        } = ask(&self.puller, other, None).await;
        self.see(sighting);
        match outcome {
            Ok(_) => true,
            Err(failed) => matches!(failed.verdict, Verdict::Garbled | Verdict::TooLarge),
        }
    }

    /// Tries what is in quarantine and due.
    async fn retry_quarantined(&mut self, tally: &mut Tally) -> Result<(), Halt> {
        let now = Utc::now();
        for held in self.quarantined().await? {
            let tried = instant(held.tried_at.unwrap_or(held.found_at));
            if now - tried < QUARANTINE_RETRY {
                continue;
            }
            if *self.stop.borrow() {
                return Err(Halt::Stopped);
            }
            self.retry_one(&held, tally).await?;
        }
        Ok(())
    }

    async fn retry_one(&mut self, held: &Quarantined, tally: &mut Tally) -> Result<(), Halt> {
        let window = Span {
            from: instant(held.from),
            to: instant(held.to),
        };
        let answer = ask(&self.puller, window, None).await;
        self.see(answer.sighting);
        let ledger = Arc::clone(&self.shared.ledger);
        let id = held.id;
        let rows = match answer.outcome {
            Ok(rows) => rows,
            Err(failed) => {
                tracing::warn!(source = %self.name, id = id.0, error = %failed.error, "still in quarantine");
                blocking(move || ledger.tried(id, local_now())).await?;
                return Ok(());
            }
        };
        let body = blocking({
            let ledger = Arc::clone(&ledger);
            move || ledger.quarantined_body(id)
        });
        let is_still_there = match body.await {
            Ok(body) => rows.beyond > 0 || rows.unreadable.contains(&body),
            // Somebody dropped it meanwhile.
            Err(ledger::Error::NoQuarantine(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if is_still_there {
            blocking(move || ledger.tried(id, local_now())).await?;
            return Ok(());
        }
        let mut commit = self.step();
        commit.quarantine = rows
            .unreadable
            .iter()
            .map(|body| NewQuarantine {
                kind: Unread::Element,
                from: held.from,
                to: held.to,
                reason: rows.reason.clone(),
                body: body.clone(),
            })
            .collect();
        commit.lift = vec![QuarantineId(id.0)];
        commit.records = answer::sort(rows.alerts, window, Keep::Within).records;
        let done = self.commit(commit).await?;
        tally.fresh += done.fresh;
        tally.quarantined += done.quarantined;
        tracing::info!(source = %self.name, id = id.0, new = done.fresh, "out of quarantine");
        Ok(())
    }

    async fn quarantined(&self) -> Result<Vec<Quarantined>, Halt> {
        let (ledger, source) = (Arc::clone(&self.shared.ledger), self.name.to_string());
        let all = blocking(move || ledger.quarantined(Some(&source))).await?;
        let tenant = self.puller.settings().tenant_id.to_string();
        Ok(all.into_iter().filter(|one| one.tenant == tenant).collect())
    }

    async fn gaps(&self) -> Result<Vec<Span>, Halt> {
        Ok(gaps_of(&self.quarantined().await?))
    }

    async fn stands(&self) -> Result<Stands, Halt> {
        let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
        Ok(blocking(move || ledger.stands(id)).await?)
    }

    async fn check_gate(&self) -> Result<(), Halt> {
        let (gate, source) = (self.shared.gate.clone(), self.name.to_string());
        let checked = tokio::task::spawn_blocking(move || gate.check(&source)).await;
        match checked {
            Ok(checked) => checked.map_err(Halt::Closed),
            Err(error) => Err(Halt::Ledger(ledger::Error::Other(error.to_string()))),
        }
    }

    fn step(&self) -> Commit {
        Commit::new(self.id, local_now())
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Halt> {
        Ok(self.shared.commit(commit).await?)
    }

    fn see(&mut self, sighting: Option<Sighting>) {
        if let Some(sighting) = sighting
            && let Err(odd) = self.clock.see(sighting)
        {
            tracing::warn!(source = %self.name, "{odd}");
        }
        let ahead = self.clock.now() - Utc::now();
        let said = if ahead.abs() > SKEW {
            let words = format!(
                "this machine's clock is {} s {} the service's, whose is used; set it right",
                ahead.num_seconds().abs(),
                if ahead > TimeDelta::zero() {
                    "behind"
                } else {
                    "ahead of"
                },
            );
            self.skew_trouble.met_kind("skew", &words)
        } else {
            self.skew_trouble.over()
        };
        if let Some(say) = said {
            tracing::warn!(source = %self.name, "{say}");
        }
    }

    /// Half the overlap used up: the other half may not be enough next time.
    fn warn_of_late(&self, done: &Committed, cursor: Option<Time>, sent: DateTime<Utc>) {
        let overlap = self.puller.settings().reading.overlap;
        let (Some(oldest), Some(cursor)) = (done.oldest_fresh, cursor) else {
            return;
        };
        let late = instant(cursor) - instant(oldest);
        if late > overlap / 2 {
            tracing::warn!(source = %self.name, overlap_secs = overlap.num_seconds(),
                late_secs = (sent - instant(oldest)).num_seconds(),
                "a detection came so late that more than half the overlap was used; raise overlap_secs, or set rescan");
        }
    }

    fn say(&mut self, tally: &Tally) {
        let source = &self.name;
        if tally.fresh > 0 || tally.quarantined > 0 {
            tracing::info!(%source, new = tally.fresh, read = tally.read, known = tally.duplicates,
                windows = tally.windows, quarantined = tally.quarantined, "polled");
        } else {
            tracing::debug!(%source, read = tally.read, windows = tally.windows, "polled");
        }
        let ignored = match (tally.below > 0, tally.above > 0) {
            (true, true) => "sinceTimeUtc and untilTimeUtc",
            (true, false) => "sinceTimeUtc",
            (false, true) => "untilTimeUtc",
            (false, false) => return,
        };
        let words = format!(
            "the service ignores {ignored}: {} rows below what was asked for were dropped, {} above it went on",
            tally.below, tally.above
        );
        if let Some(say) = self.bounds_trouble.met_kind(ignored, &words) {
            tracing::warn!(%source, "{say}");
        }
    }

    fn well(&mut self) {
        self.backoff.reset();
        if let Some(say) = self.trouble.over() {
            tracing::info!(source = %self.name, "{say}");
        }
    }

    /// Says why, and how long to wait.
    async fn halted(&mut self, halt: Halt) -> Step {
        let (kind, words, step) = match halt {
            Halt::Moved => {
                tracing::info!(source = %self.name, "the cursor was set by hand; reading on from there");
                return Step::Later(Duration::ZERO);
            }
            Halt::Stopped => return Step::Stopped,
            Halt::Closed(closed) => {
                // Counted, for a reading that must end; looked at often, since it costs little.
                let _ = self.backoff.wait(None);
                let step = Step::Later(GATE_WAIT);
                (closed.kind().to_owned(), closed.to_string(), step)
            }
            Halt::Ledger(error) => {
                let wait = self.backoff.wait(None);
                ("ledger".to_owned(), error.to_string(), Step::Later(wait))
            }
            Halt::Full(stands) => (
                "quarantine".to_owned(),
                format!(
                    "the quarantine is full ({} entries, {} bytes; limits.max_quarantine_bytes), so this source is not polled; look with `watchbell state quarantine list`, then retry or drop",
                    stands.quarantined, stands.quarantined_bytes
                ),
                Step::Stuck(self.backoff.slowly().min(Duration::from_secs(10))),
            ),
            Halt::Pull(error, verdict) => {
                let step = match verdict {
                    Verdict::Mend => Step::Stuck(self.backoff.slowly()),
                    Verdict::Throttled(asked) | Verdict::Later(asked) => {
                        Step::Later(self.backoff.wait(asked))
                    }
                    _ => Step::Later(self.backoff.wait(None)),
                };
                (error.kind(), error.to_string(), step)
            }
        };
        if let Some(say) = self.trouble.met_kind(&kind, &words) {
            let next = match step {
                Step::Later(wait) | Step::Stuck(wait) => wait.as_secs(),
                _ => 0,
            };
            tracing::error!(source = %self.name, retry_in_secs = next, "{say}");
            let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
            // The ledger may be what is wrong.
            let _ = blocking(move || ledger.failed(id, local_now(), &words)).await;
        }
        step
    }
}

/// What a poll reads: from the cursor less `back` to the service's now.
pub(super) fn range(
    settings: &Source,
    stands: Stands,
    now: DateTime<Utc>,
    back: TimeDelta,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let settled = now - settings.reading.settle;
    let to = match settings.until {
        Some(until) => until.resolve(now).min(settled),
        None => settled,
    };
    let from = match (stands.cursor, stands.keys_from) {
        (None, _) => settings.since.resolve(now),
        (Some(cursor), None) => instant(cursor),
        // Below that, what was delivered is not known any more.
        (Some(cursor), Some(keys)) => (instant(cursor) - back).max(instant(keys)),
    };
    (from < to).then_some((from, to))
}

/// The gaps among what is in quarantine.
pub(super) fn gaps_of(held: &[Quarantined]) -> Vec<Span> {
    let gaps = held.iter().filter(|one| one.kind == Unread::Gap);
    gaps.map(|one| Span {
        from: instant(one.from),
        to: instant(one.to),
    })
    .collect()
}

pub(super) fn is_full(rows: &Rows, limit: Option<NonZeroU32>) -> bool {
    limit.is_some_and(|limit| rows.count() >= usize::try_from(limit.get()).unwrap_or(usize::MAX))
}

/// The local time, for people.
pub(super) fn local_now() -> Time {
    nanos(Utc::now())
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
