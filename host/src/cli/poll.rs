//! `watchbell poll`: one query, what it found on stdout.

use super::settings::{QueryArgs, SourceArgs};
use crate::exit::{Exit, Failure};
use crate::pipeline::Codec;
use crate::schedule::{Puller, Runtime, Window};
use chrono::Utc;
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Write};
use watchbell_sandbox::{Alert, Engine, Pool};

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
        let runtime = Runtime::start(Pool::OneShot, chosen.data_dir.as_deref())?;
        let puller = Puller::new(&runtime, &chosen.source)?;
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
        .encode(alerts)
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
