//! Whose turn it is.
//!
//! Feeds are seats and not tasks: an idle tenant costs a few hundred bytes. Those that are
//! due are served in the order in which they became due, under three bounds: turns under
//! way, bytes of answers in memory, and for feeds that are slow or have large answers a
//! quarter of the turns and half of the bytes. A feed with much to read gives its place up
//! after a second and goes to the end of the row, so nobody waits for its backlog; one
//! that waits for its service holds no more than one of the slow places.

mod seat;
mod turn;

use super::feed::{Feed, Step};
use super::flight::Flight;
use hdrhistogram::Histogram;
use seat::Seat;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;
use turn::{Hold, Places, Turn, turn};
use watchbell_ledger::FeedId;

/// The longest time between the first polls of two feeds that follow each other: a few
/// tenants need not wait for an interval to pass, and many begin evenly over it.
const MOST_SPREAD: Duration = Duration::from_millis(100);

/// The longest wait that a reading which must end puts up with.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks for room while nobody has a turn.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(50);

/// How polling went.
#[derive(Debug)]
pub struct Polled {
    /// Polls that were begun.
    pub polls: u64,
    /// Polls that were due and never begun, since the one before was under way or there
    /// was no place.
    pub missed: u64,
    /// Feeds that were not read up to now.
    pub behind: Vec<String>,
    /// Microseconds from when a poll was due to when it began.
    pub start_lag: Histogram<u64>,
}

impl Default for Polled {
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

/// What is changed while it runs.
#[derive(Default)]
pub struct Change {
    /// Feeds that are there from now on, or in place of those with their numbers.
    pub put: Vec<Feed>,
    /// Feeds that are not there any more.
    pub remove: Vec<FeedId>,
}

/// Feeds and when each is due.
pub struct Turns {
    seats: HashMap<FeedId, Seat>,
    due: BinaryHeap<Reverse<(Instant, u64, FeedId)>>,
    /// Counts what was put into the heap, so that equals come out in order.
    count: u64,
    running: JoinSet<Turn>,
    most: usize,
    places: Places,
    /// Those that are slow or large and wait for a place of that kind.
    slow_row: VecDeque<FeedId>,
    /// The first in the row of the quick, which waits for room for its answer.
    first: Option<FeedId>,
    stop: watch::Receiver<bool>,
    /// How often each is polled; none: for ever.
    polls: Option<usize>,
    polled: Polled,
}

impl Turns {
    /// With at most that many turns at one time, until `stop`; each feed is polled for
    /// ever, or `polls` times.
    #[must_use]
    pub fn new(
        concurrency: u32,
        flight: Flight,
        stop: watch::Receiver<bool>,
        polls: Option<usize>,
    ) -> Self {
        let most = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        Self {
            seats: HashMap::new(),
            due: BinaryHeap::new(),
            count: 0,
            running: JoinSet::new(),
            most,
            places: Places::new(most, flight),
            slow_row: VecDeque::new(),
            first: None,
            stop,
            polls,
            polled: Polled::default(),
        }
    }

    /// Polls `feeds` until told to stop, or until each was polled as often as it should be.
    pub async fn run(mut self, feeds: Vec<Feed>, mut changes: mpsc::Receiver<Change>) -> Polled {
        self.put(feeds);
        let mut is_open = true;
        loop {
            self.start();
            if self.is_over() {
                return self.polled;
            }
            let wake = self.wake();
            let mut stop = self.stop.clone();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(done) = self.running.join_next() => self.ended(done),
                change = changes.recv(), if is_open => match change {
                    Some(change) => self.change(change),
                    None => is_open = false,
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        self.wind_up().await
    }

    /// When something may change though no turn ends.
    fn wake(&self) -> Option<Instant> {
        let due = self.due.peek().map(|Reverse((at, ..))| *at);
        // Without a place, only a turn that ends changes anything, or one more that is due:
        // then places are wanted.
        if self.running.len() >= self.most {
            return due.filter(|_| !self.places.is_wanted());
        }
        // A backfill may give room back, and nobody tells.
        let room = Instant::now() + LOOK_FOR_ROOM_EVERY;
        match (self.first, self.slow_row.front()) {
            (Some(_), _) => Some(room),
            (None, Some(_)) => Some(due.map_or(room, |due| due.min(room))),
            (None, None) => due,
        }
    }

    /// Seats feeds, their first polls spread; one that is there already is replaced, and
    /// keeps its time.
    fn put(&mut self, feeds: Vec<Feed>) {
        let now = Instant::now();
        let count = u32::try_from(feeds.len().max(1)).unwrap_or(u32::MAX);
        for (index, feed) in (0_u32..).zip(feeds) {
            let apart = (feed.period() / count).min(MOST_SPREAD);
            self.seat(Box::new(feed), now + apart * index);
        }
    }

    fn seat(&mut self, mut feed: Box<Feed>, spread: Instant) {
        let id = feed.id();
        let Some(seat) = self.seats.get_mut(&id) else {
            self.seats.insert(id, Seat::new(feed, spread, self.polls));
            return self.line_up(id, spread);
        };
        seat.is_gone = false;
        let Some(old) = seat.feed.take() else {
            seat.next = Some(feed);
            return;
        };
        let is_same_period = old.period() == feed.period();
        feed.take_over(*old);
        seat.feed = Some(feed);
        // Its settings may be what it waited for, or say when it is due.
        if !(seat.is_new && is_same_period) {
            seat.tick = spread;
            seat.is_new = true;
            self.line_up(id, spread);
        }
    }

    fn line_up(&mut self, id: FeedId, at: Instant) {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.at = at;
        }
        self.count += 1;
        self.due.push(Reverse((at, self.count, id)));
    }

    /// Whether nothing more will happen: only where each is polled so many times.
    fn is_over(&self) -> bool {
        self.polls.is_some() && self.seats.is_empty() && self.running.is_empty()
    }

    fn change(&mut self, change: Change) {
        for id in change.remove {
            match self.seats.get_mut(&id) {
                Some(seat) if seat.feed.is_none() => {
                    seat.is_gone = true;
                    seat.next = None;
                }
                _ => drop(self.seats.remove(&id)),
            }
        }
        self.put(change.put);
    }

    /// Gives out the places that are free.
    fn start(&mut self) {
        while self.running.len() < self.most {
            // A quarter at most are slow, so that goes first.
            if !(self.start_slow() || self.start_quick()) {
                break;
            }
        }
        let now = Instant::now();
        let is_due = self.due.peek().is_some_and(|Reverse((at, ..))| *at <= now);
        let is_wanted = self.first.is_some() || !self.slow_row.is_empty() || is_due;
        self.places.want(is_wanted);
    }

    /// Begins the turn of the one that has been due longest. One that is slow or large
    /// goes to a row of its own.
    fn start_quick(&mut self) -> bool {
        while let Some(id) = self.first.take().or_else(|| self.next_due()) {
            let Some(room) = self.room(id) else {
                continue;
            };
            let is_slow = self.seats.get(&id).is_some_and(|seat| seat.is_slow);
            if is_slow || self.places.is_large(room) {
                self.slow_row.push_back(id);
                continue;
            }
            let Some(hold) = self.places.quick(room) else {
                self.first = Some(id);
                return false;
            };
            return self.begin(id, hold);
        }
        false
    }

    fn start_slow(&mut self) -> bool {
        while let Some(id) = self.slow_row.pop_front() {
            let Some(room) = self.room(id) else {
                continue;
            };
            let Some(hold) = self.places.slow(room) else {
                self.slow_row.push_front(id);
                return false;
            };
            return self.begin(id, hold);
        }
        false
    }

    /// What the next answer of one that waits may have; none for one that is gone.
    fn room(&self, id: FeedId) -> Option<u64> {
        Some(self.seats.get(&id)?.feed.as_ref()?.room())
    }

    /// The one that has been due longest, unless none is due.
    fn next_due(&mut self) -> Option<FeedId> {
        let now = Instant::now();
        loop {
            let Reverse((at, _, id)) = *self.due.peek()?;
            if at > now {
                return None;
            }
            self.due.pop();
            // An entry that a later one replaced, or of a feed that is gone, counts for
            // nothing.
            let waits = |seat: &Seat| seat.feed.is_some() && seat.at == at;
            if self.seats.get(&id).is_some_and(waits) {
                return Some(id);
            }
        }
    }

    fn begin(&mut self, id: FeedId, hold: Hold) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else {
            return false;
        };
        let Some(feed) = seat.feed.take() else {
            return false;
        };
        if std::mem::take(&mut seat.is_new) {
            self.polled.polls += 1;
            let lag = Instant::now().saturating_duration_since(seat.tick);
            let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
            self.polled.start_lag.saturating_record(micros);
        }
        let span = feed.span();
        let turn = turn(feed, hold, self.places.clone(), self.stop.clone());
        self.running.spawn(turn.instrument(span));
        true
    }

    fn ended(&mut self, done: Result<Turn, tokio::task::JoinError>) {
        let Turn {
            mut feed,
            step,
            was_slow,
        } = match done {
            Ok(turn) => turn,
            // Turns catch what panics, and none is aborted.
            Err(error) => {
                tracing::error!(%error, "a source's task ended by a defect of ours");
                return;
            }
        };
        let id = feed.id();
        let Some(seat) = self.seats.get_mut(&id) else {
            return;
        };
        if seat.is_gone {
            self.seats.remove(&id);
            return;
        }
        let now = Instant::now();
        let is_replaced = seat.next.is_some();
        if let Some(mut next) = seat.next.take() {
            next.take_over(*feed);
            feed = next;
        }
        seat.is_slow = was_slow;
        let period = feed.period();
        let must_end = seat.left.is_some();
        let at = match step {
            Some(Step::Done) => {
                if let Some(left) = &mut seat.left {
                    *left -= 1;
                    if *left == 0 {
                        self.seats.remove(&id);
                        return;
                    }
                }
                let (at, missed) = seat.advance(period, now);
                feed.count_missed(missed);
                self.polled.missed += missed;
                at
            }
            // To the end of the row.
            None | Some(Step::More) => now,
            Some(Step::Stopped) => {
                self.seats.remove(&id);
                return;
            }
            // The new settings may be what it waited for.
            Some(Step::Later(_) | Step::Stuck(_)) if is_replaced => now,
            Some(Step::Stuck(_)) if must_end => return self.give_up(id, &feed),
            Some(Step::Later(wait)) if must_end && (feed.is_spent() || wait > PATIENCE) => {
                return self.give_up(id, &feed);
            }
            Some(Step::Later(wait) | Step::Stuck(wait)) => {
                seat.back_off(period, now + wait);
                now + wait
            }
        };
        seat.feed = Some(feed);
        self.line_up(id, at);
    }

    fn give_up(&mut self, id: FeedId, feed: &Feed) {
        self.polled.behind.push(feed.title());
        self.seats.remove(&id);
    }

    /// What was found so far is written down; what is under way gets a little time.
    async fn wind_up(mut self) -> Polled {
        let now = Instant::now();
        let missed = self.seats.values().map(|seat| seat.missed(now));
        self.polled.missed += missed.sum::<u64>();
        while let Some(done) = self.running.join_next().await {
            if let Ok(turn) = done
                && self.polls.is_some()
                && turn.step != Some(Step::Done)
            {
                self.polled.behind.push(turn.feed.title());
            }
        }
        if self.polls.is_some() {
            let waiting = self.seats.values().filter_map(|seat| seat.feed.as_ref());
            let waiting: Vec<String> = waiting.map(|feed| feed.title()).collect();
            self.polled.behind.extend(waiting);
        }
        self.polled
    }
}
