//! The log: one line for each event, on stderr.

use clap::ValueEnum;
use std::io;
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts the log. `WATCHBELL_LOG` takes tracing's filter syntax, e.g. `debug` or
/// `watchbell=debug,warn`.
pub fn start(format: Format) {
    let filter =
        EnvFilter::try_from_env("WATCHBELL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    // Fails only when a log was started before, as tests in one process do.
    let _ = match format {
        Format::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
}
