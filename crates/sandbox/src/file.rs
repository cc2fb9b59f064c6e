//! Reading a component's file, which somebody else may have made.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most that a component's file may hold, in bytes: 64 MiB. The bundled ones have
/// some 100 KB, those that carry a language's runtime some 12 MB. Compiling takes many
/// times the file's size in memory.
const MAX_BYTES: u64 = 64 << 20;

/// The bytes of a component's file.
///
/// # Errors
/// When it cannot be read, or holds more than 64 MiB.
pub fn read_component(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than it may have, whatever its length is said to be.
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let most = format!(
            "larger than the {} MiB that a component may have",
            MAX_BYTES >> 20
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, most));
    }
    Ok(bytes)
}
