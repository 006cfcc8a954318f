//! The claim on driving rotations, and the fence that each of the driver's commands has to carry.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::{CLAIM_LIFE_MAX, ClaimRotations};
use crate::event::Action;
use crate::rotation::RotationClaim;
use crate::row::Row;
use alloc::string::ToString;
use alloc::vec::Vec;
use latchkey_domain::Refusal;
use latchkey_domain::planted::{self, Plant};

/// What the event of a claim is about.
const SUBJECT: &str = "rotation_claim";

/// The same holder renews it, also where it ran out and nobody else came; another takes it only then.
pub(super) fn claim_rotations(transaction: &mut Transaction<'_>, operation: ClaimRotations) -> Result<Answer, Refusal> {
    let now = transaction.now();
    let ends_at = now.plus(operation.life.min(CLAIM_LIFE_MAX));
    let current = transaction.state().rotation_claim().copied();
    let claim = match current {
        Some(current) if current.holder == operation.holder => {
            RotationClaim { ends_at: ends_at.max(current.ends_at), ..current }
        }
        Some(current) if now < current.ends_at => return Err(Refusal::RotationClaimed { ends_at: current.ends_at }),
        current => {
            let fence = current.map_or(0, |current| current.fence).saturating_add(1);
            let facts = Vec::from([("fence", fence.to_string())]);
            transaction.emit(Action::RotationsClaimed, SUBJECT.to_string(), Telling { facts, ..Telling::default() });
            RotationClaim { holder: operation.holder, fence, ends_at }
        }
    };
    transaction.put(Row::RotationClaim(claim));
    Ok(Answer::Claim(claim))
}

/// Whoever claimed last drives: also where the claim has run out, for nobody else may have come.
pub(super) fn need_fence(transaction: &Transaction<'_>, fence: u64) -> Result<(), Refusal> {
    let current = transaction.state().rotation_claim().map_or(0, |claim| claim.fence);
    match (fence == current && current > 0) || planted::is(Plant::FenceIgnored) {
        true => Ok(()),
        false => Err(Refusal::RotationFenced { fence, current }),
    }
}
