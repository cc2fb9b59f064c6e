//! Loaded processors and encoders. They reach nothing: their linker is empty.

use crate::bindings::encoder::Description;
use crate::bindings::encoder_world::AlertEncoderPre;
use crate::bindings::processor_world::AlertProcessorPre;
use crate::bindings::types::{Alert, PluginError};
use crate::check::{self, Quotes};
use crate::component::{self, World};
use crate::engine::Engine;
use crate::error::{CallError, LoadError};
use crate::limits::Limits;
use crate::state::Pure;
use tokio::time::timeout;
use wasmtime::component::{InstancePre, Linker};

/// A plugin's settings as name and value, in the configuration's order.
pub type Options = Vec<(String, String)>;

const PROCESSOR: World = World {
    name: "alert-processor",
    imports: &[],
};
const ENCODER: World = World {
    name: "alert-encoder",
    imports: &[],
};

/// A loaded processor. Cheap to clone; each call runs in a fresh instance.
#[derive(Clone)]
pub struct Processor {
    engine: Engine,
    pre: AlertProcessorPre<Pure>,
}

impl Processor {
    /// Loads a component of the world `alert-processor`.
    ///
    /// # Errors
    /// [`LoadError`] when it is no component, imports anything or lacks its exports.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let pre = link(engine, bytes, &PROCESSOR, AlertProcessorPre::new)?;
        let attempt = engine.try_out(Pure::new, async |store| {
            pre.instantiate_async(store).await.map(drop)
        });
        attempt.map_err(|error| PROCESSOR.refusal(&error))?;
        Ok(Self {
            engine: engine.clone(),
            pre,
        })
    }

    /// Judges the options.
    ///
    /// # Errors
    /// Outside: the plugin was stopped. Inside: what it says.
    pub async fn check(
        &self,
        options: &Options,
        limits: &Limits,
    ) -> Result<Result<(), PluginError>, CallError> {
        let mut call = self.engine.begin(limits, Pure::new).await;
        let clock = call.clock.clone();
        let work = async {
            let guest = self.pre.instantiate_async(&mut call.store).await?;
            guest
                .watchbell_detections_processor()
                .call_check(&mut call.store, options)
                .await
        };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        call.finish(outcome)
    }

    /// Processes one batch.
    ///
    /// # Errors
    /// Outside: the plugin was stopped or returned what the contract forbids. Inside:
    /// what it says.
    pub async fn process(
        &self,
        options: &Options,
        alerts: &[Alert],
        limits: &Limits,
    ) -> Result<Result<Vec<Alert>, PluginError>, CallError> {
        let mut call = self.engine.begin(limits, Pure::new).await;
        let clock = call.clock.clone();
        let work = async {
            let guest = self.pre.instantiate_async(&mut call.store).await?;
            guest
                .watchbell_detections_processor()
                .call_process(&mut call.store, options, alerts)
                .await
        };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        let answer = call.finish(outcome)?;
        if let Ok(alerts) = &answer {
            check::alerts(alerts, limits)?;
        }
        Ok(answer)
    }
}

/// A loaded encoder. Cheap to clone; each call runs in a fresh instance.
#[derive(Clone)]
pub struct Encoder {
    engine: Engine,
    pre: AlertEncoderPre<Pure>,
    quotes: Quotes,
}

impl Encoder {
    /// Loads a component of the world `alert-encoder`.
    ///
    /// # Errors
    /// [`LoadError`] when it is no component, imports anything or lacks its exports.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let pre = link(engine, bytes, &ENCODER, AlertEncoderPre::new)?;
        let attempt = engine.try_out(Pure::new, async |store| {
            pre.instantiate_async(store).await.map(drop)
        });
        attempt.map_err(|error| ENCODER.refusal(&error))?;
        Ok(Self {
            engine: engine.clone(),
            pre,
            quotes: Quotes::Doubted,
        })
    }

    /// Believes what it says of its quote: between two of them its events may hold line
    /// ends. Only for a component that is trusted to quote, and readers that know it.
    #[must_use]
    pub fn with_quotes_believed(self) -> Self {
        Self {
            quotes: Quotes::Believed,
            ..self
        }
    }

    /// Judges the options, and says what `encode` will produce with them.
    ///
    /// # Errors
    /// Outside: the plugin was stopped or returned what the contract forbids. Inside:
    /// what it says.
    pub async fn describe(
        &self,
        options: &Options,
        limits: &Limits,
    ) -> Result<Result<Description, PluginError>, CallError> {
        let mut call = self.engine.begin(limits, Pure::new).await;
        let clock = call.clock.clone();
        let work = async {
            let guest = self.pre.instantiate_async(&mut call.store).await?;
            let encoder = guest.watchbell_detections_encoder();
            match encoder.call_check(&mut call.store, options).await? {
                Ok(()) => encoder.call_describe(&mut call.store, options).await,
                Err(error) => Ok(Err(error)),
            }
        };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        let answer = call.finish(outcome)?;
        if let Ok(format) = &answer {
            check::description(format, self.quotes)?;
        }
        Ok(answer)
    }

    /// Encodes one batch, for a `format` that [`Encoder::describe`] gave.
    ///
    /// # Errors
    /// Outside: the plugin was stopped or returned what the contract forbids. Inside:
    /// what it says.
    pub async fn encode(
        &self,
        options: &Options,
        format: &Description,
        alerts: &[Alert],
        limits: &Limits,
    ) -> Result<Result<Vec<Vec<u8>>, PluginError>, CallError> {
        let mut call = self.engine.begin(limits, Pure::new).await;
        let clock = call.clock.clone();
        let work = async {
            let guest = self.pre.instantiate_async(&mut call.store).await?;
            guest
                .watchbell_detections_encoder()
                .call_encode(&mut call.store, options, alerts)
                .await
        };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        let answer = call.finish(outcome)?;
        if let Ok(events) = &answer {
            limits.count(events.len())?;
            check::events(events, alerts.len(), format, self.quotes)?;
        }
        Ok(answer)
    }
}

fn link<P>(
    engine: &Engine,
    bytes: &[u8],
    world: &World,
    pre: impl FnOnce(InstancePre<Pure>) -> wasmtime::Result<P>,
) -> Result<P, LoadError> {
    let component = component::load(engine, bytes, world)?;
    Linker::new(engine.wasmtime())
        .instantiate_pre(&component)
        .and_then(pre)
        .map_err(|e| world.refusal(&format!("{e:#}")))
}
