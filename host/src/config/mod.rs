//! The configuration: from a TOML, YAML or JSON file to settings that are right.
//!
//! It is separate because it alone reads what a person wrote. Everything below gets
//! typed values and need not doubt them; this module owes the person an answer that
//! names the key, the file, the line and the remedy, for as many mistakes at once as
//! it can find.
//!
//! How text becomes typed values is `watchbell_settings`' work. Here is what Watchbell's own
//! keys are and mean:
//!
//! 1. [`Document`] holds what the parser made of the text.
//! 2. Flags are laid over it ([`Document::override_source`]).
//! 3. `interpolate` has `${VAR}` replaced in string values, and `paths` says which of them are
//!    paths, relative to the file that they stand in.
//! 4. `tenants` lays each tenant's entry over its source, as far as `may_override` allows.
//! 5. `sections` makes typed components of it, each by the registry of its kind:
//!    [`Source`](crate::sources::Source), [`Transform`], [`Sink`].
//! 6. `check` judges how the parts fit together.
//!
//! [`schema()`] says of all of it what may be written, for editors.
//!
//! Files are bounded in bytes, depth and aliases; loading reads no other file than those of
//! tenants, and no network.

mod check;
mod document;
mod interpolate;
mod labels;
mod may_override;
mod merge;
mod paths;
mod root;
mod schema;
mod secrets;
mod sections;
mod sink;
mod tenants;
mod transform;

use std::path::{Path, PathBuf};

use watchbell_settings::{ConfigError, Env, Parser};

use watchbell_secrets::files;

pub use document::Document;
pub use root::{Config, Loaded};
pub use schema::{reference, schema};
pub use sink::Sink;
pub use transform::Transform;

/// How the files of a configuration are read. Keys below `options` are a plugin's own; a dot
/// in them means what the plugin says.
const PARSER: Parser = Parser {
    read_file: files::read,
    verbatim_tables: &["options"],
};

/// Reads, decodes and checks a file. `env` looks up variables: [`process_env`], or a
/// test's own.
///
/// # Errors
/// When the file cannot be read, or with every problem that one reading finds.
pub fn load(path: &Path, env: &Env<'_>) -> Result<Loaded, ConfigError> {
    Document::read(path)?.decode(env)
}

/// As [`load`], and the files beside this one that were looked at or would be, as far as it
/// came: one of them may be what is wrong.
pub fn try_load(path: &Path, env: &Env<'_>) -> (Vec<PathBuf>, Result<Loaded, ConfigError>) {
    match Document::read(path) {
        Ok(document) => document.try_decode(env),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// The environment of this process. A value that is not Unicode counts as not set.
#[must_use]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
