//! Raft between replicas.

use std::net::SocketAddr;

use crate::declare::settings;
use crate::profile::{Profile, Times, staleness_needed_ms};
use crate::reader::Reader;

settings! {
    /// Raft between replicas. All replicas of a cluster have the same.
    RaftSettings, checked by check {
        /// Where other replicas reach this one: an address and a port. Default `127.0.0.1:7721`. Since 0.1.
        value listen: SocketAddr = "127.0.0.1:7721";
        /// Where the replicas stand, `one-site` or `wan`: it gives the defaults below. Default `one-site`. Since 0.1.
        value profile: Profile = "one-site";
        /// How often the leader speaks to each follower. Milliseconds. Default 150 (`one-site`), 500 (`wan`). Since 0.1.
        value heartbeat_ms: u64 = profile.unwrap_or_default().times().heartbeat_ms;
        /// How far the patience of two followers lies apart: beyond `election_max_ms`, each waits for what it draws anew for
        /// every silence, up to `election_max_ms` less this. Milliseconds. Default 600 (`one-site`), 1500 (`wan`). Since 0.1.
        value election_min_ms: u64 = profile.unwrap_or_default().times().election_min_ms;
        /// The silence of a leader before which no follower grants a vote or stands for election. Milliseconds.
        /// Default 1200 (`one-site`), 3000 (`wan`). Since 0.1.
        value election_max_ms: u64 = profile.unwrap_or_default().times().election_max_ms;
        /// The round trip between the replicas that are farthest apart, as its slowest hundredth takes. Milliseconds.
        /// Default 5 (`one-site`), 100 (`wan`). Since 0.1.
        value round_trip_ms: u64 = profile.unwrap_or_default().times().round_trip_ms;
        /// The shortest `staleness_max` that a keyspace may choose, and its default: how long a replica answers after it
        /// last heard of a leader. Milliseconds. Default 5000 (`one-site`), 10000 (`wan`). Since 0.1.
        value staleness_floor_ms: u64 = profile.unwrap_or_default().times().staleness_floor_ms;
        /// The newest feature level that this replica says it knows: 1 or more, 0 is all that its build knows. The cluster
        /// raises its level once every replica knows the next one, and never lowers it. So hold it at the level in force
        /// while a new build is tried: until then going back to the old build is a restart, afterwards it is a restore of
        /// a backup. Take it out to go on. Default 0. Since 0.1.
        value feature_level_max: u64 = 0;
    }
}

fn check(raft: &RaftSettings, reader: &mut Reader) {
    let heartbeat = ("heartbeat_ms", raft.heartbeat_ms);
    let election_min = ("election_min_ms", raft.election_min_ms);
    reader.in_range("heartbeat_ms", raft.heartbeat_ms, 10..=10_000);
    reader.in_range("election_max_ms", raft.election_max_ms, 30..=60_000);
    reader.in_range("staleness_floor_ms", raft.staleness_floor_ms, 100..=600_000);
    reader.at_least(heartbeat, 4, ("round_trip_ms", raft.round_trip_ms));
    reader.at_least(election_min, 3, heartbeat);
    // Followers draw from between the two: where there is nothing between, all of them stand at once.
    let (min_ms, max_ms) = (raft.election_min_ms, raft.election_max_ms);
    let expected = format!("must be more than raft.election_min_ms ({min_ms})");
    reader.require(max_ms > min_ms, "election_max_ms", max_ms, expected, "raise the first or lower the second");

    let needed_ms = staleness_needed_ms(Times {
        heartbeat_ms: raft.heartbeat_ms,
        election_min_ms: raft.election_min_ms,
        election_max_ms: raft.election_max_ms,
        round_trip_ms: raft.round_trip_ms,
        staleness_floor_ms: raft.staleness_floor_ms,
    });
    let expected = format!(
        "must be at least 2 x raft.election_max_ms ({}) + 3 x raft.heartbeat_ms ({}) + 4 x raft.round_trip_ms ({}) = {needed_ms}",
        raft.election_max_ms, raft.heartbeat_ms, raft.round_trip_ms
    );
    let holds = raft.staleness_floor_ms >= needed_ms;
    let remedy = "raise it: below that, every leader's death would stop validation";
    reader.require(holds, "staleness_floor_ms", raft.staleness_floor_ms, expected, remedy);
}
