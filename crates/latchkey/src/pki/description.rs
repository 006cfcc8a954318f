//! What a certificate says, for people and programs.

use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

/// One certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) uris: Vec<String>,
    /// Names, then addresses.
    pub(crate) hosts: Vec<String>,
    pub(crate) is_root: bool,
    /// Unix seconds.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) sha256: String,
}

/// All certificates in a text, as far as they can be read.
pub(crate) fn describe(pem: &str) -> Vec<Described> {
    let found = Pem::iter_from_buffer(pem.as_bytes()).filter_map(Result::ok);
    found.filter_map(|one| one.parse_x509().ok().map(|certificate| described(&certificate, &one.contents))).collect()
}

fn described(certificate: &X509Certificate<'_>, bytes: &[u8]) -> Described {
    let (mut uris, mut hosts) = (Vec::new(), Vec::new());
    let names = certificate.subject_alternative_name().ok().flatten();
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => hosts.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => hosts.extend(address(bytes).map(|address| address.to_string())),
            _ => {}
        }
    }
    let validity = certificate.validity();
    Described {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        uris,
        hosts,
        is_root: certificate.is_ca(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
