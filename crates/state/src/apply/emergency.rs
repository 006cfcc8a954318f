//! A key whose secret is in the wrong hands gets another at once, and every version before it dies with this record.

use super::rotate_key::{add_version, new_rotation};
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use crate::command::RotateKey;
use crate::event::Action;
use crate::rotation::Rotation;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{DurationMillis, Refusal, RevocationReason, RotationState, VersionId};

/// The rotation, completed, and the version where one was made.
///
/// A version whose text somebody has and that is not accepted yet takes the place; whatever else is in progress ends.
/// What was prepared and never delivered is no help: nobody has its text.
pub(super) fn rotate(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    operation: &RotateKey,
) -> Result<(Arc<Rotation>, Option<VersionId>), Refusal> {
    let now = transaction.now();
    let (key, text) = (&subject.key, &operation.text);
    let current = rotation::in_progress(transaction.state(), key);
    let ready = current.as_ref().filter(|current| is_ready(current)).and_then(|current| current.new);
    let ready = ready.filter(|new| key.version(*new).is_some_and(|new| new.is_pending() && rotation::lives(new, now)));
    let old = rotation::active(key, now);
    let doomed = key.versions.iter().filter(|version| Some(version.id) != ready && rotation::lives(version, now));
    for version in doomed.map(|version| version.id).collect::<Vec<_>>() {
        rotation::revoke_version(transaction, subject, version, RevocationReason::Compromised, text);
    }
    let (mut rotation, made) = match (current, ready) {
        (Some(current), Some(new)) => {
            rotation::accept(transaction, &mut subject.key, new);
            (Rotation { old, ..current }, None)
        }
        (current, _) => {
            if let Some(current) = current {
                rotation::end(transaction, subject, current, RotationState::Cancelled, text, Vec::new());
            }
            let new = add_version(transaction, subject, &operation.new, operation.rotation, false)?;
            (new_rotation(transaction, subject, operation.rotation, old, Some(new)), Some(new))
        }
    };
    rotation.state = RotationState::Overlap;
    rotation.overlap = Some(DurationMillis::ZERO);
    rotation.overlap_ends_at = Some(now);
    rotation.text = text.clone();
    if let Some(course) = &mut rotation.course {
        course.activated_at = Some(now);
        course.hold_ends_at = None;
    }
    rotation::touch(transaction, &mut rotation);
    rotation::tell(transaction, subject, Action::RotationStarted, &rotation, Vec::from([("emergency", "true".into())]));
    let rotation = rotation::complete(transaction, subject, rotation, text, Vec::new());
    Ok((rotation, made))
}

/// Whether whoever asked for it has the text of its new version. Of what is delivered elsewhere nobody knows that: until it
/// is verified it is only staged in a store, or sealed and shown to nobody.
fn is_ready(rotation: &Rotation) -> bool {
    let is_delivered_elsewhere = rotation.course.as_ref().is_some_and(|course| course.delivery.is_some());
    rotation.is_standby() || (rotation.effective_state() == RotationState::Delivered && !is_delivered_elsewhere)
}
