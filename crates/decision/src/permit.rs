//! Whether the key lives, and may be used so, from there and for that.

use crate::bound::Bound;
use crate::resolved::Standing;
use crate::{Denied, Fresh, Ground};
use latchkey_domain::Outcome;
use latchkey_policy::{AccessContext, Query, check_access};
use latchkey_state::{Found, Revocation};

/// What the key is to be used for.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// What it must permit; absent: nothing is asked.
    pub query: Option<&'a Query<'a>>,
    /// The request in which it came.
    pub context: &'a AccessContext,
}

/// A key that may be used, its limits aside.
#[derive(Debug)]
pub struct Permit<'a> {
    found: Found<'a>,
    bound: Bound<'a>,
}

impl<'a> Fresh<'a> {
    /// Checks life, networks, method, resource and permissions. The first that fails answers.
    ///
    /// # Errors
    /// [`Denied`] with the outcome.
    pub fn permit(self, access: Access<'_>) -> Result<Permit<'a>, Denied<'a>> {
        let (ground, standing, bound) = self.into_parts();
        let found = match standing {
            Standing::Found(found) => found,
            Standing::Elsewhere(found) => return Err(Denied::of(Outcome::WrongKeyspace, found, bound)),
            Standing::Unknown => return Err(Denied::not_found(bound)),
        };
        check_life(ground, found)
            .and_then(|()| check_use(found, access))
            .map_err(|outcome| Denied::of(outcome, found, bound))?;
        Ok(Permit { found, bound })
    }
}

impl<'a> Permit<'a> {
    pub(crate) const fn into_parts(self) -> (Found<'a>, Bound<'a>) {
        (self.found, self.bound)
    }
}

/// Each end is exclusive: at the very millisecond it is over.
fn check_life(ground: Ground<'_>, found: Found<'_>) -> Result<(), Outcome> {
    let Ground { state, now, .. } = ground;
    let holds = |revocation: Option<&Revocation>| revocation.is_some_and(|one| one.effective_at <= now);
    let Found { tenant, keyspace, key, version } = found;
    if holds(version.revocation.as_deref()) || holds(key.revocation()) || state.is_cut(tenant, keyspace, key) {
        return Err(Outcome::Revoked);
    }
    // Here `Outcome::Suspended` will stand: no command suspends a key yet.
    if key.not_before().is_some_and(|not_before| now < not_before) {
        return Err(Outcome::NotYetValid);
    }
    if key.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Outcome::Expired);
    }
    Ok(())
}

fn check_use(found: Found<'_>, access: Access<'_>) -> Result<(), Outcome> {
    let networks = &found.keyspace.settings.networks;
    let address = access.context.client_address;
    if !networks.is_empty() && !address.is_some_and(|address| networks.contains(address)) {
        return Err(Outcome::NetworkNotAllowed);
    }
    let terms = &found.key.terms;
    check_access(terms, access.context)?;
    if access.query.is_some_and(|query| !query.satisfied_by(&terms.permissions)) {
        return Err(Outcome::InsufficientPermissions);
    }
    Ok(())
}
