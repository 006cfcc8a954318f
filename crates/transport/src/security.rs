//! How a process and its peers know each other: by certificates, or, on loopback, by a secret that they share.

use crate::cluster_secret::ClusterSecret;
use crate::dialer::{Dialer, Peer};
use crate::proof::Proof;
use crate::tls::{Acceptor, ClientCertificates, Tls};

/// One of the two ways. Dialers, listeners and guards come from it, so that they fit together.
#[derive(Debug, Clone)]
pub enum Security {
    /// Plain text on loopback, and a secret between our services.
    Plain(ClusterSecret),
    /// TLS, mutual.
    Tls {
        /// Our certificates.
        tls: Tls,
        /// Whether callers from outside need one.
        certificates: ClientCertificates,
    },
}

impl Security {
    /// How others are reached.
    #[must_use]
    pub fn dialer(&self) -> Dialer {
        match self {
            Self::Plain(_) => Dialer::plain(),
            Self::Tls { tls, .. } => Dialer::tls(tls.client()),
        }
    }

    /// What stands behind a call between our services.
    #[must_use]
    pub fn proof(&self) -> Proof {
        match self {
            Self::Plain(secret) => Proof::Secret(secret.clone()),
            Self::Tls { .. } => Proof::Certificate,
        }
    }

    /// For the listener that callers reach.
    #[must_use]
    pub fn acceptor(&self) -> Option<Acceptor> {
        match self {
            Self::Plain(_) => None,
            Self::Tls { tls, certificates } => Some(tls.acceptor(Peer::Any, *certificates)),
        }
    }

    /// For the listener that only replicas reach.
    #[must_use]
    pub fn replica_acceptor(&self) -> Option<Acceptor> {
        match self {
            Self::Plain(_) => None,
            Self::Tls { tls, .. } => Some(tls.acceptor(Peer::AnyReplica, ClientCertificates::Required)),
        }
    }

    /// For the listener of metrics at this address: plain text on loopback, whatever else there is.
    #[must_use]
    pub fn scrape_acceptor(&self, address: std::net::SocketAddr) -> Option<Acceptor> {
        match self {
            Self::Tls { tls, .. } if !address.ip().is_loopback() => Some(tls.scrape_acceptor()),
            Self::Plain(_) | Self::Tls { .. } => None,
        }
    }
}

impl From<ClusterSecret> for Security {
    fn from(secret: ClusterSecret) -> Self {
        Self::Plain(secret)
    }
}
