//! The certificates of a process, and what it means to have none.

use std::net::SocketAddr;
use std::path::PathBuf;

use latchkey_domain::TrustDomain;

use crate::declare::settings;
use crate::field::Field;
use crate::host_port::HostPort;
use crate::reader::Reader;

/// Whether callers need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// Whoever has none is not let in.
    #[default]
    Required,
    /// Whoever has none may call with a management key.
    Optional,
}

impl Field for ClientCertificates {
    const EXPECTED: &'static str = "required or optional";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "required" => Some(Self::Required),
            "optional" => Some(Self::Optional),
            _ => None,
        }
    }
}

impl Field for TrustDomain {
    const EXPECTED: &'static str = "a trust domain such as latchkey.example: lower case letters, digits, `.`, `-`, `_`";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

settings! {
    /// TLS 1.3, mutual. The first four go together: all of them, or none, which only does on loopback. The files are looked
    /// at each second, and new ones taken up without a dropped call.
    TlsSettings, checked by check {
        /// The certificate of this process, then those between it and a root. PEM. It names exactly one URI,
        /// `spiffe://<trust domain>/` and `replica/<node.id>`, `issuance`, `rotation` or `audit`: `latchkey pki issue` makes
        /// one. Default empty: plain text, on loopback only. Since 0.1.
        value certificate_file: Option<PathBuf> = "";
        /// Its key. PEM, PKCS #8, mode 0600. Default empty. Since 0.1.
        value key_file: Option<PathBuf> = "";
        /// The roots that are trusted: one, or two while one takes the place of the other. PEM. Default empty. Since 0.1.
        value trust_file: Option<PathBuf> = "";
        /// Within which ids are believed, such as `latchkey.example`. Default empty. Since 0.1.
        value trust_domain: Option<TrustDomain> = "";
        /// Whether callers of `listen` need a certificate: `required`, or `optional` where a management key is enough.
        /// Processes of the cluster always need theirs. Default `required`. Since 0.1.
        value client_certificates: ClientCertificates = "required";
    }
}

fn check(tls: &TlsSettings, reader: &mut Reader) {
    let set = [
        ("certificate_file", tls.certificate_file.is_some()),
        ("key_file", tls.key_file.is_some()),
        ("trust_file", tls.trust_file.is_some()),
        ("trust_domain", tls.trust_domain.is_some()),
    ];
    let any = set.iter().any(|(_, set)| *set);
    for (name, set) in set {
        let expected = "must be set where another of the four is".to_owned();
        reader.require(!any || set, name, "empty", expected, "set all four, or none");
    }
}

impl TlsSettings {
    /// Whether there are certificates.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.certificate_file.is_some()
    }

    /// What must hold for a service: whatever crosses a network is encrypted, and its processes can prove who they are.
    pub(crate) fn check_service(
        &self,
        reader: &mut Reader,
        secret: Option<&PathBuf>,
        listeners: &[(&str, SocketAddr)],
        peers: &[(&str, &HostPort)],
    ) {
        if self.is_on() {
            return;
        }
        let expected = || "must be on loopback where there is no TLS".to_owned();
        let remedy = "use 127.0.0.1 or [::1], or set tls.certificate_file, key_file, trust_file and trust_domain: \
                      else secrets would cross the network in the clear";
        for (name, address) in listeners {
            reader.require(address.ip().is_loopback(), name, address, expected(), remedy);
        }
        for (name, address) in peers {
            reader.require(address.is_loopback(), name, address, expected(), remedy);
        }
        let expected = "must be set where there is no TLS".to_owned();
        let remedy = "name the file with the secret that the services of this cluster share";
        reader.require(secret.is_some(), "cluster_secret_file", "empty", expected, remedy);
    }
}
