//! The secrets of a process, fetched when they are needed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::backend::{self, DirectorySettings, ExecSettings, FileSettings, Found, SecretSettings};
use crate::error::{BackendError, SecretError};
use crate::files;
use crate::location::SecretLocation;
use crate::program;
use crate::reference::{SecretRef, is_unresolved};
use crate::sealed::SealedFile;
use crate::secret::Secret;
use crate::stamp::Stamp;

/// Keys that a program is asked for at one time.
const MAX_KEYS_AT_ONCE: usize = 1000;

/// The backends of a process. Clones share what they fetched.
#[derive(Clone, Default)]
pub struct Secrets {
    backends: Arc<HashMap<String, Arc<Backend>>>,
}

struct Backend {
    settings: SecretSettings,
    /// What was fetched. Looked into for a moment only: whoever asks holds `asking`, so a
    /// program that takes its time holds up nobody whose secret is here.
    cache: Mutex<Cache>,
    asking: tokio::sync::Mutex<()>,
}

/// What was fetched: of a file until it changes, of a program until it is asked again.
#[derive(Default)]
struct Cache {
    /// Keys that the configuration names: a program is asked for all of them at once.
    named: BTreeSet<String>,
    stamp: Option<Stamp>,
    values: HashMap<String, Fetched>,
    /// What came of the last time that asking failed as a whole.
    failed: Option<(Instant, BackendError)>,
}

#[derive(Clone)]
struct Fetched {
    found: Found,
    at: Instant,
}

impl Secrets {
    /// With these backends.
    pub fn new(backends: impl IntoIterator<Item = (String, SecretSettings)>) -> Self {
        Self::default().changed_to(backends)
    }

    /// With these backends in place of others. One that is the same stays, with what it
    /// fetched: whoever has it need not let go of it.
    #[must_use]
    pub fn changed_to(&self, backends: impl IntoIterator<Item = (String, SecretSettings)>) -> Self {
        let kept_or_new = |(name, settings): (String, SecretSettings)| {
            let old = self.backends.get(&name);
            let backend = match old.filter(|old| old.settings == settings) {
                Some(old) => Arc::clone(old),
                None => Arc::new(Backend {
                    settings,
                    cache: Mutex::default(),
                    asking: tokio::sync::Mutex::default(),
                }),
            };
            (name, backend)
        };
        Self {
            backends: Arc::new(backends.into_iter().map(kept_or_new).collect()),
        }
    }

    /// Takes note of the secrets that a configuration names, beside those that are known.
    pub fn expect<'c>(&self, named: impl IntoIterator<Item = &'c SecretLocation>) {
        for reference in references(named) {
            if let Some(backend) = self.backends.get(&reference.backend) {
                backend.cache().named.insert(reference.key.clone());
            }
        }
    }

    /// Forgets those that a configuration does not name any more.
    pub fn forget_others<'c>(&self, named: impl IntoIterator<Item = &'c SecretLocation>) {
        let named: HashSet<&SecretRef> = references(named).collect();
        for (name, backend) in self.backends.iter() {
            let is_named = |key: &String| {
                let (backend, key) = (name.clone(), key.clone());
                named.contains(&SecretRef { backend, key })
            };
            let mut cache = backend.cache();
            cache.named.retain(is_named);
            if matches!(backend.settings, SecretSettings::Exec(_)) {
                cache.values.retain(|key, _| is_named(key));
            }
        }
    }

    /// The secret that is there. `anew`: the one that was fetched before was refused, so a
    /// program is asked again.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn get(&self, location: &SecretLocation, anew: bool) -> Result<Secret, SecretError> {
        let secret = match location {
            SecretLocation::Inline(secret) => secret.clone(),
            SecretLocation::File(path) => Secret::read_async(path).await?,
            SecretLocation::Backend(reference) => self.fetch(reference, anew).await?,
        };
        sendable(secret)
    }

    /// What is sealed in a file. `anew`: the key is fetched again.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn open(&self, sealed: &SealedFile, anew: bool) -> Result<Secret, SecretError> {
        let key = self.get(&sealed.key, anew).await?;
        let (file, fail) = (sealed.clone(), |error: std::io::Error| {
            sealed.error(error.into())
        });
        // On a thread that may hang.
        let open = move || file.open_with(&key);
        let opened = files::wait_for(&sealed.path, open).await;
        sendable(opened.map_err(fail)??)
    }

    /// Seals a secret in a file, in place of the one that is there.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn seal(&self, sealed: &SealedFile, secret: &Secret) -> Result<(), SecretError> {
        let key = self.get(&sealed.key, false).await?;
        let (sealed, secret) = (sealed.clone(), secret.clone());
        // It waits for the disk. What was begun is finished, whoever stops waiting.
        let sealing = tokio::task::spawn_blocking(move || sealed.seal_with(&key, &secret));
        Ok(sealing.await.map_err(|_| SecretError::Interrupted)??)
    }

    async fn fetch(&self, reference: &SecretRef, anew: bool) -> Result<Secret, SecretError> {
        let backend = self.backend(reference)?;
        backend
            .get(&reference.key, anew)
            .await
            .map_err(|error| SecretError::Backend {
                reference: reference.clone(),
                error,
            })
    }

    /// Whether another process's or configuration's backends have these secrets at the same
    /// places.
    #[must_use]
    pub fn has_same_backends<'c>(
        &self,
        other: &Self,
        named: impl IntoIterator<Item = &'c SecretLocation>,
    ) -> bool {
        let settings = |all: &Self, name: &str| {
            let backend = all.backends.get(name);
            backend.map(|backend| backend.settings.clone())
        };
        references(named).all(|reference| {
            settings(self, &reference.backend) == settings(other, &reference.backend)
        })
    }

    /// Whether every backend that is named is there.
    ///
    /// # Errors
    /// [`SecretError::NoBackend`].
    pub fn check_backends<'c>(
        &self,
        named: impl IntoIterator<Item = &'c SecretLocation>,
    ) -> Result<(), SecretError> {
        for reference in references(named) {
            self.backend(reference)?;
        }
        Ok(())
    }

    /// Whether the secret is there, without asking a program for it, since that may ask a
    /// service: of a program only whether it can be run. True if it is a program's.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn validate(&self, location: &SecretLocation) -> Result<bool, SecretError> {
        if let SecretLocation::Backend(reference) = location
            && let SecretSettings::Exec(ExecSettings { command, .. }) =
                &self.backend(reference)?.settings
        {
            let found = program::find(command).await;
            found.map_err(|error| SecretError::Backend {
                reference: reference.clone(),
                error,
            })?;
            return Ok(true);
        }
        self.get(location, false).await?;
        Ok(false)
    }

    fn backend(&self, reference: &SecretRef) -> Result<&Arc<Backend>, SecretError> {
        self.backends
            .get(&reference.backend)
            .ok_or_else(|| SecretError::NoBackend {
                reference: reference.clone(),
            })
    }
}

impl Backend {
    async fn get(&self, key: &str, anew: bool) -> Found {
        match &self.settings {
            SecretSettings::Env(_) => backend::in_env(key),
            SecretSettings::Directory(DirectorySettings { path }) => {
                backend::in_folder(path, key).await
            }
            SecretSettings::File(FileSettings { path }) => self.in_file(path.clone(), key).await,
            SecretSettings::Exec(_) => self.ask_program(key, anew).await,
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_file(&self, path: PathBuf, key: &str) -> Found {
        let in_time = |stamp: Option<Stamp>| {
            let cache = self.cache();
            (stamp.is_some() && cache.stamp == stamp).then(|| cache.in_file(key))
        };
        if let Some(found) = in_time(files::stamp(&path).await) {
            return found;
        }
        let waits_since = Instant::now();
        let _asking = self.asking.lock().await;
        // Others met a file that does not answer meanwhile: that need not be met by each.
        if let Some(error) = self.cache().failure_since(waits_since) {
            return Err(error);
        }
        let (stamp, at) = (files::stamp(&path).await, Instant::now());
        if let Some(found) = in_time(stamp) {
            return found;
        }
        let read = backend::in_file(&path).await;
        let fail = |error: &BackendError| {
            self.cache().failed = Some((Instant::now(), error.clone()));
        };
        let values = read.inspect_err(fail)?;
        let fetched = |(key, value)| {
            (
                key,
                Fetched {
                    found: Ok(value),
                    at,
                },
            )
        };
        let mut cache = self.cache();
        cache.values = values.into_iter().map(fetched).collect();
        cache.stamp = stamp;
        cache.in_file(key)
    }

    async fn ask_program(&self, key: &str, anew: bool) -> Found {
        let SecretSettings::Exec(ExecSettings {
            command,
            environment,
            timeout,
        }) = &self.settings
        else {
            return Err(BackendError::NoProgram);
        };
        if !anew && let Some(secret) = self.cache().secret(key) {
            return Ok(secret);
        }
        let waits_since = Instant::now();
        let _asking = self.asking.lock().await;
        let keys = {
            let cache = self.cache();
            // Others asked meanwhile, and their answer is new enough.
            if let Some(found) = cache.since(key, waits_since) {
                return found;
            }
            if !anew && let Some(secret) = cache.secret(key) {
                return Ok(secret);
            }
            // What others will need comes with it: ten thousand tenants are not ten
            // thousand programs.
            let mut keys = vec![key.to_owned()];
            if !anew {
                let is_unknown =
                    |other: &&String| *other != key && !cache.values.contains_key(*other);
                let more = cache.named.iter().filter(is_unknown);
                keys.extend(more.take(MAX_KEYS_AT_ONCE - 1).cloned());
            }
            keys
        };
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let answer = program::ask(command, environment, timeout.0, &asked).await;
        let (mut cache, at) = (self.cache(), Instant::now());
        let answer = answer.inspect_err(|error| cache.failed = Some((at, error.clone())))?;
        let is_asked = |(name, _): &(String, Found)| keys.contains(name);
        let fetched = |(name, found)| (name, Fetched { found, at });
        cache
            .values
            .extend(answer.into_iter().filter(is_asked).map(fetched));
        let found = cache.since(key, at);
        found.unwrap_or_else(|| Err(BackendError::NotAnswered))
    }
}

impl Cache {
    fn in_file(&self, key: &str) -> Found {
        let fetched = self.values.get(key).map(|fetched| fetched.found.clone());
        fetched.unwrap_or_else(|| Err(BackendError::NoMember))
    }

    fn secret(&self, key: &str) -> Option<Secret> {
        self.values.get(key)?.found.clone().ok()
    }

    /// Why asking failed as a whole after `since`.
    fn failure_since(&self, since: Instant) -> Option<BackendError> {
        let failed = self.failed.as_ref().filter(|(at, _)| *at >= since);
        failed.map(|(_, error)| error.clone())
    }

    /// What came of asking for a key after `since`.
    fn since(&self, key: &str, since: Instant) -> Option<Found> {
        let failed = self.failure_since(since);
        let fetched = self.values.get(key).filter(|fetched| fetched.at >= since);
        match (fetched, failed) {
            (Some(fetched), _) => Some(fetched.found.clone()),
            (None, Some(error)) => Some(Err(error)),
            (None, None) => None,
        }
    }
}

/// Those of some secrets that are in a backend.
fn references<'c>(
    of: impl IntoIterator<Item = &'c SecretLocation>,
) -> impl Iterator<Item = &'c SecretRef> {
    of.into_iter().filter_map(|location| match location {
        SecretLocation::Backend(reference) => Some(reference),
        _ => None,
    })
}

/// A secret, unless something that stands for something else was left in it.
fn sendable(secret: Secret) -> Result<Secret, SecretError> {
    if is_unresolved(secret.expose()) {
        return Err(SecretError::Unresolved);
    }
    Ok(secret)
}

#[cfg(test)]
mod tests;
