//! Whose turn it is.
//!
//! Feeds are seats and not tasks: an idle tenant costs a few hundred bytes. Those that are
//! due are served in the order in which they became due, under three bounds: turns under
//! way, bytes of answers in memory, and for feeds that are slow half of the turns. A feed
//! with much to read gives its place up after a second and goes to the end of the row, so
//! nobody waits for its backlog; one that waits for its service holds no more than one of
//! the slow places.

use super::feed::{Feed, Step};
use super::flight::{Flight, Reserved};
use hdrhistogram::Histogram;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;
use watchbell_ledger::FeedId;

/// A turn that takes longer is slow.
const SLOW: Duration = Duration::from_secs(2);

/// The longest time between the first polls of two feeds that follow each other: a few
/// tenants need not wait for an interval to pass, and many begin evenly over it.
const MOST_SPREAD: Duration = Duration::from_millis(100);

/// The longest wait that a reading which must end puts up with.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks for room while nobody has a turn.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(50);

/// How long a turn that is under way may take after a stop.
const UNDER_WAY: Duration = Duration::from_secs(5);

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

/// What may be changed while it runs.
pub enum Change {
    /// A feed is there from now on, or in place of the one with its number.
    Put(Box<Feed>),
    /// A feed is not there any more.
    Remove(FeedId),
}

/// Feeds and when each is due.
pub struct Turns {
    seats: HashMap<FeedId, Seat>,
    due: BinaryHeap<Reverse<(Instant, u64, FeedId)>>,
    /// Counts what was put into the heap, so that equals come out in order.
    count: u64,
    running: JoinSet<Turn>,
    most: usize,
    flight: Flight,
    slow: Arc<Semaphore>,
    /// Those that were slow last time and wait for a slow place.
    slow_row: VecDeque<FeedId>,
    /// The first in the row, which waits for room for its answer.
    first: Option<FeedId>,
    stop: watch::Receiver<bool>,
    /// How often each is polled; none: for ever.
    polls: Option<usize>,
    polled: Polled,
}

struct Seat {
    /// None while it has its turn.
    feed: Option<Box<Feed>>,
    /// When it is due, while it waits.
    at: Instant,
    /// When the poll that goes on, or the next one, was due.
    tick: Instant,
    /// Whether the next turn begins a poll.
    is_new: bool,
    is_slow: bool,
    left: Option<usize>,
    /// What takes its place when its turn is over.
    next: Option<Box<Feed>>,
    is_gone: bool,
}

/// A turn that is over.
struct Turn {
    feed: Box<Feed>,
    step: Option<Step>,
    was_slow: bool,
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
            flight,
            slow: Arc::new(Semaphore::new((most / 2).max(1))),
            slow_row: VecDeque::new(),
            first: None,
            stop,
            polls,
            polled: Polled::default(),
        }
    }

    /// Polls `feeds` until told to stop, or until each was polled as often as it should be.
    pub async fn run(mut self, feeds: Vec<Feed>, mut changes: mpsc::Receiver<Change>) -> Polled {
        self.seat_all(feeds);
        let mut is_open = true;
        loop {
            self.start();
            if self.is_over() {
                return self.polled;
            }
            let next = self.due.peek().map(|Reverse((at, ..))| *at);
            // Without a place, only a turn that ends changes anything.
            let next = match self.first {
                _ if self.running.len() >= self.most => None,
                // A backfill may give room back, and nobody tells.
                Some(_) => Some(Instant::now() + LOOK_FOR_ROOM_EVERY),
                None => next,
            };
            let mut stop = self.stop.clone();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(done) = self.running.join_next() => self.ended(done),
                change = changes.recv(), if is_open => match change {
                    Some(change) => self.change(change),
                    None => is_open = false,
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
        self.wind_up().await
    }

    /// Spreads the first polls.
    fn seat_all(&mut self, feeds: Vec<Feed>) {
        let now = Instant::now();
        let count = u32::try_from(feeds.len().max(1)).unwrap_or(u32::MAX);
        for (index, feed) in (0_u32..).zip(feeds) {
            let apart = (feed.period() / count).min(MOST_SPREAD);
            self.put(Box::new(feed), now + apart * index);
        }
    }

    fn put(&mut self, feed: Box<Feed>, at: Instant) {
        let id = feed.id();
        let seat = Seat {
            feed: Some(feed),
            at,
            tick: at,
            is_new: true,
            is_slow: false,
            left: self.polls,
            next: None,
            is_gone: false,
        };
        self.seats.insert(id, seat);
        self.line_up(id, at);
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
        match change {
            Change::Put(feed) => {
                let id = feed.id();
                match self.seats.get_mut(&id) {
                    Some(seat) => {
                        seat.is_gone = false;
                        match seat.feed.take() {
                            None => seat.next = Some(feed),
                            Some(old) => {
                                // Settings may be what it waited for.
                                self.replace(*old, feed);
                            }
                        }
                    }
                    None => self.put(feed, Instant::now()),
                }
            }
            Change::Remove(id) => match self.seats.get_mut(&id) {
                Some(seat) if seat.feed.is_none() => {
                    seat.is_gone = true;
                    seat.next = None;
                }
                _ => drop(self.seats.remove(&id)),
            },
        }
    }

    fn replace(&mut self, old: Feed, mut new: Box<Feed>) {
        new.take_over(old);
        self.put(new, Instant::now());
    }

    /// Gives out the places that are free.
    fn start(&mut self) {
        while self.running.len() < self.most {
            if let Some(id) = self.slow_row.front().copied()
                && let Ok(place) = Arc::clone(&self.slow).try_acquire_owned()
            {
                self.slow_row.pop_front();
                if !self.begin(id, Some(place)) {
                    return;
                }
                continue;
            }
            let Some(id) = self.first.take().or_else(|| self.next_due()) else {
                return;
            };
            let Some(seat) = self.seats.get(&id) else {
                continue;
            };
            if seat.is_slow {
                match Arc::clone(&self.slow).try_acquire_owned() {
                    Ok(place) => {
                        if !self.begin(id, Some(place)) {
                            return;
                        }
                    }
                    Err(_) => self.slow_row.push_back(id),
                }
            } else if !self.begin(id, None) {
                return;
            }
        }
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

    /// Begins a turn; false when there is no room for its answer, and then it is the first
    /// to get some.
    fn begin(&mut self, id: FeedId, place: Option<OwnedSemaphorePermit>) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else {
            return true;
        };
        let Some(feed) = seat.feed.take() else {
            return true;
        };
        let Some(room) = self.flight.try_reserve(feed.room()) else {
            seat.feed = Some(feed);
            self.first = Some(id);
            return false;
        };
        if std::mem::take(&mut seat.is_new) {
            self.polled.polls += 1;
            let lag = Instant::now().saturating_duration_since(seat.tick);
            let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
            self.polled.start_lag.saturating_record(micros);
        }
        let span = feed.span();
        let turn = turn(feed, room, place, Arc::clone(&self.slow), self.stop.clone());
        self.running.spawn(turn.instrument(span));
        true
    }

    fn ended(&mut self, done: Result<Turn, tokio::task::JoinError>) {
        let Turn {
            feed,
            step,
            was_slow,
        } = match done {
            Ok(turn) => turn,
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
        if let Some(next) = seat.next.take() {
            self.replace(*feed, next);
            return;
        }
        seat.is_slow = was_slow;
        let now = Instant::now();
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
                let period = feed.period();
                let late = now.saturating_duration_since(seat.tick);
                let passed = late.as_nanos() / period.as_nanos().max(1);
                let passed = u32::try_from(passed).unwrap_or(u32::MAX);
                self.polled.missed += u64::from(passed);
                seat.tick += period * passed.saturating_add(1);
                seat.is_new = true;
                seat.tick
            }
            // To the end of the row.
            None | Some(Step::More) => now,
            Some(Step::Stopped) => {
                self.seats.remove(&id);
                return;
            }
            Some(Step::Stuck(_)) if must_end => return self.give_up(id, &feed),
            Some(Step::Later(wait)) if must_end && (feed.is_spent() || wait > PATIENCE) => {
                return self.give_up(id, &feed);
            }
            Some(Step::Later(wait) | Step::Stuck(wait)) => {
                // While it backs off it is not due, so it misses nothing.
                let at = now + wait;
                let period = feed.period();
                while wait > Duration::ZERO && seat.tick + period <= at {
                    seat.tick += period;
                }
                at
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

/// One turn. One that becomes slow needs a slow place; without one it is given up, which
/// loses nothing, since what a window found is written down whole or not at all.
async fn turn(
    mut feed: Box<Feed>,
    _room: Reserved,
    mut place: Option<OwnedSemaphorePermit>,
    slow: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
) -> Turn {
    let began = Instant::now();
    let step = {
        let mut polling = std::pin::pin!(feed.poll());
        let mut is_timed = place.is_none();
        loop {
            tokio::select! {
                step = &mut polling => break Some(step),
                () = overdue(stop.clone()) => break Some(Step::Stopped),
                () = tokio::time::sleep_until(began + SLOW), if is_timed => {
                    is_timed = false;
                    match Arc::clone(&slow).try_acquire_owned() {
                        Ok(one) => place = Some(one),
                        Err(_) => break None,
                    }
                }
            }
        }
    };
    drop(place);
    Turn {
        step,
        was_slow: began.elapsed() >= SLOW,
        feed,
    }
}

/// Resolves a while after `stop`.
async fn overdue(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(UNDER_WAY).await;
}
