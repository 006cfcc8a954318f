//! The scrape endpoint itself: HTTP/1, one path, bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// Scrapers at a time. One is usual; a flood waits at the listener.
const CONNECTIONS_MAX: usize = 16;

/// A scraper that does not finish its request within this time is cut.
const HEADER_READ_MAX: Duration = Duration::from_secs(5);

/// How often recorded samples are gathered into buckets, so that they do not pile up when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// A failed accept is most often a want of file descriptors: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, handle: PrometheusHandle) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut upkeep = tokio::time::interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let slot = slots.clone().acquire_owned();
        tokio::select! {
            _ = upkeep.tick() => handle.run_upkeep(),
            (slot, accepted) = async { (slot.await, listener.accept().await) } => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let handle = handle.clone();
                tokio::spawn(async move {
                    scrape(stream, handle).await;
                    drop(slot);
                });
            }
        }
    }
}

async fn scrape(stream: TcpStream, handle: PrometheusHandle) {
    let service = service_fn(|request| {
        let response = answer(&request, &handle);
        async move { Ok::<_, Infallible>(response) }
    });
    // A scraper that breaks off is its own affair, and asks again.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>, handle: &PrometheusHandle) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = Response::new(Full::from(handle.render()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
