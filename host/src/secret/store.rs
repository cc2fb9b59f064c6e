//! The secrets of a process, fetched when they are needed.

use super::backend::{self, Found, SecretSettings};
use super::{
    Consent, Credential, SealError, Secret, SecretFileError, SecretLocation, SecretRef,
    is_unresolved, program, sealed,
};
use crate::files;
use crate::stamp::Stamp;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Keys that a program is asked for at one time.
const AT_ONCE: usize = 1000;

/// Why there is no secret. Never says what one is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// `client_secret_file`.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A backend has none, or does not answer.
    #[error("{reference}: {reason}")]
    Backend {
        /// What was asked for.
        reference: SecretRef,
        /// Why there is none.
        reason: String,
    },
    /// The sealed file of a refresh token.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The backend is not configured.
    #[error("{reference}: there is no backend {}; add [secret.{}] with its type (env, file, directory or exec)", reference.backend, reference.backend)]
    NoBackend {
        /// What was asked for.
        reference: SecretRef,
    },
    /// What was found is itself something to be replaced, and was not.
    #[error("the secret holds ${{ or SECRET[, which nothing replaced; it is not sent")]
    Unresolved,
    /// Sealing it did not come to its end.
    #[error("the refresh token could not be sealed")]
    Interrupted,
}

/// The backends of a process. Clones share what they fetched.
#[derive(Clone, Default)]
pub struct Secrets {
    backends: Arc<HashMap<String, Arc<Backend>>>,
}

struct Backend {
    settings: SecretSettings,
    /// What was fetched. Looked into for a moment only: whoever asks holds `asking`, so a
    /// program that takes its time holds up nobody whose secret is here.
    held: Mutex<Held>,
    asking: tokio::sync::Mutex<()>,
}

/// What was fetched: of a file until it changes, of a program until it is asked again.
#[derive(Default)]
struct Held {
    /// Keys that the configuration names: a program is asked for all of them at once.
    named: BTreeSet<String>,
    stamp: Option<Stamp>,
    values: HashMap<String, Fetched>,
    /// What came of the last time that asking failed as a whole.
    failed: Option<(Instant, String)>,
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
                    held: Mutex::default(),
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
                backend.held().named.insert(reference.key.clone());
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
            let mut held = backend.held();
            held.named.retain(is_named);
            if matches!(backend.settings, SecretSettings::Exec { .. }) {
                held.values.retain(|key, _| is_named(key));
            }
        }
    }

    /// The secret that a credential means. `anew`: the one that was fetched before was
    /// refused, so a program is asked again.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn of(&self, credential: &Credential, anew: bool) -> Result<Secret, SecretError> {
        match credential {
            Credential::RefreshToken(consent) => {
                let key = self.get(&consent.key, anew).await?;
                sendable(unseal(consent, key).await?)
            }
            Credential::ClientSecret(location) => self.get(location, anew).await,
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

    /// Keeps a refresh token in place of the one that was used.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn keep(&self, consent: &Consent, token: &Secret) -> Result<(), SecretError> {
        let key = self.get(&consent.key, false).await?;
        let (consent, token) = (consent.clone(), token.clone());
        // It waits for the disk. What was begun is finished, whoever stops waiting.
        let sealing = tokio::task::spawn_blocking(move || {
            sealed::seal(&consent.file, &key, &consent.owner, &token)
        });
        Ok(sealing.await.map_err(|_| SecretError::Interrupted)??)
    }

    async fn fetch(&self, reference: &SecretRef, anew: bool) -> Result<Secret, SecretError> {
        let backend = self.backend(reference)?;
        backend
            .get(&reference.key, anew)
            .await
            .map_err(|reason| SecretError::Backend {
                reference: reference.clone(),
                reason,
            })
    }

    /// Whether others have what this credential means from the same place.
    #[must_use]
    pub(crate) fn are_as(&self, other: &Self, credential: &Credential) -> bool {
        let settings = |all: &Self, name: &str| {
            let backend = all.backends.get(name);
            backend.map(|backend| backend.settings.clone())
        };
        references(credential.locations()).all(|reference| {
            settings(self, &reference.backend) == settings(other, &reference.backend)
        })
    }

    /// Whether every backend that a credential names is there.
    ///
    /// # Errors
    /// [`SecretError::NoBackend`].
    pub fn check(&self, credential: &Credential) -> Result<(), SecretError> {
        for reference in references(credential.locations()) {
            self.backend(reference)?;
        }
        Ok(())
    }

    /// Whether what a credential means is there, without asking a program for it: it may ask
    /// a service.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn look(&self, credential: &Credential) -> Result<(), SecretError> {
        let mut in_program = false;
        for location in credential.locations() {
            in_program |= self.look_at(location).await?;
        }
        if matches!(credential, Credential::RefreshToken(_)) && !in_program {
            self.of(credential, false).await?;
        }
        Ok(())
    }

    /// The same for one secret; whether it is a program's, which was not asked.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn look_at(&self, location: &SecretLocation) -> Result<bool, SecretError> {
        if let SecretLocation::Backend(reference) = location
            && let SecretSettings::Exec { command, .. } = &self.backend(reference)?.settings
        {
            let found = program::find(command).await;
            found.map_err(|reason| SecretError::Backend {
                reference: reference.clone(),
                reason,
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
            SecretSettings::Env => backend::in_env(key),
            SecretSettings::Directory { path } => backend::in_folder(path, key).await,
            SecretSettings::File { path } => self.in_file(path.clone(), key).await,
            SecretSettings::Exec { .. } => self.ask_program(key, anew).await,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_file(&self, path: PathBuf, key: &str) -> Found {
        let in_time = |stamp: Option<Stamp>| {
            let held = self.held();
            (stamp.is_some() && held.stamp == stamp).then(|| held.in_file(key))
        };
        if let Some(found) = in_time(files::stamp(&path).await) {
            return found;
        }
        let waits_since = Instant::now();
        let _asking = self.asking.lock().await;
        // Others met a file that does not answer meanwhile: that need not be met by each.
        if let Some(words) = self.held().failure_since(waits_since) {
            return Err(words);
        }
        let (stamp, at) = (files::stamp(&path).await, Instant::now());
        if let Some(found) = in_time(stamp) {
            return found;
        }
        let read = backend::in_file(&path).await;
        let fail = |words: &String| {
            self.held().failed = Some((Instant::now(), words.clone()));
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
        let mut held = self.held();
        held.values = values.into_iter().map(fetched).collect();
        held.stamp = stamp;
        held.in_file(key)
    }

    async fn ask_program(&self, key: &str, anew: bool) -> Found {
        let SecretSettings::Exec {
            command,
            environment,
            timeout,
        } = &self.settings
        else {
            return Err("is not in a program".to_owned());
        };
        if !anew && let Some(secret) = self.held().secret(key) {
            return Ok(secret);
        }
        let waits_since = Instant::now();
        let _asking = self.asking.lock().await;
        let keys = {
            let held = self.held();
            // Others asked meanwhile, and their answer is new enough.
            if let Some(found) = held.since(key, waits_since) {
                return found;
            }
            if !anew && let Some(secret) = held.secret(key) {
                return Ok(secret);
            }
            // What others will need comes with it: ten thousand tenants are not ten
            // thousand programs.
            let mut keys = vec![key.to_owned()];
            if !anew {
                let is_unknown =
                    |other: &&String| *other != key && !held.values.contains_key(*other);
                let more = held.named.iter().filter(is_unknown);
                keys.extend(more.take(AT_ONCE - 1).cloned());
            }
            keys
        };
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let answer = program::ask(command, environment, *timeout, &asked).await;
        let (mut held, at) = (self.held(), Instant::now());
        let answer = answer.inspect_err(|words| held.failed = Some((at, words.clone())))?;
        let is_asked = |(name, _): &(String, Found)| keys.contains(name);
        let fetched = |(name, found)| (name, Fetched { found, at });
        held.values
            .extend(answer.into_iter().filter(is_asked).map(fetched));
        let found = held.since(key, at);
        found.unwrap_or_else(|| Err("the program did not name it".to_owned()))
    }
}

impl Held {
    fn in_file(&self, key: &str) -> Found {
        let fetched = self.values.get(key).map(|fetched| fetched.found.clone());
        fetched.unwrap_or_else(|| Err("the file has no such member".to_owned()))
    }

    fn secret(&self, key: &str) -> Option<Secret> {
        self.values.get(key)?.found.clone().ok()
    }

    /// Why asking failed as a whole after `since`.
    fn failure_since(&self, since: Instant) -> Option<String> {
        let failed = self.failed.as_ref().filter(|(at, _)| *at >= since);
        failed.map(|(_, words)| words.clone())
    }

    /// What came of asking for a key after `since`.
    fn since(&self, key: &str, since: Instant) -> Option<Found> {
        let failed = self.failure_since(since);
        let fetched = self.values.get(key).filter(|fetched| fetched.at >= since);
        match (fetched, failed) {
            (Some(fetched), _) => Some(fetched.found.clone()),
            (None, Some(words)) => Some(Err(words)),
            (None, None) => None,
        }
    }
}

/// Opens a consent's sealed file, on a thread that may hang.
async fn unseal(consent: &Consent, key: Secret) -> Result<Secret, SealError> {
    let Consent { file, owner, .. } = consent.clone();
    let failed = |error: std::io::Error| SealError {
        path: consent.file.clone(),
        reason: error.to_string(),
    };
    let open = move || {
        match files::open_regular(&file) {
            // What is not there, `sealed` tells better.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SealError {
                path: file,
                reason: error.to_string(),
            }),
            _ => sealed::open(&file, &key, &owner),
        }
    };
    files::wait_for(&consent.file, open).await.map_err(failed)?
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
