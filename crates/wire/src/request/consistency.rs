//! How recent the state must be.

use crate::pb::v1;
use crate::pb::v1::consistency::Requirement;
use crate::violation::Fields;
use latchkey_domain::Revision;

/// How recent the state must be on which a call is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The freshest state at hand.
    #[default]
    MinimizeLatency,
    /// A state that knows this revision.
    AtLeastAsFresh(Revision),
    /// A state that knows all that was acknowledged before.
    FullyConsistent,
}

/// Reads `consistency`; absent means the default.
///
/// # Errors
/// The violation, where a revision is required and absent or has an epoch or index 0.
pub fn read_consistency(
    consistency: Option<&v1::Consistency>,
) -> Result<Consistency, crate::violation::FieldViolations> {
    let mut fields = Fields::default();
    let consistency = read(&mut fields, consistency);
    fields.finish(consistency)
}

pub(super) fn read(fields: &mut Fields, consistency: Option<&v1::Consistency>) -> Option<Consistency> {
    match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
        None | Some(Requirement::MinimizeLatency(_)) => Some(Consistency::MinimizeLatency),
        Some(Requirement::FullyConsistent(_)) => Some(Consistency::FullyConsistent),
        Some(Requirement::AtLeastAsFresh(fresh)) => match fresh.revision {
            Some(v1::Revision { epoch, index }) if epoch > 0 && index > 0 => {
                Some(Consistency::AtLeastAsFresh(Revision::new(epoch, index)))
            }
            Some(_) | None => {
                fields.refuse(
                    "consistency.at_least_as_fresh.revision",
                    "must be a revision that an answer gave: epoch and index are at least 1",
                );
                None
            }
        },
    }
}

impl From<Consistency> for v1::Consistency {
    fn from(consistency: Consistency) -> Self {
        let requirement = match consistency {
            Consistency::MinimizeLatency => Requirement::MinimizeLatency(v1::consistency::MinimizeLatency {}),
            Consistency::AtLeastAsFresh(revision) => {
                Requirement::AtLeastAsFresh(v1::consistency::AtLeastAsFresh { revision: Some(revision.into()) })
            }
            Consistency::FullyConsistent => Requirement::FullyConsistent(v1::consistency::FullyConsistent {}),
        };
        Self { requirement: Some(requirement) }
    }
}
