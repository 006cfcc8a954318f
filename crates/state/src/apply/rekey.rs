//! Making anew what was made with an old pepper or data key: the versions themselves stay as they are, and nobody who
//! validates sees a difference.

use super::Answer;
use super::ring_rotation::need_room;
use super::transaction::{Telling, Transaction};
use crate::command::{RedigestVersions, ResealInners};
use crate::event::Action;
use crate::key::{Key, Version};
use crate::records::RingPurpose;
use crate::ring::sealed_under;
use crate::row::Row;
use crate::upkeep::KeyAt;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use latchkey_domain::{Refusal, RingNumber, VersionId};

/// Versions that are gone since are passed over, as are those that have this pepper already.
pub(super) fn redigest_versions(
    transaction: &mut Transaction<'_>,
    operation: &RedigestVersions,
) -> Result<Answer, Refusal> {
    need_room(operation.versions.len())?;
    let pepper = operation.pepper;
    // Under another than the newest they would have to be made anew once more.
    if transaction.state().newest_ring_key(RingPurpose::Pepper).is_none_or(|newest| newest.number != pepper) {
        return Err(Refusal::RingKeyGone { number: pepper.0 });
    }
    let mut count = 0;
    for (at, id, digest) in &operation.versions {
        count += change(transaction, *at, *id, |version| {
            let is_old = version.pepper != pepper;
            if is_old {
                (version.pepper, version.digest) = (pepper, *digest);
            }
            is_old
        });
    }
    tell(transaction, Action::VersionsRedigested, pepper, count);
    Ok(Answer::Counted(count))
}

/// Versions that are gone since are passed over, as are those whose keyspace has another data key by now.
pub(super) fn reseal_inners(transaction: &mut Transaction<'_>, operation: &ResealInners) -> Result<Answer, Refusal> {
    need_room(operation.versions.len())?;
    let data_key = operation.data_key;
    let mut count = 0;
    for (at, id, inner) in &operation.versions {
        let keyspace = transaction.state().keyspaces().by_number(at.0);
        let is_current = keyspace.is_some_and(|keyspace| keyspace.data_key == data_key);
        if !is_current || sealed_under(inner) != Some(data_key) {
            continue;
        }
        count += change(transaction, *at, *id, |version| {
            let is_old = sealed_under(&version.inner) != Some(data_key);
            if is_old {
                version.inner = *inner;
            }
            is_old
        });
    }
    tell(transaction, Action::InnersResealed, data_key, count);
    Ok(Answer::Counted(count))
}

/// Changes one version; the key's etag, and what is told of the key, stay. One or none were changed.
fn change(
    transaction: &mut Transaction<'_>,
    (keyspace, key): KeyAt,
    id: VersionId,
    change: impl FnOnce(&mut Version) -> bool,
) -> u64 {
    let Some(key) = transaction.state().key_at(keyspace, key) else { return 0 };
    let mut key: Key = (**key).clone();
    let Some(version) = key.versions.iter_mut().find(|version| version.id == id) else { return 0 };
    if !change(version) {
        return 0;
    }
    transaction.put(Row::Key(Arc::new(key)));
    1
}

fn tell(transaction: &mut Transaction<'_>, action: Action, number: RingNumber, count: u64) {
    if count > 0 {
        let facts = vec![("count", count.to_string())];
        transaction.emit(action, format!("keyring/{}", number.0), Telling { facts, ..Telling::default() });
    }
}
