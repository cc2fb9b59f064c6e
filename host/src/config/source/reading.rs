//! How a source is read over time: how far back each poll looks, and in what pieces.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{Ago, KeyPath, Report, TimeBound};

/// Late arrivals of ten minutes have been seen to be common.
const OVERLAP_SECS: u32 = 600;

/// An hour of a busy tenant is some tens of megabytes.
const MAX_WINDOW_SECS: u32 = 3600;

/// The longest of each setting: a week.
pub(super) const MOST_SECS: u32 = 7 * 86_400;

/// How a source is read over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// How far behind the cursor each poll reads again, for late arrivals.
    pub overlap: TimeDelta,
    /// How far behind the service's now a poll ends.
    pub settle: TimeDelta,
    /// The longest window of one request.
    pub max_window: TimeDelta,
    /// Reads further back now and then, for stragglers.
    pub rescan: Option<Rescan>,
}

/// A look further back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rescan {
    /// From one to the next.
    pub every: TimeDelta,
    /// How far behind the cursor.
    pub back: TimeDelta,
}

/// As it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRescan {
    /// How long after one rescan the next is due: a duration above zero.
    #[schemars(with = "Ago")]
    every: TimeBound,
    /// How far behind the cursor a rescan begins: a duration above zero.
    #[schemars(with = "Ago")]
    back: TimeBound,
}

/// Reads and judges them.
pub(super) fn read(
    overlap: Option<u32>,
    settle: Option<u32>,
    max_window: Option<u32>,
    rescan: Option<&RawRescan>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Reading {
    let mut seconds = |value: Option<u32>, usual: u32, least: u32, key: &str| {
        let value = value.unwrap_or(usual);
        if !(least..=MOST_SECS).contains(&value) {
            let message = format!("must be from {least} to {MOST_SECS} (a week)");
            report.error(&path.key(key), message);
        }
        TimeDelta::seconds(value.into())
    };
    Reading {
        overlap: seconds(overlap, OVERLAP_SECS, 0, "overlap_secs"),
        settle: seconds(settle, 0, 0, "settle_secs"),
        max_window: seconds(max_window, MAX_WINDOW_SECS, 1, "max_window_secs"),
        rescan: rescan.and_then(|raw| raw.read(path, report)),
    }
}

impl RawRescan {
    fn read(&self, path: &KeyPath, report: &mut Report<'_>) -> Option<Rescan> {
        let mut duration = |bound: TimeBound, key: &str| match bound {
            TimeBound::Back(time) if time > TimeDelta::zero() => Some(time),
            _ => {
                let message = "must be a duration such as PT6H, above zero";
                report.error(&path.key("rescan").key(key), message);
                None
            }
        };
        let (every, back) = (duration(self.every, "every"), duration(self.back, "back"));
        Some(Rescan {
            every: every?,
            back: back?,
        })
    }
}
