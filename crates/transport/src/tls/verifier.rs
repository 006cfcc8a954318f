//! Who a peer is: its chain by webpki, then its one SPIFFE id. The name that was dialled decides nothing.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible, SignatureScheme,
};

use super::acceptor::ClientCertificates;
use super::config::provider;
use super::leaf::Leaf;
use super::reason::Unfit;
use super::{Current, Material};
use crate::dialer::Peer;

/// Checks whoever is at the other end, against what holds at the time of the handshake.
#[derive(Debug)]
pub(super) struct Verifier {
    current: Current,
    expected: Peer,
    certificates: ClientCertificates,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(current: Current, expected: Peer, certificates: ClientCertificates) -> Self {
        Self { current, expected, certificates, algorithms: provider().signature_verification_algorithms }
    }

    /// That a certificate whose chain holds is that of whoever was expected.
    fn check(&self, certificate: &CertificateDer<'_>, material: &Material) -> Result<(), Error> {
        let unfit = |why: Unfit| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))));
        let leaf = Leaf::read(certificate).map_err(|why| unfit(why.into()))?;
        let leaf = match &material.trust_domain {
            Some(domain) => leaf.within(domain).map_err(|why| unfit(why.into()))?,
            None => leaf,
        };
        if self.expected.admits(&leaf.workload) {
            return Ok(());
        }
        Err(unfit(Unfit::Role { found: leaf.workload, expected: self.expected }))
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }
}

/// TLS 1.2 is not spoken, so nobody signs anything in it.
fn tls_12_is_not_spoken() -> Error {
    PeerIncompatible::Tls12NotOfferedOrEnabled.into()
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.certificates == ClientCertificates::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A client of ours has one certificate and needs no hint which.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let material = self.current.load();
        let verified = material.clients.verify_client_cert(end_entity, intermediates, now)?;
        self.check(end_entity, &material)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls_12_is_not_spoken())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let material = self.current.load();
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &material.roots, intermediates, now, algorithms)?;
        self.check(end_entity, &material)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls_12_is_not_spoken())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Shows the certificate that holds at the time of the handshake.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) current: Current,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().key()
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current.load().key()
    }

    fn has_certs(&self) -> bool {
        self.current.load().key().is_some()
    }
}
