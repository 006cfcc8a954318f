//! How a server proves to be it, and how we prove to be us where it asks.

use crate::error::DialError;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a server is believed by. Files are read for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The roots that are believed. PEM.
    pub ca_file: PathBuf,
    /// Our certificate and its key, where the server asks for one. PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Trust {
    /// By these roots, with no certificate of ours.
    #[must_use]
    pub fn roots(ca_file: impl Into<PathBuf>) -> Self {
        Self { ca_file: ca_file.into(), identity: None }
    }

    pub(crate) fn config(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, DialError> {
        let none = || DialError::Content { path: self.ca_file.clone(), expected: "certificates as PEM" };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&read_file(&self.ca_file)?) {
            roots.add(certificate.map_err(|_| none())?).map_err(|_| none())?;
        }
        if roots.is_empty() {
            return Err(none());
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("the provider has suites of TLS 1.3");
        let builder = builder.with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let wrong = |path: &Path, expected| DialError::Content { path: path.to_owned(), expected };
                let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read_file(chain)?).collect();
                let certificates = certificates.map_err(|_| wrong(chain, "certificates as PEM"))?;
                let private = PrivateKeyDer::from_pem_slice(&read_file(key)?);
                let private = private.map_err(|_| wrong(key, "a private key as PEM"))?;
                let built = builder.with_client_auth_cert(certificates, private);
                built.map_err(|_| wrong(key, "the key of our certificate"))?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// A short file, zeroed when it is dropped.
///
/// # Errors
/// [`DialError::Read`].
pub fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, DialError> {
    let bytes = std::fs::read(path).map_err(|source| DialError::Read { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(bytes))
}

pub(crate) fn server_name(address: &str) -> ServerName<'static> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    // A name with an underscore is none to TLS: nobody can prove to be it.
    let nobody = || ServerName::try_from("latchkey.invalid").expect("a name");
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| nobody())
}
