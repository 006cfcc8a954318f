//! One use of a key, as it is written down while a caller waits: of a fixed size, and put together without allocating.

use latchkey_domain::{KeyspaceNumber, Outcome, TenantNumber, UnixMillis};
use latchkey_state::{Found, Holder};
use std::net::IpAddr;

/// Where a request came from: of one key, hosts of a network change, and networks do not.
const V4_BITS: u8 = 24;
const V6_BITS: u8 = 48;

/// Milliseconds of a minute.
pub(super) const MINUTE_MS: u64 = 60_000;

/// One use, or several that are alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) whose: Whose,
    pub(super) at: UnixMillis,
    pub(super) outcome: Outcome,
    /// The bucket of how long it took, of `latchkey_wire::latency`; absent: it was not timed.
    pub(super) latency: Option<u8>,
    pub(super) network: Packed,
    pub(super) count: u32,
}

/// Of whom a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) tenant: TenantNumber,
    pub(super) keyspace: Option<KeyspaceNumber>,
    pub(super) holder: Holder,
    /// The ids of key and version; zeros where no key was found.
    pub(super) key: [u8; 12],
    pub(super) version: [u8; 12],
}

/// A network of an end client in eight bytes; zero: none was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Packed(u64);

impl Use {
    /// In which minute it was.
    pub(super) const fn minute(&self) -> u64 {
        self.at.millis() / MINUTE_MS
    }

    /// Whether two may be counted as one.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.whose == other.whose
            && self.outcome == other.outcome
            && self.latency == other.latency
            && self.network == other.network
            && self.minute() == other.minute()
    }
}

impl Whose {
    pub(super) fn of(found: &Found<'_>) -> Self {
        Self {
            tenant: found.tenant.number,
            keyspace: Some(found.keyspace.number),
            holder: found.key.holder,
            key: *found.key.id.bytes(),
            version: *found.version.id.bytes(),
        }
    }

    /// Of nobody's key: counted where it was looked for.
    pub(super) const fn nobody(tenant: TenantNumber, keyspace: Option<KeyspaceNumber>) -> Self {
        Self { tenant, keyspace, holder: Holder::None, key: [0; 12], version: [0; 12] }
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.version == [0; 12]
    }
}

const V4: u64 = 1 << 56;
const V6: u64 = 2 << 56;

impl Packed {
    pub(super) const NONE: Self = Self(0);

    /// The network that an address is in.
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::NONE,
            Some(IpAddr::V4(address)) => Self(V4 | u64::from(address.to_bits() >> (32 - V4_BITS))),
            Some(IpAddr::V6(address)) => {
                let bits = u64::try_from(address.to_bits() >> (128 - u32::from(V6_BITS)));
                Self(V6 | bits.expect("48 bits fit"))
            }
        }
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The address and the length of the prefix, as they are sent.
    pub(super) fn bytes(self) -> Vec<u8> {
        let bits = self.0 & (V4 - 1);
        if self.0 & V6 == 0 {
            let [.., a, b, c] = bits.to_be_bytes();
            return vec![a, b, c, 0, V4_BITS];
        }
        let mut bytes = vec![0; 17];
        bytes[..6].copy_from_slice(&bits.to_be_bytes()[2..]);
        bytes[16] = V6_BITS;
        bytes
    }
}

/// An address alone, as it is sent.
pub(super) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().into_iter().chain([32]).collect(),
        IpAddr::V6(address) => address.octets().into_iter().chain([128]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(address: &str) -> Vec<u8> {
        Packed::of(Some(address.parse().unwrap())).bytes()
    }

    #[test]
    fn a_client_is_known_by_its_network() {
        assert_eq!(packed("192.0.2.77"), [192, 0, 2, 0, 24]);
        assert_eq!(packed("::ffff:192.0.2.77"), [192, 0, 2, 0, 24]);
        let mut v6 = vec![0x20, 0x01, 0x0d, 0xb8, 0, 7];
        v6.extend([0; 10]);
        v6.push(48);
        assert_eq!(packed("2001:db8:7:1::9"), v6);
        assert!(Packed::of(None).is_none() && !Packed::of(Some("0.0.0.0".parse().unwrap())).is_none());
        assert_eq!(address_bytes("192.0.2.77".parse().unwrap()), [192, 0, 2, 77, 32]);
    }
}
