//! What an error says that a program may decide by.

use std::fmt::Debug;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The code, the reason, and the fields that are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The code.
    pub code: Code,
    /// The reason of `ErrorInfo`; empty where there is none.
    pub reason: String,
    /// The fields of `BadRequest`.
    pub fields: Vec<String>,
}

impl Why {
    /// Of a code, a reason and fields.
    #[must_use]
    pub fn new(code: Code, reason: &str, fields: &[&str]) -> Self {
        Self { code, reason: reason.to_owned(), fields: fields.iter().copied().map(str::to_owned).collect() }
    }

    /// Reads a status, which must be one of ours and complete.
    ///
    /// # Panics
    /// If it is of another domain, has no message, or names a field without a rule.
    #[must_use]
    pub fn read(status: &Status) -> Self {
        let info = status.get_details_error_info();
        if let Some(info) = &info {
            assert_eq!(info.domain, "latchkey", "{status:?}");
        }
        assert!(!status.message().is_empty(), "an error says what is wrong: {status:?}");
        let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        assert!(violations.iter().all(|one| !one.description.is_empty()), "a field has a rule: {violations:?}");
        let fields = violations.into_iter().map(|one| one.field).collect();
        Self { code: status.code(), reason: info.map(|info| info.reason).unwrap_or_default(), fields }
    }
}

/// Why a call that must fail did.
///
/// # Panics
/// If it did not.
#[must_use]
pub fn why<T: Debug>(answer: Result<T, Status>) -> Why {
    Why::read(&answer.expect_err("it should be refused"))
}
