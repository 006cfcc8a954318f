//! What a replica is to the cluster, and where it stands.

use alloc::boxed::Box;
use core::fmt;

/// Longest region. Bytes.
pub const REGION_BYTES_MAX: usize = 64;

/// Longest `host:port`: a DNS name, a colon and five digits. Bytes.
pub const ADDRESS_BYTES_MAX: usize = 259;

/// What a replica is meant to be. Raft's membership follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplicaRole {
    /// It follows without a vote.
    Learner,
    /// It votes.
    Voter,
    /// It is to go: it gets no more leases, and leaves once nobody can decide by it.
    Leaving,
    /// It is gone, and its id is never used again.
    Retired,
}

impl ReplicaRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Learner, Self::Voter, Self::Leaving, Self::Retired];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learner => "LEARNER",
            Self::Voter => "VOTER",
            Self::Leaving => "LEAVING",
            Self::Retired => "RETIRED",
        }
    }

    /// Whether it is to go, or gone.
    #[must_use]
    pub const fn is_going(self) -> bool {
        matches!(self, Self::Leaving | Self::Retired)
    }
}

impl fmt::Display for ReplicaRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a replica stands, and how it is reached. Printable ASCII without spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaPlace {
    region: Box<str>,
    raft_address: Box<str>,
    address: Box<str>,
}

/// Why something is no place of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceError {
    /// The part that is wrong.
    pub part: &'static str,
    /// How many bytes it may have.
    pub bytes_max: usize,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, bytes_max } = self;
        write!(f, "{part}: expected at most {bytes_max} bytes of printable ASCII without spaces")
    }
}

impl core::error::Error for PlaceError {}

impl ReplicaPlace {
    /// From its region and two addresses, `host:port` each.
    ///
    /// # Errors
    /// [`PlaceError`] where a part is too long, or has what no name or address has.
    pub fn new(region: &str, raft_address: &str, address: &str) -> Result<Self, PlaceError> {
        Ok(Self {
            region: part(region, "region", REGION_BYTES_MAX)?,
            raft_address: part(raft_address, "raft_address", ADDRESS_BYTES_MAX)?,
            address: part(address, "address", ADDRESS_BYTES_MAX)?,
        })
    }

    /// Its region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where the other replicas reach it, `host:port`.
    #[must_use]
    pub fn raft_address(&self) -> &str {
        &self.raft_address
    }

    /// Where its services are reached, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn part(text: &str, part: &'static str, bytes_max: usize) -> Result<Box<str>, PlaceError> {
    let holds = text.len() <= bytes_max && text.bytes().all(|byte| byte.is_ascii_graphic());
    if holds { Ok(text.into()) } else { Err(PlaceError { part, bytes_max }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn a_place_that_is_too_long_or_has_spaces_is_none() {
        let long: String = "a".repeat(REGION_BYTES_MAX + 1);
        let part = |region: &str, raft: &str| ReplicaPlace::new(region, raft, "b:1").map_err(|error| error.part);
        assert_eq!(part(&long, "a:1"), Err("region"));
        assert_eq!(part("north", "a 1"), Err("raft_address"));
        assert_eq!(part("north", "a:1").unwrap().raft_address(), "a:1");
    }
}
