//! From alerts to a sink's bytes.

use super::bisect::{Attempt, bisect};
use super::error::{LoadFault, RouteError};
use super::load;
use super::process::{Failure, Identity, Work, all};
use super::tenant::{Said, TenantMember};
use crate::config::{Csv, Encoding};
use crate::sinks::Batch;
use serde::de::IgnoredAny;
use std::sync::Arc;
use watchbell_detection::check_object;
use watchbell_sandbox::{
    Alert, CallError, Description, Encoder, Engine, Limits, Options, PluginError,
};

/// How a sink's bytes are made.
pub enum Codec {
    /// The alert's JSON, one object a line.
    Json,
    /// A component. Boxed: it is much larger than nothing.
    Component(Box<Plugin>),
}

/// An encoder component, its options and what it said of its format.
pub struct Plugin {
    pub(super) identity: Arc<Identity>,
    pub(super) encoder: Encoder,
    pub(super) options: Options,
    pub(super) format: Description,
}

impl Codec {
    /// The bundled CSV encoder with its usual settings.
    ///
    /// # Errors
    /// When the component does not load.
    pub async fn csv(engine: &Engine) -> Result<Self, LoadFault> {
        let limits = Limits::for_plugin();
        load::codec("csv", &Encoding::Csv(Csv::default()), None, limits, engine).await
    }

    /// The component's.
    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Json => None,
            Self::Component(plugin) => Some(&plugin.identity),
        }
    }

    /// Encodes alerts; also says how many the encoder could not handle.
    ///
    /// # Errors
    /// When it could handle none.
    pub(crate) async fn encode_around(
        &self,
        alerts: &[Alert],
    ) -> Result<(Batch, usize), RouteError> {
        let done = bisect(self, alerts).await?;
        let mut batch = Batch::default();
        for part in done.made {
            batch.append(part);
        }
        let rejected = done
            .rejected
            .into_iter()
            .map(|rejected| rejected.range.len());
        Ok((batch, rejected.sum()))
    }

    /// Encodes a batch, each event with its tenant where it is an object.
    pub(super) async fn encode(
        &self,
        alerts: &[Alert],
        member: Option<&TenantMember>,
    ) -> Result<Batch, Failure> {
        match self {
            Self::Json => {
                let mut batch = Batch::default();
                for alert in alerts {
                    batch.push(alert.json.as_bytes(), b"\n");
                }
                Ok(batch)
            }
            Self::Component(plugin) => plugin.encode(alerts, member).await,
        }
    }
}

impl Attempt for Codec {
    type Made = Batch;

    async fn attempt(&self, alerts: &[Alert]) -> Result<Batch, Failure> {
        self.encode(alerts, None).await
    }
}

impl Work for Plugin {
    type Made = Vec<u8>;

    fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    fn size(event: &Vec<u8>) -> usize {
        size_of::<Vec<u8>>() + event.len()
    }

    async fn call(&self, alerts: &[Alert]) -> Result<Result<Vec<Vec<u8>>, PluginError>, CallError> {
        self.encoder
            .encode(&self.options, &self.format, alerts, &self.identity.limits)
            .await
    }
}

impl Plugin {
    pub(super) async fn encode(
        &self,
        alerts: &[Alert],
        member: Option<&TenantMember>,
    ) -> Result<Batch, Failure> {
        let separator = &self.format.separator;
        let mut batch = Batch::default();
        if let Some(header) = &self.format.header {
            batch.header = [header.as_slice(), separator].concat();
        }
        for event in all(self, alerts).await? {
            match member {
                Some(member) if self.is_json() || begins_with_json(&event) => {
                    batch.push(&self.with_tenant(event, member)?, separator);
                }
                _ => batch.push(&event, separator),
            }
        }
        self.identity.handled(alerts);
        Ok(batch)
    }

    /// Whether its events are JSON objects, by its own word.
    fn is_json(&self) -> bool {
        let content = self
            .format
            .content_type
            .split(';')
            .next()
            .unwrap_or_default();
        let content = content.trim().to_ascii_lowercase();
        content.ends_with("/json") || content.ends_with("+json") || content.contains("ndjson")
    }

    fn with_tenant(&self, event: Vec<u8>, member: &TenantMember) -> Result<Vec<u8>, Failure> {
        let broke = |words: &str| self.identity.broke(words);
        let text = std::str::from_utf8(&event).map_err(|_| broke("an event is not UTF-8"))?;
        check_object(text)
            .map_err(|e| broke(&format!("an event is not one JSON object: {}", e.message)))?;
        match member.said(text) {
            Said::Right => Ok(event),
            Said::Nothing => Ok(member.put(text).into_bytes()),
            Said::Forged => Err(self.identity.forged()),
        }
    }
}

/// Whether a reader of JSON would find an object or a list in front, whatever its encoder
/// says that the event is.
fn begins_with_json(event: &[u8]) -> bool {
    let bare = event.strip_prefix("\u{feff}".as_bytes()).unwrap_or(event);
    let values = || serde_json::Deserializer::from_slice(bare).into_iter::<IgnoredAny>();
    matches!(bare.trim_ascii_start().first(), Some(b'{' | b'['))
        && values().next().is_some_and(|value| value.is_ok())
}

impl Batch {
    /// Puts another behind this one.
    pub(super) fn append(&mut self, more: Self) {
        self.header = more.header;
        self.bytes.extend_from_slice(&more.bytes);
        self.events += more.events;
    }

    pub(super) fn push(&mut self, event: &[u8], separator: &[u8]) {
        self.bytes.extend_from_slice(event);
        self.bytes.extend_from_slice(separator);
        self.events += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_of_json_would_take_for_a_record_is_told_from_other_lines() {
        for json in [
            r#"{"tenant":"b"}"#,
            " {\"tenant\":\"b\"} {",
            "\u{feff}{}",
            r#"{"a":1}{"tenant":"b"}"#,
            r#"[{"tenant":"b"}]"#,
            r#"{"\ud800":1,"tenant":"b"}"#,
        ] {
            assert!(begins_with_json(json.as_bytes()), "{json}");
        }
        for other in [
            "",
            "a,b",
            "[2026-05-01T12:00:00Z] an alert",
            "{a},b",
            "CEF:0|a|b|c|{}|",
            "\"{}\"",
        ] {
            assert!(!begins_with_json(other.as_bytes()), "{other}");
        }
    }
}
