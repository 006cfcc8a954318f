//! A syslog daemon over TLS (RFC 5425), with octets counted.
//!
//! Syslog has no acknowledgement: what was written into a connection may lie in a buffer when the daemon dies. So each batch has a
//! connection of its own, which we end and the daemon ends after us. That it did tells that it read all before.

use super::{BoxFuture, Sink, SinkError, Taken, server};
use crate::format::rfc5424::framed;
use crate::record::Record;
use latchkey_config::SinkSettings;
use latchkey_dial::{DialError, Server};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long the daemon may take to end its side. One that keeps its side open is believed after that.
const END_MAX: Duration = Duration::from_secs(5);

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
        let address = || self.server.address.clone();
        let reach = |source| SinkError::Reach { server: address(), source };
        let written = timeout(self.server.limit, self.write(batch)).await;
        written.map_err(|_| reach(DialError::Time(self.server.limit)))?
    }

    async fn write(&self, batch: &[Record]) -> Result<Taken, SinkError> {
        let address = || self.server.address.clone();
        let broke = |source| SinkError::Stream { server: address(), source };
        let dialled = self.server.dial(&[]).await;
        let mut stream = dialled.map_err(|source| SinkError::Reach { server: address(), source })?;
        let messages: Vec<u8> = batch.iter().flat_map(framed).collect();
        stream.write_all(&messages).await.map_err(broke)?;
        stream.shutdown().await.map_err(broke)?;
        let mut rest = [0; 256];
        let ended = timeout(END_MAX, async {
            while stream.read(&mut rest).await? > 0 {}
            Ok::<_, io::Error>(())
        })
        .await;
        match ended {
            // Daemons that end without the closing words of TLS have read all the same.
            Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(broke(error)),
            Ok(_) | Err(_) => Ok(Taken::default()),
        }
    }
}

impl Sink for Syslog {
    fn send<'a>(&'a self, batch: &'a [Record], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch))
    }
}
