//! What happens to detections on their way from sources to sinks.
//!
//! A transform is a component of the world `alert-processor`: one that comes with the
//! program, or a file. Adding one that comes with the program: the guest, its settings in a
//! file here, and its line in `TYPES`. What its options mean is the guest's to judge.

mod jq;
mod wasm;

use crate::component::{ComponentConfig, Plugin, component_types};

/// The settings of a transform.
pub trait TransformConfig: ComponentConfig {
    /// What it runs.
    fn plugin(&self) -> Plugin;
}

component_types!(TransformConfig: jq::Settings);

pub(crate) use wasm::Settings as WasmSettings;
