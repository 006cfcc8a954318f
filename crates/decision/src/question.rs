//! Where a key is looked for: the caller's grant, and the keyspace that he asks for.

use crate::Identified;
use crate::bound::{Allowance, FOR_EVER};
use alloc::boxed::Box;
use alloc::sync::Arc;
use latchkey_domain::{DurationMillis, Duty, Grant, KeyspaceName, MANAGEMENT_KEYSPACE, SYSTEM_TENANT, Scope, Slug};
use latchkey_state::{Keyspace, State, Tenant};

/// Where a key is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    reach: Reach<'a>,
    keyspace: Option<&'a KeyspaceName>,
    /// Up to this age of the state it is known who asks.
    caller_max: DurationMillis,
}

/// Which keyspaces exist as far as the caller is concerned.
#[derive(Clone, Copy, Debug)]
enum Reach<'a> {
    /// Those in which he holds this duty.
    Grants(&'a [Grant], Duty),
    /// The one whose keys prove identities: nobody has proved one yet, and everybody may try.
    Management,
    /// All: whoever shows a text says that he holds the key, wherever that is.
    Everywhere,
}

impl<'a> Question<'a> {
    /// By a caller with `grants`, for a key of `keyspace`, or of any that he may validate.
    #[must_use]
    pub const fn new(grants: &'a [Grant], keyspace: Option<&'a KeyspaceName>) -> Self {
        Self { reach: Reach::Grants(grants, Duty::Validator), keyspace, caller_max: FOR_EVER }
    }

    /// As [`Self::new`], by a caller who proved who he is with a management key: where the state is too old for that, only
    /// keyspaces are answered for whose policy says so.
    #[must_use]
    pub fn by(identified: &Identified<'a>, keyspace: Option<&'a KeyspaceName>) -> Self {
        let caller_max = identified.known_max();
        Self { reach: Reach::Grants(identified.grants(), Duty::Validator), keyspace, caller_max }
    }

    /// By a caller with `grants` who wants it explained: within his grant are the keyspaces that he operates.
    #[must_use]
    pub const fn explaining(grants: &'a [Grant], keyspace: Option<&'a KeyspaceName>) -> Self {
        Self { reach: Reach::Grants(grants, Duty::Operator), keyspace, caller_max: FOR_EVER }
    }

    /// By somebody who wants to prove who he is.
    pub(crate) const fn management() -> Self {
        Self { reach: Reach::Management, keyspace: None, caller_max: FOR_EVER }
    }

    /// By somebody who holds a key, and has nothing but its text.
    pub(crate) const fn everywhere() -> Self {
        Self { reach: Reach::Everywhere, keyspace: None, caller_max: FOR_EVER }
    }

    /// Whether the keyspace lies in the caller's grant.
    pub(crate) fn reaches(&self, tenant: &Tenant, keyspace: &Keyspace) -> bool {
        self.reaches_ids(&tenant.id, &keyspace.id)
    }

    /// Whether the key may be of this keyspace, as far as the caller asked.
    pub(crate) fn asks_for(&self, tenant: &Tenant, keyspace: &Keyspace) -> bool {
        self.keyspace.is_none_or(|asked| asked.tenant == tenant.id && asked.keyspace == keyspace.id)
    }

    pub(crate) const fn caller_max(&self) -> DurationMillis {
        self.caller_max
    }

    /// How old a state may be on which nothing was found: the bound of the keyspace asked for, else the shortest of all
    /// that the caller may validate, since the key may be of any. A keyspace outside the grant counts as one that does
    /// not exist.
    pub(crate) fn allowance(&self, state: &State) -> Allowance {
        let asked = self.keyspace.filter(|asked| self.reaches_ids(&asked.tenant, &asked.keyspace));
        let asked = asked.and_then(|asked| state.keyspace(asked)).map(|keyspace| Allowance::of(keyspace));
        asked.or_else(|| self.shortest(state)).unwrap_or_else(|| Allowance::least(staleness_floor(state)))
    }

    /// Whether any keyspace that the caller may ask for is answered for on a state of this age, since its policy is to
    /// answer from what was known last.
    pub(crate) fn has_last_known(&self, state: &State, age: DurationMillis) -> bool {
        let Reach::Grants(grants, duty) = self.reach else { return false };
        let answers =
            |keyspace: &Arc<Keyspace>| keyspace.settings.staleness_policy.beyond().is_some() && age <= keyspace.bound();
        let scopes = grants.iter().filter(|grant| grant.duty.includes(duty)).map(|grant| &grant.scope);
        scopes.into_iter().any(|scope| within(state, scope).any(answers))
    }

    /// The one keyspace that a text of another system may be of: the one asked for, or the only one within the caller's
    /// grant. Whoever has nothing but a text asks in none.
    pub(crate) fn keyspace_of_foreign<'s>(&self, state: &'s State) -> Option<&'s Keyspace> {
        let Reach::Grants(grants, duty) = self.reach else { return None };
        let name = match self.keyspace {
            Some(asked) => Some(asked).filter(|asked| self.reaches_ids(&asked.tenant, &asked.keyspace))?,
            None => only_keyspace(grants, duty)?,
        };
        state.keyspace(name).map(Arc::as_ref)
    }

    fn reaches_ids(&self, tenant: &Slug, keyspace: &Slug) -> bool {
        match self.reach {
            Reach::Grants(grants, duty) => grants.iter().any(|grant| reaches(grant, duty, tenant, keyspace)),
            Reach::Management => is_management(tenant, keyspace),
            Reach::Everywhere => true,
        }
    }

    fn shortest(&self, state: &State) -> Option<Allowance> {
        match self.reach {
            Reach::Grants(grants, duty) => {
                let scopes = grants.iter().filter(|grant| grant.duty.includes(duty)).map(|grant| &grant.scope);
                scopes.filter_map(|scope| shortest_within(state, scope)).reduce(Allowance::or)
            }
            Reach::Management => state.keyspace(&KeyspaceName::management()).map(|keyspace| Allowance::of(keyspace)),
            Reach::Everywhere => shortest_within(state, &Scope::System),
        }
    }
}

/// The keyspace that all grants of this duty are on.
fn only_keyspace(grants: &[Grant], duty: Duty) -> Option<&KeyspaceName> {
    let mut scopes = grants.iter().filter(|grant| grant.duty.includes(duty)).map(|grant| &grant.scope);
    let Some(Scope::Keyspace(name)) = scopes.next() else { return None };
    scopes.all(|scope| matches!(scope, Scope::Keyspace(other) if other == name)).then_some(name)
}

/// The lowest bound that any keyspace has: the state refuses keyspaces that ask for less.
pub(crate) fn staleness_floor(state: &State) -> DurationMillis {
    state.cluster().map_or(DurationMillis::ZERO, |cluster| cluster.staleness_floor)
}

/// As [`Grant::covers`], without a name having to be put together: validation asks this for each key.
///
/// The keyspace of management keys is operated by those who operate the system: the identities of all tenants have their
/// keys in it.
fn reaches(grant: &Grant, duty: Duty, tenant: &Slug, keyspace: &Slug) -> bool {
    grant.duty.includes(duty)
        && match &grant.scope {
            Scope::System => true,
            _ if duty == Duty::Operator && is_management(tenant, keyspace) => false,
            Scope::Tenant(name) => name.tenant == *tenant,
            Scope::Keyspace(name) => name.tenant == *tenant && name.keyspace == *keyspace,
        }
}

fn is_management(tenant: &Slug, keyspace: &Slug) -> bool {
    tenant.as_str() == SYSTEM_TENANT && keyspace.as_str() == MANAGEMENT_KEYSPACE
}

fn shortest_within(state: &State, scope: &Scope) -> Option<Allowance> {
    within(state, scope).map(|keyspace| Allowance::of(keyspace)).reduce(Allowance::or)
}

/// The keyspaces of a scope. Asked for off the hot path alone.
fn within<'s>(state: &'s State, scope: &Scope) -> Box<dyn Iterator<Item = &'s Arc<Keyspace>> + 's> {
    match scope {
        Scope::System => Box::new(state.keyspaces().iter()),
        Scope::Tenant(name) => match state.tenant(name) {
            Some(tenant) => Box::new(state.keyspaces().of_tenant(tenant.number, None)),
            None => Box::new(core::iter::empty()),
        },
        Scope::Keyspace(name) => Box::new(state.keyspace(name).into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_is_read_here_as_everywhere() {
        let names = ["tenants/a/keyspaces/x", "tenants/a/keyspaces/y", "tenants/ab/keyspaces/x"];
        for scope in ["", "tenants/a", "tenants/a/keyspaces/x"].map(|text| Scope::parse(text).unwrap()) {
            for (held, needed) in Duty::ALL.iter().flat_map(|held| [(*held, Duty::Validator), (*held, Duty::Operator)])
            {
                let grant = Grant { duty: held, scope: scope.clone() };
                for name in names.map(|text| KeyspaceName::parse(text).unwrap()) {
                    let covers = grant.covers(needed, &Scope::Keyspace(name.clone()));
                    assert_eq!(reaches(&grant, needed, &name.tenant, &name.keyspace), covers, "{grant:?} {name}");
                }
            }
        }
    }

    #[test]
    fn management_keys_are_operated_by_those_who_operate_the_system() {
        let KeyspaceName { tenant, keyspace, .. } = KeyspaceName::management();
        for (scope, operates) in [("tenants/system", false), ("tenants/system/keyspaces/management", false), ("", true)]
        {
            let grant = Grant { duty: Duty::Operator, scope: Scope::parse(scope).unwrap() };
            assert_eq!(reaches(&grant, Duty::Operator, &tenant, &keyspace), operates, "{scope:?}");
            let grant = Grant { duty: Duty::Validator, ..grant };
            assert!(reaches(&grant, Duty::Validator, &tenant, &keyspace), "{scope:?}");
        }
    }
}
