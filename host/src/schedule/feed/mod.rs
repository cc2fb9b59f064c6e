//! A source of one tenant, read window by window, each made durable before the next.
//!
//! A poll reads from the cursor less the overlap up to the service's now. What is known
//! is dropped by its key, so reading the same twice costs nothing but the request. The
//! cursor moves with what it stands for, in one transaction: detections, keys, cursor
//! and quarantine, or none of them.

mod halt;
mod handle;
mod tell;
mod unread;

use super::answer::{self, Keep, Rows, ask, instant, nanos};
use super::backfill::elements;
use super::clock::{Clock, Sighting};
use super::puller::Puller;
use super::retry::{Backoff, Verdict};
use super::strikes::Strikes;
use super::walk::{Pace, Span, Walk};
use crate::config::{Name, Reading, Rescan, Source};
use crate::observe::metrics::Counts;
use crate::observe::{Trouble, printable};
use chrono::{DateTime, TimeDelta, Utc};
use halt::Halt;
pub use halt::Step;
pub(crate) use handle::blocking;
pub use handle::{Epoch, Handle, Shared};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tell::Tally;
use tokio::sync::watch;
pub(super) use unread::gaps_of;
use watchbell_ledger::{Commit, Committed, Covered, FeedId, Stands, Time};

/// How long a turn is, for one that has much to read.
const TURN: Duration = Duration::from_secs(1);

/// Bytes of the first answer, which nobody knows yet, and of the ones after it at least:
/// 1,000 detections, and 120. One that is larger is asked for again with more room.
const FIRST_ROOM: u64 = 2 << 20;
const LEAST_ROOM: u64 = 256 << 10;

/// Keys are kept that much longer than they are needed.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// What an entry of the quarantine counts for at least, so that small ones end too.
const QUARANTINE_ENTRY: u64 = 1024;

/// A source of one tenant and how far it was read.
pub struct Feed {
    name: Name,
    puller: Arc<Puller>,
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
    /// When the walk under way began, if it goes further back than the overlap.
    rescans: Option<DateTime<Utc>>,
    /// The service was seen to ignore the upper bound: narrowing is no use then. Kept from
    /// turn to turn, until a window was read.
    unbounded: bool,
    /// Bytes that the next answer may have: what is reserved for a turn.
    room: u64,
    /// A person must mend something, and until then it is tried again only when the secret
    /// changes.
    naps_until: Option<Instant>,
    looked_anew: Instant,
    counts: Counts,
    stop: watch::Receiver<bool>,
}

impl Feed {
    /// Of a handle: what others work on, and this reads.
    #[must_use]
    pub fn new(handle: &Handle, stop: watch::Receiver<bool>) -> Self {
        let pace = Pace::new(handle.puller.settings().reading.max_window);
        Self {
            name: handle.name.clone(),
            puller: Arc::clone(&handle.puller),
            shared: handle.shared.clone(),
            id: handle.id,
            clock: Clock::start(),
            token_seen: None,
            pace,
            walk: None,
            epoch: Arc::clone(&handle.epoch),
            epoch_seen: 0,
            strikes: Strikes::default(),
            backoff: Backoff::default(),
            trouble: Trouble::default(),
            bounds_trouble: Trouble::default(),
            skew_trouble: Trouble::default(),
            rescans: None,
            unbounded: false,
            room: FIRST_ROOM,
            naps_until: None,
            looked_anew: Instant::now(),
            counts: Counts::of(handle.name.as_str(), handle.tenant()),
            stop,
        }
    }

    /// Its number in the ledger.
    #[must_use]
    pub fn id(&self) -> FeedId {
        self.id
    }

    /// From the start of one poll to the start of the next.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.puller.settings().scrape_interval
    }

    /// Bytes that must be reserved for its next turn.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.room
            .min(self.puller.settings().max_response_bytes)
            .min(self.shared.flight.largest())
    }

    /// Takes over what another instance of the same feed learned: settings changed, and
    /// where it stands did not.
    pub fn take_over(&mut self, old: Self) {
        if self.puller.settings().reading == old.puller.settings().reading {
            self.pace = old.pace;
        }
        self.room = old.room;
        self.clock = old.clock;
        self.epoch_seen = old.epoch_seen;
        self.trouble = old.trouble;
        self.bounds_trouble = old.bounds_trouble;
        self.skew_trouble = old.skew_trouble;
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Source and tenant, as every line of the log that is about it has them.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        handle::span(&self.name, &self.puller)
    }

    /// What it is called where a person reads it.
    #[must_use]
    pub fn title(&self) -> String {
        handle::title(&self.name, &self.puller)
    }

    /// Whether it was tried so often that one that must end should.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.backoff.is_spent()
    }

    /// Ticks passed without a poll.
    pub fn count_missed(&self, ticks: u64) {
        self.counts.missed.increment(ticks);
    }

    /// Reads up to the service's now, or as far as its turn goes. What goes wrong is logged.
    pub async fn poll(&mut self) -> Step {
        if let Some(nap) = self.nap().await {
            return nap;
        }
        let mut tally = Tally::default();
        let ended = self.read(&mut tally).await;
        self.say(&tally);
        match ended {
            Ok(()) => {
                self.counts.polls.increment(1);
                self.well();
                Step::Done
            }
            Err(halt) => self.halted(halt).await,
        }
    }

    async fn read(&mut self, tally: &mut Tally) -> Result<(), Halt> {
        let began = Instant::now();
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
        let ended = self.go(&mut walk, stands, began, tally).await;
        self.pace = walk.pace();
        match ended {
            Ok(()) => self.end_rescan().await?,
            Err(Halt::Moved) => {}
            Err(_) => self.walk = Some(walk),
        }
        ended
    }

    /// The walk from what was read to the service's now.
    async fn begin(&mut self, stands: Stands) -> Result<Option<Walk>, Halt> {
        let (settings, now) = (self.puller.settings(), self.clock.now());
        let rescan = due_rescan(&settings.reading, stands, now);
        self.rescans = rescan.map(|_| now);
        if let Some(rescan) = rescan.filter(|_| stands.cursor.is_some()) {
            tracing::info!(back = %rescan.back, "reading further back for stragglers");
        }
        let Some((from, to)) = range(settings, stands, now) else {
            return Ok(None);
        };
        let gaps = self.gaps().await?;
        Ok(Some(Walk::new(from, to, gaps, self.pace)))
    }

    async fn go(
        &mut self,
        walk: &mut Walk,
        stood: Stands,
        began: Instant,
        tally: &mut Tally,
    ) -> Result<(), Halt> {
        let limit = self.puller.settings().limit;
        while let Some(window) = walk.window() {
            if *self.stop.borrow() {
                return Err(Halt::Stopped);
            }
            if began.elapsed() >= TURN {
                return Err(Halt::Turn);
            }
            self.check_gate().await?;
            self.puller.take_turn().map_err(Halt::Paced)?;
            let epoch = Arc::clone(&self.epoch);
            let held = epoch.lock().await;
            if *held != self.epoch_seen {
                self.epoch_seen = *held;
                return Err(Halt::Moved);
            }
            let limit = limit.filter(|_| !self.unbounded && !window.is_least());
            let room = self.room();
            let answer = ask(&self.puller, window, limit, room).await;
            self.see(answer.sighting);
            let sent = self.clock.at(answer.sent_at);
            match answer.outcome {
                Ok(rows) => {
                    let is_cut = is_full(&rows, limit);
                    let bytes = rows.bytes;
                    // What was cut short says nothing of the whole.
                    if !is_cut {
                        self.expect(bytes);
                    }
                    let beyond = rows.beyond > 0;
                    let before = tally.above;
                    let done = self.commit_rows(window, rows, sent, is_cut, tally).await?;
                    self.warn_of_late(&done, stood.cursor, sent);
                    let ignores_until = tally.above > before;
                    if is_cut && ignores_until {
                        self.unbounded = true;
                    } else if is_cut || (beyond && !window.is_least()) {
                        walk.narrow(window);
                    } else {
                        // What such a service sends has no measure for a window.
                        walk.read(window, if ignores_until { 0 } else { bytes });
                        self.unbounded = false;
                        self.well();
                    }
                }
                Err(failed) if failed.is_too_large() && self.wants_more_room(room) => {
                    return Err(Halt::Turn);
                }
                Err(failed) => {
                    drop(held);
                    self.judge(walk, window, failed, tally).await?;
                }
            }
        }
        Ok(())
    }

    /// It was read as far back as it should: counted from when that began.
    async fn end_rescan(&mut self) -> Result<(), Halt> {
        if let Some(began) = self.rescans.take() {
            let mut commit = self.step();
            commit.rescanned = Some(nanos(began));
            self.commit(commit).await?;
        }
        Ok(())
    }

    /// The next answer will be about as large as this one.
    fn expect(&mut self, bytes: u64) {
        self.room = bytes.saturating_mul(2).max(LEAST_ROOM);
    }

    /// Whether an answer that did not fit may have more room next time.
    fn wants_more_room(&mut self, had: u64) -> bool {
        self.room = had.saturating_mul(8);
        self.room() > had
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
            tracing::error!(
                count = done.quarantined,
                reason,
                "elements cannot be read; they are in quarantine and the rest goes on (watchbell state quarantine list)"
            );
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
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds fit for ten million years"
        )]
        self.counts.cursor.set(end.timestamp() as f64);
        commit.covered = Some(Covered {
            job: String::new(),
            from: nanos(window.from),
            to: nanos(end),
        });
        // The ledger's cursor may be further already; it keeps the greater one, and
        // forgetting by the smaller one is only later.
        commit.forget_below = end.checked_sub_signed(kept + SLACK).map(nanos);
    }

    async fn stands(&self) -> Result<Stands, Halt> {
        let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
        Ok(blocking(move || ledger.stands(id)).await?)
    }

    async fn check_gate(&self) -> Result<(), Halt> {
        let tenant = &self.puller.settings().tenant;
        let passed = self.shared.gate.pass(self.name.as_str(), tenant).await;
        passed.map_err(Halt::Closed)
    }

    fn step(&self) -> Commit {
        Commit::new(self.id, local_now())
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, Halt> {
        Ok(self.shared.commit(commit).await?)
    }
}

/// What a poll reads: from the cursor less the overlap, or less what a rescan reads if one
/// is due, to the service's now.
pub(super) fn range(
    settings: &Source,
    stands: Stands,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let overlap = settings.reading.overlap;
    let back = due_rescan(&settings.reading, stands, now)
        .map_or(overlap, |rescan| overlap.max(rescan.back));
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

/// The rescan, if it is time for one. The first reading of a feed is one, since it goes as
/// far back as any.
fn due_rescan(reading: &Reading, stands: Stands, now: DateTime<Utc>) -> Option<Rescan> {
    let is_due = |rescan: &Rescan| {
        let last = stands.rescanned.map(instant);
        last.is_none_or(|last| now - last >= rescan.every)
    };
    reading.rescan.filter(is_due)
}

pub(super) fn is_full(rows: &Rows, limit: Option<NonZeroU32>) -> bool {
    limit.is_some_and(|limit| rows.count() >= usize::try_from(limit.get()).unwrap_or(usize::MAX))
}

/// The local time, for people.
pub(crate) fn local_now() -> Time {
    nanos(Utc::now())
}
