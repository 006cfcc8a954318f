//! Entropy that everybody who has the seed can repeat: for trying, and for nothing else.

use latchkey_crypto::Entropy;
use sha2::{Digest as _, Sha256};

/// Bytes that follow from a word and a name: the hashes of both and a counter, one after the other.
#[derive(Clone, Debug)]
pub(super) struct SeededEntropy {
    from: Vec<u8>,
    counter: u64,
    left: Vec<u8>,
}

impl SeededEntropy {
    /// Of the word of the seed, and what is drawn for.
    pub(super) fn new(word: &str, name: &str) -> Self {
        let mut from = b"latchkey dev seed/1".to_vec();
        for part in [word, name] {
            // With its length, so that no two pairs read alike.
            from.extend(u64::try_from(part.len()).expect("a text fits into memory").to_be_bytes());
            from.extend(part.bytes());
        }
        Self { from, counter: 0, left: Vec::new() }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left.is_empty() {
                let block = Sha256::new().chain_update(&self.from).chain_update(self.counter.to_be_bytes()).finalize();
                self.left = block.iter().rev().copied().collect();
                self.counter += 1;
            }
            *byte = self.left.pop().expect("a block was just put there");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_crypto::draw;

    #[test]
    fn the_same_words_give_the_same_bytes_and_others_give_others() {
        let of = |word: &str, name: &str| draw::<96>(&mut SeededEntropy::new(word, name));
        assert_eq!(of("try", "valid"), of("try", "valid"));
        for (word, name) in [("try", "other"), ("other", "valid"), ("tryv", "alid"), ("", "tryvalid")] {
            assert_ne!(of("try", "valid"), of(word, name));
        }
    }

    #[test]
    fn bytes_do_not_depend_on_how_they_are_asked_for() {
        let mut whole = [0; 40];
        SeededEntropy::new("a", "b").fill(&mut whole);
        let (mut first, mut second) = ([0; 7], [0; 33]);
        let mut entropy = SeededEntropy::new("a", "b");
        entropy.fill(&mut first);
        entropy.fill(&mut second);
        assert_eq!(whole[..], [&first[..], &second[..]].concat());
    }
}
