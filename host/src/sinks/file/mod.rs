//! A file that gets each event exactly once.
//!
//! A batch is written and synced, then its place (which file, and how long it is now) is
//! recorded by the caller in the same transaction that acknowledges the batch. Whatever
//! happens in between, the record says how much of the file is known to be right, and
//! the batch that comes next says what may stand after it: what stands there already is
//! not written again, and what does not belong is cut off.
//!
//! A new file, and one that somebody cut, is recorded before anything is written to it, so
//! that no batch ever stands where the record does not lead.

mod folder;
mod place;
mod rotate;
mod template;

pub use place::Place;
pub use rotate::Rotate;
pub use template::check_template;

use super::Batch;
use place::{Found, read_from};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What one batch may have left behind a place, beyond its own length: the
/// configuration may have changed since, and with it how it is written.
const MAY_HAVE_WRITTEN: u64 = 32 << 20;

/// How a file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file; `{{ tenant }}` in it is a file for each tenant.
    pub path: PathBuf,
    /// Whether folders that are missing on the way to it are made, as for a tenant that is
    /// new.
    pub makes_folders: bool,
    /// Its permissions when it is made.
    pub mode: u32,
    /// When a new one is begun.
    pub rotate: Rotate,
}

impl Settings {
    /// Whether each tenant has a file.
    #[must_use]
    pub fn is_parted(&self) -> bool {
        template::is_one(&self.path)
    }

    /// For one tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Self {
        Self {
            path: template::fill(&self.path, tenant),
            makes_folders: true,
            ..self.clone()
        }
    }
}

/// Worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// Somebody cut it, as logrotate's copytruncate does.
    #[error("{}: is shorter than it was ({found} bytes, {recorded} recorded); going on at its end", path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What it was.
        recorded: u64,
    },
    /// Something stands at its end that was not acknowledged.
    #[error("{}: the last {bytes} bytes were of a batch that was not finished; they are cut off", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
    /// More than we can have written stands at its end.
    #[error("{}: {bytes} bytes at its end are not ours; going on after them", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
}

/// A file that is appended to.
#[derive(Debug)]
pub struct File {
    settings: Settings,
    /// As it is recorded.
    place: Option<Place>,
    /// Where the last batch ends, until that is recorded.
    written: Option<Place>,
    /// A sync failed: what the kernel shows at the end need not be on disk.
    distrusted: bool,
    notices: Vec<Notice>,
}

impl File {
    /// Goes on at `place`, as recorded; none begins.
    #[must_use]
    pub fn new(settings: Settings, place: Option<Place>) -> Self {
        Self {
            settings,
            place,
            written: None,
            distrusted: false,
            notices: Vec::new(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.settings.path
    }

    /// What is worth saying of the last delivery.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What the last delivery returned is recorded, and the batch acknowledged with it.
    /// Until then the batch may be offered again, and is not written again.
    pub fn settled(&mut self) {
        if let Some(place) = self.written.take() {
            self.place = Some(place);
        }
    }

    /// Writes a batch, and returns once it is on disk, with the place to record. `record`
    /// is called before anything is written elsewhere than after the recorded place.
    ///
    /// # Errors
    /// What the operating system says, or `record`. The batch may be offered again.
    pub fn deliver(
        &mut self,
        batch: &Batch,
        record: &mut dyn FnMut(&Place) -> io::Result<()>,
    ) -> io::Result<Place> {
        self.written = None;
        if let Some(place) = self.place.clone() {
            match place.find()? {
                Found::Here(mut file) => {
                    let is_ours = place.path == self.settings.path;
                    let due = self.settings.rotate.is_due(
                        &place,
                        batch.bytes.len() as u64,
                        SystemTime::now(),
                    );
                    let length = file.metadata()?.len();
                    // A batch that was begun here ends here.
                    if length > place.length || (is_ours && !due) {
                        return self.finish(&mut file, place, batch, record);
                    }
                    if is_ours {
                        rotate::away(&self.settings)?;
                    }
                }
                Found::Moved(mut file, path) => {
                    if place.is_begun(&file, batch)? {
                        return self.finish(&mut file, Place { path, ..place }, batch, record);
                    }
                }
                Found::Gone => {}
            }
        }
        let mut file = self.open()?;
        let place = Place::of(&self.settings.path, &file)?;
        record(&place)?;
        self.place = Some(place.clone());
        self.finish(&mut file, place, batch, record)
    }

    /// The file at the path, made if it is missing. It is there after a power cut too.
    fn open(&self) -> io::Result<fs::File> {
        let path = &self.settings.path;
        if self.settings.makes_folders {
            folder::make(folder::of(path))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(self.settings.mode)
            .open(path)?;
        if !file.metadata()?.is_file() {
            let words =
                "is no regular file, so what was written cannot be told; use type = \"console\"";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        // Whether it is new or another attempt made it and failed here: its name, and the
        // one under which the last was moved away.
        folder::sync(folder::of(path))?;
        Ok(file)
    }

    /// Sees to it that the batch, and nothing else, stands after `place`.
    fn finish(
        &mut self,
        file: &mut fs::File,
        place: Place,
        batch: &Batch,
        record: &mut dyn FnMut(&Place) -> io::Result<()>,
    ) -> io::Result<Place> {
        let length = file.metadata()?.len();
        let place = match not_ours(&place, length, batch) {
            // It goes on at another place than the recorded one, so that is recorded first.
            Some(notice) => {
                let place = place.at_length(length, file)?;
                record(&place)?;
                self.place = Some(place.clone());
                self.notices.push(notice);
                place
            }
            None => place,
        };
        let whole = batch.after(place.length);
        let bytes = length - place.length;
        let tail = read_from(file, place.length, bytes.min(whole.len() as u64))?;
        let mut done = 0;
        if bytes <= whole.len() as u64 && whole.starts_with(&tail) && !self.distrusted {
            done = tail.len();
        } else if bytes > 0 {
            if !self.distrusted {
                self.notices.push(Notice::Cut {
                    path: place.path.clone(),
                    bytes,
                });
            }
            file.set_len(place.length)?;
        }
        file.write_all(whole.get(done..).unwrap_or_default())?;
        if let Err(error) = file.sync_data() {
            self.distrusted = true;
            return Err(error);
        }
        self.distrusted = false;
        let end = place.length + whole.len() as u64;
        let place = place.at_length(end, file)?;
        self.written = Some(place.clone());
        Ok(place)
    }
}

/// Why a file of `length` bytes is gone on with at its end, and not after `place`.
fn not_ours(place: &Place, length: u64, batch: &Batch) -> Option<Notice> {
    let path = place.path.clone();
    if length < place.length {
        return Some(Notice::Shrunk {
            path,
            found: length,
            recorded: place.length,
        });
    }
    let bytes = length - place.length;
    let most = MAY_HAVE_WRITTEN.max((batch.header.len() + batch.bytes.len()) as u64);
    (bytes > most).then_some(Notice::Foreign { path, bytes })
}

impl Batch {
    /// What is written where a file has `length` bytes: the header stands first, once.
    fn after(&self, length: u64) -> Vec<u8> {
        if length == 0 {
            [self.header.as_slice(), &self.bytes].concat()
        } else {
            self.bytes.clone()
        }
    }
}

#[cfg(test)]
mod tests;
