//! A file that gets each event exactly once.
//!
//! A batch is written and synced, then its place (which file, and how long it is now) is
//! recorded by the caller in the same transaction that acknowledges the batch. Whatever
//! happens in between, the record says how much of the file is known to be right. What
//! stands behind it after a start may be a part of the batch that comes next, whole to look
//! at and yet not on disk: where a sync failed, Linux shows what it has not written. So it
//! is cut off and written again, and never believed.
//!
//! A new file, and one that somebody cut, is recorded before anything is written to it, so
//! that no batch is ever where the record does not lead. That something is cut off is
//! recorded before, too: the batch that belongs there is then written there, even where the
//! file has been moved away meanwhile.
//!
//! What a power cut may do is in `tests/cuts.rs`: everything here goes through
//! the trait `FileSystem`, of which that has one that forgets what was not synced.

mod folder;
mod notice;
mod owner;
mod place;
mod rotate;
mod settings;
mod sink;
mod system;
mod tail;
mod template;

pub use place::Place;
use rotate::Rotate;
pub(crate) use rotate::moved_from;
pub(super) use settings::Settings;

use crate::mount::check_mounted;
use folder::Folders;
use notice::Notice;
use owner::{Owned, Owner};
use place::Found;
use settings::Refused;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;
use system::{FileSystem, Kind, Metadata, OpenFile, Os, is_link_error};

/// What one batch may have left behind a place, beyond its own length: the
/// configuration may have changed since, and with it how it is written.
const MAY_HAVE_WRITTEN: u64 = 32 << 20;

/// How often a batch is written to a file that somebody cuts each time meanwhile.
const TRIES: usize = 3;

/// How many links may lead from one to the next, as in Linux.
const MOST_LINKS: usize = 40;

/// What is written together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chunk {
    /// What is at the start of a file, once, its separator included.
    header: Vec<u8>,
    /// Whole lines.
    bytes: Vec<u8>,
}

/// What the files of one process share.
#[derive(Debug)]
struct Process<F> {
    system: F,
    folders: Folders,
    owned: Arc<Owned>,
}

impl<F> Process<F> {
    fn new(system: F) -> Self {
        Self {
            system,
            folders: Folders::default(),
            owned: Arc::default(),
        }
    }

    fn owned(&self) -> Arc<Owned> {
        Arc::clone(&self.owned)
    }
}

fn of_this_process() -> Arc<Process<Os>> {
    static THIS: LazyLock<Arc<Process<Os>>> = LazyLock::new(|| Arc::new(Process::new(Os)));
    Arc::clone(&THIS)
}

/// Records where a batch will be written.
type Record<'r> = dyn FnMut(&Place) -> io::Result<()> + 'r;

/// A file that is appended to.
#[derive(Debug)]
struct File<F = Os> {
    settings: Settings,
    owner: Arc<Owner>,
    tenant: Option<String>,
    process: Arc<Process<F>>,
    /// As it is recorded.
    place: Option<Place>,
    /// Where the last batch ends, which is on disk, until that is recorded.
    synced: Option<Place>,
    /// What stands behind the place may be ours, and need not be on disk whatever the
    /// kernel shows: so it is after a start, and once a batch was begun.
    in_doubt: bool,
    notices: Vec<Notice>,
}

impl File {
    /// Goes on at `place`, as recorded; none begins.
    #[must_use]
    fn new(
        settings: Settings,
        owner: Arc<Owner>,
        tenant: Option<&str>,
        place: Option<Place>,
    ) -> Self {
        Self::on(of_this_process(), settings, owner, tenant, place)
    }
}

impl<F: FileSystem> File<F> {
    fn on(
        process: Arc<Process<F>>,
        settings: Settings,
        owner: Arc<Owner>,
        tenant: Option<&str>,
        place: Option<Place>,
    ) -> Self {
        Self {
            settings,
            owner,
            tenant: tenant.map(str::to_owned),
            process,
            place,
            synced: None,
            in_doubt: true,
            notices: Vec::new(),
        }
    }

    /// What is worth saying of the last delivery.
    fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What the last delivery returned is recorded, and the batch acknowledged with it.
    /// Until then the batch may be offered again, and is not written again.
    fn committed(&mut self) {
        if let Some(place) = self.synced.take() {
            self.place = Some(place);
            self.in_doubt = false;
        }
    }

    /// Writes a batch, and returns once it is on disk, with the place to record. `record`
    /// is called before anything is written elsewhere than after the recorded place.
    ///
    /// # Errors
    /// What the operating system says, or `record`. The batch may be offered again.
    fn deliver(&mut self, batch: &Chunk, record: &mut Record<'_>) -> io::Result<Place> {
        let synced = self.synced.take();
        if let Some(mount) = &self.settings.require_mount {
            check_mounted(mount).map_err(io::Error::other)?;
        }
        let process = Arc::clone(&self.process);
        let path = self.target()?;
        if let Some(place) = self.place.clone() {
            match place.find(&process.system, &path, batch)? {
                Found::At(file, at) => {
                    let place = Place { path: at, ..place };
                    let rotate = &self.settings.rotate;
                    let coming = batch.bytes.len() as u64;
                    let is_due = rotate.is_due(&place, coming, SystemTime::now());
                    let is_current = place.path == path;
                    // A batch that was begun here ends here.
                    if (is_current && !is_due) || self.is_begun(&place, &file, batch)? {
                        return self.finish(file, place, batch, synced, record);
                    }
                    if is_current {
                        rotate::away(&process, &path, rotate.keep)?;
                    }
                }
                Found::Gone => self.notices.push(Notice::Gone {
                    path: place.path,
                    recorded: place.length,
                    begun: path.clone(),
                }),
            }
        }
        let (file, place) = self.begin(&path, batch)?;
        record(&place)?;
        self.place = Some(place.clone());
        self.finish(file, place, batch, None, record)
    }

    /// The path, or where the link leads to that stands there.
    fn target(&self) -> io::Result<PathBuf> {
        let mut path = self.settings.path.clone();
        if !self.settings.follow_symlinks {
            return Ok(path);
        }
        for _ in 0..MOST_LINKS {
            match self.process.system.read_link(&path)? {
                Some(target) => path = folder::of(&path).join(target),
                None => return Ok(path),
            }
        }
        Err(io::Error::from_raw_os_error(libc::ELOOP))
    }

    /// Whether this batch, or one of the same file before it, was begun behind a place. If
    /// not, the file may be left: nothing of ours comes back there.
    fn is_begun(&self, place: &Place, file: &F::File, batch: &Chunk) -> io::Result<bool> {
        let about = file.metadata()?;
        let behind = about.length.saturating_sub(place.length);
        if !self.in_doubt || behind > most(batch) {
            return Ok(false);
        }
        if behind == 0 {
            // A batch that was cut off may still be on disk, and shown again after a power
            // cut: the sync may have failed, and the next one says nothing of that.
            return Ok(place.is_truncated);
        }
        // An empty file that is known by its inode alone may be another's.
        Ok(place.is_proven_by(&about) || batch.may_have_left(file, about.length)?)
    }

    /// The file at a path, made if it is missing; it is there after a power cut too. And
    /// where a batch is to be written in it.
    fn begin(&mut self, path: &Path, batch: &Chunk) -> io::Result<(F::File, Place)> {
        let process = Arc::clone(&self.process);
        let (system, folder) = (&process.system, folder::of(path));
        process.folders.make(system, folder)?;
        let opened = system.open(path, Some(self.settings.mode.0));
        let file = opened.map_err(|error| match error {
            error if is_link_error(&error) => Refused::Link.into(),
            error => error,
        })?;
        let about = file.metadata()?;
        if about.kind != Kind::File {
            return Err(Refused::NotRegular.into());
        }
        self.take(&about, path)?;
        // Whether it is new or another attempt made it and failed here: its name, and the
        // one under which the last was moved away.
        if !process.folders.sync(system, folder)? {
            let path = folder.to_owned();
            self.notices.push(Notice::NotSynced { path });
        }
        let mut length = about.length;
        let is_known = self.place.is_some();
        if batch.may_have_left(&file, length)?
            || (is_known && batch.may_have_slipped(&file, length)?)
        {
            length = 0;
        } else if !is_known {
            self.notices.push(Notice::Unknown {
                path: path.to_owned(),
                bytes: length,
            });
        }
        let place = Place::of(path, &file, length)?;
        Ok((file, place))
    }

    /// Refuses a file that another sink or tenant writes to.
    fn take(&self, about: &Metadata, path: &Path) -> io::Result<()> {
        let who = (&*self.owner, self.tenant.as_deref());
        let owned = &self.process.owned;
        owned
            .take(&self.process.system, who, about.id, path)
            .map_err(|shared| io::Error::new(io::ErrorKind::InvalidInput, shared))
    }

    /// Sees to it that the batch, and nothing else, stands after `place`.
    fn finish(
        &mut self,
        mut file: F::File,
        mut place: Place,
        batch: &Chunk,
        mut synced: Option<Place>,
        record: &mut Record<'_>,
    ) -> io::Result<Place> {
        self.take(&file.metadata()?, &place.path)?;
        let mut was_cut = false;
        for _ in 0..TRIES {
            let length = file.metadata()?.length;
            let (notice, from) = self.not_ours(&place, length, batch, &file, was_cut)?;
            let is_said = notice.is_some();
            if let Some(notice) = notice {
                // It goes on at another place than the recorded one, so that comes first.
                self.notices.push(notice);
                place = place.at_length(from, &file)?;
                record(&place)?;
                self.place = Some(place.clone());
            }
            let whole = batch.after(place.length, &file)?;
            let behind = length - place.length;
            let tail = file.read_at(place.length, behind.min(whole.len() as u64))?;
            let is_beginning = behind == tail.len() as u64 && whole.starts_with(&tail);
            let is_synced = synced.as_ref().is_some_and(|synced| {
                synced.inode == place.inode && synced.length == length && is_beginning
            });
            let done = if is_synced { tail.len() } else { 0 };
            if behind > 0 && !is_synced {
                if !is_beginning && !is_said {
                    self.notices.push(Notice::Cut {
                        path: place.path.clone(),
                        bytes: behind,
                    });
                }
                if !place.is_truncated {
                    place.is_truncated = true;
                    record(&place)?;
                    self.place = Some(place.clone());
                }
                file.set_len(place.length)?;
            }
            self.in_doubt = true;
            file.append(whole.get(done..).unwrap_or_default())?;
            file.sync_data()?;
            if let Some(end) = end_of(&file, &place, &whole)? {
                place.is_truncated = false;
                let place = place.at_length(end, &file)?;
                self.synced = Some(place.clone());
                return Ok(place);
            }
            (was_cut, synced) = (true, None);
        }
        let words = "was cut each time while a batch was being written to it";
        Err(io::Error::other(words))
    }

    /// Why a file of `length` bytes is gone on with elsewhere than behind `place`, and where.
    fn not_ours(
        &self,
        place: &Place,
        length: u64,
        batch: &Chunk,
        file: &F::File,
        was_cut: bool,
    ) -> io::Result<(Option<Notice>, u64)> {
        let path = place.path.clone();
        if was_cut || length < place.length {
            let is_ours = self.in_doubt && batch.may_have_slipped(file, length)?;
            let notice = Notice::Shrunk {
                path,
                found: length,
                recorded: place.length,
            };
            return Ok((Some(notice), if is_ours { 0 } else { length }));
        }
        let bytes = length - place.length;
        let is_foreign = bytes > most(batch) || (bytes > 0 && !self.in_doubt);
        Ok((
            is_foreign.then_some(Notice::Foreign { path, bytes }),
            length,
        ))
    }
}

/// What may have been written of one batch.
fn most(batch: &Chunk) -> u64 {
    MAY_HAVE_WRITTEN.max((batch.header.len() + batch.bytes.len()) as u64)
}

/// Where a batch ends that was written behind a place; none when somebody cut the file
/// meanwhile, so that it does not stand there.
fn end_of(file: &impl OpenFile, place: &Place, whole: &[u8]) -> io::Result<Option<u64>> {
    let end = place.length + whole.len() as u64;
    let length = file.metadata()?.length;
    if length < end {
        return Ok(None);
    }
    // Somebody else appended, behind it or before.
    if length > end && file.read_at(place.length, whole.len() as u64)? != whole {
        return Ok(Some(length));
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests;
