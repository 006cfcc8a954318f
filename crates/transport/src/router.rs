//! The services of one listener, by their names.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::NamedService;
use tower::Service;

type Answer = Result<Response<Body>, Infallible>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What is served. A path outside of it is `UNIMPLEMENTED`.
#[derive(Clone, Default)]
pub(crate) struct Router {
    // A listener serves a handful: looking along them is as quick as hashing a name.
    services: Arc<[(&'static str, Arc<dyn Served>)]>,
}

/// A service, whatever its type.
trait Served: Send + Sync {
    fn call(&self, request: Request<Body>) -> Answering;
}

struct Added<S>(S);

impl Router {
    /// Adds a service under its name.
    pub(crate) fn add<S, B>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let added: (_, Arc<dyn Served>) = (S::NAME, Arc::new(Added(service)));
        self.services = self.services.iter().cloned().chain([added]).collect();
    }

    fn find(&self, path: &str) -> Option<&dyn Served> {
        let (service, _) = path.strip_prefix('/')?.split_once('/')?;
        self.services.iter().find(|(name, _)| *name == service).map(|(_, served)| &**served)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.services.iter().map(|(name, _)| name)).finish()
    }
}

impl Service<Request<Body>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        match self.find(request.uri().path()) {
            Some(served) => served.call(request),
            None => Box::pin(ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}

impl<S, B> Served for Added<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    fn call(&self, request: Request<Body>) -> Answering {
        // A generated server, and one behind a guard, is always ready.
        let mut answering = Some(self.0.clone().call(request));
        // What a generated server answers with is in a box already, and needs no other.
        if let Some(boxed) = <dyn Any>::downcast_mut::<Option<Answering>>(&mut answering) {
            return boxed.take().expect("put there three lines above");
        }
        let answering = answering.expect("only what is taken is returned");
        Box::pin(async move { answering.await.map(|response| response.map(Body::new)) })
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;
    use crate::test_support::TestService;

    async fn status(path: &str) -> Status {
        let mut router = Router::default();
        router.add(TestService);
        let request = Request::get(path).body(Body::empty()).unwrap();
        let Ok(response) = router.oneshot(request).await;
        Status::from_header_map(response.headers()).unwrap_or_else(|| Status::ok(""))
    }

    #[tokio::test]
    async fn a_path_is_served_by_the_service_that_it_names_and_else_by_nobody() {
        assert_eq!(status("/test.v1.TestService/Nothing").await.code(), tonic::Code::Ok);
        for path in ["/", "/test.v1.TestService", "/test.v1.TestServices/Nothing", "/test.v1/TestService/Nothing", "*"]
        {
            assert_eq!(status(path).await.code(), tonic::Code::Unimplemented, "{path}");
        }
    }
}
