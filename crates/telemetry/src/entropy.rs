//! Randomness as an argument. This is the one file of the workspace that asks the machine for it.

use latchkey_crypto::Entropy;

/// The operating system's generator (`getrandom(2)`).
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// If the machine has no entropy to give. A secret that is not random is worse than a process that stops.
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("getrandom(2) answers once the kernel has booted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0_u8; 32], [0_u8; 32]);
        OsEntropy.fill(&mut first);
        OsEntropy.fill(&mut second);
        assert_ne!(first, second);
    }
}
