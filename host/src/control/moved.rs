//! What moving a cursor by hand means, in words.

use crate::polling::TimeRange;
use chrono::{DateTime, SecondsFormat, Utc};
use std::cmp::Ordering;
use watchbell_ledger::Time;

/// Ranges that are named; more are counted.
const RANGES: usize = 3;

/// A cursor that was moved.
pub(super) struct Moved<'o> {
    pub(super) source: &'o str,
    pub(super) tenant: Option<&'o str>,
    /// Where it was; none: nothing was read before.
    pub(super) was: Option<Time>,
    pub(super) is: Time,
    /// From when on it is known what was delivered.
    pub(super) keys: Option<Time>,
}

impl Moved<'_> {
    /// What was done and what comes of it; `covered` is what was read before.
    pub(super) fn words(&self, covered: &[(Time, Time)], replay: bool) -> String {
        let (source, is) = (self.source, text(self.is));
        let Some(was) = self.was else {
            return format!("{source}: the cursor is {is}; nothing was read before");
        };
        let begin = format!("{source}: the cursor was {} and is {is}", text(was));
        let known = self.keys.map_or_else(String::new, |keys| {
            format!("; what was delivered is known back to {}", text(keys))
        });
        match (self.is.cmp(&was), replay) {
            (_, true) => {
                format!(
                    "{begin}{known}; what was read from there on comes again, and is delivered twice"
                )
            }
            (Ordering::Equal, _) => format!("{begin}: it was not moved"),
            (Ordering::Greater, _) => format!(
                "{begin}; what lies between them is not read; `{}` reads it later",
                self.backfill(was, self.is, "")
            ),
            (Ordering::Less, _) => {
                format!(
                    "{begin}{known} and does not come again; {}",
                    self.unread(covered, was)
                )
            }
        }
    }

    /// What of the way back was not read before.
    fn unread(&self, covered: &[(Time, Time)], was: Time) -> String {
        let range = TimeRange {
            from: instant(self.is),
            to: instant(was),
        };
        let unread = range.missing(covered);
        if unread.is_empty() {
            return format!(
                "all of it was read before, so only what the service shows late is new; `{}` delivers it once more",
                self.backfill(self.is, was, " --again")
            );
        }
        let named: Vec<String> = unread
            .iter()
            .take(RANGES)
            .map(|range| format!("{} to {}", written(range.from), written(range.to)))
            .collect();
        let more = match unread.len().saturating_sub(RANGES) {
            0 => String::new(),
            more => format!(" and {more} ranges more"),
        };
        format!(
            "the next polls read and deliver what was not read: {}{more}",
            named.join(", ")
        )
    }

    fn backfill(&self, from: Time, to: Time, again: &str) -> String {
        let tenant = self
            .tenant
            .map_or_else(String::new, |tenant| format!(" --tenant {tenant}"));
        format!(
            "watchbell backfill -c FILE --source {}{tenant} --from {} --to {}{again}",
            self.source,
            text(from),
            text(to)
        )
    }
}

fn instant(time: Time) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time)
}

pub(super) fn text(time: Time) -> String {
    written(instant(time))
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
