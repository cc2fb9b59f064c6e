//! A source of one tenant, read window by window, each made durable before the next.
//!
//! A poll reads from the cursor less the overlap up to the service's now. What is known
//! is dropped by its key, so reading the same twice costs nothing but the request. The
//! cursor moves with what it stands for, in one transaction: detections, keys, cursor
//! and quarantine, or none of them.

mod handle;
mod quarantine;
mod report;
mod stop;

use super::clock::Clock;
use super::reader::{Keep, Remainder, Rows, WindowOutcome, WindowReader, instant, nanos};
use super::retry::Backoff;
use super::service_clock::{ServiceClock, ServiceTime};
use super::window_plan::{TimeRange, WindowPlan, WindowSize, floor};
use crate::exit::Exit;
use crate::names::Name;
use crate::sources::{Polling, Rescan, ServiceDate, SourceClient};
use crate::telemetry::metrics::Counts;
use crate::telemetry::{Incident, printable};
use chrono::{DateTime, TimeDelta, Utc};
pub use handle::{Handle, Shared};
pub(super) use quarantine::gaps;
use report::PollSummary;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub use stop::PollStatus;
use stop::StopReason;
use tokio_util::sync::CancellationToken;
use watchbell_ledger::{Commit, Committed, Covered, FeedId, FeedProgress, Generation};

/// How long a poll goes on that has much to read, before others go first.
const MAX_POLL: Duration = Duration::from_secs(1);

/// Bytes of the first answer, which nobody knows yet: 1,000 detections.
const FIRST_ANSWER_BYTES: u64 = 2 << 20;

/// Keys are kept that much longer than they are needed.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// What an entry of the quarantine counts for at least, so that small ones end too.
const QUARANTINE_ENTRY: u64 = 1024;

/// A source of one tenant and how far it was read.
pub struct Feed {
    name: Name,
    client: Arc<dyn SourceClient>,
    shared: Shared,
    id: FeedId,
    service_clock: ServiceClock,
    token_date: Option<ServiceDate>,
    reader: WindowReader,
    window_size: WindowSize,
    /// What is left of a poll that was interrupted.
    plan: Option<WindowPlan>,
    /// Under which the plan was made.
    generation: Option<Generation>,
    /// When the first window of the plan was asked for that reaches into the overlap before
    /// that time: what came into it since, later windows do not show.
    read_limit: Option<DateTime<Utc>>,
    backoff: Backoff,
    /// Why the last poll failed, as an end of the program says it.
    last_failure: Option<(Exit, String)>,
    incident: Incident,
    bounds_incident: Incident,
    skew_incident: Incident,
    /// It was said that detections hold half a surrogate pair.
    are_halves_reported: bool,
    /// When the poll under way began, if it goes further back than the overlap.
    rescan_began: Option<DateTime<Utc>>,
    /// A person must mend something, and until then it is tried again only when the secret
    /// changes.
    paused_until: Option<Instant>,
    looked_anew: Instant,
    counts: Counts,
    stop: CancellationToken,
}

impl Feed {
    /// Of a handle: what others work on, and this reads.
    #[must_use]
    pub fn new(handle: &Handle, stop: CancellationToken) -> Self {
        let (client, clock) = (&handle.client, &handle.shared.clock);
        Self {
            name: handle.name.clone(),
            client: Arc::clone(client),
            shared: handle.shared.clone(),
            id: handle.id,
            service_clock: ServiceClock::start(&**clock),
            token_date: None,
            reader: WindowReader::new(Arc::clone(client), Arc::clone(clock), FIRST_ANSWER_BYTES),
            window_size: WindowSize::new(client.settings().polling.max_window.delta()),
            plan: None,
            generation: None,
            read_limit: None,
            backoff: Backoff::default(),
            last_failure: None,
            incident: Incident::default(),
            bounds_incident: Incident::default(),
            skew_incident: Incident::default(),
            are_halves_reported: false,
            rescan_began: None,
            paused_until: None,
            looked_anew: clock.monotonic(),
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
        self.client.settings().polling.scrape_interval.duration()
    }

    /// Bytes that must be reserved for its next poll.
    #[must_use]
    pub fn max_answer_bytes(&self) -> u64 {
        self.reader.max_bytes(self.shared.memory.largest())
    }

    /// Takes over what another instance of the same feed learned: settings changed, and
    /// where it stands did not.
    pub fn inherit(&mut self, old: Self) {
        if self.client.settings().polling.max_window == old.client.settings().polling.max_window {
            self.window_size = old.window_size;
        }
        self.reader.inherit_size(&old.reader);
        self.service_clock = old.service_clock;
        self.incident = old.incident;
        self.bounds_incident = old.bounds_incident;
        self.skew_incident = old.skew_incident;
        self.are_halves_reported = old.are_halves_reported;
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Source and tenant, as every line of the log that is about it has them.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        handle::span(&self.name, &*self.client)
    }

    /// What it is called where a person reads it.
    #[must_use]
    pub fn title(&self) -> String {
        handle::title(&self.name, &*self.client)
    }

    /// Why its last poll failed, and the exit code that says so; none when it did not.
    #[must_use]
    pub fn last_failure(&self) -> Option<&(Exit, String)> {
        self.last_failure.as_ref()
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

    /// Reads up to the service's now, or as far as its time goes. What goes wrong is logged.
    pub async fn poll(&mut self) -> PollStatus {
        if let Some(pause) = self.check_pause().await {
            return pause;
        }
        let mut summary = PollSummary::default();
        let ended = self.read(&mut summary).await;
        self.report(&summary);
        match ended {
            Ok(()) => {
                self.counts.polls.increment(1);
                self.end_incident();
                PollStatus::UpToDate
            }
            Err(reason) => self.stop_for(reason).await,
        }
    }

    async fn read(&mut self, summary: &mut PollSummary) -> Result<(), StopReason> {
        let began = self.clock().monotonic();
        self.check_backpressure().await?;
        // The token's answer shows the service's clock, which says what to ask for.
        let date = self.client.authenticate().await.map_err(|error| {
            let class = WindowReader::classify(&error);
            StopReason::Poll(error, class)
        })?;
        if date != self.token_date {
            self.token_date = date;
            self.observe(date.into_iter().collect());
        }
        // First, since it may make room.
        self.retry_quarantined(summary).await?;
        let stands = self.feed_progress().await?;
        let quarantined = stands.quarantined_bytes + stands.quarantined * QUARANTINE_ENTRY;
        if quarantined >= self.client.settings().polling.max_quarantine_bytes() {
            return Err(StopReason::QuarantineFull(stands));
        }
        if self
            .generation
            .replace(stands.generation)
            .is_some_and(|one| one != stands.generation)
        {
            self.plan = None;
            return Err(StopReason::CursorMoved);
        }
        let mut plan = match self.plan.take() {
            Some(plan) => plan,
            None => match self.begin(stands).await? {
                Some(plan) => plan,
                None => return Ok(()),
            },
        };
        let ended = self.read_windows(&mut plan, stands, began, summary).await;
        self.window_size = plan.size();
        match ended {
            Ok(()) => self.end_rescan().await?,
            Err(StopReason::CursorMoved) => {}
            Err(_) => self.plan = Some(plan),
        }
        ended
    }

    /// The windows from what was read to the service's now.
    async fn begin(&mut self, stands: FeedProgress) -> Result<Option<WindowPlan>, StopReason> {
        let polling = &self.client.settings().polling;
        let now = self.service_time(self.clock().monotonic());
        let rescan = due_rescan(polling, stands, now.latest);
        self.rescan_began = rescan.map(|_| now.earliest);
        if let Some(rescan) = rescan.filter(|_| stands.cursor.is_some()) {
            tracing::info!(back = %rescan.back.delta(), "reading further back for stragglers");
        }
        let Some((from, to)) = poll_range(polling, stands, now) else {
            return Ok(None);
        };
        self.read_limit = None;
        let gaps = gaps(&*self.shared.ledger, self.id).await?;
        Ok(Some(WindowPlan::new(from, to, gaps, self.window_size)))
    }

    async fn read_windows(
        &mut self,
        plan: &mut WindowPlan,
        stood: FeedProgress,
        began: Instant,
        summary: &mut PollSummary,
    ) -> Result<(), StopReason> {
        while let Some(window) = plan.next_window() {
            if self.stop.is_cancelled() {
                return Err(StopReason::Stopped);
            }
            if self.clock().elapsed(began) >= MAX_POLL {
                return Err(StopReason::Yield);
            }
            self.check_backpressure().await?;
            let permit = self.client.try_acquire_request();
            permit.map_err(StopReason::RateLimited)?;
            let answer = self.reader.read(window, self.shared.memory.largest()).await;
            self.observe_answers();
            let sent = self.service_time(answer.sent_at).earliest;
            match answer.outcome {
                WindowOutcome::Rows(rows, remainder) => {
                    let (bytes, ignores_until) = (rows.bytes, rows.lie_beyond(window));
                    let read_at = (remainder == Remainder::Nothing).then_some(sent);
                    let done = self.commit_rows(window, rows, read_at, summary).await?;
                    self.warn_of_late(&done, stood.cursor, sent);
                    match remainder {
                        Remainder::Everything => {}
                        Remainder::Halves => _ = plan.halve(window),
                        Remainder::Nothing => {
                            // What such a service sends has no measure for a window.
                            plan.mark_read(window, if ignores_until { 0 } else { bytes });
                            self.end_incident();
                        }
                    }
                }
                WindowOutcome::NeedsMemory => return Err(StopReason::Yield),
                WindowOutcome::Failed(failed) => {
                    self.handle_failure(plan, window, failed, summary).await?;
                }
            }
        }
        Ok(())
    }

    /// It was read as far back as it should: counted from when that began.
    async fn end_rescan(&mut self) -> Result<(), StopReason> {
        if let Some(began) = self.rescan_began.take() {
            let mut commit = self.new_commit();
            commit.generation = self.generation;
            commit.rescanned = Some(nanos(began));
            self.shared.commit(commit).await?;
        }
        Ok(())
    }

    /// Writes a window's rows down. `read_at` says when a window was asked for that was read
    /// to its end; of another, the rows go on and the cursor stays.
    async fn commit_rows(
        &mut self,
        window: TimeRange,
        rows: Rows,
        read_at: Option<DateTime<Utc>>,
        summary: &mut PollSummary,
    ) -> Result<Committed, StopReason> {
        let keys_from = self.feed_progress().await?.keys_from;
        let keys_from = keys_from.unwrap_or_else(|| nanos(window.from));
        summary.windows += 1;
        summary.read += rows.count();
        self.warn_of_halves(&rows.alerts);
        let mut commit = self.new_commit();
        commit.generation = self.generation;
        commit.quarantine = rows.quarantine(window);
        for unread in &mut commit.quarantine {
            // Of what lies below no keys are held, so it is not asked for again.
            unread.from = unread.from.max(keys_from);
        }
        commit.keys_from = Some(keys_from);
        commit.read_to = Some(nanos(window.to));
        let reason = printable(&rows.reason).to_string();
        let sorted = rows.into_records(window, Keep::From(keys_from));
        summary.below += sorted.below;
        summary.above += sorted.above;
        commit.records = sorted.records;
        if let Some(sent) = read_at {
            self.advance(&mut commit, window, sent);
        }
        let done = self.shared.commit(commit).await?;
        summary.fresh += done.fresh;
        summary.duplicates += done.duplicates;
        summary.quarantined += done.quarantined;
        if done.quarantined > 0 {
            tracing::error!(
                count = done.quarantined,
                reason,
                "elements cannot be read; they are in quarantine and the rest goes on (watchbell state quarantine list)"
            );
        }
        Ok(done)
    }

    /// The window was read: the cursor moves to its end, though never past the earliest time
    /// that it may have been at the service when the first window of the plan was asked for
    /// that reaches into the overlap. What comes late into that window, the next poll reads:
    /// it begins one overlap before the cursor, however long the rest of this plan takes.
    fn advance(&mut self, commit: &mut Commit, window: TimeRange, sent: DateTime<Utc>) {
        let polling = &self.client.settings().polling;
        let sent = self.read_limit.map_or(sent, |limit| limit.min(sent));
        if window.to > sent - polling.overlap.delta() {
            self.read_limit = Some(sent);
        }
        // Windows are whole milliseconds, and so is what counts as read.
        let end = floor(window.to.min(sent));
        let overlap = polling.overlap.delta();
        let back = polling
            .rescan
            .map_or(TimeDelta::zero(), |rescan| rescan.back.delta());
        commit.cursor = Some(nanos(end));
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds fit for ten million years"
        )]
        self.counts.cursor.set(end.timestamp() as f64);
        commit.covered = (window.from < end).then(|| Covered {
            job: String::new(),
            from: nanos(window.from),
            to: nanos(end),
        });
        // The ledger's cursor may be further already; it keeps the greater one, and
        // forgetting by the smaller one is only later.
        let below = |kept: TimeDelta| end.checked_sub_signed(kept + SLACK).map(nanos);
        commit.forget_below = below(overlap.max(back));
        commit.forget_undated_below = below((overlap + back) * 2);
    }

    async fn feed_progress(&self) -> Result<FeedProgress, StopReason> {
        Ok(self.shared.ledger.feed_progress(self.id).await?)
    }

    async fn check_backpressure(&self) -> Result<(), StopReason> {
        let tenant = &self.client.settings().tenant;
        let checked = self.shared.backpressure.check(self.name.as_str(), tenant);
        Ok(checked.await?)
    }

    fn observe_answers(&mut self) {
        let dates = self.reader.take_dates();
        self.observe(dates);
    }

    fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    fn service_now(&self) -> DateTime<Utc> {
        self.service_clock.at(self.clock().monotonic())
    }

    /// What the service's time may have been.
    fn service_time(&self, when: Instant) -> ServiceTime {
        let passed = TimeDelta::from_std(self.clock().elapsed(when)).unwrap_or_default();
        let local = self.clock().wall().checked_sub_signed(passed);
        let local = local.unwrap_or_else(|| self.clock().wall());
        self.service_clock.between(when, local)
    }

    fn new_commit(&self) -> Commit {
        Commit::new(self.id, self.clock().ledger_time())
    }
}

/// What a poll reads: from the cursor less the overlap, or less what a rescan reads if one
/// is due, to the service's now.
pub(super) fn poll_range(
    polling: &Polling,
    stands: FeedProgress,
    now: ServiceTime,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let overlap = polling.overlap.delta();
    let back = due_rescan(polling, stands, now.latest)
        .map_or(overlap, |rescan| overlap.max(rescan.back.delta()));
    let settled = now.latest - polling.settle.delta();
    let to = match polling.until {
        Some(until) => until.resolve(now.latest).min(settled),
        None => settled,
    };
    let from = match (stands.cursor, stands.keys_from) {
        (None, _) => polling.since.resolve(now.earliest),
        (Some(cursor), None) => instant(cursor),
        // Below that, what was delivered is not known any more.
        (Some(cursor), Some(keys)) => (instant(cursor) - back).max(instant(keys)),
    };
    (from < to).then_some((from, to))
}

/// The rescan, if it is time for one. The first reading of a feed is one, since it goes as
/// far back as any.
fn due_rescan(polling: &Polling, stands: FeedProgress, now: DateTime<Utc>) -> Option<Rescan> {
    let is_due = |rescan: &Rescan| {
        let last = stands.rescanned.map(instant);
        last.is_none_or(|last| now - last >= rescan.every.delta())
    };
    polling.rescan.filter(is_due)
}
