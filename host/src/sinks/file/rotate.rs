//! When a file is moved away and a new one begun.

use super::system::{FileSystem, Kind};
use super::{Place, Process, folder};
use chrono::{NaiveDateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use watchbell_settings::{Ago, ByteSize, TimeBound};

/// The time in the name of a file that was moved away. It sorts by time.
const TIME: &str = "%Y-%m-%dT%H-%M-%S%.6fZ";

/// Its length, from year 0 to 9999.
const TIME_BYTES: usize = "2026-05-01T12-00-00.000000Z".len();

/// When a new file is begun. By default never: logrotate may do it instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// Bytes of a file: a new one is begun before a batch that would make it larger. A batch is
    /// not split, so one of up to 8 MiB can make a file that is larger. Default: never.
    #[schemars(with = "Option<ByteSize>")]
    #[serde(default, deserialize_with = "bytes")]
    pub(super) max_size: Option<u64>,
    /// A duration of at least a second: with the first batch after that time a new file is
    /// begun. It is counted from 1970, so that a day ends at midnight UTC. Default: never.
    #[schemars(with = "Option<Ago>")]
    #[serde(default, deserialize_with = "duration")]
    pub(super) every: Option<Duration>,
    /// How many old files are kept. Default: all.
    pub(super) keep: Option<usize>,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let size: Option<ByteSize> = Option::deserialize(deserializer)?;
    Ok(size.map(|size| size.0))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(TimeBound::Back(time)) if time.num_seconds() >= 1 => Ok(time.to_std().ok()),
        _ => Err(de::Error::custom(
            "must be a duration such as PT1H or P1D, at least a second",
        )),
    }
}

impl Rotate {
    pub(super) fn is_due(&self, place: &Place, coming: u64, now: SystemTime) -> bool {
        if place.length == 0 {
            return false;
        }
        let too_large = self
            .max_size
            .is_some_and(|most| place.length + coming > most);
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let over = self.every.is_some_and(|every| {
            let every = every.as_secs().max(1);
            now / every > place.began / every
        });
        too_large || over
    }
}

/// What a file was called before it was moved away: its name without a dot and a time,
/// exactly as [`away`] writes them. None of any other name. A tenant's own file may be
/// called so too, which the configuration refuses.
pub(crate) fn moved_from(name: &OsStr) -> Option<&OsStr> {
    let bytes = name.as_bytes();
    let (before, time) = bytes.split_at_checked(bytes.len().checked_sub(TIME_BYTES)?)?;
    let time = std::str::from_utf8(time).ok()?;
    let parsed = NaiveDateTime::parse_from_str(time, TIME).ok()?;
    if parsed.format(TIME).to_string() != time {
        return None;
    }
    before.strip_suffix(b".").map(OsStr::from_bytes)
}

/// Moves the file away, under a name that nothing has yet, and removes the oldest but
/// `keep`. That becomes durable with the file that is made in its place.
pub(super) fn away<F: FileSystem>(
    process: &Process<F>,
    path: &Path,
    keep: Option<usize>,
) -> io::Result<()> {
    let mut old = path.to_owned().into_os_string();
    old.push(format!(".{}", Utc::now().format(TIME)));
    let old = PathBuf::from(old);
    match process.system.metadata(&old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(_) => {
            let words = format!("{} is there already", old.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
        }
    }
    process.system.rename(path, &old)?;
    match (keep, path.file_name()) {
        (Some(keep), Some(name)) => remove_oldest(process, folder::of(path), name, keep),
        _ => Ok(()),
    }
}

fn remove_oldest<F: FileSystem>(
    process: &Process<F>,
    folder: &Path,
    name: &OsStr,
    keep: usize,
) -> io::Result<()> {
    let mut old = Vec::new();
    for entry in process.system.read_dir(folder)? {
        let entry = entry?;
        if moved_from(&entry.name) == Some(name) {
            old.push(folder.join(entry.name));
        }
    }
    old.sort();
    let surplus = old.len().saturating_sub(keep);
    for path in old.iter().take(surplus) {
        let about = process.system.metadata(path)?;
        if about.kind == Kind::File && !process.owned.contains(about.id) {
            process.system.remove_file(path)?;
        }
    }
    Ok(())
}
