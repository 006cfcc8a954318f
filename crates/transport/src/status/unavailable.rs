//! What cannot be done or decided now: try again, or elsewhere.

use std::time::Duration;

use latchkey_domain::{DurationMillis, NodeId};
use latchkey_wire::pb::v1::ErrorReason as Reason;
use tonic::{Code, Status};

use super::answer::Answer;
use crate::rule::Class;

/// Why a call cannot be answered now. Nothing was changed, except where a deadline ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// No leader is known and can be reached.
    NoLeader {
        /// The replica that says so, where a replica does.
        node: Option<NodeId>,
    },
    /// The replica has not heard of a leader for longer than the keyspace's bound.
    NotFresh {
        /// How long ago it did.
        age: DurationMillis,
        /// The bound.
        bound: DurationMillis,
    },
    /// The key-encryption key of this process is away.
    Locked,
    /// The leader's clock is too far from the voters' median to stamp a time.
    ClockSkew {
        /// How far, in milliseconds; ahead is positive.
        offset_ms: i64,
    },
    /// The revision given is of a newer epoch than this replica knows.
    EpochAhead {
        /// The epoch given.
        given: u64,
        /// The epoch here.
        current: u64,
    },
    /// The process sheds this class.
    Overloaded {
        /// The class.
        class: Class,
    },
    /// The replica loads its state, or catches up.
    Starting,
    /// The process is about to end.
    Stopping,
    /// The replica has fenced itself.
    Fenced,
    /// Audit is too far behind for anything but what ends something.
    AuditBehind {
        /// Entries that are not yet trimmed.
        entries: u64,
    },
    /// The leader's disk is nearly full.
    DiskFull,
    /// The audit service cannot store.
    AuditStopped,
    /// The replica was removed from the cluster.
    Removed {
        /// Its id.
        node: NodeId,
    },
}

impl Unavailable {
    /// When trying again makes sense: about as long as the cause lasts at best.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Stopping | Self::EpochAhead { .. } => Duration::from_millis(100),
            Self::NotFresh { .. } | Self::Overloaded { .. } => Duration::from_millis(250),
            Self::NoLeader { .. } => Duration::from_millis(500),
            Self::Starting | Self::ClockSkew { .. } => Duration::from_secs(1),
            Self::Locked
            | Self::Fenced
            | Self::AuditBehind { .. }
            | Self::DiskFull
            | Self::AuditStopped
            | Self::Removed { .. } => Duration::from_secs(5),
        }
    }

    /// The status.
    #[must_use]
    pub fn into_status(self) -> Status {
        self.into_answer().into_status()
    }

    pub(super) fn into_answer(self) -> Answer {
        let unavailable = |reason, message: String| Answer::new(Code::Unavailable, reason, message);
        let exhausted = |reason, message: String| Answer::new(Code::ResourceExhausted, reason, message);
        match self {
            Self::NoLeader { node } => {
                let answer = unavailable(Reason::NoLeader, "no leader is known and can be reached".to_owned());
                match node {
                    Some(node) => answer.with("node_id", &node.0),
                    None => answer,
                }
            }
            Self::NotFresh { age, bound } => unavailable(
                Reason::NotFresh,
                format!("this replica last heard of a leader {age} ago, the bound is {bound}"),
            )
            .with("age_ms", &age.millis())
            .with("bound_ms", &bound.millis()),
            Self::Locked => unavailable(Reason::Locked, "the key-encryption key of this process is away".to_owned()),
            Self::ClockSkew { offset_ms } => unavailable(
                Reason::ClockSkew,
                format!(
                    "the leader's clock is {offset_ms} ms from the median of the voters', at most 500 ms is allowed"
                ),
            )
            .with("offset_ms", &offset_ms),
            Self::EpochAhead { given, current } => unavailable(
                Reason::EpochAhead,
                format!("the revision is of epoch {given}, this replica knows epoch {current}"),
            )
            .with("given", &given)
            .with("current", &current),
            Self::Overloaded { class } => {
                let class = class.as_str();
                unavailable(Reason::Overloaded, format!("this process is full and sheds calls of class {class}"))
                    .with("class", class)
            }
            Self::Starting => unavailable(Reason::Starting, "this replica loads its state, or catches up".to_owned()),
            Self::Stopping => unavailable(Reason::Stopping, "this process is about to end".to_owned()),
            Self::Fenced => {
                unavailable(Reason::Fenced, "this replica has stopped answering until an operator acts".to_owned())
            }
            Self::AuditBehind { entries } => exhausted(
                Reason::AuditBehind,
                format!("audit is {entries} entries behind, so only what ends something is accepted"),
            )
            .with("entries", &entries)
            .quota("audit"),
            Self::DiskFull => {
                exhausted(Reason::DiskFull, "the disk of the leader is nearly full".to_owned()).quota("disk")
            }
            Self::AuditStopped => {
                unavailable(Reason::AuditStopped, "the audit service cannot store until an operator acts".to_owned())
            }
            Self::Removed { node } => unavailable(
                Reason::ReplicaRemoved,
                format!("replica {node} was removed from the cluster and answers no more; ask another"),
            )
            .with("node_id", &node.0),
        }
        .retry_after(self.retry_after())
    }
}

impl From<Unavailable> for Status {
    fn from(unavailable: Unavailable) -> Self {
        unavailable.into_status()
    }
}
