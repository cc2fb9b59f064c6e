//! The disk that forgets, as a VFS of SQLite's: locks, shared memory and reading are the
//! operating system's; what is written, synced and deleted goes through here.

#![allow(
    unsafe_code,
    reason = "a VFS is a table of C functions that SQLite calls; it is of tests alone"
)]

use super::super::disk::Disk;
use super::medium::Medium;
use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR, SQLITE_IOERR_FSYNC, SQLITE_IOERR_READ, SQLITE_OK,
    SQLITE_OPEN_CREATE, SQLITE_READONLY, sqlite3_file, sqlite3_int64, sqlite3_io_methods,
    sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong from now on.
#[derive(Default)]
pub(super) struct Faults {
    /// So many changes still happen; then the process is dead, and none does.
    pub(super) dies_in: Option<u64>,
    /// Nothing is changed any more.
    pub(super) is_dead: bool,
    /// So many syncs fail next.
    pub(super) failing_syncs: u32,
    /// The read after so many fails.
    pub(super) read_fails_in: Option<u64>,
    /// Nothing more has room.
    pub(super) is_full: bool,
    /// Nothing may be written.
    pub(super) is_read_only: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) random: fastrand::Rng,
    media: BTreeMap<PathBuf, Medium>,
}

impl State {
    /// Whether a change still happens.
    fn may_change(&mut self) -> Result<(), c_int> {
        if let Some(left) = &mut self.faults.dies_in {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => self.faults.is_dead = true,
            }
        }
        match &self.faults {
            Faults { is_dead: true, .. } => Err(SQLITE_IOERR),
            Faults { is_full: true, .. } => Err(SQLITE_FULL),
            Faults {
                is_read_only: true, ..
            } => Err(SQLITE_READONLY),
            _ => Ok(()),
        }
    }

    fn sync(&mut self, path: &Path) -> Result<(), c_int> {
        self.may_change()?;
        let medium = self.media.entry(path.to_owned()).or_default();
        if self.faults.failing_syncs > 0 {
            self.faults.failing_syncs -= 1;
            medium.fail_to_sync(path, &mut self.random);
            return Err(SQLITE_IOERR_FSYNC);
        }
        medium.sync(path).map_err(|_| SQLITE_IOERR_FSYNC)
    }
}

/// A disk that loses, tears and reorders what was not synced when its power is cut.
pub(super) struct Forgetful {
    name: String,
    state: Arc<Mutex<State>>,
}

impl Forgetful {
    pub(super) fn new(seed: u64) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("forgetful-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let state = Arc::new(Mutex::new(State {
            random: fastrand::Rng::with_seed(seed),
            ..State::default()
        }));
        register(&name, &state);
        Self { name, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Cuts the power. No connection may be open.
    pub(super) fn cut(&self) -> io::Result<()> {
        let mut state = self.state();
        let State { media, random, .. } = &mut *state;
        for (path, medium) in media.iter_mut() {
            medium.cut(path, random)?;
        }
        media.retain(|path, _| path.exists());
        Ok(())
    }
}

impl Disk for Forgetful {
    fn vfs(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn rewrite(&self, file: &Path) -> io::Result<()> {
        let mut state = self.state();
        let told = |code| match code {
            SQLITE_FULL => io::ErrorKind::StorageFull.into(),
            SQLITE_READONLY => io::ErrorKind::ReadOnlyFilesystem.into(),
            _ => io::Error::other(format!("failed with {code}")),
        };
        state.may_change().map_err(told)?;
        let medium = match state.media.entry(file.to_owned()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Medium::of(file)?),
        };
        medium.all_written(file)?;
        state.sync(file).map_err(told)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file as SQLite holds it. The operating system's own one stands behind it.
#[repr(C)]
struct Opened {
    base: sqlite3_file,
    state: *const Mutex<State>,
    path: *mut PathBuf,
}

fn default_vfs() -> *mut sqlite3_vfs {
    // SAFETY: null asks for the default one, which lives as long as the process.
    unsafe { sqlite3_vfs_find(std::ptr::null()) }
}

/// Makes the disk known to SQLite, for as long as the process lives.
fn register(name: &str, state: &Arc<Mutex<State>>) {
    let name = CString::new(name).unwrap().into_raw();
    // SAFETY: the default VFS is there; ours is a copy of it but for its name, its size and
    // two functions, and it and what it points to are never freed.
    unsafe {
        let mut vfs = *default_vfs();
        vfs.zName = name;
        vfs.pNext = std::ptr::null_mut();
        vfs.pAppData = Arc::into_raw(Arc::clone(state)).cast_mut().cast();
        vfs.szOsFile += c_int::try_from(size_of::<Opened>()).unwrap();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        assert_eq!(
            sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0),
            SQLITE_OK
        );
    }
}

/// # Safety
/// `name` is a C string of SQLite's.
unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: as the caller says.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    PathBuf::from(OsStr::from_bytes(bytes))
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for `Opened` and the operating system's file behind it, and
    // `pAppData` is what `register` put there. The ledger has no nameless files.
    unsafe {
        let opened = file.cast::<Opened>();
        (*opened).base.pMethods = std::ptr::null();
        let path = path_of(name);
        let state = (*vfs).pAppData.cast::<Mutex<State>>().cast_const();
        let was_there = path.exists();
        if !was_there
            && flags & SQLITE_OPEN_CREATE != 0
            && let Err(code) = locked(&*state).may_change()
        {
            return code;
        }
        let real = default_vfs();
        let code = ((*real).xOpen.unwrap())(real, name, real_of(file), flags, out);
        if code != SQLITE_OK {
            return code;
        }
        let medium = || match was_there {
            true => Medium::of(&path).unwrap(),
            false => Medium::default(),
        };
        locked(&*state)
            .media
            .entry(path.clone())
            .or_insert_with(medium);
        (*opened).state = state;
        (*opened).path = Box::into_raw(Box::new(path));
        (*opened).base.pMethods = &raw const METHODS;
        SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: as for `open`.
    unsafe {
        let state = (*vfs).pAppData.cast::<Mutex<State>>().cast_const();
        if let Err(code) = locked(&*state).may_change() {
            return code;
        }
        let real = default_vfs();
        ((*real).xDelete.unwrap())(real, name, sync)
    }
}

/// # Safety
/// `file` is one of ours.
unsafe fn real_of(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the room behind ours is the operating system's file.
    unsafe { file.cast::<u8>().add(size_of::<Opened>()).cast() }
}

/// # Safety
/// `file` is one of ours, and open.
unsafe fn parts<'f>(file: *mut sqlite3_file) -> (MutexGuard<'f, State>, &'f Path) {
    // SAFETY: `open` filled both in.
    unsafe {
        let opened = file.cast::<Opened>();
        (locked(&*(*opened).state), (*(*opened).path).as_path())
    }
}

/// Functions that are the operating system's own.
macro_rules! pass_on {
    ($($name:ident => $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $arg: $type)*) -> $result {
            // SAFETY: SQLite calls it with a file of ours that is open.
            unsafe {
                let real = real_of(file);
                ((*(*real).pMethods).$method.unwrap())(real $(, $arg)*)
            }
        })*
    };
}

pass_on! {
    file_size => xFileSize(size: *mut sqlite3_int64) -> c_int;
    lock => xLock(level: c_int) -> c_int;
    unlock => xUnlock(level: c_int) -> c_int;
    check_reserved_lock => xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control => xFileControl(op: c_int, arg: *mut c_void) -> c_int;
    sector_size => xSectorSize() -> c_int;
    device_characteristics => xDeviceCharacteristics() -> c_int;
    shm_map => xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock => xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier => xShmBarrier() -> ();
    shm_unmap => xShmUnmap(delete: c_int) -> c_int;
    real_close => xClose() -> c_int;
    real_read => xRead(bytes: *mut c_void, length: c_int, at: sqlite3_int64) -> c_int;
    real_write => xWrite(bytes: *const c_void, length: c_int, at: sqlite3_int64) -> c_int;
    real_truncate => xTruncate(length: sqlite3_int64) -> c_int;
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file of ours once; its path was boxed by `open`.
    unsafe {
        drop(Box::from_raw((*file.cast::<Opened>()).path));
        real_close(file)
    }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    bytes: *mut c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: as for `pass_on`.
    unsafe {
        {
            let (mut state, _) = parts(file);
            match &mut state.faults.read_fails_in {
                Some(0) => {
                    state.faults.read_fails_in = None;
                    return SQLITE_IOERR_READ;
                }
                Some(left) => *left -= 1,
                None => {}
            }
        }
        real_read(file, bytes, length, at)
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: as for `pass_on`.
    unsafe {
        let (mut state, path) = parts(file);
        let was_dead = state.faults.is_dead;
        let may = state.may_change();
        // The one that the process dies in may be in the cache.
        if may.is_err() && (was_dead || !state.faults.is_dead || state.random.bool()) {
            return may.err().unwrap_or(SQLITE_IOERR);
        }
        let code = real_write(file, bytes, length, at);
        if code == SQLITE_OK {
            let (begin, length) = (
                usize::try_from(at).unwrap(),
                usize::try_from(length).unwrap(),
            );
            let State { media, random, .. } = &mut *state;
            let medium = media.entry(path.to_owned()).or_default();
            medium.written(path, begin..begin + length, random);
        }
        may.err().unwrap_or(code)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: as for `pass_on`.
    unsafe {
        let (mut state, _) = parts(file);
        match state.may_change() {
            Ok(()) => real_truncate(file, length),
            Err(code) => code,
        }
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as for `pass_on`. The real file is the cache, which need not be synced.
    unsafe {
        let (mut state, path) = parts(file);
        state.sync(path).err().unwrap_or(SQLITE_OK)
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Without memory maps, which would go around it.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
