//! A file system that does with what was not synced whatever one may at a power cut: forget
//! it, keep it, tear it, show zeros for it, or keep what came later and forget what came
//! before.
//!
//! - What is in a file is durable once the file is synced, page by page, and so is its
//!   length. Between two operations the kernel may write any page by itself.
//! - A name is durable once its folder is synced. Until then each change of names survives
//!   by itself, but not without an earlier one of the same name.
//! - A sync that fails leaves pages behind that are shown, called clean, and not on disk.
//!   They may be dropped from memory at any time, and then what is on disk is shown.
//! - Each start of the machine may number the devices anew. Inodes are used again.

mod cut;
mod data;
mod folder;

use super::super::system::{Entry, FileId, FileSystem, Kind, Metadata, OpenFile};
use data::Data;
use fastrand::Rng;
use folder::{Change, Folder};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

const ROOT: u64 = 2;

/// A disk; another handle is the same disk.
#[derive(Debug, Clone)]
pub(super) struct Forgetful(Arc<Mutex<Disk>>);

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) random: Rng,
    pub(super) device: u64,
    /// Times at which files were made are kept.
    pub(super) knows_births: bool,
    births: u64,
    nodes: BTreeMap<u64, Node>,
    pub(super) faults: Faults,
}

/// What goes wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// After so many operations the process is dead.
    pub(super) dies_after: Option<u64>,
    /// How often an operation fails for a moment.
    pub(super) rate: f64,
    /// The next sync of a file fails.
    pub(super) sync_fails: bool,
    /// Every sync of a folder ends so.
    pub(super) dir_sync_says: Option<i32>,
    /// Somebody cuts the file when a batch is appended.
    pub(super) truncates: Option<Truncate>,
}

/// When logrotate's copytruncate cuts the file, which is written in two pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truncate {
    Before,
    Between,
    After,
}

#[derive(Debug)]
struct Node {
    born: u64,
    is: Is,
}

#[derive(Debug)]
enum Is {
    File(Data),
    Folder(Folder),
}

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Forgetful {
    pub(super) fn new(seed: u64) -> Self {
        let root = Node {
            born: 0,
            is: Is::Folder(Folder::default()),
        };
        Self(Arc::new(Mutex::new(Disk {
            random: Rng::with_seed(seed),
            device: 1,
            knows_births: true,
            births: 0,
            nodes: BTreeMap::from([(ROOT, root)]),
            faults: Faults::default(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// An operation of the process begins, unless it is dead.
    pub(super) fn operate(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.lock();
        match &mut disk.faults.dies_after {
            Some(0) => return Err(io::Error::other("dead")),
            Some(left) => *left -= 1,
            None => {}
        }
        disk.write_back();
        if disk.random.f64() < disk.faults.rate {
            return Err(os(libc::EIO));
        }
        Ok(disk)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().faults.dies_after == Some(0)
    }

    /// Another program moves a file in its folder, and may put an empty one in its place.
    pub(super) fn logrotate(&self, path: &Path, to: &Path, creates: bool) {
        let mut disk = self.lock();
        if disk.rename(path, to).is_ok() && creates {
            disk.put(path, Is::File(Data::default())).unwrap();
        }
    }

    /// Every file.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let disk = self.lock();
        let mut found = Vec::new();
        let mut work = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, inode)) = work.pop() {
            match &disk.nodes[&inode].is {
                Is::File(data) => found.push((path, data.shown.clone())),
                Is::Folder(folder) => {
                    work.extend(folder.shown.iter().map(|(n, i)| (path.join(n), *i)));
                }
            }
        }
        found.sort();
        found
    }

    /// What stands in a file; nothing where there is none.
    pub(super) fn read(&self, path: &str) -> String {
        let files = self.files();
        let file = files
            .into_iter()
            .find(|(other, _)| other == Path::new(path));
        file.map_or(String::new(), |(_, bytes)| {
            String::from_utf8(bytes).unwrap()
        })
    }

    /// Somebody else writes a file.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        let mut file = FileSystem::open(self, Path::new(path), Some(0)).unwrap();
        file.set_len(0).unwrap();
        file.append(bytes).unwrap();
    }
}

impl Disk {
    fn look_up(&self, path: &Path) -> io::Result<u64> {
        let mut inode = ROOT;
        for part in path.strip_prefix("/").map_err(|_| os(libc::EINVAL))? {
            let Is::Folder(folder) = &self.nodes[&inode].is else {
                return Err(os(libc::ENOTDIR));
            };
            inode = *folder.shown.get(part).ok_or_else(|| os(libc::ENOENT))?;
        }
        Ok(inode)
    }

    /// The folder that a path is in, and the name there.
    fn folder_of<'p>(&mut self, path: &'p Path) -> io::Result<(&mut Folder, &'p OsStr)> {
        let inode = self.look_up(path.parent().unwrap())?;
        match &mut self.nodes.get_mut(&inode).unwrap().is {
            Is::Folder(folder) => Ok((folder, path.file_name().unwrap())),
            Is::File(_) => Err(os(libc::ENOTDIR)),
        }
    }

    fn data(&mut self, inode: u64) -> &mut Data {
        match &mut self.nodes.get_mut(&inode).unwrap().is {
            Is::File(data) => data,
            Is::Folder(_) => panic!("{inode} is a folder"),
        }
    }

    /// Makes a file or folder, with the lowest inode that is free.
    fn put(&mut self, path: &Path, is: Is) -> io::Result<u64> {
        self.folder_of(path)?;
        let inode = (ROOT..).find(|n| !self.nodes.contains_key(n)).unwrap();
        self.births += 1;
        let born = self.births;
        self.nodes.insert(inode, Node { born, is });
        let (folder, name) = self.folder_of(path)?;
        folder.change(Change::Put(name.to_owned(), inode));
        Ok(inode)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.look_up(from)?;
        assert_eq!(from.parent(), to.parent());
        let (folder, name) = self.folder_of(from)?;
        let to = to.file_name().unwrap().to_owned();
        folder.change(Change::Rename(name.to_owned(), to));
        Ok(())
    }

    fn metadata(&self, inode: u64) -> Metadata {
        let node = &self.nodes[&inode];
        let (kind, length) = match &node.is {
            Is::File(data) => (Kind::File, data.shown.len() as u64),
            Is::Folder(_) => (Kind::Folder, 0),
        };
        Metadata {
            id: FileId {
                device: self.device,
                inode,
            },
            born: self.knows_births.then_some(node.born),
            length,
            kind,
        }
    }
}

impl FileSystem for Forgetful {
    type File = Handle;

    fn open(&self, path: &Path, create: Option<u32>) -> io::Result<Handle> {
        let mut disk = self.operate()?;
        let inode = match disk.look_up(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && create.is_some() => {
                disk.put(path, Is::File(Data::default()))?
            }
            found => found?,
        };
        match disk.nodes[&inode].is {
            Is::File(_) => Ok(Handle {
                disk: self.clone(),
                inode,
            }),
            Is::Folder(_) => Err(os(libc::EISDIR)),
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let disk = self.operate()?;
        Ok(disk.metadata(disk.look_up(path)?))
    }

    fn read_dir(&self, folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let mut disk = self.operate()?;
        let (folder, _) = disk.folder_of(&folder.join("x"))?;
        let entry = |(name, inode): (&OsString, &u64)| Entry {
            name: name.clone(),
            inode: *inode,
        };
        let entries: Vec<_> = folder.shown.iter().map(entry).map(Ok).collect();
        Ok(entries.into_iter())
    }

    fn read_link(&self, _: &Path) -> io::Result<Option<PathBuf>> {
        Ok(None)
    }

    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.operate()?;
        if disk.look_up(folder).is_ok() {
            return Err(os(libc::EEXIST));
        }
        disk.put(folder, Is::Folder(Folder::default()))?;
        Ok(())
    }

    fn remove_dir(&self, folder: &Path) -> io::Result<()> {
        self.remove_file(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate()?.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.operate()?;
        disk.look_up(path)?;
        let (folder, name) = disk.folder_of(path)?;
        folder.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.operate()?;
        if let Some(code) = disk.faults.dir_sync_says {
            return Err(os(code));
        }
        let (folder, _) = disk.folder_of(&folder.join("x"))?;
        folder.durable = folder.shown.clone();
        folder.changes.clear();
        Ok(())
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    disk: Forgetful,
    inode: u64,
}

impl OpenFile for Handle {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.disk.operate()?.metadata(self.inode))
    }

    fn read_at(&self, at: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut disk = self.disk.operate()?;
        let shown = &disk.data(self.inode).shown;
        let from = shown.len().min(usize::try_from(at).unwrap());
        let most = (shown.len() - from).min(usize::try_from(most).unwrap());
        Ok(shown[from..from + most].to_vec())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In two pieces, between which the process may die, the disk be full or the file cut.
        let middle = self.disk.lock().random.usize(..=bytes.len());
        let truncates = self.disk.lock().faults.truncates.take();
        for (piece, when) in [
            (&bytes[..0], Truncate::Before),
            (&bytes[..middle], Truncate::Between),
            (&bytes[middle..], Truncate::After),
        ] {
            if piece.is_empty() && truncates.is_none() {
                continue;
            }
            let mut disk = self.disk.operate()?;
            let data = disk.data(self.inode);
            data.append(piece);
            if truncates == Some(when) {
                data.set_len(0);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut disk = self.disk.operate()?;
        let length = usize::try_from(length).unwrap();
        disk.data(self.inode).set_len(length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.operate()?;
        if std::mem::take(&mut disk.faults.sync_fails) {
            disk.fail_to_sync(self.inode);
            return Err(os(libc::EIO));
        }
        disk.data(self.inode).sync();
        Ok(())
    }
}
