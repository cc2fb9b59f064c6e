//! The same in words, for people.

use super::show::{FeedRow, SinkRow, failing, kind, lag, text};
use crate::telemetry::printable;
use chrono::{DateTime, Utc};
use watchbell_ledger::{Failure, Feed, Quarantined};

/// What to do about one that is gone for good.
const GIVE_UP: &str = "what is kept of it stays until `watchbell state forget`";

/// Names that are shown of each group.
const NAMES: usize = 5;

/// A source of many tenants: what they have together, and those that fail by their cause.
pub(super) fn tenants_text(source: &str, rows: &[&FeedRow], now: DateTime<Utc>) -> String {
    let sum = |count: fn(&Feed) -> u64| rows.iter().map(|row| count(&row.feed)).sum::<u64>();
    let (gone, here): (Vec<&FeedRow>, Vec<&FeedRow>) = rows.iter().partition(|row| row.is_gone());
    let mut lines = vec![match here.len() {
        1 => format!("source {source} (1 tenant)"),
        count => format!("source {source} ({count} tenants)"),
    }];
    let read = here
        .iter()
        .filter_map(|row| Some((row.feed.cursor?, &row.feed.label)));
    if let Some((cursor, label)) = read.min() {
        let ago = lag(cursor, now);
        lines.push(format!(
            "cursor       oldest {} ({ago} s ago): {label}",
            text(cursor)
        ));
    }
    let unread = here.iter().filter(|row| row.feed.cursor.is_none()).count();
    if unread > 0 {
        lines.push(format!("not read yet {unread}"));
    }
    if !gone.is_empty() {
        let labels: Vec<&str> = gone.iter().map(|row| row.feed.label.as_str()).collect();
        lines.push(format!(
            "gone         {} not in the configuration ({}); {GIVE_UP}",
            gone.len(),
            some(&labels)
        ));
    }
    lines.push(format!(
        "detections   {} received, {} more were known already",
        sum(|feed| feed.totals.fresh),
        sum(|feed| feed.totals.duplicates)
    ));
    let quarantined = sum(|feed| feed.totals.quarantined);
    if quarantined > 0 {
        lines.push(format!("quarantine   {quarantined} entries"));
    }
    for group in failing(rows) {
        lines.push(format!(
            "failing      {} {} ({}): {}",
            group.tenants.len(),
            group.kind,
            some(&group.tenants),
            printable(group.words)
        ));
    }
    lines.join("\n  ") + "\n"
}

/// The first few of many names.
fn some(names: &[&str]) -> String {
    match names.get(..NAMES) {
        Some(few) if names.len() > NAMES => format!("{}, …", few.join(", ")),
        _ => names.join(", "),
    }
}

pub(super) fn feed_text(row: &FeedRow, now: DateTime<Utc>) -> String {
    let feed = &row.feed;
    let mut lines = vec![format!("source {}", feed.name)];
    if feed.label != feed.name.tenant {
        lines.push(format!("tenant       {}", feed.label));
    }
    if row.is_gone() {
        lines.push(format!("gone         not in the configuration; {GIVE_UP}"));
    }
    lines.push(match feed.cursor {
        Some(cursor) if row.is_gone() => format!("cursor       {}", text(cursor)),
        Some(cursor) => format!("cursor       {} ({} s ago)", text(cursor), lag(cursor, now)),
        None => "cursor       none: not read yet".to_owned(),
    });
    lines.push(format!(
        "detections   {} received, {} more were known already",
        feed.totals.fresh, feed.totals.duplicates
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
    if let Some(Failure { at, words, .. }) = &feed.last_error {
        lines.push(format!("last error   {} {}", text(*at), printable(words)));
    }
    lines.join("\n  ") + "\n"
}

pub(super) fn sink_text(sink: &SinkRow) -> String {
    let mut lines = vec![format!("sink {}", sink.name)];
    lines.push(match &sink.place {
        Some(place) => format!(
            "position     entry {}, {} bytes of {}",
            sink.acknowledged,
            place.length,
            printable(&place.path.to_string_lossy())
        ),
        None => format!("position     entry {}", sink.acknowledged),
    });
    lines.push(match sink.detections {
        0 => "waiting      nothing waits".to_owned(),
        _ => format!(
            "waiting      {} detections ({} bytes)",
            sink.detections, sink.bytes
        ),
    });
    for failure in sink.failures.iter().take(NAMES) {
        let of = failure.partition.as_ref();
        let of = of.map(|tenant| format!(" of {tenant}")).unwrap_or_default();
        lines.push(format!(
            "failing      since {}{of}: {}",
            text(failure.since),
            printable(&failure.failure.words)
        ));
    }
    if let Some(more @ 1..) = sink.failures.len().checked_sub(NAMES) {
        lines.push(format!("failing      {more} more tenants"));
    }
    lines.join("\n  ") + "\n"
}

pub(super) fn quarantined_text(quarantined: &Quarantined) -> String {
    let kind = match &quarantined.reader {
        Some(sink) => format!("rejected of {} for {sink}", quarantined.tenant),
        None => kind(quarantined).to_owned(),
    };
    format!(
        "{} {} {kind} {}..{} {} bytes, {} tries: {}\n",
        quarantined.id.0,
        quarantined.source,
        text(quarantined.from),
        text(quarantined.to),
        quarantined.bytes,
        quarantined.tries,
        printable(&quarantined.reason)
    )
}
