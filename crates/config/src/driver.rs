//! Driving rotations.

use crate::declare::settings;
use crate::reader::Reader;

settings! {
    /// Driving rotations: those that policies ask for, and the steps of each. Of all rotation services of a cluster one
    /// drives at a time; where it dies, another goes on within about 10 seconds.
    DriverSettings, checked by check {
        /// Whether this service may drive: `true` or `false`. Without any that may, no rotation is begun by itself, and what
        /// is under way ends by the clock alone. Default `true`. Since 0.1.
        value enabled: bool = "true";
        /// How often it looks for what to do, 100 to 60000. Milliseconds. Default 1000. Since 0.1.
        value poll_ms: u64 = "1000";
        /// How many keys it may write a second, 1 to 10000: what is due is spread out, so that the cluster has room for
        /// everybody else. A rotation takes about five writes. Default 50. Since 0.1.
        value writes_per_second_max: u64 = "50";
        /// How many rotations it works on at once, 1 to 1000: each may be waiting for a store or a check. Of these a quarter at
        /// most are of one store, so that one that hangs keeps no other waiting. Default 32. Since 0.1.
        value parallel_max: u64 = "32";
    }
}

fn check(driver: &DriverSettings, reader: &mut Reader) {
    reader.in_range("poll_ms", driver.poll_ms, 100..=60_000);
    reader.in_range("writes_per_second_max", driver.writes_per_second_max, 1..=10_000);
    reader.in_range("parallel_max", driver.parallel_max, 1..=1_000);
}
