//! Opening the file: only ours, only whole, only once.
//!
//! A ledger that cannot be trusted is refused with what to do, and never made anew in
//! silence: that would deliver everything again, or nothing. So it is made under another
//! name and given its own once it is whole: whatever has that name is a ledger, or damage.

use super::disk::Disk;
use super::durable;
use super::folder::LEDGER;
use crate::OpenError;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// "WBLL": whose file it is.
const APPLICATION: i64 = 0x5742_4c4c;

/// What brings a file from each version to the next.
pub(super) const MIGRATIONS: [&str; 9] = [
    include_str!("schema.sql"),
    include_str!("tenants.sql"),
    include_str!("held.sql"),
    include_str!("owners.sql"),
    include_str!("rescans.sql"),
    include_str!("failing.sql"),
    include_str!("windows.sql"),
    include_str!("undated.sql"),
    include_str!("generation.sql"),
];

/// A process that ends gives its lock back at once, but one that it was just starting
/// holds a copy until it has become another program.
const LOCK_TRIES: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// How often a file is looked at before it is called damaged: a disk that fails for a moment
/// may give something wrong, and what is told then costs all that is known.
const LOOKS: u32 = 3;

/// Where the ledger is in its folder.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join(LEDGER)
}

/// The operating system's lock, held until the file is dropped or the process ends.
pub(super) fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let told = |error| OpenError::io(&path, error);
    let file = private().open(&path).map_err(told)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(told(error)),
        }
    }
    Err(OpenError::Locked {
        folder: folder.to_owned(),
    })
}

/// The connection that writes, and whether the file was missing and is made.
///
/// What the last process could not sync is in the operating system's cache as if it were on
/// the disk, and a power cut would take it back after others have acted on it. So the WAL
/// is written and synced once more before anybody sees what is in it, and what is in it
/// goes into the file.
pub(super) fn writing(file: &Path, disk: &dyn Disk) -> Result<(Connection, bool), OpenError> {
    let is_new = match is_there(file) {
        Err(OpenError::Missing { .. }) => {
            make(file, disk)?;
            true
        }
        other => other.map(|()| false)?,
    };
    let wal = beside(file, "-wal");
    let has_wal = wal.exists();
    if has_wal {
        disk.rewrite(&wal)
            .map_err(|error| OpenError::io(&wal, error))?;
    }
    let (connection, version) = looked_at(|| {
        let connection = disk.connect(file)?;
        let version = whole(&connection, file)?;
        Ok((connection, version))
    })?;
    for (name, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "full"),
        // After a checkpoint the WAL is cut to that.
        ("journal_size_limit", "67108864"),
        ("wal_autocheckpoint", "4000"),
        ("auto_vacuum", "none"),
    ] {
        let set = connection.pragma_update_and_check(None, name, value, |_| Ok(()));
        match set {
            // Those that answer nothing have no row.
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(OpenError::sqlite(file, &error)),
        }
    }
    if has_wal {
        // Where somebody's reading holds it up, what is left in the WAL is on the disk there.
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| OpenError::sqlite(file, &error))?;
    }
    migrate(&connection, file, version)?;
    Ok((connection, is_new))
}

/// Tries again where a file seems damaged.
fn looked_at<T>(look: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let mut tries = 1;
    loop {
        match look() {
            Err(OpenError::Damaged { .. }) if tries < LOOKS => tries += 1,
            done => return done,
        }
    }
}

/// A file that SQLite keeps beside another.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// An empty ledger, under its name only when it is whole. The caller holds the lock.
fn make(file: &Path, disk: &dyn Disk) -> Result<(), OpenError> {
    let told = |error| OpenError::io(file, error);
    let new = beside(file, ".new");
    // One that was begun and not finished; and what belongs to a ledger that was moved
    // away would be taken for a part of this one.
    for rest in [".new", ".new-journal", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(file, rest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
    }
    let made = private().open(&new).map_err(told)?;
    let fails = |error| OpenError::sqlite(&new, &error);
    let connection = disk.connect(&new)?;
    connection
        .pragma_update(None, "application_id", APPLICATION)
        .map_err(fails)?;
    migrate(&connection, &new, 0)?;
    connection.close().map_err(|(_, error)| fails(error))?;
    made.sync_all().map_err(told)?;
    fs::rename(&new, file).map_err(told)?;
    durable::sync(file.parent().unwrap_or(Path::new("."))).map_err(told)
}

/// Whether something is there that may be a ledger.
fn is_there(file: &Path) -> Result<(), OpenError> {
    match fs::metadata(file) {
        Ok(about) if about.len() > 0 => Ok(()),
        Ok(_) => Err(OpenError::Damaged {
            file: file.to_owned(),
            reason: "it is empty".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Missing {
            file: file.to_owned(),
        }),
        Err(error) => Err(OpenError::io(file, error)),
    }
}

/// A connection that reads beside whoever writes.
pub(super) fn reading(file: &Path, disk: &dyn Disk) -> Result<Connection, OpenError> {
    is_there(file)?;
    let connection = disk.connect(file)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| OpenError::sqlite(file, &error))?;
    Ok(connection)
}

/// As [`reading`], of a file that was looked at and is of the version that is known here.
/// Without a process that writes, it leaves what that one left in the WAL as it is.
pub(super) fn looking(file: &Path, disk: &dyn Disk) -> Result<Connection, OpenError> {
    let has_wal = fs::metadata(beside(file, "-wal")).is_ok_and(|about| about.len() > 0);
    let (connection, found) = looked_at(|| {
        let connection = reading(file, disk)?;
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_wal)
            .map_err(|error| OpenError::sqlite(file, &error))?;
        let found = whole(&connection, file)?;
        Ok((connection, found))
    })?;
    let known = known();
    if found < known {
        return Err(OpenError::Older {
            file: file.to_owned(),
            found,
            known,
        });
    }
    Ok(connection)
}

/// Whose file it is, and whether it is whole. Returns its version.
fn whole(connection: &Connection, file: &Path) -> Result<i64, OpenError> {
    let told = |error| OpenError::sqlite(file, &error);
    let number = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(told)
    };
    let wrong = |reason: String| OpenError::Damaged {
        file: file.to_owned(),
        reason,
    };
    if number("application_id")? != APPLICATION {
        return Err(wrong("the file is another program's".to_owned()));
    }
    let (found, known) = (number("user_version")?, known());
    if found > known {
        return Err(OpenError::Newer {
            file: file.to_owned(),
            found,
            known,
        });
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(told)?;
    match verdict.as_str() {
        "ok" => Ok(found),
        unread if is_unread(unread) => Err(OpenError::io(file, io::Error::other(verdict))),
        _ => Err(wrong(verdict)),
    }
}

/// Whether a check ended at a page that it could not read, which says nothing of what is on
/// it. SQLite tells that in the words of a damage, with its own number for the cause.
fn is_unread(verdict: &str) -> bool {
    const CORRUPT: i32 = 11;
    const NOT_A_DATABASE: i32 = 26;
    match verdict.rsplit_once("error code=") {
        Some((before, code)) if before.ends_with("unable to get the page. ") => {
            let code: Option<i32> = code.trim().parse().ok();
            !code.is_some_and(|code| [CORRUPT, NOT_A_DATABASE].contains(&(code & 0xff)))
        }
        _ => verdict.contains("failed to get page"),
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings a file of the version `done` up to date, all steps at once: whoever looks
/// meanwhile sees the file before or after them.
fn migrate(connection: &Connection, file: &Path, done: i64) -> Result<(), OpenError> {
    let steps: Vec<&str> = (1..)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > done)
        .map(|(_, sql)| sql)
        .collect();
    if steps.is_empty() {
        return Ok(());
    }
    let (steps, known) = (steps.join(";"), known());
    let all = format!("BEGIN IMMEDIATE; {steps}; PRAGMA user_version = {known}; COMMIT");
    connection
        .execute_batch(&all)
        .map_err(|error| OpenError::sqlite(file, &error))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options
}
