//! From the configuration to routes with loaded components.

use super::encode::{Codec, Plugin};
use super::error::{LoadFault, PipelineError};
use super::process::Step;
use super::{Output, Pipeline, Route, Target};
use crate::config::{self, Config, Csv, Encoding, Name};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use watchbell_components::{CSV, JQ};
use watchbell_sandbox::{Encoder, Engine, Limits, Options, Processor};

pub(super) async fn load(config: &Config, engine: &Engine) -> Result<Pipeline, PipelineError> {
    let mut steps = HashMap::new();
    for (name, transform) in &config.transforms {
        let told = |fault| PipelineError {
            section: "transforms",
            name: name.clone(),
            fault,
        };
        steps.insert(
            name.clone(),
            Arc::new(
                step(name, &transform.processor, engine)
                    .await
                    .map_err(told)?,
            ),
        );
    }
    let mut outputs = Vec::new();
    for (name, sink) in &config.sinks {
        let told = |fault| PipelineError {
            section: "sinks",
            name: name.clone(),
            fault,
        };
        outputs.push(Output {
            name: name.clone(),
            routes: routes(config, &sink.inputs, &steps),
            codec: codec(name.as_str(), &sink.encoding, engine)
                .await
                .map_err(told)?,
            target: match &sink.target {
                config::Target::Console => Target::Console,
                config::Target::File(settings) => Target::File(settings.clone()),
            },
            max_buffer: sink.max_buffer,
        });
    }
    Ok(Pipeline { outputs })
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
    processor: &config::Processor,
    engine: &Engine,
) -> Result<Step, LoadFault> {
    let (component, options) = match processor {
        config::Processor::Jq { filter } => (
            Processor::load(engine, JQ)?,
            vec![("filter".to_owned(), filter.clone())],
        ),
        config::Processor::Component { path, options } => {
            (Processor::load(engine, &read(path)?)?, owned(options))
        }
    };
    component
        .check(&options, &Limits::for_plugin())
        .await?
        .map_err(LoadFault::Options)?;
    Ok(Step {
        name: format!("transforms.{name}"),
        processor: component,
        options,
    })
}

pub(super) async fn codec(
    name: &str,
    encoding: &Encoding,
    engine: &Engine,
) -> Result<Codec, LoadFault> {
    let (encoder, options) = match encoding {
        Encoding::Json => return Ok(Codec::Json),
        Encoding::Csv(csv) => (Encoder::load(engine, CSV)?, csv_options(csv)),
        Encoding::Component { path, options } => {
            (Encoder::load(engine, &read(path)?)?, owned(options))
        }
    };
    let described = encoder.describe(&options, &Limits::for_plugin()).await?;
    let format = described.map_err(LoadFault::Options)?;
    let name = format!("sinks.{name}.encoding");
    Ok(Codec::Component(Box::new(Plugin {
        name,
        encoder,
        options,
        format,
    })))
}

fn csv_options(csv: &Csv) -> Options {
    let fields = csv.fields.as_ref().map(|fields| {
        // As a JSON array, in which a name may hold a comma.
        (
            "fields".to_owned(),
            serde_json::Value::from(fields.clone()).to_string(),
        )
    });
    let delimiter = csv
        .delimiter
        .map(|delimiter| ("delimiter".to_owned(), delimiter.to_string()));
    fields.into_iter().chain(delimiter).collect()
}

fn owned(options: &config::Options) -> Options {
    options
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, LoadFault> {
    std::fs::read(path).map_err(|source| LoadFault::Read {
        path: path.to_owned(),
        source,
    })
}
