//! The thin layer over wasmtime that runs Watchbell's components.
