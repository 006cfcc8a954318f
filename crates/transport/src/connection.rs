//! One connection, driven: what its peer asks is answered in one go, and leaves in one go.
//!
//! ```text
//! read all that has come -> begin its calls -> poll each once -> frame what they answer -> write it
//!            ^---------------- while more has come, within TURN_MAX --------------'
//! ```
//! With a task for each call, the first answer would wake the connection, which would write it alone, and so on: a system
//! call and a peer woken for each. A call that has to wait becomes a task all the same. The bounds are hyper's and h2's own,
//! set here.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tonic::body::Body;
use tower::Service;

use crate::begun::Begun;
use crate::bell::Bell;
use crate::corked::{Cork, Corked, cork};
use crate::limits::{self, Limits};

/// Calls that one turn of a connection may poll, and looks that it may take. After it others have their turn: this many
/// batches of the largest size take about 5 ms.
const TURN_MAX: usize = 32;

/// HTTP/2 as hyper drives it.
type Http<IO, S> = http2::Connection<TokioIo<Corked<IO>>, Entry<S>, Begun>;

/// One connection. It ends when its peer has gone, or was asked to go and all its calls have ended.
pub(crate) struct Connection<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone,
{
    http: Pin<Box<Http<IO, S>>>,
    cork: Cork<IO>,
    begun: Begun,
    bell: Arc<Bell>,
    ring: Waker,
    /// Set until the peer was asked to go.
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Why a connection ended otherwise than in peace. Its peer's doing nearly always.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("cannot write")]
    Write(#[from] io::Error),
}

impl<IO, S> Connection<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone,
{
    /// `draining` ends, by a change or the loss of its sender, when the process is about to stop.
    pub(crate) fn new(io: IO, service: S, limits: Limits, draining: watch::Receiver<()>) -> Self {
        let (corked, cork) = cork(io);
        let begun = Begun::default();
        let http = bounded(limits, begun.clone()).serve_connection(TokioIo::new(corked), Entry { service });
        let bell = Arc::new(Bell::default());
        let ring = Waker::from(bell.clone());
        let closing = Box::pin(closing(limits.connection_age_max, draining));
        Self { http: Box::pin(http), cork, begun, bell, ring, closing: Some(closing) }
    }

    /// Looks at what has come and answers it, turn by turn. `Ready` is the end.
    fn poll_turn(&mut self) -> Poll<Result<(), hyper::Error>> {
        let mut context = Context::from_waker(&self.ring);
        let mut left = TURN_MAX;
        loop {
            self.bell.listen();
            let looked = self.begun.gather(|| self.http.as_mut().poll(&mut context));
            if let Poll::Ready(ended) = looked {
                return Poll::Ready(ended);
            }
            let count = self.begun.run(left);
            if count == 0 && self.bell.is_quiet() {
                return Poll::Pending;
            }
            left = left.saturating_sub(count.max(1));
            if left == 0 {
                break;
            }
        }
        // What the last calls answered is framed now; what else there is to do waits for the next turn.
        self.bell.listen();
        let looked = self.begun.gather(|| self.http.as_mut().poll(&mut context));
        if !self.bell.is_quiet() || !self.begun.is_empty() {
            self.bell.wake_task();
        }
        looked
    }
}

impl<IO, S> Future for Connection<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone,
{
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.bell.wakes(context);
        if this.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(context).is_ready()) {
            this.closing = None;
            this.http.as_mut().graceful_shutdown();
        }
        let ended = this.poll_turn();
        // Of what it says at its end, the reason to a peer that broke the rules is the last.
        let drained = this.cork.poll_drain(context);
        match (ended, drained) {
            (Poll::Ready(ended), _) => Poll::Ready(Ok(ended?)),
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (Poll::Pending, _) => Poll::Pending,
        }
    }
}

/// Completes when the peer is to be asked to go.
async fn closing(age_max: Option<Duration>, mut draining: watch::Receiver<()>) {
    let drained = async {
        // A sender that is gone says the same as one that has sent.
        drop(draining.changed().await);
    };
    match age_max {
        Some(age_max) => drop(tokio::time::timeout(age_max, drained).await),
        None => drained.await,
    }
}

/// HTTP/2 with its bounds.
fn bounded(limits: Limits, begun: Begun) -> http2::Builder<Begun> {
    let mut http = http2::Builder::new(begun);
    http.timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits.calls_per_connection_max)
        .max_header_list_size(limits::HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(limits::PENDING_RESETS_MAX)
        .max_local_error_reset_streams(limits::LOCAL_RESETS_MAX)
        .keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        // gRPC has no use for it, and it would be written into each answer.
        .auto_date_header(false);
    http
}

/// Where hyper ends and the stack begins.
struct Entry<S> {
    service: S,
}

impl<S> hyper::service::Service<Request<Incoming>> for Entry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Entered<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.method() == Method::CONNECT {
            return Entered::Refused;
        }
        // The layers and the router are always ready, and a clone of them is a few counts.
        Entered::Called { inner: self.service.clone().call(request.map(Body::new)) }
    }
}

pin_project_lite::pin_project! {
    /// The future of one call.
    #[project = EnteredProjection]
    enum Entered<F> {
        Called { #[pin] inner: F },
        Refused,
    }
}

impl<F> Future for Entered<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            EnteredProjection::Called { inner } => inner.poll(context),
            // Answered with a success, it would turn the stream into a tunnel.
            EnteredProjection::Refused => {
                let mut refused = Response::new(Body::empty());
                *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                Poll::Ready(Ok(refused))
            }
        }
    }
}
