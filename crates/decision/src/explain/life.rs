//! Whether the version is accepted at this time.

use super::Check;
use super::detail::detail;
use super::record::Records;
use crate::Ground;
use crate::permit::outcome_of;
use alloc::string::String;
use alloc::vec::Vec;
use latchkey_domain::{Outcome, UnixMillis};
use latchkey_policy::Moment;
use latchkey_state::{By, Found, Key, Revocation, Worth};

/// What passes is told of the version, and says so for all that it belongs to.
const CHECKS: [(Outcome, &str); 4] = [
    (Outcome::Revoked, "nothing that it belongs to is revoked"),
    (Outcome::Suspended, "neither the key nor its parent key is suspended"),
    (Outcome::Expired, "neither the version nor the key nor its parent key has ended"),
    (Outcome::NotYetValid, "the time of the version, the key and its parent key has come"),
];

/// One check for each fault, and one where there is none.
pub(super) fn push_checks(checks: &mut Vec<Check>, records: &Records<'_>, ground: Ground<'_>, found: Found<'_>) {
    let faults: Vec<Worth> = ground.state.faults(&found, ground.now).collect();
    for (outcome, passed) in CHECKS {
        let before = checks.len();
        for fault in faults.iter().filter(|fault| outcome_of(**fault) == outcome) {
            let (record, detail) = tell(*fault, records, ground.now, found);
            checks.push(Check::failed(outcome, record, detail));
        }
        if let Some(by) =
            ground.denials.and_then(|denials| denials.of(&found)).filter(|_| outcome == Outcome::Suspended)
        {
            let detail = String::from("an operator denied it on this replica, and on no other by that");
            checks.push(Check::failed(outcome, records.by(by), detail));
        }
        if checks.len() == before {
            checks.push(Check::passed(outcome, records.version(), String::from(passed)));
        }
    }
}

fn tell(fault: Worth, records: &Records<'_>, now: UnixMillis, found: Found<'_>) -> (String, String) {
    let Found { key, version, .. } = found;
    let of = |by| records.key_of(by);
    match fault {
        Worth::Accepted => (records.version(), String::new()),
        Worth::Revoked(By::Version) => (records.version(), revoked(version.revocation())),
        Worth::Revoked(By::Parent) => {
            // One whose grace runs is not what keeps the child from being accepted.
            let revocation = of(By::Parent).and_then(Key::revocation).filter(|one| one.effective_at <= now);
            (records.by(By::Parent), revoked(revocation))
        }
        Worth::Revoked(By::Key) => (records.key(), revoked(key.revocation())),
        Worth::Revoked(by) => (records.by(by), cut(records)),
        Worth::Suspended(by) => (records.by(by), suspended(of(by))),
        Worth::Expired(By::Version) => match version.expires_at().filter(|end| *end <= now) {
            // Whichever came first: what took its place is gone from the sight of whoever let it grow too old.
            Some(end) if version.retires_at().is_none_or(|retired| end < retired) => {
                (records.version(), at("its maximum lifetime was over at", Some(end)))
            }
            _ => (records.version(), at("another version took its place, and it retired at", version.retires_at())),
        },
        Worth::Expired(by) => (records.by(by), at("it ended at", of(by).and_then(|key| key.expires_at))),
        Worth::NotYetValid(By::Version) => {
            (records.version(), String::from("it is a standby, which the next rotation of its key activates"))
        }
        Worth::NotYetValid(by) => (records.by(by), at("it is accepted from", of(by).and_then(Key::not_before))),
    }
}

/// A parent key without a revocation of its own was cut, or is gone.
fn revoked(revocation: Option<&Revocation>) -> String {
    revocation.map_or_else(
        || String::from("it was revoked with all keys of what it belongs to, or is gone"),
        |revocation| {
            let (reason, at) = (revocation.reason.as_str(), Moment(revocation.effective_at));
            detail(format_args!("it is revoked since {at}: {reason}"))
        },
    )
}

fn cut(records: &Records<'_>) -> String {
    records.cut().map_or_else(String::new, |cut| {
        let (reason, at, revision) = (cut.reason.as_str(), Moment(cut.at), cut.revision);
        detail(format_args!("all keys that belonged to it at revision {revision} are revoked since {at}: {reason}"))
    })
}

fn suspended(key: Option<&Key>) -> String {
    at("it is suspended since", key.and_then(Key::suspension).map(|suspension| suspension.at))
}

fn at(sentence: &str, time: Option<UnixMillis>) -> String {
    time.map_or_else(String::new, |time| detail(format_args!("{sentence} {}", Moment(time))))
}
