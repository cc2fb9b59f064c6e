//! CSV, as Vector names its settings.

use super::{CodecConfig, EncoderPlugin};
use crate::component::{ComponentConfig, ComponentSettings, Options, Plugin, PluginComponent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watchbell_components::CSV;
use watchbell_detection::Detection;

/// Writes each detection as a line of CSV.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The columns: members of a detection, each once. Default: those of the service's answers.
    #[schemars(length(min = 1), extend("examples" = [["AlertTime", "Severity", "AlertTitle"]]))]
    fields: Option<Vec<String>>,
    /// What stands between two columns: one ASCII character other than a quote or a line end.
    /// Default: a comma.
    #[schemars(with = "Option<String>", regex(pattern = r"^[^\x22\n\r]$|\$\{"), extend("examples" = [";"]))]
    delimiter: Option<char>,
    /// Which values stand in quotes. Default: necessary.
    quote_style: Option<QuoteStyle>,
    /// Whether text that a spreadsheet would take for a formula gets a `'` in front. Default:
    /// false.
    escape_formulas: Option<bool>,
}

/// Which values stand in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum QuoteStyle {
    /// Those that would be misread without.
    Necessary,
    /// All but numbers.
    NonNumeric,
    /// All.
    Always,
}

impl ComponentSettings for Settings {
    const TYPE: &'static str = "csv";
}

impl ComponentConfig for Settings {}

impl CodecConfig for Settings {
    fn encoder(&self, tenant_key: Option<&str>) -> Option<EncoderPlugin> {
        let fields = self.fields_with(tenant_key);
        let options = Options::of(&Self {
            fields,
            ..self.clone()
        });
        Some(EncoderPlugin {
            plugin: Plugin {
                component: PluginComponent::Bundled(CSV),
                options,
            },
            are_quotes_believed: true,
        })
    }
}

impl Settings {
    /// The columns that are wanted, and in front of them the tenant's, unless it has a place;
    /// none leaves them to the encoder.
    fn fields_with(&self, tenant_key: Option<&str>) -> Option<Vec<String>> {
        let Some(key) = tenant_key else {
            return self.fields.clone();
        };
        let usual = || Detection::MEMBERS.iter().map(ToString::to_string).collect();
        let mut fields = self.fields.clone().unwrap_or_else(usual);
        // No columns at all are for the encoder to refuse.
        if !fields.is_empty() && !fields.iter().any(|field| field == key) {
            fields.insert(0, key.to_owned());
        }
        Some(fields)
    }
}
