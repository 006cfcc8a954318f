//! The outermost layer: it names the method, opens the span, and counts the answer, whoever gave it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use latchkey_telemetry::trace_context;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Span, field};

use crate::method::{Method, Methods};
use crate::record::{Record, code_in};
use crate::rule::Class;

/// The layer.
#[derive(Debug, Clone)]
pub(crate) struct ObserveLayer {
    methods: Arc<Methods>,
}

impl ObserveLayer {
    pub(crate) fn new(methods: Arc<Methods>) -> Self {
        Self { methods }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { inner, methods: self.methods.clone() }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Observe<S> {
    inner: S,
    methods: Arc<Methods>,
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ObserveFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = self.methods.find(request.uri().path()).clone();
        let span = span(&method);
        trace_context::adopt(&span, request.headers());
        let streaming = method.streaming;
        request.extensions_mut().insert(method.clone());
        let record = Record::new(method, span);
        let inner = record.span().in_scope(|| self.inner.call(request));
        ObserveFuture { inner, record: Some(record), streaming }
    }
}

/// A validation's span is at `debug`: made for each of them, it would cost more than the decision does.
fn span(method: &Method) -> Span {
    let path = &*method.path;
    match method.class {
        Class::Probe => Span::none(),
        Class::Validate | Class::Raft => {
            tracing::debug_span!("rpc", otel.name = path, otel.kind = "server", rpc.grpc.status_code = field::Empty)
        }
        Class::Revoke | Class::Management | Class::List => {
            tracing::info_span!("rpc", otel.name = path, otel.kind = "server", rpc.grpc.status_code = field::Empty)
        }
    }
}

pin_project! {
    /// The future of one call.
    pub(crate) struct ObserveFuture<F> {
        #[pin]
        inner: F,
        record: Option<Record>,
        streaming: bool,
    }
}

impl<F> Future for ObserveFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = {
            let _entered = this.record.as_ref().map(|record| record.span().enter());
            ready!(this.inner.poll(context))
        };
        let mut record = this.record.take().expect("a future is not polled after its end");
        // An error is all head. An answer of one message succeeds with its head; a stream says so in its trailers.
        match code_in(response.headers()) {
            Some(code) => record.end(code),
            None if !*this.streaming => record.end(Code::Ok),
            None => return Poll::Ready(Ok(response.map(|inner| Body::new(ObservedBody { inner, record })))),
        }
        Poll::Ready(Ok(response))
    }
}

/// A stream whose end is counted.
struct ObservedBody {
    inner: Body,
    record: Record,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let frame = {
            let _entered = this.record.span().enter();
            ready!(Pin::new(&mut this.inner).poll_frame(context))
        };
        match &frame {
            None => this.record.end(Code::Ok),
            Some(Err(status)) => this.record.end(status.code()),
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(code_in) {
                    this.record.end(code);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::test_support;

    /// Calls through the layer, drops what came back, and renders what was counted.
    async fn counted<F>(path: &str, answer: impl Fn() -> F) -> String
    where
        F: Future<Output = Result<Response<Body>, Infallible>>,
    {
        let recorder: PrometheusRecorder = PrometheusBuilder::new().build_recorder();
        let _installed = metrics::set_default_local_recorder(&recorder);
        let layer = ObserveLayer::new(Arc::new(test_support::methods()));
        let call = layer.layer(service_fn(|_| answer())).oneshot(Request::get(path).body(Body::empty()).unwrap());
        tokio::select! {
            biased;
            response = call => drop(response),
            () = tokio::task::yield_now() => {}
        }
        recorder.handle().render()
    }

    fn line(path: &str, code: &str) -> String {
        format!("latchkey_rpcs_total{{method=\"{path}\",code=\"{code}\"}} 1\n")
    }

    #[tokio::test]
    async fn an_answer_counts_with_its_code() {
        let path = "/test.v1.TestService/Facts";
        let fine = counted(path, || async { Ok(Response::new(Body::empty())) }).await;
        let failed = counted(path, || async { Ok(Status::aborted("").into_http()) }).await;
        assert!(fine.contains(&line(path, "OK")), "{fine}");
        assert!(failed.contains(&line(path, "ABORTED")), "{failed}");
        assert!(failed.contains("latchkey_rpc_duration_seconds"), "{failed}");
    }

    #[tokio::test]
    async fn a_call_that_its_caller_abandons_counts_as_cancelled_and_a_stream_as_well() {
        let unary = "/test.v1.TestService/Facts";
        let stream = "/test.v1.TestService/Stream";
        let abandoned = counted(unary, std::future::pending).await;
        let abandoned_stream = counted(stream, || async { Ok(Response::new(Body::new(Endless))) }).await;
        assert!(abandoned.contains(&line(unary, "CANCELLED")), "{abandoned}");
        assert!(abandoned_stream.contains(&line(stream, "CANCELLED")), "{abandoned_stream}");
    }

    #[tokio::test]
    async fn a_stream_counts_with_the_code_of_its_trailers() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _installed = metrics::set_default_local_recorder(&recorder);
        let path = "/test.v1.TestService/Stream";
        let layer = ObserveLayer::new(Arc::new(test_support::methods()));
        let service = layer.layer(service_fn(|_| async { Ok(Response::new(Body::new(Trailers(Some("8"))))) }));
        let Ok(response) = service.oneshot(Request::get(path).body(Body::empty()).unwrap()).await;

        let mut body = response.into_body();
        let frame = std::future::poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context));
        assert!(frame.await.unwrap().unwrap().is_trailers());

        let counted = recorder.handle().render();
        assert!(counted.contains(&line(path, "RESOURCE_EXHAUSTED")), "{counted}");
    }

    struct Endless;

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Pending
        }
    }

    struct Trailers(Option<&'static str>);

    impl http_body::Body for Trailers {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            let trailers = self
                .0
                .take()
                .map(|code| Frame::trailers(HeaderMap::from_iter([(Status::GRPC_STATUS, code.parse().unwrap())])));
            Poll::Ready(trailers.map(Ok))
        }
    }
}
