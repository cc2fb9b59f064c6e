//! Orders to a ledger that is in use: the cursor set by hand, the quarantine tried again
//! or given up, the past read.
//!
//! Only one process may write a ledger. So an order goes over a socket in its folder to
//! the one that runs; when none does, whoever orders takes the lock and does it.

mod moved;
mod operator;
mod protocol;
mod socket;

pub use operator::Operator;
pub use protocol::{Order, Outcome, Reply};
pub use socket::{Server, send};
