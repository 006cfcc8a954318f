//! How a service and its peers know each other, as its settings say.

use latchkey_config::{ClientCertificates as Setting, TlsSettings};
use latchkey_domain::Workload;
use latchkey_transport::tls::{ClientCertificates, FilesError, Tls, TlsFiles};
use latchkey_transport::{ClusterSecret, ClusterSecretError, Security};
use std::path::{Path, PathBuf};

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The cluster's secret.
    #[error("the secret of the cluster cannot be had")]
    Secret(#[from] ClusterSecretError),
    /// A certificate, its key, or the roots.
    #[error("the certificates cannot be had")]
    Tls(#[from] FilesError),
}

/// Reads the certificates where the settings name them, else the secret. The certificate must be that of `workload`.
///
/// # Errors
/// [`SecurityError`].
///
/// # Panics
/// Where the settings name neither, which their check refuses.
pub fn open(
    tls: &TlsSettings,
    secret_file: Option<&Path>,
    data_folder: Option<&Path>,
    workload: Workload,
) -> Result<Security, SecurityError> {
    let Some(files) = files(tls, workload) else {
        let secret_file = secret_file.expect("the settings name a secret or certificates");
        return Ok(ClusterSecret::read(secret_file, data_folder)?.into());
    };
    let certificates = match tls.client_certificates {
        Setting::Required => ClientCertificates::Required,
        Setting::Optional => ClientCertificates::Optional,
    };
    Ok(Security::Tls { tls: Tls::open(files)?, certificates })
}

fn files(tls: &TlsSettings, workload: Workload) -> Option<TlsFiles> {
    let path = |setting: &Option<PathBuf>| setting.clone();
    Some(TlsFiles {
        certificate: path(&tls.certificate_file)?,
        key: path(&tls.key_file)?,
        trust: path(&tls.trust_file)?,
        trust_domain: tls.trust_domain.clone()?,
        workload: Some(workload),
    })
}
