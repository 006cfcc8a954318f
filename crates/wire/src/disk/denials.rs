//! What operators denied on one replica, as the replica keeps it.

use super::{DecodeError, decode_message, fixed, parsed, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{IdentityName, KeyName, ReasonText, UnixMillis};
use latchkey_state::LocalDenial;
use prost::Message as _;

/// The bytes of all denials of a replica.
#[must_use]
pub fn encode_denials(denials: &[LocalDenial]) -> Vec<u8> {
    disk::LocalDenials { denials: denials.iter().map(write).collect() }.encode_to_vec()
}

/// Reads what [`encode_denials`] wrote.
///
/// # Errors
/// [`DecodeError`] where a part is missing, unknown or not of its form.
pub fn decode_denials(bytes: &[u8]) -> Result<Vec<LocalDenial>, DecodeError> {
    decode_message::<disk::LocalDenials>(bytes)?.denials.iter().map(read).collect()
}

fn write(denial: &LocalDenial) -> disk::LocalDenial {
    let (lifted_by, lifted_at) = denial.lifted.as_ref().map(|(by, at)| (by.to_string(), at.millis())).unzip();
    disk::LocalDenial {
        id: denial.id.to_vec(),
        key: denial.key.to_string(),
        version_id: denial.version.map(|version| version.bytes().to_vec()),
        reason: disk::RevocationReason::from(denial.reason).into(),
        text: denial.text.to_string(),
        then: disk::local_denial::FollowUp::from(denial.then).into(),
        identity: denial.by.to_string(),
        at_unix_ms: denial.at.millis(),
        told: denial.told,
        lifted_by,
        lifted_at_unix_ms: lifted_at,
    }
}

fn read(denial: &disk::LocalDenial) -> Result<LocalDenial, DecodeError> {
    let identity = |name: &str, field| parsed(IdentityName::parse(name), field);
    let lifted = match (&denial.lifted_by, denial.lifted_at_unix_ms) {
        (None, None) => None,
        (Some(by), Some(at)) => Some((identity(by, "lifted_by")?, time(at, "lifted_at")?)),
        (Some(_), None) | (None, Some(_)) => return Err(DecodeError::new("lifted_by", "stands alone")),
    };
    let at: UnixMillis = time(denial.at_unix_ms, "at")?;
    Ok(LocalDenial {
        id: fixed(&denial.id, "id")?,
        key: parsed(KeyName::parse(&denial.key), "key")?,
        version: denial.version_id.as_deref().map(|id| version_id(id, "version_id")).transpose()?,
        reason: parsed(words::disk_revocation_reason(denial.reason), "reason")?,
        text: parsed(ReasonText::parse(&denial.text), "text")?,
        then: parsed(words::disk_follow_up(denial.then), "then")?,
        by: identity(&denial.identity, "identity")?,
        at,
        told: denial.told,
        lifted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{RevocationReason, VersionId};
    use latchkey_state::FollowUp;

    fn denial() -> LocalDenial {
        LocalDenial {
            id: [0x1D; 16],
            key: KeyName::parse("tenants/acme/keyspaces/live/keys/0123456789abcdef").unwrap(),
            version: None,
            reason: RevocationReason::Compromised,
            text: ReasonText::parse("found in a paste").unwrap(),
            then: FollowUp::Revoke,
            by: IdentityName::parse("tenants/acme/identities/oncall").unwrap(),
            at: UnixMillis::new(1_700_000_000_000),
            told: false,
            lifted: None,
        }
    }

    #[test]
    fn denials_read_as_they_were_written_and_nothing_else_reads() {
        let at = UnixMillis::new(1_700_000_000_001);
        let lifted = Some((IdentityName::parse("tenants/acme/identities/other").unwrap(), at));
        let version = Some(VersionId::parse("0123456789abcdef").unwrap());
        let all = vec![denial(), LocalDenial { version, told: true, lifted, then: FollowUp::Nothing, ..denial() }];
        let bytes = encode_denials(&all);
        assert_eq!(decode_denials(&bytes).as_ref(), Ok(&all));
        assert_eq!(decode_denials(&encode_denials(&[])), Ok(Vec::new()));
        for end in [1, bytes.len() - 1] {
            assert!(decode_denials(&bytes[..end]).is_err());
        }
        assert!(decode_denials(&[&bytes[..], &[0x7A, 0]].concat()).is_err(), "a field of a newer build");
    }
}
