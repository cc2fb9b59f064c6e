//! How a source is polled: how often, which part of time each poll reads and in what pieces,
//! and what it may use.

use crate::component::CallLimits;
use chrono::{TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU32;
use watchbell_settings::{KeyPath, PositiveDuration, Report, TimeBound, WholeSeconds};

/// A day: the service answers for its last hours, so asking more rarely is a mistake.
const DAY: u32 = 86_400;

/// The longest of what reaches back.
const WEEK: u32 = 7 * DAY;

/// 35,000 detections at the 1,900 bytes that one has.
const DEFAULT_RESPONSE_BYTES: u64 = 64 << 20;

/// What a 32-bit component can address.
const MAX_RESPONSE_BYTES: u64 = 4 << 30;

/// What cannot be read is kept up to that; then its source stops until someone has looked.
const DEFAULT_QUARANTINE_BYTES: u64 = 64 << 20;

/// A `since` that lies further ahead of this machine's clock than any clock is wrong is a
/// mistake.
const FURTHEST_AHEAD: TimeDelta = TimeDelta::days(1);

/// How a source is polled, whatever its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Polling {
    /// Seconds from the start of one poll to the start of the next, from 1 to 86400 (a day).
    /// Default: 60.
    #[serde(rename = "scrape_interval_secs", default = "minute")]
    pub scrape_interval: WholeSeconds<1, DAY>,
    /// Seconds behind the cursor that each poll reads again, for detections that arrive late; at
    /// most a week. Default: 600.
    #[serde(rename = "overlap_secs", default = "ten_minutes")]
    pub overlap: WholeSeconds<0, WEEK>,
    /// Seconds behind the service's present time at which a poll ends; at most a week. Default:
    /// 0.
    #[serde(rename = "settle_secs", default)]
    pub settle: WholeSeconds<0, WEEK>,
    /// Seconds of the longest range that one request asks for, at most a week. What is too large
    /// for one answer is halved anyway. Default: 3600.
    #[serde(rename = "max_window_secs", default = "hour")]
    pub max_window: WholeSeconds<1, WEEK>,
    /// Reads further back now and then, for detections that arrive later than `overlap_secs`
    /// allows. Default: off.
    pub rescan: Option<Rescan>,
    /// Where the first run begins: an instant that is not in the future, or a duration back.
    /// Default: PT2H.
    #[serde(default = "two_hours_back")]
    pub since: TimeBound,
    /// Where to end: an instant or a duration back, after `since`. Default: now.
    pub until: Option<TimeBound>,
    /// Only the most recent detections of one request, that many. `run` asks for less time until
    /// an answer has fewer. Default: all.
    pub limit: Option<NonZeroU32>,
    /// What one call of the component, and one tenant, may use.
    #[serde(default)]
    pub limits: CallLimits,
}

/// A look further back, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rescan {
    /// How long after one rescan the next is due: a duration above zero.
    pub every: PositiveDuration,
    /// How far behind the cursor a rescan begins: a duration above zero.
    pub back: PositiveDuration,
}

fn minute() -> WholeSeconds<1, DAY> {
    WholeSeconds::literal::<60>()
}

/// Late arrivals of ten minutes have been seen to be common.
fn ten_minutes() -> WholeSeconds<0, WEEK> {
    WholeSeconds::literal::<600>()
}

/// An hour of a busy tenant is some tens of megabytes.
fn hour() -> WholeSeconds<1, WEEK> {
    WholeSeconds::literal::<3600>()
}

/// What the service answers for when asked for nothing else.
fn two_hours_back() -> TimeBound {
    TimeBound::Back(TimeDelta::hours(2))
}

impl Polling {
    /// What it is written as.
    pub(crate) const KEYS: &[&str] = &[
        "scrape_interval_secs",
        "overlap_secs",
        "settle_secs",
        "max_window_secs",
        "rescan",
        "since",
        "until",
        "limit",
        "limits",
    ];

    /// Bytes of one answer, decompressed.
    #[must_use]
    pub fn max_response_bytes(&self) -> u64 {
        let size = self.limits.max_response_bytes;
        size.map_or(DEFAULT_RESPONSE_BYTES, |size| size.0)
    }

    /// Bytes that its quarantine may hold.
    #[must_use]
    pub fn max_quarantine_bytes(&self) -> u64 {
        let size = self.limits.max_quarantine_bytes;
        size.map_or(DEFAULT_QUARANTINE_BYTES, |size| size.0)
    }

    /// Reports what only shows when all settings are there.
    pub(super) fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        let limits = path.key("limits");
        self.limits.check(&limits, report);
        if !(1..=MAX_RESPONSE_BYTES).contains(&self.max_response_bytes()) {
            let message = "must be from 1 byte to 4 GiB, which is all a component can hold";
            report.error(&limits.key("max_response_bytes"), message);
        }
        if let TimeBound::At(since) = self.since {
            let ahead = since - Utc::now();
            let words = "lies in the future, so nothing would be found; write an instant that has been, or a duration back such as PT2H";
            if ahead > FURTHEST_AHEAD {
                report.error(&path.key("since"), words);
            } else if ahead > TimeDelta::zero() {
                report.warn(&path.key("since"), words);
            }
        }
        let is_reversed = match (self.since, self.until) {
            (TimeBound::At(since), Some(TimeBound::At(until))) => since >= until,
            (TimeBound::Back(since), Some(TimeBound::Back(until))) => since <= until,
            _ => false,
        };
        if is_reversed {
            report.error(
                &path.key("until"),
                "is not after since; make it later, or leave it out",
            );
        }
    }
}
