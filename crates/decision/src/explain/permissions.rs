//! Whether the key permits what is asked for.

use super::Check;
use super::detail::{Listed, detail};
use super::record::Records;
use crate::Ground;
use alloc::string::String;
use alloc::vec::Vec;
use latchkey_domain::{Outcome, PermissionRef};
use latchkey_policy::{Moment, Query};
use latchkey_state::{By, Key, Layers};

/// One check for each key, the one asked about and its parent, that lacks words of a query that is not satisfied; one
/// where it is.
pub(super) fn push_checks(
    checks: &mut Vec<Check>,
    records: &Records<'_>,
    ground: Ground<'_>,
    layers: &Layers<'_>,
    query: Option<&Query<'_>>,
) {
    let Some(query) = query else {
        let detail = String::from("no permission was asked for");
        checks.push(Check::passed(Outcome::InsufficientPermissions, records.key(), detail));
        return;
    };
    if query.satisfied_where(|word| layers.permits(word)) {
        let detail = String::from("what was asked for is permitted");
        checks.push(Check::passed(Outcome::InsufficientPermissions, records.key(), detail));
        return;
    }
    let mut refused: Vec<(By, PermissionRef<'_>)> =
        query.words().filter_map(|word| Some((layers.refusing(word)?, word))).collect();
    refused.sort_by_key(|(by, word)| (*by, word.as_str()));
    refused.dedup();
    for words in refused.chunk_by(|(left, _), (right, _)| left == right) {
        let by = words[0].0;
        let key = records.key_of(by);
        checks.push(Check::failed(Outcome::InsufficientPermissions, records.by(by), lacking(key, ground, words)));
    }
}

fn lacking(key: Option<&Key>, ground: Ground<'_>, words: &[(By, PermissionRef<'_>)]) -> String {
    let restriction = key.and_then(|key| key.restriction(ground.now));
    let words = Listed(words.iter().map(|(_, word)| word.as_str()));
    match restriction.filter(|restriction| restriction.permissions.is_some()) {
        Some(restriction) => {
            let until = Moment(restriction.ends_at);
            detail(format_args!("restricted until {until}, its permissions and roles do not permit {words}"))
        }
        None => detail(format_args!("its permissions and roles do not permit {words}")),
    }
}
