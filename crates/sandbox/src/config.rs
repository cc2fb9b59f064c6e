//! What the WebAssembly engine and the process that compiles for it must agree on: what
//! code may be, and how it is compiled.
//!
//! Every proposal is off but those that the bundled guests need, which is what rustc emits
//! for wasm32-unknown-unknown with SIMD. A proposal that no guest needs is only a way in:
//! function subtypes, which come with garbage collection, reached an `unreachable!()` in
//! wasmtime 48.0.8 and aborted the process. The list names what is on, so that what a new
//! version of wasmtime brings is off until a guest needs it.

use wasmtime::{Config, OptLevel};
use wasmtime_wasmparser::WasmFeatures;

/// The proposals that are on.
pub(crate) const PROPOSALS: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Everything that decides what compiled code is.
pub(crate) fn for_code() -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(PROPOSALS), false)
        .memory_init_cow(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .concurrency_support(false);
    config
}
