//! The stores that an operator configured, by name, and who may use each.

use crate::error::told;
use crate::process::ProcessError;
use crate::{DeliveryError, Ending, FileStore, HookStore, Item, KubernetesStore, Store, hook, process};
use latchkey_config::{CommandLine, DeliveryKind, DeliverySettings, KeyspacePattern};
use latchkey_domain::{KeyId, KeyName, RotationName, Slug, VersionName};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// All stores of the settings.
#[derive(Clone, Debug, Default)]
pub struct Stores(Arc<BTreeMap<Slug, Outlet>>);

impl Stores {
    /// From the settings, which have checked themselves.
    #[must_use]
    pub fn new(settings: &[DeliverySettings]) -> Self {
        Self::of(settings.iter().map(Outlet::new))
    }

    /// These, by name.
    #[must_use]
    pub fn of(outlets: impl IntoIterator<Item = Outlet>) -> Self {
        Self(Arc::new(outlets.into_iter().map(|outlet| (outlet.name.clone(), outlet)).collect()))
    }

    /// The store of that name, where `key` may use it. Unknown and not allowed look alike: who may use what is nobody else's
    /// business.
    #[must_use]
    pub fn find(&self, name: &Slug, key: &KeyName) -> Option<&Outlet> {
        self.0.get(name).filter(|outlet| outlet.serves(key))
    }

    /// The names of all stores that are configured, for the start of a process to log.
    pub fn names(&self) -> impl Iterator<Item = &Slug> {
        self.0.keys()
    }
}

/// A store with its name, those who may use it, and the consumer's own check.
pub struct Outlet {
    name: Slug,
    keyspaces: Vec<KeyspacePattern>,
    key: Option<KeyId>,
    store: Box<dyn Store>,
    check: Option<(CommandLine, Duration)>,
}

impl Outlet {
    fn new(settings: &DeliverySettings) -> Self {
        let limit = Duration::from_secs(settings.time_limit_s);
        let store: Box<dyn Store> = match settings.kind {
            DeliveryKind::File => Box::new(FileStore::new(settings.path.as_deref().unwrap_or_default()).within(limit)),
            DeliveryKind::Hook => {
                let line = settings.command.clone().expect("settings of a hook without a command do not load");
                Box::new(HookStore::new(line, settings.steps.clone(), limit))
            }
            DeliveryKind::KubernetesSecret => Box::new(KubernetesStore::new(settings)),
        };
        let check = settings.check.clone().map(|line| (line, limit));
        let (name, keyspaces, key) = (settings.name.clone(), settings.keyspaces.clone(), settings.key);
        Self { name, keyspaces, key, store, check }
    }

    /// A store for all keys of these keyspaces.
    #[must_use]
    pub fn of(name: Slug, keyspaces: Vec<KeyspacePattern>, store: Box<dyn Store>) -> Self {
        Self { name, keyspaces, key: None, store, check: None }
    }

    /// With a consumer's check, which may take so long.
    #[must_use]
    pub fn checked_by(self, line: CommandLine, limit: Duration) -> Self {
        Self { check: Some((line, limit)), ..self }
    }

    /// What policies call it.
    #[must_use]
    pub const fn name(&self) -> &Slug {
        &self.name
    }

    /// Whether there is a consumer's check: without one, a rotation is verified by its visibility alone.
    #[must_use]
    pub const fn has_check(&self) -> bool {
        self.check.is_some()
    }

    fn serves(&self, key: &KeyName) -> bool {
        let named = self.keyspaces.iter().any(|pattern| pattern.matches(&key.keyspace));
        named && self.key.is_none_or(|only| only == key.key)
    }

    /// The step *set*: as [`Store::stage`].
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn stage(&self, item: &Item<'_>) -> Result<(), DeliveryError> {
        self.store.stage(item).await
    }

    /// The step *test*: the consumer's own check of what was staged. Fine where none is configured.
    ///
    /// # Errors
    /// [`CheckError`]: it did not pass.
    pub async fn check(&self, rotation: &RotationName, version: &VersionName) -> Result<(), CheckError> {
        let Some((line, limit)) = &self.check else { return Ok(()) };
        let mut variables = hook::variables("test", rotation);
        variables.push(("LATCHKEY_VERSION", version.to_string()));
        variables.extend(self.store.staged_at(rotation));
        Ok(process::run(line, &variables, &[], *limit).await?)
    }

    /// The step *finish*, its first half: as [`Store::deliver`].
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn deliver(&self, rotation: &RotationName, version: &VersionName) -> Result<(), DeliveryError> {
        self.store.deliver(rotation, version).await
    }

    /// The step *finish*, its second half, when the rotation has ended: as [`Store::finish`].
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn finish(&self, rotation: &RotationName, ending: Ending) -> Result<(), DeliveryError> {
        self.store.finish(rotation, ending).await
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outlet({}, {})", self.name, self.store.place())
    }
}

/// The consumer's check did not pass.
#[derive(Debug, thiserror::Error)]
#[error("the consumer's check did not pass")]
pub struct CheckError(#[from] ProcessError);

impl CheckError {
    /// The whole story in one line of at most 512 bytes without control characters, for the reason of a held rotation.
    #[must_use]
    pub fn told(&self) -> String {
        told(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemoryStore, item, rotation_name};

    fn outlet(keyspaces: &str, check: &str) -> Outlet {
        let patterns = keyspaces.split(',').map(|text| KeyspacePattern::parse(text).unwrap()).collect();
        let outlet = Outlet::of(Slug::parse("files").unwrap(), patterns, Box::new(MemoryStore::default()));
        outlet.checked_by(CommandLine::parse(check).unwrap(), Duration::from_secs(20))
    }

    #[test]
    fn to_another_tenant_there_is_no_such_store() {
        let stores = Stores::of([outlet("acme/orders,acme/refunds", "/bin/true")]);
        let key = |text: &str| KeyName::parse(&format!("tenants/{text}/keys/0Jx5k3f9QmZ2aB7c")).unwrap();
        let name = Slug::parse("files").unwrap();
        assert!(stores.find(&name, &key("acme/keyspaces/orders")).is_some());
        assert!(stores.find(&name, &key("acme/keyspaces/other")).is_none());
        assert!(stores.find(&name, &key("evil/keyspaces/orders")).is_none());
        assert!(stores.find(&Slug::parse("others").unwrap(), &key("acme/keyspaces/orders")).is_none());
    }

    #[test]
    fn a_store_of_one_key_is_for_that_key_alone() {
        let mut one = outlet("acme/orders", "/bin/true");
        one.key = KeyId::from_chars(b"0Jx5k3f9QmZ2aB7c");
        let key = |id: &str| KeyName::parse(&format!("tenants/acme/keyspaces/orders/keys/{id}")).unwrap();
        assert!(one.serves(&key("0Jx5k3f9QmZ2aB7c")));
        assert!(!one.serves(&key("1Jx5k3f9QmZ2aB7c")));
    }

    #[tokio::test]
    async fn the_consumers_check_decides_and_is_told_no_secret() {
        let (rotation, text) = (rotation_name(1), crate::testing::key_text(1));
        let item = item(&rotation, &text);
        let version = item.version_name();
        assert!(outlet("acme/orders", "/bin/true").check(&rotation, &version).await.is_ok());
        let error = outlet("acme/orders", "/bin/false").check(&rotation, &version).await.unwrap_err();
        assert!(error.told().contains("/bin/false ended with exit code 1"), "{}", error.told());

        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let script = crate::testing::script(&folder, &format!("{{ env; cat; }} > {}", seen.display()));
        outlet("acme/orders", &script).check(&rotation, &version).await.unwrap();
        let seen = std::fs::read_to_string(seen).unwrap();
        assert!(seen.contains(&format!("LATCHKEY_VERSION={version}")) && seen.contains("LATCHKEY_STEP=test"), "{seen}");
        assert!(!seen.contains(text.expose()) && !seen.contains("CARGO"), "{seen}");
    }
}
