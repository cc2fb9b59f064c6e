//! What the finished components are: what they import, how large they are.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use watchbell_components::{ALL, DEFENDER};
use watchbell_tests::{EXAMPLE_ENCODER, EXAMPLE_PROCESSOR};

/// The imports of a component, by name.
fn imports(component: &[u8]) -> Vec<String> {
    let decoded = wit_component::decode(component).expect("a component");
    let resolve = decoded.resolve();
    let package = decoded.package();
    let world = resolve.packages[package]
        .worlds
        .values()
        .next()
        .expect("a world");
    let world = &resolve.worlds[*world];
    world
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect()
}

#[test]
fn the_source_imports_http_io_and_types_and_nothing_else() {
    let mut found = imports(DEFENDER);
    found.sort();
    let want = [
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:http/types@0.2.0",
        "wasi:io/error@0.2.0",
        "wasi:io/poll@0.2.0",
        "wasi:io/streams@0.2.0",
        "watchbell:detections/types@0.1.0",
    ];
    assert_eq!(found, want);
}

#[test]
fn processors_and_encoders_import_types_and_nothing_else() {
    let bundled = ALL.into_iter().filter(|(name, _)| *name != "defender.wasm");
    let examples = [
        ("examples/processor", EXAMPLE_PROCESSOR),
        ("examples/encoder", EXAMPLE_ENCODER),
    ];
    for (name, component) in bundled.chain(examples) {
        assert_eq!(
            imports(component),
            ["watchbell:detections/types@0.1.0"],
            "{name}"
        );
    }
}

#[test]
fn the_source_has_at_most_300_kilobytes() {
    assert!(DEFENDER.len() <= 300_000, "{}", DEFENDER.len());
}
