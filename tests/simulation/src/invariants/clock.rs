//! The replicated clock follows the true time: no single wrong clock moves it ahead, and so nothing ends before its time.

use super::{Invariant, Look};
use crate::clock::BEGAN_MS;

/// How far ahead the replicated clock may be: half of the voters' clocks may be so much ahead. Milliseconds.
const AHEAD_MS_MAX: u64 = 2_000;

pub(super) struct Clock;

impl Invariant for Clock {
    fn name(&self) -> &'static str {
        "the clock follows the true time"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        let latest = BEGAN_MS + look.now_ms + AHEAD_MS_MAX;
        for seen in look.seen {
            let clock = seen.state.clock();
            if clock.millis() > latest {
                let ahead = clock.millis() - (BEGAN_MS + look.now_ms);
                return Err(format!("the replicated clock of replica {} is {ahead} ms ahead", seen.node));
            }
        }
        Ok(())
    }
}
