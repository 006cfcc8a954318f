//! How often an address may try to revoke a key by its text. Nobody proves who he is there, so the address is all there
//! is to count by.

use latchkey_telemetry::Clock;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Attempts of one address in one window. A person who lost a few keys is not held up, and a guess is worth nothing.
pub(crate) const ATTEMPTS_PER_WINDOW: u32 = 10;

/// The window. It begins with the first attempt of an address.
const WINDOW_MS: u64 = 60_000;

/// Addresses counted at once, at about 50 bytes each. Beyond it the oldest window makes room: whoever has more addresses
/// than this gains little by it, and an emergency from an address of its own is never locked out by his.
const ADDRESSES_MAX: usize = 10_000;

/// The attempts of all addresses.
pub(crate) struct Attempts {
    clock: Arc<dyn Clock>,
    windows: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    began_ms: u64,
    attempts: u32,
}

impl Window {
    /// How much of it is left; nothing of one that is over.
    const fn left_ms(self, now_ms: u64) -> u64 {
        (self.began_ms + WINDOW_MS).saturating_sub(now_ms)
    }
}

impl Attempts {
    /// By the clock of boot time, which nobody sets.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, windows: Mutex::default() }
    }

    /// Counts an attempt from `address`; all that come without one count as one address.
    ///
    /// # Errors
    /// How long the address has to wait. What is refused does not count.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let (address, now_ms) = (network_of(address), self.clock.boottime_millis());
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(&address) && windows.len() >= ADDRESSES_MAX {
            make_room(&mut windows, now_ms);
        }
        let window = windows.entry(address).or_insert(Window { began_ms: now_ms, attempts: 0 });
        if window.left_ms(now_ms) == 0 {
            *window = Window { began_ms: now_ms, attempts: 0 };
        }
        if window.attempts >= ATTEMPTS_PER_WINDOW {
            return Err(Duration::from_millis(window.left_ms(now_ms)));
        }
        window.attempts += 1;
        Ok(())
    }
}

/// Drops what is over; where nothing is, the oldest.
fn make_room(windows: &mut HashMap<IpAddr, Window>, now_ms: u64) {
    windows.retain(|_, window| window.left_ms(now_ms) > 0);
    if windows.len() < ADDRESSES_MAX {
        return;
    }
    let oldest = windows.iter().min_by_key(|(_, window)| window.began_ms).map(|(address, _)| *address);
    oldest.map(|address| windows.remove(&address));
}

/// A host has a whole /64 of IPv6 addresses to choose from, so that is what counts.
fn network_of(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        Some(address) => address,
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::UnixMillis;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Manual(AtomicU64);

    impl Clock for Manual {
        fn unix_millis(&self) -> UnixMillis {
            UnixMillis::new(0)
        }

        fn boottime_millis(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn attempts() -> (Attempts, Arc<Manual>) {
        let clock = Arc::new(Manual::default());
        (Attempts::new(clock.clone()), clock)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_attempts_and_then_waits_for_the_rest_of_its_window() {
        let (attempts, clock) = attempts();
        for _ in 0..ATTEMPTS_PER_WINDOW {
            assert_eq!(attempts.admit(address("192.0.2.1")), Ok(()));
        }
        clock.0.store(59_999, Ordering::Relaxed);
        assert_eq!(attempts.admit(address("192.0.2.1")), Err(Duration::from_millis(1)));
        assert_eq!(attempts.admit(address("192.0.2.2")), Ok(()), "another address is not held up");
        clock.0.store(60_000, Ordering::Relaxed);
        assert_eq!(attempts.admit(address("192.0.2.1")), Ok(()));
    }

    #[test]
    fn the_addresses_of_one_host_count_together() {
        let (attempts, _) = attempts();
        for host in 0..ATTEMPTS_PER_WINDOW {
            assert_eq!(attempts.admit(address(&format!("2001:db8::{host:x}"))), Ok(()));
        }
        assert!(attempts.admit(address("2001:db8::ffff:1")).is_err());
        assert_eq!(attempts.admit(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(attempts.admit(None), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_locks_out_nobody_else() {
        let (attempts, clock) = attempts();
        for number in 0..ADDRESSES_MAX + 100 {
            clock.0.fetch_add(1, Ordering::Relaxed);
            let address = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            assert_eq!(attempts.admit(Some(address)), Ok(()));
        }
        assert_eq!(attempts.windows.lock().unwrap().len(), ADDRESSES_MAX);
        assert_eq!(attempts.admit(address("192.0.2.1")), Ok(()));
    }
}
