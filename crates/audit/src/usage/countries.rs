//! Countries of networks, by a database in MaxMind's format, where there is one. Asked as batches come, never on the path of a validation.

use super::counts::{COUNTRIES, COUNTRY_UNKNOWN};
use crate::collect::ObservedError;
use maxminddb::{Reader, path};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The database.
#[derive(Default)]
pub(crate) struct Countries(Option<Reader<Vec<u8>>>);

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Countries({})", self.are_known())
    }
}

impl Countries {
    /// Reads the database into memory, if one is named.
    ///
    /// # Errors
    /// [`ObservedError::Countries`].
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, ObservedError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let reader = Reader::open_readfile(path);
        let wrong =
            |error: maxminddb::MaxMindDbError| ObservedError::Countries { path: path.into(), what: error.to_string() };
        Ok(Self(Some(reader.map_err(wrong)?)))
    }

    /// Whether there is a database.
    pub(crate) const fn are_known(&self) -> bool {
        self.0.is_some()
    }

    /// The slot of the country of a network, given by its address and one byte with the length of its prefix.
    pub(crate) fn slot(&self, network: &[u8]) -> u16 {
        let country = || {
            let found = self.0.as_ref()?.lookup(address(network)?).ok()?;
            slot_of(&found.decode_path::<String>(&path!["country", "iso_code"]).ok()??)
        };
        country().unwrap_or(COUNTRY_UNKNOWN)
    }
}

/// The address of a network or a single client.
pub(crate) fn address(network: &[u8]) -> Option<IpAddr> {
    match network {
        [a, b, c, d, _] => Some(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))),
        [octets @ .., _] => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))),
        [] => None,
    }
}

/// A network as text; a single address without its prefix.
pub(crate) fn network_text(network: &[u8]) -> String {
    match (address(network), network.last()) {
        (Some(IpAddr::V4(address)), Some(32)) => address.to_string(),
        (Some(IpAddr::V6(address)), Some(128)) => address.to_string(),
        (Some(address), Some(prefix)) => format!("{address}/{prefix}"),
        _ => String::new(),
    }
}

/// The slot of a country of two letters.
pub(crate) fn slot_of(code: &str) -> Option<u16> {
    let &[one, other] = code.as_bytes() else { return None };
    let letter = |letter: u8| letter.is_ascii_uppercase().then(|| u16::from(letter - b'A'));
    Some(COUNTRIES.start + letter(one)? * 26 + letter(other)?)
}

/// The two letters of a slot; empty where the country is not known.
pub(crate) fn code_of(slot: u16) -> String {
    if !COUNTRIES.contains(&slot) || slot == COUNTRY_UNKNOWN {
        return String::new();
    }
    let number = slot - COUNTRIES.start;
    [number / 26, number % 26]
        .into_iter()
        .filter_map(|letter| char::from_u32(u32::from(b'A') + u32::from(letter)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_two_letters_has_a_slot_and_nothing_else_has() {
        for code in ["AA", "DE", "SE", "ZZ"] {
            assert_eq!(code_of(slot_of(code).unwrap()), code);
        }
        for code in ["", "D", "DEU", "de", "D1"] {
            assert_eq!(slot_of(code), None, "{code}");
        }
        assert_eq!(code_of(COUNTRY_UNKNOWN), "");
        assert!(slot_of("ZZ").unwrap() < COUNTRY_UNKNOWN);
    }

    #[test]
    fn networks_are_written_as_people_write_them() {
        assert_eq!(network_text(&[10, 1, 2, 0, 24]), "10.1.2.0/24");
        assert_eq!(network_text(&[10, 1, 2, 3, 32]), "10.1.2.3");
        assert_eq!(network_text(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 48]), "2001:db8::/48");
        assert_eq!((network_text(&[]), network_text(&[1, 2])), (String::new(), String::new()));
    }

    #[test]
    fn without_a_database_no_country_is_known() {
        let countries = Countries::open(None).unwrap();
        assert_eq!((countries.are_known(), countries.slot(&[10, 1, 2, 0, 24])), (false, COUNTRY_UNKNOWN));
        assert!(matches!(Countries::open(Some(Path::new("/dev/null"))), Err(ObservedError::Countries { .. })));
    }

    /// Of a database that another program wrote: tests/countries/make.py.
    fn countries_of(name: &str, networks: &[&str]) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/countries").join(name);
        let countries = Countries::open(Some(&path)).unwrap();
        let code = |network: &&str| {
            let (address, prefix) = network.split_once('/').unwrap();
            let octets = match address.parse().unwrap() {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            code_of(countries.slot(&[&octets[..], &[prefix.parse().unwrap()]].concat()))
        };
        networks.iter().map(code).collect()
    }

    #[test]
    fn a_database_of_maxminds_format_tells_the_countries_of_networks_of_both_kinds() {
        let v4 = ["192.0.2.0/24", "192.0.2.77/32", "198.51.100.9/32", "198.51.100.127/32"];
        let v6 = ["2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::1/128"];
        assert_eq!(countries_of("countries.mmdb", &v4), ["DE", "DE", "SE", "SE"]);
        assert_eq!(countries_of("countries.mmdb", &v6), ["DE", "SE", "SE"]);
        assert_eq!(countries_of("countries-v4.mmdb", &v4), ["DE", "DE", "SE", "SE"]);
        // A database of IPv4 alone knows nothing of IPv6.
        assert_eq!(countries_of("countries-v4.mmdb", &v6), ["", "", ""]);
    }

    #[test]
    fn a_network_that_is_registered_somewhere_and_lies_nowhere_has_no_country() {
        let (nowhere, empty, unlisted) = (["203.0.113.0/24", "2001:db8:ffff::/48"], "198.18.0.0/24", "2001:db8:9::/48");
        let networks = [nowhere[0], nowhere[1], empty, unlisted, "198.51.100.128/32", "127.0.0.1/32", "::1/128"];
        assert!(countries_of("countries.mmdb", &networks).iter().all(String::is_empty));
    }
}
