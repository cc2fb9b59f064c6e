//! Pulls Microsoft Defender detections through a sandboxed WebAssembly component.
fn main() {}
