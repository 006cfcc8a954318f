//! What the driver tells in metrics. Whoever holds the claim tells of all rotations and keys; who loses it tells zeros, so
//! that a sum over all processes is right.

use super::DriverOptions;
use latchkey_domain::{HoldCause, RotationState, UnixMillis};
use latchkey_link::driving::KeyspaceView;
use latchkey_state::{AGE_DAYS, EXPIRING_DAYS, VersionState};
use latchkey_telemetry::names;
use metrics::{counter, gauge};

/// What a survey of all keys told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fleet {
    versions: [u64; VersionState::ALL.len()],
    ages: [u64; AGE_DAYS.len() + 1],
    expiring: [u64; EXPIRING_DAYS.len()],
    due: u64,
    overdue_ms: u64,
    /// Keyspaces in which more falls due than the cap lets through.
    pub(super) behind: u64,
}

impl Fleet {
    pub(super) fn add(&mut self, view: &KeyspaceView, now: UnixMillis) {
        for (sum, more) in self.versions.iter_mut().zip(view.versions) {
            *sum += more;
        }
        for (sum, more) in self.ages.iter_mut().zip(view.ages) {
            *sum += more;
        }
        for (sum, more) in self.expiring.iter_mut().zip(view.expiring) {
            *sum += more;
        }
        self.due += view.overdue;
        let longest = view.overdue_since.map_or(0, |since| now.since(since).millis());
        self.overdue_ms = self.overdue_ms.max(longest);
    }
}

pub(super) fn begin(options: &DriverOptions) {
    gauge!(names::ROTATION_WRITES_MAX).set(f64::from(options.writes_per_second_max));
    claim(false);
}

pub(super) fn claim(held: bool) {
    gauge!(names::ROTATION_CLAIM_HELD).set(f64::from(u8::from(held)));
    if !held {
        rotations(&[0; RotationState::ALL.len()], 0);
        fleet(&Fleet::default());
        expiry_notices_owed(0);
    }
}

pub(super) fn stopped() {
    claim(false);
}

pub(super) fn wrote(keys: usize) {
    counter!(names::ROTATION_WRITES_TOTAL).increment(keys as u64);
}

pub(super) fn step(step: &'static str, result: &'static str) {
    counter!(names::ROTATION_STEPS_TOTAL, "step" => step, "result" => result).increment(1);
}

pub(super) fn delivery_failed(cause: HoldCause) {
    let what = if cause == HoldCause::Check { "check" } else { "delivery" };
    counter!(names::ROTATION_DELIVERY_FAILURES_TOTAL, "what" => what).increment(1);
}

/// Rotations in progress, and those of which somebody was told that their old version soon ends though it is used.
pub(super) fn rotations(states: &[u64; RotationState::ALL.len()], ending_in_use: u64) {
    gauge!(names::ROTATIONS_ENDING_IN_USE).set(ending_in_use as f64);
    for (state, count) in RotationState::ALL.into_iter().zip(states) {
        if !state.is_final() {
            gauge!(names::ROTATIONS, "state" => state.as_str()).set(*count as f64);
        }
    }
}

pub(super) fn fleet(fleet: &Fleet) {
    for (state, count) in VersionState::ALL.into_iter().zip(fleet.versions) {
        gauge!(names::VERSIONS, "state" => state.as_str()).set(count as f64);
    }
    for (place, count) in fleet.ages.into_iter().enumerate() {
        gauge!(names::VERSION_AGES, "younger_than" => AGES[place]).set(count as f64);
    }
    for (place, count) in fleet.expiring.into_iter().enumerate() {
        gauge!(names::EXPIRING_KEYS, "within" => WITHIN[place]).set(count as f64);
    }
    gauge!(names::ROTATION_DUE_KEYS).set(fleet.due as f64);
    gauge!(names::ROTATION_OVERDUE_SECONDS).set(fleet.overdue_ms as f64 / 1_000.0);
    gauge!(names::ROTATION_BEHIND_KEYSPACES).set(fleet.behind as f64);
}

pub(super) fn expiry_notices_owed(count: usize) {
    gauge!(names::EXPIRY_NOTICES_OWED).set(count as f64);
}

/// The labels of [`EXPIRING_DAYS`].
const WITHIN: [&str; EXPIRING_DAYS.len()] = ["1d", "7d", "30d"];

/// The labels of [`AGE_DAYS`], and of what is older.
const AGES: [&str; AGE_DAYS.len() + 1] = ["1d", "7d", "30d", "60d", "90d", "180d", "365d", "ever"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_days_are_their_days() {
        let days = AGE_DAYS.map(|days| format!("{days}d"));
        assert_eq!(AGES[..AGE_DAYS.len()], days);
        assert_eq!(WITHIN, EXPIRING_DAYS.map(|days| format!("{days}d")));
    }
}
