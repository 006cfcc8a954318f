//! A syslog daemon over TLS (RFC 5425), with octets counted.
//!
//! Syslog has no acknowledgement: what was written into a connection may lie in a buffer when the daemon dies. So each batch has a
//! connection of its own, which we end and the daemon ends after us. That it did tells that it read all before; one that is stuck, and
//! never does, tells nothing, so its batch comes again.

use super::{BoxFuture, Sink, SinkError, Taken, server};
use crate::format::rfc5424::framed;
use crate::record::Record;
use latchkey_config::SinkSettings;
use latchkey_dial::{Connection, DialError, Server};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

/// A syslog daemon.
#[derive(Debug)]
pub struct Syslog {
    server: Server,
}

impl Syslog {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let address = settings.server.as_ref().expect("the settings were checked: this kind has a server");
        Self { server: server(settings, address.to_string(), settings.tls) }
    }

    async fn send_all(&self, batch: &[Record]) -> Result<Taken, SinkError> {
        let by = Instant::now() + self.server.limit;
        let address = || self.server.address.clone();
        let late = |_| SinkError::Reach { server: address(), source: DialError::Time(self.server.limit) };
        let stream = timeout_at(by, self.write(batch)).await.map_err(late)??;
        let broke = |source| SinkError::Stream { server: address(), source };
        match timeout_at(by, ended(stream)).await {
            // Daemons that end without the closing words of TLS have read all the same.
            Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(broke(error)),
            Ok(_) => Ok(Taken::default()),
            Err(_) => Err(broke(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not end the connection after us, so it may not have read what was sent",
            ))),
        }
    }

    /// Writes all, and ends our side.
    async fn write(&self, batch: &[Record]) -> Result<Connection, SinkError> {
        let address = || self.server.address.clone();
        let broke = |source| SinkError::Stream { server: address(), source };
        let dialled = self.server.dial(&[]).await;
        let mut stream = dialled.map_err(|source| SinkError::Reach { server: address(), source })?;
        let messages: Vec<u8> = batch.iter().flat_map(framed).collect();
        stream.write_all(&messages).await.map_err(broke)?;
        stream.shutdown().await.map_err(broke)?;
        Ok(stream)
    }
}

/// Waits for the daemon to end its side.
async fn ended(mut stream: Connection) -> io::Result<()> {
    let mut rest = [0; 256];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

impl Sink for Syslog {
    fn send<'a>(&'a self, batch: &'a [Record], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch))
    }
}
