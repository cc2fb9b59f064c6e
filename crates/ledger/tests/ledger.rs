//! What a ledger promises: all of a step or nothing, each record once for each reader,
//! and no file opened that is not ours and whole.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod ledger {
    mod calls;
    mod crash;
    mod cursors;
    mod files;
    mod forgetting;
    mod making;
    mod model;
    mod promises;
    mod quarantine;
    mod readers;
    mod support;
}
