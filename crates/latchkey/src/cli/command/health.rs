//! `latchkey health`: for whoever starts and ends processes and has no shell, no HTTP client and no certificate at hand.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use clap::Args;
use latchkey_transport::Peer;
use latchkey_transport::tls::TlsClient;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer is two lines of headers and one of text.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// Which process, and which of its names.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey health 127.0.0.1:7729
  latchkey health 127.0.0.1:7729 latchkey.validate\n\n\
Exit codes: 0 it serves, 3 it does not, 4 it says nothing of that name, 6 it cannot be reached")]
pub(crate) struct Health {
    /// Its `metrics_listen`.
    #[arg(value_name = "ADDRESS:PORT")]
    address: SocketAddr,
    /// A name of the health service: `latchkey.validate` or `latchkey.write`; the process itself where none is given.
    name: Option<String>,
    /// The roots to trust, where it listens off loopback too and so speaks TLS. It asks for no certificate of ours.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// How long it may take. Milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    within_ms: u64,
}

impl Health {
    pub(crate) async fn run(&self) -> Result<Exit, CliError> {
        let what = self.name.as_deref().unwrap_or("the process");
        let status = self.status().await.unwrap_or_else(|error| {
            output::note(&format!("{} cannot be asked: {error}", self.address));
            0
        });
        let (exit, text) = match status {
            200 => (Exit::Done, "serves"),
            503 => (Exit::No, "does not serve"),
            404 => (Exit::NotFound, "is no name of this process"),
            _ => return Ok(Exit::Unavailable),
        };
        output::print(&format!("{what} {text}\n"))?;
        Ok(exit)
    }

    /// The status of the answer, in its time.
    async fn status(&self) -> io::Result<u16> {
        let asked = timeout(Duration::from_millis(self.within_ms), async {
            match &self.trust {
                None => self.ask(TcpStream::connect(self.address).await?).await,
                Some(trust) => {
                    let client = TlsClient::without_certificate(trust).map_err(io::Error::other)?;
                    self.ask(client.connect_http1(&self.address.to_string(), Peer::Any).await?).await
                }
            }
        });
        asked.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))?
    }

    async fn ask(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<u16> {
        let name = self.name.iter().map(|name| format!("/{name}")).collect::<String>();
        let request = format!("GET /health{name} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        // Whoever answers and then breaks off has answered.
        let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
        match (status(&answer), read) {
            (Some(status), _) => Ok(status),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => {
                Err(io::Error::other("it answers, and not in HTTP: is this its metrics_listen, and is it TLS?"))
            }
        }
    }
}

/// The number in `HTTP/1.1 200 OK`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?;
    str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    /// Answers one request, and tells what it was.
    async fn answering(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (address, asked)
    }

    fn health(address: SocketAddr, name: Option<&str>) -> Health {
        Health { address, name: name.map(str::to_owned), trust: None, within_ms: 2_000 }
    }

    #[tokio::test]
    async fn each_answer_has_its_exit_code() {
        let answers: [(&[u8], Exit); 4] = [
            (b"HTTP/1.1 200 OK\r\n\r\nserving\n", Exit::Done),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Exit::No),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", Exit::NotFound),
            (b"\x00\x00\x12\x04\x00", Exit::Unavailable),
        ];
        for (answer, exit) in answers {
            let (address, asked) = answering(answer).await;
            assert_eq!(health(address, Some("latchkey.write")).run().await.unwrap(), exit);
            assert!(asked.await.unwrap().starts_with("GET /health/latchkey.write HTTP/1.1\r\n"));
        }
    }

    #[tokio::test]
    async fn a_process_that_is_away_is_unavailable() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(health(gone, None).run().await.unwrap(), Exit::Unavailable);
    }
}
