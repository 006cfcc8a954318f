//! Randomness as an argument, and the ids drawn from it.
use latchkey_domain::{KeyId, RotationId, VersionId};

/// A source of random bytes. The real one reads the operating system; tests replay theirs from a seed.
pub trait Entropy {
    /// Overwrites all of `bytes` with bytes that nobody can predict.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// `N` random bytes: a salt, an opening, a key.
pub fn draw<const N: usize>(entropy: &mut (impl Entropy + ?Sized)) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A fresh id for a key: 95 random bits, so two alike are not met with.
pub fn draw_key_id(entropy: &mut (impl Entropy + ?Sized)) -> KeyId {
    KeyId::from_random(draw(entropy))
}

/// A fresh id for a version: 95 random bits, drawn apart from the key's, so neither tells the other.
pub fn draw_version_id(entropy: &mut (impl Entropy + ?Sized)) -> VersionId {
    VersionId::from_random(draw(entropy))
}

/// A fresh id for a rotation: 95 random bits.
pub fn draw_rotation_id(entropy: &mut (impl Entropy + ?Sized)) -> RotationId {
    RotationId::from_random(draw(entropy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Seeded;
    use std::collections::BTreeSet;

    #[test]
    fn no_drawn_id_comes_twice_and_each_round_trips() {
        let mut entropy = Seeded(1);
        let drawn: BTreeSet<VersionId> = (0..10_000).map(|_| draw_version_id(&mut entropy)).collect();
        assert_eq!(drawn.len(), 10_000);
        assert!(drawn.iter().all(|id| VersionId::from_chars(&id.chars()) == Some(*id)));
    }

    #[test]
    fn the_highest_draw_is_still_an_id() {
        struct Ones;
        impl Entropy for Ones {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(0xFF);
            }
        }
        let id = draw_key_id(&mut Ones);
        assert_eq!(KeyId::from_bytes(*id.bytes()), Some(id));
        assert!(id < KeyId::HIGHEST);
    }
}
