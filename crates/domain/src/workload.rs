//! Who a process is, by the SPIFFE id in its certificate: `spiffe://<trust domain>/<workload>`.

use crate::NodeId;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The longest SPIFFE id, by its specification.
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;

/// The longest name of a trust domain, by the same.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// The longest name of a client.
const CLIENT_BYTES_MAX: usize = 63;

/// Within which a certificate says who its holder is, such as `latchkey.example`: lower case letters, digits, `.`, `-` and
/// `_`, at most 255.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// Reads one; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=TRUST_DOMAIN_BYTES_MAX).contains(&text.len());
        let signs = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        (fits && text.bytes().all(signs)).then(|| Self(text.into()))
    }

    /// The SPIFFE id of a workload.
    #[must_use]
    pub fn id(&self, workload: &Workload) -> String {
        format!("spiffe://{self}/{workload}")
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a process is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// The replica of validation with this id: `replica/3`.
    Replica(NodeId),
    /// `issuance`.
    Issuance,
    /// `rotation`.
    Rotation,
    /// `audit`.
    Audit,
    /// Somebody who calls, and is none of ours: `client/prometheus`. A name of at most 63 letters, digits, `.`, `-` and `_`.
    Client(Box<str>),
}

impl Workload {
    /// Reads the path of a SPIFFE id, such as `replica/3`; `None` for what is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            None => match text {
                "issuance" => Some(Self::Issuance),
                "rotation" => Some(Self::Rotation),
                "audit" => Some(Self::Audit),
                _ => None,
            },
            // One way to write a number: `replica/03` would be a second name for the same replica.
            Some(("replica", number)) => {
                let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
                number.parse().ok().filter(|_| plain).map(|id| Self::Replica(NodeId(id)))
            }
            Some(("client", name)) => {
                let fits = (1..=CLIENT_BYTES_MAX).contains(&name.len()) && !name.bytes().all(|byte| byte == b'.');
                let signs = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                (fits && name.bytes().all(signs)).then(|| Self::Client(name.into()))
            }
            Some(_) => None,
        }
    }

    /// Whether it is one of the cluster's own processes.
    #[must_use]
    pub const fn is_internal(&self) -> bool {
        !matches!(self, Self::Client(_))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(node) => write!(f, "replica/{node}"),
            Self::Issuance => f.write_str("issuance"),
            Self::Rotation => f.write_str("rotation"),
            Self::Audit => f.write_str("audit"),
            Self::Client(name) => write!(f, "client/{name}"),
        }
    }
}

/// Splits a SPIFFE id into its trust domain and its path; `None` for what is none.
#[must_use]
pub fn read_spiffe_id(text: &str) -> Option<(TrustDomain, &str)> {
    let rest = text.strip_prefix("spiffe://").filter(|_| text.len() <= SPIFFE_ID_BYTES_MAX)?;
    let (domain, path) = rest.split_once('/')?;
    Some((TrustDomain::parse(domain)?, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_workload_prints_as_it_parses_and_in_no_second_way() {
        for text in
            ["replica/1", "replica/18446744073709551615", "issuance", "rotation", "audit", "client/prometheus-1"]
        {
            assert_eq!(Workload::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "replica",
            "replica/",
            "replica/0",
            "replica/03",
            "replica/+3",
            "replica/3/4",
            "replica/18446744073709551616",
            "Issuance",
            "issuance/",
            "client/",
            "client/..",
            "client/a b",
            "client/a/b",
            "admin",
        ] {
            assert_eq!(Workload::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_is_its_trust_domain_and_its_workload() {
        let domain = TrustDomain::parse("latchkey.example").unwrap();
        let id = domain.id(&Workload::Replica(NodeId(3)));
        assert_eq!(id, "spiffe://latchkey.example/replica/3");
        assert_eq!(read_spiffe_id(&id), Some((domain, "replica/3")));
        for text in ["https://latchkey.example/replica/3", "spiffe://Latchkey/audit", "spiffe://d", "spiffe:///audit"] {
            assert_eq!(read_spiffe_id(text), None, "{text}");
        }
    }

    #[test]
    fn only_clients_are_none_of_ours() {
        assert!(Workload::Audit.is_internal() && !Workload::parse("client/audit").unwrap().is_internal());
    }
}
