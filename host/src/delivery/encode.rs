//! From alerts to a sink's bytes.

use super::bisect::{Attempt, Failure, Fault, bisect};
use super::error::{LoadFault, RouteError};
use super::identity::Identity;
use super::parts;
use super::process::{Work, all};
use crate::codecs;
use crate::sinks::{Format, is_json};
use crate::tenant_member::{Said, TenantMember};
use bytes::Bytes;
use serde::de::IgnoredAny;
use std::ops::Range;
use std::sync::Arc;
use watchbell_detection::check_object;
use watchbell_sandbox::{
    Alert, CallError, Description, Encoder, Engine, Limits, Options, PluginError,
};

/// How a sink's bytes are made.
pub enum LoadedCodec {
    /// The alert's JSON, one object a line.
    Json,
    /// A component. Boxed because `Json` holds no data and this variant is large.
    Component(Box<EncoderStep>),
}

/// An encoder component, its options and what it said of its format.
pub struct EncoderStep {
    pub(super) identity: Arc<Identity>,
    pub(super) encoder: Encoder,
    pub(super) options: Options,
    /// What one call may use.
    pub(super) limits: Limits,
    pub(super) format: Description,
}

impl LoadedCodec {
    /// The bundled CSV encoder with its usual settings.
    ///
    /// # Errors
    /// When the component does not load.
    pub async fn csv(engine: &Engine) -> Result<Self, LoadFault> {
        let limits = Limits::for_plugin();
        Self::load("csv".to_owned(), &*codecs::csv(), limits, None, engine).await
    }

    /// The component, where it is one.
    pub(super) fn plugin(&self) -> Option<&EncoderStep> {
        match self {
            Self::Json => None,
            Self::Component(plugin) => Some(plugin),
        }
    }

    /// How its events become a file.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Json => Format {
                header: Vec::new(),
                separator: b"\n".to_vec(),
                content_type: "application/x-ndjson".to_owned(),
            },
            Self::Component(plugin) => {
                let Description {
                    header,
                    separator,
                    content_type,
                    ..
                } = &plugin.format;
                let header = header.as_ref();
                Format {
                    header: header
                        .map_or_else(Vec::new, |header| [header.as_slice(), separator].concat()),
                    separator: separator.clone(),
                    content_type: content_type.clone(),
                }
            }
        }
    }

    /// Encodes alerts as a file; also says how many the encoder could not handle.
    ///
    /// # Errors
    /// When it could handle none.
    pub(crate) async fn encode_file(
        &self,
        alerts: &[Alert],
    ) -> Result<(Vec<u8>, usize), RouteError> {
        let mut work = Alone {
            codec: self,
            alerts,
        };
        let done = bisect(&mut work, parts(alerts)).await?;
        let format = self.format();
        let mut bytes = format.header;
        for event in done.made.into_iter().flatten() {
            bytes.extend_from_slice(&event);
            bytes.extend_from_slice(&format.separator);
        }
        let rejected = done.rejected.iter().map(|rejected| rejected.range.len());
        Ok((bytes, rejected.sum()))
    }

    /// Encodes a batch: an event for each alert, with its tenant where it is an object.
    pub(super) async fn encode(
        &self,
        alerts: &[Alert],
        member: Option<&TenantMember>,
    ) -> Result<Vec<Bytes>, Failure> {
        match self {
            Self::Json => {
                let json = alerts.iter().map(|alert| &alert.json);
                Ok(json.map(|json| Bytes::from(json.clone())).collect())
            }
            Self::Component(plugin) => plugin.encode(alerts, member).await,
        }
    }
}

/// Alerts that are encoded by themselves.
struct Alone<'a> {
    codec: &'a LoadedCodec,
    alerts: &'a [Alert],
}

impl Attempt for Alone<'_> {
    type Made = Vec<Bytes>;

    async fn attempt(&mut self, range: Range<usize>) -> Result<Vec<Bytes>, Fault> {
        let alerts = self.alerts.get(range).unwrap_or_default();
        Ok(self.codec.encode(alerts, None).await?)
    }
}

impl Work for EncoderStep {
    type Made = Vec<u8>;

    fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn size(event: &Vec<u8>) -> usize {
        size_of::<Vec<u8>>() + event.len()
    }

    async fn call(&self, alerts: &[Alert]) -> Result<Result<Vec<Vec<u8>>, PluginError>, CallError> {
        self.encoder
            .encode(&self.options, &self.format, alerts, &self.limits)
            .await
    }
}

impl EncoderStep {
    pub(super) async fn encode(
        &self,
        alerts: &[Alert],
        member: Option<&TenantMember>,
    ) -> Result<Vec<Bytes>, Failure> {
        let mut events = all(self, alerts).await?;
        if let Some(member) = member {
            // By its own word, or by what a reader would take it for.
            let is_json = is_json(&self.format.content_type);
            for event in &mut events {
                if is_json || begins_with_json(event) {
                    *event = self.with_tenant(std::mem::take(event), member)?;
                }
            }
        }
        self.identity.handled(alerts.len());
        Ok(events.into_iter().map(Bytes::from).collect())
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
