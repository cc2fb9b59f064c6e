//! Where encoded alerts go. A sink gets bytes and says when it has them; it knows
//! neither where they come from nor what they mean.

mod console;
mod file;

use console::Console;
use file::File;
use std::path::PathBuf;

/// Encoded alerts, ready to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What stands once at the start of a file, its separator included.
    pub header: Vec<u8>,
    /// The events, each with its separator.
    pub bytes: Vec<u8>,
    /// How many events there are.
    pub events: usize,
}

/// Why a sink did not take a batch. Nothing of the batch was taken, as far as the sink
/// can know.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Standard output is closed, or failed.
    #[error("stdout: {0}")]
    Console(std::io::Error),
    /// The file cannot be opened or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// A sink that is open.
#[derive(Debug)]
pub enum Sink {
    /// Standard output. At least once: a batch may be printed again after a failure.
    Console(Console),
    /// A file that is appended to.
    File(File),
}

impl Sink {
    /// Standard output.
    #[must_use]
    pub fn console() -> Self {
        Self::Console(Console::default())
    }

    /// A file; it is opened with the first batch.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self::File(File::new(path))
    }

    /// Writes a batch, and returns once it is where it belongs: for a file, on disk.
    ///
    /// # Errors
    /// [`SinkError`]; the batch may be offered again.
    pub fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        match self {
            Self::Console(console) => console.deliver(batch).map_err(SinkError::Console),
            Self::File(file) => file.deliver(batch).map_err(|source| SinkError::File {
                path: file.path().to_owned(),
                source,
            }),
        }
    }
}
