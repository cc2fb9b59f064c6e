//! Which feed is polled when.
//!
//! Feeds have slots and not tasks: an idle tenant costs a few hundred bytes. Those that are
//! due are polled in the order in which they became due, under three bounds: polls under
//! way, bytes of answers in memory, and for feeds that are slow or have large answers a
//! quarter of the polls and half of the bytes. A feed with much to read gives its permit back
//! after a second and goes to the end of the queue, so nobody waits for its backlog; one
//! that waits for its service holds no more than one of the slow permits.

mod poll_run;
mod slot;

use super::clock::Clock;
use super::feed::{Feed, PollStatus};
use super::memory_budget::MemoryBudget;
use crate::exit::Exit;
use hdrhistogram::Histogram;
use poll_run::{FinishedPoll, Permit, Permits};
use slot::Slot;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use watchbell_ledger::FeedId;

/// The longest time between the first polls of two feeds that follow each other: a few
/// tenants need not wait for an interval to pass, and many begin evenly over it.
const MOST_SPREAD: Duration = Duration::from_millis(100);

/// With `--once`, a feed is given up whose next try is further away than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks for memory while nobody polls.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(50);

/// How polling went.
#[derive(Debug)]
pub struct PollingReport {
    /// Polls that were begun.
    pub polls: u64,
    /// Polls that were due and never begun, since the one before was under way or there
    /// was no permit.
    pub missed: u64,
    /// Feeds that were not read up to now.
    pub behind: Vec<FeedBehind>,
    /// Microseconds from when a poll was due to when it began.
    pub start_lag: Histogram<u64>,
}

impl Default for PollingReport {
    fn default() -> Self {
        Self {
            polls: 0,
            missed: 0,
            behind: Vec::new(),
            start_lag: lag(),
        }
    }
}

#[expect(clippy::expect_used, reason = "one to five digits are right")]
fn lag() -> Histogram<u64> {
    Histogram::new(2).expect("two digits")
}

/// A feed that was not read up to now.
#[derive(Debug)]
pub struct FeedBehind {
    /// What it is called where a person reads it.
    pub title: String,
    /// Why its last poll failed, and the exit code that says so.
    pub failure: Option<(Exit, String)>,
}

impl FeedBehind {
    fn new(feed: &Feed) -> Self {
        Self {
            title: feed.title(),
            failure: feed.last_failure().cloned(),
        }
    }
}

/// What is changed while it runs.
#[derive(Default)]
pub struct FeedChanges {
    /// Feeds that are there from now on, or in place of those with their numbers.
    pub put: Vec<Feed>,
    /// Feeds that are not there any more.
    pub remove: Vec<FeedId>,
}

/// Feeds and when each is due.
pub struct Scheduler {
    slots: HashMap<FeedId, Slot>,
    due: BinaryHeap<Reverse<(Instant, u64, FeedId)>>,
    /// Counts what was put into the heap, so that equals come out in order.
    count: u64,
    running: JoinSet<FinishedPoll>,
    most: usize,
    permits: Permits,
    clock: Arc<dyn Clock>,
    /// Those that are slow or large and wait for a permit of that kind.
    slow_queue: VecDeque<FeedId>,
    /// The first of the quick ones, which waits for memory for its answer.
    first: Option<FeedId>,
    stop: CancellationToken,
    /// How often each is polled; none: for ever.
    polls: Option<usize>,
    report: PollingReport,
}

impl Scheduler {
    /// With at most that many polls at one time, until `stop`; each feed is polled for
    /// ever, or `polls` times.
    #[must_use]
    pub fn new(
        concurrency: u32,
        memory: MemoryBudget,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        polls: Option<usize>,
    ) -> Self {
        let most = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        Self {
            slots: HashMap::new(),
            due: BinaryHeap::new(),
            count: 0,
            running: JoinSet::new(),
            most,
            permits: Permits::new(most, memory, Arc::clone(&clock)),
            clock,
            slow_queue: VecDeque::new(),
            first: None,
            stop,
            polls,
            report: PollingReport::default(),
        }
    }

    /// Polls `feeds` until told to stop, or until each was polled as often as it should be.
    pub async fn run(
        mut self,
        feeds: Vec<Feed>,
        mut changes: mpsc::Receiver<FeedChanges>,
    ) -> PollingReport {
        self.put(feeds);
        let mut is_open = true;
        loop {
            self.start_polls();
            if self.is_over() {
                return self.report;
            }
            let wake = self.wake();
            let sleeping = match wake {
                Some(at) => self.clock.sleep_until(at),
                None => Box::pin(std::future::pending()),
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                change = changes.recv(), if is_open => match change {
                    Some(change) => self.change(change),
                    None => is_open = false,
                },
                Some(done) = self.running.join_next() => self.end_poll(done),
                () = sleeping => {}
            }
        }
        self.finish().await
    }

    /// When something may change though no poll ends.
    fn wake(&self) -> Option<Instant> {
        let due = self.due.peek().map(|Reverse((at, ..))| *at);
        // Without a permit, only a poll that ends changes anything, or one more that is due:
        // then permits are wanted.
        if self.running.len() >= self.most {
            return due.filter(|_| !self.permits.is_wanted());
        }
        // A backfill may give room back, and nobody tells.
        let room = self.clock.monotonic() + LOOK_FOR_ROOM_EVERY;
        match (self.first, self.slow_queue.front()) {
            (Some(_), _) => Some(room),
            (None, Some(_)) => Some(due.map_or(room, |due| due.min(room))),
            (None, None) => due,
        }
    }

    /// Gives feeds slots, their first polls spread; one that is there already is replaced, and
    /// keeps its time.
    fn put(&mut self, feeds: Vec<Feed>) {
        let now = self.clock.monotonic();
        let count = u32::try_from(feeds.len().max(1)).unwrap_or(u32::MAX);
        for (index, feed) in (0_u32..).zip(feeds) {
            let apart = (feed.period() / count).min(MOST_SPREAD);
            self.put_one(Box::new(feed), now + apart * index);
        }
    }

    fn put_one(&mut self, mut feed: Box<Feed>, spread: Instant) {
        let id = feed.id();
        let Some(slot) = self.slots.get_mut(&id) else {
            self.slots.insert(id, Slot::new(feed, spread, self.polls));
            return self.enqueue(id, spread);
        };
        slot.is_gone = false;
        let Some(old) = slot.feed.take() else {
            slot.next = Some(feed);
            return;
        };
        let is_same_period = old.period() == feed.period();
        feed.inherit(*old);
        slot.feed = Some(feed);
        // Its settings may be what it waited for, or say when it is due.
        if !(slot.is_new && is_same_period) {
            slot.tick = spread;
            slot.is_new = true;
            self.enqueue(id, spread);
        }
    }

    fn enqueue(&mut self, id: FeedId, at: Instant) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.at = at;
        }
        self.count += 1;
        self.due.push(Reverse((at, self.count, id)));
    }

    /// Whether nothing more will happen: only where each is polled so many times.
    fn is_over(&self) -> bool {
        self.polls.is_some() && self.slots.is_empty() && self.running.is_empty()
    }

    fn change(&mut self, change: FeedChanges) {
        for id in change.remove {
            match self.slots.get_mut(&id) {
                Some(slot) if slot.feed.is_none() => {
                    slot.is_gone = true;
                    slot.next = None;
                }
                _ => drop(self.slots.remove(&id)),
            }
        }
        self.put(change.put);
    }

    /// Gives out the permits that are free.
    fn start_polls(&mut self) {
        while self.running.len() < self.most {
            // A quarter at most are slow, so that goes first.
            if !(self.start_slow() || self.start_quick()) {
                break;
            }
        }
        let now = self.clock.monotonic();
        let is_due = self.due.peek().is_some_and(|Reverse((at, ..))| *at <= now);
        let is_wanted = self.first.is_some() || !self.slow_queue.is_empty() || is_due;
        self.permits.want(is_wanted);
    }

    /// Begins the poll of the one that has been due longest. One that is slow or large
    /// goes to a queue of its own.
    fn start_quick(&mut self) -> bool {
        while let Some(id) = self.first.take().or_else(|| self.next_due()) {
            let Some(max_bytes) = self.max_answer_bytes(id) else {
                continue;
            };
            let is_slow = self.slots.get(&id).is_some_and(|slot| slot.is_slow);
            if is_slow || self.permits.is_large(max_bytes) {
                self.slow_queue.push_back(id);
                continue;
            }
            let Some(permit) = self.permits.try_quick(max_bytes) else {
                self.first = Some(id);
                return false;
            };
            return self.begin(id, permit);
        }
        false
    }

    fn start_slow(&mut self) -> bool {
        while let Some(id) = self.slow_queue.pop_front() {
            let Some(max_bytes) = self.max_answer_bytes(id) else {
                continue;
            };
            let Some(permit) = self.permits.try_slow(max_bytes) else {
                self.slow_queue.push_front(id);
                return false;
            };
            return self.begin(id, permit);
        }
        false
    }

    /// What the next answer of one that waits may have; none for one that is gone.
    fn max_answer_bytes(&self, id: FeedId) -> Option<u64> {
        Some(self.slots.get(&id)?.feed.as_ref()?.max_answer_bytes())
    }

    /// The one that has been due longest, unless none is due.
    fn next_due(&mut self) -> Option<FeedId> {
        let now = self.clock.monotonic();
        loop {
            let Reverse((at, _, id)) = *self.due.peek()?;
            if at > now {
                return None;
            }
            self.due.pop();
            // An entry that a later one replaced, or of a feed that is gone, counts for
            // nothing.
            let waits = |slot: &Slot| slot.feed.is_some() && slot.at == at;
            if self.slots.get(&id).is_some_and(waits) {
                return Some(id);
            }
        }
    }

    fn begin(&mut self, id: FeedId, permit: Permit) -> bool {
        let Some(slot) = self.slots.get_mut(&id) else {
            return false;
        };
        let Some(feed) = slot.feed.take() else {
            return false;
        };
        if std::mem::take(&mut slot.is_new) {
            self.report.polls += 1;
            let lag = self.clock.monotonic().saturating_duration_since(slot.tick);
            let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
            self.report.start_lag.saturating_record(micros);
        }
        let span = feed.span();
        let polling = poll_run::poll(feed, permit, self.permits.clone(), self.stop.clone());
        self.running.spawn(polling.instrument(span));
        true
    }

    fn end_poll(&mut self, done: Result<FinishedPoll, tokio::task::JoinError>) {
        let FinishedPoll {
            mut feed,
            status,
            was_slow,
        } = match done {
            Ok(finished) => finished,
            // A poll catches what panics, and none is aborted.
            Err(error) => {
                tracing::error!(%error, "a source's task ended by a defect of ours");
                return;
            }
        };
        let id = feed.id();
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if slot.is_gone {
            self.slots.remove(&id);
            return;
        }
        let now = self.clock.monotonic();
        let is_replaced = slot.next.is_some();
        if let Some(mut next) = slot.next.take() {
            next.inherit(*feed);
            feed = next;
        }
        slot.is_slow = was_slow;
        let period = feed.period();
        let must_end = slot.left.is_some();
        let at = match status {
            Some(PollStatus::UpToDate) => {
                if let Some(left) = &mut slot.left {
                    *left -= 1;
                    if *left == 0 {
                        self.slots.remove(&id);
                        return;
                    }
                }
                let (at, missed) = slot.advance(period, now);
                feed.count_missed(missed);
                self.report.missed += missed;
                at
            }
            // To the end of the queue.
            None | Some(PollStatus::HasMore) => now,
            Some(PollStatus::Stopped) => {
                self.slots.remove(&id);
                return;
            }
            // The new settings may be what it waited for.
            Some(PollStatus::RetryIn(_) | PollStatus::Blocked(_)) if is_replaced => now,
            Some(PollStatus::Blocked(_)) if must_end => return self.give_up(id, &feed),
            Some(PollStatus::RetryIn(wait)) if must_end && (feed.is_spent() || wait > PATIENCE) => {
                return self.give_up(id, &feed);
            }
            Some(PollStatus::RetryIn(wait) | PollStatus::Blocked(wait)) => {
                slot.back_off(period, now + wait);
                now + wait
            }
        };
        slot.feed = Some(feed);
        self.enqueue(id, at);
    }

    fn give_up(&mut self, id: FeedId, feed: &Feed) {
        self.report.behind.push(FeedBehind::new(feed));
        self.slots.remove(&id);
    }

    /// What was found so far is written down; what is under way gets a little time.
    async fn finish(mut self) -> PollingReport {
        let now = self.clock.monotonic();
        let missed = self.slots.values().map(|slot| slot.missed(now));
        self.report.missed += missed.sum::<u64>();
        while let Some(done) = self.running.join_next().await {
            if let Ok(poll) = done
                && self.polls.is_some()
                && poll.status != Some(PollStatus::UpToDate)
            {
                self.report.behind.push(FeedBehind::new(&poll.feed));
            }
        }
        if self.polls.is_some() {
            let waiting = self.slots.values().filter_map(|slot| slot.feed.as_ref());
            let waiting = waiting.map(|feed| FeedBehind::new(feed));
            self.report.behind.extend(waiting);
        }
        self.report
    }
}
