//! A ledger's calls block; here they are futures.
//!
//! A call that was begun goes to its end though nobody waits for it any more.

use std::sync::Arc;
use watchbell_ledger::{self as ledger, Ledger};

/// A ledger for tasks. Clones share it.
#[derive(Clone)]
pub struct AsyncLedger {
    ledger: Arc<dyn Ledger>,
    /// Awaited before and after each call, which then is made where it is awaited. None: on
    /// tokio's threads for what blocks.
    #[cfg(test)]
    pause: Option<Pause>,
}

/// What a simulation does between two steps: others' turns, or the end of the process.
#[cfg(test)]
pub(super) type Pause = Arc<dyn Fn() -> futures_util::future::BoxFuture<'static, ()> + Send + Sync>;

impl AsyncLedger {
    /// On tokio's threads for what blocks.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self {
            ledger,
            #[cfg(test)]
            pause: None,
        }
    }

    /// In the caller's thread, so that a seed says in which order everything happens.
    #[cfg(test)]
    pub(super) fn simulated(ledger: Arc<dyn Ledger>, pause: Pause) -> Self {
        Self {
            ledger,
            pause: Some(pause),
        }
    }

    /// The ledger itself, for those who may block.
    #[must_use]
    pub fn blocking(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger)
    }

    /// Calls it.
    ///
    /// # Errors
    /// The work's.
    pub async fn call<T, E>(
        &self,
        work: impl FnOnce(&dyn Ledger) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<ledger::Error> + Send + 'static,
    {
        let ledger = self.blocking();
        #[cfg(test)]
        if let Some(pause) = &self.pause {
            pause().await;
            let done = work(&*ledger);
            pause().await;
            return done;
        }
        blocking(move || work(&*ledger)).await
    }
}

/// Calls a ledger where it may block.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ledger::Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ledger::Error::Other(error.to_string()).into()),
    }
}
