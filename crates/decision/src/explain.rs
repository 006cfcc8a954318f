//! Why a validation has the outcome that it has: every check in the order of decision, with what it found.
//!
//! It asks what [`decide`](crate::decide) asks, of the same records, but goes on where that stops, so that one repair
//! does not uncover the next refusal. That both agree is a property test (`tests/decision/explaining.rs`). It is the only
//! part of this crate that allocates: a person waits for it, and it waits for the audit log.

mod access;
mod detail;
mod life;
mod permissions;
mod record;

use crate::resolved::Standing;
use crate::{Access, Decision, Denied, Fresh, Ground, Presented, Question, Stale, Undecided, Verdict, resolve};
use alloc::string::String;
use alloc::vec::Vec;
use detail::detail;
use latchkey_domain::{DurationMillis, Outcome};
use latchkey_state::Found;
use record::Records;

/// What an explanation tells.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// What `ValidateKey` answers, and what may be told of the key.
    pub verdict: Verdict<'a>,
    /// Every check, in the order of decision. The first that failed is the outcome.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The outcome if this is the first that fails.
    pub outcome: Outcome,
    /// What came of it.
    pub finding: Finding,
    /// The name of the record that decided; empty: the request itself.
    pub record: String,
    /// What was expected and what was found, for people. At most 512 bytes, and never a secret.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// An earlier check failed without which it cannot be made.
    NotReached,
}

/// An explanation that is none before the age of the state was read once more.
#[derive(Debug)]
pub struct Explained<'a> {
    decision: Decision<'a>,
    checks: Vec<Check>,
}

/// The checks that need the key, in the order of decision.
const OF_THE_KEY: [Outcome; 9] = [
    Outcome::WrongKeyspace,
    Outcome::Revoked,
    Outcome::Suspended,
    Outcome::Expired,
    Outcome::NotYetValid,
    Outcome::NetworkNotAllowed,
    Outcome::MethodNotAllowed,
    Outcome::ResourceNotAllowed,
    Outcome::InsufficientPermissions,
];

/// Explains what [`decide`](crate::decide) answers to the same arguments.
///
/// # Errors
/// As [`decide`](crate::decide).
pub fn explain<'a, E: From<Undecided>>(
    key_text: &str,
    ground: Ground<'a>,
    question: Question<'a>,
    access: Access<'_>,
    age: impl FnOnce() -> Result<DurationMillis, E>,
) -> Result<Explained<'a>, E> {
    let presented = match Presented::read(key_text, ground, question) {
        Ok(presented) => presented,
        Err(denied) => return Ok(malformed(denied)),
    };
    let resolved = resolve(&presented, ground, question).map_err(Undecided::PepperMissing)?;
    let fresh = resolved.fresh(age()?).map_err(Undecided::Stale)?;
    let checks = checks_of(&fresh, access);
    let decision = match fresh.permit(access) {
        Ok(permit) => permit.admit(&[]).into(),
        Err(denied) => denied.into(),
    };
    Ok(Explained { decision, checks })
}

impl<'a> Explained<'a> {
    /// Makes it an answer, as [`Decision::verdict`] does.
    ///
    /// # Errors
    /// [`Stale`], with both numbers.
    pub fn explanation(self, age: DurationMillis) -> Result<Explanation<'a>, Stale> {
        Ok(Explanation { verdict: self.decision.verdict(age)?, checks: self.checks })
    }
}

fn malformed(denied: Denied<'_>) -> Explained<'_> {
    let failed = Check::failed(
        Outcome::Malformed,
        String::new(),
        detail(format_args!("the text has not the form of a key text, or its checksum is wrong")),
    );
    let mut checks = Vec::from([failed, Check::not_reached(Outcome::NotFound)]);
    checks.extend(OF_THE_KEY.map(Check::not_reached));
    Explained { decision: denied.into(), checks }
}

fn checks_of(fresh: &Fresh<'_>, access: Access<'_>) -> Vec<Check> {
    let well_formed = detail(format_args!("the text has the form and the checksum of a key text"));
    let mut checks = Vec::from([Check::passed(Outcome::Malformed, String::new(), well_formed)]);
    let (found, asked_for) = match fresh.standing() {
        Standing::Found(found) => (found, true),
        Standing::Elsewhere(found) => (found, false),
        Standing::Unknown => {
            // One text for all: no such id, another tenant's key, a wrong secret.
            let detail = detail(format_args!("no key that the caller may have explained has this text"));
            checks.push(Check::failed(Outcome::NotFound, String::new(), detail));
            checks.extend(OF_THE_KEY.map(Check::not_reached));
            return checks;
        }
    };
    let records = Records::of(fresh.ground().state, found);
    let matched = detail(format_args!("the secret matches this version"));
    checks.push(Check::passed(Outcome::NotFound, records.version(), matched));
    checks.push(keyspace(&records, found, asked_for));
    life::push_checks(&mut checks, &records, fresh.ground(), found);
    let layers = fresh.ground().state.terms_of(found.key, fresh.ground().now);
    access::push_checks(&mut checks, &records, &layers, access.context);
    permissions::push_checks(&mut checks, &records, fresh.ground(), &layers, access.query);
    checks
}

fn keyspace(records: &Records<'_>, found: Found<'_>, asked_for: bool) -> Check {
    let prefix = &found.keyspace.settings.prefix;
    if asked_for {
        let detail = detail(format_args!("keys with the prefix {prefix} are of this keyspace, which will do"));
        return Check::passed(Outcome::WrongKeyspace, records.keyspace(), detail);
    }
    let detail = detail(format_args!("keys with the prefix {prefix} are of this keyspace, another one was asked for"));
    Check::failed(Outcome::WrongKeyspace, records.keyspace(), detail)
}

impl Check {
    const fn passed(outcome: Outcome, record: String, detail: String) -> Self {
        Self { outcome, finding: Finding::Passed, record, detail }
    }

    const fn failed(outcome: Outcome, record: String, detail: String) -> Self {
        Self { outcome, finding: Finding::Failed, record, detail }
    }

    const fn not_reached(outcome: Outcome) -> Self {
        Self { outcome, finding: Finding::NotReached, record: String::new(), detail: String::new() }
    }
}
