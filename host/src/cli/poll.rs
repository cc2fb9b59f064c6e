//! `watchbell poll`: one query, what it found on stdout.

use super::run::not_opened;
use super::settings::{QueryArgs, SourceArgs};
use crate::config::Name;
use crate::exit::{Exit, Failure};
use crate::pipeline::Codec;
use crate::schedule::{Handle, PreviewError, Puller, Window, preview};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use watchbell_ledger::{Ledger, OpenError, Sqlite};
use watchbell_sandbox::{Alert, Engine};

/// Ask a source once and print what it has.
///
/// Keeps nothing between calls: what to ask for is --since, --until or --ago. Settings
/// come from a file, from flags, or from both, where flags go first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  watchbell poll -c watchbell.toml --ago PT1H
  WATCHBELL_CLIENT_SECRET=… watchbell poll --region eu --tenant-id contoso.com --client-id … --since PT2H")]
pub(super) struct Poll {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    query: QueryArgs,
    /// Ask what the next poll of `watchbell run` would ask, by the ledger in data_dir:
    /// what is new goes to stdout, what was asked to stderr, and nothing moves.
    #[arg(long, requires = "config", conflicts_with_all = ["since", "until", "ago"])]
    dry_run: bool,
    /// How to print detections.
    #[arg(short, long, value_enum, default_value = "ndjson")]
    output: Output,
}

/// How detections are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON object a line, as the service sent it.
    Ndjson,
    /// One JSON array.
    Json,
    /// CSV with a header: the 50 documented members.
    Csv,
}

impl Poll {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let chosen = self.source.choose(Some(&self.query))?;
        let runtime = chosen.runtime()?;
        let puller = Puller::new(&runtime, Arc::clone(&chosen.source))?;
        if self.dry_run {
            return dry_run(&puller, chosen.name, chosen.data_dir.as_deref()).await;
        }
        let window = match self.query.ago {
            Some(ago) => Window::Ago(ago),
            None => {
                let now = Utc::now();
                let until = chosen.source.until.map(|until| until.resolve(now));
                Window::Between(Some(chosen.source.since.resolve(now)), until)
            }
        };
        let pulled = puller
            .poll(&window)
            .await
            .map_err(|e| Failure::new(e.exit(), e))?;
        let bytes = match self.output {
            Output::Csv => Some(csv(&runtime.engine, &pulled.alerts).await?),
            Output::Ndjson | Output::Json => None,
        };
        let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
        let written = match (self.output, bytes) {
            (_, Some(bytes)) => out.write_all(&bytes),
            (Output::Json, _) => write_array(&mut out, &pulled.alerts),
            (_, None) => write_lines(&mut out, &pulled.alerts),
        };
        match written.and_then(|()| out.flush()) {
            // The reader has what it wanted, as with `| head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|e| Failure::new(Exit::Io, format!("stdout: {e}"))),
        }
    }
}

/// What the next poll would ask and find.
async fn dry_run(puller: &Puller, name: Name, folder: Option<&Path>) -> Result<(), Failure> {
    let ledger = match folder.map(Sqlite::look) {
        None | Some(Err(OpenError::Missing { .. })) => None,
        Some(Ok(ledger)) => Some(Arc::new(ledger) as Arc<dyn Ledger>),
        Some(Err(error)) => return Err(not_opened(error)),
    };
    let name = Handle::feed_name(&name, puller.settings());
    let found = preview(puller, ledger, &name)
        .await
        .map_err(|error| match error {
            PreviewError::Pull(error) => Failure::new(error.exit(), error),
            error => Failure::new(Exit::Io, error),
        })?;
    let mut err = io::stderr().lock();
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let cursor = found.cursor.map_or("none: not read yet".to_owned(), text);
    let _ = writeln!(
        err,
        "{name}: cursor {cursor}; the service's now {}",
        text(found.now)
    );
    for (window, count) in &found.windows {
        let (from, to) = window.question();
        let _ = writeln!(
            err,
            "asked {} to {}: {count} detections",
            text(from),
            text(to)
        );
    }
    let _ = writeln!(
        err,
        "{} new, {} known; nothing was moved",
        found.new.len(),
        found.known
    );
    let mut out = BufWriter::new(io::stdout().lock());
    let written = found.new.iter().try_for_each(|line| {
        out.write_all(line)?;
        out.write_all(b"\n")
    });
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|e| Failure::new(Exit::Io, format!("stdout: {e}"))),
    }
}

/// One object a line.
fn write_lines(out: &mut impl Write, alerts: &[Alert]) -> io::Result<()> {
    for alert in alerts {
        out.write_all(alert.json.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn write_array(out: &mut impl Write, alerts: &[Alert]) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, alert) in alerts.iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        out.write_all(alert.json.as_bytes())?;
    }
    out.write_all(b"\n]\n")
}

/// The detections as CSV with a header, by the bundled encoder.
async fn csv(engine: &Engine, alerts: &[Alert]) -> Result<Vec<u8>, Failure> {
    let codec = Codec::csv(engine)
        .await
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    let (batch, held_back) = codec
        .encode_around(alerts)
        .await
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    if held_back > 0 {
        return Err(Failure::new(
            Exit::Service,
            format!("{held_back} detections cannot be written as CSV; use --output ndjson"),
        ));
    }
    Ok([batch.header, batch.bytes].concat())
}
