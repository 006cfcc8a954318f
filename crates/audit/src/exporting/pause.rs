//! How long is waited before a batch is tried again: twice as long each time, half of it by chance, so that sinks that died together
//! are not all asked together.

use latchkey_crypto::{Entropy, draw};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses between attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pauses {
    /// The next one. A server that says how long it wants to be left alone is left alone for so long, up to the longest.
    pub(crate) fn next(&mut self, asked: Option<Duration>, entropy: &mut impl Entropy) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        let chance = f64::from(u32::from_be_bytes(draw(entropy))) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + chance / 2.0).max(asked.unwrap_or_default().min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Same(u8);
    impl Entropy for Same {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn pauses_grow_to_a_minute_and_differ_by_chance() {
        let (mut pauses, mut others) = (Pauses::default(), Pauses::default());
        for at in 0..12 {
            let (least, most) = (pauses.next(None, &mut Same(0)), others.next(None, &mut Same(0xFF)));
            assert_eq!(most, (FIRST * 2_u32.pow(at)).min(LONGEST));
            assert_eq!(least, most / 2);
        }
        let mut asked = Pauses::default();
        assert_eq!(asked.next(Some(Duration::from_secs(7)), &mut Same(0)), Duration::from_secs(7));
        assert_eq!(asked.next(Some(Duration::MAX), &mut Same(0)), LONGEST);
    }
}
