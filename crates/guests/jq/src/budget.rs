//! How much a call may return.
//!
//! A filter such as `range(1000000000) as $i | .` would fill any memory. What a call may
//! return is therefore bounded by what it was given and [`GROWTH_BYTES`] on top, so that
//! no filter that selects, redacts or enriches ever meets the bound, however large the
//! batch is.

/// Bytes that a call may return more than it was given. The size of the largest answer
/// that a host accepts by default: one filter may double even that.
pub const GROWTH_BYTES: usize = 64 * 1024 * 1024;

/// What an alert counts beside its JSON text: its envelope and its place in a list.
const ENVELOPE_BYTES: usize = 256;

/// Bytes that a call may still return.
pub(crate) struct Budget {
    whole: usize,
    left: usize,
}

/// The budget does not reach.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spent;

impl Budget {
    /// The budget of a call that was given alerts with JSON texts of these lengths.
    pub(crate) fn for_call(lengths: impl Iterator<Item = usize>) -> Self {
        let whole = lengths.fold(GROWTH_BYTES, |sum, length| {
            sum.saturating_add(length).saturating_add(ENVELOPE_BYTES)
        });
        Self { whole, left: whole }
    }

    /// All of it, in bytes.
    pub(crate) fn whole(&self) -> u64 {
        self.whole as u64
    }

    /// What is left, in bytes.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Takes an alert's share.
    pub(crate) fn spend(&mut self, json_length: usize) -> Result<(), Spent> {
        let share = json_length.saturating_add(ENVELOPE_BYTES);
        self.left = self.left.checked_sub(share).ok_or(Spent)?;
        Ok(())
    }
}
