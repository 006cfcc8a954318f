//! One recorder a process, and a scrape endpoint for each service in it.

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{endpoint, names};

/// Upper bounds of the buckets of every histogram of seconds: from a validation (tens of microseconds) to the longest
/// wait that a caller may ask for.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0,
];

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

/// Serves the process's metrics at `http://{address}/metrics`. Port 0 takes any free port.
///
/// Several services of one process (`latchkey dev`) each serve the same numbers.
/// # Errors
/// If the address cannot be bound.
pub async fn serve_metrics(address: SocketAddr) -> io::Result<Endpoint> {
    let handle = recorder().clone();
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(endpoint::serve(listener, handle));
    Ok(Endpoint { address, task })
}

/// Installs the recorder on first use; call it (or [`serve_metrics`]) before the first handle is made, since a handle
/// that was made earlier counts into nothing.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)
            .expect("the list of buckets is not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Another recorder (of a test) may be there already: then ours renders nothing, which harms nobody.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed, ours stays empty");
        }
        names::describe();
        handle
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_endpoint_tells_its_real_port_and_what_was_counted() {
        let endpoint = serve_metrics((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        metrics::counter!(names::RPCS_TOTAL, "method" => "/test", "code" => "OK").increment(3);
        metrics::histogram!(names::PROPOSE_SECONDS).record(0.003);

        let answer = ask(endpoint.address(), "/metrics").await;

        assert_ne!(endpoint.address().port(), 0);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("latchkey_rpcs_total{method=\"/test\",code=\"OK\"} 3"), "{answer}");
        assert!(answer.contains("latchkey_propose_seconds_bucket{le=\"0.005\"} 1"), "{answer}");
        assert!(ask(endpoint.address(), "/").await.starts_with("HTTP/1.1 404"));
    }
}
