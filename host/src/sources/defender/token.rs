//! Access tokens, kept until shortly before their end.
//!
//! One token serves every source with the same authority, tenant, client and
//! credential: asking once each would be throttled. Sources that need the same token
//! at one time wait for one request.

use super::credential::Credential;
use crate::sources::ServiceDate;
use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Mutex, OwnedMutexGuard};
use watchbell_sandbox::contract::Token;
use watchbell_secrets::Secret;

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a token is used whose answer does not say when it ends: short, since a
/// token that ended costs a refused poll.
const UNKNOWN: Duration = Duration::from_secs(300);

/// How long a token is used at most, whatever its answer says: the longest that the login
/// service gives live 28 hours.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Tokens held before spent ones are looked for.
const FIRST_SWEEP: usize = 64;

/// An access token with its times.
#[derive(Clone)]
pub struct Access {
    /// The token.
    pub value: Secret,
    /// How long it lives from when it came; none when the answer did not say.
    pub lifetime: Option<Duration>,
    /// What the answer said of the service's clock.
    pub date: Option<ServiceDate>,
    renew_at: Instant,
}

impl Access {
    /// Takes a token over that came just now.
    #[must_use]
    pub fn new(token: Token, date: Option<ServiceDate>) -> Self {
        let lifetime = lifetime(&token);
        let now = Instant::now();
        Self {
            value: Secret::new(token.value),
            lifetime,
            date,
            renew_at: now.checked_add(used_for(lifetime)).unwrap_or(now),
        }
    }

    fn is_fresh(&self) -> bool {
        Instant::now() < self.renew_at
    }
}

/// `expires_in` counts from the answer and needs no clock; `expires_on` is all that
/// some answers have.
fn lifetime(token: &Token) -> Option<Duration> {
    if let Some(seconds) = token.expires_in {
        return Some(Duration::from_secs(seconds));
    }
    let end = u64::try_from(token.expires_on?)
        .ok()
        .map(Duration::from_nanos)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    Some(end.saturating_sub(now))
}

/// A minute less than its life, or half of it when it lives less than two; a day at most.
fn used_for(lifetime: Option<Duration>) -> Duration {
    match lifetime {
        None => UNKNOWN,
        Some(life) if life < 2 * MARGIN => life / 2,
        Some(life) => life.saturating_sub(MARGIN).min(LONGEST),
    }
}

/// Whose token it is. A credential is its place, or a digest of its value: a secret that
/// was rotated leaves the token good that was got with the old one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    authority: String,
    tenant: String,
    client: String,
    credential: [u8; 32],
}

impl Key {
    pub(super) fn new(
        authority: &str,
        tenant: &str,
        client: &str,
        credential: &Credential,
    ) -> Self {
        Self {
            authority: authority.to_owned(),
            tenant: tenant.to_owned(),
            client: client.to_owned(),
            credential: credential.fingerprint(),
        }
    }
}

type SharedSlot = Arc<Mutex<Kept>>;

/// What is kept for those who share a token.
#[derive(Default)]
struct Kept {
    access: Option<Access>,
    /// A refresh token that could not be written down. The service knows no older one.
    unsealed: Option<Secret>,
}

impl Kept {
    fn serves(&self) -> bool {
        self.unsealed.is_some() || self.access.as_ref().is_some_and(Access::is_fresh)
    }
}

/// The tokens of this process. Clones share them.
#[derive(Clone, Default)]
pub struct Tokens {
    slots: Arc<StdMutex<Slots>>,
}

#[derive(Default)]
struct Slots {
    kept: HashMap<Key, SharedSlot>,
    sweep_at: usize,
}

impl Tokens {
    /// The slot for `key`, held until it is dropped so that one asks and others wait.
    pub(super) async fn lock(&self, key: Key) -> TokenSlot {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            // A slot that nobody holds and whose token is spent serves no one. Looked for
            // when there are twice as many as the last time, so that it costs little.
            if slots.kept.len() >= slots.sweep_at {
                slots.kept.retain(|_, slot| {
                    Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|kept| kept.serves())
                });
                slots.sweep_at = (slots.kept.len() * 2).max(FIRST_SWEEP);
            }
            Arc::clone(slots.kept.entry(key).or_default())
        };
        TokenSlot(slot.lock_owned().await)
    }
}

/// A slot that is held.
pub(super) struct TokenSlot(OwnedMutexGuard<Kept>);

impl TokenSlot {
    /// The token, unless it is spent or is the one that was refused.
    pub(super) fn fresh(&self, refused: Option<&Access>) -> Option<Access> {
        let access = self.0.access.as_ref().filter(|access| access.is_fresh())?;
        (refused.is_none_or(|refused| refused.value != access.value)).then(|| access.clone())
    }

    pub(super) fn put(&mut self, access: &Access) {
        self.0.access = Some(access.clone());
    }

    /// The refresh token that could not be written down.
    pub(super) fn unsealed(&self) -> Option<Secret> {
        self.0.unsealed.clone()
    }

    /// Holds a refresh token until it is written down, or none.
    pub(super) fn set_unsealed(&mut self, token: Option<Secret>) {
        self.0.unsealed = token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(seconds: u64) -> Duration {
        used_for(Some(Duration::from_secs(seconds)))
    }

    #[test]
    fn a_token_is_renewed_a_minute_before_its_end_or_halfway_when_it_lives_less_than_two() {
        assert_eq!(life(3600), Duration::from_secs(3540));
        assert_eq!(life(120), Duration::from_secs(60));
        assert_eq!(life(119), Duration::from_millis(59_500));
        assert_eq!(life(2), Duration::from_secs(1));
        assert_eq!(life(0), Duration::ZERO);
        assert_eq!(life(u64::MAX), LONGEST);
        assert_eq!(used_for(None), UNKNOWN);
    }

    #[test]
    fn expires_in_goes_before_expires_on() {
        let token = |expires_in, expires_on| Token {
            value: "t".to_owned(),
            expires_in,
            expires_on,
            refresh_token: None,
        };
        assert_eq!(
            lifetime(&token(Some(60), Some(1))),
            Some(Duration::from_secs(60))
        );
        assert_eq!(lifetime(&token(None, Some(1))), Some(Duration::ZERO));
        assert_eq!(lifetime(&token(None, None)), None);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let on = i64::try_from((now + Duration::from_secs(100)).as_nanos()).unwrap();
        let left = lifetime(&token(None, Some(on))).unwrap();
        assert!((98..=100).contains(&left.as_secs()), "{left:?}");
    }

    proptest::proptest! {
        /// Used to end the process with a panic, from 2^63 seconds on.
        #[test]
        fn no_lifetime_makes_it_panic(
            expires_in in proptest::option::of(proptest::num::u64::ANY),
            expires_on in proptest::option::of(proptest::num::i64::ANY),
        ) {
            let token = Token { value: "t".to_owned(), expires_in, expires_on, refresh_token: None };
            let access = Access::new(token, None);
            let longest = Instant::now() + LONGEST;
            proptest::prop_assert!(access.renew_at <= longest);
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_not_handed_out_again_and_another_is() {
        let tokens = Tokens::default();
        let key = Key::new(
            "a",
            "t",
            "c",
            &Credential::ClientSecret(Secret::new("s".to_owned()).into()),
        );
        let access = |value: &str| {
            let token = Token {
                value: value.to_owned(),
                expires_in: Some(3600),
                expires_on: None,
                refresh_token: None,
            };
            Access::new(token, None)
        };
        let (old, new) = (access("old"), access("new"));
        tokens.lock(key.clone()).await.put(&old);
        assert!(tokens.lock(key.clone()).await.fresh(None).is_some());
        assert!(tokens.lock(key.clone()).await.fresh(Some(&old)).is_none());
        tokens.lock(key.clone()).await.put(&new);
        assert!(tokens.lock(key).await.fresh(Some(&old)).is_some());
    }
}
