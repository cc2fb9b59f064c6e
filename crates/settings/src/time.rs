//! A bound in time as people give one: an instant, or how long before now.
//!
//! An instant is RFC 3339; it may lack the zone, and have a space for the `T`. A duration is ISO 8601 (`PT10M`) or as in Vector's configuration
//! (`10m`, `1h30m`, `2d`). Years and months are refused, because how long one is depends on
//! when.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, Utc};
use ixdtf::parsers::IsoDurationParser;
use ixdtf::records::{DurationParseRecord, Fraction, Sign, TimeDurationRecord};

use watchbell_detection::Timestamp;

use crate::deserialize_from_text;
use crate::values::InvalidValue;

/// The longest way back, in days: longer than any service keeps a record, and far
/// from where instants end.
const MAX_DAYS: i64 = 36_525;

/// An instant, or a duration before now.
///
/// ```
/// use watchbell_settings::TimeBound;
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
}

deserialize_from_text!(TimeBound, Ago, PositiveDuration);

/// A duration back from now, printed as ISO 8601 in capitals, which every service reads.
///
/// ```
/// use watchbell_settings::Ago;
/// let ago: Ago = "90m".parse().unwrap();
/// assert_eq!(ago.to_string(), "PT1H30M");
/// assert!("P15M".parse::<Ago>().is_err(), "fifteen months");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ago(TimeDelta);

impl FromStr for Ago {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match Spelling::of(text) {
            Some(span) => span.read(text).map(Self),
            None => Err(InvalidValue::new(
                "is not a duration; write one such as PT10M, PT2H or 10m",
            )),
        }
    }
}

impl fmt::Display for Ago {
    /// ISO 8601 in capitals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.num_days(), self.0.num_seconds());
        let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let nanos = self.0.subsec_nanos();
        f.write_str("P")?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        let has_seconds = seconds > 0 || nanos > 0;
        if hours > 0 || minutes > 0 || has_seconds || days == 0 {
            f.write_str("T")?;
        }
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if nanos > 0 {
            let fraction = format!("{nanos:09}");
            write!(f, "{seconds}.{}S", fraction.trim_end_matches('0'))
        } else if seconds > 0 || self.0.is_zero() {
            write!(f, "{seconds}S")
        } else {
            Ok(())
        }
    }
}

/// A duration above zero, in the same spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositiveDuration(TimeDelta);

impl PositiveDuration {
    /// None where it is not above zero.
    #[must_use]
    pub fn new(span: TimeDelta) -> Option<Self> {
        (span > TimeDelta::zero()).then_some(Self(span))
    }

    /// How long it is.
    #[must_use]
    pub fn delta(self) -> TimeDelta {
        self.0
    }
}

impl FromStr for PositiveDuration {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let span = text.parse::<Ago>().ok();
        span.and_then(|span| Self::new(span.0))
            .ok_or_else(|| InvalidValue::new("must be a duration such as PT6H, above zero"))
    }
}

impl FromStr for TimeBound {
    type Err = InvalidValue;

    /// An RFC 3339 instant (without a zone: UTC; a date alone: its midnight; with a space
    /// for the `T`, too), a duration in weeks, days, hours, minutes and seconds, or `now`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text == "now" {
            return Ok(Self::Back(TimeDelta::zero()));
        }
        if let Some(span) = Spelling::of(text) {
            return span.read(text).map(Self::Back);
        }
        let instant = text
            .parse()
            .map(|instant: Timestamp| DateTime::from_timestamp_nanos(instant.as_nanos()))
            .or_else(|_| DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc()))
            .or_else(|_| {
                let minute = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M");
                minute.map(|time| time.and_utc())
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
                    "is not a time; write an instant such as 2026-03-01T12:00:00Z, or a duration back such as PT2H or 2h",
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

/// How a duration is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// `PT10M`.
    Iso,
    /// `10m`.
    Units,
}

impl Spelling {
    /// None for a text that can be no duration: it may be an instant.
    fn of(text: &str) -> Option<Self> {
        if text.starts_with(['P', 'p', '-', '+']) {
            return Some(Self::Iso);
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ' ' | '\u{b5}');
        let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        let starts = text.starts_with(|c: char| c.is_ascii_digit());
        (starts && has_unit && text.chars().all(is_plain)).then_some(Self::Units)
    }

    fn read(self, text: &str) -> Result<TimeDelta, InvalidValue> {
        let span = match self {
            Self::Iso => iso(text)?,
            Self::Units => units(text)?,
        };
        span.filter(|total| *total <= TimeDelta::days(MAX_DAYS))
            .ok_or_else(|| InvalidValue::new("is more than a hundred years; write an instant"))
    }
}

/// A duration as Vector's users write them: numbers with units, the larger first. None
/// when it is too long for any clock.
fn units(text: &str) -> Result<Option<TimeDelta>, InvalidValue> {
    let invalid = || {
        InvalidValue::new(
            "is not a duration; write one such as 10m, 1h30m or 2d (ms, s, m, h, d, w), or PT10M",
        )
    };
    let mut total = Some(TimeDelta::zero());
    let mut least = i64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic());
        let (number, unit) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .ok_or_else(invalid)?;
        let end = unit.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = unit
            .split_at_checked(end.unwrap_or(unit.len()))
            .ok_or_else(invalid)?;
        rest = after.trim_start();
        let millis: i64 = match unit {
            "ms" => 1,
            "s" | "sec" | "secs" => 1000,
            "m" | "min" | "mins" => 60_000,
            "h" | "hr" | "hrs" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return Err(invalid()),
        };
        if millis >= least {
            return Err(invalid());
        }
        least = millis;
        let part = part(number.trim(), millis).ok_or_else(invalid)?;
        total = total
            .zip(part)
            .and_then(|(sum, part)| sum.checked_add(&part));
    }
    Ok(total)
}

/// A decimal number of units of so many milliseconds. None for what is no number; within,
/// none for what is too long.
fn part(number: &str, millis: i64) -> Option<Option<TimeDelta>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let nanos = i128::from(fraction.parse::<i64>().ok()?) * i128::from(millis) * 1_000_000
        / i128::from(scale);
    let whole = whole
        .parse::<i64>()
        .ok()
        .and_then(|whole| whole.checked_mul(millis));
    let whole = whole.and_then(TimeDelta::try_milliseconds);
    let nanos = i64::try_from(nanos).ok().map(TimeDelta::nanoseconds);
    Some(
        whole
            .zip(nanos)
            .and_then(|(whole, nanos)| whole.checked_add(&nanos)),
    )
}

/// An ISO 8601 duration of fixed length; its letters may be small. None when it is too long
/// for any clock.
fn iso(text: &str) -> Result<Option<TimeDelta>, InvalidValue> {
    let invalid =
        || InvalidValue::new("is not a duration; write one such as PT2H, PT10M or P1DT12H");
    let record = IsoDurationParser::from_str(&text.to_ascii_uppercase())
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
            "must not count years or months, whose length varies; write days (P30D), or minutes with a T (PT15M)",
        ));
    }
    Ok(sum(&record))
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
            ("PT15m", 900.0),
            ("pt2h", 7200.0),
            ("p1dt30m", 88_200.0),
            ("10m", 600.0),
            ("1h", 3600.0),
            ("2d", 172_800.0),
            ("30s", 30.0),
            ("500ms", 0.5),
            ("1w", 604_800.0),
            ("1h30m", 5400.0),
            ("1d 12h", 129_600.0),
            ("1.5h", 5400.0),
            ("15min", 900.0),
            ("0s", 0.0),
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
            "P15M",
            "P15m",
            "1M",
            "10M",
            "1y",
            "m",
            "1hm",
            "1m1h",
            "1h1h",
            "1.h",
            ".5h",
            "1,5h",
            "1e3s",
            "99999999999999999999h",
            "9223372036854775807w",
            "40000d",
            "10m ago",
            "-10m",
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
            "2026-03-01 00:00:00",
            "2026-03-01 00:00:00.000",
            "2026-03-01 00:00:00Z",
            "2026-03-01T00:00",
        ] {
            assert_eq!(
                text.parse::<TimeBound>().unwrap().to_string(),
                "2026-03-01T00:00:00Z",
                "{text}"
            );
        }
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!("now".parse::<TimeBound>().unwrap().resolve(now), now);
        for text in [
            "2026-02-30",
            "2026-03-01T25:00:00Z",
            "0001-01-01T00:00:00Z",
            "9999-01-01",
            "tomorrow",
            "20260301",
            "20260301T000000Z",
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

        /// In capitals and of fixed length, whatever it was given as.
        #[test]
        fn what_the_service_is_asked_is_iso_8601(
            back in 0_i64..3_000_000_000,
            nanos in prop_oneof![Just(0), 0_i64..1_000_000_000],
            text in "([0-9]{1,3}(\\.[0-9])?w)?([0-9]{1,3}d)?([0-9]{1,5}h)?[0-9]{1,5}m",
        ) {
            let ago = Ago(TimeDelta::seconds(back) + TimeDelta::nanoseconds(nanos));
            let sent = ago.to_string();
            prop_assert_eq!(sent.parse::<Ago>().unwrap(), ago, "{}", sent);
            prop_assert!(!sent.contains(|c: char| c.is_ascii_lowercase()), "{}", sent);
            let ago = text.parse::<Ago>().unwrap();
            prop_assert_eq!(ago.to_string().parse::<Ago>().unwrap(), ago);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", parts in "P?[0-9.,TWDHMS:Z-]{0,24}", units in "([0-9.]{1,24}(ms|s|m|h|d|w|y) ?){0,4}") {
            let _ = text.parse::<TimeBound>();
            let _ = parts.parse::<TimeBound>();
            let _ = units.parse::<TimeBound>();
        }
    }
}
