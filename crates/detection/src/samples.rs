//! Detections as the service published them, to try out what is to handle the next one.

/// Answers with one detection each, byte for byte as published: one of 2020 with all 50
/// members, and one of 2018 with the names and lists of that time. `tests/data/README.md`
/// says where they are from.
pub const SAMPLES: [&str; 2] = [
    include_str!("../tests/data/siem-2020.json"),
    include_str!("../tests/data/siem-2018.json"),
];
