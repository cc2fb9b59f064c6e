//! When a file is moved away and a new one begun.

use super::{Place, Settings, folder};
use chrono::Utc;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When a new file is begun. By default never: logrotate may do it instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotate {
    /// Before a batch that would make it larger than that, in bytes.
    pub max_size: Option<u64>,
    /// Whenever that much time has passed, counted from 1970, so that a day ends at
    /// midnight UTC.
    pub every: Option<Duration>,
    /// How many old files are kept; none: all.
    pub keep: Option<usize>,
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

/// Moves the file away, under a name that sorts by time and that nothing has yet. That
/// becomes durable with the file that is made in its place.
pub(super) fn away(settings: &Settings) -> io::Result<()> {
    let now = Utc::now().format("%Y-%m-%dT%H-%M-%S%.6fZ");
    let mut old = settings.path.clone().into_os_string();
    old.push(format!(".{now}"));
    let old = PathBuf::from(old);
    if old.try_exists()? {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is there already", old.display()),
        ));
    }
    fs::rename(&settings.path, &old)?;
    if let Some(keep) = settings.rotate.keep {
        remove_oldest(settings, keep)?;
    }
    Ok(())
}

fn remove_oldest(settings: &Settings, keep: usize) -> io::Result<()> {
    let Some(name) = settings.path.file_name() else {
        return Ok(());
    };
    let mut prefix = name.to_owned();
    prefix.push(".");
    let mut old: Vec<PathBuf> = fs::read_dir(folder::of(&settings.path))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            let rest = name.strip_prefix(prefix.as_encoded_bytes());
            // Only names that we give: a time.
            rest.is_some_and(|rest| rest.ends_with(b"Z") && rest.contains(&b'T'))
        })
        .collect();
    old.sort();
    let surplus = old.len().saturating_sub(keep);
    old.iter().take(surplus).try_for_each(fs::remove_file)
}
