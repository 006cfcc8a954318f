//! Verdicts as they are answered. What a verdict does not give, an answer cannot carry.

use latchkey_decision::Verdict;
use latchkey_domain::{DurationMillis, ID_CHARS, Slug};
use latchkey_state::{Found, Holder, Key, State, Tenant};
use latchkey_wire::pb::v1;
use latchkey_wire::time::{write_span, write_time};

/// On what was decided.
#[derive(Clone, Copy)]
pub(crate) struct Basis<'a> {
    /// The state.
    pub(crate) state: &'a State,
    /// The age of the lease when the answer left.
    pub(crate) age: DurationMillis,
}

impl Basis<'_> {
    /// Writes an answer.
    pub(crate) fn answer(self, verdict: Verdict<'_>) -> v1::ValidateKeyResponse {
        let mut answer = v1::ValidateKeyResponse {
            outcome: v1::Outcome::from(verdict.outcome()).into(),
            checked_at: Some(self.state.revision().into()),
            decision_basis: Some(v1::DecisionBasis {
                kind: v1::decision_basis::Kind::Current.into(),
                age: Some(write_span(self.age)),
            }),
            ..v1::ValidateKeyResponse::default()
        };
        if let Some(found) = verdict.named() {
            write_names(&mut answer, found);
        }
        if let Some(key) = verdict.content() {
            self.write_content(&mut answer, key);
        }
        answer
    }

    fn write_content(self, answer: &mut v1::ValidateKeyResponse, key: &Key) {
        answer.owner = holder_name(self.state, key.holder);
        answer.permissions = key.terms.permissions.iter().map(|one| one.as_str().to_owned()).collect();
        answer.metadata = key.metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect();
        answer.expire_time = key.expires_at.map(write_time);
    }
}

/// Written out of its parts: the names of the domain own their ids, and would have to be put together first. The longest is
/// written once, and the others are its beginnings: this is a tenth of a microsecond of every answer, and formatting four.
fn write_names(answer: &mut v1::ValidateKeyResponse, found: Found<'_>) {
    let (tenant, keyspace) = (found.tenant.id.as_str(), found.keyspace.id.as_str());
    let mut name = String::with_capacity(NAME_BYTES_FIXED + tenant.len() + keyspace.len());
    for part in ["tenants/", tenant, "/keyspaces/", keyspace] {
        name.push_str(part);
    }
    answer.keyspace.clone_from(&name);
    name.push_str("/keys/");
    push_id(&mut name, found.key.id.chars());
    answer.key.clone_from(&name);
    name.push_str("/versions/");
    push_id(&mut name, found.version.id.chars());
    answer.version = name;
}

/// Bytes of a version's name without its slugs.
const NAME_BYTES_FIXED: usize = "tenants//keyspaces//keys//versions/".len() + 2 * ID_CHARS;

fn push_id(name: &mut String, chars: [u8; ID_CHARS]) {
    name.push_str(std::str::from_utf8(&chars).expect("base62 digits are ASCII"));
}

fn holder_name(state: &State, holder: Holder) -> String {
    let named = match holder {
        Holder::None => None,
        Holder::Owner(number) => state.owners().by_number(number).map(|owner| (owner.tenant, "owners", &owner.id)),
        Holder::Identity(number) => {
            state.identities().by_number(number).map(|identity| (identity.tenant, "identities", &identity.id))
        }
    };
    let named =
        named.and_then(|(tenant, collection, id)| Some((state.tenants().by_number(tenant)?.as_ref(), collection, id)));
    let written = |(tenant, collection, id): (&Tenant, &str, &Slug)| {
        ["tenants/", tenant.id.as_str(), "/", collection, "/", id.as_str()].concat()
    };
    named.map(written).unwrap_or_default()
}

#[cfg(test)]
mod tests;
