//! Digits, hexadecimal, base64 and timestamps, written without `format!`.
//!
//! These run several times for each detection, a million times over, so they
//! work on small arrays and whole words. Instants are counted in ticks: 100
//! nanoseconds, as the service counts them, here from 1970.

use chrono::{DateTime, Datelike, Timelike, Utc};

/// Ticks in one second.
pub(crate) const SECOND: i64 = 10_000_000;
/// .NET ticks (from the year 1) of 1970-01-01.
pub(crate) const DOTNET_1970: i64 = 621_355_968_000_000_000;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The instant as ticks since 1970.
pub(crate) fn ticks(instant: DateTime<Utc>) -> i64 {
    instant.timestamp() * SECOND + i64::from(instant.timestamp_subsec_nanos() / 100)
}

/// Ticks since 1970 as an instant; what chrono cannot hold becomes 1970.
pub(crate) fn instant(ticks: i64) -> DateTime<Utc> {
    let nanos = u32::try_from(ticks.rem_euclid(SECOND) * 100).unwrap_or(0);
    DateTime::from_timestamp(ticks.div_euclid(SECOND), nanos).unwrap_or_default()
}

/// `value` in decimal with leading zeros, its last `N` digits.
pub(crate) fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut out = [b'0'; N];
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out
}

/// Appends `value` in decimal without leading zeros.
pub(crate) fn push_number(out: &mut Vec<u8>, mut value: u64) {
    let mut all = [b'0'; 20];
    let mut begins = all.len();
    for digit in all.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        begins -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(all.get(begins..).unwrap_or(&all));
}

/// Eight hexadecimal digits; `upper` chooses A-F over a-f.
pub(crate) fn hex8(value: u32, upper: bool) -> [u8; 8] {
    let mut x = u64::from(value);
    x = (x | (x << 16)) & 0x0000_FFFF_0000_FFFF;
    x = (x | (x << 8)) & 0x00FF_00FF_00FF_00FF;
    x = (x | (x << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
    let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (x + 0x3030_3030_3030_3030 + letters * if upper { 7 } else { 39 }).to_be_bytes()
}

/// Ten characters of URL-safe base64 from the low 60 bits.
pub(crate) fn base64_10(value: u64) -> [u8; 10] {
    let mut out = [0; 10];
    for (shift, slot) in out.iter_mut().enumerate() {
        *slot = base64_char(value >> (6 * shift));
    }
    out
}

/// The character of the low six bits.
pub(crate) fn base64_char(value: u64) -> u8 {
    BASE64_URL
        .get((value & 63) as usize)
        .copied()
        .unwrap_or(b'A')
}

/// URL-safe base64 without padding.
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .fold(0_u64, |word, byte| (word << 8) | u64::from(*byte))
            << (8 * (3 - group.len()));
        for shift in (0..=group.len()).map(|position| 18 - 6 * position) {
            out.push(char::from(base64_char(word >> shift)));
        }
    }
    out
}

/// The bytes behind URL-safe base64 without padding; `None` when it is not that.
pub(crate) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = BASE64_URL.iter().position(|char| *char == byte)?;
        word = ((word << 6) | u32::try_from(value).ok()?) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(((word >> bits) & 0xFF) as u8);
        }
    }
    Some(out)
}

/// Appends the instant as the service writes it: UTC, `Z`, up to seven digits
/// of fraction with the trailing zeros cut.
pub(crate) fn push_instant(out: &mut Vec<u8>, ticks: i64) {
    let at = instant(ticks);
    let mut text = *b"0000-00-00T00:00:00.0000000";
    let year = digits::<4>(u64::try_from(at.year()).unwrap_or(0));
    let (month, day) = (two(at.month()), two(at.day()));
    let (hour, minute, second) = (two(at.hour()), two(at.minute()), two(at.second()));
    [text[0], text[1], text[2], text[3]] = year;
    [text[5], text[6]] = month;
    [text[8], text[9]] = day;
    [text[11], text[12]] = hour;
    [text[14], text[15]] = minute;
    [text[17], text[18]] = second;
    let mut fraction = at.nanosecond() / 100;
    [
        text[20], text[21], text[22], text[23], text[24], text[25], text[26],
    ] = digits::<7>(u64::from(fraction));
    let mut end = if fraction == 0 { 19 } else { text.len() };
    while fraction != 0 && fraction.is_multiple_of(10) {
        fraction /= 10;
        end -= 1;
    }
    out.extend_from_slice(text.get(..end).unwrap_or(&text));
    out.push(b'Z');
}

fn two(value: u32) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_lose_only_their_trailing_zeros() {
        for (text, want) in [
            ("2020-09-30T14:09:20.3574300Z", "2020-09-30T14:09:20.35743Z"),
            ("2020-09-30T14:09:20Z", "2020-09-30T14:09:20Z"),
            (
                "2020-12-31T23:59:59.0000001Z",
                "2020-12-31T23:59:59.0000001Z",
            ),
            ("2020-02-29T00:00:00.1Z", "2020-02-29T00:00:00.1Z"),
        ] {
            let mut out = Vec::new();
            push_instant(&mut out, ticks(text.parse().unwrap()));
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn hexadecimal_and_numbers_agree_with_format() {
        for value in [0_u32, 1, 0x89AB_CDEF, u32::MAX, 0xA0F0_9090] {
            assert_eq!(hex8(value, false), format!("{value:08x}").as_bytes());
            assert_eq!(hex8(value, true), format!("{value:08X}").as_bytes());
            let mut out = Vec::new();
            push_number(&mut out, u64::from(value));
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn base64_comes_back() {
        for length in 0..20_u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            assert_eq!(from_base64_url(&base64_url(&bytes)).unwrap(), bytes);
        }
        assert_eq!(base64_url(b"{\"a\":1}"), "eyJhIjoxfQ");
        assert_eq!(from_base64_url("a+b"), None);
    }
}
