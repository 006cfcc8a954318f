//! Writing down that notice was given of keys that soon end.

use super::Answer;
use super::claim_rotations::need_fence;
use super::plan_rotations::need_few;
use super::subject::Subject;
use super::transaction::Transaction;
use crate::command::GiveNotices;
use crate::event::Action;
use alloc::string::ToString;
use alloc::vec::Vec;
use latchkey_domain::Refusal;

/// Those of which none is owed are passed over: between finding them and this they may have been told, moved or revoked.
pub(super) fn give_expiry_notices(
    transaction: &mut Transaction<'_>,
    operation: &GiveNotices,
) -> Result<Answer, Refusal> {
    need_few(operation.keys.len())?;
    need_fence(transaction, operation.fence)?;
    let mut given = 0;
    for name in &operation.keys {
        let Ok(mut subject) = Subject::find(transaction.state(), name, None) else { continue };
        let (state, now) = (transaction.state(), transaction.now());
        let Some(notice) = state.expiry_notice(&subject.keyspace, &subject.key, now) else { continue };
        subject.key.details.change(|details| details.expiry_told_through = Some(notice.owed_at()));
        let facts = Vec::from([
            ("before_ms", notice.before.millis().to_string()),
            ("expires_at_ms", notice.expires_at.millis().to_string()),
        ]);
        subject.tell(transaction, Action::KeyExpiresSoon, facts);
        // The etag stays: what anybody may change is as it was.
        subject.put(transaction);
        given += 1;
    }
    Ok(Answer::Counted(given))
}
