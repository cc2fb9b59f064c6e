//! Instants as the service writes them, compared as time.
//!
//! It cuts trailing zeros of the fraction, so the order of the texts is not the order
//! of the instants: `…20.35743Z` is after `…20.3574299Z`.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Nanoseconds since 1970-01-01T00:00:00Z, from 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is no instant, or one out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an instant such as 2026-01-31T12:00:00Z")]
pub struct NotATimestamp;

impl Timestamp {
    /// From nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_nanos(self) -> i64 {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// `YYYY-MM-DDThh:mm:ss`, 0 to 9 digits of fraction, and `Z`, an offset, or
    /// nothing for UTC. A space may stand for the `T`.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        read(text.as_bytes()).map(Self).ok_or(NotATimestamp)
    }
}

fn read(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let (time, rest) = rest.split_first_chunk::<9>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return None;
    };
    let [b'T' | b't' | b' ', h1, h2, b':', i1, i2, b':', s1, s2] = time else {
        return None;
    };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        number(&[*m1, *m2])?,
        number(&[*d1, *d2])?,
    )?;
    let clock = date.and_hms_opt(
        number(&[*h1, *h2])?,
        number(&[*i1, *i2])?,
        number(&[*s1, *s2])?,
    )?;
    let (nanos, zone) = fraction(rest)?;
    let seconds = clock.and_utc().timestamp().checked_sub(offset(zone)?)?;
    i64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)).ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Nanoseconds, and what follows.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.', rest)) = text.split_first() else {
        return Some((0, text));
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, zone) = rest.split_at_checked(digits)?;
    let scale = 10_u32.checked_pow(u32::try_from(9_usize.checked_sub(digits.len())?).ok()?)?;
    (!digits.is_empty()).then_some(())?;
    Some((number(digits)?.checked_mul(scale)?, zone))
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let seconds = i64::from(hours * 3600 + minutes * 60);
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

impl fmt::Display for Timestamp {
    /// In UTC with 7 digits of fraction and `Z`, as the service writes it in full.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_nanos(self.0);
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let ticks = time.nanosecond() / 100;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ticks:07}Z"
        )
    }
}
