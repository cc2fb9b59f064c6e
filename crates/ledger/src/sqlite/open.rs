//! Opening the file: only ours, only whole, only once.
//!
//! A ledger that cannot be trusted is refused with what to do, and never made anew in
//! silence: that would deliver everything again, or nothing. So it is made under another
//! name and given its own once it is whole: whatever has that name is a ledger, or damage.

use crate::OpenError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// "WBLL": whose file it is.
const APPLICATION: i64 = 0x5742_4c4c;

/// What brings a file from each version to the next.
pub(super) const MIGRATIONS: [&str; 5] = [
    include_str!("schema.sql"),
    include_str!("tenants.sql"),
    include_str!("held.sql"),
    include_str!("owners.sql"),
    include_str!("rescans.sql"),
];

/// How long a connection waits for another's write.
const BUSY: Duration = Duration::from_secs(10);

/// A process that ends gives its lock back at once, but one that it was just starting
/// holds a copy until it has become another program.
const LOCK_TRIES: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// Where the ledger is in its folder.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("ledger.sqlite")
}

/// A folder of ours alone, made if it is missing.
pub(super) fn folder(folder: &Path) -> Result<(), OpenError> {
    let told = |source| OpenError::Io {
        path: folder.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(told)?;
    let about = fs::metadata(folder).map_err(told)?;
    let unsafe_folder = |problem: String| OpenError::UnsafeFolder {
        folder: folder.to_owned(),
        problem,
    };
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_folder(format!("belongs to user {}", about.uid())));
    }
    if about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o777;
        return Err(unsafe_folder(format!("others may use it (mode {mode:o})")));
    }
    Ok(())
}

/// The operating system's lock, held until the file is dropped or the process ends.
pub(super) fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let told = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
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

/// The connection that writes. The file is made if it is missing.
pub(super) fn writing(file: &Path) -> Result<Connection, OpenError> {
    match is_there(file) {
        Err(OpenError::Missing { .. }) => make(file)?,
        other => other?,
    }
    let damaged = |error: rusqlite::Error| damaged(file, error);
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(damaged)?;
    connection.busy_timeout(BUSY).map_err(damaged)?;
    let version = whole(&connection, file)?;
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
            Err(error) => return Err(damaged(error)),
        }
    }
    migrate(&connection, file, version)?;
    Ok(connection)
}

/// An empty ledger, under its name only when it is whole. The caller holds the lock.
fn make(file: &Path) -> Result<(), OpenError> {
    let told = |source| OpenError::Io {
        path: file.to_owned(),
        source,
    };
    let beside = |end| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let new = beside(".new");
    // One that was begun and not finished; and what belongs to a ledger that was moved
    // away would be taken for a part of this one.
    for rest in [".new", ".new-journal", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(rest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
    }
    let made = private().open(&new).map_err(told)?;
    let damaged = |error| damaged(&new, error);
    let connection =
        Connection::open_with_flags(&new, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(damaged)?;
    connection
        .pragma_update(None, "application_id", APPLICATION)
        .map_err(damaged)?;
    migrate(&connection, &new, 0)?;
    connection.close().map_err(|(_, error)| damaged(error))?;
    made.sync_all().map_err(told)?;
    fs::rename(&new, file).map_err(told)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(told)
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
        Err(source) => Err(OpenError::Io {
            path: file.to_owned(),
            source,
        }),
    }
}

/// A connection that reads beside whoever writes.
pub(super) fn reading(file: &Path) -> Result<Connection, OpenError> {
    is_there(file)?;
    let damaged = |error| damaged(file, error);
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(damaged)?;
    connection.busy_timeout(BUSY).map_err(damaged)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(damaged)?;
    Ok(connection)
}

/// As [`whole`], and of the version that is known here.
pub(super) fn check(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let (found, known) = (whole(connection, file)?, known());
    if found < known {
        return Err(OpenError::Older {
            file: file.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

/// Whose file it is, and whether it is whole. Returns its version.
fn whole(connection: &Connection, file: &Path) -> Result<i64, OpenError> {
    let told = |error| damaged(file, error);
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
    if verdict == "ok" {
        Ok(found)
    } else {
        Err(wrong(verdict))
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
        .map_err(|error| damaged(file, error))
}

fn damaged(file: &Path, error: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode;
    let io = |kind| OpenError::Io {
        path: file.to_owned(),
        source: io::Error::new(kind, error.to_string()),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io(io::ErrorKind::StorageFull),
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            io(io::ErrorKind::PermissionDenied)
        }
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::DatabaseBusy) => {
            io(io::ErrorKind::Other)
        }
        _ => OpenError::Damaged {
            file: file.to_owned(),
            reason: error.to_string(),
        },
    }
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
