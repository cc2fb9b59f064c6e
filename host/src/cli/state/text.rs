//! The same in words, for people.

use super::show::{SinkRow, kind, lag, text};
use crate::observe::printable;
use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use watchbell_ledger::{Feed, Quarantined};

/// Names that are shown of each group.
const NAMES: usize = 5;

/// A source of many tenants: what they have together, and those that fail by their cause.
pub(super) fn tenants_text(first: &Feed, feeds: &[&Feed], now: DateTime<Utc>) -> String {
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

pub(super) fn feed_text(feed: &Feed, now: DateTime<Utc>) -> String {
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

pub(super) fn sink_text(sink: &SinkRow) -> String {
    match sink.detections {
        0 => format!("sink {}\n  nothing waits\n", sink.name),
        _ => format!(
            "sink {}\n  {} detections wait ({} bytes)\n",
            sink.name, sink.detections, sink.bytes
        ),
    }
}

pub(super) fn held_text(held: &Quarantined) -> String {
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
