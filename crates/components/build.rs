//! Builds the bundled guests.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    watchbell_guest_build::build(
        "watchbell-guest-",
        "crates/guests",
        &["defender", "jq", "csv"],
    )
}
