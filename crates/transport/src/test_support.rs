//! A service without generated code, for the tests of the layers.

use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use crate::caller::{BearerToken, Caller};
use crate::deadline::Deadline;
use crate::method::Methods;
use crate::server::{ServeError, Server};

/// `test.v1.TestService` and the one method of `ValidationService` that has a rule of its own.
pub(crate) fn descriptors() -> FileDescriptorSet {
    let file = |package: &str, service: &str, methods: &[(&str, bool)]| FileDescriptorProto {
        name: Some(format!("{service}.proto")),
        package: Some(package.to_owned()),
        service: vec![ServiceDescriptorProto {
            name: Some(service.to_owned()),
            method: methods
                .iter()
                .map(|&(name, streaming)| MethodDescriptorProto {
                    name: Some(name.to_owned()),
                    server_streaming: Some(streaming),
                    ..MethodDescriptorProto::default()
                })
                .collect(),
            ..ServiceDescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    let test_methods = [("Facts", false), ("Nothing", false), ("Panic", false), ("Hang", false), ("Stream", true)];
    let test = file("test.v1", "TestService", &test_methods);
    let validation = file("latchkey.v1", "ValidationService", &[("ValidateKey", false)]);
    FileDescriptorSet { file: vec![test, validation] }
}

pub(crate) fn methods() -> Methods {
    Methods::new([&descriptors()], None)
}

/// Answers with what it found in the extensions, panics, hangs, or streams, by the method's name.
#[derive(Debug, Clone)]
pub(crate) struct TestService;

impl NamedService for TestService {
    const NAME: &'static str = "test.v1.TestService";
}

impl Service<Request<Body>> for TestService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path() {
            "/test.v1.TestService/Facts" => Box::pin(ready(Ok(facts(&request)))),
            "/test.v1.TestService/Panic" => Box::pin(async { panic!("on purpose") }),
            "/test.v1.TestService/Hang" => Box::pin(pending()),
            "/test.v1.TestService/Nothing" => Box::pin(ready(Ok(Response::new(Body::empty())))),
            "/test.v1.TestService/Stream" => Box::pin(ready(Ok(Response::new(Body::new(Endless))))),
            _ => Box::pin(ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}

/// A stream that neither says anything nor ends.
struct Endless;

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Status>>> {
        Poll::Pending
    }
}

/// Facts travel as a status message: it needs no message type.
fn facts(request: &Request<Body>) -> Response<Body> {
    let caller = request.extensions().get::<Caller>().expect("the layer puts it there");
    let peer = caller.peer.is_some_and(|peer| peer.ip().is_loopback());
    let bearer = caller.bearer.as_ref().map(BearerToken::reveal);
    let deadline = request.extensions().get::<Deadline>().is_some();
    let hidden = !request.headers().contains_key("authorization");
    let message = format!("peer={peer} bearer={bearer:?} deadline={deadline} hidden={hidden}");
    Status::new(Code::AlreadyExists, message).into_http()
}

/// A server in the background, which stops when asked.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("the server does not panic").expect("the server ends in peace");
    }
}

/// Runs a server on a free port.
pub(crate) async fn run(build: impl FnOnce(Server) -> Server) -> Running {
    let server = build(Server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("port 0 is free"));
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    Running { address, stop, task }
}
