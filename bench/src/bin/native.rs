//! The plain native puller as a process: `serve` for the bench's commands, `print`
//! for one pull to stdout.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use watchbell_bench::{Native, ServiceArgs, Side, Window, attend, pull_backlog};

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
    },
    /// Pulls a backlog in windows of an hour, until it is on disk.
    Backlog {
        #[command(flatten)]
        service: ServiceArgs,
        /// How many detections there are.
        #[arg(long)]
        total: u32,
        /// Where to write.
        #[arg(long)]
        file: PathBuf,
    },
    /// Pulls once, to stdout.
    Print {
        #[command(flatten)]
        service: ServiceArgs,
        /// The earlier end of the window.
        #[arg(long)]
        since: String,
        /// The later end.
        #[arg(long)]
        until: String,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().verb {
        Verb::Serve { service } => attend(Native::start(&service).await?).await,
        Verb::Backlog {
            service,
            total,
            file,
        } => pull_backlog(&service, total, &file).await,
        Verb::Print {
            service,
            since,
            until,
        } => {
            let mut out = BufWriter::new(io::stdout().lock());
            Native::start(&service)
                .await?
                .pull(&Window { since, until }, &mut out)
                .await?;
            Ok(out.flush()?)
        }
    }
}
