//! The loop of `watchbell run`: each source on its interval, until told to stop.

use super::cursor::Cursor;
use super::puller::{Pulled, Puller, Window};
use crate::config::Name;
use crate::pipeline::Pipeline;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Polls every source on its interval until `stop` says so. A poll that is under way
/// then is finished and delivered.
pub async fn run(sources: Vec<(Name, Puller)>, pipeline: Pipeline, stop: watch::Receiver<bool>) {
    let pipeline = Arc::new(pipeline);
    let mut tasks = JoinSet::new();
    for (name, puller) in sources {
        tasks.spawn(poll_on_interval(
            name,
            puller,
            Arc::clone(&pipeline),
            stop.clone(),
        ));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a source's task ended by a defect of ours");
        }
    }
}

async fn poll_on_interval(
    name: Name,
    puller: Puller,
    pipeline: Arc<Pipeline>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = interval_at(Instant::now(), puller.settings().scrape_interval);
    // Polls of one source never overlap; a tick that was missed is not made up for,
    // since the next poll asks for its time too.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut feed = Feed::new(name, puller);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        feed.step(&pipeline).await;
    }
}

/// A source and what was read of it.
pub struct Feed {
    name: Name,
    puller: Puller,
    cursor: Cursor,
}

impl Feed {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(name: Name, puller: Puller) -> Self {
        let cursor = Cursor::new(puller.settings().since.resolve(Utc::now()));
        Self {
            name,
            puller,
            cursor,
        }
    }

    /// Polls once, delivers what is new, and moves the cursor when every sink has it.
    /// What goes wrong is logged. Returns how many new detections were delivered.
    pub async fn step(&mut self, pipeline: &Pipeline) -> usize {
        let source = &self.name;
        let until = self
            .puller
            .settings()
            .until
            .map(|until| until.resolve(Utc::now()));
        let window = Window::Between(Some(self.cursor.from()), until);
        let pulled = match self.puller.poll(&window).await {
            Ok(pulled) => pulled,
            Err(error) => {
                tracing::error!(%source, %error, "poll failed");
                return 0;
            }
        };
        let served_at = served_at(&pulled);
        let read = pulled.alerts.len();
        let alerts = self.cursor.unseen(pulled.alerts);
        if !pipeline.deliver(source, &alerts).await.complete() {
            tracing::warn!(%source, new = alerts.len(), "not every sink took the batch; it is read again at the next poll");
            return 0;
        }
        self.cursor.advance(&alerts, served_at);
        tracing::info!(%source, read, new = alerts.len(), "polled");
        alerts.len()
    }
}

/// The service's clock when it was asked, by the Date of its answer, which is cut to
/// seconds and made after the request.
fn served_at(pulled: &Pulled) -> Option<DateTime<Utc>> {
    let exchange = pulled.exchange.as_ref()?;
    let date = DateTime::parse_from_rfc2822(exchange.date.as_ref()?.to_str().ok()?).ok()?;
    let waited = exchange.answered_at?.duration_since(exchange.sent_at);
    date.to_utc()
        .checked_sub_signed(TimeDelta::from_std(waited).ok()?)
}
