//! Who is connected, and how often: nobody holds so many connections that others find none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shares of a client that a network has from which many addresses may come: of IPv6 a house has a /56, and whoever asks for it a /48.
const SHARES_OF_NETWORK: usize = 2;

/// Clients and their networks, and how many connections each has.
#[derive(Clone, Debug)]
pub(super) struct Guests {
    connections: Arc<Mutex<HashMap<Network, usize>>>,
    each_max: usize,
}

/// An address, and how many of its bits count.
type Network = (IpAddr, u32);

/// One connection of one client; dropping it makes room.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Guests,
    networks: Vec<Network>,
}

impl Guests {
    /// Each client may have so many.
    pub(super) fn new(each_max: usize) -> Self {
        Self { connections: Arc::default(), each_max }
    }

    /// Takes note of a connection from this address; `None` where its client, or the network of that, has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Guest> {
        let (networks, mut connections) = (networks(address), self.locked());
        let most = (0..).map(|at| if at == 0 { self.each_max } else { self.each_max * SHARES_OF_NETWORK });
        let has_room = |(network, most)| connections.get(network).is_none_or(|count| *count < most);
        if !networks.iter().zip(most).all(has_room) {
            return None;
        }
        networks.iter().for_each(|network| *connections.entry(*network).or_default() += 1);
        drop(connections);
        Some(Guest { guests: self.clone(), networks })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut connections = self.guests.locked();
        for network in &self.networks {
            if let Entry::Occupied(mut count) = connections.entry(*network) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

/// Whose address it is, the client first: with IPv6 whoever has one has the whole /64, and may have a whole /48.
fn networks(address: IpAddr) -> Vec<Network> {
    match address.to_canonical() {
        IpAddr::V6(address) => [64, 48]
            .map(|bits| {
                let others = u128::BITS - bits;
                (IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> others << others)), bits)
            })
            .to_vec(),
        v4 => vec![(v4, u32::BITS)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_at_most_its_share_and_leaves_nothing_behind() {
        let guests = Guests::new(2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = guests.enter(address("192.0.2.7")).unwrap();
        let _two = guests.enter(address("::ffff:192.0.2.7")).unwrap();
        assert!(guests.enter(address("192.0.2.7")).is_none());
        let _other = guests.enter(address("192.0.2.8")).unwrap();
        drop(one);
        let _again = guests.enter(address("192.0.2.7")).unwrap();
        let v6 = [guests.enter(address("2001:db8::1")), guests.enter(address("2001:db8::ffff:1"))];
        assert!(v6.iter().all(Option::is_some) && guests.enter(address("2001:db8:0:0:9::")).is_none());
        // The next of the same house, and no more of them; that of another has its own.
        let house = ["2001:db8:0:1::1", "2001:db8:0:2::1"].map(|text| guests.enter(address(text)));
        assert!(house.iter().all(Option::is_some) && guests.enter(address("2001:db8:0:3::1")).is_none());
        assert!(guests.enter(address("2001:db8:1::1")).is_some());
        drop((v6, house));
        assert_eq!(guests.connections.lock().unwrap().len(), 2, "those who left are forgotten");
    }
}
