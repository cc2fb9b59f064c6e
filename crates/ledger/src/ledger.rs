//! All that a ledger keeps, as one handle.

use crate::{Cursors, Outbox, Quarantine};

/// A ledger: cursors, outbox and quarantine, which change together in one transaction.
pub trait Ledger: Cursors + Outbox + Quarantine {}

impl<T: Cursors + Outbox + Quarantine + ?Sized> Ledger for T {}
