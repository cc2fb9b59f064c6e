//! The detection's JSON.

use super::{CodecConfig, EncoderPlugin};
use crate::component::{ComponentConfig, ComponentSettings};
use schemars::JsonSchema;
use serde::Deserialize;

/// Each detection as it came: one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {}

impl ComponentSettings for Settings {
    const TYPE: &'static str = "json";
}

impl ComponentConfig for Settings {}

impl CodecConfig for Settings {
    fn encoder(&self, _: Option<&str>) -> Option<EncoderPlugin> {
        None
    }
}
