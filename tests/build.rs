//! Builds the guests that the suites run: components as somebody else might write them.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    watchbell_guest_build::build(
        "watchbell-test-",
        "tests/guests",
        &[
            "mirror",
            "hostile-source",
            "hostile-processor",
            "hostile-encoder",
        ],
    )?;
    watchbell_guest_build::build("watchbell-example-", "examples", &["processor"])
}
