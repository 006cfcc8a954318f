//! The scrape endpoint itself: HTTP/1, three paths, bounded.
//!
//! `/health` says whether the process serves, `/health/NAME` one name of the health service: for whoever starts and ends
//! processes, and has no certificate to show at the callers' port.
//! `/metrics` is text as the scraper accepts it. `/log-level` is the log's filter: `GET` tells it, `PUT` changes it, for
//! callers of this machine only, since whoever can make a service log everything can fill its disk.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::filter::{FilterError, change_log_filter, log_filter, read_time};
use crate::metrics::{Format, Recorder};

/// Scrapers at a time. One is usual; a flood waits at the listener.
const CONNECTIONS_MAX: usize = 16;

/// A scraper that does not finish its request within this time is cut.
const HEADER_READ_MAX: Duration = Duration::from_secs(5);

/// A filter is shorter.
const FILTER_BYTES_MAX: usize = 4 << 10;

/// A failed accept is most often a want of file descriptors: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What lies under HTTP: nothing, or TLS, which is a higher rank's.
pub trait Underlay: Clone + Send + Sync + 'static {
    /// A connection with it.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Begins a connection with a peer, within a time of its own; `None` where that came to nothing.
    fn begin(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = Option<Begun<Self::Io>>> + Send;
}

/// A connection that has begun.
#[derive(Debug)]
pub struct Begun<IO> {
    /// What is read and written.
    pub io: IO,
    /// Whether the peer may see more than whether the process serves.
    pub trusted: bool,
}

/// Plain text, for whoever may reach the port.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Underlay for Plain {
    type Io = TcpStream;

    async fn begin(&self, stream: TcpStream, _: SocketAddr) -> Option<Begun<TcpStream>> {
        Some(Begun { io: stream, trusted: true })
    }
}

/// Serves until dropped.
pub(crate) async fn serve<U: Underlay>(listener: TcpListener, recorder: Recorder, underlay: U) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = slots.clone().acquire_owned().await;
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (recorder, underlay) = (recorder.clone(), underlay.clone());
        tokio::spawn(async move {
            if let Some(begun) = underlay.begin(stream, peer).await {
                converse(begun, peer, recorder).await;
            }
            drop(slot);
        });
    }
}

async fn converse<IO>(begun: Begun<IO>, peer: SocketAddr, recorder: Recorder)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Begun { io, trusted } = begun;
    let service = service_fn(|request| {
        let recorder = recorder.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, trusted, &recorder).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(io), service);
    // A scraper that breaks off is its own affair, and asks again. One that dawdles over a body is cut here.
    let _ = tokio::time::timeout(2 * HEADER_READ_MAX, connection).await;
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    trusted: bool,
    recorder: &Recorder,
) -> Response<Full<Bytes>> {
    match (request.uri().path(), request.method()) {
        ("/metrics" | "/log-level", _) if !trusted => {
            plain(StatusCode::FORBIDDEN, "this needs a client certificate of the trust domain; /health does not")
        }
        ("/metrics", &Method::GET | &Method::HEAD) => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let format = Format::accepted(accept);
            text(StatusCode::OK, format.content_type(), recorder.render_as(format))
        }
        ("/log-level", &Method::GET | &Method::HEAD) => match log_filter() {
            Some(filter) => plain(StatusCode::OK, &filter),
            None => plain(StatusCode::NOT_FOUND, &FilterError::NotStarted.to_string()),
        },
        ("/log-level", &Method::PUT) if !peer.ip().to_canonical().is_loopback() => {
            plain(StatusCode::FORBIDDEN, "the log filter is changed from this machine only")
        }
        ("/log-level", &Method::PUT) => match change(request).await {
            Ok(()) => plain(StatusCode::OK, &log_filter().unwrap_or_default()),
            Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (path, &Method::GET | &Method::HEAD) if let Some(probe) = probe_of(path) => match recorder.serves(probe) {
            Some(true) => plain(StatusCode::OK, "serving"),
            Some(false) => plain(StatusCode::SERVICE_UNAVAILABLE, "not serving"),
            // Nobody ever said: then a process that answers this is up, and any other name may not concern it.
            None if probe.is_empty() => plain(StatusCode::OK, "serving"),
            None => plain(StatusCode::NOT_FOUND, "this process says nothing of that name"),
        },
        ("/metrics" | "/log-level" | "/health", _) => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET, or PUT for the log filter");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "here are /metrics, /health, /health/NAME and /log-level"),
    }
}

/// The name that is asked for; that of the process as a whole is empty.
fn probe_of(path: &str) -> Option<&str> {
    match path.strip_prefix("/health")? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// `PUT /log-level?for=10m` with the filter as its body. Without a time it holds until the process ends.
async fn change(request: Request<Incoming>) -> Result<(), ChangeError> {
    let stands_in = match request.uri().query() {
        None => None,
        Some(query) => Some(read_time(query.strip_prefix("for=").ok_or(FilterError::Time)?)?),
    };
    let body = Limited::new(request.into_body(), FILTER_BYTES_MAX).collect().await.map_err(|_| ChangeError::Body)?;
    let body = body.to_bytes();
    let filter = std::str::from_utf8(&body).map_err(|_| ChangeError::Body)?;
    Ok(change_log_filter(filter.trim(), stands_in)?)
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("expected a filter of at most {FILTER_BYTES_MAX} bytes")]
    Body,
}

fn plain(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    text(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_probe_is_what_stands_behind_health() {
        assert_eq!(probe_of("/health"), Some(""));
        assert_eq!(probe_of("/health/"), Some(""));
        assert_eq!(probe_of("/health/latchkey.validate"), Some("latchkey.validate"));
        assert_eq!((probe_of("/healthy"), probe_of("/metrics")), (None, None));
    }
}
