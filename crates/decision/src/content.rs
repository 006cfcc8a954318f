//! What an answer may carry of a key that may be used.

use crate::Ground;
use alloc::borrow::Cow;
use core::fmt;
use latchkey_domain::{BuiltInRole, PermissionPattern, RotationId, UnixMillis};
use latchkey_state::{Found, Key, Layers};

/// A key that may be used, and what it says. Only the steps of this crate make one.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    ground: Ground<'a>,
    found: Found<'a>,
    layers: Layers<'a>,
}

/// That another version has taken the place of this one, or is there to do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationHint {
    /// The rotation that retires it; absent: it has ended, or has left.
    pub rotation: Option<RotationId>,
    /// The version is not accepted from this time on; absent: its end is not set yet.
    pub retires_at: Option<UnixMillis>,
}

impl<'a> Content<'a> {
    pub(crate) fn of(ground: Ground<'a>, found: Found<'a>) -> Self {
        Self { ground, found, layers: ground.state.terms_of(found.key, ground.now) }
    }

    pub(crate) const fn found(&self) -> Found<'a> {
        self.found
    }

    pub(crate) const fn layers(&self) -> &Layers<'a> {
        &self.layers
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &'a Key {
        self.found.key
    }

    /// What it permits now, sorted: its own permissions and those of its roles, less what a restriction or a parent key
    /// takes away. Those of a plain key are borrowed.
    #[must_use]
    pub fn permissions(&self) -> Cow<'a, [PermissionPattern]> {
        self.layers.effective_permissions()
    }

    /// The ids of its roles within its tenant, in no order that means anything.
    pub fn roles(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let Self { ground: Ground { state, .. }, found, .. } = *self;
        found.key.terms.roles.iter().filter_map(move |number| match BuiltInRole::by_number(*number) {
            Some(role) => Some(role.as_str()),
            None => state.roles().by_number(*number).map(|role| role.id.as_str()),
        })
    }

    /// The key is not accepted from this time on: by its own end, or by that of its parent.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        let key = self.found.key;
        let parent = key.parent().and_then(|parent| self.ground.state.key_at(key.keyspace, parent));
        [key.expires_at, parent.and_then(|parent| parent.expires_at)].into_iter().flatten().min()
    }

    /// Set where the version is about to retire, and as soon as another one is accepted beside it that is to take its place:
    /// an end that waits for clients to move needs them to know.
    #[must_use]
    pub fn rotation(&self) -> Option<RotationHint> {
        let Found { key, version, .. } = self.found;
        let live = key.rotation().and_then(|id| self.ground.state.rotation_at(key.keyspace, key.id, id));
        let live = live.filter(|rotation| rotation.old == Some(version.id));
        let Some(retires_at) = version.retires_at() else {
            let accepted = |id| key.version(id).is_some_and(|new| !new.is_pending());
            let rotation = live.filter(|rotation| rotation.new.is_some_and(accepted))?;
            return Some(RotationHint { rotation: Some(rotation.id), retires_at: None });
        };
        let retiring = live.filter(|rotation| rotation.overlaps());
        Some(RotationHint { rotation: retiring.map(|rotation| rotation.id), retires_at: Some(retires_at) })
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({:?} at {:?})", self.found.key.id, self.ground)
    }
}
