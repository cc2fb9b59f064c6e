//! What there is to see: rows from the ledger, as text or as JSON.

use super::text::{feed_text, quarantined_text, sink_text, tenants_text};
use super::{Look, look_at, print};
use crate::config;
use crate::exit::{self, Exit};
use crate::polling::Handle;
use crate::sinks::Place;
use crate::telemetry::{escaped_json, escaped_lines, printable};
use chrono::{DateTime, SecondsFormat, Utc};
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};
use std::path::Path;
use watchbell_ledger::{
    self as ledger, Cursors, Failure, Feed, FeedName, Outbox, Partition, Quarantine, Quarantined,
    ReaderFailure, Sqlite, Time, Unread,
};

/// A feed, and whether it is in the configuration still.
pub(super) struct FeedRow {
    pub(super) feed: Feed,
    /// None: the configuration cannot be read.
    gone: Option<bool>,
}

impl FeedRow {
    /// Whether it is known to be gone.
    pub(super) fn is_gone(&self) -> bool {
        self.gone == Some(true)
    }
}

/// Tenants of one source that fail for one cause.
pub(super) struct Failing<'f> {
    source: &'f str,
    pub(super) kind: &'f str,
    pub(super) tenants: Vec<&'f str>,
    /// What went wrong with one of them.
    pub(super) words: &'f str,
}

/// A sink, how far it has got and what waits for it.
pub(super) struct SinkRow {
    pub(super) name: String,
    /// The last entry that it acknowledged.
    pub(super) acknowledged: i64,
    /// Of a file sink: where that ends. One that writes a file for each tenant has a place
    /// for each, which `--tenant` shows.
    pub(super) place: Option<Place>,
    pub(super) entries: u64,
    pub(super) detections: u64,
    pub(super) bytes: u64,
    /// What goes wrong with it, or with parts of it.
    pub(super) failures: Vec<ReaderFailure>,
}

/// The feeds that are configured, as far as that can be known: it takes no secret, and
/// what is wrong with the file is another verb's to say.
fn configured(file: &Path) -> Option<HashSet<FeedName>> {
    // A variable that is not set here is set where it runs. This is neither a name nor an
    // id nor an address, so nothing is taken for another.
    let env = |name: &str| config::process_env(name).or_else(|| Some("?".to_owned()));
    match config::load(file, &env) {
        Ok(loaded) => Some(
            loaded
                .config
                .feeds()
                .map(|(name, settings)| Handle::feed_name(name, settings))
                .collect(),
        ),
        Err(error) => {
            let words = error.to_string();
            let first = words.lines().next().unwrap_or_default();
            let _ = writeln!(
                io::stderr(),
                "which sources and tenants are configured is not known: {}",
                printable(first)
            );
            None
        }
    }
}

pub(super) async fn show(file: &Path, look: &Look) -> Result<(), exit::Failure> {
    let ledger = look_at(file)?;
    let told = |e| exit::Failure::new(Exit::Io, e);
    let mut feeds = ledger.list_feeds().await.map_err(told)?;
    if let Some(tenant) = &look.tenant {
        feeds.retain(|feed| feed.is_of(tenant));
        if feeds.is_empty() {
            let words = format!("--tenant: nothing was read of {tenant}");
            return Err(exit::Failure::new(Exit::Usage, words));
        }
    }
    // What waits has a tenant's name, and the tenant may be asked for by its id.
    let parts: BTreeSet<Partition<'_>> = match &look.tenant {
        Some(_) => feeds.iter().map(|feed| Some(feed.label.as_str())).collect(),
        None => BTreeSet::from([None]),
    };
    let sinks = sinks(&ledger, &parts).await.map_err(told)?;
    let configured = configured(file);
    let feeds: Vec<FeedRow> = feeds
        .iter()
        .map(|feed| FeedRow {
            gone: configured.as_ref().map(|names| !names.contains(&feed.name)),
            feed: feed.clone(),
        })
        .collect();
    let now = Utc::now();
    let sources = by_source(&feeds);
    let text = if look.json {
        let value = json!({
            "sources": feeds.iter().map(|feed| feed_json(feed, now)).collect::<Vec<_>>(),
            "failing": sources.iter().flat_map(|of_source| failing(of_source)).map(failing_json).collect::<Vec<_>>(),
            "sinks": sinks.iter().map(sink_json).collect::<Vec<_>>(),
        });
        escaped_json(&format!("{value:#}\n"))
    } else {
        let text: String = sources
            .iter()
            .map(|of_source| match of_source.as_slice() {
                many @ [first, _, ..] => tenants_text(&first.feed.name.source, many, now),
                few => few.iter().map(|feed| feed_text(feed, now)).collect(),
            })
            .chain(sinks.iter().map(sink_text))
            .collect();
        escaped_lines(&text)
    };
    print(text.as_bytes())
}

async fn sinks(
    ledger: &Sqlite,
    parts: &BTreeSet<Partition<'_>>,
) -> Result<Vec<SinkRow>, ledger::Error> {
    let failures = ledger.list_reader_failures().await?;
    let mut rows = Vec::new();
    for name in ledger.list_readers().await? {
        let mut row = SinkRow {
            name,
            acknowledged: 0,
            place: None,
            entries: 0,
            detections: 0,
            bytes: 0,
            failures: Vec::new(),
        };
        // Of a tenant only its own, and what is wrong with all of the sink.
        let is_shown =
            |part: Option<&str>| part.is_none() || parts.contains(&None) || parts.contains(&part);
        let of_sink = failures.iter().filter(|one| one.reader == row.name);
        row.failures = of_sink
            .filter(|one| is_shown(one.partition.as_deref()))
            .cloned()
            .collect();
        for part in parts {
            let position = ledger.position(&row.name, *part).await?;
            row.acknowledged = row.acknowledged.max(position.acknowledged.number());
            let place = position.state.as_deref().and_then(Place::read);
            row.place = row.place.or(place);
            let backlog = ledger.backlog(&row.name, *part).await?;
            row.entries += backlog.entries;
            row.detections += backlog.records;
            row.bytes += backlog.bytes;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Those of one source that fail, by the kind of what went wrong, the most first. One that
/// is gone fails no more.
pub(super) fn failing<'f>(of_source: &[&'f FeedRow]) -> Vec<Failing<'f>> {
    let mut causes: IndexMap<&str, Failing<'f>> = IndexMap::new();
    for feed in of_source
        .iter()
        .filter(|row| !row.is_gone())
        .map(|row| &row.feed)
    {
        if let Some(Failure { kind, words, .. }) = &feed.last_error {
            let cause = causes.entry(kind).or_insert_with(|| Failing {
                source: &feed.name.source,
                kind,
                tenants: Vec::new(),
                words,
            });
            cause.tenants.push(&feed.label);
        }
    }
    causes.sort_by(|_, one, _, other| other.tenants.len().cmp(&one.tenants.len()));
    causes.into_values().collect()
}

fn failing_json(failing: Failing<'_>) -> Value {
    json!({
        "source": failing.source,
        "kind": failing.kind,
        "count": failing.tenants.len(),
        "tenants": failing.tenants,
        "example": failing.words,
    })
}

fn feed_json(row: &FeedRow, now: DateTime<Utc>) -> Value {
    let feed = &row.feed;
    let lags = feed.cursor.filter(|_| !row.is_gone());
    let failure = feed.last_error.as_ref();
    json!({
        "source": feed.name.source,
        "tenant": feed.label,
        "tenant_id": feed.name.tenant,
        "api": feed.name.api,
        "gone": row.gone,
        "cursor": feed.cursor.map(text),
        "lag_secs": lags.map(|cursor| lag(cursor, now)),
        "known_from": feed.keys_from.map(text),
        "keys": feed.keys,
        "last_success": feed.last_success.map(text),
        "last_error": failure.map(|failure| &failure.words),
        "last_error_kind": failure.map(|failure| &failure.kind),
        "last_error_at": failure.map(|failure| text(failure.at)),
        "seen": feed.totals.fresh + feed.totals.duplicates,
        "received": feed.totals.fresh,
        "duplicates": feed.totals.duplicates,
        "quarantined": feed.totals.quarantined,
        "quarantined_bytes": feed.totals.quarantined_bytes,
    })
}

fn by_source(feeds: &[FeedRow]) -> Vec<Vec<&FeedRow>> {
    let mut sources: IndexMap<&str, Vec<&FeedRow>> = IndexMap::new();
    for row in feeds {
        let source = sources.entry(&row.feed.name.source);
        source.or_default().push(row);
    }
    sources.into_values().collect()
}

fn sink_json(sink: &SinkRow) -> Value {
    let last = sink.failures.iter().max_by_key(|one| one.failure.at);
    json!({
        "sink": sink.name,
        "acknowledged": sink.acknowledged,
        "path": sink.place.as_ref().map(|place| &place.path),
        "length": sink.place.as_ref().map(|place| place.length),
        "waiting": sink.detections,
        "waiting_entries": sink.entries,
        "waiting_bytes": sink.bytes,
        "last_error": last.map(|one| &one.failure.words),
        "last_error_kind": last.map(|one| &one.failure.kind),
        "last_error_at": last.map(|one| text(one.failure.at)),
        "failing_since": sink.failures.iter().map(|one| one.since).min().map(text),
        "failing": sink.failures.iter().map(sink_failure_json).collect::<Vec<_>>(),
    })
}

fn sink_failure_json(one: &ReaderFailure) -> Value {
    json!({
        "tenant": one.partition,
        "since": text(one.since),
        "at": text(one.failure.at),
        "kind": one.failure.kind,
        "error": one.failure.words,
    })
}

pub(super) async fn list(file: &Path, look: &Look) -> Result<(), exit::Failure> {
    let ledger = look_at(file)?;
    let told = |e| exit::Failure::new(Exit::Io, e);
    let mut quarantined = ledger.list_quarantined(None).await.map_err(told)?;
    if let Some(tenant) = &look.tenant {
        // It is known by its name here, and may be asked for by its id.
        let feeds = ledger.list_feeds().await.map_err(told)?;
        let of_it = feeds.iter().filter(|feed| feed.is_of(tenant));
        let labels: HashSet<&str> = of_it.map(|feed| feed.label.as_str()).collect();
        quarantined.retain(|one| one.tenant == *tenant || labels.contains(one.tenant.as_str()));
    }
    let out = if look.json {
        let all: Vec<_> = quarantined.iter().map(quarantined_json).collect();
        escaped_json(&format!("{:#}\n", Value::from(all)))
    } else if quarantined.is_empty() {
        "nothing is in quarantine\n".to_owned()
    } else {
        escaped_lines(&quarantined.iter().map(quarantined_text).collect::<String>())
    };
    print(out.as_bytes())
}

pub(super) fn kind(quarantined: &Quarantined) -> &'static str {
    match quarantined.kind {
        Unread::Element => "element",
        Unread::Gap => "gap",
        Unread::Rejected => "rejected",
    }
}

fn quarantined_json(quarantined: &Quarantined) -> Value {
    json!({
        "id": quarantined.id.0,
        "source": quarantined.source,
        "tenant": quarantined.tenant,
        "kind": kind(quarantined),
        "sink": quarantined.reader,
        "from": text(quarantined.from),
        "to": text(quarantined.to),
        "reason": quarantined.reason,
        "bytes": quarantined.bytes,
        "found_at": text(quarantined.found_at),
        "tried_at": quarantined.tried_at.filter(|at| *at > 0).map(text),
        "tries": quarantined.tries,
    })
}

pub(super) fn lag(cursor: Time, now: DateTime<Utc>) -> i64 {
    (now - DateTime::from_timestamp_nanos(cursor)).num_seconds()
}

pub(super) fn text(time: Time) -> String {
    DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}
