//! Verdicts as they are answered. What a verdict does not give, an answer cannot carry.

mod encoded;

use latchkey_decision::{Content, Verdict};
use latchkey_domain::{DurationMillis, ID_CHARS, RotationId, Slug};
use latchkey_state::{Found, Holder, State, Tenant};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;
use latchkey_wire::verdict::write_basis;

pub(crate) use encoded::Encoder;

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
            decision_basis: Some(write_basis(verdict.freshness(), self.age)),
            ..v1::ValidateKeyResponse::default()
        };
        if let Some(found) = verdict.named() {
            write_names(&mut answer, found);
        }
        if let (Some(found), Some(content)) = (verdict.named(), verdict.content()) {
            self.write_content(&mut answer, found.tenant, content);
        }
        answer
    }

    fn write_content(self, answer: &mut v1::ValidateKeyResponse, tenant: &Tenant, content: Content<'_>) {
        let key = content.key();
        answer.owner = holder_name(self.state, key.holder);
        answer.permissions = content.permissions().iter().map(|one| one.as_str().to_owned()).collect();
        answer.roles = content.roles().map(|role| member_name(tenant, "roles", role)).collect();
        answer.roles.sort_unstable();
        answer.metadata = key.metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect();
        answer.expire_time = content.expires_at().map(write_time);
        answer.rotation = content.rotation().map(|hint| v1::RotationHint {
            rotation: hint.rotation.map(|rotation| rotation_name(&answer.key, rotation)).unwrap_or_default(),
            retire_time: hint.retires_at.map(write_time),
        });
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
    let written = |(tenant, collection, id): (_, &str, &Slug)| {
        Some(member_name(state.tenants().by_number(tenant)?, collection, id.as_str()))
    };
    named.and_then(written).unwrap_or_default()
}

/// The name of what a tenant holds beside its keyspaces.
fn member_name(tenant: &Tenant, collection: &str, id: &str) -> String {
    ["tenants/", tenant.id.as_str(), "/", collection, "/", id].concat()
}

fn rotation_name(key: &str, rotation: RotationId) -> String {
    let mut name = [key, "/rotations/"].concat();
    push_id(&mut name, rotation.chars());
    name
}

#[cfg(test)]
mod tests;
