//! The bytes of what level 4 brought, in files of its own: those of the levels before must not change.

use crate::golden::{check, keyspace_with};
use crate::support::{START, settings};
use latchkey_domain::{DurationMillis, LastKnownMax, NodeId, ReplicaPlace, ReplicaRole, Revision};
use latchkey_state::{Change, KeyspaceSettings, Replica, Row, StalenessPolicy};
use std::sync::Arc;

#[test]
fn the_bytes_of_replicas_do_not_change() {
    let place = ReplicaPlace::new("eu-central", "raft.example:7721", "replica.example:7720").unwrap();
    let at = |index| Change { revision: Revision::new(3, index), at: START };
    let examples = ReplicaRole::ALL.map(|role| {
        let (node, place) = (NodeId(4), place.clone());
        Row::Replica(Arc::new(Replica {
            node,
            place,
            role,
            admitted: at(7),
            changed: at(9),
            node_key: None,
            backups: None,
        }))
        .canonical_bytes()
    });
    check("row/replica_level_4", &examples);
}

#[test]
fn the_bytes_of_a_keyspace_that_answers_from_what_was_known_last_do_not_change() {
    let examples = [LastKnownMax::MIN, DurationMillis::from_secs(60), LastKnownMax::MAX].map(|span| {
        let staleness_policy = StalenessPolicy::LastKnown(LastKnownMax::new(span).unwrap());
        keyspace_with(KeyspaceSettings { staleness_policy, ..settings("acme_live") }, None).canonical_bytes()
    });
    check("row/keyspace_level_4", &examples);
}
