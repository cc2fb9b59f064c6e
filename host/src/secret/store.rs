//! The secrets of a process, fetched when they are needed.

use super::backend::{self, Found, SecretSettings};
use super::{
    Consent, Credential, SealError, Secret, SecretFileError, SecretRef, is_unresolved, program,
    sealed,
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
    pub fn expect<'c>(&self, named: impl IntoIterator<Item = &'c Credential>) {
        for reference in references(named) {
            if let Some(backend) = self.backends.get(&reference.backend) {
                backend.held().named.insert(reference.key.clone());
            }
        }
    }

    /// Forgets those that a configuration does not name any more.
    pub fn forget_others<'c>(&self, named: impl IntoIterator<Item = &'c Credential>) {
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
                let key = self.read(&consent.key, anew).await?;
                sendable(unseal(consent, key).await?)
            }
            one => self.read(one, anew).await,
        }
    }

    /// Keeps a refresh token in place of the one that was used.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn keep(&self, consent: &Consent, token: &Secret) -> Result<(), SecretError> {
        let key = self.read(&consent.key, false).await?;
        let (consent, token) = (consent.clone(), token.clone());
        // It waits for the disk. What was begun is finished, whoever stops waiting.
        let sealing = tokio::task::spawn_blocking(move || {
            sealed::seal(&consent.file, &key, &consent.owner, &token)
        });
        Ok(sealing.await.map_err(|_| SecretError::Interrupted)??)
    }

    async fn read(&self, credential: &Credential, anew: bool) -> Result<Secret, SecretError> {
        let secret = match credential {
            Credential::ClientSecret(secret) => secret.clone(),
            Credential::ClientSecretFile(path) => Secret::read_async(path).await?,
            Credential::ClientSecretIn(reference) => self.fetch(reference, anew).await?,
            // A consent is not read from another.
            Credential::RefreshToken(_) => return Err(SecretError::Unresolved),
        };
        sendable(secret)
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
        references([credential]).all(|reference| {
            settings(self, &reference.backend) == settings(other, &reference.backend)
        })
    }

    /// Whether every backend that a credential names is there.
    ///
    /// # Errors
    /// [`SecretError::NoBackend`].
    pub fn check(&self, credential: &Credential) -> Result<(), SecretError> {
        for reference in references([credential]) {
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
        for part in credential.parts() {
            let settings = match part {
                Credential::ClientSecretIn(reference) => &self.backend(reference)?.settings,
                part => {
                    self.read(part, false).await?;
                    continue;
                }
            };
            match (settings, part) {
                (SecretSettings::Exec { command, .. }, Credential::ClientSecretIn(reference)) => {
                    in_program = true;
                    program::find(command)
                        .await
                        .map_err(|reason| SecretError::Backend {
                            reference: reference.clone(),
                            reason,
                        })?;
                }
                _ => drop(self.read(part, false).await?),
            }
        }
        if matches!(credential, Credential::RefreshToken(_)) && !in_program {
            self.of(credential, false).await?;
        }
        Ok(())
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

/// Where the secrets of some credentials are, of those that are in a backend.
fn references<'c>(
    of: impl IntoIterator<Item = &'c Credential>,
) -> impl Iterator<Item = &'c SecretRef> {
    let parts = of.into_iter().flat_map(Credential::parts);
    parts.filter_map(|part| match part {
        Credential::ClientSecretIn(reference) => Some(reference),
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
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::time::Duration;

    fn secrets(settings: SecretSettings, keys: &[&str]) -> (Secrets, Vec<Credential>) {
        let named: Vec<Credential> = keys
            .iter()
            .map(|key| {
                Credential::ClientSecretIn(SecretRef {
                    backend: "vault".to_owned(),
                    key: (*key).to_owned(),
                })
            })
            .collect();
        let secrets = Secrets::new([("vault".to_owned(), settings)]);
        secrets.expect(&named);
        (secrets, named)
    }

    async fn values(secrets: &Secrets, of: &[Credential]) -> Vec<Result<String, String>> {
        let mut values = Vec::new();
        for credential in of {
            let found = secrets.of(credential, false).await;
            values.push(
                found
                    .map(|s| s.expose().to_owned())
                    .map_err(|e| e.to_string()),
            );
        }
        values
    }

    fn exec(script: &str, timeout: Duration) -> SecretSettings {
        SecretSettings::Exec {
            command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            environment: BTreeMap::new(),
            timeout,
        }
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changes() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{{\"a\": \"one\"}}").unwrap();
        let settings = SecretSettings::File {
            path: file.path().to_owned(),
        };
        let (secrets, named) = secrets(settings, &["a", "b"]);
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("one".to_owned()));
        assert!(
            found[1]
                .as_ref()
                .unwrap_err()
                .contains("SECRET[vault.b]: the file has no")
        );
        std::fs::write(file.path(), "{\"a\": \"second\", \"b\": \"${X}\"}").unwrap();
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("second".to_owned()));
        assert!(found[1].as_ref().unwrap_err().contains("it is not sent"));
    }

    #[tokio::test]
    async fn a_folder_has_a_file_for_each() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "one\n").unwrap();
        let settings = SecretSettings::Directory {
            path: folder.path().to_owned(),
        };
        let (secrets, named) = secrets(settings, &["a", "b"]);
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("one".to_owned()));
        assert!(found[1].is_err());
    }

    #[tokio::test]
    async fn a_program_is_asked_once_for_all_and_again_for_the_one_that_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = format!(
            "cat >> {0}; echo >> {0}; n=$(wc -l < {0}); echo '{{\"a\":{{\"value\":\"a'$n'\",\"error\":null}},\"b\":{{\"value\":null,\"error\":\"no\\u001b[31m\"}}}}'",
            log.display()
        );
        let (secrets, named) = secrets(exec(&script, Duration::from_secs(5)), &["a", "b"]);
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("a1".to_owned()));
        let refused = found[1].as_ref().unwrap_err();
        assert!(
            refused.contains("SECRET[vault.b]: no") && !refused.contains('\u{1b}'),
            "{refused}"
        );
        assert_eq!(secrets.of(&named[0], false).await.unwrap().expose(), "a1");
        assert_eq!(secrets.of(&named[0], true).await.unwrap().expose(), "a3");
        let asked = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<&str> = asked.lines().collect();
        assert_eq!(lines[0], r#"{"version":"1.0","secrets":["a","b"]}"#);
        assert_eq!(lines[2], r#"{"version":"1.0","secrets":["a"]}"#);
    }

    #[tokio::test]
    async fn a_program_that_hangs_fails_or_babbles_is_told_and_never_repeats_its_words() {
        for (script, words) in [
            ("sleep 60", "took longer than 0.2 s"),
            ("echo marked; exit 3", "ended with exit status: 3"),
            ("echo marked", "did not answer as"),
            ("echo '{}'", "did not name it"),
        ] {
            let (secrets, named) = secrets(exec(script, Duration::from_millis(200)), &["a"]);
            let found = values(&secrets, &named).await;
            let error = found[0].as_ref().unwrap_err();
            assert!(
                error.contains(words) && !error.contains("marked"),
                "{error}"
            );
        }
        let (secrets, _) = secrets(SecretSettings::Env, &[]);
        let stray = Credential::ClientSecretIn("SECRET[other.a]".parse().unwrap());
        let error = secrets.of(&stray, false).await.unwrap_err().to_string();
        assert!(error.contains("add [secret.other]"), "{error}");
    }

    #[tokio::test]
    async fn a_refused_secret_holds_up_nobody_whose_secret_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let slow = folder.path().join("slow");
        let script = format!(
            "test -e {0} && sleep 60; echo '{{\"a\":{{\"value\":\"one\"}},\"b\":{{\"value\":\"two\"}}}}'",
            slow.display()
        );
        let (secrets, named) = secrets(exec(&script, Duration::from_secs(20)), &["a", "b"]);
        values(&secrets, &named).await;
        std::fs::write(&slow, "").unwrap();
        let refused = secrets.of(&named[0], true);
        let other = async {
            // By now the program is being asked.
            tokio::time::sleep(Duration::from_millis(200)).await;
            secrets.of(&named[1], false).await.unwrap()
        };
        tokio::select! {
            other = other => assert_eq!(other.expose(), "two"),
            _ = refused => panic!("the known one waits for the program"),
        }
    }

    #[tokio::test]
    async fn those_who_wait_for_a_program_share_its_answer_and_its_failure() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        for answer in ["'{\"a\":{\"value\":\"one\"}}'", "no; exit 1"] {
            std::fs::write(&log, "").unwrap();
            let script = format!(
                "cat > /dev/null; echo x >> {}; sleep 0.3; echo {answer}",
                log.display()
            );
            let (secrets, named) = secrets(exec(&script, Duration::from_secs(20)), &["a"]);
            let ask = || secrets.of(&named[0], true);
            let (one, other, third) = tokio::join!(ask(), ask(), ask());
            assert!(one.is_ok() == other.is_ok() && other.is_ok() == third.is_ok());
            let asked = std::fs::read_to_string(&log).unwrap();
            assert_eq!(asked.lines().count(), 1, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_backend_that_stays_keeps_what_it_fetched_and_forgets_what_nobody_names() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "cat > /dev/null; echo x >> {0}/log; echo '{{\"a\":{{\"value\":\"one\"}},\"b\":{{\"value\":\"two\"}}}}'",
            folder.path().display()
        );
        let settings = exec(&script, Duration::from_secs(20));
        let (old, named) = secrets(settings.clone(), &["a", "b"]);
        values(&old, &named).await;
        let both = [
            ("vault".to_owned(), settings),
            ("other".to_owned(), SecretSettings::Env),
        ];
        let new = old.changed_to(both.clone());
        assert!(Arc::ptr_eq(&old.backends["vault"], &new.backends["vault"]));
        assert!(new.are_as(&old, &named[0]));
        values(&new, &named).await;
        new.forget_others(&named[..1]);
        assert_eq!(old.backends["vault"].held().values.len(), 1);
        assert_eq!(old.backends["vault"].held().named.len(), 1);
        let asked = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(asked.lines().count(), 1);
        let changed = new.changed_to([("vault".to_owned(), SecretSettings::Env)]);
        assert!(!changed.are_as(&new, &named[0]));
    }

    #[tokio::test]
    async fn nothing_that_looks_unresolved_is_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let settings = SecretSettings::Directory {
            path: folder.path().to_owned(),
        };
        let (secrets, named) = secrets(settings, &["a"]);
        let file = folder.path().join("a");
        for text in [
            "SECRET[vault.team/contoso]",
            "SECRET[vault]",
            "SECRET[vault.a ",
            "x${A}",
            "${A",
        ] {
            std::fs::write(&file, text).unwrap();
            for credential in [
                named[0].clone(),
                Credential::ClientSecretFile(file.clone()),
                Credential::ClientSecret(Secret::new(text.to_owned())),
            ] {
                let found = secrets.of(&credential, false).await;
                assert!(matches!(found, Err(SecretError::Unresolved)), "{text}");
            }
        }
    }
}
