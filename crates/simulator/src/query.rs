//! The parameters of the detections endpoint.
//!
//! What Microsoft documents is followed; where it is silent (a parameter given
//! twice, an empty one, `limit=0`) the answer is 400, so that a client that
//! leans on luck is found out. Names are compared without case, and unknown
//! ones are ignored.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::catalog::Filter;
use crate::config::Bounds;
use crate::text::{SECOND, ticks};

/// The range when nothing is asked: the last two hours.
const DEFAULT_BACK: i64 = 2 * 3600 * SECOND;

/// What is asked for: a closed range in ticks, and what to leave out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) since: i64,
    pub(crate) until: i64,
    /// The most recent that many.
    pub(crate) limit: Option<u64>,
    pub(crate) filter: Filter,
}

impl Query {
    /// Reads a query string as asked at `now`; the error is the message for the 400.
    pub(crate) fn parse(query: &str, now: i64, bounds: &Bounds) -> Result<Self, String> {
        let (mut since, mut until, mut ago) = (None, None, None);
        let mut out = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.to_ascii_lowercase().as_str() {
                "sincetimeutc" => once(&mut since, "sinceTimeUtc", instant(&value))?,
                "untiltimeutc" => once(&mut until, "untilTimeUtc", instant(&value))?,
                "ago" => once(&mut ago, "ago", duration(&value))?,
                "limit" => once(
                    &mut out.limit,
                    "limit",
                    value.parse().ok().filter(|limit| *limit > 0),
                )?,
                "machinegroups" => out.filter.machine_groups.push(value),
                "devicecreatedmachinetags" => once(
                    &mut out.filter.device_tag,
                    "DeviceCreatedMachineTags",
                    text(value),
                )?,
                "cloudcreatedmachinetags" => once(
                    &mut out.filter.cloud_tag,
                    "CloudCreatedMachineTags",
                    text(value),
                )?,
                _ => {}
            }
        }
        if ago.is_some() && (since.is_some() || until.is_some()) {
            return Err(
                "'ago' cannot be used together with 'sinceTimeUtc' or 'untilTimeUtc'.".to_owned(),
            );
        }
        let since = since.filter(|_| !bounds.ignore_since);
        let until = until.filter(|_| !bounds.ignore_until);
        let cut = |at: i64| {
            if bounds.cut_to_millis {
                at - at.rem_euclid(SECOND / 1000)
            } else {
                at
            }
        };
        let inward = i64::from(bounds.exclusive);
        out.until = until.map_or(now, |at| cut(at) - inward);
        out.since = match (since, ago) {
            (Some(at), _) => cut(at) + inward,
            (None, Some(back)) => now.saturating_sub(back),
            (None, None) => until.unwrap_or(now).saturating_sub(DEFAULT_BACK),
        };
        Ok(out)
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: Option<T>) -> Result<(), String> {
    match value {
        None => Err(format!("The value of '{name}' is not valid.")),
        Some(_) if slot.is_some() => Err(format!("'{name}' was given more than once.")),
        value => {
            *slot = value;
            Ok(())
        }
    }
}

fn text(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}

/// An instant with `Z`, an offset, or without a zone (then UTC); up to 7 digits
/// of fraction.
fn instant(value: &str) -> Option<i64> {
    let fraction = value.split_once('.').map_or("", |(_, rest)| rest);
    if fraction.bytes().take_while(u8::is_ascii_digit).count() > 7 || !value.contains('T') {
        return None;
    }
    let with_zone = DateTime::parse_from_rfc3339(value).map(|at| at.to_utc());
    let at: DateTime<Utc> = with_zone
        .or_else(|_| value.parse::<NaiveDateTime>().map(|at| at.and_utc()))
        .ok()?;
    Some(ticks(at))
}

/// An ISO 8601 duration in ticks; a year is 365 days and a month 30, as .NET
/// reads them.
fn duration(value: &str) -> Option<i64> {
    let (date, time) = match value.strip_prefix('P')?.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (value.strip_prefix('P')?, None),
    };
    if date.is_empty() && time.is_none() || time == Some("") {
        return None;
    }
    let days = fields(
        date,
        &[
            ('Y', 365 * 86_400),
            ('M', 30 * 86_400),
            ('W', 7 * 86_400),
            ('D', 86_400),
        ],
    )?;
    days.checked_add(fields(
        time.unwrap_or(""),
        &[('H', 3600), ('M', 60), ('S', 1)],
    )?)
}

/// Sums `12H30M…`; each unit at most once, in this order; a fraction only of
/// seconds.
fn fields(mut rest: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut sum = 0_i64;
    for (unit, seconds) in units {
        let Some((number, after)) = rest.split_once(*unit) else {
            continue;
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole)
            || !digits(fraction)
            || fraction.len() > 7
            || (number.contains('.') && *unit != 'S')
        {
            return None;
        }
        let fraction: i64 = format!("{fraction:0<7}").parse().ok()?;
        let whole: i64 = whole.parse().ok()?;
        sum = sum
            .checked_add(whole.checked_mul(seconds.checked_mul(SECOND)?)?)?
            .checked_add(fraction)?;
        rest = after;
    }
    rest.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        ticks(text.parse().unwrap())
    }

    fn parse(query: &str) -> Result<Query, String> {
        Query::parse(query, at("2026-05-01T12:00:00Z"), &Bounds::default())
    }

    #[test]
    fn without_parameters_it_is_the_last_two_hours() {
        let query = parse("").unwrap();
        assert_eq!(
            (query.since, query.until),
            (at("2026-05-01T10:00:00Z"), at("2026-05-01T12:00:00Z"))
        );
        assert_eq!(query.limit, None);
    }

    #[test]
    fn instants_are_read_in_every_documented_form() {
        for form in [
            "2026-05-01T01:02:03.5",
            "2026-05-01T01:02:03.500Z",
            "2026-05-01T01:02:03.5000000%2B00:00",
            "2026-05-01T03:02:03.5%2B02:00",
        ] {
            let query = parse(&format!("sinceTimeUtc={form}")).unwrap();
            assert_eq!(query.since, at("2026-05-01T01:02:03.5Z"), "{form}");
        }
        // A raw plus sign is a space once decoded.
        for bad in [
            "2026-05-01T01:02:03+00:00",
            "2026-05-01",
            "yesterday",
            "",
            "2026-05-01T01:02:03.12345678Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(parse(&format!("sinceTimeUtc={bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_iso_8601() {
        for (text, secs) in [
            ("PT10M", 600),
            ("P1D", 86_400),
            ("P1DT1H1M1S", 90_061),
            ("P2W", 1_209_600),
            ("PT0.5S", 0),
        ] {
            let back = at("2026-05-01T12:00:00Z") - parse(&format!("ago={text}")).unwrap().since;
            assert_eq!(
                back,
                secs * SECOND + if text == "PT0.5S" { SECOND / 2 } else { 0 },
                "{text}"
            );
        }
        for bad in [
            "",
            "P",
            "PT",
            "10M",
            "PT10",
            "P10M5",
            "PT1M1H",
            "-PT1M",
            "PT1.5M",
            "PT9999999999999999H",
            "P1DT",
        ] {
            assert!(parse(&format!("ago={bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for bad in [
            "ago=PT1M&sinceTimeUtc=2026-05-01T00:00:00Z",
            "ago=PT1M&untilTimeUtc=2026-05-01T00:00:00Z",
            "limit=0",
            "limit=-1",
            "limit=x",
            "limit=1&limit=2",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_are_understood_as_configured() {
        let now = at("2026-05-01T12:00:00Z");
        let text = "sincetimeutc=2026-05-01T01:00:00.0015&UNTILTIMEUTC=2026-05-01T02:00:00.0015";
        let bounds = Bounds {
            exclusive: true,
            cut_to_millis: true,
            ..Bounds::default()
        };
        let query = Query::parse(text, now, &bounds).unwrap();
        assert_eq!(query.since, at("2026-05-01T01:00:00.0010001Z"));
        assert_eq!(query.until, at("2026-05-01T02:00:00.0009999Z"));
        let bounds = Bounds {
            ignore_until: true,
            ..Bounds::default()
        };
        let query = Query::parse(text, now, &bounds).unwrap();
        assert_eq!(query.until, now);
        let bounds = Bounds {
            ignore_since: true,
            ..Bounds::default()
        };
        let query = Query::parse(text, now, &bounds).unwrap();
        assert_eq!(query.since, query.until - DEFAULT_BACK);
        assert_eq!(query.until, at("2026-05-01T02:00:00.0015Z"));
    }
}
