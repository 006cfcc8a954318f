//! Who dialled: the kernel's table names the socket at the other end, and one of our processes holds it.

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// Which replica holds the far end of a connection that was accepted at `here` from `peer`.
pub(super) fn of(peer: SocketAddr, here: SocketAddr, processes: &[(u64, u32)]) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let held = format!("socket:[{}]", inode(&table, peer, here)?);
    let holds = |process: u32| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok();
        let links = files.into_iter().flatten().filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        links.into_iter().any(|link| link.as_os_str() == held.as_str())
    };
    processes.iter().find(|(_, process)| holds(*process)).map(|(id, _)| *id)
}

/// The inode of the socket that has these ends, seen from the other side.
fn inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<&str> {
    let (local, remote) = (in_hex(local)?, in_hex(remote)?);
    let mut rows = table.lines().skip(1).map(|row| row.split_whitespace());
    rows.find_map(|mut row| {
        let (at, to) = (row.nth(1)?, row.next()?);
        (at == local && to == remote).then(|| row.nth(6)).flatten()
    })
}

/// An address as the kernel writes it: the four bytes as one number of this machine.
fn in_hex(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1E28 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:9C40 0100007F:1E28 01 00000000:00000000 00:00000000 00000000     0        0 22 1 0 20 4 30 10 -1
   2: 0100007F:1E28 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 33 1 0 20 4 30 10 -1
";

    #[test]
    fn the_socket_of_whoever_dialled_is_found_and_not_that_of_the_proxy() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(inode(TABLE, at(0x9C40), at(0x1E28)), Some("22"));
        assert_eq!(inode(TABLE, at(0x9C41), at(0x1E28)), None);
    }

    #[test]
    fn a_process_that_dials_is_told_from_one_that_does_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let here = listener.local_addr().unwrap();
        let _dialled = TcpStream::connect(here).unwrap();
        let (_accepted, peer) = listener.accept().unwrap();
        // The first process of a machine holds no socket of ours.
        assert_eq!(of(peer, here, &[(1, 1), (2, std::process::id())]), Some(2));
        assert_eq!(of(peer, here, &[(1, 1)]), None);
    }
}
