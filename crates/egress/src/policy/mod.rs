//! Who may be reached.
//!
//! This folder decides and does nothing else: it opens no socket, resolves no name and
//! knows no protocol. It reads a destination strictly ([`Target`], [`Host`]), compares it
//! with the allow-list ([`HostPattern`]) and judges every address before it is dialled
//! ([`Policy`], [`address`]). It is separate so that the rules can be read, tested and
//! compared with an independent second implementation (`tests/policy`) as pure functions.

pub mod address;

mod denied;
mod host;
mod host_pattern;
mod rules;
mod target;

pub use denied::{Denied, RefusedAddress};
pub use host::{Host, NotAHost};
pub use host_pattern::{HostPattern, NotAHostPattern};
pub use rules::Policy;
pub use target::{Scheme, Target};

#[cfg(test)]
mod tests;
