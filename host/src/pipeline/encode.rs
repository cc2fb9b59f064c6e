//! From alerts to a sink's bytes.

use super::error::{LoadFault, RouteError};
use super::load;
use super::process::{Work, all, forged};
use super::tenant::{Said, TenantMember};
use crate::config::{Csv, Encoding};
use crate::sinks::Batch;
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
    pub(super) name: String,
    pub(super) encoder: Encoder,
    pub(super) options: Options,
    pub(super) format: Description,
    pub(super) limits: Limits,
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

    /// Whether alerts leave as they came.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// Encodes a batch; also says how many alerts the encoder could not handle.
    ///
    /// # Errors
    /// When the encoder was stopped or gave an error that is about no single alert.
    pub(crate) async fn encode(
        &self,
        alerts: &[Alert],
        member: Option<&TenantMember>,
    ) -> Result<(Batch, usize), RouteError> {
        let mut batch = Batch::default();
        match self {
            Self::Json => {
                for alert in alerts {
                    batch.push(alert.json.as_bytes(), b"\n");
                }
                Ok((batch, 0))
            }
            Self::Component(plugin) => plugin.encode(alerts, member, batch).await,
        }
    }
}

impl Work for Plugin {
    type Made = Vec<u8>;

    async fn call(&self, alerts: &[Alert]) -> Result<Result<Vec<Vec<u8>>, PluginError>, CallError> {
        self.encoder
            .encode(&self.options, &self.format, alerts, &self.limits)
            .await
    }
}

impl Plugin {
    async fn encode(
        &self,
        alerts: &[Alert],
        member: Option<&TenantMember>,
        mut batch: Batch,
    ) -> Result<(Batch, usize), RouteError> {
        let separator = &self.format.separator;
        if let Some(header) = &self.format.header {
            batch.header = [header.as_slice(), separator].concat();
        }
        let (events, held_back) = all(&self.name, self, alerts).await?;
        for event in events {
            match member.filter(|_| self.is_json()) {
                Some(member) => batch.push(&self.with_tenant(event, member)?, separator),
                None => batch.push(&event, separator),
            }
        }
        Ok((batch, held_back))
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

    fn with_tenant(&self, event: Vec<u8>, member: &TenantMember) -> Result<Vec<u8>, RouteError> {
        let broken = |words: &str| RouteError::Call {
            name: self.name.clone(),
            source: CallError::Contract(words.to_owned()),
        };
        let text = std::str::from_utf8(&event).map_err(|_| broken("an event is not UTF-8"))?;
        watchbell_detection::check_object(text).map_err(|fault| {
            broken(&format!(
                "an event is not one JSON object: {}",
                fault.message
            ))
        })?;
        match member.said(text) {
            Said::Right => Ok(event),
            Said::Nothing => Ok(member.put(text).into_bytes()),
            Said::Forged => Err(forged(&self.name)),
        }
    }
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
