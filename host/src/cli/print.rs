//! Data on stdout, for verbs that print once and end.

use crate::exit::{Exit, Failure};
use std::io::{self, Write};

/// Prints to the end. That nobody reads any more is fine: the reader has what it wanted,
/// as with `| head`.
///
/// # Errors
/// [`Failure`] when it cannot be written, as on a full disk.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    printed(|out| out.write_all(bytes))
}

/// The same of what is written piece by piece.
pub(super) fn printed(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::BufWriter::with_capacity(1 << 18, io::stdout().lock());
    read_enough(write(&mut out).and_then(|()| out.flush()))
}

/// What writing to stdout came to, for a verb that prints once.
pub(super) fn read_enough(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::new(Exit::Io, format!("stdout: {error}"))),
    }
}
