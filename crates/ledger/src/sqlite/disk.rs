//! Through what the ledger's file is read and written. Tests have a disk of their own, which
//! loses what was not synced.

use crate::OpenError;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// How long a connection waits for another's write.
const BUSY: Duration = Duration::from_secs(10);

/// Bytes that are read and written at a time.
const CHUNK: usize = 1 << 20;

/// A disk.
pub(super) trait Disk {
    /// SQLite's name for it; none is the operating system's.
    fn vfs(&self) -> Option<&str>;

    /// Writes what a file holds once more, and syncs it: whatever the operating system
    /// believes to be on the disk, it is then.
    fn rewrite(&self, file: &Path) -> io::Result<()>;

    /// A connection to a file that is there.
    fn connect(&self, file: &Path) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let opened = match self.vfs() {
            Some(vfs) => Connection::open_with_flags_and_vfs(file, flags, vfs),
            None => Connection::open_with_flags(file, flags),
        };
        let waits = |connection: Connection| {
            connection.busy_timeout(BUSY)?;
            Ok(connection)
        };
        opened
            .and_then(waits)
            .map_err(|error| OpenError::sqlite(file, &error))
    }
}

/// The operating system's.
pub(super) struct System;

impl Disk for System {
    fn vfs(&self) -> Option<&str> {
        None
    }

    fn rewrite(&self, file: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(file)?;
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let length = file.read_at(&mut chunk, at)?;
            let bytes = chunk.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                return file.sync_all();
            }
            file.write_all_at(bytes, at)?;
            at = at.saturating_add(length as u64);
        }
    }
}
