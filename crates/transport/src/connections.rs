//! The listener: a bounded number of connections, each with its options set.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_telemetry::names;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// A failed accept is most often a want of file descriptors: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections that arrive at one listener.
pub(crate) struct Connections {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

/// One connection.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Its slot. Keep it for as long as the connection is open.
    pub(crate) slot: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new(listener: TcpListener, connections_max: usize) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(connections_max)) }
    }

    /// The next one. What is dropped before it is ready has lost none.
    pub(crate) async fn next(&self) -> Accepted {
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // A full listener closes at once: a client that waits in vain would not try another replica.
            let Ok(slot) = self.slots.clone().try_acquire_owned() else {
                metrics::counter!(names::CONNECTIONS_REFUSED_TOTAL).increment(1);
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
            }
            return Accepted { stream, peer, slot };
        }
    }
}
