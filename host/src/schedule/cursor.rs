//! What was read of a source: a time up to which everything is known, and the
//! detections near it.
//!
//! The bound of the API is inclusive as far as anyone knows, and detections become
//! visible late, so each poll asks from [`OVERLAP`] before the cursor again and drops
//! what it has seen. Seen is identity and LastProcessedTimeUtc, compared as time;
//! keys below the overlap are dropped. In memory for now: after a restart the source
//! begins at `since` again.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashSet;
use watchbell_sandbox::Alert;

/// How far each poll reads back behind the cursor.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// Identity, and LastProcessedTimeUtc in nanoseconds.
type Key = (String, Option<i64>);

/// What was read of one source.
#[derive(Debug)]
pub struct Cursor {
    since: DateTime<Utc>,
    read_to: Option<i64>,
    seen: HashSet<Key>,
}

impl Cursor {
    /// Nothing was read yet; the first poll begins at `since`.
    #[must_use]
    pub fn new(since: DateTime<Utc>) -> Self {
        Self {
            since,
            read_to: None,
            seen: HashSet::new(),
        }
    }

    /// Where the next poll begins: never before `since`.
    #[must_use]
    pub fn from(&self) -> DateTime<Utc> {
        let overlap = self
            .read_to
            .map(|read_to| DateTime::from_timestamp_nanos(read_to) - OVERLAP);
        overlap.map_or(self.since, |from| from.max(self.since))
    }

    /// The alerts that were not seen before, in order, without repeats.
    #[must_use]
    pub fn unseen(&self, alerts: Vec<Alert>) -> Vec<Alert> {
        let mut fresh = HashSet::new();
        alerts
            .into_iter()
            .filter(|alert| {
                let key = key(alert);
                !self.seen.contains(&key) && fresh.insert(key)
            })
            .collect()
    }

    /// Call when `alerts` were delivered. `served_at` is the service's clock when it
    /// was asked, if it said so: it moves the cursor over quiet times too.
    pub fn advance(&mut self, alerts: &[Alert], served_at: Option<DateTime<Utc>>) {
        self.seen.extend(alerts.iter().map(key));
        // The service's own now goes before the newest detection: one dated in the
        // future would drag the cursor over those still to come.
        let newest = || {
            alerts
                .iter()
                .filter_map(|alert| alert.last_processed_time)
                .max()
        };
        let read_to = served_at
            .and_then(|time| time.timestamp_nanos_opt())
            .or_else(newest);
        self.read_to = self.read_to.max(read_to);
        if let Some(floor) = self.from().timestamp_nanos_opt() {
            self.seen
                .retain(|(_, time)| time.is_none_or(|time| time >= floor));
        }
    }
}

fn key(alert: &Alert) -> Key {
    (alert.id.clone(), alert.last_processed_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchbell_sandbox::Severity;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn alert(id: &str, time: &str) -> Alert {
        Alert {
            id: id.to_owned(),
            alert_id: None,
            alert_time: None,
            last_processed_time: at(time).timestamp_nanos_opt(),
            severity: Severity::Unspecified,
            category: None,
            json: "{}".to_owned(),
        }
    }

    fn ids(alerts: &[Alert]) -> Vec<&str> {
        alerts.iter().map(|alert| alert.id.as_str()).collect()
    }

    #[test]
    fn a_first_poll_begins_at_since_and_the_next_within_the_overlap() {
        let mut cursor = Cursor::new(at("2026-01-01T00:00:00Z"));
        assert_eq!(cursor.from(), at("2026-01-01T00:00:00Z"));
        cursor.advance(&[], Some(at("2026-01-01T02:00:00Z")));
        assert_eq!(cursor.from(), at("2026-01-01T01:50:00Z"));
        cursor.advance(&[], Some(at("2026-01-01T00:05:00Z")));
        assert_eq!(cursor.from(), at("2026-01-01T01:50:00Z"), "never backwards");
    }

    #[test]
    fn the_inclusive_bound_repeats_nothing_and_equal_times_lose_nothing() {
        let mut cursor = Cursor::new(at("2026-01-01T00:00:00Z"));
        let noon = "2026-01-01T12:00:00.5Z";
        let first = cursor.unseen(vec![alert("a", noon), alert("b", noon), alert("a", noon)]);
        assert_eq!(ids(&first), ["a", "b"]);
        cursor.advance(&first, None);
        let next = cursor.unseen(vec![alert("a", noon), alert("b", noon), alert("c", noon)]);
        assert_eq!(ids(&next), ["c"]);
    }

    #[test]
    fn a_detection_that_comes_late_is_not_lost() {
        let mut cursor = Cursor::new(at("2026-01-01T00:00:00Z"));
        cursor.advance(
            &[alert("a", "2026-01-01T12:00:00Z")],
            Some(at("2026-01-01T12:00:10Z")),
        );
        assert!(cursor.from() <= at("2026-01-01T11:55:00Z"));
        assert_eq!(
            ids(&cursor.unseen(vec![alert("late", "2026-01-01T11:55:00Z")])),
            ["late"]
        );
    }

    #[test]
    fn a_date_in_the_future_does_not_drag_the_cursor_along() {
        let mut cursor = Cursor::new(at("2026-01-01T00:00:00Z"));
        cursor.advance(
            &[alert("a", "2099-01-01T00:00:00Z")],
            Some(at("2026-01-01T12:00:00Z")),
        );
        assert!(cursor.from() < at("2026-01-01T12:00:00Z"));
    }
}
