//! One recorder a process, and a scrape endpoint for each service in it. The recorder is our own: what is scraped, as
//! text, and what is pushed, over OTLP, is gathered from the same numbers, exemplars included.

mod distribution;
mod gathered;
mod recorder;
mod text;

pub use distribution::{Distribution, Exemplar, SECONDS_BUCKETS};
pub use gathered::{Family, Point, Value};
pub use recorder::Recorder;
pub use text::Format;

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::endpoint::{self, Plain, Underlay};

/// A running scrape endpoint. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "dropping the endpoint ends it"]
pub struct Endpoint {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Endpoint {
    /// Where it really listens: with port 0 asked for, the port that was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves the process's metrics at `http://{address}/metrics`, and its log level at `/log-level`. Port 0 takes any free
/// port.
///
/// Several services of one process (`latchkey dev`) each serve the same numbers.
/// # Errors
/// If the address cannot be bound.
pub async fn serve_metrics(address: SocketAddr) -> io::Result<Endpoint> {
    serve_metrics_over(Plain, address).await
}

/// As [`serve_metrics`], over what lies under HTTP there.
/// # Errors
/// If the address cannot be bound.
pub async fn serve_metrics_over(underlay: impl Underlay, address: SocketAddr) -> io::Result<Endpoint> {
    let recorder = recorder().clone();
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(endpoint::serve(listener, recorder, underlay));
    Ok(Endpoint { address, task })
}

/// Installs the recorder on first use; call it (or [`serve_metrics`]) before the first handle is made, since a handle
/// that was made earlier counts into nothing.
pub fn recorder() -> &'static Recorder {
    static RECORDER: OnceLock<Recorder> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = Recorder::default();
        // Another recorder (of a test) may be there already: then ours renders nothing, which harms nobody.
        if metrics::set_global_recorder(recorder.clone()).is_err() {
            tracing::warn!("another metrics recorder is installed, ours stays empty");
        }
        recorder
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::names;

    async fn ask(address: SocketAddr, path: &str, accept: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_endpoint_tells_its_real_port_and_what_was_counted() {
        let endpoint = serve_metrics((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        metrics::counter!(names::PROPOSALS_TOTAL, "result" => "applied").increment(3);
        metrics::histogram!(names::PROPOSE_SECONDS).record(0.003);

        let answer = ask(endpoint.address(), "/metrics", "text/plain").await;

        assert_ne!(endpoint.address().port(), 0);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("latchkey_proposals_total{result=\"applied\"} 3"), "{answer}");
        assert!(answer.contains("latchkey_propose_seconds_bucket{le=\"0.005\"} 1"), "{answer}");
        assert!(answer.contains("latchkey_rpc_panics_total 0"), "what never happened is told as 0: {answer}");
        assert!(answer.contains("process_memory_usage_bytes "), "{answer}");
        assert!(ask(endpoint.address(), "/", "*/*").await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn whoever_accepts_openmetrics_is_given_it() {
        let endpoint = serve_metrics((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let accept = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5";
        let answer = ask(endpoint.address(), "/metrics", accept).await;
        assert!(
            answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
            "{answer}"
        );
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }
}
