//! Why a step was not taken.

use super::attempts::Failure;
use latchkey_domain::Refusal;
use latchkey_state::Rotation;
use tonic::Status;

/// Why a step was not taken. None of them ends anything.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The claim is another's by now: nothing may be done any more.
    Fenced,
    /// The cluster cannot be asked, or did not answer in time. Taking the step again is harmless.
    Away(Status),
    /// A region does not know the new version yet.
    NotVisible {
        /// Which.
        region: String,
    },
    /// The state is another by now, or what a service minted is out of date.
    Refused(Refusal),
    /// Somebody has changed the rotation meanwhile: what was decided of it holds no more.
    Overtaken,
    /// The text of the new version cannot be had any more.
    TextLost,
    /// The consumer's side failed.
    Failed(Failure),
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        Self::Away(status)
    }
}

impl Trouble {
    /// The word for it, in metrics.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Away(_) => "unavailable",
            Self::NotVisible { .. } => "not_visible",
            Self::Refused(_) => "refused",
            Self::Overtaken => "overtaken",
            Self::TextLost => "text_lost",
            Self::Failed(_) => "failed",
        }
    }

    /// What the cluster will go on to refuse while the rotation stays as it is, in words, and whether it is for good. What
    /// passes by itself, such as an audit service that is behind or a key of the ring that has just gone, is none.
    pub(crate) fn stands_in_the_way(refusal: &Refusal) -> Option<(String, bool)> {
        match refusal {
            Refusal::KeyExpired { .. } => Some(("its key has expired".to_owned(), true)),
            Refusal::KeyRevoked { .. } => Some(("its key is revoked".to_owned(), true)),
            Refusal::QuotaExceeded { quota, limit } => {
                let quota = quota.as_str();
                Some((format!("there is no room for a new version: {quota} may be at most {limit}"), false))
            }
            Refusal::RotationNotIn { state, expected, .. } => {
                Some((format!("it is in {state} and cannot go on: that needs {expected}"), false))
            }
            _ => None,
        }
    }

    /// Says it in the log, with what a person needs to act on it.
    pub(crate) fn log(&self, rotation: &Rotation, step: &'static str) {
        let (id, key, state) = (rotation.id, rotation.key, rotation.state);
        match self {
            Self::Fenced => tracing::info!(rotation = %id, step, "the claim is another's"),
            Self::Away(status) => {
                let (code, message) = (status.code(), status.message());
                tracing::info!(rotation = %id, %key, %state, step, %code, message, "a step is put off");
            }
            Self::NotVisible { region } => {
                tracing::info!(rotation = %id, %key, step, region, "a region does not know the new version yet");
            }
            Self::Refused(refusal) => {
                tracing::info!(rotation = %id, %key, %state, step, ?refusal, "a step does not fit the state any more");
            }
            Self::Overtaken => tracing::info!(rotation = %id, %key, step, "somebody has changed it meanwhile"),
            Self::TextLost => {
                tracing::warn!(rotation = %id, %key, "the new secret is lost before it was delivered; another is made");
            }
            Self::Failed(failure) => {
                let Failure { cause, text, lasts } = failure;
                tracing::warn!(rotation = %id, %key, step, cause = cause.as_str(), problem = text, lasts, "a step failed");
            }
        }
    }
}
