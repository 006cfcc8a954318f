//! What a key or a version is worth at a time: the one place that says so. Whoever decides, shows or changes asks here.

use super::{Holder, Key, Revocation, Version};
use crate::records::{Keyspace, ScopeCut, Tenant};
use crate::state::{Found, State};
use alloc::boxed::Box;
use alloc::sync::Arc;
use latchkey_domain::{Revision, UnixMillis};

/// The kind of record that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The version itself.
    Version,
    /// The key.
    Key,
    /// The key whose child it is.
    Parent,
    /// A cut of the owner.
    Owner,
    /// A cut of a role.
    Role,
    /// A cut of the keyspace, or the keyspace's networks.
    Keyspace,
    /// A cut of the tenant.
    Tenant,
}

/// What a key or a version is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It is accepted.
    Accepted,
    /// It was revoked. Final.
    Revoked(By),
    /// It, or its parent, is suspended. Reversible.
    Suspended(By),
    /// Its time, or that of its parent, has run out, or another version took its place. Final, but for a roll back.
    Expired(By),
    /// Its time has not come, or it is a standby.
    NotYetValid(By),
}

impl Worth {
    /// Whether it was revoked or has expired. What is suspended may be that besides: see [`State::death_of`].
    #[must_use]
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Revoked(_) | Self::Expired(_))
    }
}

/// The order of decision. What is over is told before what has not begun: it does not come back by waiting.
const ORDER: [Question; 12] = [
    Question::Revoked(By::Version),
    Question::Revoked(By::Key),
    Question::Cut,
    Question::Revoked(By::Parent),
    Question::Suspended(By::Key),
    Question::Suspended(By::Parent),
    Question::Expired(By::Version),
    Question::Expired(By::Key),
    Question::Expired(By::Parent),
    Question::NotYetValid(By::Version),
    Question::NotYetValid(By::Key),
    Question::NotYetValid(By::Parent),
];

#[derive(Clone, Copy)]
enum Question {
    Revoked(By),
    Cut,
    Suspended(By),
    Expired(By),
    NotYetValid(By),
}

/// A key, with a version of it or without, and what it belongs to.
#[derive(Clone, Copy)]
struct Subject<'a> {
    tenant: &'a Tenant,
    keyspace: &'a Keyspace,
    key: &'a Key,
    version: Option<&'a Version>,
    // A parent that is gone took its children with it.
    parent: Option<Option<&'a Arc<Key>>>,
}

impl State {
    /// What a version is worth at `now`. Each end is exclusive: at the very millisecond it is over.
    #[must_use]
    pub fn worth(&self, found: &Found<'_>, now: UnixMillis) -> Worth {
        self.faults(found, now).next().unwrap_or(Worth::Accepted)
    }

    /// Everything that keeps a version from being accepted at `now`, in the order of decision.
    pub fn faults<'a>(&'a self, found: &Found<'a>, now: UnixMillis) -> impl Iterator<Item = Worth> + use<'a> {
        let subject = self.subject(found.tenant, found.keyspace, found.key, Some(found.version));
        self.faults_of(subject, now)
    }

    /// What a key is worth at `now`, whatever its versions are.
    #[must_use]
    pub fn key_worth(&self, key: &Key, now: UnixMillis) -> Worth {
        self.worth_of(key, None, now)
    }

    /// What a version of this key is worth at `now`.
    #[must_use]
    pub fn version_worth(&self, key: &Key, version: &Version, now: UnixMillis) -> Worth {
        self.worth_of(key, Some(version), now)
    }

    /// What ended a key for good, if anything did by `now`. A suspension hides an expiry from who asks what it is worth.
    #[must_use]
    pub fn death_of(&self, key: &Key, now: UnixMillis) -> Option<Worth> {
        self.faults_without(key, None, now).find(|fault| fault.is_dead())
    }

    /// What ended a version of this key for good, if anything did by `now`.
    #[must_use]
    pub fn death_of_version(&self, key: &Key, version: &Version, now: UnixMillis) -> Option<Worth> {
        self.faults_without(key, Some(version), now).find(|fault| fault.is_dead())
    }

    fn worth_of(&self, key: &Key, version: Option<&Version>, now: UnixMillis) -> Worth {
        self.faults_without(key, version, now).next().unwrap_or(Worth::Accepted)
    }

    /// The faults of a key that was not found by way of its keyspace.
    fn faults_without<'a>(
        &'a self,
        key: &'a Key,
        version: Option<&'a Version>,
        now: UnixMillis,
    ) -> impl Iterator<Item = Worth> + use<'a> {
        let keyspace = self.keyspaces().by_number(key.keyspace);
        let tenant = keyspace.and_then(|keyspace| self.tenants().by_number(keyspace.tenant));
        let subject = keyspace.zip(tenant).map(|(keyspace, tenant)| self.subject(tenant, keyspace, key, version));
        // Whatever a key belongs to is there on every way in; a key without is worth nothing.
        let lost = subject.is_none().then_some(Worth::Revoked(By::Keyspace));
        lost.into_iter().chain(subject.into_iter().flat_map(move |subject| self.faults_of(subject, now)))
    }

    fn subject<'a>(
        &'a self,
        tenant: &'a Tenant,
        keyspace: &'a Keyspace,
        key: &'a Key,
        version: Option<&'a Version>,
    ) -> Subject<'a> {
        let parent = key.parent().map(|parent| self.key_at(key.keyspace, parent));
        Subject { tenant, keyspace, key, version, parent }
    }

    fn faults_of<'a>(&'a self, subject: Subject<'a>, now: UnixMillis) -> impl Iterator<Item = Worth> + use<'a> {
        ORDER.into_iter().filter_map(move |question| self.answer(question, subject, now))
    }

    fn answer(&self, question: Question, subject: Subject<'_>, now: UnixMillis) -> Option<Worth> {
        let Subject { tenant, keyspace, key, version, parent } = subject;
        let alive = parent.flatten();
        match question {
            Question::Revoked(By::Parent) => parent
                .is_some_and(|parent| {
                    parent.is_none_or(|parent| {
                        is_effective(parent.revocation(), now) || self.is_cut(tenant, keyspace, parent)
                    })
                })
                .then_some(Worth::Revoked(By::Parent)),
            Question::Revoked(by) => {
                let revocation = if by == By::Version { version?.revocation() } else { key.revocation() };
                is_effective(revocation, now).then_some(Worth::Revoked(by))
            }
            Question::Cut => self.earliest_cut(tenant, keyspace, key).map(|(by, _)| Worth::Revoked(by)),
            Question::Suspended(by) => {
                let key = if by == By::Parent { alive? } else { key };
                key.suspension().map(|_| Worth::Suspended(by))
            }
            Question::Expired(by) => {
                let end = match by {
                    By::Version => version?.ends_at(),
                    By::Parent => alive?.expires_at,
                    _ => key.expires_at,
                };
                (end? <= now).then_some(Worth::Expired(by))
            }
            Question::NotYetValid(By::Version) => version?.is_pending().then_some(Worth::NotYetValid(By::Version)),
            Question::NotYetValid(by) => {
                let key = if by == By::Parent { alive? } else { key };
                (now < key.not_before()?).then_some(Worth::NotYetValid(by))
            }
        }
    }

    /// Whether a cut of the tenant, the keyspace, the owner or a role reaches this key.
    #[must_use]
    pub fn is_cut(&self, tenant: &Tenant, keyspace: &Keyspace, key: &Key) -> bool {
        self.earliest_cut(tenant, keyspace, key).is_some()
    }

    /// The earliest cut that reaches this key.
    #[must_use]
    pub fn cut_of<'a>(&'a self, tenant: &'a Tenant, keyspace: &'a Keyspace, key: &Key) -> Option<&'a ScopeCut> {
        self.earliest_cut(tenant, keyspace, key).map(|(_, cut)| cut)
    }

    fn earliest_cut<'a>(&'a self, tenant: &'a Tenant, keyspace: &'a Keyspace, key: &Key) -> Option<(By, &'a ScopeCut)> {
        let reaches = |by: By, cut: &'a Option<Box<ScopeCut>>, since: Revision| {
            cut.as_deref().filter(|cut| since <= cut.revision).map(|cut| (by, cut))
        };
        let owner = match key.holder {
            Holder::Owner(number) => self.owners().by_number(number),
            Holder::None | Holder::Identity(_) => None,
        };
        let owner = owner.and_then(|owner| reaches(By::Owner, &owner.cut, key.placed()));
        let roles = key.terms.roles.iter().filter_map(|number| self.roles().by_number(*number));
        let roles = roles.filter_map(|role| reaches(By::Role, &role.cut, key.placed()));
        let tenant = reaches(By::Tenant, &tenant.cut, key.created);
        let keyspace = reaches(By::Keyspace, &keyspace.cut, key.created);
        [tenant, keyspace, owner].into_iter().flatten().chain(roles).min_by_key(|(_, cut)| cut.revision)
    }
}

fn is_effective(revocation: Option<&Revocation>, now: UnixMillis) -> bool {
    revocation.is_some_and(|revocation| revocation.effective_at <= now)
}
