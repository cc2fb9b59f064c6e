//! Small typed values: each is parsed once, at load, and is right from then on.
//!
//! Their errors say what would be right and never repeat what was written, since a
//! secret may stand in the wrong place.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use url::{Host, Url};

/// A value that cannot be used, in words that say what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(String);

impl InvalidValue {
    /// An error that reads after the key of the setting: `must be https; …`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Lets serde read types through their `FromStr`. The crate that uses it needs `serde`.
#[macro_export]
macro_rules! deserialize_from_text {
    ($($type:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::from_text(deserializer)
            }
        }
    )*};
}

/// Lets a type that holds checked text show it: a newtype of a [`String`].
#[macro_export]
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl $type {
            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

deserialize_from_text!(BaseUrl, AddressRange, Listen);
as_text!(BaseUrl);

/// Reads a string and parses it, for serde's `deserialize_with`.
///
/// # Errors
/// When it is no string, or `T` refuses it.
pub fn from_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(FromText(PhantomData))
}

struct FromText<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// The base URL of a service: HTTPS, or HTTP to loopback, with no user, query or
/// fragment. Kept as the URL parser understood it, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseUrl(String);

impl FromStr for BaseUrl {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let url = Url::parse(text)
            .map_err(|error| InvalidValue(format!("is not a URL ({error}); write https://…")))?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let refuse = |message| Err(InvalidValue::new(message));
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return refuse("must be https; plain http is for loopback only"),
            _ => return refuse("must begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not hold a user or a password; remove them");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must not hold a query or a fragment; end it before ? or #");
        }
        if url.port() == Some(0) {
            return refuse("must not have port 0; write the port or leave it out");
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// A range of addresses, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange(pub IpNet);

impl FromStr for AddressRange {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse::<IpNet>()
            .map(|range| Self(range.trunc()))
            .or_else(|_| text.parse::<IpAddr>().map(|address| Self(address.into())))
            .map_err(|_| {
                InvalidValue::new("is not an address range; write one like 127.0.0.0/8 or ::1/128")
            })
    }
}

/// Where to listen: an address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self).map_err(|_| {
            InvalidValue::new("is not an address with a port; write one like 127.0.0.1:9598")
        })
    }
}

/// A number of bytes: a whole number, or one with a unit (`64MiB`, `10 MB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "kb" => Some(1000),
            "mb" => Some(1000 * 1000),
            "gb" => Some(1000 * 1000 * 1000),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            _ => None,
        };
        let number: Option<u64> = digits.parse().ok();
        number
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| {
                InvalidValue::new(
                    "is not a size; write bytes, or a whole number with KiB, MiB or GiB",
                )
            })
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 67108864 or \"64MiB\"")
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(bytes), &self);
                u64::try_from(bytes).map(ByteSize).map_err(|_| wrong())
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Size)
    }
}

/// A span of time in seconds, whole or not, above 0 and at most an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|time| !time.is_zero() && *time <= Duration::from_hours(1))
            .map(Self)
            .ok_or_else(|| de::Error::custom("must be above 0 and at most 3600 seconds"))
    }
}

/// A span of time in whole seconds, from `MIN` to `MAX`.
///
/// ```
/// use watchbell_settings::WholeSeconds;
/// let interval = WholeSeconds::<1, 86_400>::literal::<60>();
/// assert_eq!(interval.duration().as_secs(), 60);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WholeSeconds<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> WholeSeconds<MIN, MAX> {
    /// That many. It does not compile where they are out of bounds.
    #[must_use]
    pub const fn literal<const N: u32>() -> Self {
        const { assert!(MIN <= N && N <= MAX) }
        Self(N)
    }

    /// That many, where they are within the bounds.
    #[must_use]
    pub fn new(seconds: u32) -> Option<Self> {
        (MIN..=MAX).contains(&seconds).then_some(Self(seconds))
    }

    /// As the standard library has spans of time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    /// As `chrono` has them.
    #[must_use]
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(self.0.into())
    }
}

impl<const MAX: u32> Default for WholeSeconds<0, MAX> {
    fn default() -> Self {
        Self(0)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for WholeSeconds<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u32::deserialize(deserializer)?).ok_or_else(|| {
            let unit = match MAX {
                86_400 => " (a day)",
                604_800 => " (a week)",
                _ => "",
            };
            de::Error::custom(format_args!("must be from {MIN} to {MAX}{unit}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_https_or_loopback_and_nothing_but_a_base() {
        for (text, want) in [
            (
                "https://wdatp-alertexporter-eu.windows.com",
                "https://wdatp-alertexporter-eu.windows.com",
            ),
            ("https://EXAMPLE.com:443/a/", "https://example.com/a"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://localhost:1", "http://localhost:1"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().as_str(), want);
        }
        for text in [
            "http://example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "ftp://x",
            "example.com",
            "https://",
            "https://u:p@x.com",
            "https://x.com?a",
            "https://x.com#a",
            "https://x.com:0",
            "",
        ] {
            let message = text.parse::<BaseUrl>().unwrap_err().to_string();
            assert!(
                message.contains("must") || message.contains("https"),
                "{text}: {message}"
            );
        }
    }

    #[test]
    fn sizes_read_as_written_and_never_overflow() {
        for (text, want) in [
            ("0", 0),
            ("1000", 1000),
            ("64MiB", 64 << 20),
            ("2 kB", 2000),
            ("3GiB", 3 << 30),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(want), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "1.5GiB",
            "1 TB",
            "99999999999999999999",
            "99999999999GiB",
            "1 M iB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_may_be_one_address() {
        let range = |text: &str| {
            text.parse::<AddressRange>()
                .map(|range| range.0.to_string())
        };
        assert_eq!(range("127.0.0.1").unwrap(), "127.0.0.1/32");
        assert_eq!(range("10.1.2.3/8").unwrap(), "10.0.0.0/8");
        assert_eq!(range("fd00::/8").unwrap(), "fd00::/8");
        assert!(range("10.0.0.0/33").is_err() && range("localhost").is_err());
    }
}
