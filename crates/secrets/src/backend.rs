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

/// Bytes of a file of secrets, or of a program's answer.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// Where a backend's secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretSettings {
    /// In the environment; a key is a variable's name.
    Env,
    /// In a file that holds a JSON object.
    File {
        /// The file.
        path: PathBuf,
    },
    /// In a folder with a file for each.
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// With a program.
    Exec {
        /// The program and its arguments. Not empty.
        command: Vec<String>,
        /// The environment that it has, beside `PATH`.
        environment: BTreeMap<String, Secret>,
        /// How long it may take.
        timeout: Duration,
    },
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
