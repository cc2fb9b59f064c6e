//! Reading files that somebody else may have made: secrets, tenants, certificates.
//!
//! Such a file can keep its reader waiting for ever. A named pipe waits for a writer, and a
//! file of a network mount waits for a server that is gone. On the runtime's own threads two
//! of them would stop everything on a machine of two cores, the answer to SIGTERM included.
//!
//! - Only regular files are read, symbolic links followed, as Kubernetes mounts need it. A
//!   named pipe, a device or a socket is refused by name, and opening one does not wait.
//! - Each read has a thread of its own and 10 s. A system call that hangs cannot be
//!   interrupted, so its thread is left behind: at most 4 of one folder and 256 in all, so
//!   that the tenants of one hung folder cannot use up all threads. Whoever waits
//!   asynchronously occupies none.
//! - Nothing waits for these threads at the end of the process.
//!
//! Starting a thread takes some 20 µs. A secret is read once for a token, so that is nothing.

use crate::read_zeroizing::read_all;
use crate::stamp::Stamp;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

/// How long one file may take. A network mount that is merely slow answers in less.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads under way at one time, those that hang included.
const MAX_READS: usize = 256;

/// Reads under way at one time in one folder, those that hang included.
const MAX_READS_IN_FOLDER: usize = 4;

/// Between two looks for a free thread, where nothing can wake the one who waits.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Bytes of a thread's stack: a read needs few of them.
const STACK_BYTES: usize = 256 << 10;

static READERS: LazyLock<Readers> =
    LazyLock::new(|| Readers::new(MAX_READS, MAX_READS_IN_FOLDER, TIMEOUT));

/// A regular file's first `most` bytes.
///
/// # Errors
/// When it is no regular file, cannot be read, or does not answer in time.
pub fn read(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = path.to_owned();
    READERS.run(path, move || read_here(&file, most))?
}

/// As [`read`], without a thread that waits.
///
/// # Errors
/// As [`read`].
pub async fn read_async(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = path.to_owned();
    wait_for(path, move || read_here(&file, most)).await?
}

/// Does some work on a file, on a thread that may hang.
///
/// # Errors
/// When it does not end in time.
pub async fn wait_for<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    READERS.run_async(path, work).await
}

/// As [`wait_for`], where there is nothing asynchronous.
///
/// # Errors
/// When it does not end in time.
pub fn run<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    READERS.run(path, work)
}

/// What tells whether a file has changed; none when it cannot be looked at.
pub async fn stamp(path: &Path) -> Option<Stamp> {
    let file = path.to_owned();
    wait_for(path, move || Stamp::of(&file))
        .await
        .ok()
        .flatten()
}

/// What tells whether these files have changed, and those in them that are folders. One job
/// for each folder, so that one that hangs hides none of the others.
pub async fn stamps(files: Vec<PathBuf>) -> Vec<(PathBuf, Option<Stamp>)> {
    let mut by_folder: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
    for file in files {
        by_folder.entry(folder_of(&file)).or_default().push(file);
    }
    let mut stamps = Vec::new();
    for files in by_folder.into_values() {
        let Some(first) = files.first().cloned() else {
            continue;
        };
        let unknown: Vec<_> = files.iter().map(|file| (file.clone(), None)).collect();
        let look = move || {
            let with_inside = files.into_iter().flat_map(|file| {
                let inside = std::fs::read_dir(&file).into_iter().flatten().flatten();
                let inside: Vec<PathBuf> = inside.map(|entry| entry.path()).collect();
                inside.into_iter().chain([file])
            });
            let stamped = with_inside.map(|file| {
                let stamp = Stamp::of(&file);
                (file, stamp)
            });
            stamped.collect()
        };
        stamps.extend(wait_for(&first, look).await.unwrap_or(unknown));
    }
    stamps.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    stamps.dedup_by(|(one, _), (other, _)| one == other);
    stamps
}

/// Refuses what is neither a regular file nor a folder, or cannot be opened. For a thread
/// that may hang: see [`wait_for`].
///
/// # Errors
/// When it is something else, or cannot be opened.
pub fn open_or_folder(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return std::fs::read_dir(path).map(drop);
    }
    open_regular(path).map(drop)
}

fn read_here(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    read_all(open_regular(path)?, most)
}

/// Opens a regular file, without waiting for anybody if it is something else. For a thread
/// that may hang all the same: see [`wait_for`].
///
/// # Errors
/// When it is something else, or cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Before it is opened, since opening some devices does something.
    refuse_special(&std::fs::metadata(path)?)?;
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    // Another one may have taken its name meanwhile.
    refuse_special(&file.metadata()?)?;
    Ok(file)
}

fn refuse_special(about: &Metadata) -> io::Result<()> {
    let kind = about.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("is {what}, not a regular file; name a file that holds it"),
    ))
}

/// The folder whose reads a file's count among.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

/// The threads of all reads.
struct Readers {
    all: Arc<Semaphore>,
    folders: Mutex<HashMap<PathBuf, Weak<Semaphore>>>,
    most_in_folder: usize,
    timeout: Duration,
}

/// Leave to run one thread. Given back when the thread ends, not when somebody stops waiting.
struct Permit {
    _of_folder: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Readers {
    fn new(most: usize, most_in_folder: usize, timeout: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            folders: Mutex::default(),
            most_in_folder,
            timeout,
        }
    }

    fn run<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let deadline = Instant::now() + self.timeout;
        let folder = self.folder(path);
        let permit = loop {
            match Permit::take_now(&folder, &self.all) {
                Some(permit) => break permit,
                None if Instant::now() >= deadline => return Err(self.all_taken()),
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        let (send, receive) = mpsc::sync_channel(1);
        start(permit, work, move |done| drop(send.send(done)))?;
        let left = deadline.saturating_duration_since(Instant::now());
        receive.recv_timeout(left).map_err(|_| self.too_slow())
    }

    async fn run_async<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let folder = self.folder(path);
        let permit = tokio::time::timeout_at(deadline, Permit::take(&folder, &self.all))
            .await
            .ok()
            .flatten()
            .ok_or_else(|| self.all_taken())?;
        let (send, receive) = oneshot::channel();
        start(permit, work, move |done| drop(send.send(done)))?;
        let done = tokio::time::timeout_at(deadline, receive).await;
        done.ok()
            .and_then(Result::ok)
            .ok_or_else(|| self.too_slow())
    }

    /// The leaves of a file's folder.
    fn folder(&self, path: &Path) -> Arc<Semaphore> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folder_of(path);
        if let Some(known) = folders.get(&folder).and_then(Weak::upgrade) {
            return known;
        }
        folders.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.most_in_folder));
        folders.insert(folder, Arc::downgrade(&new));
        new
    }

    fn too_slow(&self) -> io::Error {
        let words = format!(
            "did not answer within {} s; check the mount that it is on",
            self.timeout.as_secs_f64()
        );
        io::Error::new(io::ErrorKind::TimedOut, words)
    }

    fn all_taken(&self) -> io::Error {
        let words = format!(
            "was not read within {} s, because other reads hang; check the mounts of this machine",
            self.timeout.as_secs_f64()
        );
        io::Error::new(io::ErrorKind::TimedOut, words)
    }
}

impl Permit {
    fn take_now(folder: &Arc<Semaphore>, all: &Arc<Semaphore>) -> Option<Self> {
        Some(Self {
            _of_folder: Arc::clone(folder).try_acquire_owned().ok()?,
            _of_all: Arc::clone(all).try_acquire_owned().ok()?,
        })
    }

    /// The folder's first: whoever waits for it must not keep others from theirs.
    async fn take(folder: &Arc<Semaphore>, all: &Arc<Semaphore>) -> Option<Self> {
        Some(Self {
            _of_folder: Arc::clone(folder).acquire_owned().await.ok()?,
            _of_all: Arc::clone(all).acquire_owned().await.ok()?,
        })
    }
}

fn start<T: Send + 'static>(
    permit: Permit,
    work: impl FnOnce() -> T + Send + 'static,
    send: impl FnOnce(T) + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        let done = work();
        // Before the answer: whoever has it may come with the next file at once.
        drop(permit);
        send(done);
    };
    std::thread::Builder::new()
        .name("files".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn fifo(folder: &Path) -> PathBuf {
        let path = folder.join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        path
    }

    #[test]
    fn a_pipe_a_folder_a_socket_and_a_device_are_refused_by_name_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("fifo", at("to-fifo")).unwrap();
        fifo(folder.path());
        for (name, words) in [
            ("fifo", "is a named pipe"),
            ("to-fifo", "is a named pipe"),
            ("socket", "is a socket"),
            (".", "is a folder"),
            ("/dev/zero", "is a device"),
        ] {
            let error = read(&at(name), 10).unwrap_err().to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
        assert_eq!(read(&at("link"), 3).unwrap().as_slice(), b"tex");
        assert!(read(&at("none"), 3).is_err());
    }

    /// What a hung mount does to whoever reads from it.
    fn hang(readers: &Readers, path: &str, until: &Arc<Barrier>) -> io::Error {
        let until = Arc::clone(until);
        let work = move || {
            until.wait();
        };
        readers.run(Path::new(path), work).unwrap_err()
    }

    #[tokio::test]
    async fn a_folder_that_hangs_costs_its_own_files_and_no_others() {
        let readers = Readers::new(4, 2, Duration::from_millis(200));
        let until = Arc::new(Barrier::new(3));
        for _ in 0..2 {
            let error = hang(&readers, "/hung/a", &until);
            assert!(error.to_string().contains("did not answer"), "{error}");
        }
        // No third thread is lost on it, by whichever way it is asked.
        let error = hang(&readers, "/hung/b", &until);
        assert!(error.to_string().contains("other reads hang"), "{error}");
        let third = readers.run_async(Path::new("/hung/c"), || ()).await;
        assert!(third.is_err());
        for _ in 0..10 {
            assert_eq!(readers.run(Path::new("/other/a"), || 5).unwrap(), 5);
            let other = readers.run_async(Path::new("/other/a"), || 6).await;
            assert_eq!(other.unwrap(), 6);
        }
        // When the mount answers again, so does its folder.
        until.wait();
        let begun = Instant::now();
        while readers.run(Path::new("/hung/a"), || ()).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
    }

    #[tokio::test]
    async fn stamps_are_those_of_files_and_of_what_is_in_folders() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("t")).unwrap();
        std::fs::write(at("t/north.toml"), "").unwrap();
        std::fs::write(at("w.toml"), "").unwrap();
        let all = stamps(vec![at("w.toml"), at("t"), at("none"), at("w.toml")]).await;
        let names: Vec<PathBuf> = all.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(
            names,
            [at("none"), at("t"), at("t/north.toml"), at("w.toml")]
        );
        assert!(
            all.iter()
                .all(|(path, stamp)| stamp.is_some() != path.ends_with("none"))
        );
    }
}
