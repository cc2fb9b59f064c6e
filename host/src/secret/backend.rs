//! The kinds of place where secrets are kept.
//!
//! - `env`: variables of this process.
//! - `file`: a JSON object of strings.
//! - `directory`: a file for each, as Kubernetes and systemd mount them.
//! - `exec`: a program that is asked on its standard input and answers on its standard
//!   output, by the protocol of Vector's `exec` backend: `{"version": "1.0", "secrets":
//!   ["a"]}` and `{"a": {"value": "…", "error": null}}`.

use super::Secret;
use crate::files;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a file of secrets, or of a program's answer.
pub(super) const MOST: u64 = 16 << 20;

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
pub(super) type Found = Result<Secret, String>;

pub(super) fn in_env(key: &str) -> Found {
    let value = std::env::var(key).map_err(|_| format!("the variable {key} is not set"))?;
    usable(Secret::new(value))
}

pub(super) async fn in_folder(folder: &Path, key: &str) -> Found {
    let read = Secret::read_async(&folder.join(key)).await;
    usable(read.map_err(|error| error.to_string())?)
}

/// Everything in a file.
pub(super) async fn in_file(path: &Path) -> Result<HashMap<String, Secret>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let read = files::read_async(path, MOST + 1).await;
    let bytes = read.map_err(|error| told(&error))?;
    if bytes.len() as u64 > MOST {
        return Err(told(&format!("is longer than {MOST} bytes")));
    }
    // The library's words may repeat what stands there.
    serde_json::from_slice(&bytes).map_err(|error| {
        told(&format!(
            "is not a JSON object of usable strings, at line {}",
            error.line()
        ))
    })
}

/// A secret that may be sent.
pub(super) fn usable(secret: Secret) -> Found {
    if secret.expose().is_empty() {
        return Err("is empty".to_owned());
    }
    if secret.expose().contains(char::is_control) {
        return Err("holds a line end or a control character".to_owned());
    }
    Ok(secret)
}
