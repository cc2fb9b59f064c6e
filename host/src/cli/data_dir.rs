//! The folder of the ledger: where it is, whether its disk is there, and what a ledger that
//! cannot be opened or had to be made means to whoever starts the program.

use super::settings::config_failure;
use crate::config::Credential;
use crate::config::{self, Config, Document};
use crate::exit::{Exit, Failure};
use crate::mount;
use std::fs;
use std::path::{Path, PathBuf};
use watchbell_ledger::{self as ledger, OpenError, Sqlite, private_folder};

/// Paths that one warning names.
const PATHS: usize = 5;

/// Where the ledger is. Makes nothing.
pub(super) fn data_dir(config: &Config, path: &Path) -> Result<PathBuf, Failure> {
    check_mount(config)?;
    let data_dir = config.data_dir.as_deref().ok_or_else(|| {
        let words = format!(
            "{}: data_dir: is missing; name a folder of watchbell's own for what was read and what is to be delivered, e.g. data_dir = \"/var/lib/watchbell\"",
            path.display()
        );
        Failure::new(Exit::Config, words)
    })?;
    Ok(private_folder(data_dir))
}

/// The same by a file of which nothing else is read.
pub(super) fn folder_of(path: &Path) -> Result<PathBuf, Failure> {
    let document = Document::read(path).map_err(config_failure)?;
    let config = document.only_data_dir(&config::process_env);
    data_dir(&config.map_err(config_failure)?, path)
}

/// Refuses to go on while nothing is mounted where the configuration demands it.
pub(super) fn check_mount(config: &Config) -> Result<(), Failure> {
    config.require_mount.as_deref().map_or(Ok(()), |path| {
        mount::check_mounted(path).map_err(|error| Failure::new(Exit::Later, error))
    })
}

/// Opens the ledger to write it. One that had to be made beside files that are not new is
/// warned of: without what was read before, it is delivered again.
pub(super) fn open(config: &Config, folder: &Path) -> Result<Sqlite, Failure> {
    let ledger = Sqlite::open(folder).map_err(not_opened)?;
    if let Some(rests) = ledger.made_beside() {
        let found: Vec<PathBuf> = rests.iter().cloned().chain(traces(config)).collect();
        if !found.is_empty() {
            tracing::warn!(
                "{}: there was no ledger, so an empty one was made, although there is {} already. Unless this is the first start, detections that were delivered since `since` come again: stop watchbell, and mount the disk that holds the ledger (require_mount demands it) or restore the ledger",
                folder.display(),
                listed(&found)
            );
        }
    }
    Ok(ledger)
}

/// Files that only an earlier run can have written: of sinks, and refresh tokens.
fn traces(config: &Config) -> impl Iterator<Item = PathBuf> {
    let written = config.sinks.values().flat_map(|sink| {
        let target = &sink.target;
        let files: Vec<PathBuf> = if target.is_partitioned() {
            let tenants = config.feeds().map(|(_, source)| source.tenant.as_str());
            tenants
                .filter_map(|tenant| target.writes(Some(tenant)))
                .collect()
        } else {
            target.writes(None).into_iter().collect()
        };
        files
    });
    let sealed = config.credentials().filter_map(Credential::sealed_file);
    let sealed = sealed.map(|sealed| sealed.path.clone());
    let mut files: Vec<PathBuf> = written.chain(sealed).collect();
    files.sort();
    files.dedup();
    files
        .into_iter()
        .filter(|file| fs::metadata(file).is_ok_and(|about| about.is_file() && about.len() > 0))
}

fn listed(paths: &[PathBuf]) -> String {
    let first: Vec<String> = paths
        .iter()
        .take(PATHS)
        .map(|path| path.display().to_string())
        .collect();
    match paths.len().checked_sub(PATHS) {
        Some(more @ 1..) => format!("{} and {more} more", first.join(", ")),
        _ => first.join(", "),
    }
}

/// A ledger that cannot be opened.
pub(super) fn not_opened(error: OpenError) -> Failure {
    let exit = match error {
        OpenError::Locked { .. } | OpenError::Busy { .. } | OpenError::Full { .. } => Exit::Later,
        OpenError::Io { .. } | OpenError::ReadOnly { .. } => Exit::Io,
        _ => Exit::Config,
    };
    Failure::new(exit, error)
}

/// A ledger that was opened and cannot take what is to be written at a start.
pub(super) fn not_begun(error: ledger::Error) -> Failure {
    let exit = match error {
        ledger::Error::Full => Exit::Later,
        ledger::Error::Disk(_) | ledger::Error::Other(_) => Exit::Io,
        _ => Exit::Config,
    };
    Failure::new(exit, error)
}
