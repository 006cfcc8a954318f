//! Raft's words to and from protobuf, for the wire and for the disk. openraft's own serialisation is not used: it would
//! force a format of its own on our commands.

use crate::types::{Entry, IntroducedKey, LogCommand, LogId, Member, Membership, StoredMembership, Vote};
use bytes::Bytes;
use latchkey_telemetry::TraceParent;
use latchkey_wire::pb::disk::v1 as pb;
use openraft::{CommittedLeaderId, EntryPayload};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that are no word of raft. A replica that meets one stops rather than skip it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct WordError {
    /// What was expected.
    pub expected: &'static str,
    /// What was found.
    pub found: String,
}

fn missing(expected: &'static str) -> WordError {
    WordError { expected, found: "nothing".into() }
}

pub(crate) fn decode<M: Message + Default>(expected: &'static str, bytes: &[u8]) -> Result<M, WordError> {
    M::decode(bytes).map_err(|error| WordError { expected, found: error.to_string() })
}

pub(crate) fn log_id_to_pb(log_id: &LogId) -> pb::LogId {
    let leader = log_id.committed_leader_id();
    pb::LogId { term: leader.term, node_id: leader.node_id, index: log_id.index }
}

pub(crate) fn log_id_from_pb(log_id: &pb::LogId) -> LogId {
    LogId::new(CommittedLeaderId::new(log_id.term, log_id.node_id), log_id.index)
}

pub(crate) fn log_id_to_bytes(log_id: &LogId) -> Bytes {
    log_id_to_pb(log_id).encode_to_vec().into()
}

pub(crate) fn log_id_from_bytes(bytes: &[u8]) -> Result<LogId, WordError> {
    Ok(log_id_from_pb(&decode::<pb::LogId>("a log id", bytes)?))
}

pub(crate) fn vote_to_pb(vote: &Vote) -> pb::Vote {
    pb::Vote { term: vote.leader_id.term, node_id: vote.leader_id.node_id, committed: vote.committed }
}

pub(crate) fn vote_from_pb(vote: &pb::Vote) -> Vote {
    if vote.committed { Vote::new_committed(vote.term, vote.node_id) } else { Vote::new(vote.term, vote.node_id) }
}

fn membership_to_pb(membership: &Membership) -> pb::Membership {
    let voter_set = |ids: &BTreeSet<u64>| pb::VoterSet { node_ids: ids.iter().copied().collect() };
    let node = |member: &Member| pb::Node {
        region: member.region.clone(),
        raft_address: member.raft_address.clone(),
        address: member.address.clone(),
    };
    pb::Membership {
        configurations: membership.get_joint_config().iter().map(voter_set).collect(),
        nodes: membership.nodes().map(|(id, member)| (*id, node(member))).collect(),
    }
}

fn membership_from_pb(membership: pb::Membership) -> Membership {
    let configurations =
        membership.configurations.into_iter().map(|set| set.node_ids.into_iter().collect()).collect::<Vec<_>>();
    let member =
        |node: pb::Node| Member { region: node.region, raft_address: node.raft_address, address: node.address };
    let nodes: BTreeMap<u64, Member> = membership.nodes.into_iter().map(|(id, node)| (id, member(node))).collect();
    Membership::new(configurations, nodes)
}

pub(crate) fn stored_membership_to_pb(membership: &StoredMembership) -> pb::StoredMembership {
    pb::StoredMembership {
        log_id: membership.log_id().as_ref().map(log_id_to_pb),
        membership: Some(membership_to_pb(membership.membership())),
    }
}

pub(crate) fn stored_membership_from_pb(membership: pb::StoredMembership) -> StoredMembership {
    let log_id = membership.log_id.as_ref().map(log_id_from_pb);
    StoredMembership::new(log_id, membership.membership.map(membership_from_pb).unwrap_or_default())
}

pub(crate) fn record_to_pb(entry: &Entry) -> pb::LogRecord {
    let payload = match &entry.payload {
        EntryPayload::Blank => pb::log_record::Payload::Blank(pb::Blank {}),
        EntryPayload::Normal(command) => pb::log_record::Payload::Command(pb::SealedCommand {
            sealed: command.sealed.clone(),
            introduced: command.introduced.iter().map(introduced_to_pb).collect(),
        }),
        EntryPayload::Membership(membership) => pb::log_record::Payload::Membership(membership_to_pb(membership)),
    };
    let trace = match &entry.payload {
        EntryPayload::Normal(LogCommand { trace: Some(trace), .. }) => trace.to_bytes().to_vec(),
        _ => Vec::new(),
    };
    pb::LogRecord { log_id: Some(log_id_to_pb(&entry.log_id)), payload: Some(payload), trace_parent: trace }
}

pub(crate) fn record_from_pb(record: pb::LogRecord) -> Result<Entry, WordError> {
    let log_id = record.log_id.as_ref().map(log_id_from_pb).ok_or_else(|| missing("a record's log id"))?;
    let payload = match record.payload.ok_or_else(|| missing("a record's payload"))? {
        pb::log_record::Payload::Blank(_) => EntryPayload::Blank,
        pb::log_record::Payload::Command(command) => EntryPayload::Normal(LogCommand {
            sealed: command.sealed,
            introduced: command.introduced.into_iter().map(introduced_from_pb).collect::<Result<_, _>>()?,
            trace: TraceParent::from_bytes(&record.trace_parent),
        }),
        pb::log_record::Payload::Membership(membership) => EntryPayload::Membership(membership_from_pb(membership)),
    };
    Ok(Entry { log_id, payload })
}

fn introduced_to_pb(key: &IntroducedKey) -> pb::IntroducedKey {
    pb::IntroducedKey {
        number: key.number,
        id: key.id.to_vec(),
        wrapped_by: key.wrapped_by,
        wrapped: key.wrapped.clone(),
    }
}

fn introduced_from_pb(key: pb::IntroducedKey) -> Result<IntroducedKey, WordError> {
    let id = <[u8; 16]>::try_from(&key.id[..])
        .map_err(|_| WordError { expected: "a ring key's id of 16 bytes", found: format!("{} bytes", key.id.len()) })?;
    Ok(IntroducedKey { number: key.number, id, wrapped_by: key.wrapped_by, wrapped: key.wrapped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_lies_beside_the_command_and_none_takes_no_byte() {
        let entry = |trace| Entry {
            log_id: LogId::new(CommittedLeaderId::new(1, 1), 7),
            payload: EntryPayload::Normal(LogCommand { sealed: vec![7; 40].into(), introduced: Vec::new(), trace }),
        };
        let trace = TraceParent::from_bytes(&[1; 25]).expect("it names a trace and a span");
        let (with, without) = (record_to_pb(&entry(Some(trace))), record_to_pb(&entry(None)));
        assert_eq!(with.payload, without.payload);
        // A byte of tag and one of length, and only where there is one.
        assert_eq!(with.encoded_len(), without.encoded_len() + 25 + 2);

        let mut damaged = with.clone();
        damaged.trace_parent.truncate(24);
        let read = |record| match record_from_pb(record).expect("a record is read whatever its trace").payload {
            EntryPayload::Normal(command) => command.trace,
            _ => None,
        };
        assert_eq!((read(with), read(without), read(damaged)), (Some(trace), None, None));
    }
}
