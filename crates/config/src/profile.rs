//! The two sets of raft times that were measured (one machine hall; regions far apart).

use crate::field::Field;

/// Where the replicas stand. It gives the defaults of all raft times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Replicas on one site: writes are back 1.5 to 2 s after a leader's death.
    #[default]
    OneSite,
    /// Replicas in regions up to 100 ms apart: writes are back after 4 to 5.1 s.
    Wan,
}

/// The times of one profile. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) heartbeat_ms: u64,
    pub(crate) election_min_ms: u64,
    pub(crate) election_max_ms: u64,
    pub(crate) round_trip_ms: u64,
    pub(crate) staleness_floor_ms: u64,
}

impl Profile {
    pub(crate) const fn times(self) -> Times {
        match self {
            Self::OneSite => ONE_SITE,
            Self::Wan => WAN,
        }
    }
}

const ONE_SITE: Times = Times {
    heartbeat_ms: 150,
    election_min_ms: 600,
    election_max_ms: 1_200,
    round_trip_ms: 5,
    staleness_floor_ms: 5_000,
};

const WAN: Times = Times {
    heartbeat_ms: 500,
    election_min_ms: 1_500,
    election_max_ms: 3_000,
    round_trip_ms: 100,
    staleness_floor_ms: 10_000,
};

const fn fits(times: Times) -> bool {
    times.election_min_ms >= 3 * times.heartbeat_ms
        && times.election_max_ms >= times.election_min_ms
        && times.heartbeat_ms >= 4 * times.round_trip_ms
        && times.staleness_floor_ms >= staleness_needed_ms(times)
}

/// A replica hears of a new leader within this time of the old one's death: below it, freshness would end first.
pub(crate) const fn staleness_needed_ms(times: Times) -> u64 {
    let elections = times.election_max_ms.saturating_mul(2);
    let heartbeats = times.heartbeat_ms.saturating_mul(3);
    let round_trips = times.round_trip_ms.saturating_mul(4);
    elections.saturating_add(heartbeats).saturating_add(round_trips)
}

const _: () = assert!(fits(ONE_SITE) && fits(WAN));

impl Field for Profile {
    const EXPECTED: &'static str = "one-site or wan";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "one-site" => Some(Self::OneSite),
            "wan" => Some(Self::Wan),
            _ => None,
        }
    }
}
