//! What a key may do at a time: the conjunction of its own terms and roles, its restriction, and the same of its parent.

use super::{By, Key, Restriction};
use crate::records::Keyspace;
use crate::state::State;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::iter;
use latchkey_domain::{
    BuiltInRole, Method, MethodSet, NetworkSet, PermissionPattern, PermissionRef, PermissionSet, ResourceSet,
    UnixMillis,
};

/// What one role gives.
#[derive(Clone, Copy)]
enum RoleTerms<'a> {
    BuiltIn(BuiltInRole),
    Made(&'a PermissionSet, &'a MethodSet),
}

/// What a key may do at a time. Each layer has to permit what is asked for. Holds references alone: asking allocates
/// nothing, but for [`Self::effective_permissions`] of a key that has roles, a restriction or a parent.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    state: &'a State,
    keyspace: Option<&'a Keyspace>,
    own: Layer<'a>,
    parent: Option<Layer<'a>>,
    // A parent that is gone permits nothing.
    orphaned: bool,
}

/// One key with its restriction.
#[derive(Clone, Copy)]
struct Layer<'a> {
    by: By,
    key: &'a Key,
    restriction: Option<&'a Restriction>,
}

/// The methods that one layer lets pass.
#[derive(Clone, Copy)]
pub enum Methods<'a> {
    /// These.
    Of(&'a MethodSet),
    /// Those of any role of this key.
    OfRoles(&'a State, &'a Key),
}

impl State {
    /// What `key` may do at `now`. Whether it is accepted at all is [`Self::worth`].
    #[must_use]
    pub fn terms_of<'a>(&'a self, key: &'a Key, now: UnixMillis) -> Layers<'a> {
        let layer = |by, key: &'a Key| Layer { by, key, restriction: key.restriction(now) };
        let parent = key.parent().map(|parent| self.key_at(key.keyspace, parent));
        Layers {
            state: self,
            keyspace: self.keyspaces().by_number(key.keyspace).map(AsRef::as_ref),
            own: layer(By::Key, key),
            parent: parent.flatten().map(|parent| layer(By::Parent, parent)),
            orphaned: parent.is_some_and(|parent| parent.is_none()),
        }
    }

    fn roles_of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = RoleTerms<'a>> {
        key.terms.roles.iter().filter_map(|number| {
            let made = || self.roles().by_number(*number).map(|role| RoleTerms::Made(&role.permissions, &role.methods));
            BuiltInRole::by_number(*number).map(RoleTerms::BuiltIn).or_else(made)
        })
    }
}

impl<'a> Layers<'a> {
    /// Whether every layer permits this word.
    #[must_use]
    pub fn permits(&self, word: PermissionRef<'_>) -> bool {
        self.refusing(word).is_none()
    }

    /// The first key, itself or its parent, that does not permit this word.
    #[must_use]
    pub fn refusing(&self, word: PermissionRef<'_>) -> Option<By> {
        if self.orphaned {
            return Some(By::Parent);
        }
        self.layers().find(|layer| !self.layer_permits(layer, word)).map(|layer| layer.by)
    }

    /// Whether the key itself permits all that the pattern does, its restriction and its parent aside.
    #[must_use]
    pub fn key_covers(&self, pattern: &PermissionPattern) -> bool {
        let key = self.own.key;
        let by_roles = || {
            self.allowed().is_none_or(|allowed| allowed.covers(pattern))
                && self.state.roles_of(key).any(|role| match role {
                    RoleTerms::BuiltIn(role) => role.permits_all(),
                    RoleTerms::Made(permissions, _) => permissions.covers(pattern),
                })
        };
        key.terms.permissions.covers(pattern) || by_roles()
    }

    /// The sets of networks that must all contain the address; an empty one restricts nothing and is not among them.
    pub fn networks(&self) -> impl Iterator<Item = (By, &'a NetworkSet)> + use<'a> {
        let keyspace = self.keyspace.map(|keyspace| (By::Keyspace, &keyspace.settings.networks));
        let of_layers = self.layers().flat_map(|layer| {
            let restriction = layer.restriction.map(|restriction| &restriction.networks);
            iter::once(&layer.key.terms.networks).chain(restriction).map(move |networks| (layer.by, networks))
        });
        keyspace.into_iter().chain(of_layers).filter(|(_, networks)| !networks.is_empty())
    }

    /// The sets of methods that must all have the one called; one that restricts nothing is not among them.
    pub fn methods(&self) -> impl Iterator<Item = (By, Methods<'a>)> + use<'a> {
        let state = self.state;
        self.layers().flat_map(move |layer| {
            let methods = &layer.key.terms.methods;
            let own = (!methods.is_empty()).then_some(Methods::Of(methods));
            let roles = roles_restrict_methods(state, layer.key).then_some(Methods::OfRoles(state, layer.key));
            own.into_iter().chain(roles).map(move |methods| (layer.by, methods))
        })
    }

    /// The sets of resource patterns that must all match; one that restricts nothing is not among them.
    pub fn resources(&self) -> impl Iterator<Item = (By, &'a ResourceSet)> + use<'a> {
        let of_layers = self.layers().map(|layer| (layer.by, &layer.key.terms.resources));
        of_layers.filter(|(_, resources)| !resources.is_empty())
    }

    /// The patterns that all layers permit, sorted. A plain key has them as they are.
    #[must_use]
    pub fn effective_permissions(&self) -> Cow<'a, [PermissionPattern]> {
        let own = &self.own.key.terms;
        if own.roles.is_empty() && self.own.restriction.is_none() && self.parent.is_none() && !self.orphaned {
            return Cow::Borrowed(own.permissions.as_slice());
        }
        Cow::Owned(if self.orphaned { Vec::new() } else { self.common_permissions() })
    }

    fn common_permissions(&self) -> Vec<PermissionPattern> {
        let mut common = self.patterns_of(self.own.key);
        let parent = self.parent.map(|layer| self.patterns_of(layer.key));
        let restrictions = self.layers().filter_map(|layer| layer.restriction?.permissions.as_ref());
        for other in restrictions.map(|set| set.as_slice().to_vec()).chain(parent) {
            common = intersection(&common, &other);
        }
        common
    }

    fn layers(&self) -> impl Iterator<Item = Layer<'a>> + use<'a> {
        iter::once(self.own).chain(self.parent)
    }

    fn layer_permits(&self, layer: &Layer<'_>, word: PermissionRef<'_>) -> bool {
        let restriction = layer.restriction.and_then(|restriction| restriction.permissions.as_ref());
        let terms = &layer.key.terms;
        (terms.permissions.grants(word) || self.roles_permit(layer.key, word))
            && restriction.is_none_or(|permissions| permissions.grants(word))
    }

    /// Roles give no more than the keyspace allows, whatever it allowed when they were given.
    fn roles_permit(&self, key: &Key, word: PermissionRef<'_>) -> bool {
        let roles = &key.terms.roles;
        !roles.is_empty()
            && self.allowed().is_none_or(|allowed| allowed.grants(word))
            && self.state.roles_of(key).any(|role| match role {
                RoleTerms::BuiltIn(role) => role.permits_all(),
                RoleTerms::Made(permissions, _) => permissions.grants(word),
            })
    }

    fn allowed(&self) -> Option<&'a PermissionSet> {
        self.keyspace.map(|keyspace| &keyspace.settings.allowed_permissions).filter(|allowed| !allowed.is_empty())
    }

    /// The key's own patterns and those of its roles, sorted.
    fn patterns_of(&self, key: &Key) -> Vec<PermissionPattern> {
        let mut patterns = Vec::new();
        for role in self.state.roles_of(key) {
            match role {
                RoleTerms::BuiltIn(role) if role.permits_all() => patterns.push(everything()),
                RoleTerms::BuiltIn(_) => {}
                RoleTerms::Made(permissions, _) => patterns.extend(permissions.iter().cloned()),
            }
        }
        tidy(&mut patterns);
        if let Some(allowed) = self.allowed() {
            patterns = intersection(&patterns, allowed.as_slice());
        }
        patterns.extend(key.terms.permissions.iter().cloned());
        tidy(&mut patterns);
        patterns
    }
}

impl Methods<'_> {
    /// Whether the method is among them.
    #[must_use]
    pub fn has(&self, method: &Method) -> bool {
        match self {
            Self::Of(methods) => methods.has(method),
            Self::OfRoles(state, key) => state.roles_of(key).any(|role| match role {
                RoleTerms::BuiltIn(role) => role.methods().contains(&method.as_str()),
                RoleTerms::Made(_, methods) => methods.has(method),
            }),
        }
    }
}

/// A role without methods lets every method pass, and so does a key that has it.
fn roles_restrict_methods(state: &State, key: &Key) -> bool {
    !key.terms.roles.is_empty()
        && state.roles_of(key).all(|role| match role {
            RoleTerms::BuiltIn(role) => !role.methods().is_empty(),
            RoleTerms::Made(_, methods) => !methods.is_empty(),
        })
}

fn everything() -> PermissionPattern {
    PermissionPattern::parse("*").expect("a lone star is a pattern")
}

fn tidy(patterns: &mut Vec<PermissionPattern>) {
    patterns.sort_unstable();
    patterns.dedup();
}

/// What both grant. Of two patterns one covers the other or they have no word in common, so no third pattern is needed.
fn intersection(left: &[PermissionPattern], right: &[PermissionPattern]) -> Vec<PermissionPattern> {
    let of_left = left.iter().filter(|pattern| is_covered(pattern, right));
    let of_right = right.iter().filter(|pattern| is_covered(pattern, left));
    let mut both: Vec<_> = of_left.chain(of_right).cloned().collect();
    tidy(&mut both);
    both
}

/// Whether a pattern of the sorted `set` covers this one: itself, or a wildcard above it. Roles can bring thousands of
/// patterns, and each validation of their key intersects them.
fn is_covered(pattern: &PermissionPattern, set: &[PermissionPattern]) -> bool {
    let text = pattern.as_str();
    let has = |above: &str, star: &str| {
        set.binary_search_by(|other| other.as_str().bytes().cmp(above.bytes().chain(star.bytes()))).is_ok()
    };
    let above = text.match_indices(':').map(|(colon, _)| &text[..=colon]);
    has(text, "") || iter::once("").chain(above).any(|above| has(above, "*"))
}
