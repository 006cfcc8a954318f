//! The listening side: who comes shakes hands first, within a time, in a task of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_domain::Workload;
use latchkey_telemetry::{Begun, Underlay, names};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::leaf::Leaf;
use super::material::unix_seconds;
use super::reason::{HandshakeRefusal, sentence};

/// How long a handshake may take: three round trips over a bad link.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(3);

/// Handshakes under way at one listener. Each costs a peer nothing to begin and us a signature.
pub(super) const HANDSHAKES_MAX: usize = 256;

/// How often the same reason is told at most: a stranger must not fill the log.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Whether callers of a listener need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Without one nobody is let in.
    Required,
    /// Who shows none may call what asks for a management key.
    Optional,
}

/// Who listens over TLS. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    pub(super) handshakes: Arc<Semaphore>,
    told: Arc<Told>,
}

/// A peer that has shaken hands.
#[derive(Debug)]
pub(crate) struct Secured<IO> {
    pub(crate) stream: TlsStream<IO>,
    /// Who it is; absent where it showed no certificate and need not.
    pub(crate) workload: Option<Arc<Workload>>,
    /// For how long its certificate is still good.
    pub(crate) left: Option<Duration>,
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Self { tls: TlsAcceptor::from(config), handshakes, told: Arc::default() }
    }

    /// Shakes hands with a peer. What comes to nothing is told here.
    pub(crate) async fn accept<IO>(&self, stream: IO, peer: SocketAddr) -> Result<Secured<IO>, HandshakeRefusal>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (reason, why) = match self.handshakes.try_acquire() {
            Err(_) => (HandshakeRefusal::Full, format!("{HANDSHAKES_MAX} handshakes are under way")),
            Ok(_place) => match timeout(HANDSHAKE_MAX, self.tls.accept(stream)).await {
                Ok(Ok(stream)) => return Ok(secured(stream)),
                Ok(Err(error)) => (HandshakeRefusal::of(&error), sentence(&error)),
                Err(_) => (HandshakeRefusal::Timeout, format!("no handshake within {} s", HANDSHAKE_MAX.as_secs())),
            },
        };
        self.told.refuse(peer, reason, &why);
        Err(reason)
    }
}

impl Underlay for Acceptor {
    type Io = TlsStream<TcpStream>;

    async fn begin(&self, stream: TcpStream, peer: SocketAddr) -> Option<Begun<Self::Io>> {
        let Secured { stream, workload, .. } = self.accept(stream, peer).await.ok()?;
        Some(Begun { io: stream, trusted: workload.is_some() })
    }
}

fn secured<IO>(stream: TlsStream<IO>) -> Secured<IO> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    // The verifier has read it before; what cannot be read has not come so far.
    let leaf = shown.and_then(|certificate| Leaf::read(certificate).ok());
    let left =
        leaf.as_ref().map(|leaf| Duration::from_secs(u64::try_from(leaf.not_after - unix_seconds()).unwrap_or(0)));
    Secured { workload: leaf.map(|leaf| Arc::new(leaf.workload)), left, stream }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// What was told of late, by reason.
#[derive(Default)]
pub(super) struct Told {
    last: Mutex<[Option<Instant>; HandshakeRefusal::ALL.len()]>,
}

impl Told {
    /// Counts a refusal and tells it.
    pub(super) fn refuse(&self, peer: impl std::fmt::Display, reason: HandshakeRefusal, why: &str) {
        let word = reason.as_str();
        metrics::counter!(names::TLS_REFUSED_TOTAL, "reason" => word).increment(1);
        if reason == HandshakeRefusal::Closed || !self.is_due(reason) {
            tracing::debug!(%peer, reason = word, why, "a TLS handshake was refused");
        } else {
            tracing::warn!(%peer, reason = word, why, "a TLS handshake was refused");
        }
    }

    fn is_due(&self, reason: HandshakeRefusal) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last.get_mut(reason as usize) else { return true };
        let now = Instant::now();
        let due = last.is_none_or(|last| now.duration_since(last) >= TELL_INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}
