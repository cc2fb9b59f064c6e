//! A bound in time as people give one: an instant, or how long before now.
//!
//! Both spellings are ISO 8601, so the two cannot be confused: a duration begins with
//! `P`. Years and months are refused, because how long one is depends on when.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, Utc};
use ixdtf::parsers::IsoDurationParser;
use ixdtf::records::{DurationParseRecord, Fraction, Sign, TimeDurationRecord};

use super::values::{InvalidValue, deserialize_from_text};

/// The longest way back, in days: longer than any service keeps a detection, and far
/// from where instants end.
const MAX_DAYS: i64 = 36_525;

/// An instant, or a duration before now.
///
/// ```
/// use watchbell::config::TimeBound;
/// let now = "2026-03-01T12:00:00Z".parse().unwrap();
/// let bound: TimeBound = "PT2H".parse().unwrap();
/// assert_eq!(bound.resolve(now).to_rfc3339(), "2026-03-01T10:00:00+00:00");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeBound {
    /// That instant.
    At(DateTime<Utc>),
    /// That long before now; not negative, at most a hundred years.
    Back(TimeDelta),
}

impl TimeBound {
    /// The instant that is meant when it is `now`.
    #[must_use]
    pub fn resolve(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(instant) => *instant,
            Self::Back(back) => now
                .checked_sub_signed(*back)
                .unwrap_or(DateTime::UNIX_EPOCH),
        }
    }

    /// Two hours back: what the service answers for when asked for nothing else.
    #[must_use]
    pub(super) fn two_hours_back() -> Self {
        Self::Back(TimeDelta::hours(2))
    }
}

deserialize_from_text!(TimeBound);

impl FromStr for TimeBound {
    type Err = InvalidValue;

    /// An RFC 3339 instant (without a zone: UTC; a date alone: its midnight), or an
    /// ISO 8601 duration in weeks, days, hours, minutes and seconds.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text.starts_with(['P', '-', '+']) {
            return duration(text).map(Self::Back);
        }
        let instant = DateTime::parse_from_rfc3339(text)
            .map(|instant| instant.to_utc())
            .or_else(|_| {
                NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                    .map(|time| time.and_utc())
            })
            .or_else(|_| {
                NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .map(|date| date.and_time(NaiveTime::MIN).and_utc())
            });
        instant
            .ok()
            // The contract counts nanoseconds in 64 bits.
            .filter(|instant| instant.timestamp_nanos_opt().is_some())
            .map(Self::At)
            .ok_or_else(|| {
                InvalidValue::new(
                    "is not a time; write an instant such as 2026-03-01T12:00:00Z, or a duration back such as PT2H",
                )
            })
    }
}

impl fmt::Display for TimeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(instant) => f.write_str(&instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Back(back) => write!(f, "{back}"),
        }
    }
}

/// An ISO 8601 duration of fixed length.
fn duration(text: &str) -> Result<TimeDelta, InvalidValue> {
    let invalid =
        || InvalidValue::new("is not a duration; write one such as PT2H, PT10M or P1DT12H");
    let record = IsoDurationParser::from_str(text)
        .parse()
        .map_err(|_| invalid())?;
    if record.sign == Sign::Negative {
        return Err(InvalidValue::new(
            "must not be negative; it counts back from now already",
        ));
    }
    let date = record.date.unwrap_or_default();
    if date.years > 0 || date.months > 0 {
        return Err(InvalidValue::new(
            "must not count years or months, whose length varies; write days",
        ));
    }
    sum(&record)
        .filter(|total| *total <= TimeDelta::days(MAX_DAYS))
        .ok_or_else(|| InvalidValue::new("is more than a hundred years; write an instant"))
}

fn sum(record: &DurationParseRecord) -> Option<TimeDelta> {
    let date = record.date.unwrap_or_default();
    let (hours, minutes, seconds, fraction, unit) = match record.time {
        None => (0, 0, 0, None, 1),
        Some(TimeDurationRecord::Hours { hours, fraction }) => (hours, 0, 0, fraction, 3600),
        Some(TimeDurationRecord::Minutes {
            hours,
            minutes,
            fraction,
        }) => (hours, minutes, 0, fraction, 60),
        Some(TimeDurationRecord::Seconds {
            hours,
            minutes,
            seconds,
            fraction,
        }) => (hours, minutes, seconds, fraction, 1),
    };
    let nanoseconds = fraction
        .as_ref()
        .map_or(0, Fraction::to_truncated_nanoseconds);
    let days = date
        .days
        .checked_add(u64::from(date.weeks).checked_mul(7)?)?;
    let whole = days
        .checked_mul(24)?
        .checked_add(hours)?
        .checked_mul(60)?
        .checked_add(minutes)?
        .checked_mul(60)?
        .checked_add(seconds)?;
    let part = TimeDelta::nanoseconds(i64::from(nanoseconds).checked_mul(unit)?);
    TimeDelta::try_seconds(i64::try_from(whole).ok()?)?.checked_add(&part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        match text.parse() {
            Ok(TimeBound::Back(back)) => Some(back.as_seconds_f64()),
            _ => None,
        }
    }

    #[test]
    fn durations_have_their_length() {
        for (text, want) in [
            ("PT2H", 7200.0),
            ("P1DT30M", 88_200.0),
            ("P2W", 1_209_600.0),
            ("P1W2D", 777_600.0),
            ("PT0.5S", 0.5),
            ("PT1,25S", 1.25),
            ("PT1.5H", 5400.0),
            ("PT90M", 5400.0),
            ("PT0S", 0.0),
        ] {
            assert_eq!(seconds(text), Some(want), "{text}");
        }
    }

    #[test]
    fn what_has_no_fixed_length_or_is_no_duration_is_refused() {
        for text in [
            "P",
            "PT",
            "P1Y",
            "P1M",
            "-PT1H",
            "PT1",
            "1H",
            "PT1H ",
            "PT-1H",
            "P1H",
            "P99999W",
            "PT99999999999999999999S",
            "P18446744073709551615D",
            "",
        ] {
            assert!(text.parse::<TimeBound>().is_err(), "{text}");
        }
    }

    #[test]
    fn instants_without_a_zone_are_utc() {
        for text in [
            "2026-03-01T00:00:00Z",
            "2026-03-01T00:00:00",
            "2026-03-01T00:00:00.000",
            "2026-03-01",
            "2026-03-01T02:00:00+02:00",
        ] {
            assert_eq!(
                text.parse::<TimeBound>().unwrap().to_string(),
                "2026-03-01T00:00:00Z",
                "{text}"
            );
        }
        for text in [
            "2026-02-30",
            "2026-03-01T25:00:00Z",
            "0001-01-01T00:00:00Z",
            "9999-01-01",
            "now",
        ] {
            assert!(text.parse::<TimeBound>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_bound_printed_is_the_same_bound(back in 0i64..3_000_000_000, nanos in 0i64..1_000_000_000) {
            let back = TimeBound::Back(TimeDelta::seconds(back) + TimeDelta::nanoseconds(nanos));
            prop_assert_eq!(back.to_string().parse::<TimeBound>().unwrap(), back);
            let instant = TimeBound::At(back.resolve("2026-03-01T12:00:00Z".parse().unwrap()));
            prop_assert_eq!(instant.to_string().parse::<TimeBound>().unwrap(), instant);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", parts in "P?[0-9.,TWDHMS:Z-]{0,24}") {
            let _ = text.parse::<TimeBound>();
            let _ = parts.parse::<TimeBound>();
        }
    }
}
