//! What clients are shown of the state, and what services tell each other of a command.

use crate::fixtures::{key_id, keyspace_name, rows, version_id};
use latchkey_domain::{DurationMillis, KeyName, ReasonText, Refusal, Revision, RevocationReason, UnixMillis};
use latchkey_state::{Answer, Applied, Key, Row, ScopeCut, State};
use latchkey_wire::applied::{Told, read_applied, write_applied};
use latchkey_wire::pb::internal::v1 as internal;
use latchkey_wire::pb::v1;
use latchkey_wire::resource::View;
use latchkey_wire::time::write_time;
use std::sync::Arc;

/// A state of the fixtures in which nothing is cut.
fn state() -> State {
    let rows = rows().into_iter().filter(|(name, _)| !name.starts_with("request") && *name != "plain_key");
    let rows = rows.map(|(_, row)| match row {
        Row::Tenant(tenant) => Row::Tenant(Arc::new(latchkey_state::Tenant { cut: None, ..(*tenant).clone() })),
        row => row,
    });
    State::load(rows).unwrap()
}

fn key(state: &State) -> Arc<Key> {
    state.key(&KeyName { keyspace: keyspace_name(), key: key_id() }).unwrap().clone()
}

const BEFORE_REVOCATION: UnixMillis = UnixMillis::new(1_799_999_999_999);
const AT_REVOCATION: UnixMillis = UnixMillis::new(1_800_000_000_000);

fn applied(answer: Result<Answer, Refusal>) -> Applied {
    Applied {
        answer,
        revision: Revision::new(3, 7),
        repeated: true,
        changes: latchkey_state::Changes::new(),
        entries: Vec::new(),
        more_to_sweep: false,
    }
}

#[test]
fn nothing_that_opens_a_key_is_shown() {
    let state = state();
    let shown = format!("{:?}", View::new(&state, BEFORE_REVOCATION).key(&key(&state)));
    for hidden in ["d1d1", "209, 209", "1e1e", "30, 30"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn a_key_is_active_until_the_moment_of_its_revocation_and_never_after() {
    let state = state();
    let shown = |now| View::new(&state, now).key(&key(&state));
    let before = shown(BEFORE_REVOCATION);
    assert_eq!(before.state(), v1::key::State::Active);
    assert_eq!(before.versions[1].state(), v1::version::State::Active);
    assert_eq!(before.revocation.unwrap().revoke_time, Some(write_time(AT_REVOCATION)));
    let after = shown(AT_REVOCATION);
    assert_eq!(after.state(), v1::key::State::Revoked);
    assert_eq!(after.versions[0].state(), v1::version::State::Revoked, "what ends a key ends its versions");
    assert_eq!(after.versions[1].state(), v1::version::State::Revoked);
}

#[test]
fn a_key_within_a_cut_is_shown_as_revoked() {
    let whole = state();
    let cut = whole.rows().map(|row| match row {
        Row::Keyspace(keyspace) => {
            let cut = Some(Box::new(ScopeCut {
                revision: Revision::new(3, 1_000),
                at: UnixMillis::new(1_760_000_000_000),
                reason: RevocationReason::Compromised,
                text: ReasonText::default(),
                marked: false,
            }));
            Row::Keyspace(Arc::new(latchkey_state::Keyspace { cut, ..(*keyspace).clone() }))
        }
        row => row,
    });
    let state = State::load(cut).unwrap();
    let shown = View::new(&state, BEFORE_REVOCATION).key(&key(&state));
    assert_eq!(shown.state(), v1::key::State::Revoked);
}

#[test]
fn records_are_shown_by_name_where_the_state_has_numbers() {
    let state = state();
    let view = View::new(&state, BEFORE_REVOCATION);
    let shown = view.key(&key(&state));
    assert_eq!(shown.name, "tenants/acme/keyspaces/payments-live/keys/0123456789ABCDEF");
    assert_eq!(shown.versions[0].name, format!("{}/versions/0123456789abcdef", shown.name));
    assert_eq!(shown.owner, "tenants/acme/owners/shop");
    assert_eq!(shown.etag, key(&state).etag());
    assert_eq!(shown.revision, Some(v1::Revision { epoch: 3, index: 1_042 }));
    let keyspace = view.keyspace(state.keyspace(&keyspace_name()).unwrap());
    assert_eq!((keyspace.prefix.as_str(), keyspace.quotas), ("acme_live", None));
    let identity = view.identity(state.identities().iter().next().unwrap());
    assert_eq!(identity.name, "tenants/acme/identities/deployer");
    assert_eq!(identity.grants[0].scope, keyspace_name().to_string());
}

#[test]
fn an_answer_that_is_missing_is_not_taken_for_done() {
    assert!(read_applied(internal::Applied::default()).is_err());
    let nothing = internal::applied::Result::Nothing(internal::Nothing {});
    assert!(read_applied(internal::Applied { result: Some(nothing), ..Default::default() }).is_err());
}

#[test]
fn an_answer_reads_as_it_was_written() {
    let state = state();
    let key = key(&state);
    let view = View { revision: Revision::new(3, 7), ..View::new(&state, BEFORE_REVOCATION) };
    let bound = DurationMillis::from_secs(5);
    let tenant = state.tenants().iter().next().unwrap().clone();
    for (answer, told) in [
        (Ok(Answer::Done), Ok(Told::Done)),
        (Err(Refusal::RequestIdReused), Err(Refusal::RequestIdReused)),
        (Ok(Answer::Tenant(tenant.clone())), Ok(Told::Tenant(view.tenant(&tenant)))),
        (
            Ok(Answer::Keys { keys: vec![(key.clone(), version_id())], replay: Some([1, 2].into()) }),
            Ok(Told::Keys { keys: vec![view.key(&key)], replay: Some(vec![1, 2]), bound }),
        ),
        (
            Ok(Answer::Revoked { key: key.clone(), version: Some(version_id()) }),
            Ok(Told::Revoked { key: view.key(&key), version: Some(version_id()), bound }),
        ),
    ] {
        let read = read_applied(write_applied(&state, BEFORE_REVOCATION, &applied(answer))).unwrap();
        assert_eq!(read.answer, told);
        assert_eq!((read.revision, read.replayed), (Revision::new(3, 7), true));
    }
}
