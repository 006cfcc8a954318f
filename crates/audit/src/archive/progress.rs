//! Telling how publishing gets on, while more waits than one round takes: an old folder may take hours.

use std::time::Duration;
use tokio::time::Instant;

/// Between two lines.
const TOLD_EACH: Duration = Duration::from_secs(10);

/// Since when much waits.
#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    at: Instant,
    published: u64,
    told: Instant,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Entries that are published.
    pub(super) published: u64,
    /// Entries that wait.
    pub(super) waiting: u64,
    /// Entries a second, since much waits.
    pub(super) per_second: u64,
    /// In how long nothing waits, at that pace. Zero: now.
    pub(super) left: Duration,
}

impl Progress {
    /// Takes note of a round, after which `published` of `next` entries are published, and gives what is to be told.
    pub(super) fn note(&mut self, (published, next): (u64, u64), more: bool, now: Instant) -> Option<Told> {
        let (waiting, is_begun) = (next.saturating_sub(published), self.begun.is_some());
        if !more && !is_begun {
            return None;
        }
        let begun = self.begun.get_or_insert(Begun { at: now, published, told: now });
        if is_begun && more && now.duration_since(begun.told) < TOLD_EACH {
            return None;
        }
        begun.told = now;
        let millis = u64::try_from(now.duration_since(begun.at).as_millis()).unwrap_or(u64::MAX).max(1);
        let per_second = (published - begun.published).saturating_mul(1_000) / millis;
        let left = if more { waiting.checked_div(per_second).unwrap_or(0) } else { 0 };
        if !more {
            self.begun = None;
        }
        Some(Told { published, waiting, per_second, left: Duration::from_secs(left) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_that_waits_is_told_at_its_beginning_each_ten_seconds_and_at_its_end() {
        let (mut progress, begin) = (Progress::default(), Instant::now());
        let mut note = |published, more, seconds| {
            let told = progress.note((published, 10_000), more, begin + Duration::from_secs(seconds));
            told.map(|told| (told.waiting, told.per_second, told.left.as_secs()))
        };
        assert_eq!(note(10_000, false, 0), None, "nothing waits");
        assert_eq!(note(1_000, true, 1), Some((9_000, 0, 0)));
        assert_eq!(note(2_000, true, 5), None);
        assert_eq!(note(3_000, true, 11), Some((7_000, 200, 35)));
        assert_eq!(note(4_000, true, 20), None);
        assert_eq!(note(10_000, false, 21), Some((0, 450, 0)));
        assert_eq!(note(10_000, false, 60), None);
    }
}
