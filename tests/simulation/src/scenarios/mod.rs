//! Named scenarios: each has a story, passes as things are, and fails where the bug is planted that it is about.

mod audit;
mod barrier;
mod batches;
mod clocks;
mod commands;
mod disk;
mod members;
mod reads;
mod restored;
mod rotations;

pub(crate) use barrier::keys_everywhere;

use crate::world::{Failure, Outcome};
use latchkey_domain::planted::{self, Plant};

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens, and what must not come of it.
    pub story: &'static str,
    /// The bug that it finds.
    pub finds: Plant,
    /// Runs it with a seed.
    pub run: fn(u64) -> Outcome,
}

/// Every scenario.
pub const SCENARIOS: [Scenario; 35] = [
    barrier::LEFT_BEHIND,
    barrier::LATE_ANSWER,
    barrier::NEW_LEADER,
    barrier::BOUND_LOWERED,
    barrier::REPORT_IN_FLIGHT,
    barrier::REMOVED,
    barrier::RESTARTED,
    barrier::LED_ON,
    clocks::FROZEN,
    clocks::APART,
    clocks::IN_APPLY,
    clocks::YEAR_AHEAD,
    commands::REPEATED,
    commands::GRANT_TAKEN_AWAY,
    reads::FOLLOWED,
    reads::SWAPPED,
    disk::POWER_CUT,
    disk::PURGED_EARLY,
    disk::BEYOND_A_HOLE,
    disk::FLIPPED,
    disk::VOTE_OVERTAKES,
    members::LEARNERS_ALIVE,
    restored::RESTORED,
    batches::ASKED_TOGETHER,
    rotations::FENCED,
    rotations::UNHEARD,
    rotations::TOO_EARLY,
    rotations::LOST_TEXT,
    rotations::PEPPER_IN_USE,
    audit::FORGED,
    audit::FORKED,
    audit::FORGOTTEN,
    audit::LEFT_OUT,
    audit::ACKNOWLEDGED_EARLY,
    audit::COUNTED_TWICE,
];

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SCENARIOS.into_iter().find(|one| one.name == name)
    }

    /// The scenario that finds a bug.
    #[must_use]
    pub fn finding(plant: Plant) -> Option<Self> {
        SCENARIOS.into_iter().find(|one| one.finds == plant)
    }

    /// Runs it with its bug planted, with so many seeds from this one on: what was found, if anything was.
    #[must_use]
    pub fn hunt(self, seed: u64, seeds: u64) -> Option<Box<Failure>> {
        planted::plant(Some(self.finds));
        let found = (seed..seed + seeds).find_map(|seed| (self.run)(seed).err());
        planted::plant(None);
        found
    }
}

/// A failure where there is no world.
fn broken(invariant: &str, what: String, seed: u64) -> Box<Failure> {
    Box::new(Failure { invariant: invariant.to_owned(), what, seed, events: Vec::new() })
}
