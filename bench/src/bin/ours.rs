//! Watchbell's own puller as a process that does what the bench says.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use watchbell_bench::{Ours, ServiceArgs, attend};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Does what stdin says.
    Serve {
        #[command(flatten)]
        service: ServiceArgs,
        /// Folder for compiled components.
        #[arg(long)]
        data_dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let Verb::Serve { service, data_dir } = Arguments::parse().verb;
    attend(Ours::start(&service, &data_dir)?).await
}
