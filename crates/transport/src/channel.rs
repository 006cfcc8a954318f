//! The client's side of a connection between our services.

use std::net::SocketAddr;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::limits;

/// A peer that does not accept within this time is taken as away. A round trip over an ocean takes a fifth of it.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// A dead peer is noticed after an interval and a timeout: sooner than the freshness bound of one site (5 s).
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel to `address` that connects with the first call and again after each loss. Keep it: a clone shares the
/// connection.
///
/// It sets no deadline; each call carries its own ([`Deadline::pass_on`](crate::Deadline::pass_on)).
#[must_use]
pub fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address and a port make a URI")
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .initial_stream_window_size(limits::CONNECTION_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(limits::HEADER_BYTES_MAX)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy()
}
