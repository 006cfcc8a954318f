//! Why a call or an item gets no outcome.

use crate::session::Session;
use latchkey_decision::{NotIdentified, Undecided};
use latchkey_domain::Refusal;
use latchkey_link::Refusals;
use latchkey_registry::ViewError;
use latchkey_transport::{Rejection, Unavailable, status};
use latchkey_wire::violation::FieldViolations;
use tonic::Status;

/// Why there is no outcome. It becomes a status where it leaves, so that it can be counted on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It cannot be decided now.
    Unavailable(Unavailable),
    /// The caller is nobody, or the request cannot be read.
    Rejected(Rejection),
    /// The caller may not, or asks for what is gone.
    Refused(Refusal),
}

impl Halt {
    /// Takes note of it, where it refuses somebody who proved who he is.
    pub(crate) fn note(&self, refusals: &Refusals, session: &Session<'_>, method: &'static str) {
        refusals.note(&session.proven(), method, &self.clone().into());
    }

    /// The word under which it is counted; `None` where the caller has to change something.
    pub(crate) const fn undecided(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(unavailable) => Some(match unavailable {
                Unavailable::NotFresh { .. } => "not_fresh",
                Unavailable::Starting => "starting",
                Unavailable::Locked => "locked",
                Unavailable::Fenced => "fenced",
                Unavailable::Stopping => "stopping",
                Unavailable::NoLeader { .. } => "no_leader",
                Unavailable::EpochAhead { .. } => "epoch_ahead",
                Unavailable::ClockSkew { .. } => "clock_skew",
                Unavailable::Overloaded { .. } => "overloaded",
                Unavailable::AuditBehind { .. } => "audit_behind",
                Unavailable::DiskFull => "disk_full",
                Unavailable::AuditStopped => "audit_stopped",
                Unavailable::Removed { .. } => "removed",
            }),
            Self::Rejected(_) | Self::Refused(_) => None,
        }
    }
}

impl From<Undecided> for Halt {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Stale(stale) => Self::Unavailable(Unavailable::NotFresh { age: stale.age, bound: stale.bound }),
            Undecided::PepperMissing(missing) => {
                // A pepper comes with the state that refers to it; without the KEK it cannot be unwrapped.
                tracing::error!(%missing, "a secret cannot be judged");
                Self::Unavailable(Unavailable::Locked)
            }
        }
    }
}

impl From<NotIdentified> for Halt {
    fn from(error: NotIdentified) -> Self {
        match error {
            NotIdentified::Unknown => Self::Rejected(Rejection::IdentityUnknown),
            NotIdentified::Undecided(undecided) => undecided.into(),
        }
    }
}

impl From<ViewError> for Halt {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            ViewError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<Unavailable> for Halt {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<Rejection> for Halt {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<FieldViolations> for Halt {
    fn from(violations: FieldViolations) -> Self {
        Self::Rejected(Rejection::FieldsInvalid(violations))
    }
}

impl From<Halt> for Status {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Unavailable(unavailable) => unavailable.into_status(),
            Halt::Rejected(rejection) => rejection.into_status(),
            Halt::Refused(refusal) => status::refused(&refusal),
        }
    }
}
