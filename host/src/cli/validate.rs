//! `watchbell validate`: whether a configuration is right, without asking anyone.

use super::run::prepare;
use crate::exit::Failure;
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;

/// Check a configuration: keys, values, components and their options.
///
/// Reads the files that it names and asks no service.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
}

impl Validate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let prepared = super::on_runtime(prepare(&self.config))?;
        let _ = writeln!(
            io::stderr(),
            "{}: valid ({prepared})",
            self.config.display()
        );
        Ok(())
    }
}
