//! A server and a connection to it.

use crate::error::DialError;
use crate::reach::Reach;
use crate::tls::{Trust, server_name};
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A server, how it proves to be it, and how long it may take.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is: a host and a port.
    pub address: String,
    /// By what it is believed. Absent: no TLS, for this machine only; whoever reads settings checks that.
    pub trust: Option<Trust>,
    /// Which addresses its name may mean.
    pub reach: Reach,
    /// How long a call may take, all in all.
    pub limit: Duration,
}

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Debug> Duplex for T {}

/// A connection, with TLS where the server has it.
pub type Connection = Pin<Box<dyn Duplex>>;

impl Server {
    /// Connects, and lets the server prove who it is.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial(&self, alpn: &[&[u8]]) -> Result<Connection, DialError> {
        let dialled = async {
            let tcp = self.tcp().await?;
            match &self.trust {
                Some(_) => self.over(tcp, alpn).await,
                None => Ok(Box::pin(tcp) as Connection),
            }
        };
        timeout(self.limit, dialled).await.map_err(|_| DialError::Time(self.limit))?
    }

    /// Lets the server at the other end of a connection prove who it is: what STARTTLS asks for.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn over(&self, plain: impl Duplex + Unpin + 'static, alpn: &[&[u8]]) -> Result<Connection, DialError> {
        let Some(trust) = &self.trust else { return Ok(Box::pin(plain)) };
        let connector = TlsConnector::from(trust.config(alpn)?);
        let tls = connector.connect(server_name(&self.address), plain).await.map_err(DialError::Handshake)?;
        Ok(Box::pin(tls))
    }

    /// Connects without TLS, to an address that may be dialled.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn tcp(&self) -> Result<TcpStream, DialError> {
        let found = lookup_host(&self.address).await.map_err(DialError::Connect)?;
        let (allowed, others): (Vec<_>, Vec<_>) = found.partition(|found| self.reach.allows(found.ip()));
        // A name that means both kinds is somebody's trick.
        if !others.is_empty() {
            return Err(DialError::Refused { address: self.address.clone() });
        }
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name means no address");
        for address in allowed {
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failed = error,
            }
        }
        Err(DialError::Connect(failed))
    }
}
