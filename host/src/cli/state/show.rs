//! What there is to see: rows from the ledger, as text or as JSON.

use super::text::{feed_text, held_text, sink_text, tenants_text};
use super::{Look, print};
use crate::exit::{Exit, Failure};
use chrono::{DateTime, SecondsFormat, Utc};
use indexmap::IndexMap;
use serde_json::{Value, json};
use watchbell_ledger::{Feed, Ledger, Quarantined, Time, Unread};

/// A sink and what waits for it.
pub(super) struct SinkRow {
    pub(super) name: String,
    pub(super) entries: u64,
    pub(super) detections: u64,
    pub(super) bytes: u64,
}

pub(super) fn show(look: &Look) -> Result<(), Failure> {
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

fn sink_json(sink: &SinkRow) -> Value {
    json!({
        "sink": sink.name,
        "waiting": sink.detections,
        "waiting_entries": sink.entries,
        "waiting_bytes": sink.bytes,
    })
}

pub(super) fn list(look: &Look) -> Result<(), Failure> {
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
