//! TLS 1.3, mutual: what of it is ours. rustls does the protocol.
//!
//! ```text
//! three files -> Material (ArcSwap) <- asked at each handshake by: who shows a certificate, who checks one
//!    ^ looked at each second            Acceptor (listeners)         TlsClient (dialers)
//! ```
//! A certificate says who its holder is by exactly one SPIFFE id (`spiffe://<trust domain>/<workload>`) and that is what
//! both sides check; the name under which a host was dialled says nothing. New files are taken up by the next handshake:
//! nothing is closed for them, except a connection whose peer's certificate ends.
//!
//! There are no tickets and no early data: each connection proves anew who is there.

mod acceptor;
mod client;
mod config;
mod files;
mod leaf;
mod material;
mod reason;
mod verifier;
mod watch;

pub(crate) use acceptor::Secured;
pub use acceptor::{Acceptor, ClientCertificates};
pub use client::TlsClient;
pub use files::{FilesError, TlsFiles, read_leaf};
pub use leaf::{Leaf, LeafError};
pub use reason::HandshakeRefusal;

use std::sync::Arc;

use arc_swap::ArcSwap;

use self::material::Material;
use crate::dialer::Peer;

/// The certificates of this process, kept up to date from their files for as long as anybody holds this. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls {
    current: Current,
}

/// What holds now. Whoever shakes hands asks here.
type Current = Arc<ArcSwap<Material>>;

impl Tls {
    /// Reads the files and begins to watch them, on the runtime that this is called on.
    /// # Errors
    /// [`FilesError`], with what to do about it.
    pub fn open(files: TlsFiles) -> Result<Self, FilesError> {
        let (material, seen) = watch::read(&files)?;
        material.tell_time();
        tracing::info!(workload = %material.own_workload(), "shows a certificate");
        let current = Arc::new(ArcSwap::from_pointee(material));
        tokio::spawn(watch::follow(files, seen, Arc::downgrade(&current)));
        Ok(Self { current })
    }

    /// What a listener of ours checks: who may call, and whether they need a certificate.
    #[must_use]
    pub fn acceptor(&self, admitted: Peer, certificates: ClientCertificates) -> Acceptor {
        Acceptor::new(config::server(self.current.clone(), admitted, certificates, config::H2))
    }

    /// As [`Self::acceptor`], for whoever scrapes metrics, over HTTP/1.1. Whoever only asks whether the process serves, as a
    /// kubelet does, needs no certificate.
    #[must_use]
    pub fn scrape_acceptor(&self) -> Acceptor {
        Acceptor::new(config::server(self.current.clone(), Peer::Any, ClientCertificates::Optional, config::HTTP_1))
    }

    /// The dialling side.
    #[must_use]
    pub fn client(&self) -> TlsClient {
        TlsClient::new(self.current.clone())
    }
}

#[cfg(test)]
mod tests;
