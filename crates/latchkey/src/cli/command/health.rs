//! `latchkey health`: for whoever starts and ends processes and has no shell, no HTTP client and no certificate at hand.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use clap::Args;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer is two lines of headers and one of text.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// Which process, and which of its names.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 it serves, 3 it does not, 4 it says nothing of that name, 6 it cannot be reached\n\n\
Examples:
  latchkey health 127.0.0.1:7729
  latchkey health 127.0.0.1:7729 latchkey.validate"
)]
pub(crate) struct Health {
    /// Its `metrics_listen`.
    #[arg(value_name = "ADDRESS:PORT")]
    address: SocketAddr,
    /// A name of the health service: `latchkey.validate` or `latchkey.write`; the process itself where none is given.
    name: Option<String>,
    /// How long it may take. Milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    within_ms: u64,
}

impl Health {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let what = self.name.as_deref().unwrap_or("the process");
        let status = self.ask().unwrap_or_else(|error| {
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

    /// The status of the answer.
    fn ask(&self) -> io::Result<u16> {
        let within = Duration::from_millis(self.within_ms);
        let mut stream = TcpStream::connect_timeout(&self.address, within)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        let name = self.name.iter().map(|name| format!("/{name}")).collect::<String>();
        write!(stream, "GET /health{name} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        status(&answer).ok_or_else(|| io::Error::other("it answers, and not in HTTP: is this its metrics_listen?"))
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
    use std::net::TcpListener;
    use std::thread;

    /// Answers one request, and tells what it was.
    fn answering(answer: &'static [u8]) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1_024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (address, asked)
    }

    fn health(address: SocketAddr, name: Option<&str>) -> Health {
        Health { address, name: name.map(str::to_owned), within_ms: 2_000 }
    }

    #[test]
    fn each_answer_has_its_exit_code() {
        let answers: [(&[u8], Exit); 4] = [
            (b"HTTP/1.1 200 OK\r\n\r\nserving\n", Exit::Done),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Exit::No),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", Exit::NotFound),
            (b"\x00\x00\x12\x04\x00", Exit::Unavailable),
        ];
        for (answer, exit) in answers {
            let (address, asked) = answering(answer);
            assert_eq!(health(address, Some("latchkey.write")).run().unwrap(), exit);
            assert!(asked.join().unwrap().starts_with("GET /health/latchkey.write HTTP/1.1\r\n"));
        }
    }

    #[test]
    fn a_process_that_is_away_is_unavailable() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(health(gone, None).run().unwrap(), Exit::Unavailable);
    }
}
