//! Why a handshake came to nothing, in one word for the metric and one sentence for the log.

use std::io;

use latchkey_domain::Workload;
use rustls::{AlertDescription, CertificateError, Error, OtherError};

use super::leaf::LeafError;
use crate::dialer::Peer;

/// A certificate whose chain holds, of somebody who is not meant.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error("it is that of {found}, expected {expected}")]
    Role { found: Workload, expected: Peer },
}

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HandshakeRefusal {
    /// The peer showed no certificate.
    NoCertificate,
    /// Its certificate has ended.
    Expired,
    /// Its certificate has not begun.
    NotYetValid,
    /// Nobody whom we trust has issued it.
    UnknownIssuer,
    /// Its certificate names no SPIFFE id of ours, or more than one.
    Id,
    /// Its id was given within another trust domain.
    TrustDomain,
    /// It is somebody who is not meant here.
    Role,
    /// Its certificate cannot be used otherwise: its form, its purpose, its key.
    Certificate,
    /// It speaks no TLS 1.3.
    TlsVersion,
    /// It took too long.
    Timeout,
    /// Too many handshakes were under way.
    Full,
    /// It refused our certificate.
    RefusedUs,
    /// It went away, as whoever only looks whether the port is open.
    Closed,
    /// It speaks something else.
    Protocol,
}

impl HandshakeRefusal {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownIssuer,
        Self::Id,
        Self::TrustDomain,
        Self::Role,
        Self::Certificate,
        Self::TlsVersion,
        Self::Timeout,
        Self::Full,
        Self::RefusedUs,
        Self::Closed,
        Self::Protocol,
    ];

    /// The word for it, as in logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Id => "id",
            Self::TrustDomain => "trust_domain",
            Self::Role => "role",
            Self::Certificate => "certificate",
            Self::TlsVersion => "tls_version",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::RefusedUs => "refused_us",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
        }
    }

    /// What stands behind the end of a handshake.
    pub(super) fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        inner.map_or(Self::Closed, Self::of_tls)
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(why) => Self::of_certificate(why),
            // With TLS 1.3 alone, whatever two peers have not in common is that, or what came with it.
            Error::PeerIncompatible(_) => Self::TlsVersion,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::ProtocolVersion => Self::TlsVersion,
                AlertDescription::CloseNotify | AlertDescription::UserCanceled => Self::Closed,
                _ => Self::RefusedUs,
            },
            _ => Self::Protocol,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            // An issuer of the same name with another key is another issuer.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Other(OtherError(other)) => match other.downcast_ref::<Unfit>() {
                Some(Unfit::Role { .. }) => Self::Role,
                Some(Unfit::Leaf(LeafError::Domain { .. })) => Self::TrustDomain,
                Some(Unfit::Leaf(LeafError::Ids { .. } | LeafError::Id { .. })) => Self::Id,
                Some(Unfit::Leaf(LeafError::Form)) | None => Self::Certificate,
            },
            _ => Self::Certificate,
        }
    }
}

/// The sentence: rustls shows what we add as `Debug`, which is none.
pub(super) fn sentence(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    if let Some(Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) = inner {
        return other.to_string();
    }
    error.to_string()
}
