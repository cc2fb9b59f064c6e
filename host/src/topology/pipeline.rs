//! From the configuration to routes with loaded components.

use crate::config::{Config, Sink, Transform};
use crate::delivery::{LoadedCodec, LoadedTransform, PipelineError, Route, SinkSpec};
use crate::names::{Name, TenantKey};
use crate::sinks::SinkContext;
use crate::sources::Runtime;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use watchbell_sandbox::Limits;
use watchbell_secrets::Stamp;

/// Everything between the ledger and the sinks.
pub struct Pipeline {
    /// Each sink with what leads to it.
    pub(super) sinks: Vec<Arc<PlannedSink>>,
}

/// A sink with what leads to it, and what both were made of.
pub(super) struct PlannedSink {
    pub(super) spec: Arc<SinkSpec>,
    fingerprint: Fingerprint,
}

impl Pipeline {
    /// Loads every component that a configuration names and has it judge its options.
    ///
    /// # Errors
    /// [`PipelineError`], naming the transform or sink.
    pub async fn load(config: &Config, around: &Runtime) -> Result<Self, PipelineError> {
        let engine = &around.engine;
        let mut steps = HashMap::new();
        for (name, transform) in &config.transforms {
            let (key, plugin) = (
                config.tenant_key_through(transform),
                transform.settings.plugin(),
            );
            let limits = transform.limits.over(Limits::for_plugin());
            let step = LoadedTransform::load(
                format!("transforms.{name}"),
                &plugin,
                limits,
                key.as_ref().map(TenantKey::as_str),
                engine,
            );
            let step = step.await.map_err(|fault| PipelineError {
                section: "transforms",
                name: name.clone(),
                fault,
            })?;
            steps.insert(name.clone(), Arc::new(step));
        }
        let mut sinks = Vec::new();
        for (name, sink) in &config.sinks {
            let planned = PlannedSink::load(name, sink, config, &steps, around).await?;
            sinks.push(Arc::new(planned));
        }
        Ok(Self { sinks })
    }
}

impl PlannedSink {
    async fn load(
        name: &Name,
        sink: &Sink,
        config: &Config,
        steps: &HashMap<Name, Arc<LoadedTransform>>,
        around: &Runtime,
    ) -> Result<Self, PipelineError> {
        let told = |fault| PipelineError {
            section: "sinks",
            name: name.clone(),
            fault,
        };
        let tenant_key = config.tenant_key_of(sink);
        let codec = LoadedCodec::load(
            format!("sinks.{name}.encoding"),
            &*sink.codec,
            sink.limits.over(Limits::for_plugin()),
            tenant_key.as_ref().map(TenantKey::as_str),
            &around.engine,
        );
        let codec = codec.await.map_err(told)?;
        let format = Arc::new(codec.format());
        let context = SinkContext {
            name: name.as_str(),
            format: &format,
            egress: &around.egress,
            proxies: &around.proxies,
            secrets: &around.secrets,
        };
        let factory = sink.settings.build(&context);
        let factory = factory.map_err(|error| told(error.into()))?;
        let spec = SinkSpec::new(
            name.clone(),
            sink.kind,
            routes(config, &sink.inputs, steps),
            codec,
            format,
            factory,
        )
        .with_tenant_key(tenant_key)
        .with_max_buffer(sink.max_buffer)
        .partitioned(sink.settings.is_partitioned());
        Ok(Self {
            spec: Arc::new(spec),
            fingerprint: Fingerprint::of(config, sink),
        })
    }

    /// Whether another one does the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

/// Every path from a source to these inputs. The configuration has no cycles.
fn routes(
    config: &Config,
    inputs: &[Name],
    steps: &HashMap<Name, Arc<LoadedTransform>>,
) -> Vec<Route> {
    let mut found = Vec::new();
    for input in inputs {
        let Some(transform) = config.transforms.get(input) else {
            found.push(Route {
                source: input.clone(),
                steps: Vec::new(),
            });
            continue;
        };
        for mut route in routes(config, &transform.inputs, steps) {
            route.steps.extend(steps.get(input).cloned());
            found.push(route);
        }
    }
    found
}

/// What a sink and all that leads to it are made of.
#[derive(PartialEq)]
struct Fingerprint {
    sink: Sink,
    transforms: Vec<(Name, Transform)>,
    /// The files of components as they were.
    files: Vec<(PathBuf, Option<Stamp>)>,
    tenant_key: Option<TenantKey>,
}

impl Fingerprint {
    fn of(config: &Config, sink: &Sink) -> Self {
        let mut transforms = Vec::new();
        let mut inputs: Vec<&Name> = sink.inputs.iter().collect();
        while let Some(input) = inputs.pop() {
            if let Some(transform) = config.transforms.get(input) {
                inputs.extend(&transform.inputs);
                transforms.push((input.clone(), transform.clone()));
            }
        }
        let mut files = sink.files();
        files.extend(transforms.iter().flat_map(|(_, one)| one.settings.files()));
        let stamped = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        Self {
            sink: sink.clone(),
            transforms,
            files: files.into_iter().map(stamped).collect(),
            tenant_key: config.tenant_key_of(sink),
        }
    }
}
