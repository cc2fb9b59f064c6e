//! From a source's alerts to each sink's bytes: through the processors in the order of
//! `inputs`, then through the sink's encoder.
//!
//! Each sink has its own route for each path that leads from a source to it, so
//! that one sink can be served without the others. Where two paths lead to one sink,
//! it gets the alerts by both, as in Vector.

mod encode;
mod error;
mod load;
mod process;

use crate::config::Name;
use crate::sinks::Sink;
pub use encode::Codec;
pub use error::{LoadFault, PipelineError, RouteError};
use process::Step;
use std::sync::Arc;
use tokio::sync::Mutex;
use watchbell_sandbox::{Alert, Engine};

/// Bytes of JSON in one call of a plugin, roughly: its memory is bounded.
const CALL_BYTES: usize = 4 << 20;

/// Everything between the sources and the sinks.
pub struct Pipeline {
    outputs: Vec<Output>,
}

/// A sink with what leads to it.
struct Output {
    name: Name,
    routes: Vec<Route>,
    codec: Codec,
    sink: Arc<Mutex<Sink>>,
}

/// One path from a source to a sink.
struct Route {
    source: Name,
    steps: Vec<Arc<Step>>,
}

/// What became of a batch, over all sinks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Events that sinks have taken.
    pub events: usize,
    /// Alerts that a plugin could not handle. They were logged and held back.
    pub held_back: usize,
    /// Sinks that did not take the batch.
    pub failed_sinks: usize,
}

impl Delivered {
    /// Whether every sink has the batch.
    #[must_use]
    pub fn complete(self) -> bool {
        self.failed_sinks == 0
    }
}

impl Pipeline {
    /// Loads every component that a configuration names and has it judge its options.
    ///
    /// # Errors
    /// [`PipelineError`], naming the transform or sink.
    pub async fn load(
        config: &crate::config::Config,
        engine: &Engine,
    ) -> Result<Self, PipelineError> {
        load::load(config, engine).await
    }

    /// Brings a batch of one source to every sink that it leads to. A sink that fails
    /// stops no other.
    pub async fn deliver(&self, source: &Name, alerts: &[Alert]) -> Delivered {
        let mut total = Delivered::default();
        for output in &self.outputs {
            for route in output.routes.iter().filter(|route| route.source == *source) {
                match output.deliver(route, alerts).await {
                    Ok(done) => {
                        total.events += done.events;
                        total.held_back += done.held_back;
                    }
                    Err(error) => {
                        total.failed_sinks += 1;
                        tracing::error!(sink = %output.name, %source, %error, "not delivered");
                    }
                }
            }
        }
        total
    }
}

impl Output {
    async fn deliver(&self, route: &Route, alerts: &[Alert]) -> Result<Delivered, RouteError> {
        let mut done = Delivered::default();
        if alerts.is_empty() {
            return Ok(done);
        }
        let mut alerts = alerts.to_vec();
        for step in &route.steps {
            let (processed, held_back) = step.process(&alerts).await?;
            done.held_back += held_back;
            alerts = processed;
        }
        let (batch, held_back) = self.codec.encode(&alerts).await?;
        done.held_back += held_back;
        if batch.events == 0 {
            return Ok(done);
        }
        done.events = batch.events;
        let mut sink = Arc::clone(&self.sink).lock_owned().await;
        // Writing waits for the disk.
        let written = tokio::task::spawn_blocking(move || sink.deliver(&batch)).await;
        written.map_err(|e| RouteError::Defect(e.to_string()))??;
        Ok(done)
    }
}

/// Parts of a batch that are small enough for one call of a plugin, in order.
fn calls(alerts: &[Alert]) -> Vec<&[Alert]> {
    let mut calls = Vec::new();
    let mut rest = alerts;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |alert: &&Alert| {
            bytes = bytes.saturating_add(alert.json.len());
            bytes <= CALL_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (call, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        calls.push(call);
        rest = after;
    }
    calls
}
