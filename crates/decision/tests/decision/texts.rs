//! What is no key text is malformed, and nothing is looked up for it: without a [`Presented`] there is no lookup.

use crate::world::{World, text, validator};
use latchkey_decision::{Access, Presented, Question, Undecided, decide};
use latchkey_domain::Outcome;
use latchkey_policy::AccessContext;

/// Texts that are tried. A failure prints the number of its text, from which it is made again.
const TEXTS: u64 = 1_000_000;

/// Xorshift64*, seeded by the number of the text. Source: S. Vigna, ACM TOMS 42 (4), 2016.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(number: u64) -> Self {
        Self(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }
}

/// A text that is none: noise, or a good text with something done to it.
fn broken(number: u64, good: &str) -> String {
    const NOISE: &[char] = &['_', '0', 'z', 'A', 'a', '-', ' ', '\0', 'é', '\u{1F511}', '9', 'Z'];
    let mut random = Random::seeded(number);
    let mut chars: Vec<char> = good.chars().collect();
    match number % 6 {
        0 => chars = (0..random.below(90)).map(|_| NOISE[random.below(NOISE.len())]).collect(),
        1 => chars = (0..random.below(90)).map(|_| char::from(u8::try_from(random.below(128)).unwrap())).collect(),
        2 => {
            let at = random.below(chars.len());
            let other = NOISE[random.below(NOISE.len())];
            chars[at] = if chars[at] == other { '~' } else { other };
        }
        3 => chars.truncate(random.below(chars.len())),
        4 => chars.insert(random.below(chars.len() + 1), NOISE[random.below(NOISE.len())]),
        _ => {
            let at = random.below(chars.len() - 1);
            if chars[at] == chars[at + 1] {
                chars[at] = '~';
            }
            chars.swap(at, at + 1);
        }
    }
    chars.into_iter().collect()
}

#[test]
fn a_million_broken_texts_are_malformed_without_a_lookup() {
    let good = text("acme_live", 1);
    for number in 0..TEXTS {
        let broken = broken(number, good.expose());
        let denied = Presented::read_own(&broken).expect_err(&format!("text {number}"));
        assert_eq!(denied.outcome(), Outcome::Malformed, "text {number}");
    }
}

#[test]
fn a_malformed_text_does_not_ask_how_old_the_state_is() {
    let (world, grants, context) = (World::new(), validator(""), AccessContext::default());
    let access = Access { query: None, context: &context };
    let age = || -> Result<_, Undecided> { panic!("nothing was looked up, so nothing can be stale") };
    let decision = decide("acme_live_", world.ground(), Question::new(&grants, None), access, age).unwrap();
    assert_eq!(decision.verdict(world.age).unwrap().outcome(), Outcome::Malformed);
}

#[test]
fn well_formed_texts_that_nobody_made_are_not_found() {
    use latchkey_crypto::{Secret, compose};
    use latchkey_domain::{Prefix, VersionId};
    let (world, grants) = (World::new(), validator(""));
    let prefix = Prefix::parse("acme_live").unwrap();
    for number in 0..50_000 {
        let mut random = Random::seeded(number);
        let mut bytes = [0; 12];
        bytes.fill_with(|| u8::try_from(random.below(256)).unwrap());
        let secret = Secret::from_chars(&[b'0' + u8::try_from(random.below(10)).unwrap(); 32]).unwrap();
        let made = compose(&prefix, VersionId::from_random(bytes), &secret);
        assert_eq!(world.outcome(made.expose(), &grants), Outcome::NotFound, "text {number}");
    }
}
