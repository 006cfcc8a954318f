//! What we speak: TLS 1.3 with AES-256-GCM or ChaCha20, over X25519 or X25519MLKEM768. No tickets, no early data.

use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use super::Current;
use super::acceptor::ClientCertificates;
use super::verifier::{Shown, Verifier};
use crate::dialer::Peer;

/// What is spoken over TLS: gRPC, or the scraping of metrics.
pub(super) const H2: &[u8] = b"h2";
pub(super) const HTTP_1: &[u8] = b"http/1.1";

/// The cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
            kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
            ..default_provider()
        })
    });
    PROVIDER.clone()
}

/// Of a listener. It stays as it is: certificates and roots are asked for at each handshake.
pub(super) fn server(
    current: Current,
    admitted: Peer,
    certificates: ClientCertificates,
    protocol: &[u8],
) -> Arc<ServerConfig> {
    let verifier = Verifier::new(current.clone(), admitted, certificates);
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
    let mut config = builder
        .expect("the suites are of TLS 1.3")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Shown { current }));
    config.alpn_protocols = vec![protocol.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}

/// Of a dialer.
pub(super) fn client(current: Current, expected: Peer, protocol: &[u8]) -> Arc<ClientConfig> {
    let verifier = Verifier::new(current.clone(), expected, ClientCertificates::Required);
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
    let mut config = builder
        .expect("the suites are of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(Shown { current }));
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
