//! The sinks at work, each a task.

use super::pipeline::PlannedSink;
use crate::delivery::{LostSinks, Phase, SinkTask};
use crate::polling::Shared;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The sinks at work.
pub(super) struct RunningSinks {
    shared: Shared,
    working: HashMap<String, Working>,
    delivered: u64,
    lost: LostSinks,
}

struct Working {
    sink: Arc<PlannedSink>,
    phase: watch::Sender<Phase>,
    task: JoinHandle<u64>,
}

impl RunningSinks {
    pub(super) fn new(shared: Shared, lost: LostSinks) -> Self {
        Self {
            shared,
            working: HashMap::new(),
            delivered: 0,
            lost,
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.working.keys().cloned().collect();
        names.sort();
        names
    }

    pub(super) fn start(&mut self, sink: Arc<PlannedSink>) {
        let spec = &sink.spec;
        let name = spec.name().to_owned();
        let phase = watch::Sender::new(Phase::Running);
        let task = SinkTask::new(
            Arc::clone(spec),
            Arc::clone(&self.shared.ledger),
            self.lost.clone(),
        );
        let running = task.run(self.shared.news.subscribe(), phase.subscribe());
        let working = Working {
            task: tokio::spawn(running),
            phase,
            sink,
        };
        self.working.insert(name, working);
    }

    pub(super) fn is_same(&self, sink: &PlannedSink) -> bool {
        let old = self.working.get(sink.spec.name());
        old.is_some_and(|old| old.sink.is_as(sink))
    }

    /// Has all but these finish what they are writing, and returns them.
    pub(super) async fn rest(&mut self, stays: &HashSet<String>) -> Vec<Arc<PlannedSink>> {
        let mut rested = Vec::new();
        let goes: Vec<String> = self
            .names()
            .into_iter()
            .filter(|name| !stays.contains(name))
            .collect();
        for name in goes {
            if let Some(mut working) = self.working.remove(&name) {
                working.phase.send_replace(Phase::Resting);
                self.delivered += working.end().await;
                rested.push(working.sink);
            }
        }
        rested
    }

    /// Delivers what waits, for at most `drain`.
    pub(super) async fn drain(mut self, drain: Duration) -> u64 {
        // What no clock can hold is for ever.
        let deadline = Instant::now().checked_add(drain);
        for working in self.working.values() {
            working.phase.send_replace(Phase::Draining);
        }
        for (_, mut working) in self.working {
            let done = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, &mut working.task)
                    .await
                    .ok(),
                None => Some((&mut working.task).await),
            };
            match done {
                Some(done) => self.delivered += told(done),
                None => working.task.abort(),
            }
        }
        self.delivered
    }
}

impl Working {
    async fn end(&mut self) -> u64 {
        told((&mut self.task).await)
    }
}

fn told(done: Result<u64, tokio::task::JoinError>) -> u64 {
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "a sink's task ended by a defect of ours");
        0
    })
}
