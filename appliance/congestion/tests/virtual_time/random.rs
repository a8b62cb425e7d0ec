//! Randomness from a seed.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

pub(crate) trait Uniform {
    /// From 0 to below 1.
    fn uniform(&mut self) -> f64;
}

impl Uniform for ChaCha20Rng {
    fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
