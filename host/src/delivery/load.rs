//! Plugins, loaded and asked whether they take their options.

use super::encode::{EncoderStep, LoadedCodec};
use super::error::LoadFault;
use super::identity::Identity;
use super::probe::probe;
use super::process::LoadedTransform;
use crate::codecs::CodecConfig;
use crate::component::{self, Plugin, PluginComponent};
use std::path::Path;
use watchbell_sandbox::{Encoder, Engine, Limits, LoadError, Options, Processor, read_component};

impl LoadedTransform {
    /// Loads a transform, which `name` says, and has it handle a sample.
    ///
    /// # Errors
    /// When its component cannot be used or refuses its options.
    pub(crate) async fn load(
        name: String,
        plugin: &Plugin,
        limits: Limits,
        tenant_key: Option<&str>,
        engine: &Engine,
    ) -> Result<Self, LoadFault> {
        let processor = load(&plugin.component, engine, Processor::load)?;
        let options = owned(&plugin.options);
        processor
            .check(&options, &limits)
            .await?
            .map_err(LoadFault::Options)?;
        let step = Self {
            identity: Identity::plugin(name, &limits),
            limits,
            processor,
            options,
        };
        probe(&step.identity, tenant_key, async |alerts, member| {
            step.process(alerts, member).await.map(drop)
        })
        .await;
        Ok(step)
    }
}

impl LoadedCodec {
    /// Loads a codec, which `name` says, and has it handle a sample.
    ///
    /// # Errors
    /// When its component cannot be used or refuses its options.
    pub(crate) async fn load(
        name: String,
        codec: &dyn CodecConfig,
        limits: Limits,
        tenant_key: Option<&str>,
        engine: &Engine,
    ) -> Result<Self, LoadFault> {
        let Some(wanted) = codec.encoder(tenant_key) else {
            return Ok(Self::Json);
        };
        let mut encoder = load(&wanted.plugin.component, engine, Encoder::load)?;
        if wanted.are_quotes_believed {
            encoder = encoder.with_quotes_believed();
        }
        let options = owned(&wanted.plugin.options);
        let described = encoder.describe(&options, &limits).await?;
        let format = described.map_err(LoadFault::Options)?;
        let step = EncoderStep {
            identity: Identity::plugin(name, &limits),
            limits,
            encoder,
            options,
            format,
        };
        probe(&step.identity, tenant_key, async |alerts, member| {
            step.encode(alerts, Some(member)).await.map(drop)
        })
        .await;
        Ok(Self::Component(Box::new(step)))
    }
}

/// Loads a component; one that comes with the program needs no compiler of its own.
fn load<T>(
    component: &PluginComponent,
    engine: &Engine,
    load: impl Fn(&Engine, &[u8]) -> Result<T, LoadError>,
) -> Result<T, LoadFault> {
    Ok(match component {
        PluginComponent::Bundled(bytes) => load(&engine.in_process(), bytes)?,
        PluginComponent::File(path) => load(engine, &read(path)?)?,
    })
}

fn owned(options: &component::Options) -> Options {
    options
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, LoadFault> {
    read_component(path).map_err(|source| LoadFault::Read {
        path: path.to_owned(),
        source,
    })
}
