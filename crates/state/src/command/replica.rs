//! Commands about replicas: what each is meant to be. The leader makes raft's membership follow.

use latchkey_domain::{NodeId, ReplicaPlace, ReplicaRole};

/// Replicas that are not retired, in one cluster. More than anyone votes with.
pub const REPLICAS_MAX: usize = 64;

/// Admits a replica. Its id is the cluster's from now on, and never another replica's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmitReplica {
    /// Its id, at least 1.
    pub node: NodeId,
    /// Where it stands, and how it is reached.
    pub place: ReplicaPlace,
    /// What it begins as: a voter only where it is one already, as those are that the cluster was founded with.
    pub role: ReplicaRole,
}

/// Takes a replica one step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepReplica {
    /// The replica.
    pub node: NodeId,
    /// Which step.
    pub step: ReplicaStep,
}

/// What becomes of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaStep {
    /// A learner gets a vote.
    Promote,
    /// A voter loses its vote, and follows on.
    Demote,
    /// It is to leave.
    Remove,
    /// It has left; asked by the leader alone, once nobody can decide by it.
    Retire,
    /// It is to lead.
    Lead,
}

impl ReplicaStep {
    /// Every step.
    pub const ALL: [Self; 5] = [Self::Promote, Self::Demote, Self::Remove, Self::Retire, Self::Lead];
}
