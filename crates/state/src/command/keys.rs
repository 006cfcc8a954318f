//! Commands on the life of keys.

use super::HolderName;
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_domain::{
    DisplayName, DurationMillis, KeyId, KeyName, KeyspaceName, Metadata, MethodSet, NetworkSet, PermissionSet, Purpose,
    ReasonText, ResourceSet, RevocationReason, RotationPolicy, Slug, UnixMillis,
};

/// The longest restriction: 90 days.
pub const RESTRICTION_MAX: DurationMillis = DurationMillis::from_secs(90 * 24 * 3_600);

/// Another end for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryChange {
    /// The latest that the keyspace and the parent key allow; no end where they set none.
    Latest,
    /// At this time.
    At(UnixMillis),
}

/// What of a key changes. A change is an `Option`: absent leaves what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    /// What people call it.
    pub display_name: Option<DisplayName>,
    /// Whom it belongs to.
    pub holder: Option<HolderName>,
    /// What it is for.
    pub purpose: Option<Purpose>,
    /// What it may do.
    pub permissions: Option<PermissionSet>,
    /// From where.
    pub networks: Option<NetworkSet>,
    /// With which methods.
    pub methods: Option<MethodSet>,
    /// On what.
    pub resources: Option<ResourceSet>,
    /// Its roles, by id within the tenant.
    pub roles: Option<Vec<Slug>>,
    /// The tenant's own words.
    pub metadata: Option<Metadata>,
    /// From when on it is accepted; cleared: at once.
    pub not_before: Option<Option<UnixMillis>>,
    /// When it ends.
    pub expiry: Option<ExpiryChange>,
    /// When its secret is to be replaced, and how; cleared: as the keyspace says.
    pub rotation_policy: Option<Option<Box<RotationPolicy>>>,
}

impl KeyChanges {
    /// That there shall be no policy is what every build knows.
    pub(crate) fn is_of_level_5(&self) -> bool {
        self.rotation_policy.as_ref().is_some_and(Option::is_some)
    }
}

/// Changes a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateKey {
    /// Which.
    pub key: KeyName,
    /// What changes.
    pub changes: KeyChanges,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// Suspends a key. Idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspendKey {
    /// Which.
    pub key: KeyName,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// Lifts the suspension and the restriction of a key. Idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeKey {
    /// Which.
    pub key: KeyName,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// When something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At this time.
    At(UnixMillis),
    /// After this long.
    After(DurationMillis),
}

/// Lets a key do less for a while. Replaces the restriction before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictKey {
    /// Which.
    pub key: KeyName,
    /// What it may do at most; absent: permissions are not restricted.
    pub permissions: Option<PermissionSet>,
    /// From where at most; empty: networks are not restricted.
    pub networks: NetworkSet,
    /// When it ends; at most [`RESTRICTION_MAX`] from now.
    pub end: End,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// Revokes keys of one keyspace by name. Those that are gone or dead already are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeKeys {
    /// Where they are.
    pub keyspace: KeyspaceName,
    /// At most [`super::KEYS_PER_COMMAND_MAX`].
    pub keys: Vec<KeyId>,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
    /// What all records of one call have in common.
    pub operation: [u8; 16],
}
