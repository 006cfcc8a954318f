//! What the files hold, checked: what is shown to peers, and what they are checked against.

use std::sync::Arc;

use latchkey_domain::{TrustDomain, Workload};
use latchkey_telemetry::{Clock as _, SystemClock, names};
use metrics::gauge;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use super::config::provider;
use super::files::{FilesError, TlsFiles, read_certificates, read_key};
use super::leaf::{Leaf, validity};

/// One reading of the files.
#[derive(Debug)]
pub(crate) struct Material {
    /// What is shown; absent where a client has no certificate.
    own: Option<Own>,
    pub(super) roots: Arc<RootCertStore>,
    /// Builds chains from a client's certificate to the roots.
    pub(super) clients: Arc<dyn ClientCertVerifier>,
    /// Within which ids are believed; absent where a client has no certificate, and so no domain.
    pub(super) trust_domain: Option<TrustDomain>,
    /// When the first of the roots ends, and for how long it is valid. Unix seconds.
    first_root: Option<(i64, i64)>,
}

#[derive(Debug)]
struct Own {
    key: Arc<CertifiedKey>,
    leaf: Leaf,
}

impl Material {
    /// Reads the files of a service.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, FilesError> {
        let chain = read_certificates(&files.certificate)?;
        let unfit = |source| FilesError::Leaf { path: files.certificate.clone(), source };
        let leaf = Leaf::read(&chain[0]).and_then(|leaf| leaf.within(&files.trust_domain)).map_err(unfit)?;
        if let Some(expected) = files.workload.clone().filter(|expected| *expected != leaf.workload) {
            return Err(FilesError::Workload { path: files.certificate.clone(), found: leaf.workload, expected });
        }
        let now = unix_seconds();
        if !(leaf.not_before..=leaf.not_after).contains(&now) {
            let valid = format!("{} to {}", leaf.not_before, leaf.not_after);
            return Err(FilesError::Time { path: files.certificate.clone(), valid, now });
        }
        let key = certified(chain, read_key(&files.key)?, files)?;
        let own = Own { key: Arc::new(key), leaf };
        Self::trusting(Some(own), Some(files.trust_domain.clone()), &files.trust)
    }

    /// Of a client that shows no certificate.
    pub(super) fn of_stranger(trust: &std::path::Path) -> Result<Self, FilesError> {
        Self::trusting(None, None, trust)
    }

    fn trusting(
        own: Option<Own>,
        trust_domain: Option<TrustDomain>,
        trust: &std::path::Path,
    ) -> Result<Self, FilesError> {
        let unusable = |why: String| FilesError::Unusable { path: trust.to_owned(), why };
        let certificates = read_certificates(trust)?;
        let first_root = certificates.iter().filter_map(validity).min_by_key(|(_, not_after)| *not_after);
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
        let clients = clients.map_err(|error| unusable(error.to_string()))?;
        Ok(Self { own, roots, clients, trust_domain, first_root })
    }

    /// Shows what it is given, whatever it is.
    #[cfg(test)]
    pub(super) fn forged(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        files: &TlsFiles,
    ) -> Result<Self, FilesError> {
        let leaf =
            Leaf { trust_domain: files.trust_domain.clone(), workload: Workload::Audit, not_before: 0, not_after: 0 };
        let own = Own { key: Arc::new(certified(chain, key, files)?), leaf };
        Self::trusting(Some(own), Some(files.trust_domain.clone()), &files.trust)
    }

    /// What is shown.
    pub(super) fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.own.as_ref().map(|own| own.key.clone())
    }

    /// Who this process says it is.
    pub(super) fn own_workload(&self) -> Workload {
        let nobody = || Workload::Client("nobody".into());
        self.own.as_ref().map_or_else(nobody, |own| own.leaf.workload.clone())
    }

    /// When our certificate was issued and when it ends. Unix seconds.
    pub(super) fn own_validity(&self) -> Option<(i64, i64)> {
        self.own.as_ref().map(|own| (own.leaf.not_before, own.leaf.not_after))
    }

    /// Tells how long the certificates are good for.
    pub(super) fn tell_time(&self) {
        let now = unix_seconds();
        for (which, validity) in [("own", self.own_validity()), ("trust", self.first_root)] {
            let Some((not_before, not_after)) = validity else { continue };
            gauge!(names::TLS_CERTIFICATE_ENDS_SECONDS, "certificate" => which).set((not_after - now) as f64);
            let lifetime = (not_after - not_before) as f64;
            gauge!(names::TLS_CERTIFICATE_LIFETIME_SECONDS, "certificate" => which).set(lifetime);
        }
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    files: &TlsFiles,
) -> Result<CertifiedKey, FilesError> {
    let signing = provider().key_provider.load_private_key(key);
    let unusable = |error: rustls::Error| FilesError::Unusable { path: files.key.clone(), why: error.to_string() };
    let key = CertifiedKey::new(chain, signing.map_err(unusable)?);
    let (key_file, certificate) = (files.key.clone(), files.certificate.clone());
    key.keys_match().map_err(|_| FilesError::Mismatch { key: key_file, certificate })?;
    Ok(key)
}

/// By the wall clock, as certificates are.
pub(super) fn unix_seconds() -> i64 {
    i64::try_from(SystemClock.unix_millis().millis() / 1_000).unwrap_or(i64::MAX)
}
