//! Denials of one replica, on their way into the audit log.

use super::read_text;
use crate::disk::{DecodeError, parsed, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{IdentityName, KeyName, NodeId};
use latchkey_state::RecordedDenial;

pub(super) fn write_denials(denials: &[RecordedDenial]) -> disk::RecordDenials {
    let write = |denial: &RecordedDenial| disk::RecordedDenial {
        node_id: denial.replica.0,
        key: denial.key.to_string(),
        version_id: denial.version.map(|version| version.bytes().to_vec()),
        step: disk::recorded_denial::Step::from(denial.step).into(),
        reason: disk::RevocationReason::from(denial.reason).into(),
        text: denial.text.to_string(),
        identity: denial.by.to_string(),
        at_unix_ms: denial.at.millis(),
    };
    disk::RecordDenials { denials: denials.iter().map(write).collect() }
}

pub(super) fn read_denials(operation: &disk::RecordDenials) -> Result<Vec<RecordedDenial>, DecodeError> {
    let read = |denial: &disk::RecordedDenial| {
        let version = denial.version_id.as_deref().map(|id| version_id(id, "denial.version_id"));
        Ok(RecordedDenial {
            replica: NodeId(denial.node_id),
            key: parsed(KeyName::parse(&denial.key), "denial.key")?,
            version: version.transpose()?,
            step: parsed(words::disk_denial_step(denial.step), "denial.step")?,
            reason: parsed(words::disk_revocation_reason(denial.reason), "denial.reason")?,
            text: read_text(&denial.text)?,
            by: parsed(IdentityName::parse(&denial.identity), "denial.identity")?,
            at: time(denial.at_unix_ms, "denial.at")?,
        })
    };
    operation.denials.iter().map(read).collect()
}
