//! Putting one status together.

use std::collections::HashMap;
use std::time::Duration;

use latchkey_wire::pb::v1::ErrorReason as Reason;
use latchkey_wire::reason::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// A status in the making.
pub(super) struct Answer {
    code: Code,
    reason: Reason,
    message: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Answer {
    pub(super) fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), metadata: HashMap::new(), details: ErrorDetails::new() }
    }

    /// One fact for programs.
    pub(super) fn with(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// When trying again makes sense. Clients add jitter.
    pub(super) fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }

    /// Which bound of whom is reached.
    pub(super) fn quota(mut self, subject: &str) -> Self {
        self.details.add_quota_failure_violation(subject, self.message.clone());
        self
    }

    /// What of `subject` has to change before this can be.
    pub(super) fn precondition(mut self, subject: &str) -> Self {
        self.details.add_precondition_failure_violation(self.reason.word(), subject, self.message.clone());
        self
    }

    /// Which fields are not what they must be.
    pub(super) fn bad_request(mut self, fields: Vec<FieldViolation>) -> Self {
        self.details.set_bad_request(fields);
        self
    }

    pub(super) fn into_status(mut self) -> Status {
        self.details.set_error_info(self.reason.word(), ERROR_DOMAIN, self.metadata);
        Status::with_error_details(self.code, self.message, self.details)
    }
}
