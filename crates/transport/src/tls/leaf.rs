//! What a certificate says of its holder: who it is, and from when until when.

use latchkey_domain::{SPIFFE_ID_BYTES_MAX, TrustDomain, Workload, read_spiffe_id};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What marks a URI among the names of a certificate. Source: RFC 5280, section 4.2.1.6.
const URI_TAG: u32 = 6;

/// What is read from a certificate. Whether its issuer is to be believed is another question, and comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Within which its id was given.
    pub trust_domain: TrustDomain,
    /// Whose it is.
    pub workload: Workload,
    /// From when it is valid. Unix seconds.
    pub not_before: i64,
    /// Until when. Unix seconds.
    pub not_after: i64,
}

/// Why a certificate says nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It cannot be read.
    #[error("it is no X.509 certificate that can be read")]
    Form,
    /// It has no id, or more than one.
    #[error("it names {count} URIs, expected exactly one, spiffe://<trust domain>/<workload>")]
    Ids {
        /// How many it has.
        count: usize,
    },
    /// Its id is none of ours.
    #[error(
        "it names {found:?}, expected spiffe://<trust domain>/ and one of replica/<node id>, issuance, rotation, audit, client/<name>"
    )]
    Id {
        /// The URI.
        found: String,
    },
    /// Its id was given elsewhere.
    #[error("it is of trust domain {found}, expected {expected}")]
    Domain {
        /// Where.
        found: TrustDomain,
        /// Where it was to be from.
        expected: TrustDomain,
    },
}

impl Leaf {
    /// Reads a certificate. Every URI counts, not the readable ones alone: nobody may choose the one that suits.
    /// # Errors
    /// [`LeafError`].
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, LeafError> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| LeafError::Form)?;
        let names = certificate.subject_alternative_name().map_err(|_| LeafError::Form)?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let uris = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => Some("what is no text"),
            _ => None,
        });
        let uris: Vec<&str> = uris.collect();
        let [uri] = uris[..] else { return Err(LeafError::Ids { count: uris.len() }) };
        let unknown = || LeafError::Id { found: uri.chars().take(SPIFFE_ID_BYTES_MAX).collect() };
        let (trust_domain, path) = read_spiffe_id(uri).ok_or_else(unknown)?;
        let workload = Workload::parse(path).ok_or_else(unknown)?;
        let validity = certificate.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Ok(Self { trust_domain, workload, not_before, not_after })
    }

    /// That it was given within this trust domain.
    /// # Errors
    /// [`LeafError::Domain`].
    pub fn within(self, expected: &TrustDomain) -> Result<Self, LeafError> {
        if self.trust_domain == *expected {
            return Ok(self);
        }
        Err(LeafError::Domain { found: self.trust_domain, expected: expected.clone() })
    }
}

/// From when until when a certificate is valid, in Unix seconds; `None` for what cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}
