//! One call's line in the metrics: written once, at its end, whatever the end is.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::Span;

use crate::method::Method;

/// A call in progress. Dropped without an end it counts as `CANCELLED`: its caller has gone.
#[derive(Debug)]
pub(crate) struct Record {
    method: Arc<Method>,
    started: Instant,
    span: Span,
    ended: bool,
}

impl Record {
    pub(crate) fn new(method: Arc<Method>, span: Span) -> Self {
        Self { method, started: Instant::now(), span, ended: false }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Its caller proved no identity.
    pub(crate) fn tell_of_stranger(&self, client: Option<IpAddr>) {
        if let Some(strangers) = &self.method.strangers {
            strangers.tell(self.method.name(), client);
        }
    }

    /// The call has answered with `code`. Only the first end counts.
    pub(crate) fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.span.is_disabled() {
            return self.method.answered(code, self.started.elapsed());
        }
        self.span.record("rpc.response.status_code", code_name(code));
        if is_our_fault(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        // Within the span, so that a call that is traced is its bucket's exemplar.
        self.span.in_scope(|| self.method.answered(code, self.started.elapsed()));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The code in the head of an answer, or in its trailers.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// The conventions count these as errors of a server; the others tell a caller something.
const fn is_our_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// A code as gRPC spells it.
pub(crate) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
