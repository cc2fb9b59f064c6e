//! The kinds of place where secrets are kept.
//!
//! - `env`: variables of this process.
//! - `file`: a JSON object of strings.
//! - `directory`: a file for each, as Kubernetes and systemd mount them.
//! - `exec`: a program that is asked on its standard input and answers on its standard
//!   output, by the protocol of Vector's `exec` backend: `{"version": "1.0", "secrets":
//!   ["a"]}` and `{"a": {"value": "…", "error": null}}`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{BackendError, FileFault};
use crate::files;
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::Seconds;

/// Bytes of a file of secrets, or of a program's answer.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// Where a backend's secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretSettings {
    /// In the environment.
    Env(EnvSettings),
    /// In a file that holds a JSON object.
    File(FileSettings),
    /// In a folder with a file for each.
    Directory(DirectorySettings),
    /// With a program.
    Exec(ExecSettings),
}

/// A key is the name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvSettings {}

/// A key is a member of the JSON object in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file that holds the JSON object. A relative path is relative to the configuration
    /// file.
    pub path: PathBuf,
}

/// A key is a file in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectorySettings {
    /// The folder. A relative path is relative to the configuration file.
    pub path: PathBuf,
}

/// A program is asked for the keys, by the protocol of Vector's exec backend.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecSettings {
    /// The program and its arguments. It reads the keys as JSON on standard input and writes the
    /// secrets as JSON to standard output.
    #[schemars(length(min = 1), extend("examples" = [["/usr/local/bin/vault-get", "--team", "security"]]))]
    pub command: Vec<String>,
    /// Environment variables of the program, beside `PATH`. It gets no others.
    #[serde(default)]
    pub environment: BTreeMap<String, Secret>,
    /// Seconds that the program may take. Default: 5.
    #[serde(default = "five_seconds")]
    pub timeout: Seconds,
}

/// As Vector has it.
fn five_seconds() -> Seconds {
    Seconds(Duration::from_secs(5))
}

/// What is in a backend for a key: the secret, or why there is none.
pub(crate) type Found = Result<Secret, BackendError>;

pub(crate) fn in_env(key: &str) -> Found {
    let value = std::env::var(key).map_err(|_| BackendError::NoVariable(key.to_owned()))?;
    usable(Secret::new(value))
}

pub(crate) async fn in_folder(folder: &Path, key: &str) -> Found {
    usable(Secret::read_async(&folder.join(key)).await?)
}

/// Everything in a file.
pub(crate) async fn in_file(path: &Path) -> Result<HashMap<String, Secret>, BackendError> {
    let fail = |fault| BackendError::File {
        path: path.to_owned(),
        fault,
    };
    let read = files::read_async(path, MAX_BYTES + 1).await;
    let bytes = read.map_err(|error| fail(error.into()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail(FileFault::TooLong(MAX_BYTES)));
    }
    // The library's words may repeat what stands there.
    serde_json::from_slice(&bytes).map_err(|error| fail(FileFault::NotAnObject(error.line())))
}

/// A secret that may be sent.
pub(crate) fn usable(secret: Secret) -> Found {
    if secret.expose().is_empty() {
        return Err(BackendError::Empty);
    }
    if secret.expose().contains(char::is_control) {
        return Err(BackendError::ControlCharacter);
    }
    Ok(secret)
}
