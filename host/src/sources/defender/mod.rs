//! Microsoft Defender, asked through a component.
//!
//! The token is got in one instance, which may reach only the authority and holds the
//! secret for that one call; the detections in another, which may reach only the
//! endpoint and holds neither. The host adds the Authorization header where the second
//! cannot see it.
//!
//! - `settings`: what a person writes; `resolved`: what that comes to, and the line of the registry.
//! - `cloud`: which hosts a region's name stands for.
//! - `tenants`: what the entry of a tenant may say over its source.
//! - `credential`: what proves who is asking.
//! - `connect`: from settings to policies and connections.
//! - `auth`: tokens, and the secrets that they are got with.
//! - `client`: one poll.
//! - `explain`: what the service's errors mean, and what to do about them.

mod auth;
mod base_url;
mod client;
mod cloud;
mod connect;
mod credential;
mod explain;
mod ids;
mod redact;
mod resolved;
mod settings;
mod tenants;
mod token;

pub use client::DefenderClient;
pub use cloud::{Api, Region};
pub use credential::{Consent, Credential, CredentialError};
pub(super) use explain::explain;
pub use ids::{ClientId, TenantId};
pub use resolved::Defender;
pub(super) use resolved::TYPE;
pub use settings::{EgressSettings, Nat64Prefix, Settings, Timeouts, TlsSettings};
pub use token::{Access, Tokens};
