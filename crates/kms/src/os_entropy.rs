//! The operating system's randomness: the only [`Entropy`] outside tests.
use latchkey_crypto::Entropy;

/// Reads `getrandom(2)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// Where the operating system gives no random bytes: a process that went on would draw guessable secrets.
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
