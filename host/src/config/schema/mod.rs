//! The JSON Schema of a whole configuration, for editors: what may be written, with words on
//! each setting.
//!
//! It is derived from the types that the settings are decoded into, so a setting cannot be in
//! one and not in the other. What this module adds is how the parts stand together: the keys at
//! the top of the file, the named entries of a section, and one alternative for each type of a
//! part. The words are the comments on the fields.
//!
//! It accepts whatever the program accepts. The program refuses more: what only shows when
//! several settings are looked at, or the files that they name. Everything is written out where
//! it stands, without references, since editors differ in what they make of those.

mod reference;
mod variables;

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use watchbell_settings::ByteSize;

use super::sections::{LogSchema, MAX_CONCURRENCY_LIMIT, MetricsSettings};
use super::{secrets, sink, tenants, transform};
use crate::codecs::EncodingSchema;
use crate::component::ProxySettings;
use crate::sources::Polling;
use crate::transforms::WasmSettings;
use crate::{sinks, sources, transforms};

/// What the name of a part may be, where it is a key.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";

/// The JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(variables::everywhere);
    settings
        .into_generator()
        .into_root_schema_for::<Root>()
        .to_value()
}

/// Every setting as a page of Markdown: the reference in the documentation.
#[must_use]
pub fn reference() -> String {
    reference::page(&schema())
}

/// The configuration of Watchbell: where detections come from, what happens to them, and where
/// they go.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "Watchbell configuration")]
#[expect(
    dead_code,
    reason = "the file is read key by key; the schema alone is made of it"
)]
struct Root {
    /// The folder for the ledger and compiled components; `run` needs it. It is made if it is
    /// missing. A relative path is relative to the configuration file. Default: none; compiled
    /// components are kept in the user's cache folder, or in memory.
    data_dir: Option<PathBuf>,
    /// The absolute path of a folder on which a disk must be mounted. Until it is, every verb
    /// that uses `data_dir` exits with 75 and makes nothing there. Default: none.
    #[schemars(extend("examples" = ["/var/lib/watchbell"]))]
    require_mount: Option<PathBuf>,
    /// Bytes that must be free on the disk of `data_dir`: while there are fewer, polling stops.
    /// Default: 256 MiB.
    min_free: Option<ByteSize>,
    /// Calls of components that may run at one time, from 1 to 4096. A poll that waits for its
    /// service counts. Default: 256.
    #[schemars(range(max = MAX_CONCURRENCY_LIMIT))]
    max_concurrency: Option<NonZeroU32>,
    /// Bytes of answers that may be in memory at one time: half of them for quick polls, half
    /// for those that are slow or large. Default: 256 MiB.
    max_in_flight: Option<ByteSize>,
    /// The names of what Watchbell adds to a detection.
    log_schema: Option<LogSchema>,
    /// Secret backends by name: where `SECRET[NAME.key]` is found.
    secret: Option<Named<Secret>>,
    /// Through which proxy requests go out. Default: what the environment says.
    proxy: Option<ProxySettings>,
    /// The metrics of the program. Default: not served.
    metrics: Option<MetricsSettings>,
    /// Sources by name: where detections come from. `run` needs one.
    sources: Option<Named<Source>>,
    /// Transforms by name: what happens to detections on their way.
    transforms: Option<Named<Transform>>,
    /// Sinks by name: where detections go. `run` needs one.
    sinks: Option<Named<Sink>>,
}

/// Parts by their names.
struct Named<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let part = generator.subschema_for::<T>();
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": part,
        })
    }
}

struct Source;

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut tenants = generator.subschema_for::<tenants::TenantsSchema>();
        describe(
            &mut tenants,
            "A source of each tenant in a file or folder: the source's settings, and over them the tenant's own. Default: one tenant.",
        );
        let types = sources::TYPES.iter().map(|source_type| {
            let mut schema = generator.subschema_for::<Polling>();
            lay_over(&mut schema, (source_type.schema)(generator));
            property(&mut schema, "tenants", tenants.clone());
            // Not required beside a component: the settings are the same whichever runs.
            let kind = json_schema!({
                "description": "The type. Required, unless there is a component.",
                "const": source_type.name,
            });
            property(&mut schema, "type", kind);
            schema.insert("title".into(), source_type.name.into());
            schema.insert(
                "anyOf".into(),
                serde_json::json!([{ "required": ["type"] }, { "required": ["component"] }]),
            );
            schema
        });
        one_of(
            "A source: which service is asked, as whom, how often and for what.",
            types.collect(),
        )
    }
}

struct Transform;

impl JsonSchema for Transform {
    fn schema_name() -> Cow<'static, str> {
        "Transform".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let types = transforms::TYPES.iter().map(|transform_type| {
            let mut schema = generator.subschema_for::<transform::Common>();
            lay_over(&mut schema, (transform_type.schema)(generator));
            typed(&mut schema, transform_type.name);
            schema
        });
        let mut types: Vec<Schema> = types.collect();
        let mut component = generator.subschema_for::<transform::Common>();
        lay_over(&mut component, generator.subschema_for::<WasmSettings>());
        component.insert("title".into(), "component".into());
        types.push(component);
        one_of(
            "A transform: what happens to detections on their way.",
            types,
        )
    }
}

struct Secret;

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "SecretBackend".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let types = secrets::schemas(generator).into_iter();
        let types = types.map(|(name, mut schema)| {
            typed(&mut schema, name);
            schema
        });
        one_of(
            "A secret backend: where secrets are found.",
            types.collect(),
        )
    }
}

struct Sink;

impl JsonSchema for Sink {
    fn schema_name() -> Cow<'static, str> {
        "Sink".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let types = sinks::TYPES.iter().map(|sink_type| {
            let mut schema = generator.subschema_for::<sink::Common>();
            let mut encoding = generator.subschema_for::<EncodingSchema>();
            describe(&mut encoding, "How a detection is written.");
            property(&mut schema, sink::ENCODING, encoding);
            lay_over(&mut schema, (sink_type.schema)(generator));
            typed(&mut schema, sink_type.name);
            schema
        });
        one_of(
            "A sink: where detections go, and in which format.",
            types.collect(),
        )
    }
}

/// Alternatives, of which exactly one fits what is written.
fn one_of(description: &str, alternatives: Vec<Schema>) -> Schema {
    json_schema!({ "description": description, "oneOf": alternatives })
}

/// The alternative with this `type`.
fn typed(schema: &mut Schema, name: &str) {
    let kind = json_schema!({ "description": "The type.", "const": name });
    property(schema, "type", kind);
    schema.insert("title".into(), name.into());
    let required = schema.ensure_object().entry("required");
    if let Some(required) = required
        .or_insert_with(|| Value::Array(Vec::new()))
        .as_array_mut()
    {
        required.push("type".into());
    }
}

fn describe(schema: &mut Schema, words: &str) {
    schema.insert("description".into(), words.into());
}

fn property(schema: &mut Schema, name: &str, property: Schema) {
    let properties = schema.ensure_object().entry("properties");
    let properties = properties.or_insert_with(|| Value::Object(Map::new()));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(name.to_owned(), property.to_value());
    }
}

/// Lays one table over another: the settings of both, and otherwise what the second says.
fn lay_over(schema: &mut Schema, own: Schema) {
    for (key, value) in own.to_value().as_object().into_iter().flatten() {
        let object = schema.ensure_object();
        match (object.get_mut(key), value) {
            (Some(Value::Object(there)), Value::Object(more)) if key == "properties" => {
                there.extend(more.clone());
            }
            (Some(Value::Array(there)), Value::Array(more)) if key == "required" => {
                there.extend(more.iter().cloned());
            }
            _ => {
                object.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sections;
    use std::collections::BTreeSet;

    /// The properties of a schema anywhere within, with their paths.
    fn properties<'s>(path: &str, schema: &'s Value, found: &mut Vec<(String, &'s Value)>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            properties(&path, property, found);
            found.push((path, property));
        }
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                properties(&format!("{path}.*"), &schema[key], found);
            }
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            for one in schema[key].as_array().into_iter().flatten() {
                properties(path, one, found);
            }
        }
    }

    #[test]
    fn every_setting_has_a_description() {
        let schema = schema();
        assert!(schema["description"].is_string() && schema["title"].is_string());
        let mut found = Vec::new();
        properties("", &schema, &mut found);
        assert!(found.len() > 150, "{}", found.len());
        for (path, property) in found {
            let words = property["description"].as_str().unwrap_or_default();
            assert!(
                words.ends_with('.') || words.ends_with(')'),
                "{path}: {words:?}"
            );
            assert!(!words.contains('\n'), "{path}: {words:?}");
        }
    }

    #[test]
    fn the_keys_at_the_top_are_those_that_are_read() {
        let schema = schema();
        let keys: BTreeSet<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, sections::keys().collect());
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn every_type_of_sink_is_an_alternative_with_what_every_sink_has() {
        let schema = schema();
        let sinks = &schema["properties"]["sinks"]["additionalProperties"]["oneOf"];
        let names: Vec<&str> = sinks
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["properties"]["type"]["const"].as_str().unwrap())
            .collect();
        let all: Vec<&str> = sinks::TYPES.iter().map(|one| one.name).collect();
        assert_eq!(names, all);
        for one in sinks.as_array().unwrap() {
            assert_eq!(one["additionalProperties"], false);
            for key in ["inputs", "buffer", "encoding", "limits"] {
                assert!(one["properties"][key].is_object(), "{key}");
            }
        }
    }

    /// No editor has to follow a reference.
    #[test]
    fn everything_stands_where_it_is_used() {
        let schema = schema();
        assert!(!schema.to_string().contains("$ref"));
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}
