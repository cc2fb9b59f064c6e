//! How long a call has run: the time in which its task was polled.
//!
//! That is the guest's code, the host calls that it makes and the copying of its result,
//! and nothing of what it waited for the network, for its turn or for a timer.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

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
}

impl Clock {
    /// How long it has run so far.
    pub(crate) fn ran(&self) -> Duration {
        let state = self.lock();
        let now = state.since.map(|since| since.elapsed());
        state.ran.saturating_add(now.unwrap_or_default())
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
            polled
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
