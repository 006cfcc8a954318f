//! A server and a connection to it.

use crate::error::DialError;
use crate::reach::Reach;
use crate::tls::{Trust, server_name};
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
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

    /// Connects without TLS, to an address that may be dialled, within [`Self::limit`].
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
        first_of(&allowed, self.limit, TcpStream::connect).await.map_err(DialError::Connect)
    }
}

/// Connects to the first address that answers. Each has its share of the time that is left, so that one that swallows what it is sent
/// leaves some to those behind it, and to what is said after that.
async fn first_of<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    limit: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let by = Instant::now() + limit;
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name means no address");
    for (&address, others) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = by.saturating_duration_since(Instant::now()) / u32::try_from(others).unwrap_or(u32::MAX);
        match timeout(share, connect(address)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer")),
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_what_it_is_sent_leaves_time_to_the_others() {
        let addresses = ["[2001:db8::1]:443", "[2001:db8::2]:443", "192.0.2.1:443"].map(|text| text.parse().unwrap());
        let live = addresses[2];
        let connect = |address: SocketAddr| async move { if address == live { Ok(address) } else { pending().await } };
        let found = timeout(LIMIT, first_of(&addresses, LIMIT, connect)).await;
        assert_eq!(found.expect("within the limit").unwrap(), live);
        // Nobody answers: that is told, and by the end of the limit.
        let begun = Instant::now();
        let none = first_of(&addresses[..2], LIMIT, connect).await.unwrap_err();
        assert_eq!((none.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, LIMIT.as_secs()));
        assert!(none.to_string().contains("2001:db8::2"), "{none}");
    }
}
