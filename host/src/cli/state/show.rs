//! What there is to see: rows from the ledger, as text or as JSON.

use super::text::{feed_text, held_text, sink_text, tenants_text};
use super::{Look, print};
use crate::exit::{self, Exit};
use crate::schedule::Handle;
use crate::sinks::Place;
use chrono::{DateTime, SecondsFormat, Utc};
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use watchbell_ledger::{
    self as ledger, Failure, Feed, FeedName, Ledger, Part, Quarantined, Sqlite, Time, Unread,
};

/// A feed, and whether it is in the configuration still.
pub(super) struct FeedRow {
    pub(super) feed: Feed,
    pub(super) is_gone: bool,
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
}

pub(super) fn show(look: &Look) -> Result<(), exit::Failure> {
    let (config, ledger) = look.open()?;
    let told = |e| exit::Failure::new(Exit::Io, e);
    let mut feeds = ledger.feeds().map_err(told)?;
    if let Some(tenant) = &look.tenant {
        feeds.retain(|feed| feed.is_of(tenant));
        if feeds.is_empty() {
            let words = format!("--tenant: nothing was read of {tenant}");
            return Err(exit::Failure::new(Exit::Usage, words));
        }
    }
    // What waits has a tenant's name, and the tenant may be asked for by its id.
    let parts: BTreeSet<Part<'_>> = match &look.tenant {
        Some(_) => feeds.iter().map(|feed| Some(feed.label.as_str())).collect(),
        None => BTreeSet::from([None]),
    };
    let sinks = sinks(&ledger, &parts).map_err(told)?;
    let configured: HashSet<FeedName> = config
        .feeds()
        .map(|(name, settings)| Handle::feed_name(name, settings))
        .collect();
    let feeds: Vec<FeedRow> = feeds
        .iter()
        .map(|feed| FeedRow {
            is_gone: !configured.contains(&feed.name),
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
        format!("{value:#}\n")
    } else {
        sources
            .iter()
            .map(|of_source| match of_source.as_slice() {
                many @ [first, _, ..] => tenants_text(&first.feed.name.source, many, now),
                few => few.iter().map(|feed| feed_text(feed, now)).collect(),
            })
            .chain(sinks.iter().map(sink_text))
            .collect()
    };
    print(text.as_bytes())
}

fn sinks(ledger: &Sqlite, parts: &BTreeSet<Part<'_>>) -> Result<Vec<SinkRow>, ledger::Error> {
    let row = |name: String| {
        let mut row = SinkRow {
            name,
            acknowledged: 0,
            place: None,
            entries: 0,
            detections: 0,
            bytes: 0,
        };
        for part in parts {
            let position = ledger.position(&row.name, *part)?;
            row.acknowledged = row.acknowledged.max(position.acknowledged.number());
            let place = position.state.as_deref().and_then(Place::read);
            row.place = row.place.or(place);
            let backlog = ledger.backlog(&row.name, *part)?;
            row.entries += backlog.entries;
            row.detections += backlog.records;
            row.bytes += backlog.bytes;
        }
        Ok(row)
    };
    ledger.readers()?.into_iter().map(row).collect()
}

/// Those of one source that fail, by the kind of what went wrong, the most first. One that
/// is gone fails no more.
pub(super) fn failing<'f>(of_source: &[&'f FeedRow]) -> Vec<Failing<'f>> {
    let mut causes: IndexMap<&str, Failing<'f>> = IndexMap::new();
    for feed in of_source
        .iter()
        .filter(|row| !row.is_gone)
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

fn feed_json(FeedRow { feed, is_gone }: &FeedRow, now: DateTime<Utc>) -> Value {
    let lags = feed.cursor.filter(|_| !is_gone);
    let failure = feed.last_error.as_ref();
    json!({
        "source": feed.name.source,
        "tenant": feed.label,
        "tenant_id": feed.name.tenant,
        "api": feed.name.api,
        "gone": is_gone,
        "cursor": feed.cursor.map(text),
        "lag_secs": lags.map(|cursor| lag(cursor, now)),
        "known_from": feed.keys_from.map(text),
        "keys": feed.keys,
        "last_success": feed.last_success.map(text),
        "last_error": failure.map(|failure| &failure.words),
        "last_error_kind": failure.map(|failure| &failure.kind),
        "last_error_at": failure.map(|failure| text(failure.at)),
        "seen": feed.totals.fresh + feed.totals.duplicates,
        "delivered": feed.totals.fresh,
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
    json!({
        "sink": sink.name,
        "acknowledged": sink.acknowledged,
        "path": sink.place.as_ref().map(|place| &place.path),
        "length": sink.place.as_ref().map(|place| place.length),
        "waiting": sink.detections,
        "waiting_entries": sink.entries,
        "waiting_bytes": sink.bytes,
    })
}

pub(super) fn list(look: &Look) -> Result<(), exit::Failure> {
    let (_, ledger) = look.open()?;
    let told = |e| exit::Failure::new(Exit::Io, e);
    let mut held = ledger.quarantined(None).map_err(told)?;
    if let Some(tenant) = &look.tenant {
        // It is known by its name here, and may be asked for by its id.
        let feeds = ledger.feeds().map_err(told)?;
        let of_it = feeds.iter().filter(|feed| feed.is_of(tenant));
        let labels: HashSet<&str> = of_it.map(|feed| feed.label.as_str()).collect();
        held.retain(|one| one.tenant == *tenant || labels.contains(one.tenant.as_str()));
    }
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

pub(super) fn kind(held: &Quarantined) -> &'static str {
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

pub(super) fn lag(cursor: Time, now: DateTime<Utc>) -> i64 {
    (now - DateTime::from_timestamp_nanos(cursor)).num_seconds()
}

pub(super) fn text(time: Time) -> String {
    DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}
