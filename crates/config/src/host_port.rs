//! Where a process is reached: a host and a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::field::Field;

/// The longest name that DNS knows.
const HOST_BYTES_MAX: usize = 253;

/// A host and a port, as in `replica-1.example:7720`, `10.0.0.1:7720` or `[::1]:7720`. A name is resolved by whoever dials,
/// each time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    Address(IpAddr),
    Name(Box<str>),
}

impl HostPort {
    /// Reads one. `None` where the host is neither an address nor a name, or where the port is missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(address.into());
        }
        let (host, port) = text.rsplit_once(':')?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits)?;
        is_name(host).then(|| Self { host: Host::Name(host.to_ascii_lowercase().into()), port })
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it can only be this machine: an address of loopback, or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => &**name == "localhost",
        }
    }
}

/// Letters, digits and hyphens in labels of at most 63, as a machine may be called, and underscores, which some are. The
/// last label is not all digits: that was to be an address.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= HOST_BYTES_MAX && host.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Address(address.ip()), port: address.port() }
    }
}

impl Field for HostPort {
    const EXPECTED: &'static str = "a host and a port, such as replica-1.example:7720";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_with_a_port_is_refused() {
        for text in
            ["", ":1", "host", "host:", "host:65536", "host:+1", "a b:1", "-a:1", "a..b:1", "1.2.3:1", "::1:1", "u@h:1"]
        {
            assert_eq!(HostPort::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_and_addresses_are_shown_as_they_are_read() {
        for text in ["replica-1.example:7720", "my_host:1", "10.0.0.1:7720", "[::1]:7720", "localhost:0"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HostPort::parse("Replica-1:1"), HostPort::parse("replica-1:1"));
    }

    #[test]
    fn only_what_can_be_no_other_machine_is_loopback() {
        let is_loopback = |text| HostPort::parse(text).unwrap().is_loopback();
        assert!(is_loopback("127.0.0.9:1") && is_loopback("[::1]:1") && is_loopback("LOCALHOST:1"));
        assert!(!is_loopback("0.0.0.0:1") && !is_loopback("localhost.example:1") && !is_loopback("127.example:1"));
    }
}
