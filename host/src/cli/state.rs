//! `watchbell state`: what was read, what waits, what could not be read.

use super::order;
use super::run::{data_dir, load, not_opened};
use crate::config::{Config, TimeBound};
use crate::control::Order;
use crate::exit::{Exit, Failure};
use crate::observe::printable;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use watchbell_ledger::{Feed, Ledger, QuarantineId, Quarantined, Sqlite, Time, Unread};

/// Show how far each source was read and what waits for each sink.
///
/// Reads beside a running `watchbell run` and changes nothing; what changes something
/// goes to the process that runs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct State {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Args)]
struct Look {
    /// Configuration file (TOML, YAML or JSON): it names data_dir.
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: Option<PathBuf>,
    /// As JSON, for machines.
    #[arg(long)]
    json: bool,
    /// Only this tenant, by its name or its id, with all there is to know.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    SetCursor(SetCursor),
    Forget(Forget),
    /// What could not be read, and what to do about it.
    #[command(subcommand)]
    Quarantine(Quarantine),
}

/// Move a source's cursor: the next poll reads from there.
///
/// Moving it back does not deliver twice, since what was delivered is known; how far back
/// that reaches is said.
#[derive(Debug, Args)]
struct SetCursor {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Which source of the file.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Which of its tenants, when it has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// To when: an instant, or an ISO 8601 duration back from now such as PT2H.
    #[arg(long, value_name = "TIME")]
    to: TimeBound,
    /// Forget what was read from there on, so that it is delivered again.
    #[arg(long)]
    replay: bool,
}

/// Give up what is kept of a tenant that is not in the configuration any more.
///
/// Its cursor, what is known to be delivered, its quarantine and what still waits for
/// sinks are kept until then, so that it goes on where it was when it comes back.
#[derive(Debug, Args)]
struct Forget {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Of which source.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// The tenant, by its name or its id.
    #[arg(long, value_name = "NAME")]
    tenant: String,
}

#[derive(Debug, Subcommand)]
enum Quarantine {
    /// List what is in quarantine.
    List(Look),
    /// Print what is kept of an entry, byte for byte.
    Show(Entry),
    /// Try an entry, or all, again: at the next poll, or at its sink.
    Retry(Retry),
    /// Give an entry up.
    Drop(Entry),
}

#[derive(Debug, Args)]
struct Entry {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Its number, as `list` says.
    id: i64,
}

#[derive(Debug, Args)]
struct Retry {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Its number, as `list` says. Default: all.
    id: Option<i64>,
}

impl State {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.verb {
            None => show(&self.look),
            Some(Verb::SetCursor(verb)) => verb.run().await,
            Some(Verb::Forget(Forget {
                config,
                source,
                tenant,
            })) => give(&config, Order::Forget { source, tenant }).await,
            Some(Verb::Quarantine(Quarantine::List(look))) => list(&look),
            Some(Verb::Quarantine(Quarantine::Show(entry))) => {
                let ledger = look_at(&entry.config)?.1;
                let body = ledger.quarantined_body(QuarantineId(entry.id));
                print(&body.map_err(|e| Failure::new(Exit::Usage, e))?)
            }
            Some(Verb::Quarantine(Quarantine::Retry(retry))) => {
                give(&retry.config, Order::Retry { id: retry.id }).await
            }
            Some(Verb::Quarantine(Quarantine::Drop(entry))) => {
                give(&entry.config, Order::Drop { id: entry.id }).await
            }
        }
    }
}

impl SetCursor {
    async fn run(self) -> Result<(), Failure> {
        let to = self.to.resolve(Utc::now()).timestamp_nanos_opt();
        let order = Order::SetCursor {
            source: self.source,
            tenant: self.tenant,
            to: to.unwrap_or(Time::MAX),
            replay: self.replay,
        };
        give(&self.config, order).await
    }
}

async fn give(config: &Path, order: Order) -> Result<(), Failure> {
    let words = order::give(config, order, |_| {}).await?;
    let _ = writeln!(io::stderr(), "{words}");
    Ok(())
}

fn look_at(config_file: &Path) -> Result<(Config, Sqlite), Failure> {
    let config = load(config_file)?;
    let folder = data_dir(&config, config_file)?;
    let ledger = Sqlite::look(&folder).map_err(not_opened)?;
    Ok((config, ledger))
}

impl Look {
    fn open(&self) -> Result<(Config, Sqlite), Failure> {
        let config = self.config.as_ref().ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "--config: is missing; name the configuration file, which names data_dir",
            )
        });
        look_at(config?)
    }
}

/// A sink and what waits for it.
struct SinkRow {
    name: String,
    entries: u64,
    detections: u64,
    bytes: u64,
}

fn show(look: &Look) -> Result<(), Failure> {
    let (_, ledger) = look.open()?;
    let told = |e| Failure::new(Exit::Io, e);
    let mut feeds = ledger.feeds().map_err(told)?;
    if let Some(tenant) = &look.tenant {
        feeds.retain(|feed| feed.is_of(tenant));
        if feeds.is_empty() {
            let words = format!("--tenant: nothing was read of {tenant}");
            return Err(Failure::new(Exit::Usage, words));
        }
    }
    let mut sinks = Vec::new();
    for name in ledger.readers().map_err(told)? {
        let backlog = ledger
            .backlog(&name, look.tenant.as_deref())
            .map_err(told)?;
        sinks.push(SinkRow {
            name,
            entries: backlog.entries,
            detections: backlog.records,
            bytes: backlog.bytes,
        });
    }
    let now = Utc::now();
    let text = if look.json {
        let value = json!({
            "sources": feeds.iter().map(|feed| feed_json(feed, now)).collect::<Vec<_>>(),
            "sinks": sinks.iter().map(sink_json).collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    } else {
        by_source(&feeds)
            .iter()
            .map(|of_source| match of_source.as_slice() {
                many @ [first, _, ..] => tenants_text(first, many, now),
                few => few.iter().map(|feed| feed_text(feed, now)).collect(),
            })
            .chain(sinks.iter().map(sink_text))
            .collect()
    };
    print(text.as_bytes())
}

fn feed_json(feed: &Feed, now: DateTime<Utc>) -> Value {
    json!({
        "source": feed.name.source,
        "tenant": feed.label,
        "tenant_id": feed.name.tenant,
        "api": feed.name.api,
        "cursor": feed.cursor.map(text),
        "lag_secs": feed.cursor.map(|cursor| lag(cursor, now)),
        "known_from": feed.keys_from.map(text),
        "keys": feed.keys,
        "last_success": feed.last_success.map(text),
        "last_error": feed.last_error.as_ref().map(|(_, words)| words),
        "last_error_at": feed.last_error.as_ref().map(|(at, _)| text(*at)),
        "seen": feed.totals.fresh + feed.totals.duplicates,
        "delivered": feed.totals.fresh,
        "duplicates": feed.totals.duplicates,
        "quarantined": feed.totals.quarantined,
        "quarantined_bytes": feed.totals.quarantined_bytes,
    })
}

fn by_source(feeds: &[Feed]) -> Vec<Vec<&Feed>> {
    let mut sources: IndexMap<&str, Vec<&Feed>> = IndexMap::new();
    for feed in feeds {
        sources.entry(&feed.name.source).or_default().push(feed);
    }
    sources.into_values().collect()
}

/// Names that are shown of each group.
const NAMES: usize = 5;

/// A source of many tenants: what they have together, and those that fail by their cause.
fn tenants_text(first: &Feed, feeds: &[&Feed], now: DateTime<Utc>) -> String {
    let sum = |count: fn(&Feed) -> u64| feeds.iter().map(|feed| count(feed)).sum::<u64>();
    let mut lines = vec![format!(
        "source {} ({} tenants)",
        first.name.source,
        feeds.len()
    )];
    let oldest = feeds.iter().filter(|feed| feed.cursor.is_some());
    if let Some(feed) = oldest.min_by_key(|feed| feed.cursor)
        && let Some(cursor) = feed.cursor
    {
        let ago = lag(cursor, now);
        lines.push(format!(
            "cursor       oldest {} ({ago} s ago): {}",
            text(cursor),
            feed.label
        ));
    }
    let unread = feeds.iter().filter(|feed| feed.cursor.is_none()).count();
    if unread > 0 {
        lines.push(format!("not read yet {unread}"));
    }
    lines.push(format!(
        "detections   {} seen, {} handed on, {} known already",
        sum(|feed| feed.totals.fresh + feed.totals.duplicates),
        sum(|feed| feed.totals.fresh),
        sum(|feed| feed.totals.duplicates)
    ));
    let quarantined = sum(|feed| feed.totals.quarantined);
    if quarantined > 0 {
        lines.push(format!("quarantine   {quarantined} entries"));
    }
    let mut causes: IndexMap<String, (&str, Vec<&str>)> = IndexMap::new();
    for feed in feeds {
        if let Some((_, words)) = &feed.last_error {
            let group = causes.entry(cause(words)).or_insert((words, Vec::new()));
            group.1.push(&feed.label);
        }
    }
    causes.sort_by(|_, one, _, other| other.1.len().cmp(&one.1.len()));
    for (words, labels) in causes.values() {
        let names = labels.get(..NAMES).map_or_else(
            || labels.join(", "),
            |some| {
                format!(
                    "{}{}",
                    some.join(", "),
                    if labels.len() > NAMES { ", …" } else { "" }
                )
            },
        );
        lines.push(format!(
            "failing      {}: {} ({names})",
            labels.len(),
            printable(words)
        ));
    }
    lines.join("\n  ") + "\n"
}

/// An error's words without what differs from tenant to tenant: numbers and ids.
fn cause(words: &str) -> String {
    let is_id = |word: &str| word.chars().any(|c| c.is_ascii_digit());
    let words: Vec<&str> = words
        .split([' ', ':', ';', '(', ')', ','])
        .map(|word| {
            if is_id(word) && word.len() > 5 {
                "#"
            } else {
                word
            }
        })
        .collect();
    words.join(" ")
}

fn sink_json(sink: &SinkRow) -> Value {
    json!({
        "sink": sink.name,
        "waiting": sink.detections,
        "waiting_entries": sink.entries,
        "waiting_bytes": sink.bytes,
    })
}

fn feed_text(feed: &Feed, now: DateTime<Utc>) -> String {
    let mut lines = vec![format!("source {}", feed.name)];
    if feed.label != feed.name.tenant {
        lines.push(format!("tenant       {}", feed.label));
    }
    lines.push(match feed.cursor {
        Some(cursor) => format!("cursor       {} ({} s ago)", text(cursor), lag(cursor, now)),
        None => "cursor       none: not read yet".to_owned(),
    });
    lines.push(format!(
        "detections   {} seen, {} handed on, {} known already",
        feed.totals.fresh + feed.totals.duplicates,
        feed.totals.fresh,
        feed.totals.duplicates
    ));
    if let Some(keys) = feed.keys_from {
        lines.push(format!("known from   {} ({} keys)", text(keys), feed.keys));
    }
    if feed.totals.quarantined > 0 {
        lines.push(format!(
            "quarantine   {} entries, {} bytes",
            feed.totals.quarantined, feed.totals.quarantined_bytes
        ));
    }
    if let Some(at) = feed.last_success {
        lines.push(format!("last success {}", text(at)));
    }
    if let Some((at, words)) = &feed.last_error {
        lines.push(format!("last error   {} {}", text(*at), printable(words)));
    }
    lines.join("\n  ") + "\n"
}

fn sink_text(sink: &SinkRow) -> String {
    match sink.detections {
        0 => format!("sink {}\n  nothing waits\n", sink.name),
        _ => format!(
            "sink {}\n  {} detections wait ({} bytes)\n",
            sink.name, sink.detections, sink.bytes
        ),
    }
}

fn list(look: &Look) -> Result<(), Failure> {
    let (_, ledger) = look.open()?;
    let held = ledger
        .quarantined(None)
        .map_err(|e| Failure::new(Exit::Io, e))?;
    let out = if look.json {
        let all: Vec<_> = held.iter().map(held_json).collect();
        format!("{:#}\n", Value::from(all))
    } else if held.is_empty() {
        "nothing is in quarantine\n".to_owned()
    } else {
        held.iter().map(held_text).collect()
    };
    print(out.as_bytes())
}

fn kind(held: &Quarantined) -> &'static str {
    match held.kind {
        Unread::Element => "element",
        Unread::Gap => "gap",
        Unread::Held => "held",
    }
}

fn held_json(held: &Quarantined) -> Value {
    json!({
        "id": held.id.0,
        "source": held.source,
        "tenant": held.tenant,
        "kind": kind(held),
        "sink": held.reader,
        "from": text(held.from),
        "to": text(held.to),
        "reason": held.reason,
        "bytes": held.bytes,
        "found_at": text(held.found_at),
        "tried_at": held.tried_at.filter(|at| *at > 0).map(text),
        "tries": held.tries,
    })
}

fn held_text(held: &Quarantined) -> String {
    let kind = match &held.reader {
        Some(sink) => format!("held of {} for {sink}", held.tenant),
        None => kind(held).to_owned(),
    };
    format!(
        "{} {} {kind} {}..{} {} bytes, {} tries: {}\n",
        held.id.0,
        held.source,
        text(held.from),
        text(held.to),
        held.bytes,
        held.tries,
        printable(&held.reason)
    )
}

fn lag(cursor: Time, now: DateTime<Utc>) -> i64 {
    (now - DateTime::from_timestamp_nanos(cursor)).num_seconds()
}

fn text(time: Time) -> String {
    DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}
