//! Destinations that took nothing, and how long they are left alone: one back-off for all notices, so that a server that is dead is
//! asked as often as one notice would, however many there are.

use crate::exporting::Pauses;
use latchkey_crypto::Entropy;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Destinations that are remembered: tenants write URLs down, so there may be any number. The one that rests the shortest goes.
const DESTINATIONS_MAX: usize = 1_024;

/// Who rests.
#[derive(Default)]
pub(super) struct Rests {
    all: HashMap<String, Rest>,
}

struct Rest {
    pauses: Pauses,
    until: Instant,
    why: String,
}

// A destination may hold a secret.
impl fmt::Debug for Rests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rests({})", self.all.len())
    }
}

impl Rests {
    /// How long a destination still rests, and why; `None`: it may be tried.
    pub(super) fn left(&self, destination: &str, now: Instant) -> Option<(Duration, String)> {
        let rest = self.all.get(destination).filter(|rest| rest.until > now)?;
        Some((rest.until - now, rest.why.clone()))
    }

    /// It took nothing: it rests twice as long as the last time. Tells how long.
    pub(super) fn failed(
        &mut self,
        destination: &str,
        why: String,
        now: Instant,
        entropy: &mut impl Entropy,
    ) -> Duration {
        if !self.all.contains_key(destination) && self.all.len() >= DESTINATIONS_MAX {
            let first = self.all.iter().min_by_key(|(_, rest)| rest.until).map(|(name, _)| name.clone());
            first.and_then(|name| self.all.remove(&name));
        }
        let new = || Rest { pauses: Pauses::default(), until: now, why: String::new() };
        let rest = self.all.entry(destination.to_owned()).or_insert_with(new);
        let pause = rest.pauses.next(None, entropy);
        (rest.until, rest.why) = (now + pause, why);
        pause
    }

    /// It took something, or answered.
    pub(super) fn well(&mut self, destination: &str) {
        self.all.remove(destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_telemetry::OsEntropy;

    fn fail(rests: &mut Rests, destination: &str, now: Instant) -> Duration {
        rests.failed(destination, "away".to_owned(), now, &mut OsEntropy)
    }

    #[test]
    fn a_destination_rests_longer_each_time_until_it_is_well_and_no_other_does() {
        let (mut rests, begun) = (Rests::default(), Instant::now());
        let mut now = begun;
        for _ in 0..10 {
            assert_eq!(rests.left("mail", now), None);
            now += fail(&mut rests, "mail", now);
        }
        assert!(fail(&mut rests, "mail", now) >= Duration::from_secs(30), "half a minute to a minute");
        assert!(rests.left("mail", now).is_some_and(|(_, why)| why == "away"));
        assert_eq!(rests.left("hook", now), None);
        rests.well("mail");
        assert_eq!(rests.left("mail", now), None);
        assert!(fail(&mut rests, "mail", now) < Duration::from_secs(1));
    }

    #[test]
    fn however_many_urls_there_are_few_are_remembered_and_none_is_shown() {
        let (mut rests, now) = (Rests::default(), Instant::now());
        for number in 0..DESTINATIONS_MAX + 10 {
            fail(&mut rests, &format!("https://h.example/?token={number}"), now);
        }
        assert_eq!(format!("{rests:?}"), format!("Rests({DESTINATIONS_MAX})"));
    }
}
