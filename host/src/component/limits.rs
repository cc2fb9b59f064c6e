//! `limits`: what one call of a component may use.

use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use std::borrow::Cow;
use watchbell_egress::Bounds;
use watchbell_sandbox::{Limits, MAX_INSTANCES, MAX_TABLE_ELEMENTS};
use watchbell_settings::{ByteSize, KeyPath, Report, Seconds};

/// What one call of a component may use, as it is written; what is not set is left to the
/// sandbox, whose defaults say why. The last six are a source's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CallLimits {
    /// Bytes of all memories of the component together. Default: twice the largest answer plus
    /// 32 MiB for a source, 256 MiB for a transform or an encoder.
    pub(crate) max_memory_bytes: Option<ByteSize>,
    /// Elements of each table of the component. Default: 20,000, which is the most.
    #[schemars(range(max = MAX_TABLE_ELEMENTS))]
    pub(crate) max_table_elements: Option<NonZeroU32>,
    /// Core instances and tables of the component; it may have two memories whatever this says.
    /// Default: 8, which is the most.
    #[schemars(range(max = MAX_INSTANCES))]
    pub(crate) max_instances: Option<NonZeroU32>,
    /// Requests, bodies and streams that a source may have open at one time. Default: 128.
    pub(crate) max_handles: Option<NonZeroU32>,
    /// Seconds that one call may run, waiting not included. Default: 5 and 0.1 for each megabyte
    /// of the largest answer for a source, 5 for a transform or an encoder.
    pub(crate) max_cpu_secs: Option<Seconds>,
    /// Seconds that one call may take, waiting included; a source gets its processor time on
    /// top. Default: `timeouts.total_secs` for a source, 30 for a transform or an encoder.
    pub(crate) max_wall_secs: Option<Seconds>,
    /// Bytes that one call may return. Default: three times the largest answer plus 16 MiB for a
    /// source, 128 MiB for a transform or an encoder.
    pub(crate) max_output_bytes: Option<ByteSize>,
    /// Alerts or events that one call may return. Default: a third of the bytes of the largest
    /// answer for a source, 1,000,000 for a transform or an encoder.
    pub(crate) max_output_count: Option<NonZeroU32>,
    /// Bytes of the headers of an HTTP message. Default: 64 KiB, which is the most.
    pub(crate) max_header_bytes: Option<ByteSize>,
    /// Bytes that the component may hand to the host in one call of the host's. Default: 64 KiB.
    pub(crate) max_host_call_bytes: Option<ByteSize>,
    /// Bytes of one answer of the service, decompressed, at most 4 GiB. Default: 64 MiB.
    pub(crate) max_response_bytes: Option<ByteSize>,
    /// Bytes that the quarantine may hold of what cannot be read or handled; then the source
    /// stops. Default: 64 MiB.
    pub(crate) max_quarantine_bytes: Option<ByteSize>,
    /// Requests for detections that one application makes in one tenant in a minute, over all
    /// sources with the same limit. Default: no limit.
    pub(crate) max_requests_per_minute: Option<NonZeroU32>,
    /// Requests of one tenant that may be under way at one time. Default: 8.
    pub(crate) max_connections: Option<NonZeroU32>,
}

/// The limits of sources alone.
const OF_SOURCES: &[&str] = &[
    "max_header_bytes",
    "max_host_call_bytes",
    "max_response_bytes",
    "max_quarantine_bytes",
    "max_requests_per_minute",
    "max_connections",
];

/// What [`CallLimits`] may hold for a component that asks no service, as a schema.
pub(crate) struct PluginLimits;

impl JsonSchema for PluginLimits {
    fn schema_name() -> Cow<'static, str> {
        "PluginLimits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = CallLimits::json_schema(generator);
        let properties = schema.get_mut("properties");
        if let Some(properties) = properties.and_then(serde_json::Value::as_object_mut) {
            properties.retain(|key, _| !OF_SOURCES.contains(&key.as_str()));
        }
        schema
    }
}

impl CallLimits {
    /// These where they are set, else the usual ones.
    #[must_use]
    pub fn over(&self, usual: Limits) -> Limits {
        let bytes = |size: Option<ByteSize>, usual| {
            size.map_or(usual, |size| usize::try_from(size.0).unwrap_or(usize::MAX))
        };
        let count = |number: Option<NonZeroU32>, usual| {
            number.map_or(usual, |n| usize::try_from(n.get()).unwrap_or(usize::MAX))
        };
        let time = |seconds: Option<Seconds>, usual| seconds.map_or(usual, |seconds| seconds.0);
        Limits {
            memory_bytes: bytes(self.max_memory_bytes, usual.memory_bytes),
            table_elements: count(self.max_table_elements, usual.table_elements),
            instances: count(self.max_instances, usual.instances),
            handles: count(self.max_handles, usual.handles),
            cpu: time(self.max_cpu_secs, usual.cpu),
            wall: time(self.max_wall_secs, usual.wall),
            transfer_bytes: bytes(self.max_output_bytes, usual.transfer_bytes),
            host_call_bytes: bytes(self.max_host_call_bytes, usual.host_call_bytes),
            output_count: count(self.max_output_count, usual.output_count),
            header_bytes: bytes(self.max_header_bytes, usual.header_bytes),
        }
    }

    /// Reports what is more than the instance pool can give: it would have no effect.
    pub(crate) fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        for (key, set, most) in [
            (
                "max_table_elements",
                self.max_table_elements,
                MAX_TABLE_ELEMENTS,
            ),
            ("max_instances", self.max_instances, MAX_INSTANCES),
        ] {
            let is_more =
                |number: NonZeroU32| usize::try_from(number.get()).is_ok_and(|n| n > most);
            if set.is_some_and(is_more) {
                report.error(&path.key(key), format!("can be {most} at most"));
            }
        }
        let most = Bounds::default().header_bytes;
        let is_more = |size: ByteSize| usize::try_from(size.0).is_ok_and(|size| size > most);
        if self.max_header_bytes.is_some_and(is_more) {
            let words = format!("can be {} KiB at most", most >> 10);
            report.error(&path.key("max_header_bytes"), words);
        }
    }

    /// The same for a component that asks no service.
    pub(crate) fn check_plugin(&self, path: &KeyPath, report: &mut Report<'_>) {
        let of_sources = [
            self.max_header_bytes.is_some(),
            self.max_host_call_bytes.is_some(),
            self.max_response_bytes.is_some(),
            self.max_quarantine_bytes.is_some(),
            self.max_requests_per_minute.is_some(),
            self.max_connections.is_some(),
        ];
        for (key, is_set) in OF_SOURCES.iter().zip(of_sources) {
            if is_set {
                report.error(&path.key(key), "is a limit of sources only; remove it");
            }
        }
        self.check(path, report);
    }
}
