//! How an epoch begins: a cluster goes on from less than all it had.

use latchkey_domain::ReplicaPlace;
use latchkey_transparency::Frontier;

/// Begins an epoch, with the replica that asks as the only one. Carried out while no replica serves, as the first record of
/// that epoch: within an epoch it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginEpoch {
    /// The epoch, above any that the cluster had.
    pub epoch: u64,
    /// What the cluster goes on from.
    pub origin: EpochOrigin,
    /// Where the replica stands, and how it is reached.
    pub place: ReplicaPlace,
    /// Where the audit log stands, where that is further than the state: the tree goes on from there. Absent: from where
    /// the state stands.
    pub audit: Option<Frontier>,
}

/// What a cluster goes on from in a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochOrigin {
    /// A backup. Whoever goes on has a new id.
    Backup,
    /// The folder of a replica that is left over. It keeps its id.
    Survivor,
}

impl EpochOrigin {
    /// Every origin.
    pub const ALL: [Self; 2] = [Self::Backup, Self::Survivor];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Survivor => "survivor",
        }
    }
}
