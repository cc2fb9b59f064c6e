//! Builds the guests that the suites run: components as somebody else might write them.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::read_dir;

const GUESTS: [&str; 4] = [
    "mirror",
    "hostile-source",
    "hostile-processor",
    "hostile-encoder",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folders: BTreeSet<_> = read_dir("guests")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    if folders != GUESTS.map(str::to_owned).into() {
        return Err(format!("tests/guests has {folders:?}, build.rs builds {GUESTS:?}").into());
    }
    watchbell_guest_build::build("watchbell-test-", "tests/guests", &GUESTS)?;
    watchbell_guest_build::build("watchbell-example-", "examples", &["processor", "encoder"])
}
