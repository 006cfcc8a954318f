//! The three files of a process's certificates, and why they cannot be used.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use latchkey_config::refused_mode;
use latchkey_domain::{TrustDomain, Workload};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::leaf::{Leaf, LeafError};

/// A chain of certificates, or the roots of a few authorities, is far shorter.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of this process, then those between it and a root. PEM.
    pub certificate: PathBuf,
    /// Its key. PEM, PKCS #8, mode 0600.
    pub key: PathBuf,
    /// The roots that are trusted; two while one takes the place of the other. PEM.
    pub trust: PathBuf,
    /// Within which ids are believed.
    pub trust_domain: TrustDomain,
    /// Who this process is, where the certificate does not decide it.
    pub workload: Option<Workload>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is longer than any of its kind.
    #[error("{path} is longer than {FILE_BYTES_MAX} bytes, expected certificates or a key as PEM")]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// Others may read or write the key.
    #[error("{path} has mode {mode:04o}, expected 0600: only its owner may read the key; chmod 600 {path}")]
    Mode {
        /// Its file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no PEM of this kind in the file.
    #[error("{path} holds no {expected} as PEM")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it was to hold.
        expected: &'static str,
    },
    /// The certificate is none for a process of ours.
    #[error("{path} cannot be the certificate of this process")]
    Leaf {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: LeafError,
    },
    /// The certificate is somebody else's.
    #[error("the certificate in {path} is that of {found}, expected that of {expected}")]
    Workload {
        /// Its file.
        path: PathBuf,
        /// Whose it is.
        found: Workload,
        /// Whose it was to be.
        expected: Workload,
    },
    /// The certificate has ended, or has not begun.
    #[error(
        "the certificate in {path} is valid for {valid} and it is {now} now (Unix seconds); issue another: latchkey pki renew"
    )]
    Time {
        /// Its file.
        path: PathBuf,
        /// From when until when.
        valid: String,
        /// What the clock says.
        now: i64,
    },
    /// Key and certificate do not belong together. While both are being replaced, this passes.
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// The key or a root is of a kind that is not supported.
    #[error("{path} cannot be used: {why}")]
    Unusable {
        /// Its file.
        path: PathBuf,
        /// Why, as rustls says it.
        why: String,
    },
}

/// Whose certificate lies in a file.
/// # Errors
/// [`FilesError`].
pub fn read_leaf(path: &Path) -> Result<Leaf, FilesError> {
    let unfit = |source| FilesError::Leaf { path: path.to_owned(), source };
    Leaf::read(&read_certificates(path)?[0]).map_err(unfit)
}

/// The certificates in a file, at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FilesError> {
    let none = || FilesError::Pem { path: path.to_owned(), expected: "certificate" };
    let bytes = read(path, |_| Ok(()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(none)
}

/// The key in a file that only its owner may read.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, FilesError> {
    let bytes = read(path, |file| match refused_mode(file) {
        None => Ok(()),
        Some(mode) => Err(FilesError::Mode { path: path.to_owned(), mode }),
    })?;
    let none = |_| FilesError::Pem { path: path.to_owned(), expected: "private key" };
    PrivateKeyDer::from_pem_slice(&bytes).map_err(none)
}

fn read(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), FilesError>,
) -> Result<Zeroizing<Vec<u8>>, FilesError> {
    let read_error = |source| FilesError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    // Of the open file, not of the path: nobody can change one for another in between.
    check(&file.metadata().map_err(read_error)?)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FilesError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}
