//! What the replicas told about one rotation, as its next step needs it.

use crate::evidence::{self, Watched};
use latchkey_domain::UnixMillis;
use latchkey_state::{Evidence, Rotation};

/// What was seen, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The time of the cluster then.
    pub(crate) at: UnixMillis,
    /// Whether a consumer has used the new version.
    pub(crate) new_seen: bool,
    /// Whether every replica told.
    pub(crate) all_told: bool,
    /// What follows for the old version.
    pub(crate) verdict: Verdict,
    /// What a command carries of it.
    pub(crate) evidence: Evidence,
}

/// Whether the old version may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The traffic has moved.
    Moved,
    /// It has to stay.
    Keep {
        /// Why, in words.
        text: String,
        /// Whether every replica told: what is not known is not silence, and may be known soon.
        known: bool,
    },
}

impl Look {
    /// From what all replicas together told.
    pub(crate) fn of(seen: &evidence::Evidence, rotation: &Rotation) -> Self {
        let silence = rotation.course.as_ref().and_then(|course| course.terms.silence);
        let new_seen = evidence::new_seen(seen, rotation);
        let verdict = match evidence::may_retire(seen, new_seen, silence) {
            Ok(()) => Verdict::Moved,
            Err(kept) => {
                let known = seen.unheard.is_empty() && seen.watched_since.is_some();
                Verdict::Keep { text: kept.to_string(), known }
            }
        };
        let evidence = evidence::to_record(seen, new_seen);
        Self { at: seen.now, new_seen: new_seen.is_some(), all_told: seen.unheard.is_empty(), verdict, evidence }
    }
}

/// What the replicas are asked about; none where there is no new version yet.
pub(crate) fn watched(rotation: &Rotation) -> Option<Watched> {
    Some(Watched { old: rotation.old, new: rotation.new? })
}
