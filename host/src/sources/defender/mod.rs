//! Microsoft Defender, asked through a component.
//!
//! The token is got in one instance, which may reach only the authority and holds the
//! secret for that one call; the detections in another, which may reach only the
//! endpoint and holds neither. The host adds the Authorization header where the second
//! cannot see it.
//!
//! - `config`: from settings to policies, connections and bounds.
//! - `credential`: what proves who is asking.
//! - `auth`: tokens, and the secrets that they are got with.
//! - `client`: one poll.
//! - `explain`: what the service's errors mean, and what to do about them.

mod auth;
mod client;
mod config;
mod credential;
mod explain;
mod redact;
mod token;

pub use client::DefenderClient;
pub use config::validate_destinations;
pub use credential::{Consent, Credential, CredentialError};
pub(super) use explain::explain;
pub use token::{Access, Tokens};
