//! The time of a simulation, and the end of a process at any await.
//!
//! Everything runs in one thread. When nothing can go on, time moves to the next moment that
//! somebody waits for, so a day takes as long as what is done in it. Each await that
//! matters is a step, and at a step that was chosen beforehand the process dies: no step is
//! taken any more, and whoever drives it drops all futures.

use crate::polling::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Time, and the life of a process in it.
pub(super) struct World {
    state: Mutex<State>,
    start: Instant,
    /// How wrong the wall clock is from when on, in order.
    wall: Vec<(Duration, TimeDelta)>,
    /// The process is dead, or nothing will ever happen in it.
    pub(super) over: Notify,
}

#[derive(Default)]
struct State {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    count: u64,
    steps: u64,
    dies_at: u64,
    is_dead: bool,
    is_stuck: bool,
}

impl World {
    /// At the beginning of the day, with a wall clock that is set that often.
    pub(super) fn new(wall: Vec<(Duration, TimeDelta)>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            start: Instant::now(),
            wall,
            over: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Since the beginning of the day, by the service's clock, which is right.
    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    /// Whether the program's wall clock is right all day.
    pub(super) fn is_clock_right(&self) -> bool {
        self.wall.is_empty()
    }

    /// The service's time.
    pub(super) fn service_time(&self) -> DateTime<Utc> {
        midnight() + TimeDelta::from_std(self.now()).unwrap()
    }

    /// A process begins, and dies after so many steps.
    pub(super) fn begin_life(&self, steps: Option<u64>) {
        let mut state = self.state();
        state.timers.clear();
        state.is_dead = false;
        state.dies_at = steps.map_or(u64::MAX, |steps| state.steps + steps);
    }

    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.state().is_stuck
    }

    /// While no process runs.
    pub(super) fn pass(&self, time: Duration) {
        self.state().now += time;
    }

    /// An await: others take their turns, or the process dies.
    pub(super) async fn step(&self) {
        {
            let mut state = self.state();
            state.steps += 1;
            if state.steps >= state.dies_at && !state.is_dead {
                state.is_dead = true;
                self.over.notify_one();
            }
        }
        tokio::task::yield_now().await;
        if self.state().is_dead {
            std::future::pending::<()>().await;
        }
    }

    /// Nothing can go on: it is the next moment that somebody waits for.
    pub(super) fn advance(&self) {
        let mut state = self.state();
        let Some(((at, _), waker)) = state.timers.pop_first() else {
            state.is_stuck = !state.is_dead;
            self.over.notify_one();
            return;
        };
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
    }
}

/// When the day begins.
pub(super) fn midnight() -> DateTime<Utc> {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

/// The clocks of a world.
pub(super) struct SimulatedClock(pub(super) Arc<World>);

impl Clock for SimulatedClock {
    fn wall(&self) -> DateTime<Utc> {
        let now = self.0.now();
        let set = self.0.wall.iter().rev().find(|(at, _)| *at <= now);
        self.0.service_time() + set.map_or(TimeDelta::zero(), |(_, wrong)| *wrong)
    }

    fn monotonic(&self) -> Instant {
        self.0.start + self.0.now()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let world = Arc::clone(&self.0);
        let at = at.saturating_duration_since(world.start);
        Box::pin(async move {
            let timer = Timer {
                world: Arc::clone(&world),
                at,
                place: None,
            };
            timer.await;
            world.step().await;
        })
    }
}

struct Timer {
    world: Arc<World>,
    at: Duration,
    place: Option<u64>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.world.state();
        if state.now >= this.at {
            return Poll::Ready(());
        }
        state.count += 1;
        let place = *this.place.get_or_insert(state.count);
        state
            .timers
            .insert((this.at, place), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.world.state().timers.remove(&(self.at, place));
        }
    }
}
