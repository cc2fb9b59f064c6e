//! How long a call has run: the time in which its task was polled.
//!
//! That is the guest's code, the host calls that it makes and the copying of its result,
//! and nothing of what it waited for the network, for its turn or for a timer.
//!
//! A call that ran for an epoch goes on only with a place among the long ones, of which
//! there is one less than there are threads. So one thread is always free for those that
//! run short, whatever the others compute. The place goes back at the end of each poll.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One call's clock. Clones are the same clock.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// In polls that are over.
    ran: Duration,
    /// When the poll under way began.
    since: Option<Instant>,
    /// Its place among the long ones, during a poll.
    place: Option<OwnedSemaphorePermit>,
}

impl Clock {
    /// How long it has run so far.
    pub(crate) fn ran(&self) -> Duration {
        let state = self.lock();
        let now = state.since.map(|since| since.elapsed());
        state.ran.saturating_add(now.unwrap_or_default())
    }

    /// Lets others have their turn, then waits for a place among the long ones.
    pub(crate) async fn go_on(self, long: Arc<Semaphore>) {
        tokio::task::yield_now().await;
        // Never closed, so this cannot fail.
        let place = long.acquire_owned().await.ok();
        self.lock().place = place;
    }

    /// Does `work`, with the clock running while it is polled.
    pub(crate) async fn time<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            self.lock().since = Some(Instant::now());
            let polled: Poll<F::Output> = work.as_mut().poll(context);
            let mut state = self.lock();
            let took = state.since.take().map(|since| since.elapsed());
            state.ran = state.ran.saturating_add(took.unwrap_or_default());
            state.place = None;
            polled
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
