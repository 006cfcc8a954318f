//! The dialling side: TCP, then TLS, then HTTP/2 over it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use arc_swap::ArcSwap;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;
use tower::Service;

use super::acceptor::{HANDSHAKE_MAX, Told};
use super::files::{FilesError, TlsFiles};
use super::material::Material;
use super::reason::{HandshakeRefusal, sentence};
use super::{Current, config};
use crate::dialer::{self, Peer};

/// Dials over TLS, with the certificate that holds when it does. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsClient {
    current: Current,
}

impl TlsClient {
    pub(super) const fn new(current: Current) -> Self {
        Self { current }
    }

    /// For a process that lives for one task, which need not watch its files.
    /// # Errors
    /// [`FilesError`], with what to do about it.
    pub fn once(files: &TlsFiles) -> Result<Self, FilesError> {
        Ok(Self::new(Arc::new(ArcSwap::from_pointee(Material::read(files)?))))
    }

    /// Likewise, for one that has no certificate: it checks whom it calls, and shows nothing. Of which trust domain those
    /// are, it leaves to the roots.
    /// # Errors
    /// [`FilesError`], with what to do about it.
    pub fn without_certificate(trust: &Path) -> Result<Self, FilesError> {
        Ok(Self::new(Arc::new(ArcSwap::from_pointee(Material::of_stranger(trust)?))))
    }

    /// A channel that connects with the first call and again after each loss.
    pub(crate) fn channel(&self, address: &str, expected: Peer) -> Channel {
        let Some(endpoint) = dialer::endpoint(address) else { return dialer::unreachable_channel() };
        // What tonic would connect itself it must not: the connector does, and tells the other end the truth about it.
        let Ok(origin) = format!("https://{address}").parse::<Uri>() else { return dialer::unreachable_channel() };
        let (address, told) = (address.into(), Arc::default());
        let connector = Connector { config: config::client(self.current.clone(), expected, config::H2), address, told };
        let endpoint = endpoint.origin(origin).connect_timeout(dialer::CONNECT_MAX + HANDSHAKE_MAX);
        endpoint.connect_with_connector_lazy(connector)
    }

    /// One connection that speaks HTTP/1.1, as metrics and health do.
    /// # Errors
    /// Whoever is there does not accept it, or is not whom we expect.
    pub async fn connect_http1(&self, address: &str, expected: Peer) -> io::Result<TlsStream<TcpStream>> {
        let config = config::client(self.current.clone(), expected, config::HTTP_1);
        let connector = Connector { config, address: address.into(), told: Arc::default() };
        Ok(connector.connect(dialer::CONNECT_MAX).await?.into_inner())
    }
}

/// Makes the connections of one channel.
#[derive(Clone)]
struct Connector {
    config: Arc<ClientConfig>,
    address: Arc<str>,
    told: Arc<Told>,
}

impl Connector {
    async fn connect(self, tcp_within: Duration) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let timed_out = |what| io::Error::new(io::ErrorKind::TimedOut, what);
        let tcp = timeout(tcp_within, TcpStream::connect(&*self.address)).await;
        let tcp = tcp.map_err(|_| timed_out("the peer did not accept in time"))??;
        tcp.set_nodelay(true)?;
        let name = server_name(&self.address);
        let shaken = timeout(HANDSHAKE_MAX, TlsConnector::from(self.config).connect(name, tcp)).await;
        let failed = match shaken {
            Ok(Ok(stream)) => return Ok(TokioIo::new(stream)),
            Ok(Err(error)) => {
                self.told.refuse(&self.address, HandshakeRefusal::of(&error), &sentence(&error));
                error
            }
            Err(_) => {
                let why = format!("no handshake within {} s", HANDSHAKE_MAX.as_secs());
                self.told.refuse(&self.address, HandshakeRefusal::Timeout, &why);
                timed_out("no handshake in time")
            }
        };
        Err(failed)
    }
}

/// The name for whoever routes by it on the way. The id decides who it is.
fn server_name(address: &str) -> ServerName<'static> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let nobody = || ServerName::try_from("latchkey.invalid").expect("a name");
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| nobody())
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect(dialer::CONNECT_MAX))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.address)
    }
}
