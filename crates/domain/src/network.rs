//! Client networks: CIDR blocks of IPv4 and IPv6, compared as numbers, never as text.
//!
//! An IPv4 client that reaches a dual-stack socket shows up as `::ffff:a.b.c.d`. Both spellings are one address here, so networks
//! and addresses of that form are folded to IPv4. Hence an IPv6 network holds IPv6 clients only: `::/0` is not everybody.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bounded_set::BoundedSet;

/// Most networks in one set.
pub const NETWORKS_MAX: usize = 64;

/// The bits before the IPv4 address in `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

/// A CIDR block such as `10.0.0.0/8` or `2001:db8::/32`, with all host bits zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Networks. What an empty set means is for its owner to say: in [`Terms`](crate::Terms) it restricts nothing.
pub type NetworkSet = BoundedSet<Network, NETWORKS_MAX>;

/// A text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkError {
    /// What stands before the `/` is no IPv4 or IPv6 address (a zone such as `%eth0` is not allowed).
    Address,
    /// What stands after the `/` is no decimal number without leading zeros up to `max`.
    PrefixLength {
        /// 32 for IPv4, 128 for IPv6.
        max: u8,
    },
    /// The address has bits beyond the prefix, so either of the two is a mistake.
    HostBits {
        /// The network that the address lies in.
        corrected: Network,
    },
    /// An IPv4-mapped address with fewer than 96 bits means neither an IPv4 nor a useful IPv6 network.
    MappedPrefixLength {
        /// The bits that were found.
        found: u8,
    },
}

impl Network {
    /// Reads a network; a bare address is the network of that one address.
    ///
    /// # Errors
    /// [`NetworkError`]; for stray host bits it tells the network that was probably meant.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix_bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let max = address_bits(address);
        match prefix_bits {
            Some(bits) => Self::new(address, parse_bits(bits, max)?),
            None => Self::new(address, max),
        }
    }

    /// The network of the first `prefix_bits` bits of `address`.
    ///
    /// # Errors
    /// [`NetworkError`]; for stray host bits it tells the network that was probably meant.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Result<Self, NetworkError> {
        let max = address_bits(address);
        if prefix_bits > max {
            return Err(NetworkError::PrefixLength { max });
        }
        let (address, prefix_bits) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), folded @ IpAddr::V4(_)) => {
                let Some(bits) = prefix_bits.checked_sub(MAPPED_BITS) else {
                    return Err(NetworkError::MappedPrefixLength { found: prefix_bits });
                };
                (folded, bits)
            }
            (address, _) => (address, prefix_bits),
        };
        let network = Self { address: network_address(address, prefix_bits), prefix_bits };
        if network.address != address {
            return Err(NetworkError::HostBits { corrected: network });
        }
        Ok(network)
    }

    /// The lowest address of the network.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits all addresses of the network share: 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub const fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether `address` lies in the network, after folding.
    pub fn contains(&self, address: IpAddr) -> bool {
        network_address(address.to_canonical(), self.prefix_bits) == self.address
    }

    /// Whether all addresses of `other` lie in this network.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix_bits <= other.prefix_bits && self.contains(other.address)
    }
}

impl NetworkSet {
    /// Whether `address` lies in one of the networks, after folding.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.iter().any(|network| network.contains(address))
    }

    /// Whether all addresses of `other` lie in one of the networks. Two halves are not added up to their whole.
    pub fn covers(&self, other: &Network) -> bool {
        self.iter().any(|network| network.covers(other))
    }
}

const fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn parse_bits(text: &str, max: u8) -> Result<u8, NetworkError> {
    // `str::parse` alone would take `+8` and `08`, and other readers take `010` for octal.
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.parse() {
        Ok(bits) if canonical && bits <= max => Ok(bits),
        _ => Err(NetworkError::PrefixLength { max }),
    }
}

/// `address` with all bits after the first `prefix_bits` zero. An IPv4 address has no more than 32 to keep.
fn network_address(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host_bits = 32u32.saturating_sub(prefix_bits.into());
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & u32::MAX.checked_shl(host_bits).unwrap_or(0)))
        }
        IpAddr::V6(address) => {
            let host_bits = 128u32.saturating_sub(prefix_bits.into());
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0)))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("expected an IPv4 or IPv6 address without a zone"),
            Self::PrefixLength { max } => write!(f, "the prefix length must be a decimal number from 0 to {max}"),
            Self::HostBits { corrected } => write!(f, "bits are set after the prefix, did you mean {corrected}"),
            Self::MappedPrefixLength { found } => {
                write!(f, "an IPv4-mapped network needs a prefix of at least {MAPPED_BITS} bits, found {found}")
            }
        }
    }
}

impl core::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0/8",
            "10.0.0.0.0",
            "010.0.0.1",
            "256.0.0.0",
            " 10.0.0.0",
            "fe80::1%eth0",
            "::g",
            "localhost",
            "10.0.0.0:80",
        ] {
            assert_eq!(Network::parse(text), Err(NetworkError::Address), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_length_that_is_no_plain_number_in_range_is_refused() {
        for bits in
            ["", "33", "128", "-1", "+8", "08", "00", " 8", "8 ", "8/8", "255.0.0.0", "256", "99999999999", "\u{0668}"]
        {
            let text = format!("10.0.0.0/{bits}");
            assert_eq!(Network::parse(&text), Err(NetworkError::PrefixLength { max: 32 }), "{text:?}");
        }
        assert_eq!(Network::parse("::/129"), Err(NetworkError::PrefixLength { max: 128 }));
    }

    #[test]
    fn stray_host_bits_are_refused_and_the_error_tells_the_network() {
        for (text, corrected) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.1/0", "0.0.0.0/0"),
            ("192.168.1.129/25", "192.168.1.128/25"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::1/0", "::/0"),
            ("::ffff:10.1.0.0/104", "10.0.0.0/8"),
        ] {
            let expected = NetworkError::HostBits { corrected: network(corrected) };
            assert_eq!(Network::parse(text), Err(expected), "{text}");
            assert_eq!(expected.to_string(), format!("bits are set after the prefix, did you mean {corrected}"));
        }
    }

    #[test]
    fn a_mapped_network_wider_than_ipv4_is_refused() {
        for (text, found) in [("::ffff:0:0/95", 95), ("::ffff:10.0.0.0/8", 8), ("::ffff:0.0.0.0/0", 0)] {
            assert_eq!(Network::parse(text), Err(NetworkError::MappedPrefixLength { found }), "{text}");
        }
    }

    #[test]
    fn mapped_networks_and_addresses_are_folded_to_ipv4() {
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:0:0/96"), network("0.0.0.0/0"));
        assert_eq!(network("::ffff:a01:203"), network("10.1.2.3/32"));
        assert!(network("10.0.0.0/8").contains(address("::ffff:10.1.2.3")));
        assert!(!network("10.0.0.0/8").contains(address("::10.1.2.3")));
    }

    #[test]
    fn an_ipv6_network_holds_no_ipv4_client_and_the_reverse() {
        for ipv6 in ["::/0", "::/64", "::/80", "::fffe:0:0/95"] {
            assert!(!network(ipv6).contains(address("10.0.0.1")), "{ipv6}");
            assert!(!network(ipv6).contains(address("::ffff:10.0.0.1")), "{ipv6}");
        }
        assert!(!network("0.0.0.0/0").contains(address("::1")));
    }

    #[test]
    fn a_network_ends_at_its_last_address() {
        for (text, first, last, before, after) in [
            ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
            ("10.0.0.4/31", "10.0.0.4", "10.0.0.5", "10.0.0.3", "10.0.0.6"),
            ("10.0.0.4", "10.0.0.4", "10.0.0.4", "10.0.0.3", "10.0.0.5"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff::", "2001:db9::"),
        ] {
            let network = network(text);
            assert!(network.contains(address(first)) && network.contains(address(last)), "{text}");
            assert!(!network.contains(address(before)) && !network.contains(address(after)), "{text}");
        }
    }

    #[test]
    fn a_network_covers_itself_and_its_parts_only() {
        for (whole, part) in [("10.0.0.0/9", "10.0.0.0/8"), ("10.0.0.0/8", "11.0.0.0/9"), ("::/0", "10.0.0.0/8")] {
            assert!(!network(whole).covers(&network(part)), "{whole} {part}");
        }
        for (whole, part) in [("10.0.0.0/8", "10.128.0.0/9"), ("10.0.0.0/8", "10.0.0.0/8"), ("::/0", "2001:db8::/32")] {
            assert!(network(whole).covers(&network(part)), "{whole} {part}");
        }
    }

    #[test]
    fn a_network_is_small() {
        assert!(size_of::<Network>() <= 18);
    }
}
