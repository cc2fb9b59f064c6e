//! The line that asks for a fault, read and written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{BadElement, Effect, Fault, RetryAfter, Stage};

/// Where `redirect` leads unless told.
const ELSEWHERE: &str = "/elsewhere";

/// What is wrong with a line that asks for a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// The first word is neither stage.
    #[error("`{0}`: a fault begins with `token:` or `detections:`")]
    Stage(String),
    /// The second word is no effect, or none at this stage.
    #[error("`{0}`: no such effect at this stage; the effects are {all} (bad-element for detections only)", all = Effect::NAMES.join(", "))]
    Effect(String),
    /// A key that this effect does not take.
    #[error("`{0}`: not a key of this effect")]
    Key(String),
    /// A key whose value cannot be used.
    #[error("`{key}`: `{value}` is not a value for it")]
    Value {
        /// The key.
        key: String,
        /// What was given.
        value: String,
    },
    /// A key that this effect cannot do without.
    #[error("`{0}` is needed")]
    Missing(&'static str),
}

/// The keys that have been given and not yet been asked for.
struct Keys<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Keys<'a> {
    fn read(mut rest: Option<&'a str>) -> Self {
        let mut keys = Vec::new();
        while let Some(text) = rest {
            let (one, after) = match text.split_once(':') {
                Some((one, after)) if !text.starts_with("to=") => (one, Some(after)),
                _ => (text, None),
            };
            keys.push(one.split_once('=').unwrap_or((one, "")));
            rest = after;
        }
        Self(keys)
    }

    fn text(&mut self, key: &str) -> Option<&'a str> {
        let position = self.0.iter().position(|(name, _)| *name == key)?;
        Some(self.0.remove(position).1)
    }

    fn get<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, FaultError> {
        let Some(value) = self.text(key) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| wrong(key, value))
    }

    fn millis(&mut self) -> Result<Duration, FaultError> {
        self.get("ms")?
            .map(Duration::from_millis)
            .ok_or(FaultError::Missing("ms"))
    }
}

fn wrong(key: &str, value: &str) -> FaultError {
    FaultError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(line: &str) -> Result<Self, FaultError> {
        let (stage, rest) = line.split_once(':').unwrap_or((line, ""));
        let stage = match stage {
            "token" => Stage::Token,
            "detections" => Stage::Detections,
            other => return Err(FaultError::Stage(other.to_owned())),
        };
        let (name, rest) = rest
            .split_once(':')
            .map_or((rest, None), |(name, rest)| (name, Some(rest)));
        let mut keys = Keys::read(rest);
        let mut fault = Self::new(stage, effect(stage, name, &mut keys)?);
        fault.times = keys.get("times")?;
        fault.skip = keys.get("skip")?.unwrap_or(0);
        fault.tenant = keys.text("tenant").map(str::to_owned);
        if let Some(rate) = keys.get::<f64>("rate")? {
            if !(0.0..=1.0).contains(&rate) {
                return Err(wrong("rate", &rate.to_string()));
            }
            fault.rate = rate;
        }
        if stage == Stage::Detections {
            fault.over = keys.get("over")?;
            fault.touching = keys.get("touching")?;
        }
        match keys.0.first() {
            Some((key, _)) => Err(FaultError::Key((*key).to_owned())),
            None => Ok(fault),
        }
    }
}

fn effect(stage: Stage, name: &str, keys: &mut Keys<'_>) -> Result<Effect, FaultError> {
    Ok(match name {
        "delay" => Effect::Delay(keys.millis()?),
        "stall" => Effect::Stall {
            pause: keys.millis()?,
            at: keys.get("at")?,
        },
        "truncate" => Effect::Truncate {
            at: keys.get("at")?,
            content_length: match keys.text("framing") {
                Some("length") => true,
                Some("chunked") | None => false,
                Some(other) => return Err(wrong("framing", other)),
            },
        },
        "cut-short" => Effect::CutShort {
            at: keys.get("at")?,
        },
        "garbage" => Effect::Garbage,
        "bad-element" if stage == Stage::Detections => Effect::BadElement(BadElement {
            index: keys.get("index")?,
            end_lost: match keys.text("end") {
                None => false,
                Some("lost") => true,
                Some(other) => return Err(wrong("end", other)),
            },
        }),
        "sign-in-page" => Effect::SignInPage,
        "redirect" => {
            let to = keys.text("to").unwrap_or(ELSEWHERE);
            http::HeaderValue::from_str(to).map_err(|_| wrong("to", to))?;
            Effect::Redirect { to: to.to_owned() }
        }
        "endless" => Effect::Endless {
            bytes: keys.get("bytes")?,
        },
        "expire-tokens" => Effect::ExpireTokens,
        "drop" => Effect::Drop,
        number => {
            let status = number
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status));
            let status = status.ok_or_else(|| FaultError::Effect(number.to_owned()))?;
            let retry_after = match keys.get("retry-after")? {
                Some(seconds) => Some(RetryAfter::Seconds(seconds)),
                None => keys.get("retry-after-date")?.map(RetryAfter::Date),
            };
            Effect::Status {
                status,
                retry_after,
            }
        }
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Token => "token",
            Stage::Detections => "detections",
        })?;
        let mut to = None;
        match &self.effect {
            Effect::Status {
                status,
                retry_after,
            } => {
                write!(f, ":{status}")?;
                match retry_after {
                    None => {}
                    Some(RetryAfter::Seconds(seconds)) => write!(f, ":retry-after={seconds}")?,
                    Some(RetryAfter::Date(seconds)) => write!(f, ":retry-after-date={seconds}")?,
                }
            }
            Effect::Delay(by) => write!(f, ":delay:ms={}", by.as_millis())?,
            Effect::Stall { pause, at } => {
                write!(f, ":stall:ms={}", pause.as_millis())?;
                key(f, "at", at)?;
            }
            Effect::Truncate { at, content_length } => {
                f.write_str(":truncate")?;
                key(f, "at", at)?;
                key(f, "framing", &content_length.then_some("length"))?;
            }
            Effect::CutShort { at } => {
                f.write_str(":cut-short")?;
                key(f, "at", at)?;
            }
            Effect::Garbage => f.write_str(":garbage")?,
            Effect::BadElement(bad) => {
                f.write_str(":bad-element")?;
                key(f, "index", &bad.index)?;
                key(f, "end", &bad.end_lost.then_some("lost"))?;
            }
            Effect::SignInPage => f.write_str(":sign-in-page")?,
            Effect::Redirect { to: target } => {
                f.write_str(":redirect")?;
                to = Some(target);
            }
            Effect::Endless { bytes } => {
                f.write_str(":endless")?;
                key(f, "bytes", bytes)?;
            }
            Effect::ExpireTokens => f.write_str(":expire-tokens")?,
            Effect::Drop => f.write_str(":drop")?,
        }
        key(f, "times", &self.times)?;
        key(f, "skip", &(self.skip > 0).then_some(self.skip))?;
        key(f, "rate", &(self.rate < 1.0).then_some(self.rate))?;
        key(f, "tenant", &self.tenant)?;
        key(f, "over", &self.over)?;
        key(f, "touching", &self.touching)?;
        key(f, "to", &to)
    }
}

fn key(f: &mut fmt::Formatter<'_>, name: &str, value: &Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, ":{name}={value}"),
        None => Ok(()),
    }
}

impl TryFrom<String> for Fault {
    type Error = FaultError;

    fn try_from(line: String) -> Result<Self, FaultError> {
        line.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_it_is_read() {
        for line in [
            "token:401",
            "detections:429:retry-after=5:times=3",
            "detections:503:retry-after-date=30:skip=2:rate=0.25",
            "detections:delay:ms=1500:tenant=contoso.example",
            "detections:stall:ms=10:at=100",
            "detections:truncate:at=9:framing=length:rate=0.1",
            "token:cut-short",
            "detections:garbage:touching=500",
            "detections:bad-element:index=12:times=1",
            "detections:bad-element:end=lost",
            "detections:504:over=10000",
            "token:redirect:times=1:to=http://169.254.169.254/metadata?a=b:c",
            "detections:endless:bytes=1000000",
            "detections:expire-tokens:times=1",
            "token:drop",
            "token:sign-in-page",
        ] {
            assert_eq!(line.parse::<Fault>().unwrap().to_string(), line);
            let json = serde_json::to_string(&line).unwrap();
            assert_eq!(
                serde_json::from_str::<Fault>(&json).unwrap().to_string(),
                line
            );
        }
    }

    /// The name under which an effect is listed. Without a wildcard, so that a new effect
    /// does not compile until it has a name here, which [`Effect::NAMES`] must then hold.
    fn listed(effect: &Effect) -> &'static str {
        match effect {
            Effect::Status { .. } => "400 to 599",
            Effect::Delay(_) => "delay",
            Effect::Stall { .. } => "stall",
            Effect::Truncate { .. } => "truncate",
            Effect::CutShort { .. } => "cut-short",
            Effect::Garbage => "garbage",
            Effect::BadElement(_) => "bad-element",
            Effect::SignInPage => "sign-in-page",
            Effect::Redirect { .. } => "redirect",
            Effect::Endless { .. } => "endless",
            Effect::ExpireTokens => "expire-tokens",
            Effect::Drop => "drop",
        }
    }

    #[test]
    fn every_effect_is_listed_and_can_be_written() {
        for name in Effect::NAMES {
            let written = name.split(' ').next().unwrap();
            let line = match *name {
                "delay" | "stall" => format!("detections:{written}:ms=1"),
                _ => format!("detections:{written}"),
            };
            assert_eq!(listed(&line.parse::<Fault>().unwrap().effect), *name);
        }
        let refused = "token:nothing".parse::<Fault>().unwrap_err().to_string();
        for name in Effect::NAMES {
            assert!(refused.contains(name), "{refused}");
        }
    }

    #[test]
    fn what_is_no_fault_is_refused_for_what_is_wrong_with_it() {
        for (line, want) in [
            ("", FaultError::Stage(String::new())),
            ("poll:429", FaultError::Stage("poll".into())),
            ("token", FaultError::Effect(String::new())),
            ("token:200", FaultError::Effect("200".into())),
            (
                "token:bad-element",
                FaultError::Effect("bad-element".into()),
            ),
            ("token:drop:over=3", FaultError::Key("over".into())),
            ("detections:drop:at=3", FaultError::Key("at".into())),
            ("detections:delay", FaultError::Missing("ms")),
            (
                "token:429:retry-after=1:retry-after-date=1",
                FaultError::Key("retry-after-date".into()),
            ),
            ("detections:429:times=-1", wrong("times", "-1")),
            ("detections:429:rate=1.5", wrong("rate", "1.5")),
            ("detections:truncate:framing=odd", wrong("framing", "odd")),
            (
                "detections:429:times=1:times=2",
                FaultError::Key("times".into()),
            ),
        ] {
            assert_eq!(line.parse::<Fault>().unwrap_err(), want, "{line}");
        }
    }
}
