//! How a sink writes a detection: the table `encoding` of a sink.
//!
//! A codec is a component of the world `alert-encoder`, one that comes with the program or a
//! file, or the detection's JSON as it came. Adding one that comes with the program: the
//! guest, its settings in a file here, and its line in `TYPES`. The settings of a codec
//! stand in a table of its name; what they mean is the guest's to judge.

mod csv;
mod json;
mod wasm;

use crate::component::{ComponentConfig, ComponentType, Options, Plugin, component_types};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use watchbell_settings::{
    InvalidValue, KeyPath, Node, Report, Table, Value, decode, deserialize_from_text, instead,
};

/// The settings of a codec.
pub trait CodecConfig: ComponentConfig {
    /// The encoder, where records have the member `tenant_key` or none; no encoder: each
    /// detection's JSON as it came.
    fn encoder(&self, tenant_key: Option<&str>) -> Option<EncoderPlugin>;
}

/// An encoder and how far it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderPlugin {
    /// The component and its options.
    pub plugin: Plugin,
    /// Whether its events may hold line ends between its quotes, which is to believe that it
    /// quotes.
    pub are_quotes_believed: bool,
}

component_types!(CodecConfig: json::Settings, csv::Settings);

/// The JSON of each detection.
#[must_use]
pub fn json() -> Arc<dyn CodecConfig> {
    Arc::new(json::Settings {})
}

/// CSV with its usual columns.
#[must_use]
pub fn csv() -> Arc<dyn CodecConfig> {
    Arc::new(csv::Settings::default())
}

/// What a sink's table `encoding` holds beside the settings of its codec.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Common {
    /// The format: `json` (one object a line), `csv`, or the file of a component (.wasm).
    /// Default: json.
    codec: Option<Codec>,
    /// What the component gets that `codec` names.
    options: Option<Options>,
    /// Whether the events of the component may hold line ends between quotes, which is to trust
    /// it. Default: false.
    quoted_line_ends: Option<bool>,
}

/// What `codec` names.
enum Codec {
    Type(&'static ComponentType<dyn CodecConfig>),
    File(PathBuf),
}

impl FromStr for Codec {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if is_component(text) {
            return Ok(Self::File(text.into()));
        }
        let found = ComponentType::named(TYPES, text);
        found.map(Self::Type).ok_or_else(|| {
            let names: Vec<&str> = TYPES.iter().map(|one| one.name).collect();
            let (all, hint) = (names.join(", "), instead(text, &names));
            InvalidValue::new(format!(
                "must be {all} or a component's file (.wasm); {hint}"
            ))
        })
    }
}

deserialize_from_text!(Codec);

impl JsonSchema for Codec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Codec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = TYPES.iter().map(|one| one.name).collect();
        let examples: Vec<&str> = names.iter().copied().chain(["encoder.wasm"]).collect();
        json_schema!({
            "type": "string",
            "pattern": format!(r"^({})$|\.wasm$|\$\{{", names.join("|")),
            "examples": examples,
        })
    }
}

/// Whether `codec` names a component's file.
pub(crate) fn is_component(codec: &str) -> bool {
    let extension = Path::new(codec).extension();
    extension.is_some_and(|extension| extension == "wasm")
}

/// Reads the table `encoding`, which stands at `path`.
pub(crate) fn read(
    node: &Node,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Arc<dyn CodecConfig>> {
    let names: Vec<&str> = TYPES.iter().map(|one| one.name).collect();
    let common: Common = decode(node, path, &names, report)?;
    let table = match &node.value {
        Value::Table(table) => table,
        _ => &Table::default(),
    };
    let own = match &common.codec {
        Some(Codec::Type(codec)) => codec.name,
        Some(Codec::File(_)) | None => "",
    };
    for other in names.iter().filter(|name| **name != own) {
        if table.get(other).is_some() {
            let message = format!("goes with codec = \"{other}\" only; set that or remove it");
            report.error(&path.key(other), message);
        }
    }
    let codec = match common.codec {
        Some(Codec::File(component)) => {
            return Some(Arc::new(wasm::Settings {
                component,
                options: common.options.unwrap_or_default(),
                quoted_line_ends: common.quoted_line_ends.unwrap_or_default(),
            }));
        }
        Some(Codec::Type(codec)) => Some(codec),
        None => None,
    };
    for (key, is_set) in [
        ("options", common.options.is_some()),
        ("quoted_line_ends", common.quoted_line_ends.is_some()),
    ] {
        if is_set {
            let message = "goes with a component as codec only; remove it";
            report.error(&path.key(key), message);
        }
    }
    let Some(codec) = codec else {
        return Some(json());
    };
    let nothing = Node {
        at: node.at.clone(),
        value: Value::Table(Table::default()),
    };
    let settings = table.get(codec.name).map_or(&nothing, |entry| &entry.node);
    (codec.read)(settings, &path.key(codec.name), &[], report)
}

/// What a person may write as `encoding`.
pub(crate) struct EncodingSchema;

impl JsonSchema for EncodingSchema {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Encoding".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Common::json_schema(generator);
        for codec in TYPES {
            let mut settings = (codec.schema)(generator);
            if settings.get("properties").is_none() {
                continue;
            }
            settings.insert(
                "description".into(),
                format!("Settings of the codec `{}`.", codec.name).into(),
            );
            let properties = schema.get_mut("properties");
            if let Some(properties) = properties.and_then(serde_json::Value::as_object_mut) {
                properties.insert(codec.name.to_owned(), settings.to_value());
            }
        }
        schema
    }
}
