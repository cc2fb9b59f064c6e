//! A component of the user's own.

use super::{CodecConfig, EncoderPlugin};
use crate::component::{ComponentConfig, Options, Plugin, PluginComponent};
use std::path::PathBuf;

/// Its file, what it gets, and whether it is believed to quote line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) component: PathBuf,
    pub(super) options: Options,
    pub(super) quoted_line_ends: bool,
}

impl ComponentConfig for Settings {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.component.clone()]
    }
}

impl CodecConfig for Settings {
    fn encoder(&self, _: Option<&str>) -> Option<EncoderPlugin> {
        Some(EncoderPlugin {
            plugin: Plugin {
                component: PluginComponent::File(self.component.clone()),
                options: self.options.clone(),
            },
            are_quotes_believed: self.quoted_line_ends,
        })
    }
}
