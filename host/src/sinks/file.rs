//! A file that is appended to.
//!
//! A batch is delivered when the disk has it. What a failed write left behind is cut
//! off again, so that offering the batch again repeats nothing.

use super::Batch;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Who may read a new file: its owner and its group, as log shippers need it.
const MODE: u32 = 0o640;

/// A file that is appended to.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file anew each time, so that a file that was moved away stays as it
    /// is and a new one begins.
    pub(super) fn deliver(&mut self, batch: &Batch) -> io::Result<()> {
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .open(&self.path)?;
        let length = file.metadata()?.len();
        let written = write(&mut file, batch, length == 0);
        if let Err(error) = written {
            // If this fails too there is nothing left to try; the next start finds the
            // torn line.
            let _ = file.set_len(length);
            return Err(error);
        }
        if is_new {
            let folder = self
                .path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

fn write(file: &mut fs::File, batch: &Batch, with_header: bool) -> io::Result<()> {
    if with_header {
        file.write_all(&batch.header)?;
    }
    file.write_all(&batch.bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn batch(text: &str) -> Batch {
        Batch {
            header: b"head\n".to_vec(),
            bytes: text.as_bytes().to_vec(),
            events: 1,
        }
    }

    #[test]
    fn the_header_stands_once_over_restarts_and_the_group_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        File::new(path.clone()).deliver(&batch("1\n")).unwrap();
        File::new(path.clone()).deliver(&batch("2\n")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "head\n1\n2\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777 & !0o640, 0);
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a"), folder.path().join("a.1"));
        let mut file = File::new(path.clone());
        file.deliver(&batch("1\n")).unwrap();
        fs::rename(&path, &moved).unwrap();
        file.deliver(&batch("2\n")).unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "head\n1\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "head\n2\n");
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_delivery() {
        let mut full = File::new(PathBuf::from("/dev/full"));
        assert_eq!(
            full.deliver(&batch("1\n")).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }
}
