//! The network between machines: TCP over turmoil, each direction of which can be shut, for an instant or for long.
//!
//! What was written while a direction is shut arrives when it opens again, as TCP does it: nothing is lost, all is late. That
//! a connection is given up meanwhile is for those who hold it.

use hyper_util::rt::TokioIo;
use latchkey_domain::NodeId;
use latchkey_transport::Dialer;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use turmoil::net::{TcpListener, TcpStream};

/// The port of every replica.
pub const PORT: u16 = 7_700;

/// As the transport's: a peer that does not accept within this time is taken as away.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// As the transport's.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// Connections that wait to be served.
const ACCEPTED_MAX: usize = 64;

/// From whom, to whom.
pub type Direction = (NodeId, NodeId);

/// The links of a simulation.
#[derive(Clone, Debug, Default)]
pub struct Net(Arc<Mutex<Links>>);

#[derive(Debug, Default)]
struct Links {
    /// How many reasons there are for a direction to be shut.
    shut: BTreeMap<Direction, u32>,
    waiting: Vec<Waker>,
}

/// The name of a replica's machine.
#[must_use]
pub fn host_of(node: NodeId) -> String {
    format!("replica-{}", node.0)
}

/// The address of a replica.
#[must_use]
pub fn address_of(node: NodeId) -> String {
    format!("{}:{PORT}", host_of(node))
}

fn node_of(host: &str) -> NodeId {
    NodeId(host.strip_prefix("replica-").and_then(|number| number.parse().ok()).unwrap_or(0))
}

impl Net {
    /// Shuts a direction, once more where it is shut already.
    pub fn shut(&self, direction: Direction) {
        *self.links().shut.entry(direction).or_default() += 1;
    }

    /// Takes back one [`Self::shut`].
    pub fn open(&self, direction: Direction) {
        let mut links = self.links();
        if let Some(reasons) = links.shut.get_mut(&direction) {
            *reasons -= 1;
            if *reasons == 0 {
                links.shut.remove(&direction);
            }
        }
        for waker in std::mem::take(&mut links.waiting) {
            waker.wake();
        }
    }

    /// Opens everything.
    pub fn heal(&self) {
        let mut links = self.links();
        links.shut.clear();
        for waker in std::mem::take(&mut links.waiting) {
            waker.wake();
        }
    }

    /// How `from` reaches the others.
    #[must_use]
    pub fn dialer(&self, from: NodeId) -> Dialer {
        let net = self.clone();
        Dialer::by(Arc::new(move |address| net.channel(from, address)))
    }

    fn channel(&self, from: NodeId, address: &str) -> Channel {
        let net = self.clone();
        let connect = tower::service_fn(move |uri: Uri| {
            let net = net.clone();
            async move {
                let host = uri.host().unwrap_or_default().to_owned();
                let to = node_of(&host);
                let dialled = async {
                    poll_fn(|context| net.poll_open((from, to), context)).await;
                    poll_fn(|context| net.poll_open((to, from), context)).await;
                    TcpStream::connect((host, PORT)).await
                };
                let stream =
                    tokio::time::timeout(CONNECT_MAX, dialled).await.map_err(|_| io::ErrorKind::TimedOut)??;
                Ok::<_, io::Error>(TokioIo::new(Wire { stream, direction: (from, to), net }))
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("names of machines are addresses");
        endpoint
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connect)
    }

    /// What others connect to; to be called on the machine of `node`.
    ///
    /// # Errors
    /// Where the machine listens already.
    pub async fn listen(&self, node: NodeId) -> io::Result<ReceiverStream<io::Result<Wire>>> {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let (accepted, incoming) = mpsc::channel(ACCEPTED_MAX);
        let net = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let from = turmoil::reverse_lookup(peer.ip()).map_or(NodeId(0), |host| node_of(&host));
                let wire = Wire { stream, direction: (node, from), net: net.clone() };
                if accepted.send(Ok(wire)).await.is_err() {
                    return;
                }
            }
        });
        Ok(ReceiverStream::new(incoming))
    }

    fn poll_open(&self, direction: Direction, context: &Context<'_>) -> Poll<()> {
        let mut links = self.links();
        if links.shut.contains_key(&direction) {
            links.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One end of a connection. Only what is written here passes the direction from here.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    direction: Direction,
    net: Net,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.net.poll_open(self.direction, context).is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}
