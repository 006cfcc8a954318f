//! Whether the key lives, and may be used so, from there and for that.

use crate::bound::Bound;
use crate::content::Content;
use crate::resolved::Standing;
use crate::{Denied, Fresh, Ground};
use latchkey_domain::Outcome;
use latchkey_policy::{AccessContext, Query};
use latchkey_state::{Found, Layers, Worth};

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
    content: Content<'a>,
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
        let denied = |outcome| Denied::of(outcome, found, bound);
        check_life(ground, found).map_err(denied)?;
        let content = Content::of(ground, found);
        check_use(content.layers(), access).map_err(denied)?;
        Ok(Permit { content, bound })
    }
}

impl<'a> Permit<'a> {
    pub(crate) const fn into_parts(self) -> (Content<'a>, Bound<'a>) {
        (self.content, self.bound)
    }
}

fn check_life(ground: Ground<'_>, found: Found<'_>) -> Result<(), Outcome> {
    match outcome_of(ground.state.worth(&found, ground.now)) {
        // For good, whatever else is said of it.
        Outcome::Revoked => Err(Outcome::Revoked),
        _ if ground.denials.is_some_and(|denials| denials.of(&found).is_some()) => Err(Outcome::Suspended),
        Outcome::Valid => Ok(()),
        outcome => Err(outcome),
    }
}

/// The outcome of a version that is worth this.
pub(crate) const fn outcome_of(worth: Worth) -> Outcome {
    match worth {
        Worth::Accepted => Outcome::Valid,
        Worth::Revoked(_) => Outcome::Revoked,
        Worth::Suspended(_) => Outcome::Suspended,
        Worth::Expired(_) => Outcome::Expired,
        Worth::NotYetValid(_) => Outcome::NotYetValid,
    }
}

/// Every layer has to hold for itself: of two words, one that the key permits and one that its parent permits, neither
/// is permitted.
fn check_use(layers: &Layers<'_>, access: Access<'_>) -> Result<(), Outcome> {
    let context = access.context;
    if !layers.networks().all(|(_, networks)| context.is_from(networks)) {
        return Err(Outcome::NetworkNotAllowed);
    }
    if !layers.methods().all(|(_, methods)| context.is_by(|method| methods.has(method))) {
        return Err(Outcome::MethodNotAllowed);
    }
    if !layers.resources().all(|(_, resources)| context.is_on(resources)) {
        return Err(Outcome::ResourceNotAllowed);
    }
    if access.query.is_some_and(|query| !query.satisfied_where(|word| layers.permits(word))) {
        return Err(Outcome::InsufficientPermissions);
    }
    Ok(())
}
