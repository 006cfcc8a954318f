//! Verdicts, as `ValidateKey` answers them, and their explanations.

use crate::pb::v1;
use crate::pb::v1::decision_basis::Kind;
use crate::pb::v1::validation_check;
use crate::resource::{View, texts};
use crate::time::{write_span, write_time};
use latchkey_decision::{Check, Content, Explanation, Finding, Freshness, Verdict};
use latchkey_domain::{DurationMillis, KeyName, KeyspaceName, Outcome, RotationName, TenantName, VersionName};
use latchkey_state::Found;

/// Writes a verdict. `age` is that of the freshness lease, as it was when the verdict was made.
#[must_use]
pub fn write_verdict(view: &View<'_>, verdict: &Verdict<'_>, age: DurationMillis) -> v1::ValidateKeyResponse {
    let content = verdict.content().zip(verdict.named()).map(|(content, found)| content_of(view, &content, found));
    let basis = write_basis(verdict.freshness(), age);
    write(view, verdict.outcome(), verdict.named(), content.unwrap_or_default(), basis)
}

/// Writes an explanation. `age` is that of the freshness lease, as it was when its verdict was made.
#[must_use]
pub fn write_explanation(
    view: &View<'_>,
    explanation: &Explanation<'_>,
    age: DurationMillis,
) -> v1::ExplainValidationResponse {
    let Explanation { verdict, checks } = explanation;
    let (key, version) = verdict.named().map(names).unwrap_or_default();
    v1::ExplainValidationResponse {
        outcome: v1::Outcome::from(verdict.outcome()).into(),
        checks: checks.iter().map(check).collect(),
        key,
        version,
        checked_at: Some(view.state.revision().into()),
        decision_basis: Some(write_basis(verdict.freshness(), age)),
        now: Some(write_time(view.now)),
    }
}

/// `content` is an answer in which only the fields of the content are set.
fn write(
    view: &View<'_>,
    outcome: Outcome,
    named: Option<Found<'_>>,
    content: v1::ValidateKeyResponse,
    basis: v1::DecisionBasis,
) -> v1::ValidateKeyResponse {
    let (key, version) = named.map(names).unwrap_or_default();
    v1::ValidateKeyResponse {
        outcome: v1::Outcome::from(outcome).into(),
        key,
        version,
        keyspace: named.map(|found| keyspace_name(found).to_string()).unwrap_or_default(),
        checked_at: Some(view.state.revision().into()),
        decision_basis: Some(basis),
        ..content
    }
}

fn content_of(view: &View<'_>, content: &Content<'_>, found: Found<'_>) -> v1::ValidateKeyResponse {
    let key = content.key();
    let tenant = TenantName::new(found.tenant.id.clone());
    let mut roles: Vec<String> = content.roles().map(|role| format!("{tenant}/roles/{role}")).collect();
    roles.sort_unstable();
    v1::ValidateKeyResponse {
        owner: view.holder_name(key.holder),
        permissions: texts(content.permissions().iter()),
        roles,
        metadata: key.metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect(),
        expire_time: content.expires_at().map(write_time),
        rotation: content.rotation().map(|hint| v1::RotationHint {
            rotation: hint
                .rotation
                .map(|rotation| RotationName { key: key_name(found), rotation }.to_string())
                .unwrap_or_default(),
            retire_time: hint.retires_at.map(write_time),
        }),
        ..Default::default()
    }
}

/// Writes on what a decision stands. `age` is that of the freshness lease, as it was when it was made.
#[must_use]
pub fn write_basis(freshness: Freshness, age: DurationMillis) -> v1::DecisionBasis {
    let kind = match freshness {
        Freshness::Current => Kind::Current,
        Freshness::LastKnown => Kind::LastKnown,
    };
    v1::DecisionBasis { kind: kind.into(), age: Some(write_span(age)) }
}

fn check(check: &Check) -> v1::ValidationCheck {
    let Check { outcome, finding, record, detail } = check;
    let result = match finding {
        Finding::Passed => validation_check::Result::Passed,
        Finding::Failed => validation_check::Result::Failed,
        Finding::NotReached => validation_check::Result::NotReached,
    };
    v1::ValidationCheck {
        outcome: v1::Outcome::from(*outcome).into(),
        result: result.into(),
        record: record.clone(),
        detail: detail.clone(),
    }
}

/// The names of the key and of the version.
fn names(found: Found<'_>) -> (String, String) {
    let key = key_name(found);
    (key.to_string(), VersionName { key, version: found.version.id }.to_string())
}

fn key_name(found: Found<'_>) -> KeyName {
    KeyName { keyspace: keyspace_name(found), key: found.key.id }
}

fn keyspace_name(found: Found<'_>) -> KeyspaceName {
    KeyspaceName::new(found.tenant.id.clone(), found.keyspace.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FILE_DESCRIPTOR_SET;
    use crate::disk::RowReader;
    use latchkey_decision::Disclosure;
    use latchkey_state::State;
    use prost::Message as _;
    use protox::prost_reflect::{DescriptorPool, DynamicMessage};

    /// A state with one key in which every field is set: the golden rows.
    fn state() -> State {
        let mut reader = RowReader::default();
        let rows: [(u8, &[u8]); 5] = [
            (0, include_bytes!("../golden/row_progress.bin")),
            (3, include_bytes!("../golden/row_tenant.bin")),
            (4, include_bytes!("../golden/row_keyspace.bin")),
            (5, include_bytes!("../golden/row_owner.bin")),
            (7, include_bytes!("../golden/row_key.bin")),
        ];
        let rows = rows.map(|(table, bytes)| reader.decode_row(table, bytes).unwrap());
        State::load(rows.into_iter()).unwrap()
    }

    /// Every field that only the content has.
    fn content() -> v1::ValidateKeyResponse {
        v1::ValidateKeyResponse {
            owner: "tenants/acme/owners/shop".to_owned(),
            permissions: vec!["orders:*".to_owned()],
            roles: vec!["tenants/acme/roles/reader".to_owned()],
            metadata: [("team".to_owned(), "payments".to_owned())].into(),
            expire_time: Some(write_time(latchkey_domain::UnixMillis::LAST)),
            rotation: Some(v1::RotationHint::default()),
            ..Default::default()
        }
    }

    #[test]
    fn each_outcome_sets_the_fields_of_its_row_in_the_table_and_no_other() {
        let state = state();
        let view = View::new(&state, state.clock());
        let version = latchkey_domain::VersionId::parse("0123456789abcdef").unwrap();
        let found = state.version(version).unwrap();
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let descriptor = pool.get_message_by_name("latchkey.v1.ValidateKeyResponse").unwrap();
        for outcome in Outcome::ALL {
            let disclosure = Disclosure::of(outcome);
            let named = disclosure.names.then_some(found);
            let content = if disclosure.content { content() } else { v1::ValidateKeyResponse::default() };
            let basis = write_basis(Freshness::Current, DurationMillis::new(250));
            let response = write(&view, outcome, named, content, basis);
            let read = DynamicMessage::decode(descriptor.clone(), response.encode_to_vec().as_slice()).unwrap();
            for field in descriptor.fields() {
                let expected = match field.name() {
                    "outcome" | "checked_at" | "decision_basis" => true,
                    "key" | "version" | "keyspace" => disclosure.names,
                    "owner" | "permissions" | "roles" | "metadata" | "expire_time" | "rotation" => disclosure.content,
                    other => panic!("nobody has decided when {other} is set"),
                };
                assert_eq!(read.has_field(&field), expected, "{outcome}: {}", field.name());
            }
        }
    }

    #[test]
    fn a_verdict_says_at_which_revision_and_on_what_basis() {
        let state = state();
        let view = View::new(&state, state.clock());
        let age = DurationMillis::new(250);
        for (freshness, kind) in [(Freshness::Current, Kind::Current), (Freshness::LastKnown, Kind::LastKnown)] {
            let response = write(&view, Outcome::NotFound, None, Default::default(), write_basis(freshness, age));
            assert_eq!(response.checked_at, Some(v1::Revision { epoch: 3, index: 1_042 }));
            let basis = response.decision_basis.unwrap();
            assert_eq!((basis.kind(), basis.age), (kind, Some(write_span(age))));
        }
    }
}
