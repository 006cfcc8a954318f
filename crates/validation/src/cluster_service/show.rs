//! What is shown of each replica: its place in the table, its part in consensus, and how it fares.

use latchkey_domain::{DurationMillis, NodeId, ReplicaRole, Revision};
use latchkey_registry::{Known, ReplicaStatus, Roster, View};
use latchkey_state::{Backup, Replica, ReplicaBackups, State, cosigner_name};
use latchkey_transparency::note::{Algorithm, VerifierKey};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::replica::{Role, State as Fares};
use latchkey_wire::time::{write_span, write_time};
use std::collections::BTreeMap;

/// Where the answer is given.
pub(super) struct Here<'a> {
    pub(super) node: NodeId,
    pub(super) epoch: u64,
    pub(super) view: &'a View,
}

/// All replicas by id: the members as `roster` knows them, and those of the table that are no members, or no more.
pub(super) fn replicas(here: &Here<'_>, members: Vec<ReplicaStatus>, roster: Option<&Roster>) -> Vec<v1::Replica> {
    let state = here.view.state();
    let mut shown: BTreeMap<NodeId, v1::Replica> =
        state.replicas().map(|row| (row.node, of_table(state, row))).collect();
    let known = |node| roster.and_then(|roster| roster.replicas.iter().find(|replica| replica.node == node));
    let default = state.cluster().map_or(DurationMillis::ZERO, |cluster| cluster.staleness_default);
    for member in members {
        let node = member.node;
        let member = known(node).cloned().unwrap_or(member);
        let place = shown.entry(node).or_default();
        of_member(place, member, here, default);
        let published = place.applied.map(|applied| applied.index);
        place.records_behind =
            roster.zip(published).map(|(roster, published)| roster.revision.index.saturating_sub(published));
    }
    shown.into_values().collect()
}

/// As the table says, where nothing else is known.
fn of_table(state: &State, row: &Replica) -> v1::Replica {
    let is_retired = row.role == ReplicaRole::Retired;
    v1::Replica {
        id: row.node.0,
        region: row.place.region().to_owned(),
        address: row.place.address().to_owned(),
        raft_address: row.place.raft_address().to_owned(),
        // Whoever is to vote does so once consensus says so.
        role: match row.role {
            ReplicaRole::Learner | ReplicaRole::Voter => Role::Learner.into(),
            ReplicaRole::Leaving => Role::Leaving.into(),
            ReplicaRole::Retired => Role::Retired.into(),
        },
        state: if is_retired { Fares::Removed } else { Fares::Unreachable }.into(),
        admit_time: Some(write_time(row.admitted.at)),
        retire_time: is_retired.then(|| write_time(row.changed.at)),
        verifier_key: cosigner_key(state, row).map_or_else(String::new, |key| key.to_string()),
        backups: row.backups.as_deref().map(write_backups),
        ..v1::Replica::default()
    }
}

fn write_backups(backups: &ReplicaBackups) -> v1::ReplicaBackups {
    v1::ReplicaBackups {
        given: backups.given.as_ref().map(write_backup),
        keep: backups.keep,
        kept: backups.kept.iter().map(write_backup).collect(),
        older: backups.older,
    }
}

fn write_backup(backup: &Backup) -> v1::BackupName {
    v1::BackupName {
        name: backup.to_string(),
        revision: Some(backup.revision.into()),
        take_time: Some(write_time(backup.taken_at)),
        replica: backup.node.0,
    }
}

/// What verifies what a replica cosigns.
fn cosigner_key(state: &State, row: &Replica) -> Option<VerifierKey> {
    let name = cosigner_name(state.cluster()?.id, row.node);
    VerifierKey::new(&name, Algorithm::CosignatureV1, &row.node_key?).ok()
}

/// What verifies the newest recorded checkpoint of the audit log.
pub(super) fn log_key(state: &State) -> Option<VerifierKey> {
    let progress = state.progress();
    let name = progress.log_name(state.cluster()?.id);
    VerifierKey::new(&name, Algorithm::Ed25519, &progress.checkpoint?.key).ok()
}

/// One member: what the leader knows of it, and what this one knows of itself.
fn of_member(shown: &mut v1::Replica, replica: ReplicaStatus, here: &Here<'_>, default: DurationMillis) {
    let ReplicaStatus { node, member, voter, known, holding, .. } = replica;
    shown.id = node.0;
    shown.region = member.region;
    shown.address = member.address;
    shown.raft_address = member.raft_address;
    if ![Role::Leaving, Role::Retired].contains(&shown.role()) {
        shown.role = if voter { Role::Voter } else { Role::Learner }.into();
    }
    shown.state = Fares::Unknown.into();
    let holds_from = holding.and_then(|holding| holding.holds_from);
    shown.holds_from = holds_from.map(|index| Revision::new(here.epoch, index).into());
    if let Some(known) = known {
        shown.state = state_of(&known, default);
        shown.applied = known.published.map(|index| Revision::new(here.epoch, index).into());
        shown.lease_age = known.lease_age.map(write_span);
        shown.clock_offset = known.clock_offset_ms.map(write_offset);
        shown.incarnation = known.incarnation;
    }
    if node == here.node {
        let age = here.view.age().ok();
        let fresh = age.is_some_and(|age| age <= default);
        shown.state = if fresh { Fares::Serving } else { Fares::NotFresh }.into();
        shown.applied = Some(here.view.state().revision().into());
        shown.lease_age = age.map(write_span);
    }
}

/// A replica that renews no lease any more is not heard of, whatever it said last.
fn state_of(known: &Known, default: DurationMillis) -> i32 {
    let heard = known.lease_age.is_some_and(|age| age <= default);
    let removed = known.state == Some(Fares::Removed.into());
    known.state.filter(|_| heard || removed).unwrap_or(Fares::Unreachable.into())
}

fn write_offset(offset_ms: i64) -> prost_types::Duration {
    let nanos = i32::try_from(offset_ms % 1_000 * 1_000_000).expect("below a second");
    prost_types::Duration { seconds: offset_ms / 1_000, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: DurationMillis = DurationMillis::from_secs(5);

    fn known(lease_age: Option<DurationMillis>) -> Known {
        let state = Some(Fares::Serving.into());
        Known { incarnation: Some(1), published: Some(9), lease_age, clock_offset_ms: None, state }
    }

    #[test]
    fn a_replica_that_renews_nothing_is_not_heard_of() {
        assert_eq!(state_of(&known(None), DEFAULT), i32::from(Fares::Unreachable));
        let late = DurationMillis::new(DEFAULT.millis() + 1);
        assert_eq!(state_of(&known(Some(late)), DEFAULT), i32::from(Fares::Unreachable));
        assert_eq!(state_of(&known(Some(DEFAULT)), DEFAULT), i32::from(Fares::Serving));
    }

    #[test]
    fn seconds_and_nanoseconds_of_an_offset_have_one_sign() {
        assert_eq!(write_offset(-1_250), prost_types::Duration { seconds: -1, nanos: -250_000_000 });
        assert_eq!(write_offset(250), prost_types::Duration { seconds: 0, nanos: 250_000_000 });
    }
}
