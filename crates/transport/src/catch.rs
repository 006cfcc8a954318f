//! A panic in a handler costs its own call, which is answered `INTERNAL`, and nobody else's.
//!
//! State that the panic may have left half-changed is not shared by reference anywhere: readers hold published
//! snapshots, and the writer (the apply worker) is not a handler; its panic stops the process.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use latchkey_telemetry::names;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::status;

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatchLayer;

impl<S> Layer<S> for CatchLayer {
    type Service = Catch<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Catch { inner }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Catch<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Catch<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = CatchFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // Before the first poll only the router runs, which is not ours and does not panic.
        CatchFuture { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// The future of one call.
    pub(crate) struct CatchFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Future for CatchFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.project().inner;
        // A future that panicked is never polled again: the answer is given here and now.
        catch_unwind(AssertUnwindSafe(|| inner.poll(context))).unwrap_or_else(|_| Poll::Ready(Ok(panicked())))
    }
}

fn panicked() -> Response<Body> {
    metrics::counter!(names::RPC_PANICS_TOTAL).increment(1);
    // What it said and where is logged by the panic hook, in the same span.
    status::bug("a handler panicked").into_http()
}
