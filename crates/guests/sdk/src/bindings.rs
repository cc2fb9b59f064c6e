//! What wit-bindgen makes of the contract: both worlds, with one set of types.
//!
//! Hidden, and public only because the export macros expand in the plugin's crate.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    missing_docs,
    rust_2018_idioms,
    unreachable_pub,
    unsafe_code,
    reason = "generated from the contract; raw memory is how the canonical ABI passes values"
)]

pub use processor::watchbell::detections::types;

pub mod processor {
    wit_bindgen::generate!({
        path: "wit",
        world: "alert-processor",
        additional_derives: [PartialEq],
        pub_export_macro: true,
    });
}

pub mod encoder {
    wit_bindgen::generate!({
        path: "wit",
        world: "alert-encoder",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "watchbell:detections/types@0.1.0": crate::bindings::types },
    });
}
