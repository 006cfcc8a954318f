//! The bounds of a listener. Everything that a stranger can make more of has one.

use std::time::Duration;

/// The longest request on the public side. Give it to each generated server:
/// `ValidationServiceServer::new(service).max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX)`.
pub const PUBLIC_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The longest request of a service that takes batches (`BatchCreateKeys`, `ImportKeys`): 1,000 keys of about 1 KiB.
pub const BATCH_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The longest message between our own services: a batch as proposed, sealed, with room for its ids and digests.
pub const INTERNAL_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes of all headers of one request. A key text in `authorization` has at most 72.
pub(crate) const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Streams that a peer may open and reset before we answered (rapid reset, CVE-2023-44487).
pub(crate) const PENDING_RESETS_MAX: usize = 20;

/// Streams that we reset for a peer's mistakes before the connection is closed.
pub(crate) const LOCAL_RESETS_MAX: usize = 64;

/// How often an idle peer is asked whether it is there, and how long it may take to say so.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one stream and one connection may have in flight towards us. A stream's window holds one public message.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// How long a server that is stopping waits for the calls in progress. Longer than any unary call's default time.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How much one listener takes on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unary calls in progress. The classes share it: lists are shed at half of it, revocations only at all of it.
    pub calls_max: usize,
    /// Streams in progress.
    pub streams_max: usize,
    /// Connections open.
    pub connections_max: usize,
    /// Calls and streams in progress on one connection (HTTP/2 `SETTINGS_MAX_CONCURRENT_STREAMS`).
    pub calls_per_connection_max: u32,
    /// After this a connection is asked to close (GOAWAY, calls in progress end in peace), so that clients spread over
    /// replicas again. `None`: never.
    pub connection_age_max: Option<Duration>,
}

impl Limits {
    /// For the services that the world calls.
    pub const PUBLIC: Self = Self {
        calls_max: 1_024,
        streams_max: 1_024,
        connections_max: 1_024,
        calls_per_connection_max: 256,
        connection_age_max: Some(Duration::from_secs(30 * 60)),
    };

    /// For raft between replicas: few peers, and a connection that is never asked to close.
    pub const RAFT: Self = Self {
        calls_max: 1_024,
        streams_max: 64,
        connections_max: 64,
        calls_per_connection_max: 256,
        connection_age_max: None,
    };

    /// With connections that live no longer than `left`, where that is known.
    pub(crate) fn at_most(self, left: Option<Duration>) -> Self {
        let age = self.connection_age_max;
        let connection_age_max = left.map_or(age, |left| Some(age.map_or(left, |age| age.min(left))));
        Self { connection_age_max, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::PUBLIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_with_the_certificate_of_its_peer_and_before_it_at_its_age() {
        let (short, long) = (Duration::from_secs(60), Duration::from_secs(24 * 3_600));
        assert_eq!(Limits::RAFT.at_most(Some(short)).connection_age_max, Some(short));
        assert_eq!(Limits::PUBLIC.at_most(Some(short)).connection_age_max, Some(short));
        assert_eq!(Limits::PUBLIC.at_most(Some(long)), Limits::PUBLIC);
        assert_eq!(Limits::RAFT.at_most(None), Limits::RAFT);
    }
}
