//! Reading a component's file, which somebody else may have made.

use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The most that a component's file may hold, in bytes: 64 MiB. The bundled ones have
/// some 100 KB, those that carry a language's runtime some 12 MB. Compiling takes many
/// times the file's size in memory.
const MAX_BYTES: u64 = 64 << 20;

/// The bytes of a component's file.
///
/// # Errors
/// When it cannot be read, is no regular file, or holds more than 64 MiB. It never waits for
/// a pipe or a device.
pub fn read_component(path: &Path) -> io::Result<Vec<u8>> {
    // Without it, opening a named pipe waits until somebody writes to it.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file, as a component must be",
        ));
    }
    let mut bytes = Vec::new();
    // One more than it may have, whatever its length is said to be.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let most = format!(
            "larger than the {} MiB that a component may have",
            MAX_BYTES >> 20
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, most));
    }
    Ok(bytes)
}
