//! Requests that cannot be read, as statuses.

use latchkey_transport::Rejection;
use latchkey_wire::request::ReadListError;
use latchkey_wire::violation::FieldViolations;
use tonic::Status;

/// Why a request cannot be read.
pub trait Unreadable {
    /// The status that says so.
    fn into_status(self) -> Status;
}

impl Unreadable for FieldViolations {
    fn into_status(self) -> Status {
        fields_invalid(self)
    }
}

impl Unreadable for ReadListError {
    fn into_status(self) -> Status {
        list_invalid(self)
    }
}

/// The status of a request whose fields are not what they must be.
#[must_use]
pub fn fields_invalid(violations: FieldViolations) -> Status {
    Rejection::FieldsInvalid(violations).into_status()
}

/// The status of a listing that cannot be read.
#[must_use]
pub fn list_invalid(error: ReadListError) -> Status {
    match error {
        ReadListError::Fields(violations) => fields_invalid(violations),
        ReadListError::PageToken(_) => Rejection::PageTokenInvalid.into_status(),
    }
}
