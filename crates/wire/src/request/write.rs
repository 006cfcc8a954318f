//! What every write says besides what it asks.

use super::mark;
use super::wait::{self, Wait};
use crate::violation::Fields;
use latchkey_domain::{DurationMillis, ReasonText};
use latchkey_state::RequestMark;
use prost::Message;

/// A write that answers as soon as it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<O> {
    /// What is asked.
    pub operation: O,
    /// Set where a repeat has to get the first answer.
    pub request: Option<RequestMark>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// A write that waits until replicas decide by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedWrite<O> {
    /// What is asked.
    pub operation: O,
    /// Set where a repeat has to get the first answer.
    pub request: Option<RequestMark>,
    /// Whether to check only, and to show what would be.
    pub validate_only: bool,
    /// How long to wait.
    pub wait: Wait,
}

/// The fields of a write that answers as soon as it is durable.
pub(super) struct Said<'a> {
    pub(super) method: &'static str,
    pub(super) request_id: &'a str,
    pub(super) validate_only: bool,
}

impl Said<'_> {
    /// Reads them. `asked` is the request without its `request_id`; `operation` is `None` where something was noted.
    pub(super) fn read<O>(
        self,
        fields: &mut Fields,
        asked: &impl Message,
        operation: impl FnOnce() -> Option<O>,
    ) -> Option<Write<O>> {
        let request = mark::read(fields, self.request_id, self.method, asked);
        Some(Write { operation: operation()?, request: request?, validate_only: self.validate_only })
    }
}

/// The fields of a write that waits.
pub(super) struct SaidAndAwaited<'a> {
    pub(super) said: Said<'a>,
    pub(super) wait_for: i32,
    pub(super) wait_timeout: Option<&'a prost_types::Duration>,
    pub(super) wait_default: DurationMillis,
}

impl SaidAndAwaited<'_> {
    /// Reads them. `asked` is the request without its `request_id` and its wait; `operation` as above.
    pub(super) fn read<O>(
        self,
        fields: &mut Fields,
        asked: &impl Message,
        operation: impl FnOnce() -> Option<O>,
    ) -> Option<AwaitedWrite<O>> {
        let wait = wait::read(fields, self.wait_for, self.wait_timeout, self.wait_default);
        let Write { operation, request, validate_only } = self.said.read(fields, asked, operation)?;
        Some(AwaitedWrite { operation, request, validate_only, wait: wait? })
    }
}

/// What a request says of itself: the fields that all writes of its kind have under the same names.
macro_rules! said {
    ($method:literal, $request:ident) => {
        $crate::request::write::Said {
            method: $method,
            request_id: &$request.request_id,
            validate_only: $request.validate_only,
        }
    };
    ($method:literal, $request:ident, $wait_default:expr) => {
        $crate::request::write::SaidAndAwaited {
            said: $crate::request::write::said!($method, $request),
            wait_for: $request.wait_for,
            wait_timeout: $request.wait_timeout.as_ref(),
            wait_default: $wait_default,
        }
    };
}
pub(super) use said;

/// The etag that a request asks to be the current one.
pub(super) fn etag(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// Reads `reason_text`.
pub(super) fn reason_text(fields: &mut Fields, text: &str) -> Option<ReasonText> {
    fields.take("reason_text", ReasonText::parse(text))
}
