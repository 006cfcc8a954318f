//! What an error of another process says about the call: whether it was carried out, and whom to ask next.

use latchkey_domain::NodeId;
use latchkey_wire::pb::v1::ErrorReason as Reason;
use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt as _;

/// What to make of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing happened, and another try may help.
    NotDone {
        /// The replica that was named with it: whoever leads, or the one that says that nobody does.
        named: Option<NodeId>,
        /// Whether what is known about the replicas is out of date.
        introduce: bool,
    },
    /// It may have happened.
    Unknown,
    /// Another try gives the same.
    Final,
}

/// Judges an error.
pub(crate) fn judge(status: &Status) -> Judgement {
    let Some(info) = status.get_details_error_info() else { return without_reason(status) };
    let Some(reason) = Reason::from_word(&info.reason) else { return Judgement::Final };
    let elsewhere = Judgement::NotDone { named: None, introduce: true };
    match reason {
        Reason::NoLeader => {
            let named = info.metadata.get("node_id").and_then(|node| node.parse().ok()).map(NodeId);
            Judgement::NotDone { named, introduce: true }
        }
        Reason::WrongTarget
        | Reason::Starting
        | Reason::Stopping
        | Reason::Fenced
        | Reason::Locked
        | Reason::ClockSkew
        | Reason::NotFresh
        | Reason::EpochAhead => elsewhere,
        Reason::Overloaded => Judgement::NotDone { named: None, introduce: false },
        Reason::DeadlineExceeded => Judgement::Unknown,
        _ => Judgement::Final,
    }
}

/// No process of ours answers without a reason: this came from the way between us.
fn without_reason(status: &Status) -> Judgement {
    match status.code() {
        Code::Unavailable if never_sent(status) => Judgement::NotDone { named: None, introduce: true },
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal => {
            Judgement::Unknown
        }
        _ => Judgement::Final,
    }
}

/// Whether the connection could not be made, so that nobody can have read the request.
fn never_sent(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::Refusal;
    use latchkey_transport::{Rejection, Unavailable, status};

    #[test]
    fn only_a_reason_or_a_failed_connection_proves_that_nothing_happened() {
        let lost = Status::unavailable("the connection was lost");
        assert_eq!(judge(&lost), Judgement::Unknown);
        assert_eq!(judge(&status::deadline_exceeded()), Judgement::Unknown);
        for unavailable in [Unavailable::Starting, Unavailable::Stopping, Unavailable::Locked, Unavailable::Fenced] {
            assert!(matches!(judge(&unavailable.into()), Judgement::NotDone { introduce: true, .. }));
        }
        let refused = Status::from_error(Box::new(ConnectError("refused".into())));
        assert!(matches!(judge(&refused), Judgement::NotDone { introduce: true, .. }), "{refused:?}");
    }

    #[test]
    fn without_a_leader_the_replicas_are_asked_who_leads() {
        let named = judge(&Unavailable::NoLeader { node: Some(NodeId(3)) }.into());
        assert_eq!(named, Judgement::NotDone { named: Some(NodeId(3)), introduce: true });
        let nobody = judge(&Unavailable::NoLeader { node: None }.into());
        assert_eq!(nobody, Judgement::NotDone { named: None, introduce: true });
    }

    #[test]
    fn what_the_caller_did_wrong_is_not_tried_again() {
        for status in [
            Rejection::IdentityUnknown.into_status(),
            status::refused(&Refusal::RequestIdReused),
            Unavailable::DiskFull.into_status(),
            status::bug("a test"),
        ] {
            assert_eq!(judge(&status), Judgement::Final, "{status:?}");
        }
    }
}
