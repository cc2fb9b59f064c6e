//! `watchbell validate`: whether `watchbell run` would start and could work, without asking
//! anyone and without writing anything.
//!
//! What a start would find is found, all of it at once; and what would show with the first
//! poll only: secrets that are not there, places that the policy denies, folders that cannot
//! be written. No folder is made, since it would be this user's and not the service's.

use super::data_dir::data_dir;
use super::run::{check_runnable, load, prepare_on};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use clap::Args;
use rustix::fs::{Access, access};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use watchbell_sandbox::Pool;
use watchbell_secrets::{Secrets, files};

/// Check a configuration: keys, values, files, components and their options.
///
/// Finds what a start of `watchbell run` would find. Reads the files that it names, asks no
/// service and no secret program, and writes nothing.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
}

impl Validate {
    pub(super) fn run(self) -> Result<(), Failure> {
        super::on_runtime(self.check())
    }

    async fn check(self) -> Result<(), Failure> {
        let config = load(&self.config)?;
        let mut problems = Vec::new();
        let file = self.config.display();
        if let Err(words) = check_runnable(&config) {
            problems.push(format!("{file}: {words}"));
        }
        match data_dir(&config, &self.config) {
            Ok(folder) => problems
                .extend(folder_problem(&folder).map(|words| format!("{file}: data_dir: {words}"))),
            Err(failure) => problems.push(failure.to_string()),
        }
        let of_parts = sinks(&config).into_iter().chain(sources(&config).await);
        problems.extend(of_parts.map(|words| format!("{file}: {words}")));
        let pool = Pool::Service(config.max_concurrency());
        let runtime = super::start_runtime_without_cache(pool)?;
        let prepared = prepare_on(&runtime, &config).await;
        match prepared {
            Ok(prepared) if problems.is_empty() => {
                let _ = writeln!(io::stderr(), "{file}: valid ({prepared})");
                return Ok(());
            }
            Ok(_) => {}
            Err(failure) => problems.push(failure.to_string()),
        }
        Err(Failure::new(Exit::Config, problems.join("\n")))
    }
}

/// Secrets that are not there, and sources that would ask where the policy lets none.
async fn sources(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let secrets = config.secrets(&Secrets::default(), &config.secret_locations());
    for (name, source) in config.feeds() {
        let whose = || match config.multi_tenant.contains(name) {
            true => format!("sources.{name} (tenant {})", source.tenant),
            false => format!("sources.{name}"),
        };
        if let Err(error) = source.settings.check_destinations() {
            problems.push(format!("{}: {error}", whose()));
        }
        if let Err(error) = source.settings.credential().validate(&secrets).await {
            problems.push(format!("{}: {error}", whose()));
        }
    }
    for (name, sink) in &config.sinks {
        for secret in sink.settings.secrets() {
            if let Err(error) = secrets.validate(&secret).await {
                problems.push(format!("sinks.{name}: {error}"));
            }
        }
    }
    problems
}

/// Sinks whose files could not be written. Folders that are missing are made by a start.
fn sinks(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, sink) in &config.sinks {
        let target = &sink.settings;
        let paths: BTreeSet<PathBuf> = if target.is_partitioned() {
            let tenants = config.tenants_of(sink);
            tenants
                .filter_map(|tenant| target.writes(Some(tenant)))
                .collect()
        } else {
            target.writes(None).into_iter().collect()
        };
        let told: BTreeSet<String> = paths.iter().filter_map(|path| file_problem(path)).collect();
        problems.extend(
            told.into_iter()
                .map(|words| format!("sinks.{name}.path: {words}")),
        );
    }
    problems
}

/// Why a file could not be appended to.
fn file_problem(path: &Path) -> Option<String> {
    let looked = path.to_owned();
    let look = move || match std::fs::metadata(&looked) {
        Ok(about) if about.is_dir() => {
            Some(format!("{}: is a folder, not a file", looked.display()))
        }
        Ok(about) if !about.is_file() => Some(format!("{}: is no regular file", looked.display())),
        Ok(_) => not_accessible(&looked, Access::WRITE_OK)
            .map(|words| format!("{}: {words}", looked.display())),
        Err(error) if !is_missing(&error) => Some(format!("{}: {error}", looked.display())),
        Err(_) => folder_problem_here(looked.parent().unwrap_or(&looked)),
    };
    match files::run(path, look) {
        Ok(found) => found,
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

/// Whether nothing stands there, or is in the way of what would.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Why a folder could neither be used nor made.
fn folder_problem(path: &Path) -> Option<String> {
    let looked = path.to_owned();
    match files::run(path, move || folder_problem_here(&looked)) {
        Ok(found) => found,
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

/// By the nearest folder that is there.
fn folder_problem_here(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for folder in path.ancestors() {
        let told = |words: &str| Some(format!("{}: {words}", folder.display()));
        match std::fs::metadata(folder) {
            Ok(about) if !about.is_dir() => return told("is not a folder"),
            Ok(_) => {
                let denied = not_accessible(folder, Access::WRITE_OK | Access::EXEC_OK)?;
                return told(&denied);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return told(&error.to_string()),
        }
    }
    None
}

fn not_accessible(path: &Path, how: Access) -> Option<String> {
    let denied = access(path, how).err()?;
    Some(format!(
        "cannot be written by this user: {}",
        io::Error::from(denied)
    ))
}
