//! From the configuration to routes with loaded components.

use super::encode::{Codec, Plugin};
use super::error::{LoadFault, PipelineError};
use super::identity::Identity;
use super::probe::probe;
use super::process::Step;
use super::route::Route;
use super::{Pipeline, SinkSpec};
use crate::config::{self, Config, Csv, Encoding, Name, TenantKey};
use crate::sources::Runtime;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watchbell_components::{CSV, JQ};
use watchbell_detection::Detection;
use watchbell_sandbox::{Encoder, Engine, Limits, Options, Processor, read_component};
use watchbell_secrets::Stamp;

pub(super) async fn load(config: &Config, around: &Runtime) -> Result<Pipeline, PipelineError> {
    let engine = &around.engine;
    let mut steps = HashMap::new();
    for (name, transform) in &config.transforms {
        let told = |fault| PipelineError {
            section: "transforms",
            name: name.clone(),
            fault,
        };
        let key = config.tenant_key_through(transform);
        let key = key.as_ref().map(TenantKey::as_str);
        let step = step(name, transform, key, engine).await.map_err(told)?;
        steps.insert(name.clone(), Arc::new(step));
    }
    let mut specs = Vec::new();
    for (name, sink) in &config.sinks {
        let told = |fault| PipelineError {
            section: "sinks",
            name: name.clone(),
            fault,
        };
        let tenant_key = config.tenant_key_of(sink);
        let key = tenant_key.as_ref().map(TenantKey::as_str);
        let limits = sink.limits.over(Limits::for_plugin());
        let codec = codec(name.as_str(), &sink.encoding, key, limits, engine);
        let codec = codec.await.map_err(told)?;
        let format = Arc::new(codec.format());
        let context = around.sink_context(name.as_str(), &format);
        let factory = sink.target.build(&context);
        specs.push(SinkSpec {
            fingerprint: Fingerprint::of(config, sink),
            identity: Identity::sink(format!("sinks.{name}")),
            name: name.clone(),
            routes: routes(config, &sink.inputs, &steps),
            format,
            codec,
            kind: sink.kind,
            is_partitioned: sink.target.is_partitioned(),
            factory: factory.map_err(|error| told(error.into()))?,
            max_buffer: sink.max_buffer,
            tenant_key,
        });
    }
    Ok(Pipeline { specs })
}

/// Every path from a source to these inputs. The configuration has no cycles.
fn routes(config: &Config, inputs: &[Name], steps: &HashMap<Name, Arc<Step>>) -> Vec<Route> {
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

async fn step(
    name: &Name,
    transform: &config::Transform,
    tenant_key: Option<&str>,
    engine: &Engine,
) -> Result<Step, LoadFault> {
    let (component, options) = match &transform.processor {
        config::Processor::Jq { filter } => (
            Processor::load(&engine.in_process(), JQ)?,
            vec![("filter".to_owned(), filter.clone())],
        ),
        config::Processor::Component { path, options } => {
            (Processor::load(engine, &read(path)?)?, owned(options))
        }
    };
    let limits = transform.limits.over(Limits::for_plugin());
    component
        .check(&options, &limits)
        .await?
        .map_err(LoadFault::Options)?;
    let step = Step {
        identity: Identity::plugin(format!("transforms.{name}"), &limits),
        limits,
        processor: component,
        options,
    };
    probe(&step.identity, tenant_key, async |alerts, member| {
        step.process(alerts, member).await.map(drop)
    })
    .await;
    Ok(step)
}

pub(super) async fn codec(
    name: &str,
    encoding: &Encoding,
    tenant_key: Option<&str>,
    limits: Limits,
    engine: &Engine,
) -> Result<Codec, LoadFault> {
    let (encoder, options) = match encoding {
        Encoding::Json => return Ok(Codec::Json),
        Encoding::Csv(csv) => {
            let encoder = Encoder::load(&engine.in_process(), CSV)?.with_quotes_believed();
            (encoder, csv_options(csv, tenant_key))
        }
        Encoding::Component {
            path,
            options,
            quoted_line_ends,
        } => {
            let mut encoder = Encoder::load(engine, &read(path)?)?;
            if *quoted_line_ends {
                encoder = encoder.with_quotes_believed();
            }
            (encoder, owned(options))
        }
    };
    let described = encoder.describe(&options, &limits).await?;
    let format = described.map_err(LoadFault::Options)?;
    let plugin = Plugin {
        identity: Identity::plugin(format!("sinks.{name}.encoding"), &limits),
        limits,
        encoder,
        options,
        format,
    };
    probe(&plugin.identity, tenant_key, async |alerts, member| {
        plugin.encode(alerts, Some(member)).await.map(drop)
    })
    .await;
    Ok(Codec::Component(Box::new(plugin)))
}

/// The columns that are wanted, and in front of them the tenant's, unless it has a place.
fn csv_options(csv: &Csv, tenant_key: Option<&str>) -> Options {
    let mut fields = csv.fields.clone();
    if let Some(key) = tenant_key {
        let usual = || {
            Detection::MEMBERS
                .iter()
                .map(|name| (*name).to_owned())
                .collect()
        };
        let fields: &mut Vec<String> = fields.get_or_insert_with(usual);
        if !fields.iter().any(|field| field == key) {
            fields.insert(0, key.to_owned());
        }
    }
    let fields = fields.map(|fields| {
        // As a JSON array, in which a name may hold a comma.
        (
            "fields".to_owned(),
            serde_json::Value::from(fields).to_string(),
        )
    });
    let delimiter = csv
        .delimiter
        .map(|delimiter| ("delimiter".to_owned(), delimiter.to_string()));
    fields.into_iter().chain(delimiter).collect()
}

/// What a sink and all that leads to it are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    sink: config::Sink,
    transforms: Vec<(Name, config::Transform)>,
    /// The files of components as they were.
    files: Vec<(PathBuf, Option<Stamp>)>,
    tenant_key: Option<TenantKey>,
}

impl Fingerprint {
    fn of(config: &Config, sink: &config::Sink) -> Self {
        let mut transforms = Vec::new();
        let mut inputs: Vec<&Name> = sink.inputs.iter().collect();
        while let Some(input) = inputs.pop() {
            if let Some(transform) = config.transforms.get(input) {
                inputs.extend(&transform.inputs);
                transforms.push((input.clone(), transform.clone()));
            }
        }
        let of_steps = transforms.iter().filter_map(|(_, t)| t.processor.file());
        let files = sink.encoding.file().into_iter().chain(of_steps).cloned();
        let files = files.chain(sink.target.files());
        let stamped = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        let files = files.map(stamped).collect();
        Self {
            sink: sink.clone(),
            transforms,
            files,
            tenant_key: config.tenant_key_of(sink),
        }
    }
}

fn owned(options: &config::Options) -> Options {
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
