//! Verdicts, as `ValidateKey` answers them.

use crate::pb::v1;
use crate::pb::v1::decision_basis::Kind;
use crate::resource::{View, texts};
use crate::time::{write_span, write_time};
use latchkey_decision::Verdict;
use latchkey_domain::{DurationMillis, KeyName, KeyspaceName, Outcome, VersionName};
use latchkey_state::{Found, Key};

/// Writes a verdict. `age` is that of the freshness lease, as it was when the verdict was made.
#[must_use]
pub fn write_verdict(view: &View<'_>, verdict: &Verdict<'_>, age: DurationMillis) -> v1::ValidateKeyResponse {
    write(view, verdict.outcome(), verdict.named(), verdict.content(), age)
}

fn write(
    view: &View<'_>,
    outcome: Outcome,
    named: Option<Found<'_>>,
    content: Option<&Key>,
    age: DurationMillis,
) -> v1::ValidateKeyResponse {
    let mut response = v1::ValidateKeyResponse {
        outcome: v1::Outcome::from(outcome).into(),
        checked_at: Some(view.state.revision().into()),
        decision_basis: Some(v1::DecisionBasis { kind: Kind::Current.into(), age: Some(write_span(age)) }),
        ..Default::default()
    };
    if let Some(found) = named {
        let keyspace = KeyspaceName::new(found.tenant.id.clone(), found.keyspace.id.clone());
        let key = KeyName { keyspace, key: found.key.id };
        response.keyspace = key.keyspace.to_string();
        response.key = key.to_string();
        response.version = VersionName { key, version: found.version.id }.to_string();
    }
    if let Some(key) = content {
        response.owner = view.holder_name(key.holder);
        response.permissions = texts(key.terms.permissions.iter());
        response.metadata = key.metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect();
        response.expire_time = key.expires_at.map(write_time);
    }
    response
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
            let content = disclosure.content.then_some(&**found.key);
            let response = write(&view, outcome, named, content, DurationMillis::new(250));
            let read = DynamicMessage::decode(descriptor.clone(), response.encode_to_vec().as_slice()).unwrap();
            for field in descriptor.fields() {
                let expected = match field.name() {
                    "outcome" | "checked_at" | "decision_basis" => true,
                    "key" | "version" | "keyspace" => disclosure.names,
                    "owner" | "permissions" | "metadata" | "expire_time" => disclosure.content,
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
        let response = write(&view, Outcome::NotFound, None, None, DurationMillis::new(250));
        assert_eq!(response.checked_at, Some(v1::Revision { epoch: 3, index: 1_042 }));
        let basis = response.decision_basis.unwrap();
        assert_eq!((basis.kind(), basis.age), (Kind::Current, Some(write_span(DurationMillis::new(250)))));
    }
}
