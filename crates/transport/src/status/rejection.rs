//! What the edge refuses before anything is proposed: who calls, and whether the request can be read.

use std::time::Duration;

use latchkey_wire::pb::v1::ErrorReason as Reason;
use latchkey_wire::violation::FieldViolations;
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
    /// Fields of the request are not what they must be. All of them at once.
    FieldsInvalid(FieldViolations),
    /// The page token is none of this listing.
    PageTokenInvalid,
    /// The request is longer than the method's bound.
    MessageTooLong {
        /// The bound, where it is known.
        bytes_max: Option<usize>,
    },
    /// This process does not serve the method.
    NotServedHere,
    /// Too many revocations by key text came from one address.
    TooManyAttempts {
        /// How many are let through.
        per_minute: u32,
        /// When the next one is.
        retry_after: Duration,
    },
    /// Between our services: the call was meant for another cluster, epoch or node.
    WrongTarget {
        /// The node that was reached.
        node: u64,
    },
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
                let violations = fields.list().iter();
                let told = violations.map(|field| FieldViolation::new(&field.field, &field.description)).collect();
                Answer::new(Code::InvalidArgument, Reason::FieldInvalid, fields.to_string())
                    .with("fields", &fields.count())
                    .bad_request(told)
            }
            Self::PageTokenInvalid => Answer::new(
                Code::InvalidArgument,
                Reason::PageTokenInvalid,
                "the page token is none of this listing; begin with an empty one",
            )
            .bad_request(vec![FieldViolation::new("page_token", "as returned by this listing, or empty")]),
            Self::MessageTooLong { bytes_max } => {
                let answer = |message| Answer::new(Code::ResourceExhausted, Reason::MessageTooLong, message);
                match bytes_max {
                    Some(bytes) => {
                        answer(format!("the request is longer than {bytes} bytes")).with("bytes_max", &bytes)
                    }
                    None => answer("the request is longer than the bound of the method".to_owned()),
                }
                .quota("message")
            }
            Self::NotServedHere => {
                Answer::new(Code::Unimplemented, Reason::NotServedHere, "this process does not serve the method")
            }
            Self::TooManyAttempts { per_minute, retry_after } => Answer::new(
                Code::ResourceExhausted,
                Reason::TooManyAttempts,
                format!("at most {per_minute} revocations by key text are let through a minute and address"),
            )
            .with("per_minute", &per_minute)
            .quota("attempts")
            .retry_after(retry_after),
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

impl From<FieldViolations> for Rejection {
    fn from(fields: FieldViolations) -> Self {
        Self::FieldsInvalid(fields)
    }
}
