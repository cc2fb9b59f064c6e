//! Numbers that look random and are a pure function of what they are made from.
//!
//! Every detection is computed from (seed, index) alone, so that any slice of a
//! million can be served without the others. SplitMix64 suits: its state is one
//! word, starting it costs nothing, and its finaliser is a bijection, so that
//! distinct indices give distinct outputs (which makes each FullId unique).

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser: a bijection on 64 bits.
pub(crate) fn mix(value: u64) -> u64 {
    let a = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    b ^ (b >> 31)
}

/// A number for one thing under one seed; `salt` keeps different uses apart.
pub(crate) fn hash(seed: u64, salt: u64, value: u64) -> u64 {
    mix(mix(seed ^ salt.wrapping_mul(GOLDEN)).wrapping_add(value.wrapping_mul(GOLDEN)))
}

/// A number for a text under one seed.
pub(crate) fn hash_text(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |state, byte| {
        mix(state.wrapping_add(GOLDEN) ^ u64::from(byte))
    })
}

/// A short sequence of numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(state: u64) -> Self {
        Self(state)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number from 0 up to `bound`, without it (0 when `bound` is 0).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }
}

/// Maps a 64-bit number evenly onto 0 up to `bound`, without it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the product shifted by 64 bits fits in 64"
)]
pub(crate) fn scale(value: u64, bound: u64) -> u64 {
    ((u128::from(value) * u128::from(bound)) >> 64) as u64
}

/// The share of `values` that `Share::takes` says yes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(u64);

impl Share {
    /// From a fraction between 0 and 1; what lies outside is brought inside.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a float is cast to an integer by saturating, which is what is wanted"
    )]
    pub(crate) fn new(fraction: f64) -> Self {
        Self((fraction * u64::MAX as f64) as u64)
    }

    pub(crate) fn takes(self, value: u64) -> bool {
        value < self.0 || self.0 == u64::MAX
    }
}
