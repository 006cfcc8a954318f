//! The log over plain HTTP, as c2sp.org/tlog-tiles says: three kinds of paths, read only.
//!
//! What is served is numbers and hashes and tells nothing of what an entry says, so nobody is asked who he is. So that nobody can take
//! it from others either, a client has a share of the connections, and each of its steps has its time: to ask, to take what it asked
//! for, and for the whole conversation.

mod answer;
mod guests;
mod patience;

use crate::proofs::Proving;
use answer::answer;
use guests::Guests;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use patience::Patient;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Connections at a time; more wait at the listener.
const CONNECTIONS_MAX: usize = 256;

/// Connections of one client. A cache before this is one client: as many answers as that are not on their way at once.
const CONNECTIONS_PER_CLIENT_MAX: usize = 32;
const _: () = assert!(CONNECTIONS_PER_CLIENT_MAX * 8 <= CONNECTIONS_MAX);

/// A client that has not asked, or asked again, within this time is cut.
const HEADER_READ_MAX: Duration = Duration::from_secs(10);

/// A client that takes nothing of its answer for this long is cut.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// A conversation ends after this long, with the answer that is on its way, so that those who wait have their turn.
const CONVERSATION_MAX: Duration = Duration::from_secs(60);

/// How long that answer may take.
const LAST_ANSWER_MAX: Duration = Duration::from_secs(10);

/// A request has a short path and few headers.
const REQUEST_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

/// A failed accept is most often a want of file descriptors: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client is told that has as many connections as it may.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 70\r\n\r\n\
    expected at most 32 connections of one client: use those that are open";

/// Why the log cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}, where the tiles of the audit log are served: choose another `tiles_listen`")]
pub struct ListenerError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Serves until it is stopped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Listener {
    /// Listens, and answers once there is a log.
    ///
    /// # Errors
    /// [`ListenerError`].
    pub async fn start(
        address: SocketAddr,
        proving: Proving,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Self, ListenerError> {
        let failed = |source| ListenerError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let serving = tokio::spawn(async move {
            let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            tokio::select! {
                () = accept(listener, &slots, proving) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
        Ok(Self { address, serving })
    }

    /// Where it really listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections. Those that are open end by themselves, soon: nothing is written by them.
    pub async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

async fn accept(listener: TcpListener, slots: &Arc<Semaphore>, proving: Proving) {
    let guests = Guests::new(CONNECTIONS_PER_CLIENT_MAX);
    loop {
        let slot = slots.clone().acquire_owned().await;
        let Ok((stream, from)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(guest) = guests.enter(from.ip()) else {
            turn_away(stream);
            continue;
        };
        let proving = proving.clone();
        tokio::spawn(async move {
            converse(stream, proving).await;
            drop((guest, slot));
        });
    }
}

/// Says why, where that does not have to wait for anybody.
fn turn_away(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(TOO_MANY);
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, proving: Proving) {
    let service = service_fn(|request| {
        let proving = proving.clone();
        async move { Ok::<_, Infallible>(answer(&request, &proving).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .max_buf_size(REQUEST_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_MAX)), service);
    let mut connection = pin!(connection);
    // A reader that breaks off is its own affair, and asks again.
    if timeout(CONVERSATION_MAX, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER_MAX, connection).await;
    }
}

#[cfg(test)]
mod tests;
