//! Which keys a listing shows.

use crate::index::Group;
use crate::key::{Holder, Key, Worth};
use crate::state::State;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound::Included;
use latchkey_domain::{
    BuiltInRole, IdentityName, KeyId, KeyName, KeyspaceNumber, OwnerName, RoleName, RoleNumber, TenantNumber,
    UnixMillis,
};
use latchkey_policy::{Comparison, Field, Filter, FilterError, Kind, Operator, Value};

/// The fields of keys.
const FIELDS: &[Field] = &[
    Field { name: "owner", kind: Kind::Text },
    Field { name: "role", kind: Kind::Text },
    Field { name: "parent_key", kind: Kind::Text },
    Field { name: "state", kind: Kind::Word(&["ACTIVE", "SUSPENDED", "REVOKED", "EXPIRED"]) },
    Field { name: "display_name", kind: Kind::TextOrPrefix },
    Field { name: "create_time", kind: Kind::Time },
    Field { name: "update_time", kind: Kind::Time },
    Field { name: "expire_time", kind: Kind::Time },
    Field { name: "age", kind: Kind::Span },
    Field { name: "unchanged", kind: Kind::Span },
];

/// A filter of keys, its names resolved in the state that it is asked of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFilter(Vec<Test>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// Whom it belongs to; absent: the name is nobody's.
    Holder(Option<Holder>, Operator),
    /// A role that it has.
    Role(Option<(TenantNumber, RoleNumber)>, Operator),
    /// The key whose child it is.
    Parent(Option<(KeyspaceNumber, KeyId)>, Operator),
    State(Comparison),
    DisplayName(Comparison),
    Created(Comparison),
    Changed(Comparison),
    Expires(Comparison),
    Age(Comparison),
    Unchanged(Comparison),
}

impl KeyFilter {
    /// The fields that it knows.
    pub const FIELDS: &'static [Field] = FIELDS;

    /// Reads a filter.
    ///
    /// # Errors
    /// [`FilterError`], as [`Filter::parse`].
    pub fn parse(state: &State, text: &str) -> Result<Self, FilterError> {
        Filter::parse(text, FIELDS).map(|filter| Self::from_filter(state, &filter))
    }

    /// From a filter over [`Self::FIELDS`]. A name that is nobody's matches no key.
    #[must_use]
    pub fn from_filter(state: &State, filter: &Filter) -> Self {
        Self(filter.comparisons().iter().map(|comparison| test(state, comparison)).collect())
    }

    /// Whether it shows this key at `now`.
    #[must_use]
    pub fn matches(&self, state: &State, key: &Key, now: UnixMillis) -> bool {
        self.0.iter().all(|test| test.holds(state, key, now))
    }

    /// The keys that have the owner, the role or the parent asked for, by name, where these are at most `most`: few keys
    /// are found among many without looking at all.
    pub(super) fn few(&self, state: &State, keyspace: KeyspaceNumber, most: usize) -> Option<Vec<Arc<Key>>> {
        self.0.iter().find_map(|test| {
            let keys = test.keys(state, keyspace, most.saturating_add(1))?;
            (keys.len() <= most).then_some(keys)
        })
    }
}

fn test(state: &State, comparison: &Comparison) -> Test {
    let text = match &comparison.value {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    match comparison.field {
        "owner" => Test::Holder(holder(state, text), comparison.operator),
        "role" => Test::Role(role(state, text), comparison.operator),
        "parent_key" => Test::Parent(parent(state, text), comparison.operator),
        "state" => Test::State(comparison.clone()),
        "create_time" => Test::Created(comparison.clone()),
        "update_time" => Test::Changed(comparison.clone()),
        "expire_time" => Test::Expires(comparison.clone()),
        "age" => Test::Age(comparison.clone()),
        "unchanged" => Test::Unchanged(comparison.clone()),
        _ => Test::DisplayName(comparison.clone()),
    }
}

fn holder(state: &State, name: &str) -> Option<Holder> {
    if let Ok(name) = OwnerName::parse(name) {
        return state.owner(&name).map(|owner| Holder::Owner(owner.number));
    }
    state.identity(&IdentityName::parse(name).ok()?).map(|identity| Holder::Identity(identity.number))
}

fn role(state: &State, name: &str) -> Option<(TenantNumber, RoleNumber)> {
    let name = RoleName::parse(name).ok()?;
    let tenant = state.tenant(&name.parent())?.number;
    let number = match BuiltInRole::parse(name.role.as_str()) {
        Some(built_in) => built_in.number(),
        None => state.role(&name)?.number,
    };
    Some((tenant, number))
}

fn parent(state: &State, name: &str) -> Option<(KeyspaceNumber, KeyId)> {
    let name = KeyName::parse(name).ok()?;
    Some((state.keyspace(&name.keyspace)?.number, name.key))
}

impl Test {
    fn holds(&self, state: &State, key: &Key, now: UnixMillis) -> bool {
        match self {
            Self::Holder(holder, operator) => is(*operator, *holder == Some(key.holder)),
            Self::Role(role, operator) => is(*operator, role.is_some_and(|role| has_role(state, key, role))),
            Self::Parent(parent, operator) => {
                let own = key.parent().map(|parent| (key.keyspace, parent));
                is(*operator, parent.is_some() && *parent == own)
            }
            Self::State(comparison) => comparison.holds_for_text(word(state.key_worth(key, now))),
            Self::DisplayName(comparison) => comparison.holds_for_text(key.display_name.as_str()),
            Self::Created(comparison) => comparison.holds_for_time(key.created_at),
            Self::Changed(comparison) => comparison.holds_for_time(key.changed().at),
            Self::Expires(comparison) => key.expires_at.is_some_and(|end| comparison.holds_for_time(end)),
            Self::Age(comparison) => comparison.holds_for_span(now.since(key.created_at)),
            Self::Unchanged(comparison) => comparison.holds_for_span(now.since(key.changed().at)),
        }
    }

    /// Where an index knows the keys for which this holds: these, `most` of them at most.
    fn keys(&self, state: &State, keyspace: KeyspaceNumber, most: usize) -> Option<Vec<Arc<Key>>> {
        let found = |id| state.key_at(keyspace, id).cloned();
        let group = match self {
            Self::Holder(None, Operator::Equal)
            | Self::Role(None, Operator::Equal)
            | Self::Parent(None, Operator::Equal) => return Some(Vec::new()),
            Self::Holder(Some(Holder::Owner(number)), Operator::Equal) => Group::Owner(*number),
            Self::Holder(Some(Holder::Identity(number)), Operator::Equal) => Group::Identity(*number),
            Self::Role(Some((_, number)), Operator::Equal) => Group::Role(*number),
            Self::Parent(Some((of, parent)), Operator::Equal) => {
                let [first, last] = [KeyId::LOWEST, KeyId::HIGHEST].map(|child| Included((*of, *parent, child)));
                let children = state.index().children.range(first, last).map(|((.., child), ())| *child);
                let children = children.filter(|_| *of == keyspace).take(most);
                return Some(children.filter_map(found).collect());
            }
            _ => return None,
        };
        let [first, last] = [KeyId::LOWEST, KeyId::HIGHEST].map(|key| Included((group, keyspace, key)));
        let keys = state.index().groups.range(first, last).take(most).map(|((.., id), ())| *id);
        Some(keys.filter_map(found).collect())
    }
}

/// Fields that are compared whole know `=` and `!=`.
fn is(operator: Operator, equal: bool) -> bool {
    if operator == Operator::NotEqual { !equal } else { equal }
}

/// A built-in role has the same number in every tenant, and is another one in each.
fn has_role(state: &State, key: &Key, (tenant, role): (TenantNumber, RoleNumber)) -> bool {
    key.terms.roles.has(&role)
        && state.keyspaces().by_number(key.keyspace).is_some_and(|keyspace| keyspace.tenant == tenant)
}

const fn word(worth: Worth) -> &'static str {
    match worth {
        Worth::Accepted | Worth::NotYetValid(_) => "ACTIVE",
        Worth::Suspended(_) => "SUSPENDED",
        Worth::Revoked(_) => "REVOKED",
        Worth::Expired(_) => "EXPIRED",
    }
}
