//! `watchbell schema`: what a configuration may hold, for editors and other tools.

use super::print;
use crate::config;
use crate::exit::{Exit, Failure};
use clap::{Args, ValueEnum};

/// Print the JSON Schema of the configuration, for editors and other tools.
///
/// With it an editor completes settings, shows what each means, and underlines mistakes. Save
/// it beside the configuration, name it in the configuration's first line, and print it anew
/// after an upgrade. `watchbell validate` checks more: how settings fit together, and the files
/// that they name.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  watchbell schema > watchbell.schema.json

The first line of a configuration in TOML (Taplo, Even Better TOML):
  #:schema ./watchbell.schema.json
In YAML (YAML language server):
  # yaml-language-server: $schema=./watchbell.schema.json")]
pub(super) struct SchemaVerb {
    /// `json`: the JSON Schema. `markdown`: every setting with its meaning, as a page for people.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// What is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Json,
    Markdown,
}

impl SchemaVerb {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.format == Format::Markdown {
            return print(config::reference().as_bytes());
        }
        let mut text = serde_json::to_vec_pretty(&config::schema())
            .map_err(|error| Failure::new(Exit::Internal, error))?;
        text.push(b'\n');
        print(&text)
    }
}
