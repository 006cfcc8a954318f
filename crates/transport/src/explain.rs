//! tonic's own errors, in our words: what it refuses before a handler is reached carries no reason by itself.
//!
//! | tonic says | because | we say |
//! |---|---|---|
//! | `OUT_OF_RANGE` | the message is longer than the server's bound | `RESOURCE_EXHAUSTED`, `MESSAGE_TOO_LONG` |
//! | `INTERNAL` | the message is no protobuf, or is cut off | `INVALID_ARGUMENT`, `FIELD_INVALID` |
//! | `UNIMPLEMENTED` | the path, the method or the compression is not served | `UNIMPLEMENTED`, `NOT_SERVED_HERE` |
//!
//! `INTERNAL` thus always means a bug of ours, which is what its alarm is for.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use latchkey_wire::violation::FieldViolations;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::record::code_in;
use crate::status::Rejection;

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExplainLayer;

impl<S> Layer<S> for ExplainLayer {
    type Service = Explain<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Explain { inner }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Explain<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Explain<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ExplainFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ExplainFuture { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// The future of one call.
    pub(crate) struct ExplainFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Future for ExplainFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(self.project().inner.poll(context));
        let explained = match code_in(response.headers()) {
            // What is answered is by far the most of all, and carries no code in its head.
            None => None,
            // What has a reason is ours.
            Some(_) if response.headers().contains_key(Status::GRPC_STATUS_DETAILS) => None,
            Some(code) => rejection(code, &response),
        };
        Poll::Ready(Ok(explained.map_or(response, |rejection| rejection.into_status().into_http())))
    }
}

fn rejection(code: Code, response: &Response<Body>) -> Option<Rejection> {
    match code {
        Code::OutOfRange => Some(Rejection::MessageTooLong { bytes_max: bytes_max(response) }),
        Code::Internal => {
            Some(FieldViolations::one("", "must be one whole message of the method's request type").into())
        }
        Code::Unimplemented => Some(Rejection::NotServedHere),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}

/// tonic tells the bound in its text only: "…, the limit is: 65536 bytes". A test notices when that changes.
fn bytes_max(response: &Response<Body>) -> Option<usize> {
    let status = Status::from_header_map(response.headers())?;
    let (_, limit) = status.message().rsplit_once("the limit is: ")?;
    limit.strip_suffix(" bytes")?.parse().ok()
}
