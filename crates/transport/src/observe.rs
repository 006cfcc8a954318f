//! The outermost layer: it names the method, opens the span, and counts the answer, whoever gave it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use latchkey_telemetry::trace::{self, Decision};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Span;
use tracing::field::Empty;

use crate::method::{Method, Methods};
use crate::record::{Record, code_in};
use crate::rule::Class;

/// The layer.
#[derive(Debug, Clone)]
pub(crate) struct ObserveLayer {
    methods: Arc<Methods>,
    client: Option<IpAddr>,
}

impl ObserveLayer {
    /// For the calls of one connection.
    pub(crate) fn new(methods: Arc<Methods>, peer: Option<SocketAddr>) -> Self {
        Self { methods, client: peer.map(|peer| peer.ip()) }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { inner, methods: self.methods.clone(), client: self.client }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Observe<S> {
    inner: S,
    methods: Arc<Methods>,
    client: Option<IpAddr>,
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
        let span = span(&method, request.headers());
        let streaming = method.streaming;
        request.extensions_mut().insert(method.clone());
        let record = Record::new(method, span);
        let inner = record.span().in_scope(|| self.inner.call(request));
        ObserveFuture { inner, record: Some(record), client: self.client, streaming }
    }
}

/// The span of a call, where it is worth one. A call that is traced has one that is exported. One that is not has one for
/// its log lines, unless it is a validation or raft's: made for each of them, it would cost more than the decision does.
fn span(method: &Method, headers: &HeaderMap) -> Span {
    if method.class == Class::Probe {
        return Span::none();
    }
    let traced = trace::decide(headers, !method.internal);
    let (name, frequent) = (method.name(), matches!(method.class, Class::Validate | Class::Raft));
    let span = match (traced, frequent) {
        (Decision::Not, true) => return Span::none(),
        (Decision::Not, false) => {
            return tracing::info_span!("rpc", rpc.method = name, rpc.response.status_code = Empty);
        }
        (_, true) => tracing::debug_span!(
            target: trace::TARGET, "rpc", otel.name = name, otel.kind = "server", otel.status_code = Empty,
            rpc.system.name = "grpc", rpc.method = name, rpc.response.status_code = Empty,
        ),
        (_, false) => tracing::info_span!(
            target: trace::TARGET, "rpc", otel.name = name, otel.kind = "server", otel.status_code = Empty,
            rpc.system.name = "grpc", rpc.method = name, rpc.response.status_code = Empty,
        ),
    };
    if let Decision::Follows(parent) = traced {
        trace::follow(&span, &parent);
    }
    span
}

pin_project! {
    /// The future of one call.
    pub(crate) struct ObserveFuture<F> {
        #[pin]
        inner: F,
        record: Option<Record>,
        client: Option<IpAddr>,
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
            Some(code) => {
                if code == Code::Unauthenticated {
                    record.tell_of_stranger(*this.client);
                }
                record.end(code);
            }
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
    use latchkey_telemetry::metrics::Recorder;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::strangers::Strangers;
    use crate::test_support;

    /// Calls through the layer, drops what came back, and renders what was counted.
    async fn counted<F>(path: &str, answer: impl Fn() -> F) -> String
    where
        F: Future<Output = Result<Response<Body>, Infallible>>,
    {
        let recorder = Recorder::default();
        let _installed = metrics::set_default_local_recorder(&recorder);
        let layer = ObserveLayer::new(Arc::new(test_support::methods()), None);
        let call = layer.layer(service_fn(|_| answer())).oneshot(Request::get(path).body(Body::empty()).unwrap());
        tokio::select! {
            biased;
            response = call => drop(response),
            () = tokio::task::yield_now() => {}
        }
        recorder.render()
    }

    fn line(path: &str, code: &str) -> String {
        let method = &path[1..];
        format!(
            "rpc_server_call_duration_seconds_count\
             {{rpc_system_name=\"grpc\",rpc_method=\"{method}\",rpc_response_status_code=\"{code}\"}} 1\n"
        )
    }

    #[tokio::test]
    async fn an_answer_counts_with_its_code() {
        let path = "/test.v1.TestService/Facts";
        let fine = counted(path, || async { Ok(Response::new(Body::empty())) }).await;
        let failed = counted(path, || async { Ok(Status::aborted("").into_http()) }).await;
        assert!(fine.contains(&line(path, "OK")), "{fine}");
        assert!(failed.contains(&line(path, "ABORTED")), "{failed}");
    }

    #[tokio::test]
    async fn whoever_proves_no_identity_is_told_of_and_nobody_else() {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tell = told.clone();
        let strangers = Strangers::new(move |method, client| tell.lock().unwrap().push((method.to_owned(), client)));
        let methods = Arc::new(Methods::new([&test_support::descriptors()], Some(&strangers)));
        let peer: SocketAddr = "192.0.2.7:9".parse().unwrap();
        let layer = ObserveLayer::new(methods, Some(peer));
        for (path, status) in [
            ("/test.v1.TestService/Facts", Status::unauthenticated("")),
            ("/test.v1.TestService/Facts", Status::permission_denied("")),
            ("/made.up/ByAStranger", Status::unauthenticated("")),
        ] {
            let service = service_fn(|_| async { Ok(status.clone().into_http()) });
            layer.layer(service).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        }
        let of = |method: &str| (method.to_owned(), Some(peer.ip()));
        assert_eq!(*told.lock().unwrap(), [of("test.v1.TestService/Facts"), of("_OTHER")]);
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
        let recorder = Recorder::default();
        let _installed = metrics::set_default_local_recorder(&recorder);
        let path = "/test.v1.TestService/Stream";
        let layer = ObserveLayer::new(Arc::new(test_support::methods()), None);
        let service = layer.layer(service_fn(|_| async { Ok(Response::new(Body::new(Trailers(Some("8"))))) }));
        let Ok(response) = service.oneshot(Request::get(path).body(Body::empty()).unwrap()).await;

        let mut body = response.into_body();
        let frame = std::future::poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context));
        assert!(frame.await.unwrap().unwrap().is_trailers());

        let counted = recorder.render();
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
