//! The simulator as a process of its own, for the bench. Prints where it is reached
//! as one line of JSON and serves until its stdin ends.

use anyhow::Result;
use clap::Parser;
use std::io::{self, Read, Write};
use std::path::PathBuf;

#[derive(Parser)]
struct Arguments {
    /// How many detections to serve.
    #[arg(long)]
    total: u32,
    /// Where to write the certificate authority (PEM).
    #[arg(long)]
    ca_file: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (served, _running) =
        runtime.block_on(watchbell_bench::serve(arguments.total, &arguments.ca_file))?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&served)?)?;
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}
