//! Where encoded alerts go. A sink gets bytes and says when it has them; it knows
//! neither where they come from nor what they mean.

mod console;
mod file;

use console::Console;
use file::File;
pub(crate) use file::moved_from;
pub use file::{Notice, Owner, Place, Rotate, Settings, check_template};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Standard output failed.
    #[error("stdout: {0}")]
    Console(std::io::Error),
    /// Nobody reads standard output any more, and nobody will.
    #[error("stdout is closed: nobody reads it any more")]
    ConsoleClosed,
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
    /// A file. Exactly once.
    File(Box<File>),
}

impl Sink {
    /// Standard output.
    #[must_use]
    pub fn console() -> Self {
        Self::Console(Console::default())
    }

    /// Whether standard output is a pipe that nobody reads any more.
    #[must_use]
    pub fn is_console_closed() -> bool {
        Console::is_closed()
    }

    /// A file, gone on with where `state` says that the last delivery ended. State that
    /// another version wrote is none. No two owners write to one file, nor two tenants of
    /// one.
    #[must_use]
    pub fn file(
        settings: Settings,
        owner: Arc<Owner>,
        tenant: Option<&str>,
        state: Option<&[u8]>,
    ) -> Self {
        let place = state.and_then(Place::read);
        Self::File(Box::new(File::new(settings, owner, tenant, place)))
    }

    /// Writes a batch, and returns once it is where it belongs: for a file, on disk.
    /// What is returned, and what `record` is called with before, is for the ledger to
    /// keep and for [`Sink::file`] to be given after a start. Once the ledger has it,
    /// [`Sink::settled`] is called.
    ///
    /// # Errors
    /// [`SinkError`]; the batch may be offered again.
    pub fn deliver(
        &mut self,
        batch: &Batch,
        record: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    ) -> Result<Option<Vec<u8>>, SinkError> {
        match self {
            Self::Console(console) => {
                console
                    .deliver(batch)
                    .map(|()| None)
                    .map_err(|error| match error.kind() {
                        io::ErrorKind::BrokenPipe => SinkError::ConsoleClosed,
                        _ => SinkError::Console(error),
                    })
            }
            Self::File(file) => {
                let state = |place: &Place| serde_json::to_vec(place).map_err(io::Error::other);
                let delivered = file
                    .deliver(batch, &mut |place| record(state(place)?))
                    .and_then(|place| state(&place));
                delivered.map(Some).map_err(|source| SinkError::File {
                    path: file.path().to_owned(),
                    source,
                })
            }
        }
    }

    /// What the last delivery returned is in the ledger, with the batch acknowledged. If
    /// that fails, the same batch is offered again, and a file does not get it twice.
    pub fn settled(&mut self) {
        match self {
            Self::Console(_) => {}
            Self::File(file) => file.settled(),
        }
    }

    /// What is worth saying of the last delivery.
    pub fn notices(&mut self) -> Vec<Notice> {
        match self {
            Self::Console(_) => Vec::new(),
            Self::File(file) => file.notices(),
        }
    }
}
