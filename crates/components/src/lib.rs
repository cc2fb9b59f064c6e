//! Builds the bundled components and hands out their bytes.
//!
//! A crate of its own so that the host, the tests and `cargo xtask build` get the same
//! bytes from one build. The work is in `build.rs`.

/// The source: detections out of Microsoft Defender. World `defender-source`.
pub const DEFENDER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/defender.wasm"));

/// The jq processor. World `alert-processor`.
pub const JQ: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/jq.wasm"));

/// The CSV encoder. World `alert-encoder`.
pub const CSV: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/csv.wasm"));

/// Every bundled component with its file name.
pub const ALL: [(&str, &[u8]); 3] = [
    ("defender.wasm", DEFENDER),
    ("jq.wasm", JQ),
    ("csv.wasm", CSV),
];
