//! Tokens, and the secrets that they are got with.

use super::client::DefenderClient;
use super::credential::{Consent, Credential, CredentialError};
use super::redact;
use super::token::{Access, Key, TokenSlot};
use crate::sources::{PollError, ServiceDate};
use std::sync::{MutexGuard, PoisonError};
use tracing::Instrument;
use watchbell_sandbox::contract::{ClientSecret, Config, Credentials, Error, Query, RefreshToken};
use watchbell_secrets::{Secret, SecretError};
use zeroize::Zeroize;

/// Bytes of the login service's answer: a token has a few thousand.
const MAX_TOKEN_BYTES: u64 = 1 << 20;

impl DefenderClient {
    /// Whether the secret that was refused is another one by now.
    pub(super) async fn fetches_new_secret(&self, anew: bool) -> bool {
        let Some(refused) = *self.refused() else {
            return false;
        };
        let secret = self.settings.credential.fetch(&self.runtime.secrets, anew);
        secret.await.is_ok_and(|secret| secret.digest() != refused)
    }

    /// The digest of the secret that the login service refused.
    pub(super) fn refused(&self) -> MutexGuard<'_, Option<[u8; 32]>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn token_other_than(
        &self,
        refused: Option<&Access>,
    ) -> Result<Access, PollError> {
        let settings = &self.settings;
        let key = Key::new(
            settings.authority.as_str(),
            settings.tenant_id.as_str(),
            settings.client_id.as_str(),
            &settings.credential,
        );
        let mut held = self.runtime.tokens.lock(key).await;
        let Credential::RefreshToken(consent) = &settings.credential else {
            return match held.fresh(refused) {
                Some(access) => Ok(access),
                None => self.renew(&mut held).await,
            };
        };
        if let Some(token) = held.unsealed() {
            self.seal(&mut held, consent, token).await;
        }
        if let Some(access) = held.fresh(refused) {
            return Ok(access);
        }
        // The service replaces a refresh token with its answer. Whoever gives up waiting
        // for that must not leave the new one behind.
        let client = self.clone();
        let renewing = async move { client.renew(&mut held).await };
        let renewed = tokio::spawn(renewing.in_current_span()).await;
        renewed.unwrap_or(Err(CredentialError::from(SecretError::Interrupted).into()))
    }

    /// Gets a token with the secret of now.
    async fn renew(&self, held: &mut TokenSlot) -> Result<Access, PollError> {
        let (secrets, credential) = (&self.runtime.secrets, &self.settings.credential);
        let secret = match held.unsealed() {
            Some(token) => token,
            None => credential.fetch(secrets, false).await?,
        };
        let mut got = self.get_token(&secret).await;
        if got.as_ref().is_err_and(PollError::refuses_secret) {
            *self.refused() = Some(secret.digest());
            // It may have been rotated since it was fetched.
            if let Ok(newer) = credential.fetch(secrets, true).await
                && newer != secret
            {
                tracing::info!(
                    "the login service refused the secret, and there is another; trying that"
                );
                got = self.get_token(&newer).await;
                if got.as_ref().is_err_and(PollError::refuses_secret) {
                    *self.refused() = Some(newer.digest());
                }
            }
        }
        let (access, next) = got?;
        *self.refused() = None;
        held.put(&access);
        if let (Credential::RefreshToken(consent), Some(next)) = (credential, next) {
            self.seal(held, consent, next).await;
        }
        Ok(access)
    }

    /// Writes a refresh token down. One that cannot be is held here, since the access token
    /// is good all the same, and tried again with the next poll.
    async fn seal(&self, held: &mut TokenSlot, consent: &Consent, token: Secret) {
        let was_unsealed = held.unsealed();
        let sealed = self.runtime.secrets.seal(&consent.token, &token).await;
        match sealed.map_err(CredentialError::from) {
            Ok(()) => {
                if was_unsealed.is_some() {
                    tracing::info!("the new refresh token is written down now");
                }
                held.set_unsealed(None);
            }
            Err(error) => {
                if was_unsealed.is_none() {
                    tracing::error!(
                        %error,
                        "the new refresh token cannot be written down; it is held in memory and tried again, and lost if this ends before"
                    );
                }
                held.set_unsealed(Some(token));
            }
        }
    }

    /// A token, and the refresh token that takes the place of the one that was used.
    async fn get_token(&self, secret: &Secret) -> Result<(Access, Option<Secret>), PollError> {
        let own_secret = self.own_secret().await?;
        let credentials = self.credentials(secret, own_secret.as_ref());
        let session = self.authority.session(self.bounds(MAX_TOKEN_BYTES));
        let config = Told(self.config(credentials, Query::default(), MAX_TOKEN_BYTES));
        for shown in std::iter::once(secret).chain(&own_secret) {
            self.redactor.learn(shown);
        }
        let answer = self
            .component
            .source
            .authenticate(&config.0, session.clone(), &self.limits(MAX_TOKEN_BYTES))
            .await;
        self.log_denied(&session);
        let answer = answer.map_err(|error| redact::call(error, &self.redactor))?;
        let mut token = answer.map_err(|error| {
            let mut error = error;
            // A token's answer holds no detections, and these would go downstream.
            if let Error::Malformed(fault) = &mut error {
                fault.alerts.clear();
            }
            self.service_error(error, &session)
        })?;
        let next = token.refresh_token.take().map(Secret::new);
        if let Some(next) = &next {
            self.redactor.learn(next);
        }
        let date = session.exchanges().last().and_then(ServiceDate::of);
        let access = Access::new(token, date);
        self.redactor.learn(&access.value);
        Ok((access, next))
    }

    /// The application's secret beside a user's consent.
    async fn own_secret(&self) -> Result<Option<Secret>, PollError> {
        let place = match &self.settings.credential {
            Credential::RefreshToken(consent) => consent.client_secret.as_ref(),
            Credential::ClientSecret(_) => None,
        };
        let Some(place) = place else {
            return Ok(None);
        };
        let secret = self.runtime.secrets.get(place, false).await;
        Ok(Some(secret.map_err(CredentialError::from)?))
    }

    /// What is shown to the login service.
    fn credentials(&self, secret: &Secret, own_secret: Option<&Secret>) -> Credentials {
        let tenant_id = self.settings.tenant_id.to_string();
        let client_id = self.settings.client_id.to_string();
        let shown = secret.expose().to_owned();
        match &self.settings.credential {
            Credential::RefreshToken(_) => Credentials::RefreshToken(RefreshToken {
                tenant_id,
                client_id,
                secret: own_secret.map(|secret| secret.expose().to_owned()),
                refresh_token: shown,
            }),
            Credential::ClientSecret(_) => Credentials::ClientSecret(ClientSecret {
                tenant_id,
                client_id,
                secret: shown,
            }),
        }
    }
}

/// What a component is told, with a secret in it that is zeroed on drop.
struct Told(Config);

impl Drop for Told {
    fn drop(&mut self) {
        match &mut self.0.credentials {
            Credentials::ClientSecret(told) => told.secret.zeroize(),
            Credentials::RefreshToken(told) => {
                told.secret.zeroize();
                told.refresh_token.zeroize();
            }
            _ => {}
        }
    }
}
