//! `watchbell poll`: one query, what it found on stdout.

use super::data_dir::not_opened;
use super::print::printed;
use super::settings::{QueryArgs, SourceArgs};
use crate::delivery::LoadedCodec;
use crate::exit::{Exit, Failure};
use crate::names::Name;
use crate::polling::{Handle, PreviewError, preview};
use crate::sources::{DefenderClient, SourceClient, Window};
use crate::telemetry::printable;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use watchbell_detection::{split, without_halves};
use watchbell_ledger::{Ledger, OpenError, Sqlite};
use watchbell_sandbox::contract::ByteRange;
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
        let client = DefenderClient::new(&runtime, Arc::clone(&chosen.source))
            .map_err(|error| chosen.setup_failure(error))?;
        if self.dry_run {
            return dry_run(client, chosen.name, chosen.data_dir.as_deref()).await;
        }
        let window = match &self.query.ago {
            Some(ago) => Window::Ago(ago.to_string()),
            None => {
                let now = Utc::now();
                let polling = &chosen.source.polling;
                let until = polling.until.map(|until| until.resolve(now));
                Window::Between(Some(polling.since.resolve(now)), until)
            }
        };
        let polling = &client.settings().polling;
        let (limit, max_bytes) = (polling.limit, polling.max_response_bytes());
        let outcome = client.ask(&window, limit, max_bytes).await;
        let (alerts, mut words) = match outcome.result {
            Ok(alerts) => (alerts, Vec::new()),
            Err(error) => {
                let fault = error
                    .into_partly()
                    .map_err(|error| chosen.poll_failure(error))?;
                let words = unreadable(&client, &fault.unreadable, &outcome.body_head);
                (fault.alerts, words)
            }
        };
        let bytes = match self.output {
            Output::Csv => {
                let (bytes, left_out) = csv(&runtime.engine, &alerts).await?;
                words.extend(left_out);
                say_halves(&alerts);
                Some(bytes)
            }
            Output::Ndjson | Output::Json => None,
        };
        printed(|out| match (self.output, bytes) {
            (_, Some(bytes)) => out.write_all(&bytes),
            (Output::Json, _) => write_array(out, &alerts),
            (_, None) => write_lines(out, &alerts),
        })?;
        let Some(last) = words.pop() else {
            return Ok(());
        };
        let mut err = io::stderr().lock();
        for line in words {
            let _ = writeln!(err, "watchbell: {line}");
        }
        Err(Failure::new(Exit::Service, last))
    }
}

/// Most characters of an element that are shown.
const SHOWN: usize = 200;

/// A line for each element that could not be read: where, why, and how it begins. `head`
/// is what was kept of the answer.
fn unreadable(client: &DefenderClient, ranges: &[ByteRange], head: &[u8]) -> Vec<String> {
    let line = |range: &ByteRange| {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let place = format!(
            "the API (endpoint) answered an element that cannot be read, bytes {} to {}",
            range.start, range.end
        );
        let Some(element) = head.get(at(range.start)..at(range.end)) else {
            return place;
        };
        // Alone in a list it has the fault that it had among others.
        let alone = [b"[", element, b",0]"].concat();
        let why = split(&alone).err().map_or_else(String::new, |fault| {
            let offset = fault.offset.saturating_sub(1).saturating_add(range.start);
            format!(": byte {offset}: {}", fault.message)
        });
        // The service may repeat what it was sent.
        let element = client.redact_body(element);
        let text = String::from_utf8_lossy(&element);
        let shown: String = text.chars().take(SHOWN).collect();
        format!("{place}{why}: {}", printable(&shown))
    };
    ranges.iter().map(line).collect()
}

/// Says that a reader of CSV gets less than the service sent.
fn say_halves(alerts: &[Alert]) {
    let halved = alerts
        .iter()
        .filter(|alert| matches!(without_halves(&alert.json), Cow::Owned(_)));
    let count = halved.count();
    if count > 0 {
        let _ = writeln!(
            io::stderr(),
            "{count} detections hold half a surrogate pair, which is no character; CSV has U+FFFD in its place, ndjson and json have what the service sent"
        );
    }
}

/// What the next poll would ask and find.
async fn dry_run(client: DefenderClient, name: Name, folder: Option<&Path>) -> Result<(), Failure> {
    let ledger = match folder.map(Sqlite::look) {
        None | Some(Err(OpenError::Missing { .. })) => None,
        Some(Ok(ledger)) => Some(Arc::new(ledger) as Arc<dyn Ledger>),
        Some(Err(error)) => return Err(not_opened(error)),
    };
    let name = Handle::feed_name(&name, client.settings());
    let found = preview(Arc::new(client), ledger, &name)
        .await
        .map_err(|error| match error {
            PreviewError::Poll(error) => Failure::new(error.exit(), error),
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
    if found.unreadable > 0 {
        let _ = writeln!(err, "{} of them cannot be read", found.unreadable);
    }
    let _ = writeln!(
        err,
        "{} new, {} known; nothing was moved",
        found.new.len(),
        found.known
    );
    printed(|out| {
        found.new.iter().try_for_each(|line| {
            out.write_all(line)?;
            out.write_all(b"\n")
        })
    })
}

/// One object a line.
fn write_lines(out: &mut dyn Write, alerts: &[Alert]) -> io::Result<()> {
    for alert in alerts {
        out.write_all(alert.json.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn write_array(out: &mut dyn Write, alerts: &[Alert]) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, alert) in alerts.iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        out.write_all(alert.json.as_bytes())?;
    }
    out.write_all(b"\n]\n")
}

/// The detections as CSV with a header, by the bundled encoder, and what to say of those
/// that it cannot write.
async fn csv(engine: &Engine, alerts: &[Alert]) -> Result<(Vec<u8>, Option<String>), Failure> {
    let codec = LoadedCodec::csv(engine)
        .await
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    let (bytes, rejected) = codec
        .encode_file(alerts)
        .await
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    let left_out = (rejected > 0)
        .then(|| format!("{rejected} detections cannot be written as CSV; use --output ndjson"));
    Ok((bytes, left_out))
}
