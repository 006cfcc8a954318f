//! What tests of several crates need: addresses for servers that have to be named before they listen.
//!
//! A port that the system hands out is free only for as long as it is held. Let go of, it may become the near end of any
//! connection, of a client that the test knows nothing of, and whoever was to listen there fails once in a thousand runs.
//! So ports are looked for below those that systems hand out, and no two tests of one process are given the same.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports that are looked at. `latchkey dev` in tests looks below them, and systems hand out those above.
const FROM: u32 = 30_000;
const COUNT: u32 = 2_768;

/// Tests of other processes begin to look elsewhere: neighbouring process ids are so many ports apart.
const STRIDE: u32 = 97;

/// How many ports this process has looked at.
static LOOKED: AtomicU32 = AtomicU32::new(0);

/// Addresses on loopback where nobody listens, for servers that are named before they start, and may start again.
///
/// # Errors
/// Where not so many ports are free.
pub fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let begin = std::process::id().wrapping_mul(STRIDE);
    let most = usize::try_from(COUNT).unwrap_or(usize::MAX);
    if count > most / 4 {
        let told = format!("expected at most {} addresses at once, found {count}", most / 4);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
    }
    // All are held until all are found: a process that looks at the same time finds others.
    let mut held = Vec::with_capacity(count);
    for _ in 0..COUNT {
        if held.len() == count {
            break;
        }
        let port = FROM + begin.wrapping_add(LOOKED.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(port).expect("all that are looked at are ports");
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    }
    if held.len() < count {
        let (found, last) = (held.len(), FROM + COUNT - 1);
        let told = format!("expected {count} free ports from {FROM} to {last} on loopback, found {found}");
        return Err(io::Error::new(io::ErrorKind::AddrInUse, told));
    }
    held.iter().map(TcpListener::local_addr).collect()
}

/// One such address.
///
/// # Errors
/// Where no port is free.
pub fn free_address() -> io::Result<SocketAddr> {
    let mut found = free_addresses(1)?;
    found.pop().ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))
}

/// An address where nobody listens, and nobody will: only root may bind its port, and no program of our days does.
#[must_use]
pub const fn nobody() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_address_is_given_twice_nor_is_one_that_the_system_hands_out() {
        let mut all = BTreeSet::new();
        for _ in 0..10 {
            for address in free_addresses(7).unwrap() {
                assert!((FROM..FROM + COUNT).contains(&u32::from(address.port())), "{address}");
                assert!(all.insert(address), "{address} was given twice");
            }
        }
    }

    #[test]
    fn what_somebody_listens_on_is_passed_over() {
        let _taken: Vec<_> = free_addresses(5).unwrap().into_iter().map(TcpListener::bind).collect();
        let address = free_address().unwrap();
        assert!(TcpListener::bind(address).is_ok());
    }

    #[test]
    fn nobody_may_take_them_all() {
        let told = free_addresses(3_000).unwrap_err().to_string();
        assert!(told.contains("found 3000"), "{told}");
    }

    #[test]
    fn nobody_listens_where_nobody_is() {
        assert!(std::net::TcpStream::connect(nobody()).is_err());
    }
}
