//! What `bindgen!` makes of `wit/`: one module for each world, all three sharing the
//! types of the first.
//!
//! Of the source's world only the export is taken: its imports, `wasi:http` and
//! `wasi:io`, are wasmtime's own crates' to bind.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]

pub(crate) mod source_world {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package watchbell:sandbox;
            world source-exports { export watchbell:detections/source@0.1.0; }
        ",
        exports: { default: async },
    });
}

pub(crate) mod processor_world {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "alert-processor",
        exports: { default: async },
        with: { "watchbell:detections/types": super::types },
    });
}

pub(crate) mod encoder_world {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "alert-encoder",
        exports: { default: async },
        with: { "watchbell:detections/types": super::types },
    });
}

/// The contract's interface `types`.
pub use source_world::watchbell::detections::types;

/// The contract's interface `source`.
pub use source_world::exports::watchbell::detections::source as contract;

/// The contract's interface `encoder`.
pub use encoder_world::exports::watchbell::detections::encoder;

impl Default for contract::Query {
    /// What the service answers for when asked for nothing else.
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            ago: None,
            limit: None,
            machine_groups: Vec::new(),
            device_created_machine_tags: None,
            cloud_created_machine_tags: None,
        }
    }
}
