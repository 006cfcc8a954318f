//! How another process is reached. Who dials says only where, and who must answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use latchkey_config::HostPort;
use latchkey_domain::{NodeId, Workload};
use tonic::transport::{Channel, Endpoint};

use crate::limits;
use crate::tls::TlsClient;

/// A peer that does not accept within this time is taken as away. A round trip over an ocean takes a fifth of it.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(1);

/// A dead peer is noticed after an interval and a timeout: sooner than the freshness bound of one site (5 s).
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who must answer at an address. Over plain text nobody can check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The replica with this id.
    Replica(NodeId),
    /// A replica of the cluster, whichever.
    AnyReplica,
    /// An instance of issuance.
    Issuance,
    /// An instance of rotation.
    Rotation,
    /// The audit service.
    Audit,
    /// Any process of the trust domain.
    Any,
}

impl Peer {
    /// Whether it may be this one.
    #[must_use]
    pub fn admits(self, workload: &Workload) -> bool {
        match self {
            Self::Replica(node) => *workload == Workload::Replica(node),
            Self::AnyReplica => matches!(workload, Workload::Replica(_)),
            Self::Issuance => *workload == Workload::Issuance,
            Self::Rotation => *workload == Workload::Rotation,
            Self::Audit => *workload == Workload::Audit,
            Self::Any => true,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(node) => write!(f, "replica/{node}"),
            Self::AnyReplica => f.write_str("a replica"),
            Self::Issuance => f.write_str("issuance"),
            Self::Rotation => f.write_str("rotation"),
            Self::Audit => f.write_str("audit"),
            Self::Any => f.write_str("anybody of the trust domain"),
        }
    }
}

/// Makes channels to other processes. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    way: Way,
}

/// A channel to an address, made by whoever stands in for the network.
type Made = dyn Fn(&str) -> Channel + Send + Sync;

#[derive(Clone)]
enum Way {
    Plain,
    Tls(TlsClient),
    By(Arc<Made>),
}

impl Dialer {
    /// Over plain text: on loopback, where nobody else listens. An address elsewhere is not dialled, whoever gave it: the
    /// secret that proves us would go there in the clear.
    #[must_use]
    pub const fn plain() -> Self {
        Self { way: Way::Plain }
    }

    /// Over TLS, checking who answers.
    #[must_use]
    pub const fn tls(client: TlsClient) -> Self {
        Self { way: Way::Tls(client) }
    }

    /// By a function, as a simulation of a network needs.
    #[must_use]
    pub fn by(make: Arc<Made>) -> Self {
        Self { way: Way::By(make) }
    }

    /// A channel to `address`, a text such as `replica-1.example:7721`, that connects with the first call and again after
    /// each loss; a name is resolved each time. Keep it: a clone shares the connection.
    ///
    /// It sets no deadline; each call carries its own ([`Deadline::pass_on`](crate::Deadline::pass_on)). An address that
    /// is none fails each call, as one where nobody listens.
    #[must_use]
    pub fn channel(&self, address: &str, expected: Peer) -> Channel {
        match &self.way {
            Way::Plain if HostPort::parse(address).is_some_and(|address| address.is_loopback()) => channel(address),
            Way::Plain => {
                tracing::warn!(
                    address,
                    "not dialled: it is not on loopback, and there is no TLS; see the tls settings"
                );
                unreachable_channel()
            }
            Way::Tls(client) => client.channel(address, expected),
            Way::By(make) => make(address),
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Plain => "Dialer(plain)",
            Way::Tls(_) => "Dialer(TLS)",
            Way::By(_) => "Dialer(by a function)",
        })
    }
}

/// A channel to `address` over plain text: [`Dialer::channel`] of [`Dialer::plain`].
#[must_use]
pub fn channel(address: impl fmt::Display) -> Channel {
    endpoint(&address.to_string()).map_or_else(unreachable_channel, |endpoint| endpoint.connect_lazy())
}

/// An address with the bounds of every channel; `None` for what is no address.
pub(crate) fn endpoint(address: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .initial_stream_window_size(limits::CONNECTION_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(limits::HEADER_BYTES_MAX)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Some(endpoint)
}

/// A channel that never connects: port 0 is nobody's.
pub(crate) fn unreachable_channel() -> Channel {
    Endpoint::from_static("http://127.0.0.1:0").connect_lazy()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tonic::body::Body;
    use tower::{Service as _, ServiceExt as _};

    use super::*;
    use crate::test_support::{TestService, run};

    async fn asks(mut channel: Channel) -> bool {
        let request = Request::post("/test.v1.TestService/Nothing").body(Body::empty()).expect("a request");
        match channel.ready().await {
            Ok(ready) => ready.call(request).await.is_ok(),
            Err(_) => false,
        }
    }

    #[tokio::test]
    async fn a_name_is_an_address_as_well_as_a_number() {
        let server = run(|server| server.service(TestService)).await;
        let port = server.address.port();
        let dialer = Dialer::plain();
        assert!(asks(dialer.channel(&format!("127.0.0.1:{port}"), Peer::AnyReplica)).await);
        assert!(asks(dialer.channel(&format!("localhost:{port}"), Peer::AnyReplica)).await);
        server.stop().await;
    }

    #[tokio::test]
    async fn an_address_that_is_none_fails_the_call_and_nothing_else() {
        for address in ["", "no port", "a:b:c", "http://x:1", "x:1/path here"] {
            assert!(!asks(Dialer::plain().channel(address, Peer::AnyReplica)).await, "{address}");
        }
    }

    #[tokio::test]
    async fn nothing_is_dialled_in_plain_text_beyond_this_machine() {
        let server = run(|server| server.service(TestService)).await;
        // The same listener, under an address that could be another machine's.
        let elsewhere = format!("0.0.0.0:{}", server.address.port());
        assert!(asks(channel(&elsewhere)).await);
        assert!(!asks(Dialer::plain().channel(&elsewhere, Peer::AnyReplica)).await);
        server.stop().await;
    }

    #[tokio::test]
    async fn a_function_decides_where_an_address_leads() {
        let server = run(|server| server.service(TestService)).await;
        let address = server.address;
        let dialer = Dialer::by(Arc::new(move |name| {
            assert_eq!(name, "north");
            channel(address)
        }));
        assert!(asks(dialer.channel("north", Peer::Replica(NodeId(1)))).await);
        server.stop().await;
    }
}
