//! Nothing acknowledged is lost, nothing is there twice, and nothing that nobody asked for.

use super::{Kind, Record, Write};
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;

pub(super) fn check(record: &Record, listed: &[v1::Key]) -> Vec<String> {
    let mut by_label: BTreeMap<&str, Vec<v1::key::State>> = BTreeMap::new();
    for key in listed {
        by_label.entry(&key.display_name).or_default().push(key.state());
    }
    let by_key = record.by_key();
    let mut wrong = Vec::new();
    for (key, label) in &record.labels {
        let found = by_label.remove(label.as_str()).unwrap_or_default();
        let writes = by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        match found[..] {
            [] if writes.iter().any(|write| write.told.is_some()) => wrong.push(format!("key {key}, {label}, is gone")),
            [] => {}
            [state] if allowed(writes).contains(&state) => {}
            [state] => wrong.push(format!("key {key} ends as {state:?}, where {:?} is due", allowed(writes))),
            _ => wrong.push(format!("one request made {} keys: {label}", found.len())),
        }
    }
    wrong.extend(by_label.into_keys().map(|label| format!("nobody asked for the key {label}")));
    wrong
}

/// How a key may end: by its last acknowledged write, or by one of unknown outcome that began after it.
fn allowed(writes: &[&Write]) -> Vec<v1::key::State> {
    let state = |kind| match kind {
        Kind::Create | Kind::Resume => v1::key::State::Active,
        Kind::Suspend => v1::key::State::Suspended,
        Kind::Revoke => v1::key::State::Revoked,
    };
    let last = writes.iter().rfind(|write| write.told.is_some()).map(|write| write.kind);
    let mut allowed: Vec<_> = last.map(state).into_iter().collect();
    if last != Some(Kind::Revoke) {
        allowed.extend(writes.iter().filter(|write| write.told.is_none()).map(|write| state(write.kind)));
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::super::Kind::{Create, Revoke, Suspend};
    use super::super::planted::{record, write};
    use latchkey_wire::pb::v1;
    use v1::key::State::{Active, Revoked, Suspended};

    fn listed(label: &str, state: v1::key::State) -> v1::Key {
        v1::Key { display_name: label.to_owned(), state: state.into(), ..Default::default() }
    }

    #[test]
    fn an_acknowledged_write_that_is_gone_is_found() {
        let created = record(vec![write(Create, 0, Some((1, 5)))], Vec::new());
        assert_eq!(created.check_kept(&[]).len(), 1);
        assert_eq!(created.check_kept(&[listed("one", Active)]), Vec::<String>::new());
        let revoked = record(vec![write(Create, 0, Some((1, 5))), write(Revoke, 2, Some((3, 6)))], Vec::new());
        assert_eq!(revoked.check_kept(&[listed("one", Active)]).len(), 1);
    }

    #[test]
    fn a_write_of_unknown_outcome_may_be_there_or_not() {
        let unknown = record(vec![write(Create, 0, Some((1, 5))), write(Suspend, 2, None)], Vec::new());
        assert_eq!(unknown.check_kept(&[listed("one", Active)]), Vec::<String>::new());
        assert_eq!(unknown.check_kept(&[listed("one", Suspended)]), Vec::<String>::new());
        assert_eq!(unknown.check_kept(&[listed("one", Revoked)]).len(), 1);
        let never = record(vec![write(Create, 0, None)], Vec::new());
        assert_eq!(never.check_kept(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_key_twice_and_a_key_of_nobody_are_found() {
        let created = record(vec![write(Create, 0, Some((1, 5)))], Vec::new());
        assert_eq!(created.check_kept(&[listed("one", Active), listed("one", Active)]).len(), 1);
        assert_eq!(created.check_kept(&[listed("one", Active), listed("phantom", Active)]).len(), 1);
    }
}
