//! The kinds of place where secrets are kept.
//!
//! - `env`: variables of this process.
//! - `file`: a JSON object of strings.
//! - `directory`: a file for each, as Kubernetes and systemd mount them.
//! - `exec`: a program that is asked on its standard input and answers on its standard
//!   output, by the protocol of Vector's `exec` backend: `{"version": "1.0", "secrets":
//!   ["a"]}` and `{"a": {"value": "…", "error": null}}`.

use super::{Secret, read_all, read_all_async};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

/// Bytes of a file of secrets, or of a program's answer.
const MOST: u64 = 16 << 20;

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
        /// How long it may take.
        timeout: Duration,
    },
}

/// What is in a backend for a key: the secret, or why there is none.
pub(super) type Found = Result<Secret, String>;

#[derive(Serialize)]
struct Question<'k> {
    version: &'static str,
    secrets: &'k [&'k str],
}

#[derive(Deserialize)]
struct Answered {
    value: Option<Secret>,
    error: Option<String>,
}

pub(super) fn in_env(key: &str) -> Found {
    let value = std::env::var(key).map_err(|_| format!("the variable {key} is not set"))?;
    usable(Secret::new(value))
}

pub(super) fn in_folder(folder: &Path, key: &str) -> Found {
    usable(Secret::read(&folder.join(key)).map_err(|error| error.to_string())?)
}

/// Everything in a file.
pub(super) fn in_file(path: &Path) -> Result<HashMap<String, Secret>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::File::open(path)
        .and_then(|file| read_all(file, MOST + 1))
        .map_err(|error| told(&error))?;
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

/// Asks a program for some keys. What it says on standard error is not passed on: it may
/// say a secret.
pub(super) async fn from_program(
    command: &[String],
    timeout: Duration,
    keys: &[&str],
) -> Result<HashMap<String, Found>, String> {
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let question = serde_json::to_vec(&Question {
        version: "1.0",
        secrets: keys,
    })
    .map_err(|error| error.to_string())?;
    let told = |error: std::io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(told)?;
    let (mut input, output) = (child.stdin.take(), child.stdout.take());
    let talk = async {
        let asking = async {
            if let Some(input) = &mut input {
                // A program that needs no question may have closed it.
                let _ = input.write_all(&question).await;
                let _ = input.shutdown().await;
            }
            drop(input);
        };
        let reading = async {
            match output {
                Some(output) => read_all_async(output, MOST).await,
                None => Ok(Zeroizing::default()),
            }
        };
        let ((), read) = tokio::join!(asking, reading);
        let answer = read.map_err(told)?;
        let status = child.wait().await.map_err(told)?;
        if !status.success() {
            return Err(format!("{program}: ended with {status}"));
        }
        Ok(answer)
    };
    let answer = tokio::time::timeout(timeout, talk)
        .await
        .map_err(|_| format!("{program}: took longer than {} s", timeout.as_secs_f64()))??;
    let answered: HashMap<String, Answered> = serde_json::from_slice(&answer).map_err(|error| {
        format!(
            "{program}: did not answer as Vector's exec protocol has it, at line {}",
            error.line()
        )
    })?;
    Ok(answered
        .into_iter()
        .map(|(key, answered)| (key, answered.found()))
        .collect())
}

impl Answered {
    fn found(self) -> Found {
        match (self.value, self.error) {
            (_, Some(error)) => Err(crate::observe::printable(&error)),
            (Some(value), None) => usable(value),
            (None, None) => Err("the program gave neither a value nor an error".to_owned()),
        }
    }
}

/// A secret that may be sent.
fn usable(secret: Secret) -> Found {
    if secret.expose().is_empty() {
        return Err("is empty".to_owned());
    }
    if secret.expose().contains(char::is_control) {
        return Err("holds a line end or a control character".to_owned());
    }
    Ok(secret)
}
