//! A source of one tenant, read window by window, each made durable before the next.
//!
//! A poll reads from the cursor less the overlap up to the service's now. What is known
//! is dropped by its key, so reading the same twice costs nothing but the request. The
//! cursor moves with what it stands for, in one transaction: detections, keys, cursor
//! and quarantine, or none of them.

use super::answer::{self, Answer, Failed, Keep, Rows, ask, instant, nanos};
use super::backfill::elements;
use super::clock::{Clock, Sighting};
use super::error::PullError;
use super::flight::Flight;
use super::gate::{Closed, Gate};
use super::puller::Puller;
use super::retry::{Backoff, Verdict};
use super::strikes::Strikes;
use super::walk::{Pace, Span, Walk};
use crate::config::{Name, Source};
use crate::observe::metrics::Counts;
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

/// How long a turn is, for one that has much to read.
const TURN: Duration = Duration::from_secs(1);

/// Bytes of the first answer, which nobody knows yet, and of the ones after it at least:
/// 2,000 detections, and 120.
const FIRST_ROOM: u64 = 4 << 20;
const LEAST_ROOM: u64 = 256 << 10;

/// A secret that was refused is looked at that often, a program asked for it that often.
const LOOK_AT_SECRET_EVERY: Duration = Duration::from_secs(5);
const ASK_PROGRAM_EVERY: Duration = Duration::from_secs(60);

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
    /// Bytes of answers that may be in memory.
    pub flight: Flight,
}

impl Shared {
    /// Writes a step of reading down, and tells those who deliver.
    pub(super) async fn commit(&self, commit: Commit) -> Result<Committed, ledger::Error> {
        let ledger = Arc::clone(&self.ledger);
        let done = blocking(move || ledger.commit(commit)).await?;
        if !done.entries.is_empty() {
            self.gate.look_again();
            self.news.send_modify(|count| *count += 1);
        }
        Ok(done)
    }
}

/// Held while a window is read; whoever moves the cursor by hand takes it and counts up.
pub type Epoch = Arc<Mutex<u64>>;

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
    rescanned: Instant,
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

/// What others need to work on the same feed.
#[derive(Clone)]
pub struct Handle {
    /// The source's name.
    pub name: Name,
    /// Its number in the ledger.
    pub id: FeedId,
    /// How it is asked.
    pub puller: Arc<Puller>,
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

    /// What its tenant is called.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.puller.settings().tenant
    }

    /// Source and tenant, as every line of the log that is about it has them.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        span(&self.name, &self.puller)
    }
}

/// An error's span, so that no filter for lines takes it from the lines that pass.
fn span(name: &Name, puller: &Puller) -> tracing::Span {
    tracing::error_span!("feed", source = %name, tenant = %puller.settings().tenant)
}

fn title(name: &Name, puller: &Puller) -> String {
    format!("{name} ({})", puller.settings().tenant)
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Everything up to now was read.
    Done,
    /// There is more, and it is the others' turn first.
    More,
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
    /// It had its turn, or needs more room for an answer than it reserved.
    Turn,
    /// Its rate limit.
    Paced(Duration),
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
            rescanned: Instant::now(),
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
        self.clock = old.clock;
        self.epoch_seen = old.epoch_seen;
        self.trouble = old.trouble;
        self.bounds_trouble = old.bounds_trouble;
        self.skew_trouble = old.skew_trouble;
        self.rescanned = old.rescanned;
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Source and tenant, as every line of the log that is about it has them.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        span(&self.name, &self.puller)
    }

    /// What it is called where a person reads it.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.name, &self.puller)
    }

    /// Whether it was tried so often that one that must end should.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.backoff.is_spent()
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
                self.well();
                Step::Done
            }
            Err(halt) => self.halted(halt).await,
        }
    }

    /// Whether it waits for a person, and the secret is still the one that was refused.
    async fn nap(&mut self) -> Option<Step> {
        let left = self.naps_until?.checked_duration_since(Instant::now());
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            self.naps_until = None;
            return None;
        };
        let anew = self.looked_anew.elapsed() >= ASK_PROGRAM_EVERY;
        if anew {
            self.looked_anew = Instant::now();
        }
        if self.puller.has_new_secret(anew).await {
            tracing::info!("the secret has changed; trying again");
            self.naps_until = None;
            return None;
        }
        Some(Step::Stuck(left.min(LOOK_AT_SECRET_EVERY)))
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
                tracing::info!(back = %rescan.back, "reading further back for stragglers");
            }
        }
        let Some((from, to)) = range(self.puller.settings(), stands, self.clock.now(), back) else {
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
                    if is_cut && tally.above > before {
                        self.unbounded = true;
                    } else if is_cut || (beyond && !window.is_least()) {
                        walk.narrow(window);
                    } else {
                        walk.read(window, bytes);
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
            tracing::info!(%error, from = %window.from, length_ms = length, "asking for less at a time");
            // Each narrower window is a new attempt and not one more of the same.
            self.backoff.reset();
            return Ok(());
        }
        tracing::error!(%error, from = %window.from, to = %window.to,
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
        } = ask(&self.puller, other, None, self.room()).await;
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
        let room = self.puller.settings().max_response_bytes;
        // Waiting with a reservation in hand could be for ever.
        let Some(_reserved) = self.shared.flight.try_reserve(room) else {
            return Ok(());
        };
        let answer = ask(&self.puller, window, None, room).await;
        self.see(answer.sighting);
        let ledger = Arc::clone(&self.shared.ledger);
        let id = held.id;
        let rows = match answer.outcome {
            Ok(rows) => rows,
            Err(failed) => {
                tracing::warn!(id = id.0, error = %failed.error, "still in quarantine");
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
        tracing::info!(id = id.0, new = done.fresh, "out of quarantine");
        Ok(())
    }

    async fn quarantined(&self) -> Result<Vec<Quarantined>, Halt> {
        let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
        Ok(blocking(move || ledger.quarantined(Some(id))).await?)
    }

    async fn gaps(&self) -> Result<Vec<Span>, Halt> {
        Ok(gaps_of(&self.quarantined().await?))
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

    fn see(&mut self, sighting: Option<Sighting>) {
        if let Some(sighting) = sighting
            && let Err(odd) = self.clock.see(sighting)
        {
            tracing::warn!("{odd}");
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
            tracing::warn!("{say}");
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
            tracing::warn!(
                overlap_secs = overlap.num_seconds(),
                late_secs = (sent - instant(oldest)).num_seconds(),
                "a detection came so late that more than half the overlap was used; raise overlap_secs, or set rescan"
            );
        }
    }

    fn say(&mut self, tally: &Tally) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.counts.polls.increment(1);
        self.counts.new.increment(count(tally.fresh));
        self.counts.known.increment(count(tally.duplicates));
        self.counts.quarantined.increment(count(tally.quarantined));
        if tally.fresh > 0 || tally.quarantined > 0 {
            tracing::info!(
                new = tally.fresh,
                read = tally.read,
                known = tally.duplicates,
                windows = tally.windows,
                quarantined = tally.quarantined,
                "polled"
            );
        } else {
            tracing::debug!(read = tally.read, windows = tally.windows, "polled");
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
            tracing::warn!("{say}");
        }
    }

    fn well(&mut self) {
        self.backoff.reset();
        if let Some(say) = self.trouble.over() {
            tracing::info!("{say}");
        }
    }

    /// Says why, and how long to wait.
    async fn halted(&mut self, halt: Halt) -> Step {
        let (kind, words, step) = match halt {
            Halt::Moved => {
                tracing::info!("the cursor was set by hand; reading on from there");
                return Step::Later(Duration::ZERO);
            }
            Halt::Stopped => return Step::Stopped,
            Halt::Turn => return Step::More,
            Halt::Paced(wait) => return Step::Later(wait),
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
                    Verdict::Mend => self.stuck(),
                    Verdict::Throttled(asked) | Verdict::Later(asked) => {
                        Step::Later(self.backoff.wait(asked))
                    }
                    _ => Step::Later(self.backoff.wait(None)),
                };
                (error.kind(), error.to_string(), step)
            }
        };
        self.counts.failed(&kind);
        if let Some(say) = self.trouble.met_kind(&kind, &words) {
            let next = match step {
                Step::Later(wait) | Step::Stuck(wait) => wait.as_secs(),
                _ => 0,
            };
            tracing::error!(retry_in_secs = next, "{say}");
            let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
            // The ledger may be what is wrong.
            let _ = blocking(move || ledger.failed(id, local_now(), &words)).await;
        }
        step
    }

    /// A person must mend something. A secret may be mended without a restart.
    fn stuck(&mut self) -> Step {
        let wait = self.backoff.slowly();
        if !self.puller.is_secret_refused() {
            return Step::Stuck(wait);
        }
        self.naps_until = Some(Instant::now() + wait);
        self.looked_anew = Instant::now();
        Step::Stuck(wait.min(LOOK_AT_SECRET_EVERY))
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
