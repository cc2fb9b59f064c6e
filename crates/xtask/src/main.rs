//! Tasks: set up, build, test, bench, demo.
fn main() {}
