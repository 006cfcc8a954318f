//! What the edge refuses before anything is proposed: who calls, and whether the request can be read.

use latchkey_wire::pb::v1::ErrorReason as Reason;
use tonic::{Code, Status};
use tonic_types::FieldViolation;

use super::answer::Answer;

/// A call that is refused before it reaches the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The call carries no identity.
    IdentityMissing,
    /// The call carries an identity that is none. Which of unknown, expired, revoked or from elsewhere is not told.
    IdentityUnknown,
    /// Fields of the request are not what they must be. All of them at once, at least one.
    FieldsInvalid(Vec<InvalidField>),
    /// The page token is none of this listing.
    PageTokenInvalid,
    /// The request is longer than the method's bound.
    MessageTooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// This process does not serve the method.
    NotServedHere,
    /// Between our services: the call was meant for another cluster, epoch or node.
    WrongTarget {
        /// The node that was reached.
        node: u64,
    },
}

/// One field and its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// Its path in the request, such as `key.networks[2]`.
    pub path: String,
    /// What was expected, and what was found where that is no secret.
    pub rule: String,
}

impl InvalidField {
    /// A field and its rule.
    #[must_use]
    pub fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }
}

impl Rejection {
    /// The status.
    #[must_use]
    pub fn into_status(self) -> Status {
        match self {
            Self::IdentityMissing => Answer::new(
                Code::Unauthenticated,
                Reason::IdentityMissing,
                "the call carries no identity: no authorization metadata of the form Bearer <management key text>",
            ),
            Self::IdentityUnknown => Answer::new(
                Code::Unauthenticated,
                Reason::IdentityUnknown,
                "the identity that the call carries is none",
            ),
            Self::FieldsInvalid(fields) => {
                let count = fields.len();
                let message = match fields.as_slice() {
                    [only] => format!("{}: {}", only.path, only.rule),
                    _ => format!("{count} fields are not what they must be"),
                };
                let violations = fields.into_iter().map(|field| FieldViolation::new(field.path, field.rule)).collect();
                Answer::new(Code::InvalidArgument, Reason::FieldInvalid, message)
                    .with("fields", &count)
                    .bad_request(violations)
            }
            Self::PageTokenInvalid => Answer::new(
                Code::InvalidArgument,
                Reason::PageTokenInvalid,
                "the page token is none of this listing; begin with an empty one",
            )
            .bad_request(vec![FieldViolation::new("page_token", "as returned by this listing, or empty")]),
            Self::MessageTooLong { bytes_max } => Answer::new(
                Code::ResourceExhausted,
                Reason::MessageTooLong,
                format!("the request is longer than {bytes_max} bytes"),
            )
            .with("bytes_max", &bytes_max),
            Self::NotServedHere => {
                Answer::new(Code::Unimplemented, Reason::NotServedHere, "this process does not serve the method")
            }
            Self::WrongTarget { node } => Answer::new(
                Code::FailedPrecondition,
                Reason::WrongTarget,
                format!("the call was meant for another cluster, epoch or node than this one, {node}"),
            )
            .with("node_id", &node)
            .precondition("target"),
        }
        .into_status()
    }
}

impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Self {
        rejection.into_status()
    }
}
